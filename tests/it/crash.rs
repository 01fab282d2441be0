//! What a power cut leaves: the files as they are on disk at one moment, given to a new server.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::listening::{seqs, texts};
use crate::support::{Parlor, Person};

pub fn copy(data: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(data).expect("a directory") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    copy
}

#[tokio::test]
async fn what_was_acknowledged_is_on_disk() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Parlor::start_at(data.path(), |_| {}).await;
    let ann = server.person("ann").await;
    let room = ann.room("General").await;
    let mut socket = ann.enter(room).await;
    for round in 1..=3 {
        let count = round * 20;
        for n in count - 20..count {
            socket.chat_with_id(room, &format!("m{n}"), &format!("c{n:02}")).await;
        }
        for _ in 0..20 {
            socket.find("ack").await;
        }
        let crashed = copy(data.path());
        let again = Parlor::start_at(crashed.path(), |_| {}).await;
        let stored = ann.at(again.addr).history(room).await;
        assert_eq!(stored.len(), count, "all that was acknowledged, nothing twice");
        let mut socket = ann.at(again.addr).enter(room).await;
        socket.chat_with_id(room, "m0", "c00").await;
        assert_eq!(socket.find("ack").await["duplicate"], true, "ids as well");
        socket.close().await;
        again.stop().await;
    }
}

/// A room of two messages after a power cut that took back the third.
pub struct TakenBack {
    _server: Parlor,
    _data: TempDir,
    pub ann: Person,
    pub room: u64,
    /// The seq of the third, which was heard.
    pub lost: u64,
}

impl TakenBack {
    pub async fn start() -> Self {
        let before = tempfile::tempdir().expect("a directory");
        let server = Parlor::start_at(before.path(), |_| {}).await;
        let ann = server.person("ann").await;
        let room = ann.room("General").await;
        ann.say(room, "one").await;
        ann.say(room, "two").await;
        let data = copy(before.path());
        let lost = ann.say(room, "lost").await;
        server.stop().await;
        let server = Parlor::start_at(data.path(), |_| {}).await;
        Self { ann: ann.at(server.addr), _server: server, _data: data, room, lost }
    }
}

#[tokio::test]
async fn seqs_that_were_heard_are_not_given_again() {
    let crash = TakenBack::start().await;
    let (ann, room, lost) = (&crash.ann, crash.room, crash.lost);
    let mut socket = ann.connect().await;
    assert_eq!(socket.join_after(room, lost).await["head"], 2, "less than what was asked for");
    socket.chat(room, "next").await;
    let live = socket.find("chat").await;
    assert!(live["seq"].as_u64() > Some(lost), "{live}");
    assert_eq!(live["prev"], 2);
    socket.chat(room, "and on").await;
    let on = socket.find("chat").await;
    assert_eq!(on["seq"].as_u64(), live["seq"].as_u64().map(|seq| seq + 1));
    assert_eq!(on.get("prev"), None, "only the first after the jump");
    let mut other = ann.connect().await;
    let joined = other.join_after(room, 0).await;
    assert_eq!((&joined["head"], &joined["count"]), (&on["seq"], &json!(4)));
    let caught = other.chats(4).await;
    assert_eq!(texts(&caught), ["one", "two", "next", "and on"]);
    assert_eq!(caught[2], live);
    let stored = ann.history(room).await;
    assert_eq!((seqs(&stored), &stored[2]["prev"]), (seqs(&caught), &json!(2)));
    // A cursor within the jump: what is held there is discarded by `prev`, and nothing is missed.
    let mut within = ann.connect().await;
    within.join_after(room, lost).await;
    assert_eq!(within.chats(2).await, caught[2..]);
}
