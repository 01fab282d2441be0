//! The one writer: a step applies a batch in one transaction and commits it once. The OS thread
//! that drives it is [`super::thread`].

use std::sync::Arc;

use crossbeam_channel::Receiver;
use redb::{Durability, WriteTransaction};

use super::command::Command;
use super::handle::{Handle, Opened, StoreOptions};
use super::reader::Reader;
use super::schema::{self, NewDatabase, read_u64, write_u64};
use super::tables::{META, META_BATCH};
use super::{OpenError, ReadError, accounts, events, rooms};
use crate::domain::{RoomId, Seq, SessionId, UserId};
use crate::mutation::{self, Mutation};

/// What a commit made true; told to the live side after it has returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Each room's last committed seq.
    pub heads: Vec<(RoomId, Seq)>,
    pub created_rooms: Vec<RoomId>,
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
    mode: CommitMode,
}

/// How a commit reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitMode {
    /// One sync. A start after a crash walks over the whole database. Safe against failed syncs
    /// because `store::disk` is; the figures that chose it are in the README.
    #[default]
    OnePhase,
    /// Two syncs, and the same walk.
    TwoPhase,
    /// Two syncs and more written; a start after a crash has nothing to walk over.
    QuickRepair,
}

impl CommitMode {
    fn apply_to(self, transaction: &mut WriteTransaction) {
        match self {
            Self::OnePhase => {}
            Self::TwoPhase => transaction.set_two_phase_commit(true),
            Self::QuickRepair => transaction.set_quick_repair(true),
        }
    }
}

/// A request that could not be applied.
struct Failed {
    /// Its place in the batch; `None`: it was an event, which only a fault of storage can stop.
    index: Option<usize>,
    error: ReadError,
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self { index: None, error }
    }
}

impl Writer {
    /// Opens the store: the writer, and a reader of the same database.
    pub fn open(
        options: &StoreOptions,
        new: &NewDatabase,
    ) -> Result<(Self, Reader, Opened), OpenError> {
        let (handle, opened) = Handle::open(options, new)?;
        let handle = Arc::new(handle);
        let unusable = |error| OpenError::of(handle.path(), error);
        let mut writer = Self {
            handle: Arc::clone(&handle),
            boot: opened.boot,
            batch: 0,
            purging: false,
            uncertain: None,
            mode: options.commit,
        };
        (writer.batch, writer.purging) = writer.committed_state().map_err(unusable)?;
        Ok((writer, Reader::new(handle), opened))
    }

    #[must_use]
    pub fn purging(&self) -> bool {
        self.purging
    }

    /// Applies `batch` in order and commits it. On an error its outcome is unknown until
    /// [`Self::recover`] has asked the reopened database.
    ///
    /// A request that meets a damaged record is left out and gets no answer; the others go on.
    pub fn step(&mut self, batch: &mut [Command]) -> Result<Committed, ReadError> {
        self.uncertain = None;
        let mut left_out = Vec::new();
        loop {
            let mut transaction = self.handle.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            self.mode.apply_to(&mut transaction);
            match self.apply(&transaction, batch, &left_out) {
                Ok(committed) => return self.commit(transaction, committed),
                Err(Failed { index: Some(index), error }) if error.is_damage() => {
                    tracing::error!(%error, "a request fails over a damaged record");
                    left_out.push(index);
                }
                Err(Failed { error, .. }) => return Err(error),
            }
        }
    }

    /// A commit that changes nothing, after which a start that follows a crash is immediate.
    pub fn rest(&mut self) -> Result<(), ReadError> {
        self.uncertain = None;
        let mut transaction = self.handle.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        CommitMode::QuickRepair.apply_to(&mut transaction);
        self.commit(transaction, Committed::default()).map(|_| ())
    }

    fn commit(
        &mut self,
        transaction: WriteTransaction,
        committed: Committed,
    ) -> Result<Committed, ReadError> {
        if self.purging {
            events::purge(&transaction)?;
        }
        let purging = events::purge_pending(&transaction)?;
        write_u64(&mut transaction.open_table(META)?, META_BATCH, self.batch + 1)?;
        self.uncertain = Some(committed.clone());
        let result = transaction.commit();
        if !mutation::is(Mutation::FailedCommitCounts) {
            result?;
        }
        self.uncertain = None;
        self.batch += 1;
        self.purging = purging;
        if !mutation::is(Mutation::StaleSnapshot) {
            self.handle.forget_snapshot();
        }
        Ok(committed)
    }

    fn apply(
        &self,
        transaction: &WriteTransaction,
        batch: &mut [Command],
        left_out: &[usize],
    ) -> Result<Committed, Failed> {
        let mut committed = Committed::default();
        let is_event = |command: &Command| events::as_event(command).is_some();
        let mut index = 0;
        for run in batch.chunk_by_mut(|a, b| is_event(a) && is_event(b)) {
            if is_event(&run[0]) {
                let events = run.iter().filter_map(events::as_event);
                let last = events::apply(transaction, events, self.boot)?;
                committed.heads.extend(last.iter().map(|(room, stamp)| (*room, stamp.seq)));
                index += run.len();
                continue;
            }
            for command in run {
                if !left_out.contains(&index) {
                    self.apply_other(transaction, command, &mut committed)
                        .map_err(|error| Failed { index: Some(index), error })?;
                }
                index += 1;
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
            Command::CreateRoom(command) => {
                committed.created_rooms.extend(rooms::create(transaction, command, self.boot)?);
            }
            Command::DeleteRoom(command) => {
                rooms::delete(transaction, command)?;
                committed.deleted_rooms.push(command.room);
            }
        }
        Ok(())
    }

    /// After a failed step: opens the database again, which tells what became of the batch, and
    /// commits it if it did not land.
    pub fn recover(&mut self, batch: &mut [Command]) -> Result<Committed, ReadError> {
        self.handle.reopen().map_err(|error| ReadError::Aborted(error.to_string()))?;
        let (found, purging) = self.committed_state()?;
        let landed = found > self.batch && !mutation::is(Mutation::AppliedTwice);
        if (landed || mutation::is(Mutation::LandedUnseen))
            && let Some(landed) = self.uncertain.take()
        {
            // The answers settled before the commit stand: applied again, a sign-up would be told
            // that its own name is taken.
            (self.batch, self.purging) = (found, purging);
            self.handle.forget_snapshot();
            return Ok(landed);
        }
        if batch.is_empty() {
            // A read had failed. The page may be gone for good: the next time that somebody wants
            // it the database should open without a walk that meets it.
            return self.rest().map(|()| Committed::default());
        }
        self.step(batch)
    }

    /// Reads that have failed: redb refuses everything until it is opened again.
    #[must_use]
    pub fn faults(&self) -> &Receiver<String> {
        self.handle.faults()
    }

    #[cfg(test)]
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, ReadError> {
        self.handle.begin_write()
    }

    /// As if the last commit had reported a failure.
    #[cfg(test)]
    pub(super) fn pretend_uncertain(&mut self, committed: Committed) {
        self.batch -= 1;
        self.uncertain = Some(committed);
    }

    /// The number of the last batch, and whether events of deleted rooms are left.
    fn committed_state(&self) -> Result<(u64, bool), ReadError> {
        let transaction = self.handle.begin_write()?;
        let batch = read_u64(&transaction.open_table(META)?, META_BATCH)?;
        Ok((batch, events::purge_pending(&transaction)?))
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
