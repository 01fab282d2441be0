//! The OS thread around the writer: blocks on the queue, commits what has gathered, tells what is
//! true now. There is no timer: while one commit is on its way the next batch gathers.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{TryRecvError, after, never, select};

use super::ReadError;
use super::command::Command;
use super::handle::Health;
use super::queue::{QueueReceiver, WriteQueue};
use super::writer::{Committed, Writer};
use crate::clock::{Deadline, Moment};
use crate::domain::Limits;
use crate::domain::limits::{BATCH_BYTES, BATCH_COMMANDS, REST, STORAGE_RETRY};
use crate::metrics::Metrics;

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
    /// Nothing was committed since the start or [`Self::rest`].
    rested: bool,
    /// How long storage may fail.
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// A batch to commit.
    Work,
    /// A read has failed, for this reason: the database has to be opened again.
    Fault(String),
    /// Nothing for so long that it is time to rest.
    Rest,
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

impl DrivenWriter {
    #[must_use]
    pub fn new(
        writer: Writer,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> (Self, WriteQueue, Health) {
        let health = Health::default();
        let (queue, receiver) = WriteQueue::new(
            limits.writer_queue_messages,
            limits.writer_queue_bytes,
            health.clone(),
        );
        let driven = Self {
            writer,
            queue: receiver,
            health: health.clone(),
            batch: Vec::new(),
            rested: true,
            patience: Duration::from_secs(limits.storage_patience_seconds),
            metrics: Arc::clone(metrics),
        };
        (driven, queue, health)
    }

    /// One batch of what waits, without waiting for more; `told` hears of it before the replies go
    /// out. `false`: there was nothing to do.
    ///
    /// # Errors
    /// When storage fails: the commit, or a read before it. The batch is kept; [`Self::recover`]
    /// tries again.
    pub fn turn(&mut self, told: &mut impl FnMut(Committed)) -> Result<bool, ReadError> {
        let due = self.gather();
        let work = due == Due::Work;
        self.perform(due, told).map(|()| work)
    }

    /// Makes the next start immediate, should this be the last that is heard of the process.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub fn rest(&mut self) -> Result<(), ReadError> {
        self.perform(Due::Rest, &mut |_| {})
    }

    /// After an error: opens the database again and commits what is missing.
    pub fn recover(&mut self, told: &mut impl FnMut(Committed)) -> Result<(), ReadError> {
        let committed = self.writer.recover(&mut self.batch)?;
        self.health.set(true);
        self.finish(committed, told);
        Ok(())
    }

    fn perform(&mut self, due: Due, told: &mut impl FnMut(Committed)) -> Result<(), ReadError> {
        let result = match due {
            Due::Nothing | Due::Closed => Ok(()),
            Due::Work => {
                let begun = Moment::now();
                self.writer.step(&mut self.batch).map(|committed| {
                    self.metrics.commit.observe(begun.elapsed());
                    self.finish(committed, told);
                })
            }
            Due::Fault(reason) => Err(ReadError::Failed(reason)),
            Due::Rest => {
                self.rested = true;
                self.writer.rest()
            }
        };
        if result.is_err() {
            self.health.set(false);
            self.metrics.storage_faults.inc();
        }
        result
    }

    fn finish(&mut self, committed: Committed, told: &mut impl FnMut(Committed)) {
        self.rested = false;
        let messages = self.batch.iter().filter(|command| command.is_message()).count();
        self.metrics.commit_messages.observe_size(messages);
        told(committed);
        self.batch.drain(..).for_each(Command::send_reply);
    }

    /// Takes what waits, at most a batch.
    fn gather(&mut self) -> Due {
        if let Ok(reason) = self.writer.faults().try_recv() {
            return Due::Fault(reason);
        }
        let mut bytes = self.batch.iter().map(Command::queued_bytes).sum::<usize>();
        while bytes < BATCH_BYTES && self.batch.len() < BATCH_COMMANDS {
            match self.queue.receiver.try_recv() {
                Ok(command) => bytes += self.take(command),
                Err(TryRecvError::Disconnected) if self.batch.is_empty() => return Due::Closed,
                Err(_) if self.batch.is_empty() && !self.writer.purging() => return Due::Nothing,
                Err(_) => break,
            }
        }
        Due::Work
    }

    /// The same; with nothing there, waits for something.
    fn wait(&mut self) -> Due {
        let due = self.gather();
        if due != Due::Nothing {
            return due;
        }
        let rest = if self.rested { never() } else { after(REST) };
        let faults = self.writer.faults().clone();
        select! {
            recv(self.queue.receiver) -> command => match command {
                Ok(command) => {
                    self.take(command);
                    self.gather()
                }
                Err(_) => Due::Closed,
            },
            recv(faults) -> reason => Due::Fault(reason.unwrap_or_default()),
            recv(rest) -> _ => Due::Rest,
        }
    }

    fn take(&mut self, command: Command) -> usize {
        self.queue.taken(&command);
        let bytes = command.queued_bytes();
        self.batch.push(command);
        bytes
    }

    /// A way past the queue, to damage what is stored.
    #[cfg(test)]
    pub(super) fn begin_write(&self) -> Result<redb::WriteTransaction, ReadError> {
        self.writer.begin_write()
    }

    /// The last act of a stop that lost nothing.
    pub fn close(self) -> Result<(), ReadError> {
        self.writer.close()
    }

    fn run(mut self, mut told: impl FnMut(Committed)) -> WriterEnd {
        loop {
            let due = self.wait();
            if due == Due::Closed {
                break;
            }
            if matches!(due, Due::Fault(_)) {
                // A page that cannot be read is asked for again and again.
                self.health.set(false);
                std::thread::sleep(STORAGE_RETRY);
            }
            if let Err(error) = self.perform(due, &mut told)
                && !self.recover_at_last(&error, &mut told)
            {
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

    /// Opens the database again as often as it takes. `false`: for too long.
    fn recover_at_last(&mut self, error: &ReadError, told: &mut impl FnMut(Committed)) -> bool {
        tracing::error!(%error, "storage fails: nothing is acknowledged until it is back");
        let deadline = Deadline::after(self.patience);
        while !deadline.has_passed() {
            match self.recover(told) {
                Ok(()) => {
                    tracing::warn!("storage is back, everything waiting is committed");
                    return true;
                }
                Err(error) => tracing::debug!(%error, "storage still fails"),
            }
            std::thread::sleep(STORAGE_RETRY);
        }
        tracing::error!("storage did not come back: the process ends");
        false
    }
}

/// The running thread.
#[derive(Debug)]
pub struct WriterThread(JoinHandle<WriterEnd>);

impl WriterThread {
    /// `told` hears of each commit, in order, on the writer's thread, and whether more waits to be
    /// committed. `ended` hears when the thread ends, however it does.
    pub fn start(
        driven: DrivenWriter,
        mut told: impl FnMut(Committed, bool) + Send + 'static,
        ended: impl FnOnce(WriterEnd) + Send + 'static,
    ) -> io::Result<Self> {
        let waiting = driven.queue.receiver.clone();
        let told = move |committed| told(committed, !waiting.is_empty());
        let join = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // Nothing could be stored after a panic here, and nobody would notice.
            let _abort = AbortOnPanic;
            let end = driven.run(told);
            ended(end);
            end
        })?;
        Ok(Self(join))
    }

    /// Blocks until the thread has ended; close the queue first.
    #[must_use]
    pub fn join(self) -> WriterEnd {
        self.0.join().unwrap_or(WriterEnd::Failed)
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
