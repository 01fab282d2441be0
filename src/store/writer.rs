//! The one writer: a step applies a batch in one transaction and commits it once. The OS thread
//! that drives it is [`super::thread`].

use std::sync::Arc;

use redb::{Durability, WriteTransaction};

use super::command::Command;
use super::handle::{Handle, Opened, StoreOptions};
use super::reader::Reader;
use super::schema::{self, NewDatabase, read_u64, write_u64};
use super::tables::{META, META_BATCH};
use super::{OpenError, ReadError, accounts, events, rooms};
use crate::domain::{RoomId, Seq, SessionId, UserId};

/// What a commit made true; told to the live side after it has returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Each room's last committed seq.
    pub heads: Vec<(RoomId, Seq)>,
    pub deleted_rooms: Vec<RoomId>,
    pub ended_sessions: Vec<EndedSessions>,
}

/// Sessions that ended before their time; their live connections must close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndedSessions {
    One(UserId, SessionId),
    AllBut(UserId, Option<SessionId>),
}

/// Applies and commits batches. Knows no thread, no clock and no queue.
#[derive(Debug)]
pub struct Writer {
    handle: Arc<Handle>,
    boot: u64,
    /// The number of the last committed batch.
    batch: u64,
    /// Whether events of deleted rooms are left to remove.
    purging: bool,
    /// What the last step would have made true, while its commit's outcome is unknown.
    uncertain: Option<Committed>,
    /// The same, once the reopened database has shown that the commit did happen.
    landed: Option<Committed>,
}

impl Writer {
    /// Opens the store: the writer, and a reader of the same database.
    pub fn open(
        options: &StoreOptions,
        new: &NewDatabase,
    ) -> Result<(Self, Reader, Opened), OpenError> {
        let (handle, opened) = Handle::open(options, new)?;
        let handle = Arc::new(handle);
        let damaged = |error: ReadError| OpenError::Foreign {
            path: options.directory.clone(),
            reason: error.to_string(),
        };
        let mut writer = Self {
            handle: Arc::clone(&handle),
            boot: opened.boot,
            batch: 0,
            purging: false,
            uncertain: None,
            landed: None,
        };
        writer.batch = writer.committed_batch().map_err(damaged)?;
        let transaction = writer.handle.begin_write().map_err(damaged)?;
        writer.purging = events::purge_pending(&transaction).map_err(damaged)?;
        drop(transaction);
        Ok((writer, Reader::new(handle), opened))
    }

    #[must_use]
    pub fn purging(&self) -> bool {
        self.purging
    }

    /// Applies `batch` in order and commits it. On an error its outcome is unknown until
    /// [`Self::recover`] has asked the reopened database.
    pub fn step(&mut self, batch: &mut [Command]) -> Result<Committed, ReadError> {
        let mut transaction = self.handle.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let committed = self.apply(&transaction, batch)?;
        if self.purging {
            events::purge(&transaction)?;
        }
        let purging = events::purge_pending(&transaction)?;
        write_u64(&mut transaction.open_table(META)?, META_BATCH, self.batch + 1)?;
        self.uncertain = Some(committed.clone());
        transaction.commit()?;
        self.uncertain = None;
        self.batch += 1;
        self.purging = purging;
        self.handle.forget_snapshot();
        Ok(committed)
    }

    fn apply(
        &self,
        transaction: &WriteTransaction,
        batch: &mut [Command],
    ) -> Result<Committed, ReadError> {
        let mut committed = Committed::default();
        let is_event = |command: &Command| events::as_event(command).is_some();
        for run in batch.chunk_by_mut(|a, b| is_event(a) && is_event(b)) {
            if is_event(&run[0]) {
                let events = run.iter().filter_map(events::as_event);
                let last = events::apply(transaction, events, self.boot)?;
                committed.heads.extend(last.iter().map(|(room, stamp)| (*room, stamp.seq)));
            } else {
                for command in run {
                    self.apply_other(transaction, command, &mut committed)?;
                }
            }
        }
        Ok(committed)
    }

    fn apply_other(
        &self,
        transaction: &WriteTransaction,
        command: &mut Command,
        committed: &mut Committed,
    ) -> Result<(), ReadError> {
        match command {
            Command::Event(_) => {}
            Command::SignUp(command) => accounts::sign_up(transaction, command)?,
            Command::StartSession(command) => {
                let ended = accounts::start_session(transaction, command)?;
                let ended = ended.into_iter().map(|id| EndedSessions::One(command.user, id));
                committed.ended_sessions.extend(ended);
            }
            Command::ExtendSession { user, session, expires_at, reply } => {
                reply.settle(accounts::extend_session(transaction, *user, *session, *expires_at)?);
            }
            Command::EndSession { user, session, reply } => {
                accounts::end_session(transaction, *user, *session)?;
                committed.ended_sessions.push(EndedSessions::One(*user, *session));
                reply.settle(());
            }
            Command::ChangePassword(command) => {
                if accounts::change_password(transaction, command)? {
                    let ended = EndedSessions::AllBut(command.user, Some(command.keep));
                    committed.ended_sessions.push(ended);
                }
            }
            Command::DeleteUser(command) => {
                if accounts::delete_user(transaction, command)? {
                    committed.ended_sessions.push(EndedSessions::AllBut(command.user, None));
                }
            }
            Command::CreateRoom(command) => rooms::create(transaction, command, self.boot)?,
            Command::DeleteRoom(command) => {
                rooms::delete(transaction, command)?;
                committed.deleted_rooms.push(command.room);
            }
        }
        Ok(())
    }

    /// After a failed step: opens the database again, which tells what became of the batch, and
    /// commits what is missing.
    pub fn recover(&mut self, batch: &mut [Command]) -> Result<Committed, ReadError> {
        self.handle.reopen().map_err(|error| ReadError::Aborted(error.to_string()))?;
        let found = self.committed_batch()?;
        if found > self.batch {
            self.batch = found;
            // What landed may be the repetition below, of an earlier batch that landed too: then
            // it is that batch whose news are still to be told.
            let landed = self.uncertain.take();
            self.landed = self.landed.take().or(landed);
        }
        if self.landed.is_none() {
            return self.step(batch);
        }
        // The answers settled before the commit stand: applied again, a sign-up would be told that
        // its own name is taken. Events can be written twice.
        let events = batch.iter().filter_map(events::as_event).cloned();
        let mut events: Vec<Command> = events.map(Command::Event).collect();
        self.step(&mut events)?;
        Ok(self.landed.take().unwrap_or_default())
    }

    /// As if a commit had been found to have landed, and its repetition were under way.
    #[cfg(test)]
    pub(super) fn pretend_landed(&mut self, committed: Committed) {
        self.landed = Some(committed);
    }

    /// As if the last commit had reported a failure.
    #[cfg(test)]
    pub(super) fn pretend_uncertain(&mut self, committed: Committed) {
        self.batch -= 1;
        self.uncertain = Some(committed);
    }

    fn committed_batch(&self) -> Result<u64, ReadError> {
        let transaction = self.handle.begin_write()?;
        let meta = transaction.open_table(META)?;
        read_u64(&meta, META_BATCH)
    }

    /// The last act of a stop that lost nothing.
    pub fn close(self) -> Result<(), ReadError> {
        let transaction = self.handle.begin_write()?;
        let mark = schema::stop_mark_of(&transaction)?;
        self.handle.write_stop_mark(&mark).map_err(redb::StorageError::Io)?;
        schema::mark_clean(transaction)?;
        self.handle.close();
        Ok(())
    }
}
