//! Watching the list of all rooms, of which most were never joined.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Parlor, Person, Socket};

/// A page's list of rooms.
#[derive(Default)]
struct List(BTreeMap<u64, Value>);

impl List {
    /// As the protocol says.
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
