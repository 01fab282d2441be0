//! A client that only reads pages, forwards with `after` and backwards with `before`. What a page
//! shows is on disk, so that it never has to discard anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::dice::Dice;
use super::shared::{Report, Shared, Stage};
use super::view::{Entry, View};
use crate::support::{Api, Person, within};

/// Between two looks at the rooms.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest page that is asked for, and how many are read backwards at once.
const LIMIT: u64 = 200;
const BACKWARDS: usize = 3;

pub struct Pager {
    token: String,
    dice: Dice,
    shared: Arc<Shared>,
    report: Report,
}

impl Pager {
    pub fn new(rooms: &[u64], person: &Person, dice: Dice, shared: Arc<Shared>) -> Self {
        let views = rooms.iter().map(|room| (*room, View::from_the_beginning())).collect();
        let report = Report { name: person.username.clone(), views, ..Report::default() };
        Self { token: person.token.clone(), dice, shared, report }
    }

    pub async fn run(mut self, mut stages: watch::Receiver<Stage>) -> Report {
        self.shared.settled.rise();
        loop {
            let stage = stages.borrow_and_update().clone();
            let api = Api::new(stage.addr()).with_token(&self.token);
            let read = self.read_all(&api).await;
            if let Stage::Finish(_, heads) = &stage
                && self.holds_all(heads)
            {
                assert!(self.report.views.values().all(|view| view.discarded == 0));
                return self.report;
            }
            if read.is_none() && stages.borrow().addr() == stage.addr() {
                within("the server's return", stages.changed()).await.expect("a test");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn holds_all(&self, heads: &BTreeMap<u64, u64>) -> bool {
        self.report.views.iter().all(|(room, view)| view.cursor == heads.get(room).copied())
    }

    /// `None`: the server is gone.
    async fn read_all(&mut self, api: &Api) -> Option<()> {
        for room in self.report.views.keys().copied().collect::<Vec<_>>() {
            self.read_on(api, room).await?;
            self.read_back(api, room).await?;
        }
        Some(())
    }

    async fn read_on(&mut self, api: &Api, room: u64) -> Option<()> {
        loop {
            let after = self.report.views[&room].after();
            let limit = self.dice.below(LIMIT) + 1;
            let page = page(api, room, &format!("after={after}&limit={limit}")).await?;
            assert!(page.head >= after, "a page showed what was not stored: {after}");
            let view = self.report.views.get_mut(&room).expect("a room of its own");
            for entry in page.entries {
                self.shared.hear(room, entry.seq, &entry.text);
                view.take(&entry);
            }
            if !page.has_more {
                return Some(());
            }
        }
    }

    /// From the newest page on: nothing is left out, and what it holds is as it holds it.
    async fn read_back(&mut self, api: &Api, room: u64) -> Option<()> {
        let mut page_after: Option<Entry> = None;
        let mut bound = String::new();
        for _ in 0..BACKWARDS {
            let limit = self.dice.below(LIMIT) + 1;
            let page = page(api, room, &format!("{bound}limit={limit}")).await?;
            let behind = page.entries.iter().skip(1).chain(&page_after);
            for (entry, next) in page.entries.iter().zip(behind) {
                assert!(next.follows(entry.seq), "{next:?} behind {entry:?}");
            }
            let view = &self.report.views[&room];
            for entry in &page.entries {
                self.shared.hear(room, entry.seq, &entry.text);
                let held = view.held.get(&entry.seq).is_some_and(|text| *text == entry.text);
                assert!(held || view.cursor < Some(entry.seq), "not held: {entry:?}");
            }
            let Some(first) = page.entries.into_iter().next() else { break };
            assert_eq!(page.has_more, !first.follows(0), "{first:?}");
            bound = format!("before={}&", first.seq);
            page_after = Some(first);
        }
        Some(())
    }
}

struct Page {
    entries: Vec<Entry>,
    head: u64,
    has_more: bool,
}

/// `None`: the server is gone.
async fn page(api: &Api, room: u64, query: &str) -> Option<Page> {
    let answer =
        api.request("GET", &format!("/rooms/{room}/messages?{query}")).send().await.ok()?;
    let status = answer.status().as_u16();
    let page: Value = answer.json().await.ok()?;
    assert_eq!(status, 200, "{page}");
    Some(Page {
        entries: page["messages"].as_array().expect("messages").iter().map(Entry::of).collect(),
        head: page["head"].as_u64().expect("a head"),
        has_more: page["hasMore"] == true,
    })
}
