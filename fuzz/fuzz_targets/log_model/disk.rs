//! A file in memory that tears what was not synced, and fails or ends the process when told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Sync,
    SetLen,
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// So many accesses in a row fail.
    Fails(u8),
    /// The process is gone from here on.
    Dies,
}

#[derive(Debug, Clone)]
enum Change {
    Bytes(usize, Vec<u8>),
    Len(usize),
}

#[derive(Debug, Default)]
struct State {
    cached: Vec<u8>,
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// Since the last sync.
    changes: Vec<Change>,
    /// At the access of this kind that comes after so many others.
    planned: Option<(Access, u8, Fault)>,
    dead: bool,
    troubled: bool,
}

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub fn holding(image: &[u8]) -> Self {
        let (cached, durable) = (image.to_vec(), image.to_vec());
        Self(Arc::new(Mutex::new(State { cached, durable, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics in here")
    }

    pub fn image(&self) -> Vec<u8> {
        self.state().durable.clone()
    }

    pub fn plan(&self, access: Access, after: u8, fault: Fault) {
        self.state().planned = Some((access, after, fault));
    }

    pub fn heal(&self) {
        self.state().planned = None;
    }

    /// Whatever is left of the process has no effect any more.
    pub fn die(&self) {
        self.state().dead = true;
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Whether an access has failed since this was last forgotten.
    pub fn is_troubled(&self) -> bool {
        self.state().troubled
    }

    pub fn forget_trouble(&self) {
        self.state().troubled = false;
    }

    /// The next process finds what a crash left: of what was not synced nothing (0), everything
    /// (1), or some sectors.
    pub fn restart(&self, survivors: u8) {
        let mut state = self.state();
        if survivors > 0 {
            state.flush(survivors);
        }
        *state = State {
            cached: state.durable.clone(),
            durable: std::mem::take(&mut state.durable),
            planned: state.planned,
            ..State::default()
        };
    }
}

impl State {
    /// Brings some sectors (1: all) of what was written to the disk, forgets the others, and what
    /// was done to the length.
    fn flush(&mut self, survivors: u8) {
        for (number, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            let (offset, data) = match change {
                Change::Len(len) => {
                    self.durable.resize(len, 0);
                    continue;
                }
                Change::Bytes(offset, data) => (offset, data),
            };
            for (start, sector) in (offset..).step_by(SECTOR).zip(data.chunks(SECTOR)) {
                let place = self.durable.get_mut(start..start + sector.len());
                if let Some(place) = place.filter(|_| survives(survivors, number, start)) {
                    place.copy_from_slice(sector);
                }
            }
        }
    }

    fn access(&mut self, access: Access) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the process is gone"));
        }
        let Some((_, after, fault)) = self.planned.as_mut().filter(|plan| plan.0 == access) else {
            return Ok(());
        };
        if *after > 0 {
            *after -= 1;
            return Ok(());
        }
        match fault {
            Fault::Fails(times @ 2..) => *times -= 1,
            Fault::Fails(_) => self.planned = None,
            Fault::Dies => (self.dead, self.planned) = (true, None),
        }
        self.troubled = true;
        Err(io::Error::other("planned"))
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        self.cached[offset..offset + data.len()].copy_from_slice(data);
        self.changes.push(Change::Bytes(offset, data.to_vec()));
    }
}

fn survives(survivors: u8, number: usize, start: usize) -> bool {
    let mixed = (number * 31 + start / SECTOR) * 2_654_435_761 * usize::from(survivors);
    survivors == 1 || (mixed >> 16) & 1 == 1
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.access(Access::Read)?;
        let start = index(offset);
        let found = state.cached.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.access(Access::SetLen)?;
        state.cached.resize(index(len), 0);
        state.changes.push(Change::Len(index(len)));
        Ok(())
    }

    /// When it fails, the kernel takes what it has for clean: reads see it, no later sync writes
    /// it, and a crash takes it away.
    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        let result = state.access(Access::Sync);
        if result.is_ok() {
            state.flush(1);
        } else if !state.dead {
            let some = 2 + u8::try_from(state.changes.len() % 7).expect("below 7");
            state.flush(some);
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let result = state.access(Access::Write);
        let whole = if result.is_ok() { data.len() } else { data.len() / 2 };
        if result.is_ok() || !state.dead {
            state.write(index(offset), &data[..whole]);
        }
        result
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a small file")
}
