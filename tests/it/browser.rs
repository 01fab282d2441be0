//! The web client in a real browser: `tests/js/browser`, driven without a window.

use std::path::Path;

use crate::node::{Node, PLACE, files, left_out};

const MODULE: &str = "browser";

#[test]
fn the_page_does_in_a_browser_what_people_expect() {
    let Some(node) = Node::find(MODULE) else { return };
    let probe = Path::new(PLACE).join("browser/probe.js");
    let output = node.command().arg(probe).output().expect("it was there a moment ago");
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stdout);
        return left_out(&format!("the tests in a browser {}", why.trim()), MODULE);
    }
    node.test(&files("browser"));
}
