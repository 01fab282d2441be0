//! What processes of this machine use, and whether this one keeps its own time.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::delays::Gathered;
use super::run::micros;

/// Linux tells times of processes in hundredths of a second, whatever the kernel counts in.
const TICK: Duration = Duration::from_millis(10);
/// How often it is tried whether a timer rings in time.
const BEAT: Duration = Duration::from_millis(10);

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub cpu: Duration,
    /// KiB in memory now.
    pub resident: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self, String> {
        Self::read(&Path::new("/proc").join(pid.to_string()))
    }

    pub fn own() -> Result<Self, String> {
        Self::read(Path::new("/proc/self"))
    }

    fn read(process: &Path) -> Result<Self, String> {
        let file = |name: &str| {
            let path = process.join(name);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let odd = || format!("{} tells something else than expected", process.display());
        parse(&file("stat")?, &file("status")?).ok_or_else(odd)
    }
}

/// Of the files `stat` and `status` of a process.
fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The name, which comes second, is in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>().ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident = resident.split_whitespace().next()?.parse().ok()?;
    Some(Usage { cpu: TICK * ticks, resident })
}

/// Sets itself timers until it is dropped, and notes by how many microseconds each rang late.
pub async fn watch_timers(late: &mut Gathered) {
    loop {
        let due = Instant::now() + BEAT;
        tokio::time::sleep_until(due).await;
        late.record(micros(due.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_memory_are_found_whatever_the_process_is_called() {
        let stat = "42 (a) b c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        let status = "Name:\ta\nVmHWM:\t  900 kB\nVmRSS:\t  800 kB\n";
        let expected = Usage { cpu: Duration::from_secs(3), resident: 800 };
        assert_eq!(parse(stat, status), Some(expected));
        assert_eq!(parse(stat, "Name:\ta\n"), None);
        assert_eq!(parse("42", status), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        let said = Usage::of(u32::MAX).unwrap_err();
        assert!(said.starts_with("/proc/4294967295/stat: "), "{said}");
        assert!(Usage::own().unwrap().resident > 0);
    }
}
