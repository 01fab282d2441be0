//! A crowd in one room: does every message reach every member, once and in order, at what cost, and
//! how soon?
//!
//! `cargo bench --bench fan_out -- --seconds 20 --works quiet-1000`
//!
//! The server is a process of its own and has a core of its own, except where it has both. It fails
//! when anything is missing, doubled or out of order, never because of the time it took.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../field/mod.rs"]
mod field;

use std::process::ExitCode;
use std::time::Duration;

use field::arguments::Arguments;
use field::cores::{Cores, Machine};
use field::end::end;
use field::house::House;
use field::plan::Plan;
use field::report::{self, Result as Turns, Results};
use field::task::{Task, What};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PARLOR: &str = "parlor";

const QUIET: What = What::Quiet { rate: 200, rest: Duration::from_millis(3) };
const SLOW: What = What::Quiet { rate: 5, rest: Duration::from_millis(100) };

const TASKS: [Task; 9] = [
    Task { name: "saturated-10", members: 10, what: What::Saturated, cores: Cores::OneEach },
    Task { name: "saturated-100", members: 100, what: What::Saturated, cores: Cores::OneEach },
    Task { name: "saturated-1000", members: 1_000, what: What::Saturated, cores: Cores::OneEach },
    Task { name: "saturated-5000", members: 5_000, what: What::Saturated, cores: Cores::OneEach },
    Task { name: "quiet-10", members: 10, what: QUIET, cores: Cores::OneEach },
    Task { name: "quiet-100", members: 100, what: QUIET, cores: Cores::OneEach },
    Task { name: "quiet-1000", members: 1_000, what: QUIET, cores: Cores::OneEach },
    Task { name: "quiet-5000", members: 5_000, what: SLOW, cores: Cores::Shared },
    Task { name: "idle-10000", members: 10_000, what: What::Idle, cores: Cores::Shared },
];

fn main() -> ExitCode {
    end("fan_out", plan().and_then(|plan| run(&plan)))
}

fn plan() -> Result<Plan, Failure> {
    let mut plan = Plan::new("fan_out", 3);
    Arguments::read(|name, value| plan.take(name, value))?;
    Ok(plan)
}

/// `Ok(false)`: something was lost, doubled or out of order.
fn run(plan: &Plan) -> Result<bool, Failure> {
    let machine = Machine::new()?;
    let house = House::build(env!("CARGO_BIN_EXE_parlor"))?;
    let mut all = Vec::new();
    for task in TASKS.iter().filter(|task| plan.has(task.name)) {
        let turn = |_| task.run_on_parlor(&machine, &house, plan.seconds);
        let turns = (0..plan.turns).map(turn).collect::<Result<_, _>>()?;
        let results = Results { task, servers: vec![Turns { server: PARLOR, turns }] };
        println!("{}", results.table());
        all.push(results);
    }
    report::write(&plan.json, &all)?;
    Ok(all.iter().all(|results| results.servers[0].outcome().is_sound()))
}
