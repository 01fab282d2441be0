//! The client library and the page's modules, tried in their own language: `tests/js` and
//! `tests/js/page`.

use std::path::Path;

use crate::node::{Node, PLACE, files, left_out};

const AGAIN: &str = "--test it js::";
const COMPILER: &str = "node_modules/.bin/tsc";

#[test]
fn the_client_library_keeps_its_promises() {
    let Some(node) = Node::find(AGAIN) else { return };
    if !Path::new(PLACE).join(COMPILER).exists() {
        let what = "the types of the client library need `npm ci --prefix tests/js`";
        left_out(what, AGAIN);
    }
    node.test(&[files("."), files("page")].concat());
}
