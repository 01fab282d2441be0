//! `parlor load`: what can a server hold? Members enter rooms, some of them talk, and everything
//! that arrives is counted and timed. It speaks the public protocol alone, and takes away again
//! what it made.

mod api;
mod arguments;
mod crowd;
mod delays;
mod frame;
mod hearing;
mod hold;
mod made;
mod measure;
mod member;
mod messages;
mod report;
mod run;
mod sender;
mod table;
mod tally;
mod target;
mod usage;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::api::Api;
pub use self::arguments::Arguments;
use self::arguments::Plan;
use self::made::{Errand, Made};
use self::measure::Measuring;
use self::report::Report;
use self::run::Run;
use self::target::Target;
use super::{fail, print};
use crate::auth::random;

/// Below the options in `--help`.
pub const HELP: &str = "\
A delay begins when a message is sent (where the server has not taken the one before it in time:
when it was due) and ends when this program has read it. The middle member is the one that half of
its room has heard no later than.

Every message must reach every member of its room once, in one order, and with an id be
acknowledged: then the exit code is 0, else 1. A signal stops the run, tells what it found and
deletes what it made; a second one leaves that and names it.

  parlor load                                   a first run
  parlor load --members 500 --rooms 50 --senders 100 --rate 200
  parlor load --window 10 --server-pid PID      as fast as messages are acknowledged

A run meets the server's limits on sign-ins and on messages of one account, waits, and says so. On
a server of its own, PARLOR_LIMITS__SIGN_INS_PER_MINUTE=0 and PARLOR_LIMITS__MESSAGES_PER_SECOND=0
switch them off.";

/// Files that are no members' connections.
const SPARE_FILES: u64 = 64;

/// Why a run came to nothing; one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

/// 0: every message reached every member, once and in order, and nothing is left behind. 1: not so,
/// or it could not be tried. 2: wrong usage. A signal gives 128 and its number.
pub fn load(arguments: &Arguments) -> ExitCode {
    let plan = match Plan::new(arguments) {
        Ok(plan) => plan,
        Err(faults) => {
            fail(&faults.join("\n  "));
            return ExitCode::from(2);
        }
    };
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    let outcome = runtime.block_on(run(arguments, &plan));
    // Connections of a run that was cut short.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(Failure(reason)) => fail(&reason),
    }
}

async fn run(arguments: &Arguments, plan: &Plan) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new()?;
    let target = Arc::new(Target::find(&arguments.url).await?);
    leave_files(plan)?;
    let (tag, password) = (random_text::<4>()?, random_text::<12>()?);
    let run = Arc::new(Run::new(plan, measure::tally(plan, tag)));
    let mut made = Made::new(password);
    let api = Api::new(target.as_ref().clone());
    let stop = CancellationToken::new();
    let measuring = Measuring { arguments, plan, target, api: &api, run: &run, stop: &stop };
    let mut ended_by = None;
    let outcome = {
        let mut work = std::pin::pin!(measuring.measure(&mut made));
        tokio::select! {
            outcome = &mut work => Some(outcome),
            code = signals.next() => {
                note("stopping; once more to leave at once what was made");
                ended_by = Some(code);
                stop.cancel();
                tokio::select! {
                    outcome = &mut work => Some(outcome),
                    _ = signals.next() => None,
                }
            }
        }
    };
    let hurried = outcome.is_none();
    let sound = show(outcome, arguments.json);
    let clean = hurried || delete(&mut made, &api, &run, &mut signals).await;
    let clean = clean && (!hurried || tell_left(&made, None));
    Ok(match ended_by {
        Some(code) => ExitCode::from(code),
        None if sound && clean => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

/// Prints what came out of it. True: nothing is wrong with that.
fn show(outcome: Option<Result<Option<Report>, Failure>>, json: bool) -> bool {
    match outcome {
        Some(Ok(Some(report))) => {
            let json = json.then(|| serde_json::to_string_pretty(&report).unwrap_or_default());
            print(&json.map_or_else(|| report.to_string(), |json| json + "\n"));
            report.is_sound()
        }
        Some(Err(Failure(reason))) => {
            fail(&reason);
            false
        }
        Some(Ok(None)) | None => false,
    }
}

/// Takes away what was made, unless a signal comes. True: nothing is left.
async fn delete(made: &mut Made, api: &Api, run: &Run, signals: &mut Signals) -> bool {
    let patient = CancellationToken::new();
    let mut errand = Errand { api, run, stop: &patient, told: Instant::now() };
    let outcome = tokio::select! {
        outcome = made.delete(&mut errand) => outcome,
        _ = signals.next() => Err(Failure("interrupted".to_owned())),
    };
    note(&made.gone());
    tell_left(made, outcome.err().map(|Failure(reason)| reason))
}

/// True: nothing is left.
fn tell_left(made: &Made, reason: Option<String>) -> bool {
    let left = made.left(reason);
    for line in left.to_string().lines() {
        note(line);
    }
    left.is_nothing()
}

/// A line on standard error, where progress goes. If nobody can hear it, the figures remain.
fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Hexadecimal digits, two for each of `BYTES`.
fn random_text<const BYTES: usize>() -> Result<String, Failure> {
    let bytes = random::bytes::<BYTES>().map_err(|error| Failure(error.to_string()))?;
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Raises this process's soft limit of open files and sees whether it is enough.
fn leave_files(plan: &Plan) -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If it cannot be raised, what there is may do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let needed = u64::from(plan.members) + SPARE_FILES;
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < needed => Err(Failure(format!(
            "this process may open {files} files, and {} members take {needed}: see `ulimit -n`",
            plan.members
        ))),
        _ => Ok(()),
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure(format!("cannot listen for signals: {error}")))
        };
        let (interrupt, terminate) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    /// Gives the exit code that tells of it.
    async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        u8::try_from(128 + kind.as_raw_value()).unwrap_or(1)
    }
}
