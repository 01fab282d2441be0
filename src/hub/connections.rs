//! The registry of open connections: how a sign-out, a newer connection or the stop finds them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Connection;
use crate::domain::{SessionId, UserId};
use crate::protocol::{CloseCode, ServerFrame};
use crate::store::EndedSessions;
use crate::transport::Outbound;

#[derive(Debug)]
pub struct Connections {
    state: Mutex<State>,
    next_id: AtomicU64,
    /// Of the process.
    max: usize,
    /// Of one user.
    max_per_user: usize,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Entry>,
    /// Oldest first.
    by_user: HashMap<UserId, VecDeque<u64>>,
}

#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    user: UserId,
    session: SessionId,
}

impl Connections {
    #[must_use]
    pub fn new(max: usize, max_per_user: usize) -> Self {
        Self { state: Mutex::default(), next_id: AtomicU64::new(1), max, max_per_user }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection; the user's oldest is told to close if it is one too many. `None`:
    /// the process has all it may have. The caller checks the session *after* this, so that a
    /// sign-out between the two is seen by one of them.
    pub fn register(
        &self,
        user: UserId,
        session: SessionId,
        outbound: Arc<Outbound>,
    ) -> Option<Arc<Connection>> {
        let mut state = self.state();
        if state.open.len() >= self.max {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(id, outbound);
        let entry = Entry { connection: Arc::clone(&connection), user, session };
        state.open.insert(id, entry);
        let of_user = state.by_user.entry(user).or_default();
        of_user.push_back(id);
        let oldest = if of_user.len() > self.max_per_user { of_user.pop_front() } else { None };
        if let Some(entry) = oldest.and_then(|oldest| state.open.get(&oldest)) {
            entry.connection.close(CloseCode::Replaced);
        }
        Some(connection)
    }

    /// A connection showed a newer token: it belongs to that session now.
    pub fn rebind(&self, id: u64, session: SessionId) {
        if let Some(entry) = self.state().open.get_mut(&id) {
            entry.session = session;
        }
    }

    pub fn unregister(&self, id: u64) {
        let mut state = self.state();
        let Some(entry) = state.open.remove(&id) else { return };
        if let Some(of_user) = state.by_user.get_mut(&entry.user) {
            of_user.retain(|other| *other != id);
            if of_user.is_empty() {
                state.by_user.remove(&entry.user);
            }
        }
    }

    /// Closes the connections of sessions that ended before their time.
    pub fn end_sessions(&self, ended: &EndedSessions) {
        let (user, ends): (UserId, Box<dyn Fn(SessionId) -> bool>) = match *ended {
            EndedSessions::One(user, session) => (user, Box::new(move |id| id == session)),
            EndedSessions::AllBut(user, kept) => (user, Box::new(move |id| Some(id) != kept)),
        };
        let state = self.state();
        for id in state.by_user.get(&user).into_iter().flatten() {
            if let Some(entry) = state.open.get(id).filter(|entry| ends(entry.session)) {
                entry.connection.close(CloseCode::Unauthorized);
            }
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.state().open.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        self.state().open.values().map(|entry| Arc::clone(&entry.connection)).collect()
    }

    /// Tells every connection that the server is about to stop, and when to come back.
    pub fn announce_restart(&self) {
        for connection in self.all() {
            let after_ms = connection.reconnect_after();
            connection.outbound.send(ServerFrame::Reconnect { after_ms }.encode());
        }
    }

    pub fn close_for_restart(&self) {
        for connection in self.all() {
            connection.close(CloseCode::Restart);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::RECONNECT_SPREAD_MS;
    use crate::transport::Budget;
    use futures_util::FutureExt;

    fn outbound() -> Arc<Outbound> {
        Outbound::stream(tokio::io::sink(), 10, Budget::new(10))
    }

    fn user(id: u64) -> UserId {
        UserId::new(id).unwrap()
    }

    fn close_code(connection: &Connection) -> Option<CloseCode> {
        connection.closed().now_or_never()
    }

    #[test]
    fn a_users_oldest_connection_gives_way() {
        let connections = Connections::new(10, 2);
        let open = |id| connections.register(user(id), SessionId(1), outbound()).unwrap();
        let (first, second, other) = (open(1), open(1), open(2));
        let third = open(1);
        assert_eq!(close_code(&first), Some(CloseCode::Replaced));
        let _fourth = open(1);
        assert_eq!(close_code(&second), Some(CloseCode::Replaced));
        assert_eq!((close_code(&third), close_code(&other)), (None, None));
    }

    #[test]
    fn clients_come_back_at_different_times_within_the_interval() {
        let delays: std::collections::HashSet<u64> =
            (1..=100).map(|id| Connection::new(id, outbound()).reconnect_after()).collect();
        assert!(delays.len() > 90, "{}", delays.len());
        assert!(delays.iter().all(|delay| RECONNECT_SPREAD_MS.contains(delay)));
    }

    #[test]
    fn the_process_has_a_bound_and_room_comes_back() {
        let connections = Connections::new(1, 2);
        let first = connections.register(user(1), SessionId(1), outbound()).unwrap();
        assert!(connections.register(user(2), SessionId(2), outbound()).is_none());
        connections.unregister(first.id);
        connections.unregister(first.id);
        assert!(connections.is_empty());
        assert!(connections.register(user(2), SessionId(2), outbound()).is_some());
    }

    #[test]
    fn ended_sessions_close_their_connections_and_no_others() {
        let connections = Connections::new(10, 10);
        let open =
            |id, session| connections.register(user(id), SessionId(session), outbound()).unwrap();
        let (a, b, other) = (open(1, 1), open(1, 2), open(2, 1));
        connections.end_sessions(&EndedSessions::One(user(1), SessionId(1)));
        assert_eq!(close_code(&a), Some(CloseCode::Unauthorized));
        assert_eq!((close_code(&b), close_code(&other)), (None, None));
        let c = open(1, 3);
        connections.rebind(c.id, SessionId(4));
        connections.end_sessions(&EndedSessions::AllBut(user(1), Some(SessionId(4))));
        assert_eq!(close_code(&b), Some(CloseCode::Unauthorized));
        assert_eq!((close_code(&c), close_code(&other)), (None, None));
    }
}
