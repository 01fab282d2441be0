//! What can be asked of the database as one commit left it.

use std::collections::HashMap;
use std::sync::Arc;

use redb::ReadTransaction;

use super::ReadError;
use super::record::{self, EventRecord, RecordError, RoomRecord, SessionRecord, UserRecord};
use super::tables::{
    BY_CLIENT_ID, EVENTS, HEADS, ROOM_BY_SLUG, ROOMS, SESSIONS, USER_BY_NAME, USERS,
};
use crate::domain::limits::PAGE_BYTES;
use crate::domain::{
    ChatEvent, DELETED_USERNAME, MessageId, Millis, Room, RoomId, Seq, SessionId, Slug, User,
    UserId, Username,
};

/// An account with what only its sign-in needs.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: User,
    pub password_hash: String,
}

/// One sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub created_at: Millis,
    pub expires_at: Millis,
}

/// Where a room's log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The lowest seq stored; 0: none.
    pub first: Seq,
    /// The last seq; 0: none.
    pub seq: Seq,
    /// The boot in which it was given.
    pub boot: u64,
    pub count: u64,
    /// The time of the last event; 0: none.
    pub at: Millis,
}

/// A room and where its log stands.
#[derive(Debug, Clone)]
pub struct RoomRow {
    pub room: Room,
    pub head: Head,
}

/// An event and the name that its author has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    pub event: ChatEvent,
    pub username: Arc<str>,
}

/// Which part of a room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageRequest {
    /// The last ones.
    Newest,
    /// Those right before a seq.
    Before(Seq),
    /// Those right after a seq, up to and including another.
    After(Seq, Seq),
}

/// Events in rising order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub events: Vec<LoggedEvent>,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
    pub head: Head,
}

/// How much of a log is read at once: so many events, and so many bytes of their records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize {
    pub events: usize,
    pub bytes: usize,
}

/// A stretch of a room's log, in rising order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    pub events: Vec<LoggedEvent>,
    /// Whether that is all that was asked for.
    pub complete: bool,
}

/// The database as it was at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) transaction: ReadTransaction,
    /// Which opening of the database it belongs to.
    opening: u64,
}

impl Snapshot {
    pub(super) fn new(transaction: ReadTransaction, opening: u64) -> Self {
        Self { transaction, opening }
    }

    pub(super) fn opening(&self) -> u64 {
        self.opening
    }

    /// `None`: no such account, or a deleted one.
    pub fn account(&self, user: UserId) -> Result<Option<Account>, ReadError> {
        let table = self.transaction.open_table(USERS)?;
        let Some(value) = table.get(user.get())? else { return Ok(None) };
        let record: UserRecord = record::decode(value.value())?;
        let user = record.user(user.get())?;
        Ok(user.map(|user| Account { user, password_hash: record.password_hash }))
    }

    pub fn account_by_name(&self, name: &Username) -> Result<Option<Account>, ReadError> {
        let table = self.transaction.open_table(USER_BY_NAME)?;
        let Some(id) = table.get(name.folded().as_str())? else { return Ok(None) };
        self.account(UserId::new(id.value()).map_err(|_| RecordError::Impossible("user id"))?)
    }

    pub fn session(&self, user: UserId, session: SessionId) -> Result<Option<Session>, ReadError> {
        let table = self.transaction.open_table(SESSIONS)?;
        let Some(value) = table.get((user.get(), session.0))? else { return Ok(None) };
        let SessionRecord { created_at, expires_at } = record::decode(value.value())?;
        Ok(Some(Session { created_at, expires_at }))
    }

    pub fn room(&self, room: RoomId) -> Result<Option<RoomRow>, ReadError> {
        let table = self.transaction.open_table(ROOMS)?;
        let Some(value) = table.get(room.get())? else { return Ok(None) };
        let record: RoomRecord = record::decode(value.value())?;
        Ok(Some(RoomRow { room: record.room(room.get())?, head: self.head(room)? }))
    }

    pub fn room_by_slug(&self, slug: &Slug) -> Result<Option<RoomRow>, ReadError> {
        let table = self.transaction.open_table(ROOM_BY_SLUG)?;
        let Some(id) = table.get(slug.as_str())? else { return Ok(None) };
        self.room(RoomId::new(id.value()).map_err(|_| RecordError::Impossible("room id"))?)
    }

    /// Rooms by rising id after `after`, and whether there are more.
    pub fn rooms(&self, after: u64, limit: usize) -> Result<(Vec<RoomRow>, bool), ReadError> {
        let table = self.transaction.open_table(ROOMS)?;
        let mut rooms = Vec::new();
        for entry in table.range(after.saturating_add(1)..)? {
            if rooms.len() == limit {
                return Ok((rooms, true));
            }
            let (id, value) = entry?;
            let room = record::decode::<RoomRecord>(value.value())?.room(id.value())?;
            let head = self.head(room.room_id)?;
            rooms.push(RoomRow { room, head });
        }
        Ok((rooms, false))
    }

