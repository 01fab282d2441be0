//! Watchers over no store: what is told of the rooms is up to the tests.

use super::*;
use std::io;

use futures_util::FutureExt;

use crate::protocol::{text_frame, texts};
use crate::transport::{Budget, Outbound};

pub(super) const WAITING: usize = 100;

/// A client's view: what it was told of each room last.
pub(super) struct Client {
    pub(super) connection: Arc<Connection>,
    pub(super) watching: Option<Watching>,
    /// What the socket holds; it takes so many bytes.
    wire: Arc<Mutex<Vec<u8>>>,
    unread: Vec<u8>,
    pub(super) view: HashMap<u64, u64>,
}

impl Client {
    pub(super) fn new(number: u64, buffer: usize) -> Self {
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

    /// Takes what there is. Nothing that it is told of a room goes back.
    pub(super) fn read(&mut self) {
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
            for (room, at) in std::str::from_utf8(text).unwrap().split_whitespace().filter_map(room)
            {
                let before = self.view.insert(room, at);
                assert!(before <= Some(at), "room {room} went back from {before:?} to {at}");
            }
        }
        self.unread.drain(..used);
    }
}

pub(super) fn rooms(ids: impl IntoIterator<Item = u64>) -> impl Iterator<Item = RoomId> {
    ids.into_iter().map(|id| RoomId::new(id).unwrap())
}

/// These rooms as `truth` says they are.
pub(super) fn frame(rooms: impl IntoIterator<Item = u64>, truth: &HashMap<u64, u64>) -> Bytes {
    let pairs = rooms.into_iter().map(|room| format!("{room}={} ", truth[&room]));
    text_frame(0, |buffer| pairs.for_each(|pair| buffer.extend(pair.bytes())))
}

/// A round in which the rooms are as `truth` says. Gives how many rooms each frame told of.
fn round(watchers: &Watchers, truth: &HashMap<u64, u64>) -> Vec<usize> {
    let mut round = watchers.begin_round();
    let mut told = Vec::new();
    while let Some(Batch { after, upto, rooms }) = round.next(watchers.frame) {
        let frame = frame(rooms.iter().map(|room| room.get()), truth);
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
    let Batch { after, upto, .. } = round.next(watchers.frame).unwrap();
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
    while let Some(Batch { after, upto, .. }) = round.next(watchers.frame) {
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
    // Once it told only of the silent.
    assert!(CloseCode::Stalled.reason().contains("behind"));
    assert!(quick.connection.closed().now_or_never().is_none());
}

/// Once a room that changed again before its turn lost it: while more rooms than one frame tells of
/// were changing, those that never rested were told of hardly ever.
#[test]
fn a_room_that_never_rests_is_told_in_every_round() {
    let watchers = Arc::new(Watchers { frame: 2, ..Watchers::default() });
    let client = Client::new(1, usize::MAX);
    let watching = watchers.begin(&client.connection);
    watching.listen();
    let many = 7;
    for _ in 0..5 {
        watchers.changed(rooms(1..=many));
        let mut told = Vec::new();
        let mut round = watchers.begin_round();
        while let Some(batch) = round.next(watchers.frame) {
            told.extend(batch.rooms.iter().map(|room| room.get()));
            // While that is read and given, everything changes.
            watchers.changed(rooms(1..=many));
            let Batch { after, upto, .. } = batch;
            round.watchers.iter().for_each(|watcher| watcher.give(after, upto, &Bytes::new()));
            round.at = upto;
        }
        watchers.end_round(&round);
        assert_eq!(told, (1..=many).collect::<Vec<_>>());
        assert!(watchers.restless().now_or_never().is_some(), "what changed since is told next");
    }
}

/// Once it was handed a frame that had been read before its own pages were, and what it was told of
/// a room went back.
#[test]
fn whoever_begins_to_listen_in_a_round_takes_part_from_the_next_one_on() {
    let watchers: Arc<Watchers> = Arc::default();
    let (mut first, mut late) = (Client::new(1, usize::MAX), Client::new(2, usize::MAX));
    let watching = [&first, &late].map(|client| watchers.begin(&client.connection));
    watching[0].listen();
    let mut truth = HashMap::from([(1, 1)]);
    watchers.changed(rooms([1]));
    let round = watchers.begin_round();
    let Batch { after, upto, .. } = round.next(watchers.frame).unwrap();
    let old = frame([1], &truth);
    truth.insert(1, 2);
    watchers.changed(rooms([1]));
    // Its page is read behind the round's frame.
    late.connection.outbound.send(frame([1], &truth));
    watching[1].listen();
    round.watchers.iter().for_each(|watcher| watcher.give(after, upto, &old));
    watchers.end_round(&round);
    first.read();
    late.read();
    assert_eq!((first.view[&1], late.view[&1]), (1, 2));
    super::tests::round(&watchers, &truth);
    first.read();
    assert_eq!(first.view[&1], 2);
    assert!(watchers.state().by_change.is_empty(), "the late one is not waited for either");
}

#[test]
fn those_who_begin_together_share_pages_and_nothing_is_kept_behind_them() {
    let watchers: Arc<Watchers> = Arc::default();
    let client = Client::new(1, usize::MAX);
    let begin = || watchers.begin(&client.connection);
    let key = || (None, Some("w".to_owned()));
    let page = Page { frame: Bytes::from_static(b"page"), last: None, has_more: false };
    let alone = begin();
    alone.share(key(), alone.begun(), &page);
    assert!(alone.page(&key()).is_none(), "there is nobody else to keep it for");
    let (first, second) = (begin(), begin());
    let before_late = first.begun();
    let late = begin();
    first.share(key(), before_late, &page);
    assert!(alone.page(&key()).is_some() && second.page(&key()).is_some());
    assert!(late.page(&key()).is_none(), "it could be older than what this one has been told");
    let all = [alone, first, second, late];
    all.iter().for_each(Watching::listen);
    all.iter().for_each(Watching::listen);
    assert!(all[0].page(&key()).is_none());
    assert_eq!(watchers.state().listing, 0);
    let other = begin();
    drop(all);
    assert_eq!(watchers.state().listing, 1);
    drop(other);
    assert_eq!(watchers.state().listing, 0);
}
