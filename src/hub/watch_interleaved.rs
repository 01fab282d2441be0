//! Watchers whose rounds, pages and reading come between each other in every order.

use super::tests::{Client, WAITING, frame, rooms};
use super::*;

use futures_util::FutureExt;
use proptest::prelude::*;

/// Whatever can come between two others does, in the end.
#[derive(Debug, Clone)]
enum Event {
    Change(u64),
    /// The next step of a round.
    Round,
    /// The client takes what its socket holds.
    Read(usize),
    /// A client wants all rooms, perhaps anew.
    Begin(usize),
    /// The next page of them is read, or handed on; behind the last one it listens.
    Page(usize),
    End(usize),
}

const CLIENTS: usize = 3;
const ROOMS: u64 = 4;
/// Rooms in a frame.
const FRAME: usize = 2;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (1..=ROOMS).prop_map(Event::Change),
        8 => Just(Event::Round),
        4 => (0..CLIENTS).prop_map(Event::Read),
        2 => (0..CLIENTS).prop_map(Event::Begin),
        14 => (0..CLIENTS).prop_map(Event::Page),
        1 => (0..CLIENTS).prop_map(Event::End),
    ];
    proptest::collection::vec(event, 1..400)
}

/// One of those who watch.
struct Viewer {
    client: Client,
    /// What it begins with, as far as it has it.
    listing: Option<Listing>,
}

/// The last room that was read, and what was read and is not handed on yet.
#[derive(Default)]
struct Listing {
    last: u64,
    page: Option<(PageKey, u64, Page)>,
}

impl Viewer {
    fn begin(&mut self, watchers: &Arc<Watchers>) {
        self.client.watching = None;
        self.client.watching = Some(watchers.begin(&self.client.connection));
        self.listing = Some(Listing::default());
    }

    fn page(&mut self, truth: &HashMap<u64, u64>) {
        let (Some(watching), Some(listing)) = (&self.client.watching, &mut self.listing) else {
            return;
        };
        let outbound = &self.client.connection.outbound;
        let key = (RoomId::new(listing.last).ok(), None);
        if let Some((key, begun, page)) = listing.page.take() {
            watching.share(key, begun, &page);
            listing.last = page.last.unwrap().get();
            outbound.send(page.frame);
        } else if outbound.is_full() {
            // It waits.
        } else if listing.last == ROOMS {
            self.listing = None;
            watching.listen();
        } else if let Some(page) = watching.page(&key) {
            listing.last = page.last.unwrap().get();
            outbound.send(page.frame);
        } else {
            let upto = ROOMS.min(listing.last + FRAME as u64);
            let frame = frame(listing.last + 1..=upto, truth);
            let page = Page { frame, last: RoomId::new(upto).ok(), has_more: upto < ROOMS };
            listing.page = Some((key, watching.begun(), page));
        }
    }

    fn end(&mut self) {
        self.client.watching = None;
        self.listing = None;
    }
}

/// A frame, and how many it was given to.
struct Giving {
    batch: Batch,
    frame: Bytes,
    given: usize,
}

/// A round step by step.
#[derive(Default)]
struct Stepped(Option<(Round, Option<Giving>)>);

impl Stepped {
    /// `false`: there is nothing to tell.
    fn step(&mut self, watchers: &Watchers, truth: &HashMap<u64, u64>) -> bool {
        let Some((round, giving)) = &mut self.0 else {
            let rung = watchers.restless().now_or_never().is_some();
            self.0 = rung.then(|| (watchers.begin_round(), None));
            return rung;
        };
        if let Some(Giving { batch, frame, given }) = giving {
            if let Some(watcher) = round.watchers.get(*given) {
                watcher.give(batch.after, batch.upto, frame);
                *given += 1;
            } else {
                round.at = batch.upto;
                *giving = None;
            }
        } else if let Some(batch) = round.next(watchers.frame) {
            let frame = frame(batch.rooms.iter().map(|room| room.get()), truth);
            *giving = Some(Giving { batch, frame, given: 0 });
        } else {
            watchers.end_round(round);
            self.0 = None;
        }
        true
    }
}

proptest! {
    /// Nothing that a client is told of a room goes back (`Client::read`), however slow it is and
    /// whatever comes between; and in the end each knows how things are.
    #[test]
    fn every_watcher_ends_with_how_things_are(events in events()) {
        let watchers = Arc::new(Watchers { frame: FRAME, ..Watchers::default() });
        let mut truth: HashMap<u64, u64> = (1..=ROOMS).map(|room| (room, 0)).collect();
        let buffers = [20, 150, usize::MAX].into_iter().zip(1..);
        let viewer = |(buffer, n)| Viewer { client: Client::new(n, buffer), listing: None };
        let mut viewers: Vec<Viewer> = buffers.map(viewer).collect();
        let mut round = Stepped::default();
        for event in events {
            match event {
                Event::Change(room) => {
                    *truth.get_mut(&room).unwrap() += 1;
                    watchers.changed(rooms([room]));
                }
                Event::Round => drop(round.step(&watchers, &truth)),
                Event::Read(n) => viewers[n].client.read(),
                Event::Begin(n) => viewers[n].begin(&watchers),
                Event::Page(n) => viewers[n].page(&truth),
                Event::End(n) => viewers[n].end(),
            }
            for Viewer { client, .. } in &viewers {
                let waiting = client.connection.outbound.waiting_bytes();
                prop_assert!(waiting < WAITING + FRAME * 8, "{waiting}");
            }
        }
        let mut rest = 0;
        loop {
            // A slow one has to be asked again and again, as the bell says.
            let told = round.step(&watchers, &truth);
            let listing = viewers.iter().any(|viewer| viewer.listing.is_some());
            for viewer in &mut viewers {
                viewer.page(&truth);
                viewer.client.read();
            }
            if !told && !listing {
                break;
            }
            rest += 1;
            prop_assert!(rest < 10_000);
        }
        for Viewer { client, .. } in &mut viewers {
            while client.connection.outbound.waiting_bytes() > 0 {
                client.read();
            }
            client.read();
            if client.watching.is_some() {
                prop_assert_eq!(&client.view, &truth);
            }
        }
        prop_assert!(watchers.state().by_change.is_empty());
    }
}
