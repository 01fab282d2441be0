//! The pulses of all connections, taken by one task: a connection by itself sets no timer. Whoever
//! drives it calls [`Heartbeats::step`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::pulse::{Beat, Pulse, Vitals};
use crate::clock::Clock;
use crate::domain::limits::{HEARTBEAT_TURN, PULSE_INTERVAL_MS};
use crate::domain::{Limits, Millis};
use crate::hub::Connection;
use crate::protocol::{CloseCode, ping_frame};

/// What there is to know of a connection's life.
#[derive(Debug)]
pub(super) struct Watched {
    connection: Arc<Connection>,
    received: Arc<AtomicU64>,
    /// Whether the next byte would be read.
    reading: AtomicBool,
    pulse: Mutex<Pulse>,
}

impl Watched {
    pub(super) fn set_reading(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
    }

    /// `now`: since the heartbeats began.
    fn beat(&self, now: Millis) {
        let outbound = &self.connection.outbound;
        let vitals = Vitals {
            received: self.received.load(Ordering::Relaxed),
            reading: self.reading.load(Ordering::Relaxed),
            queued: outbound.queued(),
            written: outbound.written(),
        };
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        match pulse.tick(now, vitals) {
            Some(Beat::Ping) => {
                outbound.send(ping_frame());
                pulse.pinged(outbound.queued());
            }
            Some(Beat::GiveUp) => self.connection.close(CloseCode::Stalled),
            None => {}
        }
    }
}

/// Pings what is silent, and ends what is dead or no longer signed in.
#[derive(Debug)]
pub struct Heartbeats {
    clock: Clock,
    started: Instant,
    heartbeat: Millis,
    stall: Millis,
    watched: Mutex<All>,
    /// Rung when a token ends before all others.
    sooner: Notify,
}

/// By the connections' ids.
#[derive(Debug, Default)]
struct All {
    watched: BTreeMap<u64, (Arc<Watched>, Millis)>,
    /// When their tokens end, the first first.
    ends: BTreeSet<(Millis, u64)>,
}

impl All {
    /// `true`: its token ends before all others.
    fn insert(&mut self, watched: Arc<Watched>, expires_at: Millis) -> bool {
        let id = watched.connection.id;
        self.remove(id);
        self.watched.insert(id, (watched, expires_at));
        self.ends.insert((expires_at, id));
        self.ends.first() == Some(&(expires_at, id))
    }

    fn remove(&mut self, id: u64) {
        if let Some((_, expires_at)) = self.watched.remove(&id) {
            self.ends.remove(&(expires_at, id));
        }
    }
}

