//! The way to the writer: bounded by number and by bytes, and closed exactly once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{Command, Health, SubmitError};
use crate::mutation::{self, Mutation};

/// Cloned into everything that writes.
#[derive(Debug, Clone)]
pub struct WriteQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` once closed. Senders share the lock; closing takes it alone, so that nothing can
    /// slip in behind the last batch and be lost under a clean mark.
    sender: RwLock<Option<Sender<Command>>>,
    bytes: AtomicUsize,
    max_bytes: usize,
    health: Health,
}

impl WriteQueue {
    pub(super) fn new(
        max_commands: usize,
        max_bytes: usize,
        health: Health,
    ) -> (Self, QueueReceiver) {
        let (sender, receiver) = bounded(max_commands);
        let shared = Arc::new(Shared {
            sender: RwLock::new(Some(sender)),
            bytes: AtomicUsize::new(0),
            max_bytes,
            health,
        });
        (Self(Arc::clone(&shared)), QueueReceiver { receiver, shared })
    }

    /// Hands `command` to the writer, or refuses it without any effect. Never blocks.
    pub fn submit(&self, command: Command) -> Result<(), SubmitError> {
        if !self.0.health.is_good() && !mutation::is(Mutation::TakenWhileFailing) {
            return Err(SubmitError::Unavailable);
        }
        let bytes = command.queued_bytes();
        let sender = self.0.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(SubmitError::Unavailable)?;
        let before = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        // An empty queue takes any message, so that a bound set too low cannot stop everything.
        let result = if bytes > 0 && before > 0 && before + bytes > self.0.max_bytes {
            Err(SubmitError::Full)
        } else {
            sender.try_send(command).map_err(|error| match error {
                TrySendError::Full(_) => SubmitError::Full,
                TrySendError::Disconnected(_) => SubmitError::Unavailable,
            })
        };
        if result.is_err() {
            self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        result
    }

    /// Commands that wait, and their bytes as they count towards the bound.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let sender = self.0.sender.read().unwrap_or_else(PoisonError::into_inner);
        (sender.as_ref().map_or(0, Sender::len), self.0.bytes.load(Ordering::Relaxed))
    }

    /// No further command is accepted; the writer takes what is queued and ends.
    pub fn close(&self) {
        *self.0.sender.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct QueueReceiver {
    pub(super) receiver: Receiver<Command>,
    shared: Arc<Shared>,
}

impl QueueReceiver {
    /// Notes that `command` has left the queue.
    pub(super) fn taken(&self, command: &Command) {
        self.shared.bytes.fetch_sub(command.queued_bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatEvent, MessageBody, RoomId, Stamp, UserId};
    use crate::store::NewEvent;

    fn event(text: &str) -> Command {
        Command::Event(NewEvent {
            room: RoomId::new(1).unwrap(),
            event: ChatEvent {
                stamp: Stamp { seq: 1, at: 1, count: 1, prev: None },
                user_id: UserId::new(1).unwrap(),
                id: None,
                body: MessageBody::parse(text, 1_000_000).unwrap(),
            },
        })
    }

    #[test]
    fn both_bounds_refuse_and_recover() {
        let (queue, receiver) = WriteQueue::new(2, 10_000, Health::default());
        assert_eq!(queue.submit(event("a")), Ok(()));
        assert_eq!(queue.submit(event(&"b".repeat(10_000))), Err(SubmitError::Full));
        assert_eq!(queue.submit(event("c")), Ok(()));
        assert_eq!(queue.submit(event("d")), Err(SubmitError::Full));
        let bytes = event("a").queued_bytes() + event("c").queued_bytes();
        assert_eq!(queue.waiting(), (2, bytes));
        for _ in 0..2 {
            receiver.taken(&receiver.receiver.recv().unwrap());
        }
        assert_eq!(queue.waiting(), (0, 0));
        assert_eq!(queue.submit(event(&"b".repeat(20_000))), Ok(()), "an empty queue takes any");
    }

    #[test]
    fn what_was_queued_before_closing_arrives_and_nothing_after() {
        let (queue, receiver) = WriteQueue::new(2, 10_000, Health::default());
        queue.submit(event("a")).unwrap();
        queue.close();
        assert_eq!(queue.submit(event("b")), Err(SubmitError::Unavailable));
        assert!(receiver.receiver.recv().is_ok());
        assert!(receiver.receiver.recv().is_err());
    }

    #[test]
    fn a_failing_store_is_unavailable_at_once() {
        let health = Health::default();
        let (queue, _receiver) = WriteQueue::new(2, 10_000, health.clone());
        health.set(false);
        assert_eq!(queue.submit(event("a")), Err(SubmitError::Unavailable));
        health.set(true);
        assert_eq!(queue.submit(event("a")), Ok(()));
    }
}
