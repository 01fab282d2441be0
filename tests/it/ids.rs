//! Messages with an id: stored once, heard once, acknowledged each time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::listening::{seqs, texts};
use crate::support::Parlor;

fn chat(room: u64, message: &str, id: &str) -> Value {
    json!({"type": "chat", "roomId": room, "message": message, "id": id})
}

#[tokio::test]
async fn each_send_has_one_ack_and_no_other_message_has_any() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut other = ann.enter(room).await;
    let mut socket = ann.enter(room).await;
    socket.chat_with_id(room, "hi", "c1").await;
    let ack = socket.find("ack").await;
    let stored = ann.history(room).await;
    assert_eq!((stored.len(), &stored[0]["id"]), (1, &json!("c1")), "acknowledged means stored");
    let expected = json!({"type": "ack", "roomId": room, "id": "c1", "seq": 1,
        "at": stored[0]["at"]});
    assert_eq!(ack, expected);
    socket.chat(room, "without").await;
    socket.chat_with_id(room, "last", "c2").await;
    let mut acks = vec![];
    while acks.last() != Some(&json!("c2")) {
        acks.push(socket.find("ack").await["id"].clone());
    }
    assert_eq!(acks, ["c2"], "one ack for one id, none for none");
    assert!(socket.settle().await.iter().all(|frame| frame["type"] != "ack"));
    other.chats_until("last").await;
    assert!(other.settle().await.iter().all(|frame| frame["type"] != "ack"), "the sender alone");
}

#[tokio::test]
async fn an_id_said_again_is_a_duplicate_and_with_another_text_a_conflict() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    socket.chat_with_id(room, "hi", "c1").await;
    let first = socket.find("ack").await;
    for _ in 0..3 {
        socket.chat_with_id(room, "hi", "c1").await;
        let mut expected = first.clone();
        expected["duplicate"] = json!(true);
        assert_eq!(socket.find("ack").await, expected);
    }
    let error = socket.refused(&chat(room, "hi!", "c1")).await;
    assert_eq!((&error["code"], &error["retryable"]), (&json!("id_conflict"), &json!(false)));
    assert_eq!((&error["roomId"], &error["id"]), (&json!(room), &json!("c1")));
    let path = format!("/rooms/{room}/messages");
    let again = ann.api.post(&path, &json!({"message": "hi", "id": "c1"})).await;
    assert_eq!(again.status, 200);
    assert_eq!((&again.json["seq"], &again.json["duplicate"]), (&json!(1), &json!(true)));
    socket.chat(room, "end").await;
    assert_eq!(texts(&socket.chats(1).await), ["end"], "none of these was heard");
    assert_eq!(texts(&ann.history(room).await), ["hi", "end"]);
}

#[tokio::test]
async fn an_id_belongs_to_one_user_and_one_room() {
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let (one, two) = (ann.room("One").await, ann.room("Two").await);
    let (mut a, mut b) = (ann.enter(one).await, ben.enter(one).await);
    a.join(two).await;
    a.chat_with_id(one, "ann in one", "c1").await;
    a.find("ack").await;
    a.chat_with_id(two, "ann in two", "c1").await;
    let ack = a.find("ack").await;
    assert_eq!((&ack["roomId"], &ack["seq"]), (&json!(two), &json!(1)));
    assert_eq!(ack.get("duplicate"), None);
    b.chat_with_id(one, "ben in one", "c1").await;
    let ack = b.find("ack").await;
    assert_eq!((&ack["seq"], ack.get("duplicate")), (&json!(2), None));
    assert_eq!(texts(&ann.history(one).await), ["ann in one", "ben in one"]);
}

#[tokio::test]
async fn ids_are_told_apart_to_the_last_byte() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    let (long, longer) = ("i".repeat(63), "i".repeat(64));
    let ids = ["a", "A", "a ", " ", "\u{e9}", "e\u{301}", "1", "01", &long, &longer];
    for id in ids {
        socket.chat_with_id(room, "same text", id).await;
        let ack = socket.find("ack").await;
        assert_eq!((&ack["id"], ack.get("duplicate")), (&json!(id), None), "{id:?}");
    }
    assert_eq!(ann.history(room).await.len(), ids.len());
}

