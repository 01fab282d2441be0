//! Goodbyes, and pings from the client.

use serde_json::json;

use crate::raw::{CLOSE, Frame, PING, PONG, Raw};
use crate::support::Parlor;

#[tokio::test]
async fn a_goodbye_is_answered_and_the_stream_ends() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    for payload in [b"\x03\xe8".as_slice(), b"\x03\xe9going away", b"\x0f\xa0ours", b""] {
        let mut raw = Raw::connect(&ann).await;
        raw.frame(CLOSE, payload).await;
        let answer = raw.recv().await.expect("an answer");
        assert_eq!(answer.first, CLOSE, "{payload:?}");
        assert_eq!(answer.payload.get(..2), payload.get(..2), "{payload:?}");
        assert_eq!(raw.recv().await, None);
    }
}

#[tokio::test]
async fn nothing_is_acted_upon_behind_a_goodbye() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut raw = Raw::enter(&ann, room).await;
    raw.frame(CLOSE, b"\x03\xe8").await;
    let chat = json!({"type": "chat", "roomId": room, "message": "behind"}).to_string();
    raw.write_in_vain(&crate::raw::masked(crate::raw::TEXT, chat.as_bytes())).await;
    while raw.recv().await.is_some() {}
    assert!(ann.history(room).await.is_empty());
}

#[tokio::test]
async fn who_leaves_without_a_word_loses_nothing_it_said() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut b = ben.enter(room).await;
    let mut raw = Raw::enter(&ann, room).await;
    raw.text(&json!({"type": "chat", "roomId": room, "message": "last words"})).await;
    drop(raw);
    assert_eq!(b.find("chat").await["message"], "last words");
    assert_eq!(ann.history(room).await.len(), 1);
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let mut raw = Raw::connect(&ann).await;
    for payload in [b"".as_slice(), b"payload", &[0xff; 125]] {
        raw.frame(PING, payload).await;
        let expected = Frame { first: PONG, payload: payload.to_vec() };
        assert_eq!(raw.recv().await, Some(expected));
    }
    raw.frame(PONG, b"unasked").await;
    raw.text(&json!({"type": "ping"})).await;
    assert_eq!(raw.recv_json().await, json!({"type": "pong"}), "an unasked pong is no fault");
}
