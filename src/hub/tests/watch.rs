//! Whoever watches the list of rooms is told what is on disk, and that it changed.

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::House;
use super::stage::{Person, SMALL, WAITING};
use crate::domain::{Delivery, RoomId};
use crate::hub::Watching;
use crate::store::{Command, DeleteRoom, Reply};

/// A connection that watches.
struct Viewer {
    person: Person,
    watching: Watching,
}

impl Viewer {
    /// One that has been told all rooms.
    fn new(house: &House, buffer: usize) -> Self {
        let viewer = Self::listing(house, buffer);
        viewer.watching.listen();
        viewer
    }

    /// One that is being told all rooms.
    fn listing(house: &House, buffer: usize) -> Self {
        let number = house.connections.replace(house.connections.get() + 1);
        let person = Person::new(number, Some(buffer));
        let watching = house.hub.watchers.begin(&person.connection);
        Self { person, watching }
    }

    /// The rooms of each frame that came.
    fn told(&mut self) -> Vec<Value> {
        self.person.read();
        while self.person.connection.outbound.waiting_bytes() > 0 {
            self.person.read();
        }
        self.person.read();
        let heard = std::mem::take(&mut self.person.heard);
        let frames = crate::protocol::texts(&heard);
        let frames = frames.map(|text| serde_json::from_slice::<Value>(text).unwrap());
        frames.map(|frame| frame["rooms"].clone()).collect()
    }
}

fn round(house: &House) {
    house.runtime.block_on(house.hub.tell_watchers());
}

fn room(id: u64, name: &str, head: u64) -> Value {
    json!({"roomId": id, "slug": name, "name": name, "head": head, "count": head})
}

fn delete(house: &mut House, room: u64) {
    let (reply, _) = Reply::channel();
    let room = RoomId::new(room).unwrap();
    house.queue.submit(Command::DeleteRoom(DeleteRoom { room, reply })).unwrap();
    house.commit();
}

#[test]
fn what_changed_appeared_or_went_is_told_once_and_together() {
    let mut house = House::new();
    let mut viewer = Viewer::new(&house, usize::MAX);
    round(&house);
    assert_eq!(viewer.told(), [] as [Value; 0]);
    for text in ["one", "two", "three"] {
        house.say(text);
        house.commit();
    }
    house.create_room("den", Delivery::Immediate);
    round(&house);
    assert_eq!(viewer.told(), [json!([room(1, "room", 3), room(2, "den", 0)])]);
    round(&house);
    assert_eq!(viewer.told(), [] as [Value; 0]);
    delete(&mut house, 2);
    round(&house);
    assert_eq!(viewer.told(), [json!([{"roomId": 2, "gone": true}])]);
    drop(viewer.watching);
    house.say("four");
    house.commit();
    round(&house);
    viewer.person.read();
    assert!(viewer.person.heard.is_empty(), "it watches no more");
}

/// It could be lost in a crash, and nobody may hear of it yet in a room that delivers what is
/// committed.
#[test]
fn what_is_not_on_disk_is_not_told() {
    for delivery in [Delivery::Immediate, Delivery::Committed] {
        let mut house = House::with(delivery);
        let mut viewer = Viewer::new(&house, usize::MAX);
        house.say("one");
        house.commit();
        house.say("two");
        round(&house);
        assert_eq!(viewer.told(), [json!([room(1, "room", 1)])]);
        house.commit();
        round(&house);
        assert_eq!(viewer.told(), [json!([room(1, "room", 2)])]);
    }
}

#[test]
fn what_changes_while_all_rooms_are_told_is_told_behind_them() {
    let mut house = House::new();
    let mut viewer = Viewer::listing(&house, usize::MAX);
    house.say("one");
    house.commit();
    round(&house);
    assert_eq!(viewer.told(), [] as [Value; 0]);
    viewer.watching.listen();
    round(&house);
    assert_eq!(viewer.told(), [json!([room(1, "room", 1)])]);
}

#[test]
fn a_slow_watcher_costs_a_cursor_and_hears_in_the_end_how_things_are() {
    let mut house = House::new();
    let (mut slow, mut quick) = (Viewer::new(&house, SMALL), Viewer::new(&house, usize::MAX));
    for n in 1..=40 {
        house.say("again");
        house.commit();
        round(&house);
        assert_eq!(quick.told(), [json!([room(1, "room", n)])]);
        let waiting = slow.person.connection.outbound.waiting_bytes();
        assert!(waiting < WAITING + 100, "{waiting}");
    }
    assert!(slow.told().len() < 20);
    round(&house);
    assert_eq!(slow.told(), [json!([room(1, "room", 40)])]);
    assert_eq!(quick.told(), [] as [Value; 0]);
}

#[test]
fn what_cannot_be_read_is_to_be_told_another_time() {
    let mut house = House::new();
    let viewer = Viewer::new(&house, usize::MAX);
    house.say("one");
    house.commit();
    let House { writer, hub, runtime, directory, .. } = house;
    writer.close().unwrap();
    let restless = || hub.watchers.restless().now_or_never().is_some();
    assert!(restless());
    runtime.block_on(hub.tell_watchers());
    assert!(restless(), "another round is asked for");
    assert_eq!(viewer.person.connection.outbound.queued(), 0);
    drop(directory);
}
