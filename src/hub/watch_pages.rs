//! Frames of the list of all rooms, kept while several are told it: after a start everybody who
//! watches comes back, and wants the same.

use std::collections::HashMap;

use bytes::Bytes;

use crate::domain::RoomId;
use crate::domain::limits::WATCH_PAGES_BYTES;

/// The room behind which a frame begins, and what it repeats.
pub type PageKey = (Option<RoomId>, Option<String>);

/// One frame of the list.
#[derive(Debug, Clone)]
pub struct Page {
    pub frame: Bytes,
    /// The last room in it.
    pub last: Option<RoomId>,
    pub has_more: bool,
}

/// Each with how many watchers had begun when its reading did: it is as new as all those need it.
#[derive(Debug, Default)]
pub(super) struct Pages {
    kept: HashMap<PageKey, (u64, Page)>,
    bytes: usize,
}

impl Pages {
    /// One that is new enough for the watcher of this number.
    pub(super) fn get(&self, key: &PageKey, number: u64) -> Option<Page> {
        let (begun, page) = self.kept.get(key)?;
        (number < *begun).then(|| page.clone())
    }

    /// In place of an older one. Where there is no room for one more, all begin anew.
    pub(super) fn keep(&mut self, key: PageKey, begun: u64, page: Page) {
        if self.kept.get(&key).is_some_and(|(other, _)| *other >= begun) {
            return;
        }
        if self.bytes + page.frame.len() > WATCH_PAGES_BYTES {
            *self = Self::default();
        }
        self.bytes += page.frame.len();
        if let Some((_, old)) = self.kept.insert(key, (begun, page)) {
            self.bytes -= old.frame.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bytes: usize) -> Page {
        Page { frame: Bytes::from(vec![b' '; bytes]), last: None, has_more: false }
    }

    #[test]
    fn a_page_is_for_those_who_began_before_it_was_read() {
        let mut pages = Pages::default();
        let key = (None, Some("w".to_owned()));
        pages.keep(key.clone(), 3, page(1));
        assert!(pages.get(&key, 2).is_some());
        assert!(pages.get(&key, 3).is_none());
        assert!(pages.get(&(None, None), 2).is_none(), "another answer");
        pages.keep(key.clone(), 2, page(2));
        assert_eq!(pages.get(&key, 0).unwrap().frame.len(), 1, "nothing older in its place");
        pages.keep(key.clone(), 9, page(3));
        assert_eq!((pages.get(&key, 8).unwrap().frame.len(), pages.bytes), (3, 3));
    }

    #[test]
    fn their_bytes_are_bounded() {
        let mut pages = Pages::default();
        for room in 1..100 {
            pages.keep((RoomId::new(room).ok(), None), 1, page(WATCH_PAGES_BYTES / 10));
            assert!(pages.bytes <= WATCH_PAGES_BYTES);
        }
        let kept: usize = pages.kept.values().map(|(_, page)| page.frame.len()).sum();
        assert_eq!(kept, pages.bytes);
    }
}
