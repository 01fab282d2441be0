//! Which rooms are looked at when idle ones are dropped.

use futures_util::FutureExt;

use super::{House, room_id};
use crate::domain::RoomId;

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
    // Somebody began to load it, and nobody goes on.
    let mut abandoned = Box::pin(house.hub.room(room_id()));
    {
        let _context = house.runtime.enter();
        assert!(abandoned.as_mut().now_or_never().is_none());
    }
    house.hub.evict_idle();
    assert_eq!((vacant(), house.hub.live_rooms()), (1, 1));
    drop(abandoned);
    house.hub.evict_idle();
    assert_eq!((vacant(), house.hub.live_rooms()), (0, 0));
}
