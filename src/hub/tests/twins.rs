//! Whatever happens to a room, who rides its lanes hears what its twin hears by a receiver of its
//! own.

use proptest::prelude::*;

use super::stage::{SMALL, Stage};
use super::{LaneOptions, SMALL_LANES, connection, user};
use crate::domain::{Delivery, Seq};

/// One thing that happens. Whatever happens to a person happens to its twin, whose socket takes no
/// bytes directly.
#[derive(Debug, Clone)]
enum Event {
    Say,
    Commit,
    Lane(usize),
    Serve(usize),
    Read(usize),
    Enter(usize, bool),
    Leave(usize),
    Typing(usize),
    Presence,
}

const PAIRS: usize = 4;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let someone = || 0..2 * PAIRS;
    let event = prop_oneof![
        12 => Just(Event::Say),
        2 => Just(Event::Commit),
        8 => (0..2usize).prop_map(Event::Lane),
        8 => someone().prop_map(Event::Serve),
        4 => someone().prop_map(Event::Read),
        2 => (0..PAIRS, any::<bool>()).prop_map(|(pair, resume)| Event::Enter(pair, resume)),
        1 => (0..PAIRS).prop_map(Event::Leave),
        1 => someone().prop_map(Event::Typing),
        1 => Just(Event::Presence),
    ];
    proptest::collection::vec(event, 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_lane_hands_on_what_a_receiver_does(
        delivery in prop_oneof![Just(Delivery::Immediate), Just(Delivery::Committed)],
        held_bytes in prop_oneof![Just(500), Just(SMALL_LANES.held_bytes)],
        held_bytes_total in prop_oneof![Just(800), Just(SMALL_LANES.held_bytes_total)],
        events in events(),
    ) {
        let sockets = [Some(100), None, Some(SMALL), None, Some(10_000), None, Some(10_000), None];
        let lanes = LaneOptions { held_bytes, held_bytes_total, ..SMALL_LANES };
        let mut stage = Stage::new(delivery, lanes, &sockets);
        let (mut said, mut time) = (0, 0);
        let enter = |stage: &mut Stage, pair: usize, after: Option<Seq>| {
            for person in [2 * pair, 2 * pair + 1] {
                stage.people[person].leave();
                stage.people[person].enter(&stage.house, after);
            }
        };
        // Where each pair came in last, and how much its two had heard then.
        let mut since = [(0, [0; 2]); PAIRS];
        for event in events {
            match event {
                Event::Say => {
                    said += 1;
                    let _ = stage.say(&format!("message {said}"));
                }
                Event::Commit => stage.house.commit(),
                Event::Lane(lane) => drop(stage.step(lane)),
                Event::Serve(person) => stage.serve(person),
                Event::Read(person) => stage.people[person].read(),
                Event::Enter(pair, resume) => {
                    let head = stage.house.room().cut(&connection(999)).unwrap().head;
                    enter(&mut stage, pair, resume.then_some(head / 2));
                    let heard = [2 * pair, 2 * pair + 1].map(|n| stage.people[n].seqs().len());
                    since[pair] = (if resume { head / 2 } else { head }, heard);
                }
                Event::Leave(pair) => {
                    stage.people[2 * pair].leave();
                    stage.people[2 * pair + 1].leave();
                }
                Event::Typing(person) => {
                    time += 10_000;
                    stage.house.room().typing(user(person as u64 + 1), "somebody", time);
                }
                Event::Presence => stage.house.room().tell_presence(),
            }
        }
        stage.settle();
        let last = stage.house.room().head();
        prop_assert_eq!(stage.house.hub.held.used(), 0);
        for (pair, (from, heard)) in since.into_iter().enumerate() {
            for (twin, heard) in heard.into_iter().enumerate() {
                let person = &stage.people[2 * pair + twin];
                if person.subscription.is_none() {
                    continue;
                }
                let expected: Vec<Seq> = (from + 1..=last).collect();
                prop_assert_eq!(&person.seqs()[heard..], &expected, "{} of {}", twin, pair);
            }
            let twins = [2 * pair, 2 * pair + 1].map(|n| stage.people[n].rides());
            prop_assert!(!twins[1]);
        }
    }
}
