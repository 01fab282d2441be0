//! The threads that read the database: a page that is not in the cache may take milliseconds, which
//! no runtime worker can spare. Under load a thread goes from one read to the next without being
//! woken.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{Semaphore, oneshot};

use super::ReadError;
use crate::domain::limits::{READ_QUEUE, READ_THREADS};

type Job = Box<dyn FnOnce() + Send>;

/// Its threads start with the first read and end with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jobs: OnceLock<Sender<Job>>,
    /// Held while the threads are started.
    starting: Mutex<()>,
    /// As many as the queue has places: who has one finds room.
    places: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            jobs: OnceLock::new(),
            starting: Mutex::new(()),
            places: Arc::new(Semaphore::new(READ_QUEUE)),
        }))
    }

    /// Runs `job` on one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let aborted = |reason: &str| ReadError::Aborted(reason.to_owned());
        let places = Arc::clone(&self.0.places);
        let place = places.acquire_owned().await.map_err(|_| ReadError::Closed)?;
        let (reply, outcome) = oneshot::channel();
        let job = Box::new(move || {
            let outcome = job();
            drop(place);
            // Whoever asked may have gone.
            let _ = reply.send(outcome);
        });
        self.jobs()?.try_send(job).map_err(|_| aborted("the readers' queue is full"))?;
        outcome.await.map_err(|_| aborted("a reader panicked"))?
    }

    /// Whether no read is under way.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.0.places.available_permits() == READ_QUEUE
    }

    fn jobs(&self) -> Result<&Sender<Job>, ReadError> {
        if let Some(jobs) = self.0.jobs.get() {
            return Ok(jobs);
        }
        let _starting = self.0.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = self.0.jobs.get() {
            return Ok(jobs);
        }
        let jobs = start().map_err(|error| ReadError::Aborted(error.to_string()))?;
        Ok(self.0.jobs.get_or_init(|| jobs))
    }
}

fn start() -> std::io::Result<Sender<Job>> {
    let (jobs, queue) = bounded::<Job>(READ_QUEUE);
    for _ in 0..READ_THREADS {
        let queue = queue.clone();
        std::thread::Builder::new().name("reader".to_owned()).spawn(move || read(&queue))?;
    }
    Ok(jobs)
}

fn read(queue: &Receiver<Job>) {
    for job in queue {
        // The job's reply is dropped with it, which tells whoever asked.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}
