//! A crowd that comes back at once behind a restart, each member some thousand messages behind;
//! or one member that stops reading for a while. Does everything arrive, once and in order, what
//! does it cost, and what does a quiet room beside it notice?
//!
//! `cargo bench --bench resume -- --members 1000 --behind 3000`
//! `cargo bench --bench resume -- --stalled-seconds 60 --behind 200000`
//!
//! The server is a process of its own; all clients are in this one and share the machine with it,
//! so that times are more than the server's own. It fails when anything is missing, doubled or out
//! of order, never because of the time it took.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../field/api.rs"]
mod api;
#[path = "../field/arguments.rs"]
mod arguments;
mod client;
mod crowd;
#[path = "../field/process.rs"]
mod process;
mod quiet;
mod stalled;
mod tally;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use self::api::Api;
use self::arguments::Arguments;
use self::client::Member;
use self::process::{Server, parlor};
use self::tally::Tally;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Accounts; each has an equal part of the members' connections, as a hash costs a moment each.
const USERS: usize = 64;
/// Nothing takes longer, or it does not come at all.
const PATIENCE: Duration = Duration::from_mins(1);
/// Messages that may be on their way to the disk; below what the server allows a connection.
const WINDOW: u64 = 200;
/// Of a message's text; its number stands at the beginning.
const MESSAGE_BYTES: usize = 100;

/// What the arguments say.
#[derive(Clone, Copy)]
struct Plan {
    members: usize,
    /// Messages that each has missed, give or take a few.
    behind: u64,
    /// Instead of the crowd: how long one member reads nothing while so many are said.
    stalled: Option<Duration>,
}

/// A server with people and rooms.
struct Stage {
    server: Server,
    tokens: Vec<String>,
    room: u64,
    quiet: u64,
}

fn main() -> ExitCode {
    match plan().and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("resume: messages are missing, doubled or out of order");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("resume: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Result<Plan, Failure> {
    let mut plan = Plan { members: 1_000, behind: 3_000, stalled: None };
    Arguments::read(|name, value| {
        match name {
            "--members" => plan.members = value.number()?,
            "--behind" => plan.behind = value.number()?,
            "--stalled-seconds" => plan.stalled = Some(Duration::from_secs(value.number()?)),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(plan)
}

/// `Ok(false)`: something was lost, doubled or out of order.
fn run(plan: Plan) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let directory = tempfile::tempdir()?;
    let per_user = plan.members.div_ceil(USERS) + 3;
    let program = env!("CARGO_BIN_EXE_parlor");
    let start = || Server::start(parlor(program, directory.path(), per_user));
    let stage = runtime.block_on(set(start()?))?;
    let tally: Tally = if let Some(time) = plan.stalled {
        runtime.block_on(stalled::measure(&stage, plan.behind, time))?
    } else {
        runtime.block_on(stage.say_all(plan.behind + crowd::SPREAD))?;
        let Stage { server, tokens, room, quiet } = stage;
        // It is killed: nothing is in its memory that it does not read again.
        drop(server);
        let stage = Stage { server: start()?, tokens, room, quiet };
        runtime.block_on(crowd::measure(&stage, plan.members, plan.behind))?
    };
    println!("{tally}");
    Ok(tally.is_sound())
}

async fn set(server: Server) -> Result<Stage, Failure> {
    let api = Api::new(server.addr, None)?;
    let mut tokens = Vec::with_capacity(USERS);
    for number in 0..USERS {
        tokens.push(api.sign_up(&format!("member{number}")).await?);
    }
    let api = Api::new(server.addr, Some(tokens[0].clone()))?;
    let (room, quiet) = (api.make_room("Crowd").await?, api.make_room("Quiet").await?);
    Ok(Stage { server, tokens, room, quiet })
}

impl Stage {
    fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Says messages with the numbers `1..=count`, which are their seqs, and waits until all are on
    /// disk.
    async fn say_all(&self, count: u64) -> Result<(), Failure> {
        eprintln!("resume: {count} messages are said");
        let mut sender = Member::enter(self.addr(), &self.tokens[0], self.room).await?;
        let mut acked = 0;
        for number in 1..=count {
            let text = format!("{number:<MESSAGE_BYTES$}");
            let mut chat = json!({"type": "chat", "roomId": self.room, "message": text});
            // An ack for each window, which tells of all before it.
            let last_of_window = number % WINDOW == 0 || number == count;
            if last_of_window {
                chat["id"] = json!(format!("resume-{number:010}"));
            }
            sender.send(&chat).await?;
            if last_of_window {
                sender.wait_for("ack").await?;
                acked = number;
            }
        }
        if acked == count { Ok(()) } else { Err("not all was acknowledged".into()) }
    }
}
