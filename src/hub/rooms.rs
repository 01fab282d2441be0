//! All live rooms: loaded once when first asked for, told of commits, dropped when idle.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::{Notify, OnceCell};

use super::room::{Ack, Use};
use super::vacant::Vacant;
use super::{BlockLimits, Connection, Connections, LaneOptions, Log, Room, Watchers};
use crate::clock::Moment;
use crate::domain::{Limits, RoomId};
use crate::metrics::Metrics;
use crate::store::{Committed, EndedSessions, ReadError, Reader, WriteQueue};
use crate::transport::Budget;

type Slot = Arc<OnceCell<Arc<Room>>>;

#[derive(Debug)]
pub struct Hub {
    pub connections: Connections,
    pub log: Log,
    pub metrics: Arc<Metrics>,
    /// Who watches the list of all rooms.
    pub watchers: Arc<Watchers>,
    rooms: Mutex<HashMap<RoomId, Slot>>,
    pub(super) reader: Reader,
    queue: WriteQueue,
    boot: u64,
    lanes: LaneOptions,
    /// What waits for its commit in the lanes of all rooms.
    pub(super) held: Arc<Budget>,
    pub(super) vacant: Arc<Vacant>,
    /// Rooms in which people came or went since it was last told.
    restless: Mutex<HashMap<RoomId, Arc<Room>>>,
    restless_bell: Notify,
}

