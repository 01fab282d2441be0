//! The pulses of all connections, taken by one task: a connection by itself sets no timer.

use std::collections::BTreeMap;
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
    /// When its token ends.
    expires_at: AtomicU64,
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
    watched: Mutex<BTreeMap<u64, Arc<Watched>>>,
    /// Rung when a token ends before the next look.
    sooner: Notify,
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

    fn watched(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Watched>>> {
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
            expires_at: AtomicU64::new(expires_at),
            pulse: Mutex::new(Pulse::new(self.heartbeat, self.stall, self.now())),
        });
        self.watched().insert(connection.id, Arc::clone(&watched));
        self.expires(expires_at);
        watched
    }

    pub(super) fn unwatch(&self, connection: &Connection) {
        self.watched().remove(&connection.id);
    }

    /// A connection showed a newer token.
    pub(super) fn renew(&self, watched: &Watched, expires_at: Millis) {
        watched.expires_at.store(expires_at, Ordering::Relaxed);
        self.expires(expires_at);
    }

    fn expires(&self, at: Millis) {
        if at.saturating_sub(self.clock.now()) < self.pause() {
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

    /// For ever; run by one task.
    pub async fn run(&self) {
        loop {
            let soonest = self.look().await;
            let left = soonest.saturating_sub(self.clock.now()).min(self.pause());
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Looks at each connection, some at a time. Gives when the next token ends.
    async fn look(&self) -> Millis {
        let (mut soonest, mut behind) = (Millis::MAX, 0);
        loop {
            let next = (Bound::Excluded(behind), Bound::Unbounded);
            let some: Vec<_> =
                self.watched().range(next).take(HEARTBEAT_TURN).map(|(_, it)| it.clone()).collect();
            let (now, today) = (self.now(), self.clock.now());
            for watched in &some {
                let expires_at = watched.expires_at.load(Ordering::Relaxed);
                if expires_at <= today {
                    watched.connection.close(CloseCode::Unauthorized);
                } else {
                    soonest = soonest.min(expires_at);
                    watched.beat(now);
                }
            }
            let Some(last) = some.last() else { return soonest };
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

    #[tokio::test]
    async fn one_look_reaches_everybody_and_says_when_the_next_is_due() {
        let clock = Clock::manual(1_000);
        let heartbeats = heartbeats(&clock);
        let connections: Vec<_> = (1..=3 * HEARTBEAT_TURN as u64 + 1).map(connection).collect();
        for connection in &connections {
            heartbeats.watch(connection, Arc::default(), 1_000 + connection.id);
        }
        assert_eq!(heartbeats.look().await, 1_001);
        assert!(connections.iter().all(|connection| connection.closed().now_or_never().is_none()));
        let gone = connections.len() as u64 - 1;
        clock.set(1_000 + gone);
        assert_eq!(heartbeats.look().await, 1_000 + gone + 1);
        for connection in &connections {
            let expected = (connection.id <= gone).then_some(CloseCode::Unauthorized);
            assert_eq!(connection.closed().now_or_never(), expected);
            heartbeats.unwatch(connection);
        }
        assert_eq!(heartbeats.look().await, Millis::MAX);
    }

    /// Between two looks there may be seconds.
    #[tokio::test]
    async fn a_token_that_ends_before_the_next_look_brings_it_forward() {
        let clock = Clock::manual(1_000);
        let heartbeats = heartbeats(&clock);
        let connection = connection(1);
        let far = 1_000 + 2 * heartbeats.pause();
        let watched = heartbeats.watch(&connection, Arc::default(), far);
        assert!(heartbeats.sooner.notified().now_or_never().is_none());
        heartbeats.renew(&watched, 1_001);
        assert!(heartbeats.sooner.notified().now_or_never().is_some());
    }
}
