//! Texts that are no valid frames: each is answered and changes nothing.

use serde_json::json;

use crate::listening::faults;
use crate::support::{Parlor, Person, Socket};

async fn setting(server: &Parlor) -> (Person, u64, Socket) {
    let ann = server.person("ann").await;
    let room = ann.room("General").await;
    let socket = ann.enter(room).await;
    (ann, room, socket)
}

/// Takes back the count of bad frames in a row.
async fn good_frame(socket: &mut Socket) {
    let meanwhile = socket.settle().await;
    assert!(meanwhile.iter().all(|frame| frame["type"] == "presence"), "{meanwhile:?}");
}

#[tokio::test]
async fn what_is_not_one_object_with_a_type_is_a_bad_frame() {
    let server = Parlor::start().await;
    let (ann, room, mut socket) = setting(&server).await;
    let deep = "[".repeat(60_000);
    let deep_object = r#"{"a":"#.repeat(10_000);
    let many: Vec<_> = (0..65).map(|n| format!(r#""f{n}":0"#)).collect();
    let many = format!(r#"{{"type":"ping",{}}}"#, many.join(","));
    for text in [
        "",
        " ",
        "\n",
        "{",
        "}",
        "[]",
        "null",
        "true",
        "5",
        "\"ping\"",
        "ping",
        "{}",
        "{,}",
        r#"{"type":"ping"} {"type":"ping"}"#,
        r#"[{"type":"ping"}]"#,
        r#"{"type":"ping",}"#,
        "{'type':'ping'}",
        r#"{type:"ping"}"#,
        r#"{"type":"ping""#,
        r#"{"type":5}"#,
        r#"{"type":null}"#,
        r#"{"type":["ping"]}"#,
        r#"{"Type":"ping"}"#,
        r#"{"type":"\ud800"}"#,
        r#"{"type":"ping","x":01}"#,
        r#"{"type":"ping","x":NaN}"#,
        "{\"type\":\"ping\",\"x\":\"\n\"}",
        "\u{feff}{\"type\":\"ping\"}",
        &deep,
        &deep_object,
        &many,
    ] {
        socket.send_text(text).await;
        let error = socket.expect("error").await;
        let start = &text[..text.len().min(60)];
        assert_eq!(error["code"], "bad_frame", "{start:?}: {error}");
        assert_eq!(error["retryable"], false);
        good_frame(&mut socket).await;
    }
    for text in [r#"{"type":""}"#, r#"{"type":"Chat"}"#, r#"{"type":"chat "}"#, r#"{"type":"ack"}"#]
    {
        socket.send_text(text).await;
        assert_eq!(socket.expect("error").await["code"], "unknown_type", "{text}");
    }
    assert!(ann.history(room).await.is_empty());
}

#[tokio::test]
async fn deep_nesting_in_an_ignored_field_does_no_harm() {
    let server = Parlor::start().await;
    let (_ann, _room, mut socket) = setting(&server).await;
    let (open, close) = ("[".repeat(30_000), "]".repeat(30_000));
    socket.send_text(&format!(r#"{{"type":"ping","x":{open}{close}}}"#)).await;
    let answer = socket.recv().await;
    let answered = answer["type"] == "pong" || answer["code"] == "bad_frame";
    assert!(answered || answer["type"] == "presence", "{answer}");
    socket.settle().await;
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once() {
    let server = Parlor::start().await;
    let (ann, room, mut socket) = setting(&server).await;
    let long = "x".repeat(65);
    for (frame, fields) in [
        (json!({"type": "chat"}), vec!["message", "roomId"]),
        (json!({"type": "chat", "roomId": null, "message": null}), vec!["message", "roomId"]),
        (
            json!({"type": "chat", "roomId": "x", "message": 5, "id": ""}),
            vec!["id", "message", "roomId"],
        ),
        (json!({"type": "chat", "roomId": room, "message": ""}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": ["hi"]}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": {"text": "hi"}}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": "a\u{0}b"}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": "a\rb"}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": "a\u{1b}[0m"}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": "a\u{7f}"}), vec!["message"]),
        (json!({"type": "chat", "roomId": room, "message": "hi", "id": long}), vec!["id"]),
        (json!({"type": "chat", "roomId": room, "message": "hi", "id": 5}), vec!["id"]),
        (json!({"type": "join_room", "roomId": -1, "after": -1}), vec!["after", "roomId"]),
        (json!({"type": "join_room", "roomId": 1.5, "after": 0.5}), vec!["after", "roomId"]),
        (json!({"type": "join_room", "roomId": "", "after": ""}), vec!["after", "roomId"]),
        (json!({"type": "join_room", "roomId": "+1", "after": " 1"}), vec!["after", "roomId"]),
        (
            json!({"type": "join_room", "roomId": 9_007_199_254_740_992_u64,
                "after": "9007199254740992"}),
            vec!["after", "roomId"],
        ),
        (
            json!({"type": "join_room", "roomId": "99999999999999999999999", "after": u64::MAX}),
            vec!["after", "roomId"],
        ),
        (json!({"type": "join_room", "roomId": 0}), vec!["roomId"]),
        (json!({"type": "join_room", "roomId": true, "log": 5}), vec!["log", "roomId"]),
        (json!({"type": "leave_room"}), vec!["roomId"]),
        (json!({"type": "typing", "roomId": {}}), vec!["roomId"]),
        (json!({"type": "refresh"}), vec!["token"]),
        (json!({"type": "ping", "ref": ""}), vec!["ref"]),
        (json!({"type": "ping", "ref": long}), vec!["ref"]),
        (json!({"type": "ping", "ref": 5}), vec!["ref"]),
    ] {
        let error = socket.refused(&frame).await;
        assert_eq!(error["code"], "invalid", "{frame}");
        assert_eq!(faults(&error), fields, "{frame}");
        let rules = error["errors"].as_array().expect("errors");
        assert!(rules.iter().all(|rule| rule["message"] != ""), "{error}");
        good_frame(&mut socket).await;
    }
    for text in [
        r#"{"type":"chat","roomId":1,"message":"\ud800"}"#,
        r#"{"type":"chat","roomId":1,"message":"\udc00\ud800"}"#,
        r#"{"type":"chat","roomId":1,"message":"\ud800x"}"#,
        r#"{"type":"chat","roomId":1,"message":"\u0000"}"#,
    ] {
        socket.send_text(text).await;
        let error = socket.expect("error").await;
        assert_eq!(
            (&error["code"], faults(&error)),
            (&json!("invalid"), vec!["message"]),
            "{text}"
        );
    }
    assert!(ann.history(room).await.is_empty(), "nothing is half done");
}

#[tokio::test]
async fn an_error_names_the_message_it_answers() {
    let server = Parlor::start().await;
    let (ann, room, mut socket) = setting(&server).await;
    let frame = json!({"type": "chat", "roomId": room.to_string(), "message": "", "id": "c1"});
    let error = socket.refused(&frame).await;
    assert_eq!((&error["roomId"], &error["id"]), (&json!(room), &json!("c1")));
    socket.chat_with_id(room, "now with text", "c1").await;
    let ack = socket.find("ack").await;
    assert_eq!((&ack["seq"], ack.get("duplicate")), (&json!(1), None), "the id was not used up");
    assert_eq!(ann.history(room).await.len(), 1);
}

#[tokio::test]
async fn a_message_over_the_limit_has_an_error_of_its_own() {
    let server = Parlor::start().await;
    let (ann, room, mut socket) = setting(&server).await;
    // Bytes count, not characters.
    for text in ["x".repeat(16_385), "\u{20ac}".repeat(5_462)] {
        let frame = json!({"type": "chat", "roomId": room, "message": text, "id": "c1"});
        let error = socket.refused(&frame).await;
        assert_eq!(error["code"], "message_too_large");
        assert_eq!(error["retryable"], false);
        assert_eq!((&error["roomId"], &error["id"]), (&json!(room), &json!("c1")));
    }
    assert!(ann.history(room).await.is_empty());
    socket.chat_with_id(room, "shorter", "c1").await;
    assert_eq!(socket.find("ack").await.get("duplicate"), None);
}

#[tokio::test]
async fn twenty_bad_frames_in_a_row_are_borne() {
    let server = Parlor::start().await;
    let (_ann, room, mut socket) = setting(&server).await;
    let bad = [
        json!([]),
        json!({"type": "nothing"}),
        json!({"type": "chat"}),
        json!({"type": "chat", "roomId": 77, "message": "hi"}),
    ];
    for frame in bad.iter().cycle().take(20) {
        socket.refused(frame).await;
    }
    socket.chat(room, "a good one").await;
    socket.expect("chat").await;
    for frame in bad.iter().cycle().take(20) {
        socket.refused(frame).await;
    }
    good_frame(&mut socket).await;
    for frame in bad.iter().cycle().take(20) {
        socket.refused(frame).await;
    }
    socket.send(&json!({})).await;
    assert_eq!(socket.close_code().await, Some(1008));
}

#[tokio::test]
async fn errors_that_can_be_tried_again_are_not_counted_as_bad() {
    let server = Parlor::start_with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.message_burst = 1;
    })
    .await;
    let (_ann, room, mut socket) = setting(&server).await;
    for n in 0..60 {
        socket.chat(room, &format!("m{n}")).await;
    }
    let meanwhile = socket.settle().await;
    let limited = meanwhile.iter().filter(|frame| frame["code"] == "rate_limited").count();
    assert!(limited > 20, "{limited}");
    for _ in 0..20 {
        socket.refused(&json!({})).await;
    }
    // Twenty are borne; what is limited now neither adds to them nor begins the count anew. Should
    // a second have passed, a message is taken, which does begin it anew.
    loop {
        socket.chat(room, "one more").await;
        if socket.find_any(&["error", "chat"]).await["code"] == "rate_limited" {
            break;
        }
        for _ in 0..20 {
            socket.refused(&json!({})).await;
        }
    }
    socket.send(&json!({})).await;
    assert_eq!(socket.close_code().await, Some(1008));
}
