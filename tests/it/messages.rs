//! Saying and hearing.

use serde_json::json;

use crate::listening::{seqs, texts};
use crate::raw::{PONG, Raw, TEXT};
use crate::support::Parlor;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_hears_everything_in_one_order() {
    const EACH: usize = 100;
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut members = Vec::new();
    for (name, person) in [("a", &ann), ("b", &ben), ("c", &ann), ("d", &ben)] {
        members.push((name, person.enter(room).await));
    }
    let posting = {
        let ann = ann.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                ann.say(room, &format!("http{n}")).await;
            }
        })
    };
    let all = 4 * EACH + 20;
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, mut socket)| {
            tokio::spawn(async move {
                socket.say_many(room, name, EACH).await;
                socket.chats(all).await
            })
        })
        .collect();
    posting.await.expect("posts");
    let stored = ann.history(room).await;
    let mut orders = Vec::new();
    for member in members {
        orders.push(member.await.expect("a member"));
    }
    let stored = if stored.len() == all { stored } else { ann.history(room).await };
    assert_eq!(seqs(&stored), (1..=all as u64).collect::<Vec<_>>());
    for order in &orders {
        assert_eq!(texts(order), texts(&stored));
        assert_eq!(order, &orders[0], "every field is the same for everyone");
    }
    for name in ["a", "b", "c", "d", "http"] {
        let count = if name == "http" { 20 } else { EACH };
        let own: Vec<_> =
            texts(&stored).into_iter().filter(|text| text.starts_with(name)).collect();
        let sent: Vec<_> = (0..count).map(|n| format!("{name}{n}")).collect();
        assert_eq!(own, sent, "each sender's messages keep their order");
    }
    let at: Vec<_> = stored.iter().map(|message| message["at"].as_u64()).collect();
    assert!(at.is_sorted(), "time does not go back within a room");
}

#[tokio::test]
async fn what_is_posted_over_http_is_heard_live() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut socket = ann.enter(room).await;
    let path = format!("/rooms/{room}/messages");
    let posted = ben.api.post(&path, &json!({"message": "from afar", "id": "h1"})).await;
    assert_eq!(posted.status, 201);
    let heard = socket.expect("chat").await;
    let expected = json!({"type": "chat", "roomId": room, "seq": posted.json["seq"],
        "userId": ben.user_id, "username": "ben", "message": "from afar",
        "at": posted.json["at"], "id": "h1"});
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn the_rooms_of_one_connection_do_not_mix() {
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let rooms = [ann.room("One").await, ann.room("Two").await, ann.room("Three").await];
    let (mut a, mut b) = (ann.connect().await, ben.connect().await);
    for room in rooms {
        a.join(room).await;
    }
    b.join(rooms[0]).await;
    for n in 0..50 {
        for room in rooms {
            let message = format!("{room}-{n}");
            a.feed(&json!({"type": "chat", "roomId": room, "message": message})).await;
        }
    }
    a.flush().await;
    let heard = a.chats(150).await;
    for room in rooms {
        let own: Vec<_> = heard.iter().filter(|chat| chat["roomId"] == room).cloned().collect();
        assert_eq!(seqs(&own), (1..=50).collect::<Vec<_>>(), "each room counts for itself");
        let sent: Vec<_> = (0..50).map(|n| format!("{room}-{n}")).collect();
        assert_eq!(texts(&own), sent);
    }
    let heard = b.chats(50).await;
    assert!(heard.iter().all(|chat| chat["roomId"] == rooms[0]), "only what was joined");
    let later = b.settle().await;
    assert!(later.iter().all(|frame| frame["roomId"] == rooms[0]), "{later:?}");
}

#[tokio::test]
async fn text_is_kept_byte_for_byte() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    let said = [
        " \n\ttrimmed? \n",
        "e\u{301} is not \u{e9}",
        "\u{202e}backwards",
        "\u{feff}\u{0}".trim_end_matches('\u{0}'),
        "\u{1f469}\u{200d}\u{1f680}",
        "\"quoted\" \\ and </script>",
        "\u{80}\u{85}\u{2028}\u{10ffff}",
    ];
    for text in said {
        socket.chat(room, text).await;
        assert_eq!(socket.expect("chat").await["message"], text);
    }
    let largest = "\u{20ac}".repeat(16_384 / 3) + "x";
    assert_eq!(largest.len(), 16_384);
    socket.chat(room, &largest).await;
    assert_eq!(socket.expect("chat").await["message"], largest.as_str());
    let escaped = r#"{"type":"chat","roomId":1,"message":"\ud83d\ude00\u0041\n\/"}"#;
    socket.send_text(escaped).await;
    assert_eq!(socket.expect("chat").await["message"], "\u{1f600}A\n/");
    let stored = ann.history(room).await;
    let mut expected = said.to_vec();
    expected.extend([largest.as_str(), "\u{1f600}A\n/"]);
    assert_eq!(texts(&stored), expected);
}

#[tokio::test]
async fn a_message_in_fragments_is_one_message() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut raw = Raw::enter(&ann, room).await;
    let text = json!({"type": "chat", "roomId": room, "message": "gr\u{fc}\u{df}e"}).to_string();
    let bytes = text.as_bytes();
    // A character of two bytes is cut in the middle, and a ping comes in between.
    let cut = text.find('\u{fc}').expect("there") + 1;
    raw.frame(TEXT & 0x7F, &bytes[..cut]).await;
    raw.frame(0x89, b"meanwhile").await;
    let pong = loop {
        let frame = raw.recv().await.expect("a frame");
        if frame.first != TEXT {
            break frame;
        }
    };
    assert_eq!((pong.first, pong.payload.as_slice()), (PONG, b"meanwhile".as_slice()));
    raw.frame(0x00, b"").await;
    for byte in &bytes[cut..] {
        raw.frame(0x00, &[*byte]).await;
    }
    raw.frame(0x80, b"").await;
    assert_eq!(raw.find("chat").await["message"], "gr\u{fc}\u{df}e");
}

#[tokio::test]
async fn frames_that_come_byte_by_byte_or_all_at_once_are_the_same() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut raw = Raw::connect(&ann).await;
    let frames = [
        json!({"type": "join_room", "roomId": room}),
        json!({"type": "chat", "roomId": room, "message": "one"}),
        json!({"type": "chat", "roomId": room, "message": "two"}),
        json!({"type": "ping", "ref": "end"}),
    ];
    let frames = frames.map(|frame| crate::raw::masked(TEXT, frame.to_string().as_bytes()));
    let bytes = frames.concat();
    raw.write(&bytes).await;
    raw.find("pong").await;
    for byte in &bytes {
        raw.write(&[*byte]).await;
    }
    raw.find("pong").await;
    assert_eq!(texts(&ann.history(room).await), ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn frames_sent_with_the_handshake_are_not_lost() {
    let (server, ann, room) = Parlor::with_room().await;
    let mut raw = Raw::connect(&ann).await;
    raw.text(&json!({"type": "ping", "ref": "r"})).await;
    assert_eq!(raw.find("pong").await["ref"], "r");
    let early = [
        crate::raw::masked(TEXT, br#"{"type":"join_room","roomId":1}"#),
        crate::raw::masked(TEXT, br#"{"type":"chat","roomId":1,"message":"early"}"#),
    ];
    let path = format!("/ws?token={}", ann.token);
    let mut raw = Raw::open_with(server.addr, &path, "", None, &early.concat()).await;
    assert_eq!(raw.find("chat").await["message"], "early");
    assert_eq!(ann.history(room).await.len(), 1);
}
