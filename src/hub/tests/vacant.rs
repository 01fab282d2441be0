//! Rooms that nobody uses are dropped, and only those that may be such are looked at.

use futures_util::FutureExt;

use super::super::PublishError;
use super::{House, post, room_id};
use crate::domain::RoomId;
use crate::domain::limits::READ_THREADS;

#[test]
fn an_idle_room_is_dropped_and_whoever_still_holds_it_is_sent_away() {
    let mut house = House::new();
    let held = house.room();
    house.say("on its way");
    house.hub.evict_idle();
    assert!(house.hub.live_room(room_id()).is_some(), "not while something is uncommitted");
    house.commit();
    let (member, _) = house.subscribe(None);
    house.hub.evict_idle();
    assert!(house.hub.live_room(room_id()).is_some(), "not while somebody is there");
    drop(member);
    house.hub.evict_idle();
    assert!(house.hub.live_room(room_id()).is_none());
    assert_eq!(held.publish(post("late"), None, 1), Err(PublishError::Closed));
    assert_eq!(house.say("again").seq, 2);
}

/// Once each look for idle rooms locked every live one, and all look-ups waited for it: a
/// millisecond for ten thousand rooms, and twenty where all of them went.
#[test]
fn only_a_room_that_was_asked_for_or_left_is_looked_at() {
    let house = House::new();
    let vacant = || house.hub.vacant.len();
    assert!(house.runtime.block_on(house.hub.room(RoomId::new(9).unwrap())).unwrap().is_none());
    assert_eq!(vacant(), 0, "there is none");
    let (one, _) = house.subscribe(None);
    let (other, _) = house.subscribe(None);
    assert_eq!(vacant(), 1);
    house.hub.evict_idle();
    assert_eq!(vacant(), 0, "it is in use, and stays so until the last has left");
    drop(one);
    assert_eq!(vacant(), 0);
    drop(other);
    assert_eq!(vacant(), 1);
    house.hub.evict_idle();
    assert_eq!((vacant(), house.hub.live_rooms()), (0, 0));
    // Somebody began to load it, and nobody goes on. All readers are busy: or the load could be
    // done at the first look.
    let (release, released) = crossbeam_channel::bounded::<()>(0);
    let busy = |_| {
        let released = released.clone();
        Box::pin(house.reader.read(move |_| Ok(released.recv().is_err())))
    };
    let mut busy: Vec<_> = (0..READ_THREADS).map(busy).collect();
    assert!(busy.iter_mut().all(|read| read.as_mut().now_or_never().is_none()));
    let mut abandoned = Box::pin(house.hub.room(room_id()));
    {
        let _context = house.runtime.enter();
        assert!(abandoned.as_mut().now_or_never().is_none());
    }
    house.hub.evict_idle();
    assert_eq!((vacant(), house.hub.live_rooms()), (1, 1));
    drop((abandoned, release));
    house.hub.evict_idle();
    assert_eq!((vacant(), house.hub.live_rooms()), (0, 0));
}
