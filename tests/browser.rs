//! The web client in a real browser: `tests/js/browser`, driven without a window. A binary of its
//! own, so that the browser has the machine for itself.
#![expect(clippy::expect_used, reason = "what fails here fails the test")]

#[path = "it/node.rs"]
mod node;

use std::path::Path;

use node::{Node, PLACE, files, left_out};

const AGAIN: &str = "--test browser";

#[test]
fn the_page_does_in_a_browser_what_people_expect() {
    let Some(node) = Node::find(AGAIN) else { return };
    let probe = Path::new(PLACE).join("browser/probe.js");
    let output = node.command().arg(probe).output().expect("it was there a moment ago");
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stdout);
        return left_out(&format!("the tests in a browser {}", why.trim()), AGAIN);
    }
    node.test(&files("browser"));
}
