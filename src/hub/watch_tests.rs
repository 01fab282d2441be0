//! Watchers over no store: what is told of the rooms is up to the tests.

use super::*;
use std::io;

use futures_util::FutureExt;
use proptest::prelude::*;

use crate::protocol::{text_frame, texts};
use crate::transport::{Budget, Outbound};

const WAITING: usize = 100;

/// A client's view: what it was told of each room last.
struct Client {
    connection: Arc<Connection>,
    watching: Option<Watching>,
    /// What the socket holds; it takes so many bytes.
    wire: Arc<Mutex<Vec<u8>>>,
    unread: Vec<u8>,
    view: HashMap<u64, u64>,
}

impl Client {
    fn new(number: u64, buffer: usize) -> Self {
        let wire: Arc<Mutex<Vec<u8>>> = Arc::default();
        let socket = Arc::clone(&wire);
        let take = move |slices: &[io::IoSlice<'_>]| {
            let mut held = socket.lock().unwrap();
            let free = buffer.saturating_sub(held.len());
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = bytes.len().min(free);
            held.extend_from_slice(&bytes[..taken]);
            if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::WouldBlock.into()) }
        };
        let outbound = Outbound::driven(take, WAITING, Budget::new(1 << 20));
        let connection = Connection::new(number, outbound);
        Self { connection, watching: None, wire, unread: Vec::new(), view: HashMap::new() }
    }

    fn read(&mut self) {
        self.unread.append(&mut self.wire.lock().unwrap());
        self.connection.outbound.push_out();
        let mut used = 0;
        for text in texts(&self.unread) {
            let header = if text.len() < 126 { 2 } else { 4 };
            used += header + text.len();
            let room = |pair: &str| {
                let (room, at) = pair.split_once('=')?;
                Some((room.parse::<u64>().ok()?, at.parse::<u64>().ok()?))
            };
            let rooms = std::str::from_utf8(text).unwrap().split_whitespace().filter_map(room);
            self.view.extend(rooms);
        }
        self.unread.drain(..used);
    }
}

fn rooms(ids: impl IntoIterator<Item = u64>) -> impl Iterator<Item = RoomId> {
    ids.into_iter().map(|id| RoomId::new(id).unwrap())
}

/// A round in which the rooms are as `truth` says. Gives how many rooms each frame told of.
fn round(watchers: &Watchers, truth: &HashMap<u64, u64>) -> Vec<usize> {
    let mut round = watchers.begin_round();
    let mut told = Vec::new();
    while let Some(Batch { after, upto, rooms }) = watchers.next(&round) {
        let pairs = rooms.iter().map(|room| format!("{room}={} ", truth[&room.get()]));
        let frame = text_frame(0, |buffer| pairs.for_each(|pair| buffer.extend(pair.bytes())));
        round.watchers.iter().for_each(|watcher| watcher.give(after, upto, &frame));
        told.push(rooms.len());
        round.at = upto;
    }
    watchers.end_round(&round);
    told
}

#[test]
fn where_nobody_watches_nothing_is_kept() {
    let watchers: Arc<Watchers> = Arc::default();
    assert!(!watchers.are_there());
    watchers.changed(rooms(1..=3));
    assert!(watchers.restless().now_or_never().is_none());
    let client = Client::new(1, usize::MAX);
    let one = watchers.begin(&client.connection);
    let other = watchers.begin(&client.connection);
    watchers.changed(rooms(1..=3));
    drop(one);
    assert!(watchers.are_there());
    assert_eq!(watchers.state().by_change.len(), 3);
    drop(other);
    assert!(!watchers.are_there());
    assert!(watchers.state().by_change.is_empty() && watchers.state().by_room.is_empty());
}

#[test]
fn many_rooms_are_told_in_several_frames_and_what_is_told_is_forgotten() {
    let watchers: Arc<Watchers> = Arc::default();
    let client = Client::new(1, usize::MAX);
    let watching = watchers.begin(&client.connection);
    watching.listen();
    let many = 2 * WATCH_ROOMS as u64 + 1;
    let truth: HashMap<_, _> = (1..=many).map(|room| (room, 1)).collect();
    watchers.changed(rooms(1..=many));
    watchers.changed(rooms(1..=many));
    assert_eq!(round(&watchers, &truth), [WATCH_ROOMS, WATCH_ROOMS, 1]);
    assert!(watchers.state().by_change.is_empty() && watchers.state().by_room.is_empty());
    assert_eq!(round(&watchers, &truth), [0; 0]);
}

/// A round goes on while its watchers come and go.
#[test]
fn nothing_follows_the_end_of_a_watching() {
    let watchers: Arc<Watchers> = Arc::default();
    let (gone, other) = (Client::new(1, usize::MAX), Client::new(2, usize::MAX));
    let (going, staying) = (watchers.begin(&gone.connection), watchers.begin(&other.connection));
    going.listen();
    staying.listen();
    watchers.changed(rooms([1]));
    let round = watchers.begin_round();
    let Batch { after, upto, .. } = watchers.next(&round).unwrap();
    drop(going);
    let frame = text_frame(0, |buffer| buffer.extend(b"1=1"));
    round.watchers.iter().for_each(|watcher| watcher.give(after, upto, &frame));
    assert_eq!(gone.connection.outbound.queued(), 0);
    assert_eq!(other.connection.outbound.queued(), frame.len() as u64);
    watchers.end_round(&round);
}

