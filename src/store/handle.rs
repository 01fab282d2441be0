//! The open database: who else may have it, how it is opened again after a fault, and snapshots.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, WriteTransaction};

use super::schema::{self, NewDatabase};
use super::{OpenError, ReadError, Snapshot};
use crate::domain::LogId;
use crate::domain::limits::STOP_MARK_BYTES;

/// The database's file in the data directory.
pub(super) const DATABASE_FILE: &str = "parlor.redb";
/// Held locked while a server uses the directory. Between a clean stop and the next start it also
/// holds the stop's mark, which the database must match: a copy put back in the place of a database
/// that has gone on since does not.
const LOCK_FILE: &str = "parlor.lock";
/// The first bytes of a redb file.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// What the server chooses about the store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub directory: PathBuf,
    pub cache_bytes: usize,
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
    options: StoreOptions,
    /// `None` while it is being reopened, and once closed.
    database: RwLock<Option<Database>>,
    /// One snapshot serves all readers until the next commit.
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    /// Keeps other servers away for as long as this one lives.
    lock: File,
}

impl Handle {
    /// Opens the database in `options.directory`, making both if they are not there.
    ///
    /// # Errors
    /// When it is in use, damaged, foreign or newer; an existing file is never replaced.
    pub(super) fn open(
        options: &StoreOptions,
        new: &NewDatabase,
    ) -> Result<(Self, Opened), OpenError> {
        let directory = &options.directory;
        std::fs::create_dir_all(directory)
            .map_err(|source| OpenError::CreateDirectory { path: directory.clone(), source })?;
        let lock = lock_directory(directory)?;
        let path = directory.join(DATABASE_FILE);
        if !path.try_exists().map_err(|source| unreadable(&path, source))? {
            create(directory, options.cache_bytes, new, &lock)?;
        }
        let database = open_database(&path, options.cache_bytes)?;
        let not_writable = |source| not_writable(directory, source);
        let mark = read_mark(&lock).map_err(not_writable)?;
        let opened = schema::start(&database, &path, &mark, new.log)?;
        // From here on only the next clean stop can vouch for the database.
        write_mark(&lock, "").map_err(not_writable)?;
        let handle = Self {
            options: options.clone(),
            database: RwLock::new(Some(database)),
            snapshot: Mutex::new(None),
            lock,
        };
        Ok((handle, opened))
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
        let snapshot = Arc::new(Snapshot::new(transaction));
        *cached = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Called after each commit and before anyone is told of it.
    pub(super) fn forget_snapshot(&self) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says outside the database which state of it the stop leaves; before the database says so.
    pub(super) fn write_stop_mark(&self, mark: &str) -> std::io::Result<()> {
        write_mark(&self.lock, mark)
    }

    /// Closes the file and opens it again: redb refuses everything after a failed access.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        self.close();
        let path = self.options.directory.join(DATABASE_FILE);
        let database = open_database(&path, self.options.cache_bytes)?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(())
    }

    /// Reads fail from here on.
    pub(super) fn close(&self) {
        self.forget_snapshot();
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = database.map(Database::close) {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Unreadable { path: path.to_owned(), source }
}

fn not_writable(directory: &Path, source: std::io::Error) -> OpenError {
    OpenError::NotWritable { path: directory.to_owned(), source }
}

fn read_mark(lock: &File) -> std::io::Result<String> {
    let mut mark = Vec::new();
    let mut file = lock;
    file.rewind()?;
    file.take(STOP_MARK_BYTES).read_to_end(&mut mark)?;
    Ok(String::from_utf8_lossy(&mark).into_owned())
}

fn write_mark(lock: &File, mark: &str) -> std::io::Result<()> {
    let mut file = lock;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(mark.as_bytes())?;
    file.sync_all()
}

fn lock_directory(directory: &Path) -> Result<File, OpenError> {
    let not_writable = |source| not_writable(directory, source);
    let lock = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(directory.join(LOCK_FILE))
        .map_err(not_writable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
    }
}

/// A new database takes its name only when it is whole, so that a file under that name which is
/// empty or foreign is never ours and never replaced.
fn create(
    directory: &Path,
    cache_bytes: usize,
    new: &NewDatabase,
    lock: &File,
) -> Result<(), OpenError> {
    let path = directory.join(DATABASE_FILE);
    let unfinished = directory.join(format!("{DATABASE_FILE}.new"));
    let not_writable = |source| not_writable(directory, source);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(not_writable(error));
        }
        _ => {}
    }
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .create(&unfinished)
        .map_err(|error| not_writable(std::io::Error::other(error)))?;
    schema::initialise(&database, new)
        .map_err(|error| not_writable(std::io::Error::other(error)))?;
    database.close().map_err(|error| not_writable(std::io::Error::other(error)))?;
    write_mark(lock, &schema::stop_mark(new.log, 0, 0)).map_err(not_writable)?;
    std::fs::rename(&unfinished, &path).map_err(not_writable)?;
    sync_directory(directory).map_err(not_writable)?;
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_directory(parent).map_err(not_writable)?;
    }
    Ok(())
}

/// A name in a directory is durable only once the directory is.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn open_database(path: &Path, cache_bytes: usize) -> Result<Database, OpenError> {
    let mut head = Vec::with_capacity(MAGIC.len());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|source| unreadable(path, source))?;
    (&file)
        .take(MAGIC.len() as u64)
        .read_to_end(&mut head)
        .map_err(|source| unreadable(path, source))?;
    if head.is_empty() {
        return Err(OpenError::Empty(path.to_owned()));
    }
    let foreign = |reason: String| OpenError::Foreign { path: path.to_owned(), reason };
    if head != MAGIC {
        return Err(foreign("it does not begin as one".to_owned()));
    }
    // redb trusts a file that was closed properly and may panic over one that was cut short since.
    let open = || Database::builder().set_cache_size(cache_bytes).open(path);
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(foreign(error.to_string())),
        Err(_) => Err(foreign("its pages contradict each other".to_owned())),
    }
}
