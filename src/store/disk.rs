//! The database's bytes: what lies between redb and the file, so that a failed sync loses nothing.
//!
//! When a sync fails, the kernel may mark the pages clean that never reached the disk: the next
//! sync succeeds, reads are answered from memory, and a power cut later takes away what everybody
//! believed to be safe. So everything written since the last good sync is kept, and after a fault
//! it is written and synced again before the database is opened on it. That makes commits of one
//! sync as safe as those of two, for a copy in memory of what a commit writes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::unsynced::Unsynced;
use crate::domain::limits::UNSYNCED_BYTES;
use crate::mutation::{self, Mutation};

/// One database's storage for as long as the store lives; redb is attached to it anew each time the
/// database is opened.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    medium: Arc<dyn StorageBackend>,
    state: Mutex<State>,
    /// A sync has failed: until everything is written again nothing may be vouched for.
    doubtful: AtomicBool,
    /// The attachment that may use it. One that was left behind, by a reader that still holds an
    /// old snapshot, may not.
    current: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Written before the last sync began, which has not succeeded yet.
    syncing: Unsynced,
    /// Written since.
    unsynced: Unsynced,
    /// The length that was set last, if that was since the last good sync.
    len: Option<u64>,
}

impl Disk {
    pub(super) fn new(medium: Arc<dyn StorageBackend>) -> Self {
        let (state, doubtful) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Shared { medium, state, doubtful, current: AtomicU64::new(0) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it has been opened.
    pub(super) fn openings(&self) -> u64 {
        self.0.current.load(Ordering::Acquire)
    }

    /// What redb opens the database on. Those attached before get errors from here on.
    ///
    /// # Errors
    /// When what an earlier fault left in doubt cannot be written and synced.
    pub(super) fn attach(&self) -> io::Result<Attached> {
        let mut state = self.state();
        let number = self.0.current.fetch_add(1, Ordering::AcqRel) + 1;
        state.begin_sync();
        if let Some(len) = state.len {
            self.0.medium.set_len(len)?;
        }
        let again = !mutation::is(Mutation::NotWrittenAgain);
        for (offset, bytes) in state.syncing.ranges().filter(|_| again) {
            self.0.medium.write(offset, bytes)?;
        }
        self.0.medium.sync_data()?;
        state.synced();
        self.0.doubtful.store(false, Ordering::Release);
        Ok(Attached { disk: self.clone(), number })
    }
}

impl State {
    fn begin_sync(&mut self) {
        let written = std::mem::take(&mut self.unsynced);
        if self.syncing.bytes() == 0 {
            self.syncing = written;
            return;
        }
        for (offset, bytes) in written.ranges() {
            self.syncing.write(offset, bytes);
        }
    }

    fn synced(&mut self) {
        self.syncing.clear();
        self.len = None;
    }
}

/// redb's view of a [`Disk`], until the next one is attached.
#[derive(Debug)]
pub(super) struct Attached {
    disk: Disk,
    number: u64,
}

impl Attached {
    fn check(&self) -> io::Result<()> {
        if self.disk.0.current.load(Ordering::Acquire) != self.number {
            return Err(io::Error::other("the database has been opened again"));
        }
        // redb does not take every failed write for the end; here it is, whoever made it.
        if self.disk.0.doubtful.load(Ordering::Acquire) {
            return Err(io::Error::other("a sync has failed"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let result = self.medium().sync_data();
        if result.is_err() {
            self.disk.0.doubtful.store(true, Ordering::Release);
        }
        result
    }

    fn medium(&self) -> &dyn StorageBackend {
        &*self.disk.0.medium
    }

    /// The lock keeps the next attachment away until it is given back.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        self.check().map(|()| state)
    }
}

impl StorageBackend for Attached {
    fn len(&self) -> io::Result<u64> {
        self.check()?;
        self.medium().len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.medium().read(offset, out)?;
        // Without the lock: reads go on beside a sync. What was read before the next attachment
        // began is as it was.
        self.check()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state()?;
        self.medium().set_len(len)?;
        state.syncing.truncate(len);
        state.unsynced.truncate(len);
        state.len = Some(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let len = {
            let mut state = self.state()?;
            state.begin_sync();
            state.len.take()
        };
        let skipped = mutation::is(Mutation::SyncDoesNothing);
        let result = if skipped { Ok(()) } else { self.sync() };
        let mut state = self.disk.state();
        if result.is_ok() {
            state.syncing.clear();
        } else {
            state.len = state.len.or(len);
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        // Syncing what no commit has named yet is always safe; but not beside another sync, whose
        // failure this one would hide. Readers come here too, when redb needs room in its cache.
        let quiet = state.syncing.bytes() == 0;
        if quiet && state.unsynced.bytes() + data.len() > UNSYNCED_BYTES {
            state.begin_sync();
            self.sync()?;
            state.synced();
        }
        state.unsynced.write(offset, data);
        self.medium().write(offset, data)
    }
}
