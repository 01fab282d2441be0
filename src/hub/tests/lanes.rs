//! Lanes: whoever rides one hears what it would hear by a receiver of its own.

use std::sync::Arc;

use futures_util::FutureExt;

use super::stage::{Person, SMALL, Stage, WAITING};
use super::{SMALL_LANES, connection, room_id, user};
use crate::domain::limits::{BROADCAST_SLOTS, LANE_SLACK, LANE_TURN};
use crate::domain::{Delivery, Seq};
use crate::hub::{Connection, Lane, LaneOptions, LaneStep, Member};

fn rung(connection: &Connection) -> bool {
    connection.rung().now_or_never().is_some()
}

#[test]
fn a_lane_serves_who_rides_it_and_rings_nobody() {
    let mut stage = Stage::filled(&[Some(10_000), Some(10_000), None]);
    assert!(stage.people[0].rides() && stage.people[1].rides() && !stage.people[2].rides());
    assert_eq!(stage.lanes.len(), 1);
    for person in &stage.people {
        let _ = rung(&person.connection);
    }
    assert!(stage.say("one") && stage.say("two"));
    let rings: Vec<bool> = stage.people.iter().map(|person| rung(&person.connection)).collect();
    assert_eq!(rings, [false, false, true], "only who has a receiver of its own");
    assert!(stage.lanes[0].rung().now_or_never().is_some());
    stage.run_lanes();
    stage.people[0].read();
    assert_eq!(stage.people[0].seqs(), [1, 2]);
    let told = stage.people[0].subscription.as_ref().unwrap().at(|position| position);
    assert_eq!((told.seq, told.count), (2, Some(2)));
}

#[test]
fn who_boards_between_two_rounds_hears_nothing_twice_and_misses_nothing() {
    let mut stage = Stage::filled(&[Some(10_000), Some(10_000)]);
    stage.say("one");
    // It comes in while the lane has not handed on what was said before.
    stage.people[1].enter(&stage.house, Some(0));
    stage.say("two");
    stage.serve(1);
    stage.house.commit();
    stage.serve(1);
    assert!(stage.people[1].rides());
    stage.say("three");
    stage.settle();
    assert_eq!(stage.people[0].seqs(), [1, 2, 3]);
    assert_eq!(stage.people[1].seqs(), [1, 2, 3]);
}

