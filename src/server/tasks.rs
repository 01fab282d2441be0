//! Tasks without which a server is not whole: one that ends before its time, by a panic or
//! otherwise, ends the server, so that whatever keeps the process running starts a sound one.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks that stop together.
#[derive(Debug)]
pub(super) struct Tasks {
    /// Also of those that may end when they like.
    pub(super) tracker: TaskTracker,
    /// Tells all of them to end.
    pub(super) stop: CancellationToken,
    /// Cancelled by the first that ends before it is told to, or panics.
    failed: CancellationToken,
}

impl Tasks {
    pub(super) fn new(failed: &CancellationToken) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        Self { tracker, stop, failed: failed.clone() }
    }

    /// Runs what ends by itself once the stop is told, and not before.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (stop, failed) = (self.stop.clone(), self.failed.clone());
        self.tracker.spawn(async move {
            // Nothing of the task is used again.
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            if outcome.is_err() || !stop.is_cancelled() {
                let how = if outcome.is_err() { "panicked" } else { "ended" };
                tracing::error!("the task `{name}` has {how}: the server stops");
                failed.cancel();
            }
        });
    }

    /// Runs what never ends, until the stop.
    pub(super) fn spawn_endless(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        // What ends all the same has ended before its time: nothing stopped it.
        self.spawn(name, stop.run_until_cancelled_owned(task).map(|_| ()));
    }

    /// Tells all to end and waits until they have.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn tasks() -> (Tasks, CancellationToken) {
        let failed = CancellationToken::new();
        (Tasks::new(&failed), failed)
    }

    #[tokio::test]
    async fn a_task_that_ends_before_its_time_is_seen() {
        let spawns: [fn(&Tasks); 4] = [
            |tasks| tasks.spawn("ends", ready(())),
            |tasks| tasks.spawn("panics", async { panic!("a fault") }),
            |tasks| tasks.spawn_endless("ends", ready(())),
            |tasks| tasks.spawn_endless("panics", async { panic!("a fault") }),
        ];
        for (case, spawn) in spawns.into_iter().enumerate() {
            let (tasks, failed) = tasks();
            spawn(&tasks);
            tasks.tracker.close();
            tasks.tracker.wait().await;
            assert!(failed.is_cancelled(), "{case}");
        }
    }

    #[tokio::test]
    async fn tasks_that_end_when_they_are_told_to_are_in_order() {
        let (tasks, failed) = tasks();
        tasks.spawn("t", tasks.stop.clone().cancelled_owned());
        tasks.spawn_endless("t", pending());
        tasks.end().await;
        assert!(!failed.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_at_the_stop_is_seen_too() {
        let (tasks, failed) = tasks();
        let stopped = tasks.stop.clone().cancelled_owned();
        tasks.spawn("t", stopped.map(|()| panic!("a fault")));
        tasks.end().await;
        assert!(failed.is_cancelled());
    }
}
