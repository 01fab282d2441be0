//! Rooms in which nobody hears a message before it is on disk.

use super::stage::begin_anew;
use super::*;
use crate::domain::limits::BROADCAST_SLOTS;

const NOTHING: [serde_json::Value; 0] = [];

fn house() -> House {
    House::with(Delivery::Committed)
}

/// Where a subscription that begins now would be told that the room stands: head, first and count.
fn told(house: &House) -> (Seq, Seq, u64) {
    let cut = house.room().cut(&connection(1_000)).unwrap();
    (cut.head, cut.first, cut.count)
}

fn is_rung(subscription: &Subscription) -> bool {
    subscription.connection().rung().now_or_never().is_some()
}

#[test]
fn a_message_is_heard_with_its_commit_which_rings() {
    let mut house = house();
    let (mut live, _) = house.subscribe(None);
    let _ = is_rung(&live);
    house.say("one");
    assert!(!is_rung(&live), "there is nothing to hear yet");
    assert_eq!(house.hear(&mut live), NOTHING);
    assert_eq!(house.hear(&mut live), NOTHING, "however often one looks");
    assert_eq!(live.at(|position| position), Position { seq: 0, count: Some(0) });
    house.commit();
    assert!(is_rung(&live));
    assert_eq!(seqs(&house.hear(&mut live)), [1]);
    house.say("two");
    house.commit();
    house.say("three");
    assert_eq!(seqs(&house.hear(&mut live)), [2], "up to the watermark and no further");
    assert_eq!(live.at(|position| position), Position { seq: 2, count: Some(2) });
}

#[test]
fn what_is_behind_a_held_message_waits_with_it() {
    let mut house = house();
    let (mut live, _) = house.subscribe(None);
    house.say("one");
    house.room().typing(user(1), "ann", 5_000);
    assert_eq!(live.step(), Step::Idle);
    house.commit();
    let Step::Send(message) = live.step() else { panic!("no message") };
    assert_eq!(seqs(&parse(&message)), [1]);
    let Step::Send(typing) = live.step() else { panic!("no typing") };
    assert!(typing.windows(8).any(|bytes| bytes == b"\"typing\""));
    assert_eq!(live.step(), Step::Idle);
}

#[test]
fn who_comes_in_is_not_told_of_what_is_held_and_hears_it_when_it_is_committed() {
    let mut house = house();
    house.say("one");
    assert_eq!(told(&house), (0, 0, 0));
    assert_eq!(house.room().first(), 0);
    house.commit();
    house.say("two");
    assert_eq!(told(&house), (1, 1, 1));
    let (mut plain, head) = house.subscribe(None);
    assert_eq!(head, 1);
    let (mut resuming, _) = house.subscribe(Some(0));
    let (mut ahead, _) = house.subscribe(Some(2));
    assert_eq!(
        ahead.at(|position| position),
        Position { seq: 1, count: Some(1) },
        "a seq that was never heard is no place to begin"
    );
    assert_eq!(house.hear(&mut plain), NOTHING);
    assert_eq!(seqs(&house.hear(&mut resuming)), [1]);
    let (mut again, _) = house.subscribe(None);
    begin_anew(&house, &mut again);
    assert_eq!(seqs(&house.hear(&mut again)), [1]);
    let all = [&mut plain, &mut resuming, &mut ahead, &mut again];
    for subscription in all {
        let _ = is_rung(subscription);
        assert_eq!(house.hear(subscription), NOTHING);
        house.say("more");
    }
    house.commit();
    for mut subscription in [plain, resuming, ahead, again] {
        assert!(is_rung(&subscription));
        assert_eq!(seqs(&house.hear(&mut subscription)), [2, 3, 4, 5, 6]);
        assert_eq!(subscription.at(|position| position), Position { seq: 6, count: Some(6) });
    }
}

#[test]
fn a_join_in_place_of_another_forgets_what_that_one_held() {
    let mut house = house();
    let (mut live, _) = house.subscribe(None);
    house.say("one");
    assert_eq!(house.hear(&mut live), NOTHING);
    begin_anew(&house, &mut live);
    house.commit();
    assert_eq!(seqs(&house.hear(&mut live)), [1], "once");
}

#[test]
fn more_than_the_channel_holds_comes_from_the_log_behind_its_commit() {
    let mut house = house();
    let (mut live, _) = house.subscribe(None);
    let (mut looking, _) = house.subscribe(None);
    let many = 3 * BROADCAST_SLOTS as u64;
    for n in 1..=many {
        house.say(&format!("m{n}"));
        // One that looks each time holds the first message while the channel goes on without it.
        assert_eq!(house.hear(&mut looking), NOTHING);
    }
    assert_eq!(house.hear(&mut live), NOTHING);
    house.commit();
    let all: Vec<_> = (1..=many).collect();
    assert_eq!(seqs(&house.hear(&mut live)), all);
    house.say("one more");
    assert_eq!(seqs(&house.hear(&mut looking)), all);
    house.commit();
    for subscription in [&mut live, &mut looking] {
        assert!(is_rung(subscription));
        assert_eq!(seqs(&house.hear(subscription)), [many + 1]);
    }
}

#[test]
fn a_deleted_room_ends_behind_what_was_held() {
    let mut house = house();
    let (mut live, _) = house.subscribe(None);
    house.say("last");
    house.room().delete().unwrap();
    assert_eq!(live.step(), Step::Idle);
    house.commit();
    assert!(matches!(live.step(), Step::Send(_)));
    assert_eq!(live.step(), Step::Gone(Gone::Deleted));
}

#[test]
fn a_room_is_dropped_and_loaded_again_as_any_other() {
    let mut house = house();
    house.say("one");
    house.hub.evict_idle();
    assert!(house.hub.live_room(room_id()).is_some(), "not while something is uncommitted");
    house.commit();
    house.hub.evict_idle();
    assert!(house.hub.live_room(room_id()).is_none());
    let (mut resuming, head) = house.subscribe(Some(0));
    assert_eq!((head, seqs(&house.hear(&mut resuming))), (1, vec![1]));
}