    fn head(&self, room: RoomId) -> Result<Head, ReadError> {
        let table = self.transaction.open_table(HEADS)?;
        let head = table.get(room.get())?.ok_or(ReadError::Inconsistent("a room has no head"))?;
        let (seq, boot, count) = head.value();
        let events = self.transaction.open_table(EVENTS)?;
        let first = events.range((room.get(), 0)..=(room.get(), Seq::MAX))?.next();
        let first = first.transpose()?.map_or(0, |(key, _)| key.value().1);
        let at = match events.get((room.get(), seq))? {
            Some(value) => record::decode::<EventRecord>(value.value())?.at,
            None => 0,
        };
        Ok(Head { first, seq, boot, count, at })
    }

    /// `None`: no such room. At least one event is given if there is one, then as many as stay
    /// within `limit` and [`PAGE_BYTES`].
    pub fn page(
        &self,
        room: RoomId,
        request: PageRequest,
        limit: usize,
    ) -> Result<Option<Page>, ReadError> {
        if self.transaction.open_table(ROOMS)?.get(room.get())?.is_none() {
            return Ok(None);
        }
        let head = self.head(room)?;
        let table = self.transaction.open_table(EVENTS)?;
        let key = |seq| (room.get(), seq);
        let mut names = Names::default();
        let mut page = PageBuilder::new(PageSize { events: limit, bytes: PAGE_BYTES });
        let has_more = match request {
            PageRequest::After(after, upto) if after >= upto => false,
            PageRequest::After(after, upto) => {
                page.fill(self, &mut names, table.range(key(after + 1)..=key(upto))?)?
            }
            PageRequest::Newest => {
                page.fill(self, &mut names, table.range(key(0)..=key(Seq::MAX))?.rev())?
            }
            PageRequest::Before(before) => {
                page.fill(self, &mut names, table.range(key(0)..key(before))?.rev())?
            }
        };
        let mut events = page.events;
        if !matches!(request, PageRequest::After(..)) {
            events.reverse();
        }
        Ok(Some(Page { events, has_more, head }))
    }

    /// The events in `first..=last`, or the first of them; at least one if there is any. `None`: no
    /// such room.
    pub fn log(
        &self,
        room: RoomId,
        first: Seq,
        last: Seq,
        size: PageSize,
    ) -> Result<LogPage, ReadError> {
        if self.transaction.open_table(ROOMS)?.get(room.get())?.is_none() {
            return Err(ReadError::NoSuchRoom);
        }
        let table = self.transaction.open_table(EVENTS)?;
        let rows = table.range((room.get(), first)..=(room.get(), last))?;
        let mut page = PageBuilder::new(size);
        let complete = !page.fill(self, &mut Names::default(), rows)?;
        Ok(LogPage { events: page.events, complete })
    }

    /// The message that `user` stored in `room` under `id`, if any.
    pub fn by_client_id(
        &self,
        user: UserId,
        id: &MessageId,
        room: RoomId,
    ) -> Result<Option<ChatEvent>, ReadError> {
        let table = self.transaction.open_table(BY_CLIENT_ID)?;
        let Some(seq) = table.get((user.get(), id.as_str(), room.get()))? else {
            return Ok(None);
        };
        let seq = seq.value();
        let events = self.transaction.open_table(EVENTS)?;
        let value = events
            .get((room.get(), seq))?
            .ok_or(ReadError::Inconsistent("a client id leads to no event"))?;
        Ok(Some(record::decode::<EventRecord>(value.value())?.event(seq)?))
    }
}

/// The names of a page's authors, each looked up once.
#[derive(Default)]
struct Names(HashMap<UserId, Arc<str>>);

impl Names {
    fn of(&mut self, snapshot: &Snapshot, user: UserId) -> Result<Arc<str>, ReadError> {
        if let Some(name) = self.0.get(&user) {
            return Ok(Arc::clone(name));
        }
        let account = snapshot.account(user)?;
        let name = account
            .map_or(DELETED_USERNAME.into(), |account| Arc::from(account.user.username.as_str()));
        self.0.insert(user, Arc::clone(&name));
        Ok(name)
    }
}

struct PageBuilder {
    size: PageSize,
    bytes: usize,
    events: Vec<LoggedEvent>,
}

type EventRow<'a> = (redb::AccessGuard<'a, (u64, u64)>, redb::AccessGuard<'a, &'static [u8]>);

impl PageBuilder {
    fn new(size: PageSize) -> Self {
        Self { size, bytes: 0, events: Vec::new() }
    }

    /// Whether something was left because the page is full.
    fn fill<'a>(
        &mut self,
        snapshot: &Snapshot,
        names: &mut Names,
        rows: impl Iterator<Item = Result<EventRow<'a>, redb::StorageError>>,
    ) -> Result<bool, ReadError> {
        for row in rows {
            let (key, value) = row?;
            let bytes = value.value();
            let full =
                self.events.len() >= self.size.events || self.bytes + bytes.len() > self.size.bytes;
            if full && !self.events.is_empty() {
                return Ok(true);
            }
            self.bytes += bytes.len();
            let event = record::decode::<EventRecord>(bytes)?.event(key.value().1)?;
            let username = names.of(snapshot, event.user_id)?;
            self.events.push(LoggedEvent { event, username });
        }
        Ok(false)
    }
}
