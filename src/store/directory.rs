//! The data directory: who may have it, the mark of a clean stop, and the file in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::OpenError;
use crate::domain::limits::{READ_AHEAD_BYTES, READ_AHEAD_STEP, STOP_MARK_BYTES};

/// The database's file in the data directory.
pub(super) const DATABASE_FILE: &str = "parlor.redb";
/// A database that is being made has this name until it is whole.
pub(super) const UNFINISHED_FILE: &str = "parlor.redb.new";
/// Held locked while a server uses the directory. Between a clean stop and the next start it also
/// holds the stop's mark, which the database must match: a copy put back in the place of a database
/// that has gone on since does not.
const LOCK_FILE: &str = "parlor.lock";
/// The first bytes of a redb file.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// Makes the directory if need be and takes it for this process. Dropping the file gives it back.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    std::fs::create_dir_all(directory)
        .map_err(|source| OpenError::CreateDirectory { path: directory.to_owned(), source })?;
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

pub(super) fn read_mark(lock: &File) -> std::io::Result<String> {
    let mut mark = Vec::new();
    let mut file = lock;
    file.rewind()?;
    file.take(STOP_MARK_BYTES).read_to_end(&mut mark)?;
    Ok(String::from_utf8_lossy(&mark).into_owned())
}

pub(super) fn write_mark(lock: &File, mark: &str) -> std::io::Result<()> {
    let mut file = lock;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(mark.as_bytes())?;
    file.sync_all()
}

/// Gives a database that is whole its name.
pub(super) fn publish(directory: &Path) -> std::io::Result<()> {
    std::fs::rename(directory.join(UNFINISHED_FILE), directory.join(DATABASE_FILE))?;
    sync(directory)?;
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

/// A name in a directory is durable only once the directory is.
fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The database's file, which must begin as one.
pub(super) fn open(path: &Path) -> Result<(Arc<dyn StorageBackend>, File), OpenError> {
    let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(unreadable)?;
    let mut head = Vec::with_capacity(MAGIC.len());
    (&file).take(MAGIC.len() as u64).read_to_end(&mut head).map_err(unreadable)?;
    if head.is_empty() {
        return Err(OpenError::Empty(path.to_owned()));
    }
    if head != MAGIC {
        let reason = "it does not begin as one".to_owned();
        return Err(OpenError::Foreign { path: path.to_owned(), reason });
    }
    // Another directory may lead to the same file.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => return Err(unreadable(source)),
    }
    forget_cached(&file).map_err(unreadable)?;
    let same = file.try_clone().map_err(unreadable)?;
    Ok((file_backend(path, file)?, same))
}

/// Reads the file from end to end beside the walk that redb makes over all of it in another order
/// and page by page, so that the walk finds it in the kernel's memory. Advice alone to do so
/// (`WILLNEED`) gained nothing.
pub(super) fn read_ahead(file: File) {
    let ahead = move || {
        let mut bytes = vec![0; READ_AHEAD_STEP];
        let mut file = file.take(READ_AHEAD_BYTES);
        // What cannot be read the walk will find too.
        while file.read(&mut bytes).is_ok_and(|read| read > 0) {}
    };
    // Without the thread the walk only takes longer.
    let _ = std::thread::Builder::new().name("read-ahead".to_owned()).spawn(ahead);
}

/// Whoever ran before may have died over a failed sync. Then the kernel's memory holds pages that
/// never reached the disk and that it takes for clean: it is asked to drop them, so that what is
/// read is what is there.
fn forget_cached(file: &File) -> std::io::Result<()> {
    // The first may tell of a fault that whoever ran before did not live to see.
    file.sync_data().or_else(|_| file.sync_data())?;
    // Advice, and some file systems have none to take.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    Ok(())
}

/// An empty file for a new database, which nobody else may read: it holds the secret that signs
/// tokens.
pub(super) fn create_unfinished(directory: &Path) -> Result<Arc<dyn StorageBackend>, OpenError> {
    let path = directory.join(UNFINISHED_FILE);
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(|source| not_writable(directory, source))?;
    file_backend(&path, file)
}

fn file_backend(path: &Path, file: File) -> Result<Arc<dyn StorageBackend>, OpenError> {
    let foreign = |reason: String| OpenError::Foreign { path: path.to_owned(), reason };
    let backend = FileBackend::new(file).map_err(|error| foreign(error.to_string()))?;
    Ok(Arc::new(backend))
}

pub(super) fn not_writable(directory: &Path, source: std::io::Error) -> OpenError {
    OpenError::NotWritable { path: directory.to_owned(), source }
}
