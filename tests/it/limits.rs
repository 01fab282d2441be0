//! How much one person may say.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Parlor;

#[tokio::test]
async fn a_burst_is_taken_and_then_a_rate() {
    const BURST: u64 = 5;
    let server = Parlor::start_with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.message_burst = 5;
    })
    .await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    // Making a room counts as well, so it is a third person's.
    let room = server.person("host").await.room("General").await;
    let (mut a, mut second, mut b) =
        (ann.enter(room).await, ann.enter(room).await, ben.enter(room).await);
    let began = Instant::now();
    let (mut taken, mut last) = (0, json!(null));
    for n in 0..20 {
        let id = format!("c{n:02}");
        a.chat_with_id(room, "hi", &id).await;
        let answer = a.find_any(&["ack", "error"]).await;
        assert_eq!((&answer["roomId"], &answer["id"]), (&json!(room), &json!(id)));
        if answer["type"] == "ack" {
            taken += 1;
            continue;
        }
        assert_eq!(answer["code"], "rate_limited", "{answer}");
        assert_eq!(answer["retryable"], true);
        last = answer["retryAfterMs"].clone();
        assert!((1..=1_001).contains(&last.as_u64().expect("a time")), "{answer}");
    }
    let most = BURST + 1 + began.elapsed().as_secs();
    assert!((BURST..=most).contains(&taken), "{taken} taken within {:?}", began.elapsed());
    if began.elapsed() < Duration::from_secs(1) {
        second.chat(room, "another connection").await;
        assert_eq!(second.find("error").await["code"], "rate_limited", "it is the person's");
    }
    b.chat_with_id(room, "another person", "c1").await;
    b.find("ack").await;
    // As long as the server said, counted from its answer.
    tokio::time::sleep(Duration::from_millis(last.as_u64().unwrap_or(0))).await;
    a.chat_with_id(room, "after waiting", "again").await;
    assert_eq!(a.find_any(&["ack", "error"]).await["type"], "ack");
    let stored = ann.history(room).await;
    let of_ann = stored.iter().filter(|message| message["userId"] == ann.user_id).count();
    assert_eq!(of_ann as u64, taken + 1, "what was refused was not stored");
}

#[tokio::test]
async fn the_rate_covers_http_and_sockets_together() {
    let server = Parlor::start_with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.message_burst = 1;
    })
    .await;
    let ann = server.person("ann").await;
    let room = server.person("host").await.room("General").await;
    let mut socket = ann.enter(room).await;
    loop {
        let began = Instant::now();
        let path = format!("/rooms/{room}/messages");
        let posted = ann.api.post(&path, &json!({"message": "over HTTP"})).await;
        socket.chat(room, "over the socket").await;
        let answer = loop {
            let answer = socket.find_any(&["chat", "error"]).await;
            if answer["message"] != "over HTTP" {
                break answer;
            }
        };
        // On a machine so slow that a second went by, try again.
        if posted.status == 201 && began.elapsed() < Duration::from_secs(1) {
            assert_eq!(answer["code"], "rate_limited", "{answer}");
            return;
        }
    }
}
