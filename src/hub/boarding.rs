//! The room's side of its lanes: who boards one, when there are more, and who waits for them.

use std::sync::{Arc, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::futures::Notified;

use super::intake::Intake;
use super::lane::Door;
use super::rider::Rider;
use super::state::{Item, Phase, State};
use super::{Connection, Lane, Position, Room};
use crate::domain::limits::BROADCAST_SLOTS;
use crate::domain::{Seq, UserId};

impl Room {
    /// Puts a member onto a lane that has received everything up to `position` by itself, and holds
    /// nothing but what waits for its commit. `None`: it is not so. A lane that comes with it is
    /// new and wants to be driven.
    pub(super) fn board(
        &self,
        (live, held): (&broadcast::Receiver<Item>, Option<&Item>),
        user: UserId,
        connection: &Arc<Connection>,
        position: Position,
    ) -> Option<(Arc<Rider>, Option<Lane>)> {
        let mut state = self.state();
        let may = state.phase == Phase::Open && state.members.contains_key(&connection.id);
        // Under the lock, under which commits are told: no lane has handed out what waits here.
        let waits = match held {
            None if live.is_empty() => 0,
            Some(Item::Events { last, .. }) if !self.may_be_heard(*last) => 1 + live.len() as u64,
            _ => return None,
        };
        if !may || waits > BROADCAST_SLOTS as u64 {
            return None;
        }
        state.lanes.retain(|lane| !lane.is_abandoned());
        let riders: usize = state.lanes.iter().map(|lane| lane.riders()).sum();
        let wanted = (1 + riders / self.lanes.crowd).min(self.lanes.most);
        let opened = (state.lanes.len() < wanted).then(|| self.open_lane(&mut state));
        let door = state.lanes.iter().min_by_key(|lane| lane.riders())?;
        let rider = Rider::new(user, door, connection, position);
        door.board(Arc::clone(&rider), state.sent - waits);
        state.listeners.remove(&connection.id);
        Some((rider, opened))
    }

    fn open_lane(&self, state: &mut State) -> Lane {
        let door = Door::new(state.sent, &self.progress);
        state.lanes.push(Arc::clone(&door));
        let committed = self.holds_back().then(|| self.committed.subscribe());
        let (live, held_bytes) = (state.live.subscribe(), self.lanes.held_bytes);
        let held = Arc::clone(&self.held);
        let intake = Intake::new(live, state.sent, committed, held_bytes, held);
        Lane::new(door, intake, Arc::clone(&self.metrics))
    }

    /// The last seq that members may hear.
    #[must_use]
    pub fn audible_head(&self) -> Seq {
        if self.holds_back() { self.committed_seq() } else { self.head() }
    }

    /// Waits until a lane has received something, or handed it to everybody; what happens after
    /// this call counts, also before the first poll.
    pub fn handed(&self) -> Notified<'_> {
        self.progress.notified()
    }

    /// Waits until the lanes have received enough for something more to be published.
    pub async fn passable(&self) {
        loop {
            let progress = self.progress.notified();
            if !self.state().is_crowded() {
                return;
            }
            progress.await;
        }
    }
}

impl Drop for Room {
    /// The lanes see that the channel is closed, and end.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Closed first: a lane that looked between the two would wait for ever.
        state.live = broadcast::Sender::new(1);
        state.lanes.iter().for_each(|lane| lane.ring());
    }
}
