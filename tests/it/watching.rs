//! Watching the list of all rooms, of which most were never joined.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use parlor::domain::Limits;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::bare::Bare;
use crate::raw::Raw;
use crate::support::{Parlor, Person, Socket, within};

/// A page's list of rooms, and the `head` and `count` that each had when it was told of last.
#[derive(Default)]
struct List(BTreeMap<u64, Value>, HashMap<u64, (u64, u64)>);

impl List {
    /// As the protocol says. Neither head nor count ever goes back.
    fn take(&mut self, frame: &Value) {
        if frame["snapshot"] == true {
            self.0.clear();
        }
        for room in frame["rooms"].as_array().expect("rooms") {
            let id = room["roomId"].as_u64().expect("an id");
            if room["gone"] == true {
                assert_eq!(*room, json!({"roomId": id, "gone": true}));
                self.0.remove(&id);
            } else {
                let now = ["head", "count"].map(|field| room[field].as_u64().expect("a number"));
                let before = self.1.insert(id, now.into()).unwrap_or_default();
                assert!(before.0 <= now[0] && before.1 <= now[1], "{before:?}, then {room}");
                self.0.insert(id, room.clone());
            }
        }
    }

    /// Takes what comes until `room` is as `test` wants it.
    async fn until(
        &mut self,
        socket: &mut Socket,
        room: u64,
        test: impl Fn(Option<&Value>) -> bool,
    ) {
        while !test(self.0.get(&room)) {
            let frame = socket.find("rooms").await;
            assert!(frame.get("snapshot").is_none() && frame.get("ref").is_none(), "{frame}");
            self.take(&frame);
        }
    }
}

/// Sends `watch` and takes the whole answer; gives its frames.
async fn watch(socket: &mut Socket, list: &mut List) -> Vec<Value> {
    socket.send(&json!({"type": "watch", "ref": "w"})).await;
    let mut frames = Vec::new();
    loop {
        let frame = socket.find("rooms").await;
        if frame["ref"] != "w" {
            continue;
        }
        list.take(&frame);
        let has_more = frame["hasMore"] == true;
        frames.push(frame);
        if !has_more {
            return frames;
        }
    }
}

async fn delete(person: &Person, room: u64) {
    assert_eq!(person.api.delete(&format!("/rooms/{room}")).await.status, 204);
}

#[tokio::test]
async fn all_rooms_come_first_and_then_what_changes() {
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let (den, hall) = (ann.room("Den").await, ann.room("Hall").await);
    ann.say(den, "one").await;
    let mut socket = ben.connect().await;
    let mut list = List::default();
    let frames = watch(&mut socket, &mut list).await;
    let expected = json!({"type": "rooms", "snapshot": true, "ref": "w", "rooms": [
        {"roomId": den, "slug": "den", "name": "Den", "head": 1, "count": 1},
        {"roomId": hall, "slug": "hall", "name": "Hall", "head": 0, "count": 0},
    ]});
    assert_eq!(frames, [expected]);

    ann.say(hall, "in a room that nobody joined").await;
    list.until(&mut socket, hall, |room| room.is_some_and(|room| room["head"] == 1)).await;
    let attic = ann.room("Attic").await;
    list.until(&mut socket, attic, |room| room.is_some()).await;
    assert_eq!(list.0[&attic]["name"], "Attic");
    delete(&ann, den).await;
    list.until(&mut socket, den, |room| room.is_none()).await;
    assert_eq!(list.0.keys().copied().collect::<Vec<_>>(), [hall, attic]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_said_over_a_socket_counts_too_and_whoever_joins_hears_both() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut watcher = ben.enter(room).await;
    let mut list = List::default();
    watch(&mut watcher, &mut list).await;
    let mut talker = ann.enter(room).await;
    for n in 1..=3 {
        talker.chat(room, &format!("message {n}")).await;
        assert_eq!(watcher.find("chat").await["seq"], n);
    }
    list.until(&mut watcher, room, |room| room.is_some_and(|room| room["count"] == 3)).await;
    server.stop().await;
}

#[tokio::test]
async fn many_rooms_come_in_several_frames_and_asking_again_begins_anew() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let mut list = List::default();
    let mut socket = ann.connect().await;
    let frames = watch(&mut socket, &mut list).await;
    assert_eq!(frames, [json!({"type": "rooms", "snapshot": true, "rooms": [], "ref": "w"})]);
    for n in 0..401 {
        ann.room(&format!("Room {n}")).await;
    }
    let frames = watch(&mut socket, &mut list).await;
    let summed = |frame: &Value| {
        let rooms = frame["rooms"].as_array().expect("rooms").len();
        (frame["snapshot"] == true, frame["hasMore"] == true, rooms)
    };
    let frames: Vec<_> = frames.iter().map(summed).collect();
    assert_eq!(frames, [(true, true, 200), (false, true, 200), (false, false, 1)]);
    assert_eq!(list.0.len(), 401);
    let newest = *list.0.keys().last().expect("rooms");
    ann.say(newest, "hi").await;
    list.until(&mut socket, newest, |room| room.is_some_and(|room| room["count"] == 1)).await;
    server.stop().await;
}

