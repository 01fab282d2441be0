//! A stop in good order: hints, acks, close codes, and coming back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::listening::seqs;
use crate::support::{Parlor, Socket};

/// Everything up to the end of the connection, and its close code.
async fn to_the_end(socket: &mut Socket) -> (Vec<Value>, Option<u16>) {
    let mut frames = Vec::new();
    while let Some(next) = socket.next_or_code().await {
        match next {
            Ok(frame) => frames.push(frame),
            Err(code) => {
                // The goodbye is answered by reading on.
                socket.close_code().await;
                return (frames, Some(code));
            }
        }
    }
    (frames, None)
}

fn of_type<'a>(frames: &'a [Value], kind: &str) -> Vec<&'a Value> {
    frames.iter().filter(|frame| frame["type"] == kind).collect()
}

#[tokio::test]
async fn each_connection_is_told_when_to_come_back_and_closed_with_1012() {
    let (server, ann, room) = Parlor::with_room().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(ann.enter(room).await);
    }
    let stopping = tokio::spawn(server.stop());
    let mut delays = BTreeSet::new();
    for socket in &mut sockets {
        let (frames, code) = to_the_end(socket).await;
        assert_eq!(code, Some(1012));
        let hints = of_type(&frames, "reconnect");
        assert_eq!(hints.len(), 1, "{frames:?}");
        delays.insert(hints[0]["afterMs"].as_u64().expect("a delay"));
    }
    assert_eq!(delays.len(), sockets.len(), "another delay for each: {delays:?}");
    stopping.await.expect("a stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_is_acknowledged_before_the_end_and_found_after_the_start() {
    let data = tempfile::tempdir().expect("a directory");
    let rates = |config: &mut parlor::config::Config| config.limits.messages_per_second = 0;
    let server = Parlor::start_at(data.path(), rates).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let (mut a, mut b) = (ann.enter(room).await, ben.enter(room).await);
    let frame = |n: usize| {
        json!({"type": "chat", "roomId": room, "message": format!("m{n}"),
            "id": format!("c{n:04}")})
    };
    for n in 0..1_000 {
        a.feed(&frame(n)).await;
    }
    a.flush().await;
    // In the middle of it all.
    b.chats_until("m99").await;
    let stopping = tokio::spawn(server.stop());
    let ((of_a, code), (of_b, _)) = tokio::join!(to_the_end(&mut a), to_the_end(&mut b));
    assert_eq!(code, Some(1012));
    stopping.await.expect("a stop");
    let ids = |kind: &str| -> BTreeMap<u64, String> {
        let frames = of_type(&of_a, kind);
        assert!(frames.iter().all(|frame| frame.get("duplicate").is_none()));
        let id = |frame: &&Value| frame["id"].as_str().expect("an id").to_owned();
        frames.iter().map(|frame| (frame["seq"].as_u64().expect("a seq"), id(frame))).collect()
    };
    let (heard, acked) = (ids("chat"), ids("ack"));
    assert!(heard.len() >= 100);
    assert_eq!(heard, acked, "each that was heard was acknowledged, and no other");

    let server = Parlor::start_at(data.path(), rates).await;
    let (ann, ben) = (ann.at(server.addr), ben.at(server.addr));
    let stored = ann.history(room).await;
    assert_eq!(seqs(&stored), heard.keys().copied().collect::<Vec<_>>());
    let cursor =
        of_type(&of_b, "chat").last().map_or(100, |chat| chat["seq"].as_u64().expect("a seq"));
    let mut b = ben.connect().await;
    b.join_after(room, cursor).await;
    // A client resends what was not acknowledged, or, to be safe, everything.
    let mut a = ann.enter(room).await;
    for n in 0..1_000 {
        a.feed(&frame(n)).await;
    }
    a.flush().await;
    for n in 0..1_000 {
        let ack = a.find("ack").await;
        let duplicate = ack["duplicate"] == true;
        let before = heard.contains_key(&ack["seq"].as_u64().expect("a seq"));
        assert_eq!(duplicate, before, "{n}: {ack}");
    }
    let missed = usize::try_from(1_000 - cursor).expect("small");
    assert_eq!(seqs(&b.chats(missed).await), (cursor + 1..=1_000).collect::<Vec<_>>());
    assert_eq!(ann.history(room).await.len(), 1_000, "each once");
    server.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_who_does_not_read() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut stalled = crate::raw::Raw::connect_narrow(&ben, Some(16 * 1024)).await;
    stalled.text(&json!({"type": "join_room", "roomId": room})).await;
    let mut a = ann.enter(room).await;
    let text = "x".repeat(16_000);
    for _ in 0..100 {
        a.chat(room, &text).await;
        a.find("chat").await;
    }
    let stopping = tokio::spawn(server.stop());
    assert_eq!(a.close_code().await, Some(1012));
    stopping.await.expect("a clean stop all the same");
}
