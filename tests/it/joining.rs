//! Entering and leaving rooms.

use serde_json::json;

use crate::inside::Inside;
use crate::listening::{seqs, texts};
use crate::support::{Parlor, Socket};

#[tokio::test]
async fn hello_is_the_first_frame_and_has_every_field() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let path = format!("/ws?token={}", ann.token);
    let hello = Socket::open(server.addr, &path).await.recv().await;
    let log = hello["log"].as_str().expect("a log").to_owned();
    assert!(!log.is_empty());
    let expected = json!({
        "type": "hello", "version": 1, "userId": ann.user_id, "log": log, "heartbeatMs": 25_000,
        "limits": {"messageBytes": 16_384, "frameBytes": 65_536, "roomsPerConnection": 128,
            "unacknowledged": 256},
    });
    assert_eq!(hello, expected);
    let other = Parlor::start().await;
    let bob = other.person("bob").await;
    let path = format!("/ws?token={}", bob.token);
    let elsewhere = Socket::open(other.addr, &path).await.recv().await;
    assert_ne!(elsewhere["log"], log.as_str(), "each database has a name of its own");
    let server = server.restart().await;
    let path = format!("/ws?token={}", ann.token);
    let again = Socket::open(server.addr, &path).await.recv().await;
    assert_eq!(again["log"], log.as_str(), "for ever");
}

#[tokio::test]
async fn the_three_original_frames_are_all_that_is_needed() {
    let (_server, ann, room) = Parlor::with_room().await;
    assert_eq!(room, 1);
    let mut socket = ann.connect().await;
    socket.send_text(r#"{"type":"join_room","roomId":1}"#).await;
    let joined = socket.expect("joined").await;
    let expected = json!({"type": "joined", "roomId": 1, "head": 0, "first": 0, "count": 0,
        "delivery": "immediate"});
    assert_eq!(joined, expected);
    socket.send_text(r#"{"type":"chat","roomId":1,"message":"hi"}"#).await;
    let chat = socket.expect("chat").await;
    let at = chat["at"].as_u64().expect("a time");
    let expected = json!({"type": "chat", "roomId": 1, "seq": 1, "userId": ann.user_id,
        "username": "ann", "message": "hi", "at": at});
    assert_eq!(chat, expected, "one's own message, and nothing that was not asked for");
    socket.send_text(r#"{"type":"leave_room","roomId":1}"#).await;
    assert_eq!(socket.expect("left").await, json!({"type": "left", "roomId": 1}));
    assert_eq!(ann.history(room).await.len(), 1);
}

#[tokio::test]
async fn joined_tells_where_the_room_is() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    socket.say_many(room, "m", 3).await;
    socket.chats(3).await;
    let mut other = ann.connect().await;
    let frame = json!({"type": "join_room", "roomId": room.to_string(), "ref": "a ref"});
    other.send(&frame).await;
    let expected = json!({"type": "joined", "roomId": room, "head": 3, "first": 1, "count": 3,
        "delivery": "immediate", "ref": "a ref"});
    assert_eq!(other.expect("joined").await, expected);
}

#[tokio::test]
async fn numbers_may_be_strings_of_digits_and_unknown_fields_are_ignored() {
    let (_server, ann, room) = Parlor::with_room().await;
    ann.say(room, "one").await;
    ann.say(room, "two").await;
    let mut socket = ann.connect().await;
    let digits = room.to_string();
    let join = json!({"type": "join_room", "roomId": digits, "after": "1", "colour": {"a": []}});
    socket.send(&join).await;
    assert_eq!(socket.expect("joined").await["roomId"], room);
    assert_eq!(socket.expect("chat").await["message"], "two");
    let chat = json!({"type": "chat", "roomId": digits, "message": "three", "extra": [null, 1]});
    socket.send(&chat).await;
    assert_eq!(socket.expect("chat").await["roomId"], room);
    let leave = json!({"type": "leave_room", "roomId": digits, "after": "no number", "log": 5});
    socket.send(&leave).await;
    assert_eq!(socket.expect("left").await["roomId"], room);
}

#[tokio::test]
async fn every_answer_repeats_the_ref() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.connect().await;
    let longest = "r".repeat(64);
    let frames = [
        (json!({"type": "join_room", "roomId": room}), "joined"),
        (json!({"type": "join_room", "roomId": room}), "joined"),
        (json!({"type": "join_room", "roomId": room, "after": 0}), "joined"),
        (json!({"type": "leave_room", "roomId": room}), "left"),
        (json!({"type": "leave_room", "roomId": room}), "error"),
        (json!({"type": "join_room", "roomId": 77}), "error"),
        (json!({"type": "join_room"}), "error"),
        (json!({"type": "typing", "roomId": 77}), "error"),
        (json!({"type": "no_such_type"}), "error"),
        (json!({"type": "refresh", "token": "none"}), "error"),
        (json!({"type": "refresh", "token": ann.token}), "refreshed"),
        (json!({"type": "ping"}), "pong"),
    ];
    for (mut frame, kind) in frames {
        frame["ref"] = json!(longest);
        socket.send(&frame).await;
        let answer = socket.expect(kind).await;
        assert_eq!(answer["ref"], longest.as_str(), "{frame}");
        frame.as_object_mut().expect("an object").remove("ref");
        if kind == "pong" {
            socket.send(&frame).await;
            assert_eq!(socket.expect(kind).await, json!({"type": "pong"}), "no ref, none back");
        }
    }
}

#[tokio::test]
async fn joining_again_without_after_changes_nothing() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    socket.say_many(room, "m", 3).await;
    socket.chats(3).await;
    let joined = socket.ask(json!({"type": "join_room", "roomId": room})).await;
    assert_eq!((&joined["type"], &joined["head"]), (&json!("joined"), &json!(3)));
    assert_eq!(joined["count"], 3);
    socket.chat(room, "next").await;
    assert_eq!(socket.expect("chat").await["seq"], 4, "neither missed nor twice");
    assert!(socket.settle().await.iter().all(|frame| frame["type"] == "presence"));
}

