//! Applying what changes accounts and sessions. Names are decided here, where nothing can race.

use redb::{ReadableTable, WriteTransaction};

use super::ReadError;
use super::command::{ChangePassword, DeleteUser, SignUp, SignUpRefused, StartSession};
use super::record::{self, RecordError, SessionRecord, UserRecord};
use super::schema::{read_u64, write_u64};
use super::tables::{META, META_LAST_USER, SESSIONS, USER_BY_NAME, USERS};
use crate::domain::limits::SESSIONS_PER_USER;
use crate::domain::{Millis, Role, SessionId, User, UserId};

pub(super) fn sign_up(
    transaction: &WriteTransaction,
    command: &mut SignUp,
) -> Result<(), ReadError> {
    let mut by_name = transaction.open_table(USER_BY_NAME)?;
    let folded = command.username.folded();
    if by_name.get(folded.as_str())?.is_some() {
        command.reply.settle(Err(SignUpRefused::UsernameTaken));
        return Ok(());
    }
    let mut meta = transaction.open_table(META)?;
    let last = read_u64(&meta, META_LAST_USER)?;
    if last == 0 && !command.may_be_first {
        command.reply.settle(Err(SignUpRefused::NotFirst));
        return Ok(());
    }
    let user = User {
        user_id: UserId::new(last + 1).map_err(|_| RecordError::Impossible("user id"))?,
        username: command.username.clone(),
        display_name: command.display_name.clone(),
        role: if last == 0 { Role::Admin } else { Role::Member },
        created_at: command.created_at,
    };
    let record = UserRecord {
        username: Some(user.username.as_str().to_owned()),
        display_name: user.display_name.as_str().to_owned(),
        password_hash: command.password_hash.clone(),
        role: u8::from(user.role == Role::Admin),
        created_at: user.created_at,
    };
    write_u64(&mut meta, META_LAST_USER, last + 1)?;
    by_name.insert(folded.as_str(), last + 1)?;
    write_user(transaction, user.user_id, &record)?;
    write_session(
        transaction,
        user.user_id,
        command.session,
        &SessionRecord { created_at: command.created_at, expires_at: command.expires_at },
    )?;
    command.reply.settle(Ok(user));
    Ok(())
}

/// Gives the live sessions that had to end.
pub(super) fn start_session(
    transaction: &WriteTransaction,
    command: &mut StartSession,
) -> Result<Vec<SessionId>, ReadError> {
    let user = live_user(transaction, command.user)?;
    if user.is_none_or(|user| user.password_hash != command.password_hash) {
        command.reply.settle(None);
        return Ok(Vec::new());
    }
    let ended = make_room_for_session(transaction, command.user, command.created_at)?;
    write_session(
        transaction,
        command.user,
        command.session,
        &SessionRecord { created_at: command.created_at, expires_at: command.expires_at },
    )?;
    command.reply.settle(Some(ended.clone()));
    Ok(ended)
}

/// Forgets sessions that have expired, and the oldest one where there are too many.
fn make_room_for_session(
    transaction: &WriteTransaction,
    user: UserId,
    now: Millis,
) -> Result<Vec<SessionId>, ReadError> {
    let mut table = transaction.open_table(SESSIONS)?;
    let mut live: Vec<(Millis, SessionId)> = Vec::new();
    let mut expired: Vec<SessionId> = Vec::new();
    for entry in table.range((user.get(), 0)..=(user.get(), u128::MAX))? {
        let (key, value) = entry?;
        let session = SessionId(key.value().1);
        let record: SessionRecord = record::decode(value.value())?;
        if record.expires_at <= now {
            expired.push(session);
        } else {
            live.push((record.created_at, session));
        }
    }
    live.sort_unstable();
    let excess = (live.len() + 1).saturating_sub(SESSIONS_PER_USER);
    let ended: Vec<SessionId> = live.into_iter().take(excess).map(|(_, session)| session).collect();
    for session in expired.iter().chain(&ended) {
        table.remove((user.get(), session.0))?;
    }
    Ok(ended)
}

/// Whether the session was there.
pub(super) fn extend_session(
    transaction: &WriteTransaction,
    user: UserId,
    session: SessionId,
    expires_at: Millis,
) -> Result<bool, ReadError> {
    let mut table = transaction.open_table(SESSIONS)?;
    let key = (user.get(), session.0);
    let Some(mut record) =
        table.get(key)?.map(|value| record::decode::<SessionRecord>(value.value())).transpose()?
    else {
        return Ok(false);
    };
    record.expires_at = record.expires_at.max(expires_at);
    table.insert(key, record::encode(&record)?.as_slice())?;
    Ok(true)
}

pub(super) fn end_session(
    transaction: &WriteTransaction,
    user: UserId,
    session: SessionId,
) -> Result<(), ReadError> {
    transaction.open_table(SESSIONS)?.remove((user.get(), session.0))?;
    Ok(())
}

/// Whether the account was there; then every session but the kept one has ended.
pub(super) fn change_password(
    transaction: &WriteTransaction,
    command: &mut ChangePassword,
) -> Result<bool, ReadError> {
    let user = live_user(transaction, command.user)?;
    let found = user.is_some();
    if let Some(record) = user {
        let record = UserRecord { password_hash: command.password_hash.clone(), ..record };
        write_user(transaction, command.user, &record)?;
        end_sessions_but(transaction, command.user, Some(command.keep))?;
    }
    command.reply.settle(found);
    Ok(found)
}

/// Whether the account was there; then all its sessions have ended.
pub(super) fn delete_user(
    transaction: &WriteTransaction,
    command: &mut DeleteUser,
) -> Result<bool, ReadError> {
    let user = live_user(transaction, command.user)?;
    let found = user.is_some();
    if let Some(record) = user {
        if let Some(name) = &record.username {
            let folded = name.to_ascii_lowercase();
            transaction.open_table(USER_BY_NAME)?.remove(folded.as_str())?;
        }
        let emptied = UserRecord {
            username: None,
            display_name: String::new(),
            password_hash: String::new(),
            ..record
        };
        write_user(transaction, command.user, &emptied)?;
        end_sessions_but(transaction, command.user, None)?;
    }
    command.reply.settle(found);
    Ok(found)
}

fn live_user(
    transaction: &WriteTransaction,
    user: UserId,
) -> Result<Option<UserRecord>, ReadError> {
    let table = transaction.open_table(USERS)?;
    let Some(value) = table.get(user.get())? else { return Ok(None) };
    let record: UserRecord = record::decode(value.value())?;
    Ok(Some(record).filter(|record| record.username.is_some()))
}

fn write_user(
    transaction: &WriteTransaction,
    user: UserId,
    record: &UserRecord,
) -> Result<(), ReadError> {
    let bytes = record::encode(record)?;
    transaction.open_table(USERS)?.insert(user.get(), bytes.as_slice())?;
    Ok(())
}

fn write_session(
    transaction: &WriteTransaction,
    user: UserId,
    session: SessionId,
    record: &SessionRecord,
) -> Result<(), ReadError> {
    let bytes = record::encode(record)?;
    transaction.open_table(SESSIONS)?.insert((user.get(), session.0), bytes.as_slice())?;
    Ok(())
}

fn end_sessions_but(
    transaction: &WriteTransaction,
    user: UserId,
    keep: Option<SessionId>,
) -> Result<(), ReadError> {
    let mut table = transaction.open_table(SESSIONS)?;
    let range = (user.get(), 0)..=(user.get(), u128::MAX);
    table.retain_in(range, |(_, session), _| Some(SessionId(session)) == keep)?;
    Ok(())
}
