//! The store's contract, over a real file in a temporary directory.

use std::path::Path;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::domain::limits::{PURGE_EVENTS, SESSIONS_PER_USER, UNSYNCED_BYTES};
use crate::domain::*;

struct Store {
    directory: TempDir,
    writer: Writer,
    reader: Reader,
    opened: Opened,
}

fn options(directory: &Path) -> StoreOptions {
    StoreOptions::directory(directory, 1 << 20)
}

fn new_database() -> NewDatabase {
    NewDatabase { log: LogId(42), secret: [7; 32] }
}

impl Store {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(directory: TempDir) -> Self {
        let (writer, reader, opened) =
            Writer::open(&options(directory.path()), &new_database()).unwrap();
        Self { directory, writer, reader, opened }
    }

    /// As after a kill: nothing is closed in good order.
    fn crash_and_open(self) -> Self {
        let Self { directory, writer, reader, .. } = self;
        drop((writer, reader));
        Self::open(directory)
    }

    fn stop_and_open(self) -> Self {
        let Self { directory, writer, reader, .. } = self;
        drop(reader);
        writer.close().unwrap();
        Self::open(directory)
    }

    fn step(&mut self, command: Command) -> Committed {
        let mut batch = vec![command];
        let committed = self.writer.step(&mut batch).unwrap();
        batch.into_iter().for_each(Command::send_reply);
        committed
    }

    fn ask<T>(&mut self, command: impl FnOnce(Reply<T>) -> Command) -> (T, Committed) {
        let (reply, mut outcome): (_, oneshot::Receiver<T>) = Reply::channel();
        let committed = self.step(command(reply));
        (outcome.try_recv().unwrap(), committed)
    }

    fn sign_up(&mut self, name: &str, may_be_first: bool) -> Result<User, SignUpRefused> {
        let username = Username::parse(name).unwrap();
        let sign_up = |reply| {
            Command::SignUp(SignUp {
                display_name: DisplayName::parse(name).unwrap(),
                username,
                password_hash: "hash".to_owned(),
                may_be_first,
                session: SessionId(1),
                created_at: 10,
                expires_at: 1_000,
                reply,
            })
        };
        self.ask(sign_up).0
    }

    fn create_room(&mut self, slugs: &[&str]) -> Result<Room, SlugTaken> {
        let slugs = slugs.iter().map(|slug| Slug::parse(slug).unwrap()).collect();
        let create = |reply| {
            Command::CreateRoom(CreateRoom {
                name: RoomName::parse("Room").unwrap(),
                slugs,
                created_by: UserId::new(1).unwrap(),
                created_at: 5,
                delivery: Delivery::Immediate,
                reply,
            })
        };
        self.ask(create).0
    }

    fn start_session(
        &mut self,
        user: UserId,
        session: u128,
        now: Millis,
    ) -> Option<Vec<SessionId>> {
        self.start_session_with(user, "hash", session, now)
    }

    fn start_session_with(
        &mut self,
        user: UserId,
        hash: &str,
        session: u128,
        now: Millis,
    ) -> Option<Vec<SessionId>> {
        let start = |reply| {
            Command::StartSession(StartSession {
                user,
                password_hash: hash.to_owned(),
                session: SessionId(session),
                created_at: now,
                expires_at: now + 1_000,
                reply,
            })
        };
        self.ask(start).0
    }

    fn session(&self, user: UserId, session: u128) -> Option<Session> {
        self.reader.read_now(|snapshot| snapshot.session(user, SessionId(session))).unwrap()
    }

    fn page(&self, room: RoomId, request: PageRequest, limit: usize) -> Page {
        self.reader.read_now(|snapshot| snapshot.page(room, request, limit)).unwrap().unwrap()
    }

    fn seqs(&self, room: RoomId, request: PageRequest, limit: usize) -> (Vec<Seq>, bool) {
        let page = self.page(room, request, limit);
        let seqs = page.events.iter().map(|logged| logged.event.stamp.seq).collect();
        (seqs, page.has_more)
    }
}

