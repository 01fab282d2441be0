//! How long a start takes after a crash, for each way of committing.
//!
//! `cargo bench --bench restart -- --rows 1000000 --dir target`
//!
//! A process of its own fills a database and dies without closing it; others open it, under load
//! or for a rest, and die as well; then comes the start that is measured. A start asks the kernel
//! to drop what it has cached of the file, so that all of them read from the disk; before the cold
//! ones everything else is dropped too, if that is permitted.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../field/arguments.rs"]
mod arguments;
#[path = "../store/fill.rs"]
mod fill;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use parlor::store::{CommitMode, Writer};

use self::arguments::Arguments;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROOMS: u64 = 1_000;
/// Starts measured of each kind; the median is told.
const STARTS: usize = 3;
/// Commits between an opening and a crash under load.
const LOAD_COMMITS: u64 = 20;
const MODES: [(&str, CommitMode); 3] = [
    ("one-phase", CommitMode::OnePhase),
    ("two-phase", CommitMode::TwoPhase),
    ("quick-repair", CommitMode::QuickRepair),
];
/// Asks Linux to drop clean pages, directories and inodes.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["fill", directory, rows] => crash_filled(Path::new(directory), rows),
        ["load", directory, mode] => crash_under_load(Path::new(directory), mode),
        ["rest", directory, mode] => crash_at_rest(Path::new(directory), mode),
        ["start", directory, mode] => crash_started(Path::new(directory), mode),
        _ => plan().and_then(|(rows, directory)| run(rows, &directory)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("restart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Result<(u64, PathBuf), Failure> {
    let (mut rows, mut directory) = (1_000_000, PathBuf::from("target"));
    Arguments::read(|name, value| {
        match name {
            "--rows" => rows = value.number()?,
            "--dir" => directory = value.text()?.into(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((rows, directory))
}

fn run(rows: u64, directory: &Path) -> Result<(), Failure> {
    let place = tempfile::tempdir_in(directory)?;
    eprintln!("restart: {rows} messages are stored first");
    child(&["fill", path(place.path())?, &rows.to_string()])?;
    let bytes = std::fs::metadata(place.path().join("parlor.redb"))?.len();
    println!(
        "\nseconds from opening to ready after a crash, over {rows} messages in {ROOMS} rooms"
    );
    println!("({} MiB):", bytes >> 20);
    println!(
        "{:14} {:>16} {:>16} {:>10}",
        "commit", "under load, cold", "under load, warm", "at rest"
    );
    for (name, _) in MODES {
        let cold = starts(place.path(), name, "load", true)?;
        let warm = starts(place.path(), name, "load", false)?;
        let rest = starts(place.path(), name, "rest", false)?;
        println!("{name:14} {cold:>16} {warm:>16} {rest:>10}");
    }
    Ok(())
}

/// The median of some starts, each after a crash of this kind; a dash where it is not permitted.
fn starts(directory: &Path, mode: &str, crash: &str, cold: bool) -> Result<String, Failure> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        child(&[crash, path(directory)?, mode])?;
        if cold && std::fs::write(DROP_CACHES, "3").is_err() {
            return Ok("-".to_owned());
        }
        let out = child(&["start", path(directory)?, mode])?;
        times.push(out.trim().parse::<f64>()?);
    }
    times.sort_by(f64::total_cmp);
    Ok(format!("{:.2}", times[STARTS / 2]))
}

fn path(directory: &Path) -> Result<&str, Failure> {
    directory.to_str().ok_or_else(|| "the directory's name is not UTF-8".into())
}

/// Runs this program in another process, which ends by dying, and gives what it printed.
fn child(arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    if output.status.code().is_some() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn mode(name: &str) -> Result<CommitMode, Failure> {
    let found = MODES.iter().find(|(known, _)| *known == name);
    found.map(|(_, mode)| *mode).ok_or_else(|| "unknown mode".into())
}

fn crash_filled(directory: &Path, rows: &str) -> Result<(), Failure> {
    let _writer = fill::fill(directory, CommitMode::default(), ROOMS, rows.parse()?)?;
    std::process::abort();
}

fn crash_under_load(directory: &Path, name: &str) -> Result<(), Failure> {
    let mut writer = open(directory, name)?;
    for seq in 0..LOAD_COMMITS {
        let event = fill::event(u64::MAX / 4 / ROOMS * ROOMS + seq * ROOMS, ROOMS)?;
        writer.step(&mut [event])?;
    }
    std::process::abort();
}

fn crash_at_rest(directory: &Path, name: &str) -> Result<(), Failure> {
    open(directory, name)?.rest()?;
    std::process::abort();
}

fn open(directory: &Path, name: &str) -> Result<Writer, Failure> {
    let options = fill::options(directory, mode(name)?);
    Ok(Writer::open(&options, &fill::new_database())?.0)
}

fn crash_started(directory: &Path, name: &str) -> Result<(), Failure> {
    let began = Instant::now();
    let _writer = open(directory, name)?;
    println!("{:.3}", began.elapsed().as_secs_f64());
    std::process::abort();
}
