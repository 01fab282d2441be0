//! What a database must hold before anything else: its schema, its name, its boot number.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, WriteTransaction};

use super::tables::{
    BY_CLIENT_ID, EVENTS, HEADS, META, META_BATCH, META_BOOT, META_CLEAN, META_LAST_ROOM,
    META_LAST_USER, META_LOG, META_SCHEMA, META_SECRET, PURGES, ROOM_BY_SLUG, ROOMS, SESSIONS,
    USER_BY_NAME, USERS,
};
use super::{OpenError, Opened, ReadError};
use crate::domain::LogId;
use crate::mutation::{self, Mutation};

/// Brings a database from the schema of its place in the list, counted from 1, to the next.
type Migration = fn(&WriteTransaction) -> Result<(), ReadError>;

/// In order; a new schema appends one and never changes those before it. Schema 1 is the first.
const MIGRATIONS: &[Migration] = &[];

/// The random part of a new database.
#[derive(Debug, Clone)]
pub struct NewDatabase {
    pub log: LogId,
    pub secret: [u8; 32],
}

type Meta<'txn> = Table<'txn, &'static str, &'static [u8]>;

pub(super) fn read_u64(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<u64, ReadError> {
    let value = meta.get(key)?.ok_or(ReadError::Inconsistent("a meta row is missing"))?;
    let bytes = value.value().try_into().map_err(|_| ReadError::Inconsistent("a meta row"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_log(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<LogId, ReadError> {
    let log = meta.get(META_LOG)?.ok_or(ReadError::Inconsistent("no log id"))?;
    let log = log.value().try_into().map_err(|_| ReadError::Inconsistent("the log id"))?;
    Ok(LogId(u128::from_le_bytes(log)))
}

pub(super) fn write_u64(meta: &mut Meta<'_>, key: &str, value: u64) -> Result<(), ReadError> {
    meta.insert(key, value.to_le_bytes().as_slice())?;
    Ok(())
}

/// Writes what every database has from its first moment. All tables exist from here on, so that
/// no reader can meet a missing one.
pub(super) fn initialise(database: &Database, new: &NewDatabase) -> Result<(), ReadError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut meta = transaction.open_table(META)?;
        write_u64(&mut meta, META_SCHEMA, newest_schema())?;
        meta.insert(META_LOG, new.log.0.to_le_bytes().as_slice())?;
        meta.insert(META_SECRET, new.secret.as_slice())?;
        write_u64(&mut meta, META_BOOT, 0)?;
        write_u64(&mut meta, META_CLEAN, 1)?;
        for key in [META_BATCH, META_LAST_USER, META_LAST_ROOM] {
            write_u64(&mut meta, key, 0)?;
        }
        transaction.open_table(USERS)?;
        transaction.open_table(USER_BY_NAME)?;
        transaction.open_table(SESSIONS)?;
        transaction.open_table(ROOMS)?;
        transaction.open_table(ROOM_BY_SLUG)?;
        transaction.open_table(HEADS)?;
        transaction.open_table(EVENTS)?;
        transaction.open_table(BY_CLIENT_ID)?;
        transaction.open_table(PURGES)?;
    }
    transaction.commit()?;
    Ok(())
}

fn newest_schema() -> u64 {
    MIGRATIONS.len() as u64 + 1
}

/// Migrates if need be and counts this start: one durable commit before anything listens.
///
/// The boot number rises unless the last stop was clean. It is what keeps a seq that was broadcast
/// just before a crash, and lost, from ever being given again.
///
/// A database that says it was stopped cleanly must match `mark`, which the stop left outside it.
/// One that does not is a copy put back, and others may know seqs that it has never heard of: it
/// gets a new name, `new_log`, by which clients know that they have to begin anew.
pub(super) fn start(
    database: &Database,
    path: &Path,
    mark: &str,
    new_log: LogId,
) -> Result<Opened, OpenError> {
    let unusable = |error| OpenError::of(path, error);
    let found = schema_of(database).map_err(unusable)?;
    if found > newest_schema() {
        let path = path.to_owned();
        return Err(OpenError::NewerSchema { path, found, known: newest_schema() });
    }
    begin_boot(database, found, MIGRATIONS, mark, new_log).map_err(unusable)
}

fn schema_of(database: &Database) -> Result<u64, ReadError> {
    read_u64(&database.begin_read()?.open_table(META)?, META_SCHEMA)
}

fn begin_boot(
    database: &Database,
    found: u64,
    migrations: &[Migration],
    mark: &str,
    new_log: LogId,
) -> Result<Opened, ReadError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // Until something is written, a crash leaves nothing to walk over.
    transaction.set_quick_repair(true);
    let done = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
    for migration in migrations.iter().skip(done) {
        migration(&transaction)?;
    }
    let opened = {
        let mut meta = transaction.open_table(META)?;
        write_u64(&mut meta, META_SCHEMA, migrations.len() as u64 + 1)?;
        let log = read_log(&meta)?;
        let (boot, batch) = (read_u64(&meta, META_BOOT)?, read_u64(&meta, META_BATCH)?);
        let stopped = read_u64(&meta, META_CLEAN)? == 1;
        let clean = stopped && mark == stop_mark(log, boot, batch)
            || mutation::is(Mutation::EveryStopIsClean);
        let restored = stopped && !clean;
        let log = if restored { new_log } else { log };
        let boot = boot + u64::from(!clean);
        meta.insert(META_LOG, log.0.to_le_bytes().as_slice())?;
        write_u64(&mut meta, META_BOOT, boot)?;
        write_u64(&mut meta, META_CLEAN, 0)?;
        let secret = meta.get(META_SECRET)?.ok_or(ReadError::Inconsistent("no secret"))?;
        let secret = secret.value().to_vec();
        let has_accounts = read_u64(&meta, META_LAST_USER)? > 0;
        Opened { log, boot, clean, restored, secret, has_accounts }
    };
    transaction.commit()?;
    Ok(opened)
}

/// Names one state of one database.
pub(super) fn stop_mark(log: LogId, boot: u64, batch: u64) -> String {
    format!("{log} {boot} {batch}\n")
}

/// The mark of the state that `transaction` began with.
pub(super) fn stop_mark_of(transaction: &WriteTransaction) -> Result<String, ReadError> {
    let meta = transaction.open_table(META)?;
    Ok(stop_mark(read_log(&meta)?, read_u64(&meta, META_BOOT)?, read_u64(&meta, META_BATCH)?))
}

/// The last commit of a stop that lost nothing.
pub(super) fn mark_clean(mut transaction: WriteTransaction) -> Result<(), ReadError> {
    transaction.set_durability(Durability::Immediate)?;
    write_u64(&mut transaction.open_table(META)?, META_CLEAN, 1)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::TableDefinition;
    use redb::backends::InMemoryBackend;

    fn database() -> Database {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        initialise(&database, &NewDatabase { log: LogId(7), secret: [1; 32] }).unwrap();
        database
    }

    #[test]
    fn the_boot_number_rises_after_every_stop_but_a_clean_one() {
        let database = database();
        let start = |mark: &str| start(&database, Path::new("x"), mark, LogId(9)).unwrap();
        let first = start(&stop_mark(LogId(7), 0, 0));
        assert_eq!((first.boot, first.clean, first.log), (0, true, LogId(7)));
        let after_crash = start("");
        assert_eq!((after_crash.boot, after_crash.clean, after_crash.log), (1, false, LogId(7)));
        let transaction = database.begin_write().unwrap();
        let mark = stop_mark_of(&transaction).unwrap();
        mark_clean(transaction).unwrap();
        let after_stop = start(&mark);
        assert_eq!((after_stop.boot, after_stop.clean), (1, true));
        assert!(!(first.restored || after_crash.restored || after_stop.restored));
    }

    #[test]
    fn a_newer_schema_is_refused_and_not_touched() {
        let database = database();
        let transaction = database.begin_write().unwrap();
        write_u64(&mut transaction.open_table(META).unwrap(), META_SCHEMA, 99).unwrap();
        transaction.commit().unwrap();
        let error = start(&database, Path::new("x"), "", LogId(9)).unwrap_err().to_string();
        assert!(error.contains("schema 99") && error.contains("newer program"), "{error}");
        assert_eq!(schema_of(&database).unwrap(), 99);
    }

    const ADDED: TableDefinition<u64, u64> = TableDefinition::new("added");

    #[test]
    fn migrations_run_once_in_order_and_all_or_nothing() {
        let first: Migration = |transaction| {
            transaction.open_table(ADDED)?.insert(1, 10)?;
            Ok(())
        };
        let second: Migration = |transaction| {
            let mut table = transaction.open_table(ADDED)?;
            let value = table.get(1)?.map(|value| value.value());
            table.insert(1, value.ok_or(ReadError::Inconsistent("order"))? + 1)?;
            Ok(())
        };
        let failing: Migration = |_| Err(ReadError::Inconsistent("no"));
        let value = |database: &Database| {
            let table = database.begin_read().unwrap().open_table(ADDED).unwrap();
            table.get(1).unwrap().unwrap().value()
        };

        let database = database();
        assert!(begin_boot(&database, 1, &[first, failing], "", LogId(9)).is_err());
        assert_eq!(schema_of(&database).unwrap(), 1);
        begin_boot(&database, 1, &[first], "", LogId(9)).unwrap();
        assert_eq!((schema_of(&database).unwrap(), value(&database)), (2, 10));
        begin_boot(&database, 2, &[first, second], "", LogId(9)).unwrap();
        assert_eq!((schema_of(&database).unwrap(), value(&database)), (3, 11));
    }
}
