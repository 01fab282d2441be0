//! Tests in JavaScript: run by Node, with the binary that is being tested, or left out aloud.
//!
//! They are not ignored by an attribute: whoever has what they need gets them with plain
//! `cargo test`, and `JS_TESTS=required` makes them a must.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/js");
/// With `required`, what cannot run fails.
const VARIABLE: &str = "JS_TESTS";
/// The oldest that is meant to work.
const OLDEST: (u32, u32) = (20, 10);
/// Which versions before 22 need in order to have a WebSocket.
const WEBSOCKET: &str = "--experimental-websocket";
/// Whose lines are worth reading also if all is well.
const REPORTS: [&str; 4] = ["# cuts", "# simulation", "# history", "# LEFT OUT"];

/// A Node that is there and new enough.
pub struct Node {
    version: (u32, u32),
}

impl Node {
    /// `None`, and said aloud, where there is none; `again` as for [`left_out`].
    pub fn find(again: &str) -> Option<Self> {
        let version = version().filter(|&version| version >= OLDEST);
        if version.is_none() {
            let (major, minor) = OLDEST;
            let what = format!("the tests in JavaScript need Node {major}.{minor} or newer");
            left_out(&what, again);
        }
        version.map(|version| Self { version })
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new("node");
        if self.version.0 < 22 {
            command.arg(WEBSOCKET);
        }
        command.env("PARLOR_BIN", env!("CARGO_BIN_EXE_parlor"));
        command
    }

    /// Runs these files of tests; what they print is shown if one fails.
    pub fn test(&self, files: &[PathBuf]) {
        let mut command = self.command();
        let output = command.args(["--test", "--test-reporter=tap"]).args(files).output();
        let output = output.expect("it was there a moment ago");
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}\n{err}");
        let count = |name: &str| -> u32 {
            let line = out.lines().rev().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_default()
        };
        assert!(count("# pass ") > 0, "{out}\n{err}");
        // What was met by chance, what was measured, and the seeds.
        for line in out.lines().map(str::trim_start) {
            if REPORTS.iter().any(|name| line.starts_with(name)) {
                say(line);
            }
        }
    }
}

fn version() -> Option<(u32, u32)> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let mut parts = version.trim().strip_prefix('v')?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// The files of tests in a directory below `tests/js`, one by one: versions differ in what they
/// make of a directory.
pub fn files(directory: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(PLACE).join(directory)).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> =
        paths.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    assert!(!found.is_empty());
    found.sort();
    found
}

/// `again` are the arguments of `cargo test` for these tests alone.
pub fn left_out(what: &str, again: &str) {
    let what = format!("LEFT OUT: {what}; then run `cargo test {again}` again");
    assert_ne!(std::env::var(VARIABLE).as_deref(), Ok("required"), "{what}");
    say(&what);
}

/// Not by `println!`, which the tests' own harness would swallow.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
