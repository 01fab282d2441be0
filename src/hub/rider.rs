//! A member on a lane: what the lane and the member's own connection share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lane::{Door, Part};
use super::{Connection, Position};
use crate::domain::UserId;
use crate::mutation::{self, Mutation};

#[derive(Debug)]
pub(super) struct Rider {
    user: UserId,
    door: Arc<Door>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None`: off the lane, whichever side wished it. A lane clears its list only now and then,
    /// and must not keep a socket open meanwhile.
    connection: Option<Arc<Connection>>,
    position: Position,
}

impl Rider {
    pub(super) fn new(
        user: UserId,
        door: &Arc<Door>,
        connection: &Arc<Connection>,
        position: Position,
    ) -> Arc<Self> {
        let state = State { connection: Some(Arc::clone(connection)), position };
        Arc::new(Self { user, door: Arc::clone(door), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the lane: what goes out, one part after the other. `false`: it rides no more.
    pub(super) fn hand(&self, parts: &[Part]) -> bool {
        let mut state = self.state();
        let State { connection: Some(connection), position } = &mut *state else { return false };
        for Part { frames, last, except } in parts {
            if *except == Some(self.user) {
                continue;
            }
            if !connection.outbound.offer(frames) && !mutation::is(Mutation::OfferForgotten) {
                self.off(&mut state);
                return false;
            }
            if let Some((seq, count)) = *last {
                *position = Position { seq, count: Some(count) };
            }
        }
        true
    }

    /// For the lane: the member finds its own way from where it is.
    pub(super) fn put_off(&self) {
        self.off(&mut self.state());
    }

    fn off(&self, state: &mut State) {
        if let Some(connection) = state.connection.take() {
            connection.ring();
            self.door.left();
        }
    }

    pub(super) fn is_aboard(&self) -> bool {
        self.state().connection.is_some()
    }

    /// Where the member is, if it is off the lane.
    pub(super) fn landed(&self) -> Option<Position> {
        let state = self.state();
        state.connection.is_none().then_some(state.position)
    }

    /// Where the member is; the lane hands it nothing while `look` runs.
    pub(super) fn at<T>(&self, look: impl FnOnce(Position) -> T) -> T {
        look(self.state().position)
    }

    /// For the member: once this has returned, the lane hands it nothing more.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        if state.connection.take().is_some() {
            self.door.left();
        }
    }
}