#[test]
fn nobody_hears_of_its_own_typing_and_the_order_stays() {
    let mut stage = Stage::filled(&[Some(10_000), Some(10_000)]);
    stage.say("one");
    stage.house.room().typing(user(1), "ann", 5_000);
    stage.say("two");
    stage.run_lanes();
    let texts = stage.people.iter_mut().map(|person| {
        person.read();
        String::from_utf8_lossy(&person.heard).into_owned()
    });
    let texts: Vec<String> = texts.collect();
    assert_eq!(texts[0].matches("typing").count(), 0);
    let places = ["\"one\"", "typing", "\"two\""].map(|what| texts[1].find(what).unwrap());
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn who_does_not_read_is_put_off_and_finds_its_way_back() {
    let mut stage = Stage::filled(&[Some(10_000), Some(SMALL)]);
    for n in 0..20 {
        assert!(stage.say(&format!("message {n}")));
        stage.run_lanes();
    }
    assert!(stage.people[0].rides() && !stage.people[1].rides());
    assert!(stage.people[1].connection.outbound.waiting_bytes() <= WAITING);
    assert!(rung(&stage.people[1].connection), "its session looks after it");
    stage.settle();
    let all: Vec<Seq> = (1..=20).collect();
    assert_eq!((stage.people[0].seqs(), stage.people[1].seqs()), (all.clone(), all));
    assert!(stage.people[1].rides(), "back again");
}

#[test]
fn who_has_left_hears_nothing_more_and_its_socket_is_not_kept() {
    let mut stage = Stage::filled(&[Some(10_000), Some(10_000)]);
    stage.say("not handed on yet");
    let mut gone = stage.people.pop().unwrap();
    gone.subscription = None;
    stage.run_lanes();
    gone.read();
    assert_eq!(gone.seqs(), [0; 0]);
    let socket = Arc::downgrade(&gone.connection.outbound);
    drop(gone);
    assert!(socket.upgrade().is_none());
}

#[test]
fn what_riders_leave_behind_in_a_quiet_room_is_bounded() {
    let mut stage = Stage::filled(&[Some(10_000)]);
    for _ in 0..20 * LANE_SLACK {
        stage.people[0].enter(&stage.house, None);
        stage.serve(0);
        if stage.lanes[0].rung().now_or_never().is_some() {
            stage.run_lanes();
        }
    }
    assert!(stage.lanes[0].places() < 3 * LANE_SLACK, "{}", stage.lanes[0].places());
}

#[test]
fn a_deleted_room_ends_for_riders_behind_what_was_said() {
    let mut stage = Stage::filled(&[Some(10_000)]);
    stage.say("the last words");
    stage.house.room().delete().unwrap();
    stage.house.commit();
    stage.run_lanes();
    stage.serve(0);
    stage.people[0].read();
    assert_eq!(stage.people[0].seqs(), [1]);
    assert!(stage.people[0].subscription.is_none(), "it is gone");
    stage.run_lanes();
    assert!(stage.lanes.is_empty());
}

#[test]
fn a_lane_ends_with_its_room() {
    let mut stage = Stage::filled(&[Some(10_000)]);
    stage.people.clear();
    assert_eq!(stage.step(0), Some(LaneStep::Idle));
    let _ = stage.lanes[0].rung().now_or_never();
    stage.house.hub.evict_idle();
    assert!(stage.house.hub.live_room(room_id()).is_none());
    assert!(stage.lanes[0].rung().now_or_never().is_some());
    assert_eq!(stage.step(0), Some(LaneStep::Ended));
}

#[test]
fn publishers_wait_for_a_lane_that_is_behind() {
    let mut stage = Stage::filled(&[Some(100_000)]);
    let mut said = 0;
    while stage.say("more") {
        said += 1;
    }
    assert!(said < BROADCAST_SLOTS as u64);
    let room = stage.house.room();
    let mut passable = Box::pin(room.passable());
    assert!(passable.as_mut().now_or_never().is_none());
    stage.step(0);
    assert!(passable.as_mut().now_or_never().is_some());
    assert!(stage.say("through"));
    stage.run_lanes();
    stage.people[0].read();
    assert_eq!(stage.people[0].seqs(), (1..=said + 1).collect::<Vec<_>>());
    assert!(stage.people[0].rides(), "nobody was put off");
}

/// A crowd that typed pushed messages out of the channel, and everybody off the lanes.
#[test]
fn who_types_pushes_nobody_off() {
    let mut stage = Stage::filled(&[Some(100_000)]);
    assert!(stage.say("one"));
    for typist in 2..=4 * BROADCAST_SLOTS as u64 {
        stage.house.room().typing(user(typist), "somebody", 5_000);
    }
    stage.run_lanes();
    stage.people[0].read();
    assert_eq!(stage.people[0].seqs(), [1]);
    assert!(stage.people[0].rides());
}

/// The presence of those who come and go waits for no lane.
#[test]
fn a_lane_that_missed_something_sends_everybody_to_the_log() {
    for mut stage in [
        Stage::filled(&[Some(100_000); 2]),
        Stage::holding_back(SMALL_LANES.held_bytes, &[Some(100_000); 2]),
    ] {
        assert!(stage.say("one"));
        let room = stage.house.room();
        for number in 0..=BROADCAST_SLOTS as u64 {
            let connection = connection(1_000 + number);
            let present_as = Some("someone".into());
            room.join(Member { connection, user: user(1_000 + number), present_as }).unwrap();
            room.tell_presence();
        }
        stage.run_lanes();
        assert!(!stage.people.iter().any(Person::rides));
        stage.settle();
        assert!(stage.people.iter().all(|person| person.seqs() == [1] && person.rides()));
        assert!(stage.say("two"));
        stage.settle();
        assert_eq!((stage.people[0].seqs(), stage.people[1].seqs()), (vec![1, 2], vec![1, 2]));
    }
}

/// Everybody was put off at each commit that covered more than the channel holds.
#[test]
fn a_long_commit_puts_nobody_off() {
    let mut stage = Stage::holding_back(SMALL_LANES.held_bytes, &[Some(1_000_000); 2]);
    let (commits, each) = (5, 3 * BROADCAST_SLOTS as u64);
    for commit in 1..=commits {
        for _ in 0..each {
            assert!(stage.say("held back"), "the lane was not rung in time");
            stage.run_rung_lanes();
        }
        stage.people[0].read();
        assert_eq!(stage.people[0].seqs().len() as u64, (commit - 1) * each, "not committed");
        stage.house.commit();
        stage.run_rung_lanes();
    }
    stage.people.iter_mut().for_each(Person::read);
    let all: Vec<Seq> = (1..=commits * each).collect();
    assert_eq!((stage.people[0].seqs(), stage.people[1].seqs()), (all.clone(), all));
    assert!(stage.people.iter().all(Person::rides));
    stage.settle();
    assert_eq!(stage.fallen_behind(), 0);
}

/// Whoever held something that waits for its commit stayed on its own.
#[test]
fn who_holds_only_what_waits_for_its_commit_boards() {
    let mut stage = Stage::holding_back(SMALL_LANES.held_bytes, &[Some(1_000_000); 2]);
    stage.people[1].leave();
    for said in 1..=5 {
        assert!(stage.say("held back"));
        if said == 2 {
            stage.house.commit();
            stage.people[1].enter(&stage.house, None);
        }
        if said == 4 {
            // The lane has received more than the member, or less.
            stage.run_lanes();
            stage.serve(1);
            assert!(stage.people[1].rides());
        }
    }
    stage.house.commit();
    stage.run_lanes();
    stage.people.iter_mut().for_each(Person::read);
    assert_eq!(stage.people[0].seqs(), [1, 2, 3, 4, 5]);
    assert_eq!(stage.people[1].seqs(), [3, 4, 5]);
    assert_eq!(stage.fallen_behind(), 0);
}

/// It has nothing of what was said before it was opened.
#[test]
fn a_lane_opened_while_something_waits_for_its_commit_sends_its_first_to_the_log() {
    let mut stage = Stage::holding_back(SMALL_LANES.held_bytes, &[]);
    stage.people.push(Person::new(1, Some(1_000_000)));
    stage.people[0].enter(&stage.house, None);
    assert!(stage.say("held back"));
    stage.serve(0);
    assert!(stage.say("held back"));
    stage.run_lanes();
    assert!(!stage.people[0].rides());
    stage.settle();
    assert_eq!((stage.people[0].seqs(), stage.people[0].rides()), (vec![1, 2], true));
}

#[test]
fn publishers_wait_for_a_lane_and_never_for_the_disk() {
    let mut stage = Stage::holding_back(2_000, &[Some(1_000_000); 2]);
    for _ in 0..10 {
        while stage.say("more") {}
        let room = stage.house.room();
        let mut passable = Box::pin(room.passable());
        assert!(passable.as_mut().now_or_never().is_none());
        stage.run_lanes();
        assert!(passable.as_mut().now_or_never().is_some(), "nothing is committed");
    }
    assert!(!stage.people.iter().any(Person::rides), "more waits than a lane may hold");
    stage.settle();
    let all: Vec<Seq> = (1..=stage.house.room().head()).collect();
    assert_eq!((stage.people[0].seqs(), stage.people[1].seqs()), (all.clone(), all));
    assert!(stage.people.iter().all(Person::rides), "back again");
    assert_eq!(stage.fallen_behind(), 2, "once each");
}

#[test]
fn what_waits_in_all_lanes_is_bounded_together() {
    let lanes = LaneOptions { held_bytes_total: 1_000, ..SMALL_LANES };
    let mut stage = Stage::new(Delivery::Committed, lanes, &[Some(100_000); 8]).enter_all();
    assert_eq!(stage.lanes.len(), 2);
    let held = Arc::clone(&stage.house.hub.held);
    while held.used() < 600 {
        assert!(stage.say("held back"));
        while stage.step(0) == Some(LaneStep::More) {}
    }
    while stage.step(1) == Some(LaneStep::More) {}
    assert_eq!(stage.people.iter().filter(|person| person.rides()).count(), 4, "of one lane");
    assert!(held.used() < 1_000, "{}", held.used());
    stage.settle();
    let all: Vec<Seq> = (1..=stage.house.room().head()).collect();
    assert!(stage.people.iter().all(|person| person.seqs() == all && person.rides()));
    assert_eq!((stage.fallen_behind(), held.used()), (4, 0));
    assert!(stage.say("and held back again"));
    stage.run_lanes();
    assert!(held.used() > 0);
    stage.lanes.clear();
    assert_eq!(held.used(), 0, "nobody drives them to their end");
}

#[test]
fn what_others_hold_sends_only_those_to_the_log_whose_room_holds_back() {
    let mut immediate = Stage::filled(&[Some(100_000); 2]);
    let mut committed = Stage::holding_back(SMALL_LANES.held_bytes, &[Some(100_000); 2]);
    for (stage, rides) in [(&mut immediate, true), (&mut committed, false)] {
        stage.house.hub.held.add(SMALL_LANES.held_bytes_total);
        for _ in 0..3 {
            assert!(stage.say("one more"));
            stage.run_lanes();
            assert!(stage.people.iter().all(|person| person.rides() == rides));
            stage.settle();
        }
        assert!(stage.people.iter().all(|person| person.seqs() == [1, 2, 3] && person.rides()));
    }
    assert!(immediate.say("four") && immediate.say("five"));
    assert_eq!(immediate.step(0), Some(LaneStep::More));
    immediate.people[0].read();
    assert_eq!(immediate.people[0].seqs(), [1, 2, 3, 4, 5], "in one round");
}

/// Publishers waited until everybody had the round, and the next commit covered little.
#[test]
fn publishers_go_on_while_lanes_hand_out_what_is_committed() {
    let mut stage = Stage::holding_back(SMALL_LANES.held_bytes, &[Some(1_000_000); 4 * LANE_TURN]);
    assert_eq!(stage.lanes.len(), 2);
    assert!(stage.say("one"));
    stage.house.commit();
    let mut said = 1;
    for _ in 0..2 {
        assert_eq!([stage.step(0), stage.step(1)], [Some(LaneStep::More); 2]);
        while stage.say("meanwhile") {
            said += 1;
        }
    }
    assert!(said > BROADCAST_SLOTS as u64, "{said}");
    stage.house.commit();
    stage.run_lanes();
    stage.people.iter_mut().for_each(Person::read);
    let all: Vec<Seq> = (1..=said).collect();
    assert!(stage.people.iter().all(|person| person.seqs() == all));
    assert_eq!(stage.fallen_behind(), 0);
}

#[test]
fn a_lane_that_is_dropped_strands_nobody() {
    let mut stage = Stage::filled(&[Some(10_000)]);
    while stage.say("more") {}
    stage.lanes.clear();
    assert!(stage.say("nobody waits for it"));
    stage.settle();
    assert!(stage.people[0].rides(), "another lane");
    let head = stage.house.room().head();
    assert_eq!(stage.people[0].seqs(), (1..=head).collect::<Vec<_>>());
}

#[test]
fn a_crowd_has_several_lanes() {
    let mut stage = Stage::filled(&[Some(10_000); 8]);
    assert_eq!(stage.lanes.len(), 2);
    stage.say("one");
    stage.settle();
    assert!(stage.people.iter().all(|person| person.seqs() == [1]));
    let places = stage.lanes.iter().map(Lane::places).collect::<Vec<_>>();
    assert_eq!(places, [4, 4]);
}
