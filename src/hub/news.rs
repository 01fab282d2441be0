//! The way of a commit's news from the writer's thread to the rooms.
//!
//! The writer belongs to the disk: while messages wait for it, a task takes the news in, and acks
//! go out while the next commit is made. With nothing waiting the writer does it itself, which
//! saves a lone message the wait for another thread to wake.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::Hub;
use crate::domain::limits::COMMITS_UNTOLD;
use crate::store::Committed;

/// The writer's end.
#[derive(Debug)]
pub struct News {
    hub: Arc<Hub>,
    sender: mpsc::Sender<Committed>,
    /// Sent and not taken in yet: nothing may overtake it.
    untold: Arc<AtomicUsize>,
}

/// The task's end.
#[derive(Debug)]
pub struct NewsReceiver {
    hub: Arc<Hub>,
    receiver: mpsc::Receiver<Committed>,
    untold: Arc<AtomicUsize>,
}

impl News {
    #[must_use]
    pub fn channel(hub: &Arc<Hub>) -> (Self, NewsReceiver) {
        let (sender, receiver) = mpsc::channel(COMMITS_UNTOLD);
        let untold = Arc::default();
        let news = Self { hub: Arc::clone(hub), sender, untold: Arc::clone(&untold) };
        (news, NewsReceiver { hub: Arc::clone(hub), receiver, untold })
    }

    /// Called on the writer's thread after each commit, in order. `busy`: it is wanted at the disk.
    pub fn tell(&self, committed: Committed, busy: bool) {
        if !busy && self.untold.load(Ordering::Acquire) == 0 {
            self.hub.committed(&committed);
            return;
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        // An error says that the task is gone; whoever runs it sees that and ends the process.
        let _ = self.sender.blocking_send(committed);
    }
}

impl NewsReceiver {
    /// Until the writer has ended and all of its news are taken in.
    pub async fn take_in(mut self) {
        while let Some(committed) = self.receiver.recv().await {
            self.hub.committed(&committed);
            self.untold.fetch_sub(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{House, room_id};
    use super::*;

    fn commits(heads: &[u64]) -> Vec<Committed> {
        let committed = |head| Committed { heads: vec![(room_id(), head)], ..Committed::default() };
        heads.iter().map(|head| committed(*head)).collect()
    }

    #[test]
    fn a_writer_with_nothing_to_do_tells_at_once_but_overtakes_nobody() {
        let house = House::new();
        let room = house.room();
        for text in ["one", "two", "three"] {
            house.say(text);
        }
        let (news, receiver) = News::channel(&house.hub);
        let [one, two, three] = commits(&[1, 2, 3]).try_into().unwrap();
        news.tell(one, false);
        assert_eq!(room.committed_seq(), 1);
        news.tell(two, true);
        assert_eq!(room.committed_seq(), 1, "the task does it");
        news.tell(three, false);
        assert_eq!(room.committed_seq(), 1, "behind the one before");
        drop(news);
        house.runtime.block_on(receiver.take_in());
        assert_eq!(room.committed_seq(), 3);
    }
}
