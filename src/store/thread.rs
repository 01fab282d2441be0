//! The OS thread around the writer: blocks on the queue, commits what has gathered, tells what is
//! true now. There is no timer: while one commit is on its way the next batch gathers.

use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::TryRecvError;

use super::ReadError;
use super::command::Command;
use super::handle::Health;
use super::queue::{QueueReceiver, WriteQueue};
use super::writer::{Committed, Writer};
use crate::domain::Limits;
use crate::domain::limits::{BATCH_BYTES, BATCH_COMMANDS, STORAGE_RETRIES, STORAGE_RETRY};

/// How the writer's thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterEnd {
    /// The queue was closed, everything in it is committed, and the clean mark is written.
    Clean,
    /// Everything was committed, but the clean mark was not.
    Unmarked,
    /// Storage failed for too long; what was not committed was acknowledged to nobody.
    Failed,
}

/// The writer and its end of the queue, driven one turn at a time: by the thread below, or by a
/// test on its own.
#[derive(Debug)]
pub struct DrivenWriter {
    writer: Writer,
    queue: QueueReceiver,
    health: Health,
    batch: Vec<Command>,
}

/// What the queue had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathered {
    Work,
    Nothing,
    /// It is closed and empty.
    Closed,
}

impl DrivenWriter {
    #[must_use]
    pub fn new(writer: Writer, limits: &Limits) -> (Self, WriteQueue, Health) {
        let health = Health::default();
        let (queue, receiver) = WriteQueue::new(
            limits.writer_queue_messages,
            limits.writer_queue_bytes,
            health.clone(),
        );
        let driven = Self { writer, queue: receiver, health: health.clone(), batch: Vec::new() };
        (driven, queue, health)
    }

    /// One batch of what waits, without waiting for more; `told` hears of it before the replies go
    /// out. `false`: there was nothing to do.
    ///
    /// # Errors
    /// When the commit fails. The batch is kept; [`Self::recover`] tries again.
    pub fn turn(&mut self, told: &mut impl FnMut(Committed)) -> Result<bool, ReadError> {
        if self.gather(false) != Gathered::Work {
            return Ok(false);
        }
        let committed = self.writer.step(&mut self.batch);
        if committed.is_err() {
            self.health.set(false);
        }
        self.finish(committed?, told);
        Ok(true)
    }

    /// After a failed turn: opens the database again and commits what is missing.
    pub fn recover(&mut self, told: &mut impl FnMut(Committed)) -> Result<(), ReadError> {
        let committed = self.writer.recover(&mut self.batch)?;
        self.health.set(true);
        self.finish(committed, told);
        Ok(())
    }

    fn finish(&mut self, committed: Committed, told: &mut impl FnMut(Committed)) {
        told(committed);
        self.batch.drain(..).for_each(Command::send_reply);
    }

    /// Takes what waits, at most a batch. With `wait`, waits for the first command unless there is
    /// other work.
    fn gather(&mut self, wait: bool) -> Gathered {
        let mut bytes = 0;
        let purging = self.writer.purging();
        if wait && !purging {
            match self.queue.receiver.recv() {
                Ok(command) => self.take(command, &mut bytes),
                Err(_) => return Gathered::Closed,
            }
        }
        while bytes < BATCH_BYTES && self.batch.len() < BATCH_COMMANDS {
            match self.queue.receiver.try_recv() {
                Ok(command) => self.take(command, &mut bytes),
                Err(TryRecvError::Disconnected) if self.batch.is_empty() => {
                    return Gathered::Closed;
                }
                Err(_) if self.batch.is_empty() && !purging => return Gathered::Nothing,
                Err(_) => break,
            }
        }
        Gathered::Work
    }

    fn take(&mut self, command: Command, bytes: &mut usize) {
        self.queue.taken(&command);
        *bytes += command.queued_bytes();
        self.batch.push(command);
    }

    /// The last act of a stop that lost nothing.
    pub fn close(self) -> Result<(), ReadError> {
        self.writer.close()
    }

    fn run(mut self, mut told: impl FnMut(Committed)) -> WriterEnd {
        while self.gather(true) == Gathered::Work {
            if !self.commit_at_last(&mut told) {
                return WriterEnd::Failed;
            }
        }
        match self.close() {
            Ok(()) => WriterEnd::Clean,
            Err(error) => {
                tracing::error!(%error, "the clean mark could not be written");
                WriterEnd::Unmarked
            }
        }
    }

    /// Commits the batch, opening the database again as often as it takes. `false`: too often.
    fn commit_at_last(&mut self, told: &mut impl FnMut(Committed)) -> bool {
        let error = match self.writer.step(&mut self.batch) {
            Ok(committed) => {
                self.finish(committed, told);
                return true;
            }
            Err(error) => error,
        };
        self.health.set(false);
        tracing::error!(%error, "storage fails: nothing is acknowledged until it is back");
        for _ in 0..STORAGE_RETRIES {
            std::thread::sleep(STORAGE_RETRY);
            match self.recover(told) {
                Ok(()) => {
                    tracing::warn!("storage is back, everything waiting is committed");
                    return true;
                }
                Err(error) => tracing::debug!(%error, "storage still fails"),
            }
        }
        tracing::error!("storage did not come back: the process ends");
        false
    }
}

/// The running thread.
#[derive(Debug)]
pub struct WriterThread {
    pub queue: WriteQueue,
    pub health: Health,
    join: JoinHandle<WriterEnd>,
}

impl WriterThread {
    /// `told` hears of each commit, in order, on the writer's thread; it should hand the news on.
    /// `ended` hears when the thread ends, however it does.
    pub fn start(
        writer: Writer,
        limits: &Limits,
        told: impl FnMut(Committed) + Send + 'static,
        ended: impl FnOnce(WriterEnd) + Send + 'static,
    ) -> io::Result<Self> {
        let (driven, queue, health) = DrivenWriter::new(writer, limits);
        let join = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // Nothing could be stored after a panic here, and nobody would notice.
            let _abort = AbortOnPanic;
            let end = driven.run(told);
            ended(end);
            end
        })?;
        Ok(Self { queue, health, join })
    }

    /// Blocks until the thread has ended; close the queue first.
    #[must_use]
    pub fn join(self) -> WriterEnd {
        self.join.join().unwrap_or(WriterEnd::Failed)
    }
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the writer panicked: the process ends");
            std::process::abort();
        }
    }
}
