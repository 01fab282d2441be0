//! How long an ack takes, and how many there are in a second, beside the disk's own fdatasync.
//!
//! `cargo bench --bench group_commit -- --seconds 3 --rows 1000000 --dir target`
//!
//! It drives the use case that sockets and HTTP call (`App::post`), the rooms and the writer's
//! thread in this process, over a database that holds messages already. A message counts when its
//! ack has been written to its connection. It fails when an acknowledged message is not in the log.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../field/arguments.rs"]
mod arguments;
mod disk;
#[path = "../store/fill.rs"]
mod fill;
mod house;
mod latency;
mod load;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use parlor::store::CommitMode;

use self::arguments::Arguments;
use self::house::House;
use self::load::{Ids, Load};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the arguments say.
#[derive(Debug, Clone)]
struct Plan {
    /// For each measurement of throughput.
    seconds: u64,
    /// Messages in the database before anything is measured.
    rows: u64,
    /// Where the database is made, in a directory of its own.
    directory: PathBuf,
}

const ROOMS: u64 = 1_000;
const MODES: [(&str, CommitMode); 3] = [
    ("one phase", CommitMode::OnePhase),
    ("two phases", CommitMode::TwoPhase),
    ("quick repair", CommitMode::QuickRepair),
];

fn main() -> ExitCode {
    match plan().and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("group_commit: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Result<Plan, Failure> {
    let mut plan = Plan { seconds: 3, rows: 1_000_000, directory: PathBuf::from("target") };
    Arguments::read(|name, value| {
        match name {
            "--seconds" => plan.seconds = value.number()?,
            "--rows" => plan.rows = value.number()?,
            "--dir" => plan.directory = value.text()?.into(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(plan)
}

fn run(plan: &Plan) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let place = tempfile::tempdir_in(&plan.directory)?;
    eprintln!("group_commit: {} messages are stored first", plan.rows);
    fill::fill(place.path(), CommitMode::default(), ROOMS, plan.rows)?.close()?;
    runtime.block_on(latencies(plan, place.path()))?;
    runtime.block_on(throughput(plan, place.path()))
}

/// One message after the other, each awaited, in turns with the disk's own sync.
async fn latencies(plan: &Plan, place: &Path) -> Result<(), Failure> {
    println!("\none message at a time over {} stored, from publication to ack:", plan.rows);
    println!("{:14} {:>9} {:>9} {:>11} {:>6}", "commit", "p50", "p99", "fdatasync", "ratio");
    for (name, mode) in MODES {
        let house = House::open(place, ROOMS, mode)?;
        let outcome = latency::measure(&house, place).await?;
        house.close().await?;
        let ratio = outcome.ack_p50.as_secs_f64() / outcome.sync_p50.as_secs_f64();
        println!(
            "{name:14} {:>6} us {:>6} us {:>8} us {ratio:>6.2}",
            outcome.ack_p50.as_micros(),
            outcome.ack_p99.as_micros(),
            outcome.sync_p50.as_micros(),
        );
    }
    Ok(())
}

async fn throughput(plan: &Plan, place: &Path) -> Result<(), Failure> {
    println!("\nmessages acknowledged in a second, for {} s each:", plan.seconds);
    println!("{:14} {:14} {:>12} {:>14}", "ids", "rooms", "acks/s", "in one commit");
    for rooms in [1, ROOMS] {
        for ids in [Ids::None, Ids::Rising, Ids::Random] {
            let house = House::open(place, ROOMS, CommitMode::default())?;
            let load = Load { rooms, ids, time: Duration::from_secs(plan.seconds) };
            let before = house.stored().await?;
            let outcome = load.run(&house).await?;
            println!(
                "{:14} {rooms:<14} {:>12.0} {:>14.0}",
                ids.name(),
                outcome.acks_per_second(),
                outcome.messages_per_commit(),
            );
            if house.stored().await? != before + outcome.acked {
                return Err("what was acknowledged is not what is stored".into());
            }
            house.close().await?;
        }
    }
    Ok(())
}
