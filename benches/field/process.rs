//! A server's process, and what it uses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;

/// Linux tells times of processes in hundredths of a second, whatever the kernel counts in.
pub const TICK: Duration = Duration::from_millis(10);

/// Killed when dropped.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
}

/// What the process has used.
#[derive(Clone, Copy)]
pub struct Usage {
    pub cpu: Duration,
    /// KiB in memory now.
    pub resident: u64,
}

/// Parlor with its data in `directory`, and without limits of rates.
pub fn parlor(program: &str, directory: &Path, connections_per_user: usize) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env_clear()
        .env("PARLOR_LISTEN", "127.0.0.1:0")
        .env("PARLOR_LOG__FILTER", "error")
        .env("PARLOR_LIMITS__SIGN_INS_PER_MINUTE", "0")
        .env("PARLOR_LIMITS__MESSAGES_PER_SECOND", "0")
        .env("PARLOR_LIMITS__CONNECTIONS_PER_USER", connections_per_user.to_string());
    command
}

impl Server {
    /// Its first line of output ends with the address that it `listens on`.
    pub fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no pipe")?;
        // From here on it is killed when something fails.
        let mut server = Self { child, addr: ([0, 0, 0, 0], 0).into() };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let (_, rest) = line.split_once("listens on ").ok_or("the server does not start")?;
        server.addr = rest.split(". ").next().unwrap_or(rest).trim().parse()?;
        Ok(server)
    }

    pub fn usage(&self) -> Result<Usage, Failure> {
        let process = self.child.id().to_string();
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next());
        Ok(Usage { cpu: cpu_of(&process)?, resident: resident.ok_or("no VmRSS")?.parse()? })
    }
}

/// The CPU time of a process, user and system.
pub fn cpu_of(process: &str) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, which comes second, is in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("no process")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    Ok(TICK * ticks.sum::<Result<u32, _>>()?)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
