//! The disk under the server: it does as it is told until a fault that was planned comes due.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::dice::Dice;
use crate::kernel::Kernel;

/// What is asked of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Read,
    Write,
    Sync,
    SetLen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed; what the kernel has, it keeps.
    Kill,
    PowerCut,
    /// This access fails, and so many of its kind behind it.
    Fails(u32),
    /// No room, until some is made.
    Full,
}

/// A fault at the access of this kind that comes after so many others.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub access: Access,
    pub after: u32,
    pub fault: Fault,
}

/// Clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    kernel: Kernel,
    dice: Dice,
    plan: Option<Plan>,
    failing: Option<(Access, u32)>,
    full: bool,
    /// The process that uses it is gone: nothing that is left of it has any effect.
    dead: bool,
    /// Nothing fails while the checks look at the database.
    spared: bool,
    faults: Vec<Access>,
    /// Everything that was asked of it, in a number.
    trace: u64,
}

/// What an access that was not simply done is to do.
enum Denied {
    Error(io::Error),
    /// The first bytes are written, then an error.
    Part(io::Error),
    FailedSync(io::Error),
}

impl From<Denied> for io::Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Error(error) | Denied::Part(error) | Denied::FailedSync(error) => error,
        }
    }
}

impl Disk {
    pub fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(State {
            kernel: Kernel::default(),
            dice,
            plan: None,
            failing: None,
            full: false,
            dead: false,
            spared: false,
            faults: Vec::new(),
            trace: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn plan(&self, plan: Plan) {
        self.state().plan = Some(plan);
    }

    /// Nothing fails any more, and there is room.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.plan, state.failing, state.full) = (None, None, false);
    }

    /// Whether the process has been ended by a fault.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Kinds of accesses that have failed since this was last asked.
    pub fn take_faults(&self) -> Vec<Access> {
        std::mem::take(&mut self.state().faults)
    }

    pub fn is_failing(&self) -> bool {
        let state = self.state();
        state.failing.is_some() || state.full
    }

    /// From here on the process that used it has no effect.
    pub fn kill(&self) {
        self.state().dead = true;
    }

    pub fn power_cut(&self) {
        self.state().cut();
    }

    /// Before the next process opens it. After a power cut this changes nothing.
    pub fn restart(&self) {
        let mut state = self.state();
        state.dead = false;
        state.plan = None;
        let State { kernel, dice, .. } = &mut *state;
        if dice.one_in(8) {
            // A start that is refused, and another.
            kernel.fail_sync(dice);
        }
        kernel.forget_cached();
    }

    pub fn spare<T>(&self, look: impl FnOnce() -> T) -> T {
        self.state().spared = true;
        let seen = look();
        self.state().spared = false;
        seen
    }

    pub fn trace(&self) -> u64 {
        self.state().trace
    }
}

impl State {
    fn cut(&mut self) {
        self.kernel.power_cut(&mut self.dice);
        self.dead = true;
    }

    fn note(&mut self, access: Access, what: u64) {
        self.trace = (self.trace ^ what ^ (access as u64) << 60).wrapping_mul(0x0100_0000_01B3);
    }

    fn access(&mut self, access: Access, needs_room: bool) -> Result<(), Denied> {
        if self.dead {
            return Err(Denied::Error(io::Error::other("the process is gone")));
        }
        if self.spared {
            return Ok(());
        }
        self.trigger(access)?;
        if self.full && needs_room {
            self.faults.push(access);
            return Err(Denied::Part(io::ErrorKind::StorageFull.into()));
        }
        match &mut self.failing {
            Some((kind, left)) if *kind == access => {
                *left -= 1;
                if *left == 0 {
                    self.failing = None;
                }
                self.faults.push(access);
                let error = io::Error::other("the disk fails");
                Err(match access {
                    Access::Write => Denied::Part(error),
                    Access::Sync => Denied::FailedSync(error),
                    Access::Read | Access::SetLen => Denied::Error(error),
                })
            }
            _ => Ok(()),
        }
    }

    fn trigger(&mut self, access: Access) -> Result<(), Denied> {
        let Some(plan) = &mut self.plan else { return Ok(()) };
        if plan.access != access {
            return Ok(());
        }
        if plan.after > 0 {
            plan.after -= 1;
            return Ok(());
        }
        let fault = plan.fault;
        self.plan = None;
        match fault {
            Fault::Kill => self.dead = true,
            Fault::PowerCut => self.cut(),
            Fault::Fails(more) => self.failing = Some((access, more + 1)),
            Fault::Full => self.full = true,
        }
        if self.dead {
            return Err(Denied::Error(io::Error::other("the process is gone")));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().kernel.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.access(Access::Read, false)?;
        if state.kernel.read(index(offset), out) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        let grows = index(len) > state.kernel.len();
        state.access(Access::SetLen, grows)?;
        state.note(Access::SetLen, len);
        state.kernel.set_len(index(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        let allowed = state.access(Access::Sync, false);
        state.note(Access::Sync, u64::from(allowed.is_ok()));
        match allowed {
            Ok(()) => state.kernel.sync(),
            Err(Denied::FailedSync(error)) => {
                let State { kernel, dice, .. } = &mut *state;
                kernel.fail_sync(dice);
                return Err(error);
            }
            Err(denied) => return Err(denied.into()),
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let needs_room = state.kernel.needs_room(index(offset), data.len());
        let allowed = state.access(Access::Write, needs_room);
        state.note(Access::Write, offset ^ (data.len() as u64) << 40);
        match allowed {
            Ok(()) => state.kernel.write(index(offset), data),
            Err(Denied::Part(error)) => {
                let part = state.dice.below(data.len() + 1);
                state.kernel.write(index(offset), &data[..part]);
                return Err(error);
            }
            Err(denied) => return Err(denied.into()),
        }
        Ok(())
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}