/// What the server tells is what the disk has: after a restart it goes on from there.
#[tokio::test]
async fn a_restart_tells_the_same_list() {
    let (server, ann, room) = Parlor::with_room().await;
    ann.say(room, "one").await;
    let (mut before, mut after) = (List::default(), List::default());
    watch(&mut ann.connect().await, &mut before).await;
    let server = server.restart().await;
    watch(&mut ann.at(server.addr).connect().await, &mut after).await;
    assert_eq!(before.0, after.0);
    server.stop().await;
}

/// Once a frame that was read before a page could come behind it, and what a connection had been
/// told could be followed by a page that was older. Here the rounds follow each other closely.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_back_for_those_who_watch_anew_while_others_watch_and_talk() {
    const SAID: u64 = 3_000;
    let directory = tempfile::tempdir().expect("a directory");
    let limits = Limits { messages_per_second: 0, ..Limits::default() };
    let bare = Bare::start(directory.path(), &limits);
    let (ann, token) = bare.sign_up("ann").await;
    let room = bare.room(&ann, "Den").await;
    let hub = Arc::clone(&bare.app.hub);
    let telling = tokio::spawn(async move {
        loop {
            hub.watchers.restless().await;
            hub.tell_watchers().await;
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for watches_anew in [true, true, true, true, false, false] {
        let mut raw = Raw::over(bare.socket(&token).await).await;
        raw.text(&json!({"type": "watch"})).await;
        tasks.spawn(async move {
            let mut list = List::default();
            while list.0.get(&1).is_none_or(|room| room["count"] != SAID) {
                let frame = raw.find("rooms").await;
                list.take(&frame);
                if watches_anew && frame["snapshot"] == true {
                    raw.text(&json!({"type": "watch"})).await;
                }
            }
        });
    }
    for n in 1..=SAID {
        Bare::say(&room, &ann, "again").await;
        room.durable(n).await;
    }
    while let Some(task) = within("all watchers", tasks.join_next()).await {
        task.expect("no step back");
    }
    telling.abort();
}

/// Once it cost nothing: 22 bytes bought the whole list, as often as a client could write them.
#[tokio::test]
async fn asking_again_is_paid_for_and_a_refusal_changes_nothing() {
    let server = Parlor::start_with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.message_burst = 3;
    })
    .await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("Den").await;
    let mut socket = ben.connect().await;
    let mut list = List::default();
    for _ in 0..4 {
        watch(&mut socket, &mut list).await;
    }
    let refused = loop {
        socket.send(&json!({"type": "watch", "ref": "w"})).await;
        let frame = socket.recv().await;
        if frame["type"] == "error" {
            break frame;
        }
        // A slow machine has let a second pass.
        list.take(&frame);
    };
    assert_eq!((&refused["code"], &refused["ref"]), (&json!("rate_limited"), &json!("w")));
    assert_eq!(refused["retryable"], true);
    assert!(refused["retryAfterMs"].as_u64().is_some_and(|wait| wait <= 1_001), "{refused}");
    ann.say(room, "one").await;
    list.until(&mut socket, room, |room| room.is_some_and(|room| room["count"] == 1)).await;
    // Whoever watches once on each connection pays nothing.
    for _ in 0..4 {
        watch(&mut ben.connect().await, &mut List::default()).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_breaks_off_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let limits = Limits { waiting_bytes: 4 * 1024, messages_per_second: 0, ..Limits::default() };
    let bare = Bare::start(directory.path(), &limits);
    let (ann, token) = bare.sign_up("ann").await;
    for n in 0..201 {
        bare.room(&ann, &format!("Room {n}")).await;
    }
    let pipe = bare.pipe(&token, 1024, Vec::new());
    let mut socket = WebSocketStream::from_raw_socket(pipe, Role::Client, None).await;
    let hello = within("hello", socket.next()).await.expect("a frame").expect("a frame");
    assert!(hello.is_text(), "{hello:?}");
    socket.send(Message::text(r#"{"type":"watch","ref":"w"}"#)).await.expect("an open socket");
    // The first frame waits to be taken before the second is read.
    let read = async {
        while bare.sessions.output.used() < limits.waiting_bytes {
            tokio::task::yield_now().await;
        }
    };
    within("the first frame", read).await;
    tokio::task::spawn_blocking(move || bare.stop()).await.expect("a stop");
    let mut frames = Vec::new();
    while frames.len() < 2 {
        let frame = within("a frame", socket.next()).await.expect("a frame").expect("a frame");
        frames.push(serde_json::from_slice::<Value>(&frame.into_data()).expect("JSON"));
    }
    assert_eq!((&frames[0]["snapshot"], &frames[0]["hasMore"]), (&json!(true), &json!(true)));
    assert_eq!((&frames[1]["type"], &frames[1]["ref"]), (&json!("error"), &json!("w")));
    assert_eq!(
        (&frames[1]["code"], &frames[1]["retryable"]),
        (&json!("unavailable"), &json!(true))
    );
}
