//! Clients that know only the protocol, and whatever can happen to them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{House, room_id};
use crate::domain::{Delivery, Seq};
use crate::hub::Subscription;
use crate::store::PageRequest;

/// One thing that happens to a room with three members.
#[derive(Debug, Clone)]
enum Event {
    Say,
    Commit,
    /// A member steps until it has nothing at hand.
    Hear(usize),
    /// A member goes and comes back behind what it holds.
    Resume(usize),
    /// A member goes and comes back for what comes.
    Rejoin(usize),
    Crash,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        10 => Just(Event::Say),
        3 => Just(Event::Commit),
        4 => (0..3usize).prop_map(Event::Hear),
        2 => (0..3usize).prop_map(Event::Resume),
        1 => (0..3usize).prop_map(Event::Rejoin),
        1 => Just(Event::Crash),
    ];
    proptest::collection::vec(event, 1..150)
}

/// A client that follows the protocol's rules and nothing else.
#[derive(Default)]
struct Client {
    cursor: Seq,
    /// Where its view begins: it does not care about what was before.
    from: Seq,
    held: BTreeMap<Seq, String>,
    subscription: Option<Subscription>,
}

impl Client {
    /// Joins, leaving first if need be.
    fn enter(&mut self, house: &House, resume: bool) {
        self.subscription = None;
        let after = resume.then_some(self.cursor);
        let (subscription, head) = house.subscribe(after);
        self.joined(after, head);
        self.subscription = Some(subscription);
    }

    fn hear(&mut self, house: &House) {
        let mut subscription = self.subscription.take().unwrap();
        self.heard(&house.hear(&mut subscription));
        self.subscription = Some(subscription);
    }

    fn joined(&mut self, after: Option<Seq>, head: Seq) {
        match after {
            None => {
                *self = Self { cursor: head, from: head, ..Self::default() };
            }
            Some(after) => {
                self.held.retain(|seq, _| *seq <= head || head >= after);
                self.cursor = after.min(head);
                self.from = self.from.min(head);
            }
        }
    }

    fn heard(&mut self, chats: &[serde_json::Value]) {
        for chat in chats {
            let seq = chat["seq"].as_u64().unwrap();
            assert!(seq > self.cursor, "{seq} came behind {}", self.cursor);
            if let Some(prev) = chat["prev"].as_u64() {
                self.held.retain(|held, _| *held <= prev || *held >= seq);
            }
            self.held.insert(seq, chat["message"].as_str().unwrap().to_owned());
            self.cursor = seq;
        }
    }
}

fn log(house: &House) -> BTreeMap<Seq, String> {
    let everything = PageRequest::After(0, Seq::MAX >> 1);
    let page = house.reader.read_now(|snapshot| snapshot.page(room_id(), everything, 10_000));
    let events = page.unwrap().unwrap().events.into_iter().map(|logged| logged.event);
    events.map(|event| (event.stamp.seq, event.body.as_str().to_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens, in the end every client holds exactly the log behind where it came in; and
    /// in a room that delivers what is committed, it never holds anything else.
    #[test]
    fn every_client_holds_the_log(
        delivery in prop_oneof![Just(Delivery::Immediate), Just(Delivery::Committed)],
        events in events(),
    ) {
        let mut house = House::with(delivery);
        let mut said = 0;
        let mut clients: [Client; 3] = Default::default();
        let mut all = events;
        let end = [
            Event::Commit,
            Event::Resume(0),
            Event::Hear(0),
            Event::Hear(1),
            Event::Resume(2),
            Event::Hear(2),
        ];
        for client in &mut clients {
            client.enter(&house, false);
        }
        all.extend(end);
        for event in all {
            match event {
                Event::Say => {
                    said += 1;
                    house.say(&format!("m{said}"));
                }
                Event::Commit => house.commit(),
                Event::Hear(client) => clients[client].hear(&house),
                Event::Resume(client) => clients[client].enter(&house, true),
                Event::Rejoin(client) => clients[client].enter(&house, false),
                Event::Crash => {
                    for client in &mut clients {
                        client.subscription = None;
                    }
                    house = house.crash();
                    if delivery == Delivery::Committed {
                        let log = log(&house);
                        let head = log.keys().last().copied().unwrap_or(0);
                        for Client { cursor, held, .. } in &clients {
                            prop_assert!(*cursor <= head);
                            prop_assert!(held.iter().all(|(seq, text)| log.get(seq) == Some(text)));
                        }
                    }
                    for client in &mut clients {
                        client.enter(&house, true);
                    }
                }
            }
        }
        let log = log(&house);
        for client in &clients {
            let mut expected = log.clone();
            expected.retain(|seq, _| *seq > client.from);
            prop_assert_eq!(&client.held, &expected);
        }
    }
}
