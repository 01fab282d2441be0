//! Parlor beside other servers, at the same works, in turns.
//!
//! `cargo bench --bench versus -- --full`
//! `cargo bench --bench versus -- --servers parlor,floor --works saturated-1000 --turns 3`
//!
//! Parlor checks tokens, parses JSON, stamps seqs and stores everything; the others carry frames of
//! the same size, and nothing else. The server is a process of its own and has a core of its own,
//! except where it has both. It fails when Parlor loses, doubles or disorders anything.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../field/mod.rs"]
mod field;
mod peers;
mod picture;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use field::arguments::Arguments;
use field::cores::{Cores, Machine};
use field::end::end;
use field::house::House;
use field::plan::{Plan, place};
use field::process::Server;
use field::report::{self, Result as Turns, Results};
use field::task::{Outcome, Task, What, is_chosen};
use peers::{PEERS, Peer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PARLOR: &str = "parlor";

const TASKS: [Task; 5] = [
    Task { name: "saturated-1000", members: 1_000, what: What::Saturated, cores: Cores::OneEach },
    Task { name: "saturated-100", members: 100, what: What::Saturated, cores: Cores::OneEach },
    Task {
        name: "quiet-1000",
        members: 1_000,
        what: What::Quiet { rate: 200, rest: Duration::from_millis(3) },
        cores: Cores::OneEach,
    },
    Task {
        name: "quiet-5000",
        members: 5_000,
        what: What::Quiet { rate: 5, rest: Duration::from_millis(100) },
        cores: Cores::Shared,
    },
    Task { name: "idle-10000", members: 10_000, what: What::Idle, cores: Cores::Shared },
];

/// What the arguments say.
struct Contest {
    plan: Plan,
    /// All, where none is named.
    servers: String,
    /// The server's own program.
    parlor: String,
    picture: PathBuf,
}

fn main() -> ExitCode {
    end("versus", contest().and_then(|contest| run(&contest)))
}

fn contest() -> Result<Contest, Failure> {
    let mut contest = Contest {
        plan: Plan::new("versus", 3),
        servers: String::new(),
        parlor: env!("CARGO_BIN_EXE_parlor").to_owned(),
        picture: place("versus", "svg"),
    };
    Arguments::read(|name, value| {
        match name {
            "--full" => (contest.plan.turns, contest.plan.seconds) = (5, 5),
            "--servers" => contest.servers = value.text()?,
            "--parlor" => contest.parlor = value.text()?,
            "--picture" => contest.picture = value.text()?.into(),
            _ => return contest.plan.take(name, value),
        }
        Ok(true)
    })?;
    Ok(contest)
}

/// `Ok(false)`: Parlor lost, doubled or disordered something.
fn run(contest: &Contest) -> Result<bool, Failure> {
    let Contest { plan, servers, parlor, picture } = contest;
    let machine = Machine::new()?;
    let house = House::build(parlor)?;
    let peers: Vec<Option<&Peer>> = std::iter::once(None)
        .chain(PEERS.iter().map(Some))
        .filter(|peer| is_chosen(servers, name_of(*peer)))
        .filter(|peer| peer.is_none_or(Peer::is_installed_or_says_how))
        .collect();
    let mut all = Vec::new();
    for task in TASKS.iter().filter(|task| plan.has(task.name)) {
        let none = |peer: &Option<_>| Turns { server: name_of(*peer), turns: Vec::new() };
        let mut results = Results { task, servers: peers.iter().map(none).collect() };
        for turn in 1..=plan.turns {
            for (peer, result) in peers.iter().zip(&mut results.servers) {
                eprintln!("versus: {}, turn {turn}, {}", task.name, result.server);
                let outcome = turn_of(&machine, &house, task, *peer, plan.seconds);
                result.turns.push(outcome.map_err(|error| format!("{}: {error}", result.server))?);
            }
        }
        println!("{}", results.table());
        all.push(results);
    }
    report::write(&plan.json, &all)?;
    std::fs::write(picture, picture::draw(&all))?;
    eprintln!("versus: see {} and {}", plan.json.display(), picture.display());
    let ours = all.iter().flat_map(|results| &results.servers);
    Ok(ours.filter(|result| result.server == PARLOR).all(|result| result.outcome().is_sound()))
}

fn name_of(peer: Option<&Peer>) -> &'static str {
    peer.map_or(PARLOR, |peer| peer.name)
}

/// One server, started for this, at one work.
fn turn_of(
    machine: &Machine,
    house: &House,
    task: &Task,
    peer: Option<&Peer>,
    seconds: u64,
) -> Result<Outcome, Failure> {
    if let Some(peer) = peer {
        let server = machine.start(task.cores, || Server::start(peer.command()))?;
        return task.run(&server, &peers::dialect(), seconds);
    }
    task.run_on_parlor(machine, house, seconds)
}
