//! A simulation of the whole of delivery on one thread: the real writer, rooms, subscriptions and
//! use cases, over a disk that crashes, fails and fills up, with clients that know only the
//! protocol. A model of a few lines says what must be true.
//!
//! Every run follows from its seed. `SIM_SEED=… cargo test --test sim` repeats one, `SIM_RUNS=…`
//! sets how many are tried, from that seed on or from a random one.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails its test")]

mod client;
mod dice;
mod disk;
mod figures;
mod kernel;
mod life;
mod model;
#[cfg(feature = "mutations")]
mod mutations;
mod seat;
mod server;
mod settle;
mod steps;
mod task;
mod view;
mod wire;
mod world;

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use figures::Figures;
use world::World;

const SEED_VARIABLE: &str = "SIM_SEED";
const RUNS_VARIABLE: &str = "SIM_RUNS";
const RUNS: u64 = 700;
const STEPS: usize = 400;

/// What must have happened at least once in all runs together, or they prove little.
const MUST_HAPPEN: [&str; 33] = [
    "clean starts",
    "connections lost",
    "crashes in the middle of an access",
    "duplicates answered",
    "ghosts dropped by head",
    "ghosts dropped by prev",
    "id conflicts",
    "joined again",
    "kills",
    "length faults",
    "members that a lane put off",
    "members that boarded a lane",
    "messages acked",
    "messages caught up",
    "messages heard",
    "messages held back",
    "messages that landed unanswered",
    "overloaded",
    "pages",
    "power cuts",
    "read faults",
    "recoveries from lengths",
    "recoveries from reads",
    "recoveries from syncs",
    "recoveries from writes",
    "rooms deleted",
    "rooms evicted",
    "rooms that landed unanswered",
    "starts that failed",
    "subscriptions that lagged",
    "sync faults",
    "unavailable",
    "write faults",
];

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Not by `println!`, which the tests' own harness would swallow.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One run. Gives what happened, and a number that two runs of one seed share.
fn run(seed: u64) -> (Figures, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // Timeouts want one, though nothing here ever waits for time.
    let _context = runtime.enter();
    let mut world = World::new(seed);
    world.furnish();
    for step in 1..=STEPS {
        world.step();
        if step % (STEPS / 2) == 0 {
            world.settle();
            world.probe();
        }
    }
    world.figures.count("runs");
    world.figures.add("steps", STEPS as u64);
    (world.figures, world.trace)
}

/// The same; `Err`: what was found.
fn attempt(seed: u64) -> Result<Figures, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed).0)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

#[test]
fn whatever_happens_delivery_never_lies() {
    let one = variable(SEED_VARIABLE);
    let runs = variable(RUNS_VARIABLE).unwrap_or(if one.is_some() { 1 } else { RUNS });
    let first = one.unwrap_or_else(|| RandomState::new().hash_one(()));
    let mut figures = Figures::default();
    for seed in (0..runs).map(|number| first.wrapping_add(number)) {
        match attempt(seed) {
            Ok(happened) => figures.take_in(&happened),
            Err(found) => panic!("{found}\nrepeat it with {SEED_VARIABLE}={seed}"),
        }
    }
    say(&format!("simulated: {figures}, losses 0, doubles 0"));
    for what in MUST_HAPPEN {
        assert!(runs < RUNS || figures.of(what) > 0, "it never happened: {what}");
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let first = variable(SEED_VARIABLE).unwrap_or_else(|| RandomState::new().hash_one(()));
    for seed in (0..3).map(|number| first.wrapping_add(number)) {
        assert!(run(seed) == run(seed), "seed {seed} had two outcomes");
    }
}