fn event(room: RoomId, seq: Seq, id: Option<&str>, text: &str) -> Command {
    Command::Event(NewEvent {
        room,
        event: ChatEvent {
            stamp: Stamp { seq, at: 100 + seq, count: seq, prev: None },
            user_id: UserId::new(1).unwrap(),
            id: id.map(|id| MessageId::parse(id).unwrap()),
            body: MessageBody::parse(text, 100_000).unwrap(),
        },
    })
}

mod faults;
mod opening;

#[test]
fn accounts_are_found_by_id_and_by_name_in_any_case() {
    let mut store = Store::new();
    let ann = store.sign_up("Ann", true).unwrap();
    assert_eq!((ann.user_id.get(), ann.role), (1, Role::Admin));
    let ben = store.sign_up("ben", false).unwrap();
    assert_eq!((ben.user_id.get(), ben.role), (2, Role::Member));
    assert_eq!(store.sign_up("ANN", true), Err(SignUpRefused::UsernameTaken));
    let name = Username::parse("aNN").unwrap();
    let found = store.reader.read_now(|snapshot| snapshot.account_by_name(&name)).unwrap().unwrap();
    assert_eq!((found.user, found.password_hash.as_str()), (ann, "hash"));
    assert!(store.session(UserId::new(1).unwrap(), 1).is_some(), "a sign-up is a sign-in");
}

#[test]
fn the_first_account_can_be_withheld() {
    let mut store = Store::new();
    assert_eq!(store.sign_up("eve", false), Err(SignUpRefused::NotFirst));
    assert!(!store.opened.has_accounts);
    assert!(store.sign_up("ann", true).is_ok());
    assert!(store.stop_and_open().opened.has_accounts);
}

#[test]
fn sessions_are_bounded_and_expired_ones_forgotten() {
    let mut store = Store::new();
    let ann = store.sign_up("ann", true).unwrap().user_id;
    assert_eq!(store.start_session(UserId::new(99).unwrap(), 2, 0), None);
    let last = SESSIONS_PER_USER as u128;
    for session in 2..=last {
        let now = 20 + u64::try_from(session).unwrap();
        assert_eq!(store.start_session(ann, session, now), Some(Vec::new()));
    }
    assert_eq!(store.start_session(ann, 500, 200), Some(vec![SessionId(1)]));
    assert!(store.session(ann, 1).is_none());
    assert!(store.session(ann, 2).is_some());
    assert_eq!(store.start_session(ann, 501, 5_000), Some(Vec::new()));
    assert!(store.session(ann, 2).is_none(), "expired");
}

#[test]
fn a_new_password_ends_the_other_sessions_and_a_deleted_account_all() {
    let mut store = Store::new();
    let ann = store.sign_up("ann", true).unwrap().user_id;
    store.start_session(ann, 2, 20);
    let change = |reply| {
        let (password_hash, keep) = ("new".to_owned(), SessionId(2));
        Command::ChangePassword(ChangePassword { user: ann, password_hash, keep, reply })
    };
    let (found, committed) = store.ask(change);
    assert!(found);
    let ended = EndedSessions::AllBut(ann, Some(SessionId(2)));
    assert_eq!(committed.ended_sessions, [ended]);
    assert!(store.session(ann, 1).is_none() && store.session(ann, 2).is_some());
    assert_eq!(store.start_session(ann, 3, 20), None, "verified against the old password");
    assert!(store.start_session_with(ann, "new", 3, 20).is_some());

    let (found, committed) =
        store.ask(|reply| Command::DeleteUser(DeleteUser { user: ann, reply }));
    assert!(found);
    assert_eq!(committed.ended_sessions, [EndedSessions::AllBut(ann, None)]);
    assert!(store.session(ann, 2).is_none());
    assert!(store.reader.read_now(|snapshot| snapshot.account(ann)).unwrap().is_none());
    assert_eq!(store.start_session(ann, 3, 20), None);
    let again = store.sign_up("Ann", true).unwrap();
    assert_eq!((again.user_id.get(), again.role), (2, Role::Member), "free name, new number");
}

