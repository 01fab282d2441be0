//! Parlor with people and a room: made once, started anew for each measurement.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

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

/// A database that has people and an empty room.
pub struct House {
    program: String,
    directory: TempDir,
    tokens: Vec<String>,
    room: u64,
}

impl House {
    pub fn build(program: &str) -> Result<Self, Failure> {
        let directory = place()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = Server::start(parlor(program, directory.path(), USERS))?;
        let (tokens, room) = runtime.block_on(async {
            let api = Api::new(server.addr, None)?;
            let mut tokens = Vec::with_capacity(USERS);
            for number in FIRST_NAME..FIRST_NAME + USERS {
                tokens.push(api.sign_up(&format!("member{number}")).await?);
            }
            // The first few users have shorter ids than the others.
            tokens.rotate_left(USERS / 2);
            let room = Api::new(server.addr, Some(tokens[0].clone()))?.make_room("Crowd").await?;
            Ok::<_, Failure>((tokens, room))
        })?;
        Ok(Self { program: program.to_owned(), directory, tokens, room })
    }

    /// What starts a server over a copy of the database, so that none finds what another has
    /// stored; and the copy's directory.
    pub fn copy(&self, members: usize) -> Result<(Command, TempDir), Failure> {
        let directory = place()?;
        let copy = directory.path().join(DATABASE);
        fs::create_dir(copy.parent().unwrap_or(Path::new(".")))?;
        fs::copy(self.directory.path().join(DATABASE), copy)?;
        let per_user = members.div_ceil(USERS);
        Ok((parlor(&self.program, directory.path(), per_user), directory))
    }

    pub fn dialect(&self) -> Dialect {
        let paths = self.tokens.iter().map(|token| format!("/ws?token={token}")).collect();
        let entry = format!(r#"{{"type":"join_room","roomId":{}}}"#, self.room);
        let before = format!(r#"{{"type":"chat","roomId":{},"message":""#, self.room);
        Dialect { paths, entry: Some(entry), around: [before, "\"}".to_owned()], seqs: true }
    }
}

/// On the disk that the build is on: the usual place may be in memory.
fn place() -> Result<TempDir, Failure> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}
