//! Many rooms, and many who come and go: what does a message cost where most of the server is
//! idle, and what does a join cost, to who joins and to who is served meanwhile?
//!
//! `cargo bench --bench rooms -- --full`
//! `cargo bench --bench rooms -- --works many,joins --seconds 20`
//!
//! The server is a process of its own and has a core of its own. It fails when anything is missing,
//! doubled or out of order, never because of the time it took.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../field/mod.rs"]
mod field;
mod figures;
mod hall;
mod joins;
mod leaving;
mod many;
mod stays;
mod wide;

use std::process::{Command, ExitCode};
use std::time::Duration;

use field::arguments::Arguments;
use field::cores::{Cores, Machine};
use field::end::end;
use field::house::House;
use field::plan::Plan;
use field::process::Server;
use figures::Row;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Accounts: as many as `presence` still names, so that it costs what it can cost.
const USERS: usize = 200;
/// In all; a work enters as many of them as it needs.
const ROOMS: usize = 10_000;
/// Turns of each work whose medians are taken, with `--full`.
const FULL_TURNS: usize = 5;
const FULL_SECONDS: u64 = 10;

/// What each work is done on.
struct Stage {
    machine: Machine,
    house: House,
    time: Duration,
}

/// Does a work once; gives a row for each of its parts.
type Work = fn(&Stage) -> Result<Vec<Row>, Failure>;

const WORKS: [(&str, &str, Work); 4] = [
    ("many", "10,000 rooms of 5 members on 10,000 connections, 1,000 messages/s", many::run),
    ("wide", "100 rooms of two members, 1,000 messages/s", wide::run),
    ("joins", "1,000 connections join a room", joins::run),
    ("leaving", "1,000 members, 200 messages/s, of whom 100 a second leave and join", leaving::run),
];

fn main() -> ExitCode {
    end("rooms", plan().and_then(|plan| run(&plan)))
}

fn plan() -> Result<Plan, Failure> {
    let mut plan = Plan::new("rooms", 4);
    Arguments::read(|name, value| {
        if name == "--full" {
            (plan.turns, plan.seconds) = (FULL_TURNS, FULL_SECONDS);
            return Ok(true);
        }
        plan.take(name, value)
    })?;
    Ok(plan)
}

/// `Ok(false)`: something was lost, doubled or out of order.
fn run(plan: &Plan) -> Result<bool, Failure> {
    let machine = Machine::new()?;
    let house = House::build_with(env!("CARGO_BIN_EXE_parlor"), USERS, ROOMS)?;
    let stage = Stage { machine, house, time: Duration::from_secs(plan.seconds) };
    let (mut works, mut sound) = (Vec::new(), true);
    for (name, title, work) in WORKS {
        if !plan.has(name) {
            continue;
        }
        let turns = (0..plan.turns).map(|_| work(&stage)).collect::<Result<Vec<_>, _>>()?;
        let rows = figures::medians(&turns);
        println!("{name}: {title}");
        for row in &rows {
            println!("{}", row.line());
        }
        println!();
        sound &= rows.iter().all(Row::is_sound);
        works.push(figures::json(name, title, &rows, &turns));
    }
    figures::write(&plan.json, &works)?;
    Ok(sound)
}

impl Stage {
    /// Starts a server that so many connections may come to; and its directory.
    fn serve(&self, connections: usize) -> Result<(Server, tempfile::TempDir), Failure> {
        let (command, directory): (Command, _) = self.house.copy(connections)?;
        let server = self.machine.start(Cores::OneEach, || Server::start(command))?;
        Ok((server, directory))
    }
}
