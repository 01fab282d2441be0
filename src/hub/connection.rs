//! One connection as rooms and the registry see it: a WebSocket, or a stream of events over HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::domain::Millis;
use crate::domain::limits::RECONNECT_SPREAD_MS;
use crate::protocol::CloseCode;
use crate::transport::Outbound;

/// Shared by the connection's task, the rooms it is in, and the registry.
#[derive(Debug)]
pub struct Connection {
    pub id: u64,
    pub outbound: Arc<Outbound>,
    /// Rung when a room has something for it.
    bell: Notify,
    closing: OnceLock<CloseCode>,
    /// Rung when it is set.
    closed: Notify,
    /// Published messages that are not committed.
    uncommitted: AtomicUsize,
    /// Rung when that number falls.
    window: Notify,
}

impl Connection {
    #[must_use]
    pub fn new(id: u64, outbound: Arc<Outbound>) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbound,
            bell: Notify::new(),
            closing: OnceLock::new(),
            closed: Notify::new(),
            uncommitted: AtomicUsize::new(0),
            window: Notify::new(),
        })
    }

    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits for the next ring; one that came meanwhile counts.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Asks the connection's task to close it. The first reason stands.
    pub fn close(&self, code: CloseCode) {
        let _ = self.closing.set(code);
        self.closed.notify_waiters();
    }

    /// Waits until somebody asked for it to be closed.
    pub async fn closed(&self) -> CloseCode {
        loop {
            // Before the look: what is rung from here on is heard.
            let rung = self.closed.notified();
            if let Some(code) = self.closing.get() {
                return *code;
            }
            rung.await;
        }
    }

    /// When to come back, in milliseconds: another delay for each connection, so that they do not
    /// all come back at once.
    #[must_use]
    pub fn reconnect_after(&self) -> Millis {
        let (start, end) = (RECONNECT_SPREAD_MS.start(), RECONNECT_SPREAD_MS.end());
        // The golden ratio's multiples spread evenly over any interval.
        let scattered = self.id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        start + scattered % (end - start + 1)
    }

    pub(super) fn published(&self) {
        self.uncommitted.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn committed(&self, messages: usize) {
        self.uncommitted.fetch_sub(messages, Ordering::AcqRel);
        self.window.notify_one();
    }

    #[must_use]
    pub fn uncommitted(&self) -> usize {
        self.uncommitted.load(Ordering::Acquire)
    }

    /// Waits until fewer than `limit` messages are uncommitted; only the connection's task may.
    pub async fn window_below(&self, limit: usize) {
        while self.uncommitted() >= limit {
            self.window.notified().await;
        }
    }
}
