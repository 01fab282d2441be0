//! Parlor with people and rooms: made once, started anew for each measurement.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::api::Api;
use super::dialect::Dialect;
use super::process::{Server, parlor};
use crate::Failure;

/// Accounts; each has an equal part of the members' connections, as a hash costs a moment each.
const USERS: usize = 64;
/// What a user of many may be called: all names, and most ids, are of one length.
const FIRST_NAME: usize = 100;
/// The whole state of a server.
const DATABASE: &str = "data/parlor.redb";

/// Calls that are made at once.
const TOGETHER: usize = 32;

/// A database that has people and empty rooms.
pub struct House {
    program: String,
    directory: TempDir,
    pub tokens: Vec<String>,
    pub rooms: Vec<u64>,
}

impl House {
    /// With one room.
    pub fn build(program: &str) -> Result<Self, Failure> {
        Self::build_with(program, USERS, 1)
    }

    pub fn build_with(program: &str, users: usize, rooms: usize) -> Result<Self, Failure> {
        let directory = place()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = Server::start(parlor(program, directory.path(), users))?;
        let (tokens, rooms) = runtime.block_on(async {
            let api = Arc::new(Api::new(server.addr, None)?);
            // The first account is the admin: who that is does not depend on who is quicker.
            let mut tokens = vec![api.sign_up(&format!("member{FIRST_NAME}")).await?];
            let names = (FIRST_NAME + 1..FIRST_NAME + users).map(|name| format!("member{name}"));
            tokens.extend(
                together(names, |name| {
                    let api = Arc::clone(&api);
                    async move { api.sign_up(&name).await }
                })
                .await?,
            );
            // The first few users have shorter ids than the others.
            tokens.rotate_left(users / 2);
            let api = Arc::new(Api::new(server.addr, Some(tokens[0].clone()))?);
            let names = (0..rooms).map(|number| format!("Crowd {number}"));
            let rooms = together(names, |name| {
                let api = Arc::clone(&api);
                async move { api.make_room(&name).await }
            })
            .await?;
            Ok::<_, Failure>((tokens, rooms))
        })?;
        Ok(Self { program: program.to_owned(), directory, tokens, rooms })
    }

    /// What starts a server over a copy of the database, so that none finds what another has
    /// stored; and the copy's directory.
    pub fn copy(&self, members: usize) -> Result<(Command, TempDir), Failure> {
        let directory = place()?;
        let copy = directory.path().join(DATABASE);
        fs::create_dir(copy.parent().unwrap_or(Path::new(".")))?;
        fs::copy(self.directory.path().join(DATABASE), copy)?;
        let per_user = members.div_ceil(self.tokens.len());
        Ok((parlor(&self.program, directory.path(), per_user), directory))
    }

    pub fn dialect(&self) -> Dialect {
        let paths = self.tokens.iter().map(|token| format!("/ws?token={token}")).collect();
        let room = self.rooms[0];
        let entry = format!(r#"{{"type":"join_room","roomId":{room}}}"#);
        let before = format!(r#"{{"type":"chat","roomId":{room},"message":""#);
        Dialect { paths, entry: Some(entry), around: [before, "\"}".to_owned()], seqs: true }
    }
}

/// Makes a call for each name, some at once; gives what came of them.
async fn together<T, F>(
    names: impl Iterator<Item = String>,
    call: impl Fn(String) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let (mut calls, mut all) = (JoinSet::new(), Vec::new());
    for name in names {
        calls.spawn(call(name));
        if calls.len() >= TOGETHER
            && let Some(done) = calls.join_next().await
        {
            all.push(done??);
        }
    }
    while let Some(done) = calls.join_next().await {
        all.push(done??);
    }
    Ok(all)
}

/// On the disk that the build is on: the usual place may be in memory.
fn place() -> Result<TempDir, Failure> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}