impl Hub {
    #[must_use]
    pub fn new(
        reader: Reader,
        queue: WriteQueue,
        boot: u64,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Arc<Self> {
        let (blocks, lanes) = (BlockLimits::default(), LaneOptions::default());
        Self::with_options(reader, queue, boot, limits, metrics, blocks, lanes)
    }

    /// The same with other bounds of the log's blocks and of lanes; for tests, in which there is
    /// little to read and there are few members.
    #[must_use]
    pub fn with_options(
        reader: Reader,
        queue: WriteQueue,
        boot: u64,
        limits: &Limits,
        metrics: &Arc<Metrics>,
        blocks: BlockLimits,
        lanes: LaneOptions,
    ) -> Arc<Self> {
        Arc::new(Self {
            connections: Connections::new(limits.connections, limits.connections_per_user),
            log: Log::new(reader.clone(), blocks),
            metrics: Arc::clone(metrics),
            watchers: Arc::default(),
            rooms: Mutex::default(),
            reader,
            queue,
            boot,
            lanes,
            held: Budget::new(lanes.held_bytes_total),
            vacant: Arc::default(),
            restless: Mutex::default(),
            restless_bell: Notify::new(),
        })
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Slot>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live room, loaded if need be; many who ask at once wait for one load. `None`: there is
    /// no such room.
    pub async fn room(&self, id: RoomId) -> Result<Option<Arc<Room>>, ReadError> {
        let slot = self.slot(id);
        if let Some(room) = slot.get() {
            return Ok(Some(Arc::clone(room)));
        }
        let load = || async {
            let row = self.reader.read(move |snapshot| snapshot.room(id)).await;
            match row {
                Ok(Some(row)) => {
                    let (queue, metrics) = (self.queue.clone(), Arc::clone(&self.metrics));
                    let lanes = (self.lanes, Arc::clone(&self.held));
                    let vacant = Arc::clone(&self.vacant);
                    Ok(Room::new(row, self.boot, queue, metrics, lanes, vacant))
                }
                Ok(None) => Err(None),
                Err(error) => Err(Some(error)),
            }
        };
        let loaded = slot.get_or_try_init(load).await.cloned();
        loaded.map(Some).or_else(|failed| {
            let mut rooms = self.rooms();
            // Only the last who waits may take the slot away: another who still does could load
            // the room into it, and the next one into a new slot, and the room would live twice.
            let unused = |entry: &Slot| {
                Arc::ptr_eq(entry, &slot) && entry.get().is_none() && Arc::strong_count(entry) == 2
            };
            if rooms.get(&id).is_some_and(unused) {
                rooms.remove(&id);
                self.vacant.remove(id);
            }
            failed.map_or(Ok(None), Err)
        })
    }

    /// A new one is vacant until somebody comes.
    fn slot(&self, id: RoomId) -> Slot {
        match self.rooms().entry(id) {
            Entry::Occupied(slot) => Arc::clone(slot.get()),
            Entry::Vacant(entry) => {
                self.vacant.insert(id);
                Arc::clone(entry.insert(Slot::default()))
            }
        }
    }

    /// The room if it is live; nothing is loaded.
    #[must_use]
    pub fn live_room(&self, id: RoomId) -> Option<Arc<Room>> {
        self.rooms().get(&id).and_then(|slot| slot.get().cloned())
    }

    /// Rooms in memory, those on their way there included.
    #[must_use]
    pub fn live_rooms(&self) -> usize {
        self.rooms().len()
    }

    /// Takes in what a commit made true. Acks of one connection go out in one write.
    pub fn committed(&self, committed: &Committed) {
        let mut acks = Vec::new();
        for (room, seq) in &committed.heads {
            if let Some(room) = self.live_room(*room) {
                room.committed(*seq, &mut acks);
            }
        }
        send_acks(acks, &self.metrics);
        for room in &committed.deleted_rooms {
            let slot = self.rooms().remove(room);
            self.log.blocks.forget_room(*room);
            if let Some(room) = slot.as_ref().and_then(|slot| slot.get()) {
                room.deleted();
            }
        }
        for ended in &committed.ended_sessions {
            // Only with an account do all of its sessions end.
            if matches!(ended, EndedSessions::AllBut(_, None)) {
                self.log.blocks.forget_all();
            }
            self.connections.end_sessions(ended);
        }
        if self.watchers.are_there() {
            let heads = committed.heads.iter().map(|(room, _)| room);
            let rooms = committed.created_rooms.iter().chain(&committed.deleted_rooms);
            self.watchers.changed(heads.chain(rooms).copied());
        }
    }

    /// Somebody came to `room` or went; the members hear of it within the gathering interval.
    pub fn presence_changed(&self, room: &Arc<Room>) {
        if !room.has_presence_changes() {
            return;
        }
        let mut restless = self.restless.lock().unwrap_or_else(PoisonError::into_inner);
        if restless.insert(room.id(), Arc::clone(room)).is_none() {
            self.restless_bell.notify_one();
        }
    }

    /// Waits until [`Self::take_restless`] has a room to give.
    pub async fn restless(&self) {
        self.restless_bell.notified().await;
    }

    /// Rooms whose members are to be told who came and went.
    #[must_use]
    pub fn take_restless(&self) -> Vec<Arc<Room>> {
        let mut restless = self.restless.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *restless).into_values().collect()
    }

    /// Drops rooms that nobody uses. They are loaded again when asked for.
    pub fn evict_idle(&self) {
        for id in self.vacant.take() {
            // Locked anew for each: whoever asks for a room does not wait for all of them.
            let mut rooms = self.rooms();
            let Some(slot) = rooms.get(&id) else { continue };
            let found = match slot.get() {
                Some(room) => room.evict_if_idle(),
                // Somebody is loading it, unless nobody is left who would.
                None if Arc::strong_count(slot) > 1 => Use::Vacant,
                None => Use::Evicted,
            };
            match found {
                Use::Occupied => {}
                Use::Vacant => self.vacant.insert(id),
                Use::Evicted => {
                    let evicted = rooms.remove(&id);
                    drop(rooms);
                    drop(evicted);
                }
            }
        }
    }
}

fn send_acks(acks: Vec<Ack>, metrics: &Metrics) {
    struct Told {
        connection: Arc<Connection>,
        committed: usize,
        frames: BytesMut,
    }
    let published: Vec<Moment> = acks.iter().filter_map(|ack| ack.published).collect();
    let mut by_connection: HashMap<u64, Told> = HashMap::new();
    for Ack { connection, frame, .. } in acks {
        let told = by_connection.entry(connection.id).or_insert_with(|| Told {
            connection,
            committed: 0,
            frames: BytesMut::new(),
        });
        told.committed += 1;
        told.frames.extend_from_slice(&frame.unwrap_or_default());
    }
    for told in by_connection.into_values() {
        told.connection.outbound.send(told.frames.freeze());
        told.connection.committed(told.committed);
    }
    let sent = Moment::now();
    for published in published {
        metrics.publish_to_ack.observe(sent.since(published));
    }
}