#[tokio::test]
async fn joining_again_with_after_begins_anew_from_there() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    socket.say_many(room, "m", 300).await;
    assert_eq!(seqs(&socket.chats(300).await), (1..=300).collect::<Vec<_>>());
    for after in [0, 299, 300, 250, 10_000] {
        let joined = socket.join_after(room, after).await;
        assert_eq!(joined["head"], 300);
        let from = after.min(300) + 1;
        let missed = usize::try_from(301 - from).expect("small");
        assert_eq!(seqs(&socket.chats(missed).await), (from..=300).collect::<Vec<_>>());
    }
    // At once: whatever had come of the first join, the second `joined` is the boundary.
    for after in [0, 290] {
        socket.feed(&json!({"type": "join_room", "roomId": room, "after": after})).await;
    }
    socket.flush().await;
    socket.find("joined").await;
    socket.find("joined").await;
    assert_eq!(seqs(&socket.chats(10).await), (291..=300).collect::<Vec<_>>());
    socket.chat(room, "next").await;
    assert_eq!(socket.expect("chat").await["seq"], 301);
}

#[tokio::test]
async fn nothing_of_a_room_follows_left() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let (mut a, mut b) = (ann.enter(room).await, ben.enter(room).await);
    a.chat_with_id(room, "bye", "c1").await;
    let leave = json!({"type": "leave_room", "roomId": room});
    a.send(&leave).await;
    let mut kinds = Vec::new();
    loop {
        let frame = a.recv().await;
        kinds.push(frame["type"].as_str().expect("a type").to_owned());
        if frame["type"] == "left" {
            break;
        }
    }
    assert!(kinds.iter().any(|kind| kind == "ack"), "the ack comes before left: {kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "chat").count(), 1);
    b.say_many(room, "m", 50).await;
    b.chats_until("m49").await;
    assert_eq!(a.settle().await, Vec::<serde_json::Value>::new());
    assert_eq!(a.join_after(room, 1).await["head"], 51);
    assert_eq!(a.chats(50).await.len(), 50, "what was missed can be had");
}

#[tokio::test]
async fn what_is_not_joined_cannot_be_left_or_spoken_to() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.connect().await;
    for (frame, code) in [
        (json!({"type": "leave_room", "roomId": room}), "not_in_room"),
        (json!({"type": "chat", "roomId": room, "message": "hi", "id": "c1"}), "not_in_room"),
        (json!({"type": "chat", "roomId": 77, "message": "hi", "id": "c1"}), "no_such_room"),
        (json!({"type": "typing", "roomId": room}), "not_in_room"),
        (json!({"type": "join_room", "roomId": 77}), "no_such_room"),
        (json!({"type": "join_room", "roomId": 77, "after": 0}), "no_such_room"),
        (json!({"type": "join_room", "roomId": 9_007_199_254_740_991_u64}), "no_such_room"),
    ] {
        let error = socket.refused(&frame).await;
        assert_eq!(error["code"], code, "{frame}");
        assert_eq!(error["retryable"], false);
        assert_eq!(error["roomId"], frame["roomId"]);
        assert_eq!(error["id"], frame["id"]);
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert!(ann.history(room).await.is_empty());
    socket.join(room).await;
    socket.ask(json!({"type": "leave_room", "roomId": room})).await;
    let chat = json!({"type": "chat", "roomId": room, "message": "hi"});
    assert_eq!(socket.refused(&chat).await["code"], "not_in_room", "after leaving");
}

