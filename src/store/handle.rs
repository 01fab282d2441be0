//! The open database: how it is opened, and opened again after a fault, and snapshots of it.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, bounded};
use redb::{Database, ReadableDatabase, RepairSession, StorageBackend, WriteTransaction};

use super::disk::Disk;
use super::schema::{self, NewDatabase};
use super::{CommitMode, OpenError, ReadError, Snapshot, directory};
use crate::domain::LogId;

/// What the server chooses about the store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub place: Place,
    pub cache_bytes: usize,
    pub commit: CommitMode,
}

impl StoreOptions {
    /// A database in the file system.
    #[must_use]
    pub fn directory(directory: impl Into<PathBuf>, cache_bytes: usize) -> Self {
        let place = Place::Directory(directory.into());
        Self { place, cache_bytes, commit: CommitMode::default() }
    }
}

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the file system.
    Directory(PathBuf),
    /// Wherever a driver has it, which sees every access and can make it fail.
    Medium(Medium),
}

/// Storage for one database that is not in the file system.
#[derive(Debug, Clone)]
pub struct Medium {
    /// Empty at first.
    pub bytes: Arc<dyn StorageBackend>,
    /// The mark of the last clean stop.
    pub stop_mark: Arc<Mutex<String>>,
}

/// Whether writes reach the disk. Shared by the queue, the writer and readiness.
#[derive(Debug, Clone)]
pub struct Health(Arc<AtomicBool>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Health {
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, good: bool) {
        self.0.store(good, Ordering::Release);
    }
}

/// What a start finds in the database, after it has counted itself as a start.
#[derive(Debug, Clone)]
pub struct Opened {
    pub log: LogId,
    pub boot: u64,
    /// The last stop wrote its mark: nothing can have been lost.
    pub clean: bool,
    /// The database stopped cleanly, but elsewhere or before others went on from it: it is a copy
    /// put back, and has a new name from here on.
    pub restored: bool,
    /// The database's own secret, used unless the configuration has one.
    pub secret: Vec<u8>,
    pub has_accounts: bool,
}

/// Shared by the writer and the readers.
#[derive(Debug)]
pub(super) struct Handle {
    cache_bytes: usize,
    path: PathBuf,
    disk: Disk,
    /// `None` while it is being reopened, and once closed.
    database: RwLock<Option<Database>>,
    /// One snapshot serves all readers until the next commit.
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    stop_mark: StopMark,
    /// A read has failed and nobody has looked into it yet.
    faults: (Sender<String>, Receiver<String>),
}

#[derive(Debug)]
enum StopMark {
    /// Keeps other servers away for as long as this one lives.
    File(File),
    Medium(Arc<Mutex<String>>),
}

impl StopMark {
    fn read(&self) -> std::io::Result<String> {
        match self {
            Self::File(lock) => directory::read_mark(lock),
            Self::Medium(mark) => Ok(mark.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        match self {
            Self::File(lock) => directory::write_mark(lock, text),
            Self::Medium(mark) => {
                text.clone_into(&mut mark.lock().unwrap_or_else(PoisonError::into_inner));
                Ok(())
            }
        }
    }
}

impl Handle {
    /// Opens the database in its place, making it if it is not there.
    ///
    /// # Errors
    /// When it is in use, damaged, foreign or newer; an existing file is never replaced.
    pub(super) fn open(
        options: &StoreOptions,
        new: &NewDatabase,
    ) -> Result<(Self, Opened), OpenError> {
        let cache_bytes = options.cache_bytes;
        let Found { path, stop_mark, bytes, file } = match &options.place {
            Place::Directory(directory) => open_directory(directory, cache_bytes, new)?,
            Place::Medium(medium) => open_medium(medium, cache_bytes, new)?,
        };
        let disk = Disk::new(bytes);
        let database = open_database(&disk, &path, cache_bytes, file)?;
        let not_writable = |source| directory::not_writable(&path, source);
        let mark = stop_mark.read().map_err(not_writable)?;
        let opened = schema::start(&database, &path, &mark, new.log)?;
        // From here on only the next clean stop can vouch for the database.
        stop_mark.write("").map_err(not_writable)?;
        let handle = Self {
            cache_bytes,
            path,
            disk,
            database: RwLock::new(Some(database)),
            snapshot: Mutex::new(None),
            stop_mark,
            faults: bounded(1),
        };
        Ok((handle, opened))
    }

    /// For messages about it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, ReadError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or(ReadError::Closed)?.begin_write()?)
    }

    /// A snapshot that holds every commit after which [`Self::forget_snapshot`] was called.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, ReadError> {
        let mut cached = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = cached.as_ref() {
            return Ok(Arc::clone(snapshot));
        }
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().ok_or(ReadError::Closed)?.begin_read()?;
        let snapshot = Arc::new(Snapshot::new(transaction, self.disk.openings()));
        *cached = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// How often the database has been opened.
    pub(super) fn openings(&self) -> u64 {
        self.disk.openings()
    }

    /// Tells the writer that a read has failed over storage, unless it has opened the database
    /// again since: that made it fail, or mended it.
    pub(super) fn report_fault(&self, opening: u64, error: &ReadError) {
        if opening == self.openings() {
            // An error says that the writer has been told already.
            let _ = self.faults.0.try_send(error.to_string());
        }
    }

    pub(super) fn faults(&self) -> &Receiver<String> {
        &self.faults.1
    }

    /// Called after each commit and before anyone is told of it.
    pub(super) fn forget_snapshot(&self) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says outside the database which state of it the stop leaves; before the database says so.
    pub(super) fn write_stop_mark(&self, mark: &str) -> std::io::Result<()> {
        self.stop_mark.write(mark)
    }

    /// Closes the database and opens it again: redb refuses everything after a failed access.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        self.close();
        // Whatever was reported before is being seen to.
        let _ = self.faults.1.try_recv();
        let database = open_database(&self.disk, &self.path, self.cache_bytes, None)?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(())
    }

