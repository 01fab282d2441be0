//! The disk's own speed: one block written and synced, again and again.

use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The times of `count` syncs of 4 KiB in `directory`.
pub fn fdatasyncs(directory: &Path, count: usize) -> std::io::Result<Vec<Duration>> {
    let path = directory.join("fdatasync.tmp");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let block = [number.to_le_bytes()[0]; 4096];
        let began = Instant::now();
        file.rewind()?;
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(times)
}

/// The value that `percent` of `times` do not exceed.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}
