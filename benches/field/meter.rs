//! CPU time between two moments: the server's, and what was taken by neither server nor clients.

use std::fs;
use std::time::{Duration, Instant};

use super::process::{Server, TICK, cpu_of};
use crate::Failure;

/// Fields of `/proc/stat` in which a core did something: user, nice, system, and from irq to steal.
const BUSY: [usize; 6] = [0, 1, 2, 5, 6, 7];

pub struct Meter {
    at: Instant,
    server: Duration,
    own: Duration,
    busy: Duration,
}

/// What was used since.
pub struct Reading {
    pub elapsed: Duration,
    pub server: Duration,
    /// Of one core; above a few hundredths, the machine is not quiet.
    pub others: f64,
}

impl Meter {
    pub fn start(server: &Server) -> Result<Self, Failure> {
        let (server, own) = (server.usage()?.cpu, cpu_of("self")?);
        Ok(Self { at: Instant::now(), server, own, busy: busy()? })
    }

    pub fn read(&self, server: &Server) -> Result<Reading, Failure> {
        let now = Self::start(server)?;
        let (elapsed, server) = (now.at - self.at, now.server.saturating_sub(self.server));
        let known = server + now.own.saturating_sub(self.own);
        let others = now.busy.saturating_sub(self.busy).saturating_sub(known);
        Ok(Reading { elapsed, server, others: others.as_secs_f64() / elapsed.as_secs_f64() })
    }
}

/// Of all cores, since the machine began.
fn busy() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    let all = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("no CPU")?;
    let fields = all.split_whitespace().map(str::parse::<u32>).collect::<Result<Vec<_>, _>>()?;
    Ok(BUSY.iter().filter_map(|field| fields.get(*field)).map(|ticks| TICK * *ticks).sum())
}
