//! What must be true of a room's log, whatever becomes of the disk and the process.

use parlor::domain::limits::SEQ_JUMP;
use parlor::domain::{ChatEvent, MessageId, Seq, Stamp, UserId};
use parlor::store::{LoggedEvent, Page, PageRequest};

#[derive(Debug, Default)]
pub struct Model {
    /// Published, each with the boot in which it was.
    events: Vec<(ChatEvent, u64)>,
    /// So many of them are on disk for certain, and of so many the live side has heard.
    pub committed: usize,
    pub told: usize,
    /// Every seq that ever left the process.
    pub given: Vec<Seq>,
}

impl Model {
    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn log(&self) -> impl Iterator<Item = &ChatEvent> {
        self.events.iter().map(|(event, _)| event)
    }

    /// The seq of the event that has this count; 0: none has.
    pub fn seq(&self, count: usize) -> Seq {
        count.checked_sub(1).map_or(0, |index| self.events[index].0.stamp.seq)
    }

    fn count(&self, seq: Seq) -> usize {
        let count = self.log().take_while(|event| event.stamp.seq <= seq).count();
        assert_eq!(self.seq(count), seq, "a seq that no event has");
        count
    }

    pub fn published(&mut self, event: ChatEvent, boot: u64) {
        let (seq, before) = (self.seq(self.len()), self.events.last().map_or(0, |last| last.1));
        let Stamp { at, .. } = event.stamp;
        let jump = (boot - before) * SEQ_JUMP;
        let expected = Stamp {
            seq: seq + jump + 1,
            at,
            count: self.len() as u64 + 1,
            prev: (jump > 0).then_some(seq),
        };
        assert_eq!(event.stamp, expected);
        assert!(self.log().last().is_none_or(|last| last.stamp.at <= at), "time goes back");
        let stored = event.id.as_ref().and_then(|id| self.find(event.user_id, id));
        assert_eq!(stored, None, "stored once, and published again");
        assert!(!self.given.contains(&expected.seq), "{} is given twice", expected.seq);
        self.given.push(expected.seq);
        self.events.push((event, boot));
    }

    pub fn commit(&mut self, head: Seq) {
        let count = self.count(head);
        assert!(count >= self.committed, "the watermark goes back");
        self.committed = count;
    }

    /// The ids, with their seqs, that the commit up to `head` acknowledges.
    pub fn tell(&mut self, head: Seq) -> Vec<(String, Seq)> {
        let count = self.count(head);
        let before = std::mem::replace(&mut self.told, count);
        let told = self.log().skip(before).take(self.told - before);
        let acks = told.filter_map(|event| Some((event.id.as_ref()?, event.stamp.seq)));
        acks.map(|(id, seq)| (id.as_str().to_owned(), seq)).collect()
    }

    /// The process is gone, and this is what the next one finds.
    pub fn restarted(&mut self, found: usize) {
        assert!(found >= self.committed, "{} acknowledged, {found} found", self.committed);
        self.events.truncate(found);
        (self.committed, self.told) = (found, found);
    }

    /// Whether a message with this id is on its way to the disk.
    pub fn is_in_flight(&self, user: UserId, id: &MessageId) -> bool {
        self.find(user, id).is_some_and(|event| event.stamp.seq > self.seq(self.told))
    }

    pub fn find(&self, user: UserId, id: &MessageId) -> Option<&ChatEvent> {
        let mut all = self.log().filter(|event| event.user_id == user && has(event, id));
        let found = all.next();
        assert!(all.next().is_none(), "{id:?} is there twice");
        found
    }

    /// The first event behind `cursor`.
    pub fn next(&self, cursor: Seq) -> Option<&ChatEvent> {
        self.log().find(|event| event.stamp.seq > cursor)
    }

    /// A page is the part asked for of what is on disk, which is all that is known to be and maybe
    /// more that was published. Gives how much that is.
    pub fn check_page(&self, page: &Page, request: PageRequest, limit: usize) -> usize {
        let stored = self.count(page.head.seq);
        assert!(stored >= self.committed, "a page of {stored} events, {} stored", self.committed);
        assert_eq!(page.head.count, stored as u64);
        assert_eq!(page.head.first, self.seq(stored.min(1)));
        let log = self.log().take(stored);
        let mut part: Vec<_> = match request {
            PageRequest::Newest => log.collect(),
            PageRequest::Before(end) => log.filter(|event| event.stamp.seq < end).collect(),
            PageRequest::After(after, upto) => {
                log.filter(|event| event.stamp.seq > after && event.stamp.seq <= upto).collect()
            }
        };
        // A page has room for one, whatever is asked for.
        let limit = limit.max(1);
        assert_eq!(page.has_more, part.len() > limit, "{request:?}, {limit}");
        match request {
            PageRequest::After(..) => part.truncate(limit),
            _ => drop(part.drain(..part.len().saturating_sub(limit))),
        }
        let events: Vec<_> = page.events.iter().map(|LoggedEvent { event, .. }| event).collect();
        assert_eq!(events, part, "{request:?}, {limit}");
        stored
    }
}

fn has(event: &ChatEvent, id: &MessageId) -> bool {
    event.id.as_ref() == Some(id)
}
