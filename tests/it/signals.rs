//! A stop in good order, by either signal, also in the middle of a conversation.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::process::{Signal, UNHURRIED, start};
use crate::support::{Person, Socket, within};

#[tokio::test]
async fn a_signal_stops_it_cleanly_and_nothing_jumps() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &UNHURRIED);
    let mut ann = Person::sign_up(program.addr().await, "ann").await;
    let room = ann.room("General").await;
    let mut said = 0;
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        for _ in 0..3 {
            said += 1;
            assert_eq!(ann.say(room, "hello").await, said);
        }
        let mut socket = ann.enter(room).await;
        program.signal(signal);
        assert_eq!(socket.close_code().await, Some(1012));
        drop(socket);
        program.ended().await.succeeded();
        program = start(place.path(), &[], &UNHURRIED);
        ann = Person::sign_in(program.addr().await, "ann").await;
    }
    let seqs: Vec<_> = ann.history(room).await.iter().map(|m| m["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=said).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_under_load_keeps_what_was_acknowledged_and_leaves_no_gap() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &UNHURRIED);
    let ann = Person::sign_up(program.addr().await, "ann").await;
    let room = ann.room("General").await;
    let mut socket = ann.enter(room).await;
    let listener = ann.enter(room).await;
    for number in 0..500 {
        let id = format!("c{number:04}");
        let frame = json!({"type": "chat", "roomId": room, "message": id, "id": id});
        socket.feed(&frame).await;
    }
    socket.flush().await;
    // By now it is in the middle of it.
    socket.find("ack").await;
    program.signal(Signal::TERM);
    let acked = rest(socket, "ack").await;
    let heard = rest(listener, "chat").await;
    program.ended().await.succeeded();

    let mut program = start(place.path(), &[], &UNHURRIED);
    let ann = Person::sign_in(program.addr().await, "ann").await;
    let stored: BTreeMap<u64, String> = ann
        .history(room)
        .await
        .iter()
        .map(|m| (m["seq"].as_u64().unwrap(), m["id"].as_str().unwrap().to_owned()))
        .collect();
    let count = u64::try_from(stored.len()).unwrap();
    assert!(stored.keys().copied().eq(1..=count), "no gap, none twice");
    for (seq, id) in acked.iter().chain(&heard) {
        assert_eq!(stored.get(seq), Some(id));
    }
    assert_eq!(ann.say(room, "after").await, count + 1, "no jump");
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_anybody() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &UNHURRIED);
    let mut slow = TcpStream::connect(program.addr().await).await.unwrap();
    let head = "POST /api/v1/signup HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
        content-length: 100\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The request is under way once its body is asked for; and then the body does not come.
    let mut answer = [0; 12];
    within("100 Continue", slow.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    program.signal(Signal::INT);
    program.logged("stopping").await;
    program.signal(Signal::TERM);
    assert_eq!(program.ended().await.code, Some(128 + 15));
}

/// Reads to the end; gives seq and id of the frames of one type.
async fn rest(mut socket: Socket, kind: &str) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let read = async {
        while let Some(Ok(message)) = socket.stream().next().await {
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == kind {
                let id = frame["id"].as_str().unwrap().to_owned();
                found.push((frame["seq"].as_u64().unwrap(), id));
            }
        }
    };
    within("the end", read).await;
    found
}
