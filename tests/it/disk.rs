//! Disks that fail a real process: one that is small and full, and one on which no file may grow.
//!
//! The small one is a file system of its own, mounted by a process that holds it in a mount
//! namespace and from which it goes away. It is reached from outside through `/proc`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

use crate::process::Program;

/// With `required`, a test that needs a mount fails where it is not permitted.
const VARIABLE: &str = "DISK_TESTS";
/// Enough for a database and some hundred large messages.
const BYTES: u64 = 6 * 1024 * 1024;
const FILLER: &str = "filler";

/// A small file system.
pub struct SmallDisk {
    holder: Child,
    _mount_point: TempDir,
    path: PathBuf,
}

impl SmallDisk {
    /// `None`: mounting is not permitted here, which has been said aloud.
    pub fn mount(test: &str) -> Option<Self> {
        // An unprivileged user may mount in a namespace of its own, unless the system forbids it;
        // a container's root sometimes may only without.
        let reasons = match Self::mount_by(&["--user", "--map-root-user", "--mount"]) {
            Ok(disk) => return Some(disk),
            Err(reason) => match Self::mount_by(&["--mount"]) {
                Ok(disk) => return Some(disk),
                Err(other) => format!("{reason}; {other}"),
            },
        };
        let what = format!("LEFT OUT: {test}, because no file system can be mounted: {reasons}");
        assert_ne!(std::env::var(VARIABLE).as_deref(), Ok("required"), "{what}");
        // Not by `println!`, which the tests' own harness would swallow.
        let _ = writeln!(std::io::stderr(), "{what}");
        None
    }

    fn mount_by(unshare: &[&str]) -> Result<Self, String> {
        const SCRIPT: &str =
            r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && read -r _"#;
        let mount_point = tempfile::tempdir().expect("a directory");
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", SCRIPT, "sh", &BYTES.to_string()])
            .arg(mount_point.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let out = holder.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a text");
        if line != "mounted\n" {
            let output = holder.wait_with_output().expect("a child");
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let inside = mount_point.path().strip_prefix("/").expect("an absolute path");
        let path = Path::new("/proc").join(holder.id().to_string()).join("root").join(inside);
        Ok(Self { holder, _mount_point: mount_point, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes what space is left.
    pub fn fill(&self) {
        let mut filler = File::create(self.path.join(FILLER)).expect("a file");
        let full = loop {
            if let Err(error) = filler.write_all(&[1; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    /// Gives it back.
    pub fn free(&self) {
        std::fs::remove_file(self.path.join(FILLER)).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// From now on no file of the process may be written at or behind this offset; `None`: any may.
/// The process must have been started so that it ignores the signal that comes with it.
pub fn limit_files(program: &Program, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    let pid = Pid::from_raw(program.id()).expect("an id");
    prlimit(Some(pid), Resource::Fsize, limit).expect("a limit of one's own process");
}
