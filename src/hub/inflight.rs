//! Messages with an id that are on their way to the disk. Who wants to store one reserves its id
//! first and looks into the table after: so that of many who send the same, one stores it.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::domain::{MessageId, UserId};
use crate::mutation::{self, Mutation};

type Key = (UserId, MessageId);

/// The reserved ids of one room. A reservation ends when its message is committed, or when it
/// comes to nothing; those who met it are woken by their sender being dropped.
#[derive(Debug, Default)]
pub(super) struct InFlight(HashMap<Key, Vec<oneshot::Sender<()>>>);

impl InFlight {
    /// `Err`: somebody has it; wait for the end of the receiver and ask again.
    pub(super) fn reserve(
        &mut self,
        user: UserId,
        id: &MessageId,
    ) -> Result<(), oneshot::Receiver<()>> {
        if let Some(waiters) = self.0.get_mut(&(user, id.clone()))
            && !mutation::is(Mutation::NoReservations)
        {
            // Those who have gone are forgotten, so that the list stays as long as the wait is.
            waiters.retain(|waiter| !waiter.is_closed());
            let (sender, receiver) = oneshot::channel();
            waiters.push(sender);
            return Err(receiver);
        }
        self.0.insert((user, id.clone()), Vec::new());
        Ok(())
    }

    pub(super) fn release(&mut self, user: UserId, id: &MessageId) {
        self.0.remove(&(user, id.clone()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn one_reserves_the_others_wait_for_its_end() {
        let mut inflight = InFlight::default();
        let user = UserId::new(1).unwrap();
        let other = UserId::new(2).unwrap();
        let id = MessageId::parse("c1").unwrap();
        assert!(inflight.reserve(user, &id).is_ok());
        assert!(inflight.reserve(other, &id).is_ok(), "ids belong to their user");
        let mut waiting = inflight.reserve(user, &id).unwrap_err();
        assert!((&mut waiting).now_or_never().is_none());
        inflight.release(user, &id);
        assert!((&mut waiting).now_or_never().is_some());
        assert!(inflight.reserve(user, &id).is_ok());
        inflight.release(user, &id);
        inflight.release(other, &id);
        assert!(inflight.is_empty());
    }
}