impl Heartbeats {
    #[must_use]
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        Self {
            clock,
            started: Instant::now(),
            heartbeat: limits.heartbeat_seconds * 1_000,
            stall: limits.write_stall_seconds * 1_000,
            watched: Mutex::default(),
            sooner: Notify::new(),
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until [`Self::unwatch`]. `received`: counts the bytes from it.
    pub(super) fn watch(
        &self,
        connection: &Arc<Connection>,
        received: Arc<AtomicU64>,
        expires_at: Millis,
    ) -> Arc<Watched> {
        let watched = Arc::new(Watched {
            connection: Arc::clone(connection),
            received,
            reading: AtomicBool::new(true),
            pulse: Mutex::new(Pulse::new(self.heartbeat, self.stall, self.now())),
        });
        self.renew(&watched, expires_at);
        watched
    }

    pub(super) fn unwatch(&self, watched: &Watched) {
        self.all().remove(watched.connection.id);
    }

    /// A connection showed a newer token.
    pub(super) fn renew(&self, watched: &Arc<Watched>, expires_at: Millis) {
        if self.all().insert(Arc::clone(watched), expires_at) {
            self.sooner.notify_one();
        }
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn pause(&self) -> Millis {
        let (start, end) = (PULSE_INTERVAL_MS.start(), PULSE_INTERVAL_MS.end());
        (self.heartbeat.min(self.stall) / 4).clamp(*start, *end)
    }

    /// Closes whose token has ended and, once `look_at` has come (0 at first), looks at each
    /// connection. Gives how long there is nothing to do, unless [`Self::rung`] returns before.
    pub async fn step(&self, look_at: &mut Millis) -> Duration {
        let left = self.close_expired();
        let now = self.now();
        if now >= *look_at {
            self.look(now).await;
            *look_at = now + self.pause();
        }
        Duration::from_millis(left.min(look_at.saturating_sub(now)))
    }

    /// Waits until there is something to do sooner than the last step told.
    pub async fn rung(&self) {
        self.sooner.notified().await;
    }

    /// Closes those whose tokens have ended. Gives how long the next one lasts.
    fn close_expired(&self) -> Millis {
        let mut all = self.all();
        let now = self.clock.now();
        while let Some((at, id)) = all.ends.pop_first() {
            if at > now {
                all.ends.insert((at, id));
                return at - now;
            }
            if let Some((watched, _)) = all.watched.remove(&id) {
                watched.connection.close(CloseCode::Unauthorized);
            }
        }
        Millis::MAX
    }

    /// Looks at each connection, some at a time.
    async fn look(&self, now: Millis) {
        let mut behind = 0;
        loop {
            let next = (Bound::Excluded(behind), Bound::Unbounded);
            let some: Vec<Arc<Watched>> = {
                let all = self.all();
                let some = all.watched.range(next).take(HEARTBEAT_TURN);
                some.map(|(_, (watched, _))| Arc::clone(watched)).collect()
            };
            for watched in &some {
                watched.beat(now);
            }
            let Some(last) = some.last() else { return };
            behind = last.connection.id;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Budget, Outbound};
    use futures_util::FutureExt;

    fn heartbeats(clock: &Clock) -> Arc<Heartbeats> {
        Arc::new(Heartbeats::new(&Limits::default(), clock.clone()))
    }

    fn connection(id: u64) -> Arc<Connection> {
        Connection::new(id, Outbound::stream(tokio::io::sink(), 10, Budget::new(10)))
    }

    #[test]
    fn a_token_ends_its_connection_and_no_other() {
        let clock = Clock::manual(1_000);
        let heartbeats = heartbeats(&clock);
        let connections: Vec<_> = (1..=5).map(connection).collect();
        let watched: Vec<_> = connections
            .iter()
            .map(|connection| {
                heartbeats.watch(connection, Arc::default(), 1_000 + 10 * connection.id)
            })
            .collect();
        heartbeats.renew(&watched[1], 2_000);
        heartbeats.unwatch(&watched[2]);
        assert_eq!(heartbeats.close_expired(), 10);
        clock.set(1_030);
        assert_eq!(heartbeats.close_expired(), 10);
        let ended = |connection: &Arc<Connection>| connection.closed().now_or_never();
        let ended: Vec<_> = connections.iter().map(ended).collect();
        assert_eq!(ended, [Some(CloseCode::Unauthorized), None, None, None, None]);
        clock.set(2_000);
        assert_eq!(heartbeats.close_expired(), Millis::MAX);
        assert_eq!(connections[1].closed().now_or_never(), Some(CloseCode::Unauthorized));
    }

    #[test]
    fn only_the_first_end_of_all_wakes_whoever_waits_for_it() {
        let heartbeats = heartbeats(&Clock::manual(1_000));
        let rung = || heartbeats.sooner.notified().now_or_never().is_some();
        let first = heartbeats.watch(&connection(1), Arc::default(), 9_000);
        assert!(rung());
        let second = heartbeats.watch(&connection(2), Arc::default(), 9_500);
        assert!(!rung());
        heartbeats.renew(&first, 9_400);
        assert!(rung());
        heartbeats.renew(&second, 9_600);
        assert!(!rung());
    }

    #[tokio::test]
    async fn one_look_reaches_everybody() {
        let heartbeats = heartbeats(&Clock::manual(1_000));
        let connections: Vec<_> = (1..=3 * HEARTBEAT_TURN as u64 + 1).map(connection).collect();
        for connection in &connections {
            heartbeats.watch(connection, Arc::default(), 9_000);
        }
        heartbeats.look(0).await;
        assert!(connections.iter().all(|connection| connection.outbound.queued() == 0));
        // The last may have come some milliseconds after the first.
        heartbeats.look(heartbeats.now() + heartbeats.heartbeat).await;
        let ping = ping_frame().len() as u64;
        assert!(connections.iter().all(|connection| connection.outbound.queued() == ping));
    }
}
