//! The tests of the client library and of the page are in their own language, in `tests/js`: here
//! they are run, with the binary that is being tested.
//!
//! Where they cannot run they are left out aloud, and not ignored by an attribute: whoever has what
//! they need gets them with plain `cargo test`, and `JS_TESTS=required` makes them a must.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// With `required`, what cannot run fails.
const VARIABLE: &str = "JS_TESTS";
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/js");
/// The oldest that is meant to work.
const NODE: (u32, u32) = (20, 10);
/// Which versions before 22 need in order to have a WebSocket.
const WEBSOCKET: &str = "--experimental-websocket";
/// Whose lines are worth reading also if all is well.
const REPORTS: [&str; 3] = ["# cuts", "# simulation", "# LEFT OUT"];
const COMPILER: &str = "node_modules/.bin/tsc";

#[test]
fn the_client_library_keeps_its_promises() {
    let Some(node) = node() else {
        let (major, minor) = NODE;
        return left_out(&format!("all of tests/js needs Node {major}.{minor} or newer"));
    };
    if !Path::new(PLACE).join(COMPILER).exists() {
        left_out("the types of the client library need `npm ci --prefix tests/js`");
    }
    let mut command = Command::new("node");
    if node.0 < 22 {
        command.arg(WEBSOCKET);
    }
    let output = command
        .args(["--test", "--test-reporter=tap"])
        .args(files())
        .env("PARLOR_BIN", env!("CARGO_BIN_EXE_parlor"))
        .output()
        .expect("it was there a moment ago");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let count = |name: &str| -> u32 {
        let line = out.lines().rev().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_default()
    };
    assert!(count("# pass ") > 0, "{out}\n{err}");
    // What was met by chance, and the seeds.
    for line in out.lines().filter(|line| REPORTS.iter().any(|name| line.starts_with(name))) {
        say(line);
    }
}

/// Its version, if it is there and new enough.
fn node() -> Option<(u32, u32)> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let mut parts = version.trim().strip_prefix('v')?.split('.').map(str::parse);
    let version = (parts.next()?.ok()?, parts.next()?.ok()?);
    (version >= NODE).then_some(version)
}

/// One by one: versions differ in what they make of a directory. The library's, then the page's.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for place in [Path::new(PLACE), &Path::new(PLACE).join("page")] {
        let entries = std::fs::read_dir(place).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut found: Vec<_> =
            paths.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
        assert!(!found.is_empty());
        found.sort();
        files.append(&mut found);
    }
    files
}

fn left_out(what: &str) {
    let what = format!("LEFT OUT: {what}; then run `cargo test --test it js::` again");
    assert_ne!(std::env::var(VARIABLE).as_deref(), Ok("required"), "{what}");
    say(&what);
}

/// Not by `println!`, which the tests' own harness would swallow.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
