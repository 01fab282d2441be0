//! The client library and the page's modules, tried in their own language: `tests/js` and
//! `tests/js/page`.

use std::path::Path;
use std::process::Command;

use crate::node::{Node, PLACE, files, left_out};

const AGAIN: &str = "--test it js::";
const COMPILER: &str = "node_modules/.bin/tsc";
const BUN: &str = "node_modules/.bin/bun";
/// These try what is made for the compiler and the registry, which is the same everywhere.
const FOR_NODE_ALONE: [&str; 3] = ["declared.test.js", "package.test.js", "types.test.js"];
/// A test of connections that are cut a thousand times takes longer than the usual 5 s.
const BUN_TIMEOUT_MS: &str = "180000";

#[test]
fn the_client_library_keeps_its_promises() {
    let Some(node) = Node::find(AGAIN) else { return };
    if !Path::new(PLACE).join(COMPILER).exists() {
        let what = "the types of the client library need `npm ci --prefix tests/js`";
        left_out(what, AGAIN);
    }
    node.test(&[files("."), files("page")].concat());
}

#[test]
fn the_client_library_keeps_its_promises_under_bun() {
    let bun = Path::new(PLACE).join(BUN);
    if !bun.exists() {
        left_out("the client library under Bun needs `npm ci --prefix tests/js`", AGAIN);
        return;
    }
    let mut files = files(".");
    files.retain(|file| !FOR_NODE_ALONE.iter().any(|name| file.ends_with(name)));
    let mut command = Command::new(bun);
    command.args(["test", "--timeout", BUN_TIMEOUT_MS]).args(files);
    command.env("PARLOR_BIN", env!("CARGO_BIN_EXE_parlor"));
    let output = command.output().expect("it was there a moment ago");
    let report = String::from_utf8_lossy(&output.stderr);
    let passed = report.lines().any(|line| line.trim_end().ends_with(" pass"));
    assert!(output.status.success() && passed, "{report}");
}
