//! What a client holds of a room. It follows the protocol's rules for a client and no others.

use std::collections::BTreeMap;

use parlor::domain::Seq;

use crate::model::Text;

#[derive(Debug, Default)]
pub struct View {
    pub cursor: Seq,
    /// Where it begins: what came before was never asked for.
    pub from: Seq,
    pub held: BTreeMap<Seq, Text>,
    /// Nobody hears anything of the room before it is on disk.
    pub holds_back: bool,
}

impl View {
    /// Gives how many ghosts it discards.
    pub fn joined(&mut self, after: Option<Seq>, head: Seq) -> usize {
        let Some(after) = after else {
            *self = Self { cursor: head, from: head, ..Self::default() };
            return 0;
        };
        let at = after.min(head);
        if at > self.cursor {
            // It asked from where it stood then; the answer to an earlier join has put it back
            // since, and what followed that one does not come any more.
            self.held.clear();
            self.from = at;
        }
        self.cursor = at;
        self.from = self.from.min(self.cursor);
        // What it read of an earlier join since it asked for this one comes again.
        let cursor = self.cursor;
        let discarded = self.held.split_off(&(cursor + 1));
        if head < after { discarded.len() } else { 0 }
    }

    /// Gives how many messages it discards.
    pub fn chat(&mut self, seq: Seq, prev: Option<Seq>, text: Text) -> usize {
        let cursor = self.cursor;
        assert!(seq > cursor, "{seq} came behind {cursor}");
        let before = self.held.len();
        match prev {
            None => assert_eq!(seq, cursor + 1, "something is missing in between"),
            Some(prev) => {
                assert!(prev <= cursor, "{seq} follows {prev}, which did not come: {cursor}");
                self.held.retain(|held, _| *held <= prev || *held >= seq);
            }
        }
        let discarded = before - self.held.len();
        self.held.insert(seq, text);
        self.cursor = seq;
        discarded
    }
}