/// It has room again when the first frame has gone by.
#[test]
fn no_frame_is_given_without_the_one_before_it() {
    let watchers: Arc<Watchers> = Arc::default();
    let (mut slow, quick) = (Client::new(1, 150), Client::new(2, usize::MAX));
    let both = [&slow, &quick].map(|client| watchers.begin(&client.connection));
    both.iter().for_each(Watching::listen);
    for _ in 0..2 {
        slow.connection.outbound.send(text_frame(0, |buffer| buffer.extend([b' '; 200])));
    }
    let many = WATCH_ROOMS as u64 + 1;
    watchers.changed(rooms(1..=many));
    let mut round = watchers.begin_round();
    let frame = text_frame(0, |buffer| buffer.extend(b"1=1"));
    while let Some(Batch { after, upto, .. }) = watchers.next(&round) {
        round.watchers.iter().for_each(|watcher| watcher.give(after, upto, &frame));
        round.at = upto;
        (0..4).for_each(|_| slow.read());
    }
    watchers.end_round(&round);
    let given = |client: &Client| client.connection.outbound.queued();
    assert_eq!(given(&quick), 2 * frame.len() as u64);
    assert_eq!(given(&slow), 2 * 204, "nothing yet");
    let truth = (1..=many).map(|room| (room, 1)).collect();
    assert_eq!(super::tests::round(&watchers, &truth), [WATCH_ROOMS], "then it is full again");
    assert_eq!(super::tests::round(&watchers, &truth), [0; 0], "nothing is read for nobody");
}

#[test]
fn whoever_is_too_far_behind_is_closed_and_nobody_else() {
    let watchers = Arc::new(Watchers { most: 3, ..Watchers::default() });
    let (slow, quick) = (Client::new(1, 0), Client::new(2, usize::MAX));
    let _slow = watchers.begin(&slow.connection);
    watchers.changed(rooms([1, 2]));
    let quick_watching = watchers.begin(&quick.connection);
    quick_watching.listen();
    watchers.changed(rooms([2, 3]));
    let truth = HashMap::from([(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    round(&watchers, &truth);
    assert!(slow.connection.closed().now_or_never().is_none());
    watchers.changed(rooms([4, 5]));
    assert_eq!(watchers.state().by_change.len(), 3);
    round(&watchers, &truth);
    assert_eq!(slow.connection.closed().now_or_never(), Some(CloseCode::Stalled));
    assert!(quick.connection.closed().now_or_never().is_none());
}

#[derive(Debug, Clone)]
enum Event {
    Change(u64),
    Round,
    Read(usize),
    /// All rooms are told anew, from before to behind some other event.
    Begin(usize),
    Listen(usize),
    End(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        10 => (1..30_u64).prop_map(Event::Change),
        4 => Just(Event::Round),
        3 => (0..3_usize).prop_map(Event::Read),
        2 => (0..3_usize).prop_map(Event::Begin),
        3 => (0..3_usize).prop_map(Event::Listen),
        1 => (0..3_usize).prop_map(Event::End),
    ];
    proptest::collection::vec(event, 1..200)
}

proptest! {
    #[test]
    fn every_watcher_ends_with_how_things_are(events in events()) {
        let watchers: Arc<Watchers> = Arc::default();
        let mut truth: HashMap<u64, u64> = (1..30).map(|room| (room, 0)).collect();
        let mut clients: Vec<_> =
            [20, 150, usize::MAX].into_iter().zip(1..).map(|(buffer, n)| Client::new(n, buffer))
            .collect();
        for event in events {
            match event {
                Event::Change(room) => {
                    *truth.get_mut(&room).unwrap() += 1;
                    watchers.changed(rooms([room]));
                }
                Event::Round => drop(round(&watchers, &truth)),
                Event::Read(n) => clients[n].read(),
                Event::Begin(n) => {
                    let client = &mut clients[n];
                    let begun = watchers.begin(&client.connection);
                    client.watching = None;
                    // All that is on its way comes before all rooms as they are now.
                    while client.connection.outbound.waiting_bytes() > 0 {
                        client.read();
                    }
                    client.read();
                    client.view.clone_from(&truth);
                    client.watching = Some(begun);
                }
                Event::Listen(n) => {
                    if let Some(watching) = &clients[n].watching {
                        watching.listen();
                    }
                }
                Event::End(n) => clients[n].watching = None,
            }
            for client in &clients {
                let waiting = client.connection.outbound.waiting_bytes();
                prop_assert!(waiting < WAITING + 30 * 8, "{waiting}");
            }
        }
        for client in clients.iter().filter_map(|client| client.watching.as_ref()) {
            client.listen();
        }
        // A slow one has to be asked again and again, as the bell says.
        let mut rounds = 0;
        while watchers.restless().now_or_never().is_some() {
            round(&watchers, &truth);
            clients.iter_mut().for_each(Client::read);
            rounds += 1;
            prop_assert!(rounds < 1_000);
        }
        for client in &mut clients {
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