#[test]
fn a_refreshed_session_lasts_longer_and_an_ended_one_cannot_be() {
    let mut store = Store::new();
    let user = store.sign_up("ann", true).unwrap().user_id;
    let session = SessionId(1);
    let extend = |reply| Command::ExtendSession { user, session, expires_at: 9_000, reply };
    assert!(store.ask(extend).0);
    assert_eq!(store.session(user, 1).unwrap().expires_at, 9_000);
    let ((), committed) = store.ask(|reply| Command::EndSession { user, session, reply });
    assert_eq!(committed.ended_sessions, [EndedSessions::One(user, session)]);
    let extend = |reply| Command::ExtendSession { user, session, expires_at: 9_000, reply };
    assert!(!store.ask(extend).0);
}

#[test]
fn slugs_are_taken_once_and_the_first_free_one_is_used() {
    let mut store = Store::new();
    let first = store.create_room(&["a"]).unwrap();
    assert_eq!(store.create_room(&["a"]), Err(SlugTaken));
    let second = store.create_room(&["a", "a-2"]).unwrap();
    assert_eq!((second.slug.as_str(), second.room_id.get()), ("a-2", 2));
    let row = store.reader.read_now(|snapshot| snapshot.room_by_slug(&first.slug)).unwrap();
    assert_eq!(row.unwrap().room, first);
    let (rows, more) = store.reader.read_now(|snapshot| snapshot.rooms(0, 1)).unwrap();
    assert_eq!((rows[0].room.room_id.get(), more), (1, true));
    let (rows, more) = store.reader.read_now(|snapshot| snapshot.rooms(1, 1)).unwrap();
    assert_eq!((rows[0].room.room_id.get(), more), (2, false));
}

#[test]
fn pages_in_every_direction() {
    let mut store = Store::new();
    store.sign_up("ann", true).unwrap();
    let room = store.create_room(&["a"]).unwrap().room_id;
    let other = store.create_room(&["b"]).unwrap().room_id;
    assert_eq!(store.seqs(room, PageRequest::Newest, 10), (vec![], false));
    let mut batch: Vec<Command> = (1..=9).map(|seq| event(room, seq, None, "x")).collect();
    batch.push(event(other, 1, None, "elsewhere"));
    let mut committed = store.writer.step(&mut batch).unwrap();
    committed.heads.sort_unstable();
    assert_eq!(committed.heads, [(room, 9), (other, 1)]);
    let seqs = |request, limit| store.seqs(room, request, limit);
    assert_eq!(seqs(PageRequest::Newest, 3), (vec![7, 8, 9], true));
    assert_eq!(seqs(PageRequest::Newest, 9), ((1..=9).collect(), false));
    assert_eq!(seqs(PageRequest::Before(4), 2), (vec![2, 3], true));
    assert_eq!(seqs(PageRequest::Before(4), 3), (vec![1, 2, 3], false));
    assert_eq!(seqs(PageRequest::Before(0), 3), (vec![], false));
    assert_eq!(seqs(PageRequest::After(7, Seq::MAX), 5), (vec![8, 9], false));
    assert_eq!(seqs(PageRequest::After(0, 5), 2), (vec![1, 2], true));
    assert_eq!(seqs(PageRequest::After(3, 5), 9), (vec![4, 5], false));
    assert_eq!(seqs(PageRequest::After(9, 5), 9), (vec![], false));
    assert_eq!(seqs(PageRequest::After(Seq::MAX, Seq::MAX), 9), (vec![], false));
    let page = store.page(room, PageRequest::Newest, 1);
    assert_eq!(&*page.events[0].username, "ann");
    assert_eq!((page.head.first, page.head.seq, page.head.count, page.head.at), (1, 9, 9, 109));
}

#[test]
fn a_page_is_bounded_by_bytes_too_but_never_empty() {
    let mut store = Store::new();
    let room = store.create_room(&["a"]).unwrap().room_id;
    let text = "x".repeat(100_000);
    for seq in 1..=4 {
        store.step(event(room, seq, None, &text));
    }
    assert_eq!(store.seqs(room, PageRequest::After(0, 4), 9), (vec![1, 2], true));
    assert_eq!(store.seqs(room, PageRequest::Newest, 9), (vec![3, 4], true));
}

#[test]
fn messages_of_a_deleted_account_stay_under_its_new_name() {
    let mut store = Store::new();
    let user = store.sign_up("ann", true).unwrap().user_id;
    let room = store.create_room(&["a"]).unwrap().room_id;
    store.step(event(room, 1, None, "x"));
    store.ask(|reply| Command::DeleteUser(DeleteUser { user, reply }));
    let page = store.page(room, PageRequest::Newest, 1);
    assert_eq!(&*page.events[0].username, DELETED_USERNAME);
}

