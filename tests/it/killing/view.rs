//! What a client holds of one room, by the protocol's rules and no other knowledge.

use std::collections::BTreeMap;

use serde_json::Value;

/// A room's messages and the one number that goes with them.
#[derive(Debug, Default)]
pub struct View {
    /// `None` until it has joined for the first time.
    pub cursor: Option<u64>,
    /// It holds what came after this seq: 0, or the head when it came without `after`.
    pub start: u64,
    pub held: BTreeMap<u64, String>,
    /// It has thrown everything away and not begun anew yet.
    forgotten: bool,
    /// Messages thrown away because they were lost.
    pub discarded: usize,
}

/// A message as a `chat` frame or a page tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub prev: Option<u64>,
    pub text: String,
}

impl Entry {
    pub fn of(frame: &Value) -> Self {
        Self {
            seq: frame["seq"].as_u64().expect("a seq"),
            prev: frame["prev"].as_u64(),
            text: frame["message"].as_str().expect("a text").to_owned(),
        }
    }

    /// Whether this is the next event behind `before`, and says so where seqs are left out.
    pub fn follows(&self, before: u64) -> bool {
        self.seq > before && self.prev.unwrap_or(self.seq - 1) == before
    }
}

impl View {
    /// Of one that needs no join.
    pub fn from_the_beginning() -> Self {
        Self { cursor: Some(0), ..Self::default() }
    }

    /// What to name when it comes back.
    pub fn after(&self) -> u64 {
        if self.forgotten { 0 } else { self.cursor.unwrap_or(0) }
    }

    /// The answer to a join that named `after`.
    pub fn joined(&mut self, after: Option<u64>, head: u64) {
        let Some(after) = after else {
            self.start = head;
            self.cursor = Some(head);
            return;
        };
        self.forgotten &= after > 0;
        // What is above was never stored.
        if head < after {
            self.discard(head, u64::MAX);
        }
        self.cursor = Some(after.min(head));
    }

    /// The server has another log than the one that was named: nothing here is of it.
    pub fn reset(&mut self) {
        self.held.clear();
        self.start = 0;
        self.forgotten = true;
    }

    /// A message, live or from a page. After a new join some may come that it holds already.
    pub fn take(&mut self, entry: &Entry) {
        let cursor = self.cursor.expect("joined");
        if let Some(prev) = entry.prev {
            assert!(prev <= cursor && prev < entry.seq, "missed some: {entry:?} at {cursor}");
            self.discard(prev, entry.seq);
        } else {
            assert_eq!(entry.seq, cursor + 1, "missed some, or unordered: {entry:?}");
        }
        self.cursor = Some(entry.seq);
        let before = self.held.insert(entry.seq, entry.text.clone());
        assert!(before.is_none_or(|before| before == entry.text), "given twice: {entry:?}");
    }

    /// Throws away what lies between, exclusive of both.
    fn discard(&mut self, above: u64, below: u64) {
        let before = self.held.len();
        self.held.retain(|seq, _| !(above < *seq && *seq < below));
        self.discarded += before - self.held.len();
    }
}

#[test]
fn what_was_lost_is_discarded_by_head_and_by_prev() {
    let entry = |seq, prev| Entry { seq, prev, text: format!("m{seq}") };
    let seqs = |view: &View| view.held.keys().copied().collect::<Vec<_>>();
    let mut view = View::default();
    view.joined(Some(0), 3);
    (1..=5).for_each(|seq| view.take(&entry(seq, None)));
    view.joined(Some(5), 3);
    assert_eq!((seqs(&view), view.cursor), (vec![1, 2, 3], Some(3)));
    (4..=6).for_each(|seq| view.take(&entry(seq, None)));
    view.joined(Some(6), 1_000);
    view.take(&entry(1_000, Some(4)));
    assert_eq!((seqs(&view), view.discarded), (vec![1, 2, 3, 4, 1_000], 4));
    view.reset();
    view.joined(Some(0), 1_000);
    assert_eq!((seqs(&view), view.cursor), (vec![], Some(0)));
}

#[test]
#[should_panic(expected = "missed some")]
fn a_gap_that_is_not_named_is_a_loss() {
    let mut view = View::default();
    view.joined(Some(0), 3);
    view.take(&Entry { seq: 2, prev: None, text: String::new() });
}