    /// Reads fail from here on.
    pub(super) fn close(&self) {
        // In this order: a reader between the two would keep a snapshot of what is closed.
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        self.forget_snapshot();
        let Some(database) = database else { return };
        // redb may panic over what a failed access left of its pages in memory. What is on the disk
        // is whole, and the next open walks it.
        match catch_unwind(AssertUnwindSafe(|| database.close())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the database did not close cleanly"),
            Err(_) => {
                tracing::debug!("the database did not close: its pages contradict each other");
            }
        }
    }
}

/// A start that fails drops what it has opened, and no panic may come of that.
impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// A database in its place, not open yet.
struct Found {
    path: PathBuf,
    stop_mark: StopMark,
    bytes: Arc<dyn StorageBackend>,
    /// The same bytes, if the kernel has them.
    file: Option<File>,
}

fn open_directory(
    directory: &Path,
    cache_bytes: usize,
    new: &NewDatabase,
) -> Result<Found, OpenError> {
    let lock = directory::lock(directory)?;
    let path = directory.join(directory::DATABASE_FILE);
    let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
    let not_writable = |source| directory::not_writable(directory, source);
    if !path.try_exists().map_err(unreadable)? {
        // It takes its name only when it is whole, so that a file under that name which is empty
        // or foreign is never ours and never replaced.
        let bytes = directory::create_unfinished(directory)?;
        create(bytes, cache_bytes, new).map_err(not_writable)?;
        directory::write_mark(&lock, &schema::stop_mark(new.log, 0, 0)).map_err(not_writable)?;
        directory::publish(directory).map_err(not_writable)?;
    }
    let (bytes, file) = directory::open(&path)?;
    Ok(Found { path, stop_mark: StopMark::File(lock), bytes, file: Some(file) })
}

fn open_medium(medium: &Medium, cache_bytes: usize, new: &NewDatabase) -> Result<Found, OpenError> {
    let path = PathBuf::from("medium");
    let stop_mark = StopMark::Medium(Arc::clone(&medium.stop_mark));
    let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
    if medium.bytes.len().map_err(unreadable)? == 0 {
        let created = create(Arc::clone(&medium.bytes), cache_bytes, new);
        created.map_err(|source| directory::not_writable(&path, source))?;
        let mark = schema::stop_mark(new.log, 0, 0);
        stop_mark.write(&mark).map_err(|source| directory::not_writable(&path, source))?;
    }
    Ok(Found { path, stop_mark, bytes: Arc::clone(&medium.bytes), file: None })
}

fn create(
    bytes: Arc<dyn StorageBackend>,
    cache_bytes: usize,
    new: &NewDatabase,
) -> std::io::Result<()> {
    let attached = Disk::new(bytes).attach()?;
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .create_with_backend(attached)
        .map_err(std::io::Error::other)?;
    schema::initialise(&database, new).map_err(std::io::Error::other)?;
    database.close().map_err(std::io::Error::other)
}

/// `file`: is to be read ahead of a walk over all of it.
fn open_database(
    disk: &Disk,
    path: &Path,
    cache_bytes: usize,
    file: Option<File>,
) -> Result<Database, OpenError> {
    let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
    let foreign = |reason: String| OpenError::Foreign { path: path.to_owned(), reason };
    let attached = disk.attach().map_err(unreadable)?;
    if attached.len().map_err(unreadable)? == 0 {
        // redb would take it for a new one.
        return Err(OpenError::Empty(path.to_owned()));
    }
    // redb trusts a file that was closed properly and may panic over one that was cut short since.
    let file = Mutex::new(file);
    let at_walk = move |_: &mut RepairSession| {
        let file = file.lock().unwrap_or_else(PoisonError::into_inner).take();
        file.into_iter().for_each(directory::read_ahead);
    };
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes).set_repair_callback(at_walk);
    let open = || builder.create_with_backend(attached);
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(OpenError::of(path, error.into())),
        Err(_) => Err(foreign("its pages contradict each other".to_owned())),
    }
}