#[test]
fn a_client_id_leads_to_its_message() {
    let mut store = Store::new();
    let room = store.create_room(&["a"]).unwrap().room_id;
    store.step(event(room, 1, Some("c1"), "hello"));
    let find = |user: u64, id: &str, room| {
        let (user, id) = (UserId::new(user).unwrap(), MessageId::parse(id).unwrap());
        store.reader.read_now(|snapshot| snapshot.by_client_id(user, &id, room)).unwrap()
    };
    assert_eq!(find(1, "c1", room).unwrap().body.as_str(), "hello");
    assert!(find(2, "c1", room).is_none());
    assert!(find(1, "c2", room).is_none());
    assert!(find(1, "c1", RoomId::new(9).unwrap()).is_none());
}

#[test]
fn a_deleted_room_goes_at_once_and_its_events_bit_by_bit() {
    let mut store = Store::new();
    let room = store.create_room(&["a"]).unwrap().room_id;
    let last = PURGE_EVENTS as u64 + 500;
    let mut batch: Vec<Command> =
        (1..=last).map(|seq| event(room, seq, Some(&format!("id{seq:08}")), "x")).collect();
    store.writer.step(&mut batch).unwrap();
    let ((), committed) = store.ask(|reply| Command::DeleteRoom(DeleteRoom { room, reply }));
    assert_eq!(committed.deleted_rooms, [room]);
    let gone = store.reader.read_now(|snapshot| snapshot.page(room, PageRequest::Newest, 1));
    assert!(gone.unwrap().is_none());
    assert!(store.writer.purging());
    // A crash in the middle of it changes nothing.
    let mut store = store.crash_and_open();
    assert!(store.writer.purging());
    let left = |store: &Store, seq: u64| {
        let id = MessageId::parse(&format!("id{seq:08}")).unwrap();
        let user = UserId::new(1).unwrap();
        store.reader.read_now(|snapshot| snapshot.by_client_id(user, &id, room))
    };
    assert!(left(&store, last).unwrap().is_some());
    while store.writer.purging() {
        store.writer.step(&mut []).unwrap();
    }
    for seq in [1, PURGE_EVENTS as u64, last] {
        assert!(left(&store, seq).unwrap().is_none());
    }
    assert_eq!(store.create_room(&["a"]).unwrap().room_id.get(), 2, "its number is not reused");
}

#[test]
fn everything_is_there_after_a_stop_and_after_a_crash() {
    let mut store = Store::new();
    store.sign_up("ann", true).unwrap();
    let room = store.create_room(&["a"]).unwrap().room_id;
    store.step(event(room, 1, None, "x"));
    let store = store.stop_and_open();
    assert_eq!((store.opened.boot, store.opened.clean), (0, true));
    assert_eq!((store.opened.log, store.opened.secret.as_slice()), (LogId(42), &[7; 32][..]));
    assert_eq!(store.seqs(room, PageRequest::Newest, 9).0, [1]);
    let store = store.crash_and_open();
    assert_eq!((store.opened.boot, store.opened.clean), (1, false));
    assert_eq!(store.seqs(room, PageRequest::Newest, 9).0, [1]);
    assert_eq!(store.page(room, PageRequest::Newest, 1).head.boot, 0);
}

#[test]
fn a_failed_commit_that_landed_keeps_its_answers() {
    let mut store = Store::new();
    let mut batch = vec![event(RoomId::new(1).unwrap(), 1, None, "x")];
    let before = store.writer.step(&mut batch).unwrap();
    // As if the last commit had reported a failure: recovery finds that it is there.
    store.writer.pretend_uncertain(before.clone());
    assert_eq!(store.writer.recover(&mut batch).unwrap(), before);
    // As if it had not landed: recovery applies it.
    let mut batch = vec![event(RoomId::new(1).unwrap(), 2, None, "y")];
    assert_eq!(store.writer.recover(&mut batch).unwrap().heads, [(RoomId::new(1).unwrap(), 2)]);
}
