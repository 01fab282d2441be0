//! Which cores the server has, and which this process.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::Failure;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// The server has one, and this process another; where there is one only, they share it.
    OneEach,
    /// Both have all.
    Shared,
}

/// The cores that this process has at its start.
pub struct Machine(CpuSet);

impl Machine {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self(sched_getaffinity(Pid::from_raw(0))?))
    }

    /// Starts a server on its cores, and puts this thread on its own.
    pub fn start<T>(
        &self,
        cores: Cores,
        start: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let place = |set: &CpuSet| sched_setaffinity(Pid::from_raw(0), set);
        let mut all = (0..CpuSet::count()).filter(|core| self.0.is_set(*core) == Ok(true));
        let (Cores::OneEach, Some(servers), Some(ours)) = (cores, all.next(), all.next()) else {
            place(&self.0)?;
            return start();
        };
        let only = |core: usize| {
            let mut set = CpuSet::new();
            set.set(core).map(|()| set)
        };
        // A child is where its parent was when it began.
        place(&only(servers)?)?;
        let server = start();
        place(&only(ours)?)?;
        server
    }
}
