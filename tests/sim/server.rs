//! One process: the real writer, hub and use cases over the simulated disk, each moved by hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlor::app::{App, Parts, Settings, Signup};
use parlor::auth::Origins;
use parlor::clock::Clock;
use parlor::domain::{Delivery, Limits, LogId};
use parlor::hub::{BlockLimits, Hub, Lane, LaneOptions, LaneStep};
use parlor::metrics::Metrics;
use parlor::store::{
    CommitMode, Committed, DrivenWriter, Medium, NewDatabase, OpenError, Opened, PageSize, Place,
    ReadError, Reader, StoreOptions, WriteQueue, Writer,
};

use crate::disk::Disk;

/// A few messages make many blocks of the log.
const SMALL_BLOCKS: BlockLimits = BlockLimits {
    block: PageSize { events: 6, bytes: 400 },
    align: 4,
    kept_bytes: 6_000,
    pinned_bytes: 3_000,
    lone_bytes: 100,
};

/// Two riders are a crowd.
const SMALL_LANES: LaneOptions =
    LaneOptions { most: 2, crowd: 2, held_bytes: 3_000, held_bytes_total: 5_000 };

/// The database's name.
pub const LOG: LogId = LogId(7);

/// What outlives a process.
#[derive(Debug, Clone)]
pub struct Site {
    pub disk: Disk,
    pub stop_mark: Arc<Mutex<String>>,
    pub cache_bytes: usize,
    pub limits: Limits,
    pub clock: Clock,
}

pub struct Server {
    writer: DrivenWriter,
    queue: WriteQueue,
    pub app: Arc<App>,
    pub reader: Reader,
    pub lanes: Vec<Lane>,
    /// Commits of which the live side has not been told.
    pub untold: VecDeque<Committed>,
    /// The last thing that the writer did has failed.
    pub failing: bool,
}

impl Server {
    pub fn open(place: &Site) -> Result<(Self, Opened), OpenError> {
        let medium =
            Medium { bytes: Arc::new(place.disk.clone()), stop_mark: Arc::clone(&place.stop_mark) };
        let options = StoreOptions {
            place: Place::Medium(medium),
            cache_bytes: place.cache_bytes,
            commit: CommitMode::default(),
        };
        let new = NewDatabase { log: LOG, secret: [7; 32] };
        let (writer, reader, opened) = Writer::open(&options, &new)?;
        let reader = reader.driven();
        let metrics = Metrics::new();
        let (writer, queue, health) = DrivenWriter::new(writer, &place.limits, &metrics);
        let (boot, limits) = (opened.boot, &place.limits);
        let (blocks, lanes) = (SMALL_BLOCKS, SMALL_LANES);
        let (log, queued) = (reader.clone(), queue.clone());
        let hub = Hub::with_options(log, queued, boot, limits, &metrics, blocks, lanes);
        let parts = Parts {
            hub,
            clock: place.clock.clone(),
            reader: reader.clone(),
            queue: queue.clone(),
            health,
            token_secret: opened.secret.clone(),
        };
        let settings = Settings {
            limits: place.limits.clone(),
            log: opened.log,
            delivery: Delivery::Immediate,
            signup: Signup::Open,
            token_ttl: Duration::from_mins(1),
            origins: Origins::default(),
            setup_code: None,
        };
        let app = App::new(parts, settings);
        let (untold, lanes) = (VecDeque::new(), Vec::new());
        Ok((Self { writer, queue, app, reader, lanes, untold, failing: false }, opened))
    }

    /// Commits what waits, or opens the database again after a fault. Whether there was anything.
    pub fn turn(&mut self) -> Result<bool, ReadError> {
        let Self { writer, untold, failing, .. } = self;
        let mut told = |committed| untold.push_back(committed);
        let result = if *failing {
            writer.recover(&mut told).map(|()| true)
        } else {
            writer.turn(&mut told)
        };
        *failing = result.is_err();
        result
    }

    pub fn rest(&mut self) {
        if !self.failing {
            self.failing = self.writer.rest().is_err();
        }
    }

    /// Tells the live side of the next commit. `false`: there is none.
    pub fn tell(&mut self) -> bool {
        let Some(committed) = self.untold.pop_front() else { return false };
        self.app.hub.committed(&committed);
        true
    }

    /// One step of a lane. `false`: it has nothing to do.
    pub fn step_lane(&mut self, lane: usize) -> bool {
        match self.lanes[lane].step() {
            LaneStep::More => return true,
            LaneStep::Idle => {}
            LaneStep::Ended => drop(self.lanes.swap_remove(lane)),
        }
        false
    }

    /// Nothing is taken any more.
    pub fn close_queue(&self) {
        self.queue.close();
    }

    pub fn submit(&self, command: parlor::store::Command) {
        self.queue.submit(command).unwrap();
    }

    /// The clean mark. `false`: it was not written.
    pub fn close(self) -> bool {
        self.writer.close().is_ok()
    }
}