#[tokio::test]
async fn the_rooms_of_a_connection_are_bounded() {
    let server = Parlor::start_with(|config| config.limits.rooms_per_connection = 2).await;
    let ann = server.person("ann").await;
    let rooms = [ann.room("One").await, ann.room("Two").await, ann.room("Three").await];
    let mut socket = ann.connect().await;
    socket.join(rooms[0]).await;
    socket.join(rooms[1]).await;
    let third = json!({"type": "join_room", "roomId": rooms[2]});
    assert_eq!(socket.refused(&third).await["code"], "too_many_rooms");
    let again = socket.ask(json!({"type": "join_room", "roomId": rooms[1]})).await;
    assert_eq!(again["type"], "joined", "what is joined may be joined again");
    socket.ask(json!({"type": "leave_room", "roomId": rooms[0]})).await;
    assert_eq!(socket.ask(third).await["type"], "joined", "leaving makes room");
}

#[tokio::test]
async fn a_cursor_of_another_database_is_told_to_be_reset() {
    let (server, ann, room) = Parlor::with_room().await;
    ann.say(room, "one").await;
    let path = format!("/ws?token={}", ann.token);
    let mut socket = Socket::open(server.addr, &path).await;
    let log = socket.expect("hello").await["log"].clone();
    let join = json!({"type": "join_room", "roomId": room, "after": 1, "log": log});
    assert_eq!(socket.ask(join).await.get("reset"), None);
    for log in ["", "another", &"0".repeat(32)] {
        let join = json!({"type": "join_room", "roomId": room, "after": 1, "log": log});
        let joined = socket.ask(join).await;
        assert_eq!((&joined["type"], &joined["reset"]), (&json!("joined"), &json!(true)), "{log}");
    }
    socket.join_after(room, 0).await;
    assert_eq!(texts(&socket.chats(1).await), ["one"]);
}

#[tokio::test]
async fn a_deleted_room_is_left_by_all_and_gone() {
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let (room, other) = (ann.room("General").await, ann.room("Other").await);
    let (mut a, mut b) = (ann.enter(room).await, ben.enter(room).await);
    b.join(other).await;
    a.chat_with_id(room, "last words", "c1").await;
    a.find("ack").await;
    assert_eq!(ben.api.delete(&format!("/rooms/{room}")).await.status, 403);
    assert_eq!(ann.api.delete(&format!("/rooms/{room}")).await.status, 204);
    for socket in [&mut a, &mut b] {
        let left = socket.find("left").await;
        assert_eq!(left, json!({"type": "left", "roomId": room, "reason": "deleted"}));
        let chat = json!({"type": "chat", "roomId": room, "message": "anyone?"});
        let code = socket.refused(&chat).await["code"].clone();
        assert!(code == "no_such_room" || code == "not_in_room", "{code}");
        let join = json!({"type": "join_room", "roomId": room, "after": 0});
        assert_eq!(socket.refused(&join).await["code"], "no_such_room");
    }
    b.chat(other, "still here").await;
    assert_eq!(b.expect("chat").await["message"], "still here");
}

/// A goodbye waits for the disk to have what its connection said. When the room's end was told
/// meanwhile, the goodbye was never answered.
#[tokio::test]
async fn a_goodbye_is_answered_when_the_room_ends_before_it() {
    let server = Inside::start().await;
    let ann = server.person("ann").await;
    let (room, other) = (ann.room("General").await, ann.room("Other").await);
    let mut socket = ann.enter(room).await;
    socket.join(other).await;
    server.hold();
    let api = ann.api.clone();
    let path = format!("/rooms/{room}");
    let deleted = tokio::spawn(async move { api.delete(&path).await.status });
    // The room is gone from the disk, and nobody has been told yet.
    let path = format!("/rooms/{room}");
    while ann.api.get(&path).await.status != 404 {}
    socket.feed(&json!({"type": "chat", "roomId": other, "message": "takes a commit"})).await;
    socket.feed(&json!({"type": "leave_room", "roomId": room, "ref": "bye"})).await;
    socket.feed(&json!({"type": "ping", "ref": "after"})).await;
    socket.flush().await;
    socket.find("chat").await;
    server.release_one();
    let left = json!({"type": "left", "roomId": room, "reason": "deleted"});
    assert_eq!(socket.find("left").await, left);
    server.release();
    let answer = socket.recv().await;
    assert_eq!((&answer["type"], &answer["ref"]), (&json!("error"), &json!("bye")), "{answer}");
    assert_eq!((&answer["code"], &answer["roomId"]), (&json!("not_in_room"), &json!(room)));
    assert_eq!(socket.recv().await["ref"], "after");
    assert_eq!(deleted.await.unwrap(), 204);
}
