//! Heartbeats: who is silent is asked, who does not answer is given up on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::raw::{CLOSE, PING, PONG, Raw};
use crate::support::{Parlor, Person};

async fn with_a_heartbeat_of_a_second() -> (Parlor, Person) {
    let server = Parlor::start_with(|config| config.limits.heartbeat_seconds = 1).await;
    let ann = server.person("ann").await;
    (server, ann)
}

#[tokio::test]
async fn who_never_answers_is_asked_once_and_then_closed_with_4408() {
    let (_server, ann) = with_a_heartbeat_of_a_second().await;
    let began = Instant::now();
    let mut raw = Raw::connect(&ann).await;
    let ping = raw.recv().await.expect("a frame");
    assert_eq!(ping.first, PING);
    assert!(began.elapsed() >= Duration::from_millis(900), "only when it is silent");
    let close = raw.recv().await.expect("a frame");
    assert_eq!(close.first, CLOSE, "{close:?}");
    assert_eq!(close.payload.first_chunk(), Some(&4408_u16.to_be_bytes()));
    assert!(began.elapsed() >= Duration::from_millis(2_900), "after two more heartbeats");
    assert_eq!(raw.recv().await, None);
}

#[tokio::test]
async fn who_answers_stays() {
    let (_server, ann) = with_a_heartbeat_of_a_second().await;
    let mut raw = Raw::connect(&ann).await;
    // Longer than the silence that is borne.
    for _ in 0..4 {
        let ping = raw.recv().await.expect("a frame");
        assert_eq!(ping.first, PING, "{ping:?}");
        raw.frame(PONG, &ping.payload).await;
    }
    raw.text(&json!({"type": "ping"})).await;
    assert_eq!(raw.find("pong").await, json!({"type": "pong"}));
}

#[tokio::test]
async fn any_byte_is_life() {
    let (_server, ann) = with_a_heartbeat_of_a_second().await;
    let mut raw = Raw::connect(&ann).await;
    // The rest of one frame, a byte for each ping, and none of the pings is answered.
    let frame = crate::raw::masked(crate::raw::TEXT, br#"{"type":"ping"}"#);
    let (slow, rest) = frame.split_at(4);
    for byte in slow {
        let ping = raw.recv().await.expect("a frame");
        assert_eq!(ping.first, PING, "{ping:?}");
        raw.write(&[*byte]).await;
    }
    raw.write(rest).await;
    assert_eq!(raw.find("pong").await, json!({"type": "pong"}));
}

#[tokio::test]
async fn the_heartbeat_is_told_in_hello() {
    let (server, ann) = with_a_heartbeat_of_a_second().await;
    let path = format!("/ws?token={}", ann.token);
    let hello = Raw::open(server.addr, &path, "", None).await.recv_json().await;
    assert_eq!(hello["heartbeatMs"], 1_000);
}
