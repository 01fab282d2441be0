//! The OS thread around the writer: blocks on the queue, commits what has gathered, tells what is
//! true now. There is no timer: while one commit is on its way the next batch gathers.

use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::TryRecvError;

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
        let health = Health::default();
        let (queue, receiver) = WriteQueue::new(
            limits.writer_queue_messages,
            limits.writer_queue_bytes,
            health.clone(),
        );
        let drive = Drive { writer, queue: receiver, health: health.clone(), told };
        let join = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // Nothing could be stored after a panic here, and nobody would notice.
            let _abort = AbortOnPanic;
            let end = drive.run();
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

struct Drive<F> {
    writer: Writer,
    queue: QueueReceiver,
    health: Health,
    told: F,
}

impl<F: FnMut(Committed)> Drive<F> {
    fn run(mut self) -> WriterEnd {
        let mut batch = Vec::new();
        while self.gather(&mut batch) {
            let Some(committed) = self.commit(&mut batch) else { return WriterEnd::Failed };
            (self.told)(committed);
            batch.drain(..).for_each(Command::send_reply);
        }
        match self.writer.close() {
            Ok(()) => WriterEnd::Clean,
            Err(error) => {
                tracing::error!(%error, "the clean mark could not be written");
                WriterEnd::Unmarked
            }
        }
    }

    /// Takes what waits, at most a batch; waits for the first command unless there is other work.
    /// `false`: the queue is closed and empty.
    fn gather(&mut self, batch: &mut Vec<Command>) -> bool {
        let mut bytes = 0;
        let mut take = |command: Command| {
            self.queue.taken(&command);
            bytes += command.queued_bytes();
            batch.push(command);
            bytes < BATCH_BYTES && batch.len() < BATCH_COMMANDS
        };
        if !self.writer.purging() {
            match self.queue.receiver.recv() {
                Ok(command) => take(command),
                Err(_) => return false,
            };
        }
        loop {
            match self.queue.receiver.try_recv() {
                Ok(command) => {
                    if !take(command) {
                        return true;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !batch.is_empty(),
            }
        }
    }

    /// Commits `batch`, opening the database again as often as it takes. `None`: it took too long.
    fn commit(&mut self, batch: &mut [Command]) -> Option<Committed> {
        let error = match self.writer.step(batch) {
            Ok(committed) => return Some(committed),
            Err(error) => error,
        };
        self.health.set(false);
        tracing::error!(%error, "storage fails: nothing is acknowledged until it is back");
        for _ in 0..STORAGE_RETRIES {
            std::thread::sleep(STORAGE_RETRY);
            match self.writer.recover(batch) {
                Ok(committed) => {
                    self.health.set(true);
                    tracing::warn!("storage is back, everything waiting is committed");
                    return Some(committed);
                }
                Err(error) => tracing::debug!(%error, "storage still fails"),
            }
        }
        tracing::error!("storage did not come back: the process ends");
        None
    }
}
