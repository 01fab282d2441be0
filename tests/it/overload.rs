//! A disk that does not keep up: what does not fit into the writer's queue is refused without any
//! effect, and no connection can fill the queue alone.

use std::sync::Arc;

use parlor::domain::{Identity, Limits};
use parlor::hub::Room;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bare::Bare;
use crate::raw::Raw;
use crate::support::within;

const QUEUE: u64 = 8;
const WINDOW: u64 = 3;

/// A server whose writer can be held, and a room in it.
struct Held {
    _directory: TempDir,
    bare: Bare,
    ann: Identity,
    token: String,
    room: Arc<Room>,
}

impl Held {
    async fn new() -> Self {
        Self::with_heartbeat(Limits::default().heartbeat_seconds).await
    }

    async fn with_heartbeat(heartbeat_seconds: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            writer_queue_messages: usize::try_from(QUEUE).unwrap(),
            unacknowledged: usize::try_from(WINDOW).unwrap(),
            messages_per_second: 0,
            heartbeat_seconds,
            ..Limits::default()
        };
        let bare = Bare::start(directory.path(), &limits);
        let (ann, token) = bare.sign_up("ann").await;
        let room = bare.room(&ann, "General").await;
        Self { _directory: directory, bare, ann, token, room }
    }

    /// Says one message that the writer has taken and committed when this returns: it waits behind
    /// the commit, and its queue is empty.
    async fn occupy(&self) {
        Bare::say(&self.room, &self.ann, "taken").await;
        let seq = self.room.head();
        within("the commit", async {
            while self.view().await.head < seq {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn view(&self) -> parlor::app::RoomView {
        self.bare.app.room(parlor::domain::RoomRef::Id(self.room.id())).await.unwrap()
    }

    async fn published(&self, seq: u64) {
        within("a message", async {
            while self.room.head() < seq {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn enter(&self) -> Raw {
        let mut raw = Raw::over(self.bare.socket(&self.token).await).await;
        raw.text(&json!({"type": "join_room", "roomId": 1})).await;
        raw.find("joined").await;
        raw
    }

    fn post(&self, message: &str) -> String {
        let body = json!({"message": message}).to_string();
        format!(
            "POST /api/v1/rooms/1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
    }
}

fn chat(message: &str, id: Option<&str>) -> Value {
    let mut chat = json!({"type": "chat", "roomId": 1, "message": message});
    if let Some(id) = id {
        chat["id"] = json!(id);
    }
    chat
}

/// Head and body of the next answer.
async fn answer(tcp: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    within("an answer", async {
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(tcp.read_u8().await.unwrap());
        }
    })
    .await;
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    within("a body", tcp.read_exact(&mut body)).await.unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_without_any_effect_until_there_is_room() {
    let held = Held::new().await;
    let (mut listener, mut late) = (held.enter().await, held.enter().await);
    let mut http = held.bare.http().await;
    held.bare.hold_writer();
    held.occupy().await;
    for n in 1..=QUEUE {
        Bare::say(&held.room, &held.ann, &format!("queued {n}")).await;
    }
    for id in [Some("c1"), None] {
        late.text(&chat("refused", id)).await;
        let error = late.find("error").await;
        assert_eq!((&error["code"], &error["id"]), (&json!("overloaded"), &json!(id)), "{error}");
        assert_eq!(error["retryable"], true);
        assert!(error["retryAfterMs"].as_u64().unwrap() > 0, "{error}");
    }
    http.write_all(held.post("refused").as_bytes()).await.unwrap();
    let (top, problem) = answer(&mut http).await;
    assert!(top.starts_with("http/1.1 503 ") && top.contains("\r\nretry-after: 1\r\n"), "{top}");
    assert_eq!(problem["code"], "overloaded");
    assert_eq!(held.room.head(), 1 + QUEUE, "no seq was given");

    held.bare.release_writer();
    held.room.durable(1 + QUEUE).await;
    late.text(&chat("again", Some("c1"))).await;
    assert_eq!(late.find("ack").await["seq"], QUEUE + 2);
    http.write_all(held.post("over HTTP").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut http).await.1["seq"], QUEUE + 3);
    let mut expected = vec!["taken".to_owned()];
    expected.extend((1..=QUEUE).map(|n| format!("queued {n}")));
    expected.extend(["again".to_owned(), "over HTTP".to_owned()]);
    for (seq, message) in (1..).zip(expected) {
        let chat = listener.find("chat").await;
        assert_eq!((&chat["seq"], &chat["message"]), (&json!(seq), &json!(message)));
    }
    assert_eq!(held.view().await.count, QUEUE + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_socket_fills_the_queue_alone() {
    for ids in [false, true] {
        let held = Held::new().await;
        let (mut greedy, mut other) = (held.enter().await, held.enter().await);
        held.bare.hold_writer();
        held.occupy().await;
        for n in 1..=4 * QUEUE {
            let id = format!("c{n:02}");
            greedy.text(&chat("me", ids.then_some(&id))).await;
        }
        held.published(1 + WINDOW).await;
        other.text(&chat("me too", None)).await;
        held.published(2 + WINDOW).await;
        for _ in 0..20 {
            other.text(&json!({"type": "ping"})).await;
            other.find("pong").await;
        }
        assert_eq!(held.room.head(), 2 + WINDOW, "it is not read from any more");
        held.bare.release_writer();
        held.published(2 + 4 * QUEUE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_http_connection_fills_the_queue_alone() {
    let held = Held::new().await;
    let (mut greedy, mut other) = (held.bare.http().await, held.enter().await);
    held.bare.hold_writer();
    held.occupy().await;
    for _ in 1..=2 * QUEUE {
        greedy.write_all(held.post("me").as_bytes()).await.unwrap();
    }
    held.published(2).await;
    for _ in 0..20 {
        other.text(&json!({"type": "ping"})).await;
        other.find("pong").await;
    }
    assert_eq!(held.room.head(), 2, "the next is read when this one is answered");
    held.bare.release_writer();
    for n in 1..=2 * QUEUE {
        assert_eq!(answer(&mut greedy).await.1["seq"], 1 + n);
    }
}

/// While its window is full a connection is not read from: its silence is the server's doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_read_convicts_nobody() {
    let held = Held::with_heartbeat(1).await;
    let mut waiting = held.enter().await;
    held.bare.hold_writer();
    held.occupy().await;
    for n in 1..=2 * WINDOW {
        waiting.text(&chat("hello", Some(&format!("c{n}")))).await;
    }
    held.published(1 + WINDOW).await;
    // In the time in which two others are given up on, who has come after it and was read from.
    for _ in 0..2 {
        let mut silent = held.enter().await;
        assert_eq!(silent.last_code_of_broken_stream().await, Some(4408));
    }
    held.bare.release_writer();
    for n in 1..=2 * WINDOW {
        assert_eq!(waiting.find("ack").await["id"], format!("c{n}"));
    }
}