#[tokio::test]
async fn ids_outlive_a_restart() {
    let (server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    socket.chat_with_id(room, "hi", "c1").await;
    let ack = socket.find("ack").await;
    let server = server.restart().await;
    let ann = ann.at(server.addr);
    let mut socket = ann.enter(room).await;
    socket.chat_with_id(room, "hi", "c1").await;
    let again = socket.find("ack").await;
    assert_eq!((&again["seq"], &again["at"]), (&ack["seq"], &ack["at"]));
    assert_eq!(again["duplicate"], true);
    assert_eq!(socket.refused(&chat(room, "ho", "c1")).await["code"], "id_conflict");
    socket.chat(room, "next").await;
    assert_eq!(socket.expect("chat").await["seq"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_resend_the_same_ids_at_once_store_each_once() {
    const IDS: usize = 50;
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut listener = ben.enter(room).await;
    let mut senders = Vec::new();
    for _ in 0..6 {
        let mut socket = ann.enter(room).await;
        senders.push(tokio::spawn(async move {
            for n in 0..IDS {
                socket.feed(&chat(room, &format!("m{n}"), &format!("c{n:02}"))).await;
            }
            socket.flush().await;
            let mut acks = Vec::new();
            while acks.len() < IDS {
                acks.push(socket.find("ack").await);
            }
            let later = socket.settle().await;
            assert!(later.iter().all(|frame| frame["type"] != "ack"), "one ack a send");
            acks
        }));
    }
    let posting = ann.clone();
    senders.push(tokio::spawn(async move {
        let path = format!("/rooms/{room}/messages");
        let mut acks = Vec::new();
        for n in 0..IDS {
            let body = json!({"message": format!("m{n}"), "id": format!("c{n:02}")});
            let answer = posting.api.post(&path, &body).await;
            let duplicate = answer.json["duplicate"] == true;
            assert_eq!(answer.status, if duplicate { 200 } else { 201 });
            acks.push(answer.json);
        }
        acks
    }));
    let mut by_id: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for sender in senders {
        for ack in sender.await.expect("a sender") {
            by_id.entry(ack["id"].as_str().expect("an id").to_owned()).or_default().push(ack);
        }
    }
    assert_eq!(by_id.len(), IDS);
    for (id, acks) in &by_id {
        assert_eq!(acks.len(), 7, "{id}");
        let first = acks.iter().filter(|ack| ack.get("duplicate").is_none()).count();
        assert_eq!(first, 1, "stored once: {acks:?}");
        let same = |ack: &Value| ack["seq"] == acks[0]["seq"] && ack["at"] == acks[0]["at"];
        assert!(acks.iter().all(same), "{acks:?}");
    }
    ben.say(room, "end").await;
    let heard = listener.chats_until("end").await;
    assert_eq!(seqs(&heard), (1..=IDS as u64 + 1).collect::<Vec<_>>(), "each heard once");
    assert_eq!(texts(&heard), texts(&ann.history(room).await));
}

#[tokio::test]
async fn who_sends_far_more_than_the_window_without_reading_gets_every_ack() {
    const SENT: usize = 2_000;
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    for n in 0..SENT {
        socket.feed(&chat(room, &format!("m{n}"), &format!("c{n:04}"))).await;
    }
    socket.flush().await;
    let (mut acks, mut chats) = (Vec::new(), Vec::new());
    while acks.len() < SENT || chats.len() < SENT {
        let frame = socket.recv().await;
        match frame["type"].as_str() {
            Some("ack") => acks.push(frame),
            Some("chat") => chats.push(frame),
            _ => assert_eq!(frame["type"], "presence", "{frame}"),
        }
    }
    assert_eq!(seqs(&chats), (1..=SENT as u64).collect::<Vec<_>>());
    for (ack, chat) in acks.iter().zip(&chats) {
        assert_eq!((&ack["id"], &ack["seq"]), (&chat["id"], &chat["seq"]));
        assert_eq!((&ack["at"], ack.get("duplicate")), (&chat["at"], None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_sends_one_message_at_once_is_answered_to_the_last() {
    let (server, ann, room) = Parlor::with_room().await;
    let tries = (0..300).map(|_| {
        let api = ann.api.clone();
        let path = format!("/rooms/{room}/messages");
        tokio::spawn(async move { api.post(&path, &json!({"message": "once", "id": "c1"})).await })
    });
    let mut stored = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status {
            201 => stored += 1,
            200 => assert_eq!(answer.json["duplicate"], true),
            other => panic!("{other}: {}", answer.json),
        }
        assert_eq!(answer.json["seq"], 1);
    }
    assert_eq!((stored, ann.history(room).await.len()), (1, 1));
    server.stop().await;
}
