//! Reads, over snapshots, on a small pool: a page that is not in the cache may take milliseconds,
//! which no runtime worker can spare.

use std::sync::Arc;
use std::task::Poll;

use super::handle::Handle;
use super::pool::Pool;
use super::{ReadError, Snapshot};

/// Cloned into everything that reads.
#[derive(Debug, Clone)]
pub struct Reader {
    handle: Arc<Handle>,
    pool: Pool,
    /// Reads run on the thread of whoever polls them.
    driven: bool,
}

impl Reader {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, pool: Pool::new(), driven: false }
    }

    /// The same reader for a driver without a runtime, which polls the reads itself: what it does
    /// between two polls happens before the snapshot is taken, or behind the read.
    #[must_use]
    pub fn driven(self) -> Self {
        Self { driven: true, ..self }
    }

    /// Runs `read` on the pool, over a snapshot taken after this call.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        if self.driven {
            pending_once().await;
            let result = read_from(&self.handle, read);
            pending_once().await;
            return result;
        }
        let handle = Arc::clone(&self.handle);
        let job = move || {
            // Given back before the answer: nobody's database stays open behind it.
            let handle = handle;
            read_from(&handle, read)
        };
        self.pool.run(job).await
    }

    /// Whether no read is under way.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.pool.is_idle()
    }

    /// The same on the caller's thread, for drivers that have no runtime.
    pub fn read_now<T>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        read_from(&self.handle, read)
    }
}

/// Gives the thread back to whoever polls, once.
async fn pending_once() {
    let mut polled = false;
    let once = std::future::poll_fn(|context| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    });
    once.await;
}

fn read_from<T>(
    handle: &Handle,
    read: impl FnOnce(&Snapshot) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let mut opening = handle.openings();
    let result = handle.snapshot().and_then(|snapshot| {
        opening = snapshot.opening();
        read(&snapshot)
    });
    if let Err(error) = &result
        && error.is_fault()
    {
        handle.report_fault(opening, error);
    }
    result
}
