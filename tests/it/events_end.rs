//! How streams of events end, and what becomes of those who come back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::event_source::{Block, EventSource};
use crate::support::{Api, PASSWORD, Parlor, Person, Socket, within};

/// The promised second, and what a busy machine may add to it.
const SOON: Duration = Duration::from_secs(1 + 4);

/// A stream behind its `joined`.
async fn listen(person: &Person, room: u64) -> EventSource {
    let mut stream = EventSource::open(person, room, "").await;
    stream.joined().await;
    stream
}

async fn status(person: &Person, room: u64) -> u16 {
    EventSource::resume(person, room, 0).await.err().unwrap_or(200)
}

async fn has_place(person: &Person, room: u64) {
    while status(person, room).await == 503 {}
}

async fn ends_soon(stream: &mut EventSource) {
    let since = Instant::now();
    assert_eq!(stream.rest().await, []);
    assert!(since.elapsed() < SOON, "ended only after {:?}", since.elapsed());
}

#[tokio::test]
async fn signing_out_ends_the_sessions_own_streams() {
    let server = Parlor::start().await;
    let (ann, other) = (server.person("ann").await, Person::sign_in(server.addr, "ann").await);
    let room = ann.room("General").await;
    let (mut one, mut two) = (listen(&ann, room).await, listen(&ann, room).await);
    let mut kept = listen(&other, room).await;
    assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
    ends_soon(&mut one).await;
    ends_soon(&mut two).await;
    assert_eq!(status(&ann, room).await, 401);
    other.say(room, "still here").await;
    assert_eq!(kept.chats(1).await[0]["message"], "still here");
}

#[tokio::test]
async fn a_new_password_and_the_end_of_the_account_end_streams() {
    let server = Parlor::start().await;
    let (ann, other) = (server.person("ann").await, Person::sign_in(server.addr, "ann").await);
    let room = ann.room("General").await;
    let (mut kept, mut ended) = (listen(&ann, room).await, listen(&other, room).await);
    let body = json!({"currentPassword": PASSWORD, "newPassword": "another password"});
    assert_eq!(ann.api.post("/me/password", &body).await.status, 204);
    ends_soon(&mut ended).await;
    assert_eq!(status(&other, room).await, 401);
    ann.say(room, "kept").await;
    assert_eq!(kept.chats(1).await[0]["message"], "kept");
    let request = ann.api.request("DELETE", "/me").json(&json!({"password": "another password"}));
    assert_eq!(Api::send(request).await.status, 204);
    ends_soon(&mut kept).await;
    assert_eq!(status(&ann, room).await, 401);
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_does_not_come_back() {
    let server = Parlor::start_with(|config| config.auth.token_ttl = Duration::from_secs(3)).await;
    let ann = server.person("ann").await;
    let room = ann.room("General").await;
    let mut stream = listen(&ann, room).await;
    assert_eq!(stream.rest().await, []);
    assert_eq!(status(&ann, room).await, 401);
}

#[tokio::test]
async fn a_deleted_room_says_so_and_is_not_there_for_who_comes_back() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut stream = listen(&ann, room).await;
    ann.say(room, "last").await;
    assert_eq!(ann.api.delete(&format!("/rooms/{room}")).await.status, 204);
    assert_eq!(stream.chats(1).await[0]["message"], "last");
    let data = json!({"type": "left", "roomId": room, "reason": "deleted"});
    assert_eq!(stream.rest().await, [Block::Event { name: "left".to_owned(), id: None, data }]);
    assert_eq!(status(&ann, room).await, 404);
}

#[tokio::test]
async fn streams_are_connections_of_their_user() {
    let server = Parlor::start_with(|config| config.limits.connections_per_user = 2).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut oldest = listen(&ann, room).await;
    let mut bens = listen(&ben, room).await;
    let mut socket = ann.enter(room).await;
    assert_eq!(status(&ann, 77).await, 404, "which costs nobody a place");
    socket.settle().await;
    let mut newest = listen(&ann, room).await;
    let rest = oldest.rest().await;
    let [Block::Retry(after)] = rest[..] else { panic!("{rest:?}") };
    assert!((500..=5_000).contains(&after), "{after}");
    let mut last = listen(&ann, room).await;
    assert_eq!(socket.close_code().await, Some(4409));
    ben.say(room, "all others").await;
    for stream in [&mut bens, &mut newest, &mut last] {
        assert_eq!(stream.chats(1).await[0]["message"], "all others");
    }
}

/// A stream of `person` that reads nothing, once there is a place for it; more is said in the room
/// than the kernel holds.
async fn stalled(person: &Person, room: u64) -> EventSource {
    let narrow = Some(16 * 1024);
    loop {
        match EventSource::open_with(person, room, "?after=0", "", narrow).await {
            Ok(stream) => return stream,
            Err(status) => assert_eq!(status, 503),
        }
    }
}

async fn say_much(person: &Person, room: u64) {
    let text = "x".repeat(16_000);
    for _ in 0..100 {
        person.say(room, &text).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_stream_gives_its_place_back() {
    let server = Parlor::start_with(|config| config.limits.connections = 1).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let stream = listen(&ann, room).await;
    assert_eq!(status(&ben, room).await, 503);
    let path = format!("/ws?token={}", ben.token);
    assert_eq!(Socket::open(server.addr, &path).await.close_code().await, Some(1013));
    drop(stream);
    // The server sees the end as soon as it can.
    within("a place", has_place(&ben, room)).await;
    // Also of one that takes nothing, once it is signed out; the limit for that is two minutes.
    say_much(&ann, room).await;
    let _stalled = within("a place", stalled(&ann, room)).await;
    assert_eq!(status(&ben, room).await, 503);
    assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
    within("a place", has_place(&ben, room)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_stop_streams_are_told_when_to_come_back() {
    let data = tempfile::tempdir().expect("a directory");
    let rates = |config: &mut parlor::config::Config| config.limits.messages_per_second = 0;
    let server = Parlor::start_at(data.path(), rates).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(listen(&ann, room).await);
    }
    let quiet = ann.room("Quiet").await;
    let mut idle = listen(&ann, quiet).await;
    say_much(&ann, room).await;
    let _stalled = stalled(&ben, room).await;
    for stream in &mut streams {
        assert_eq!(stream.chats(100).await.len(), 100);
    }
    let stopping = tokio::spawn(server.stop());
    let mut delays = std::collections::BTreeSet::new();
    for stream in streams.iter_mut().chain([&mut idle]) {
        let rest = stream.rest().await;
        let [Block::Retry(after)] = rest[..] else { panic!("{rest:?}") };
        assert!((500..=5_000).contains(&after), "{after}");
        delays.insert(after);
    }
    assert_eq!(delays.len(), 6, "another delay for each: {delays:?}");
    stopping.await.expect("a clean stop");
    let server = Parlor::start_at(data.path(), rates).await;
    let ann = ann.at(server.addr);
    ann.say(room, "after").await;
    let mut stream = EventSource::resume(&ann, room, 100).await.expect("a stream");
    stream.joined().await;
    assert_eq!(stream.chats(1).await[0]["seq"], 101);
}
