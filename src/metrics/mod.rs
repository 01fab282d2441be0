//! What the server counts and measures of itself, for its operator.
//!
//! There is no global: whoever records is handed [`Metrics`]. Recording is an addition or two to
//! relaxed atomics, without a lock or an allocation, so that a message can afford it. What somebody
//! knows already (the length of a queue, a budget) is not counted here again; it comes with the
//! [`Readings`] when the page is asked for.

mod histogram;
mod page;

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::protocol::{CloseCode, ErrorCode};

pub use histogram::Histogram;
pub use page::{Format, Readings};

/// Everything that is recorded, since the process started.
#[derive(Debug)]
pub struct Metrics {
    /// From a message's publication until its sender has its ack, or its response over HTTP.
    pub publish_to_ack: Histogram,
    /// From a message's publication until the last member on a lane was given it; one value for
    /// what a lane hands out together.
    pub publish_to_last_send: Histogram,
    pub commit: Histogram,
    /// Messages in a commit.
    pub commit_messages: Histogram,
    /// How often storage began to fail.
    pub storage_faults: Counter,
    /// Members that hear a room as it goes, and those that are served from its log.
    pub members_live: Gauge,
    pub members_catching_up: Gauge,
    /// Joins that named a place in the log.
    pub resumes: Counter,
    /// Live members that did not keep up and went back to the log.
    pub fallen_behind: Counter,
    /// Ends of a WebSocket, by the code that the server gave it.
    closes: [Counter; CloseCode::ALL.len()],
    /// Those that came from the client.
    closes_by_client: Counter,
    /// Frames and requests refused, by the error's code.
    refusals: [Counter; ErrorCode::ALL.len()],
    /// Responses over HTTP by the first digit of their status, from 1 to 5.
    responses: [Counter; 5],
}

impl Metrics {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            publish_to_ack: Histogram::of_durations(),
            publish_to_last_send: Histogram::of_durations(),
            commit: Histogram::of_durations(),
            commit_messages: Histogram::of_sizes(),
            storage_faults: Counter::default(),
            members_live: Gauge::default(),
            members_catching_up: Gauge::default(),
            resumes: Counter::default(),
            fallen_behind: Counter::default(),
            closes: Default::default(),
            closes_by_client: Counter::default(),
            refusals: std::array::from_fn(|_| Counter::default()),
            responses: Default::default(),
        })
    }

    /// A WebSocket ended, with this code; `None`: its client ended it, with a close frame or by
    /// going away.
    pub fn closed(&self, code: Option<CloseCode>) {
        match code {
            Some(code) => self.closes[code as usize].inc(),
            None => self.closes_by_client.inc(),
        };
    }

    /// A frame or a request was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refusals[code as usize].inc();
    }

    /// A request was answered.
    pub fn answered(&self, status: u16) {
        if let Some(counter) = self.responses.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.inc();
        }
    }

    /// A member moves between hearing a room as it goes and being served from its log.
    pub fn member_moved(&self, was_live: bool, is_live: bool) {
        if was_live != is_live {
            self.member_left(was_live);
            self.member_came(is_live);
        }
    }

    pub fn member_came(&self, live: bool) {
        self.members(live).inc();
    }

    pub fn member_left(&self, live: bool) {
        self.members(live).dec();
    }

    fn members(&self, live: bool) -> &Gauge {
        if live { &self.members_live } else { &self.members_catching_up }
    }
}
