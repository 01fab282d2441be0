//! A crowd in one room: does every message reach every member, once and in order, and how soon?
//!
//! `cargo bench --bench crowd -- --members 2000 --rate 20 --seconds 20`
//!
//! The server is a process of its own; sending and listening happens in this one. It fails when
//! anything is missing, doubled or out of order, never because of the time it took: a delay ends
//! when this process has read the message, which on a busy machine is later than it was there.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

mod client;
mod listen;
mod process;
mod tally;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::client::{Api, Member};
use self::process::Server;
use self::tally::{Crowd, Tally};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Accounts; each has an equal part of the members' connections, as a hash costs a moment each.
const USERS: usize = 64;
const SENDERS: usize = 8;
/// Handshakes under way at once.
const JOINING: usize = 32;
/// Nothing takes longer, or it does not come at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the arguments say.
#[derive(Clone, Copy)]
struct Plan {
    members: usize,
    /// Messages a second.
    rate: u32,
    seconds: u32,
}

fn main() -> ExitCode {
    match plan(std::env::args().skip(1)).and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("crowd: messages are missing, doubled or out of order");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("crowd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(mut arguments: impl Iterator<Item = String>) -> Result<Plan, Failure> {
    let mut plan = Plan { members: 2_000, rate: 20, seconds: 20 };
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u32, Failure> {
            let value = arguments.next().unwrap_or_default();
            let number = value.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{argument} takes a number above 0").into())
        };
        match argument.as_str() {
            "--members" => plan.members = number()?.try_into()?,
            "--rate" => plan.rate = number()?,
            "--seconds" => plan.seconds = number()?,
            // Cargo's own.
            "--bench" => {}
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(plan)
}

/// `Ok(false)`: something was lost, doubled or out of order.
fn run(plan: Plan) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // One more for each user, since some of them are senders too.
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path(), plan.members.div_ceil(USERS) + 1)?;
    let outcome = runtime.block_on(measure(plan, &server))?;
    println!("{outcome}");
    Ok(outcome.is_sound())
}

async fn measure(plan: Plan, server: &Server) -> Result<Tally, Failure> {
    let addr = server.addr;
    let tokens = sign_up(addr).await?;
    let room = Api::new(addr, Some(tokens[0].clone()))?.make_room("Crowd").await?;
    let total = plan.rate as usize * plan.seconds as usize;
    let crowd = Arc::new(Crowd::new(total));

    eprintln!("crowd: {} members enter", plan.members);
    let mut members = JoinSet::new();
    let joining = Arc::new(tokio::sync::Semaphore::new(JOINING));
    let (entered, mut all_entered) = mpsc::channel::<()>(1);
    for number in 0..plan.members {
        let (token, crowd) = (tokens[number % USERS].clone(), Arc::clone(&crowd));
        let (joining, entered) = (Arc::clone(&joining), entered.clone());
        members.spawn(async move {
            let permit = joining.acquire().await?;
            let member = Member::enter(addr, &token, room).await?;
            drop((permit, entered));
            member.listen(&crowd).await
        });
    }
    drop(entered);
    // Nothing is ever sent through it: it closes when the last member is in, or has failed.
    let _ = all_entered.recv().await;

    eprintln!("crowd: {total} messages in {} s", plan.seconds);
    let before = server.usage()?;
    talk(plan, addr, &tokens, room, &crowd).await?;
    let mut tally = Tally::default();
    while let Some(report) = members.join_next().await {
        tally.add(&report??);
    }
    tally.conclude(&crowd, &before, &server.usage()?);
    Ok(tally)
}

async fn sign_up(addr: SocketAddr) -> Result<Vec<String>, Failure> {
    let api = Api::new(addr, None)?;
    let mut tokens = Vec::with_capacity(USERS);
    for number in 0..USERS {
        tokens.push(api.sign_up(&format!("member{number}")).await?);
    }
    Ok(tokens)
}

/// Sends at an even rate, from one sender after the other, each message with an ack. Behind the
/// last one comes another that says so and is not counted.
async fn talk(
    plan: Plan,
    addr: SocketAddr,
    tokens: &[String],
    room: u64,
    crowd: &Arc<Crowd>,
) -> Result<(), Failure> {
    let total = crowd.total();
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for token in tokens.iter().take(SENDERS) {
        let mut sender = Member::enter(addr, token, room).await?;
        let (next, crowd) = (Arc::clone(&next), Arc::clone(crowd));
        senders.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok::<_, Failure>(());
                }
                let at = Duration::from_secs(1) * u32::try_from(number)? / plan.rate;
                tokio::time::sleep_until((began + at).into()).await;
                crowd.send(number);
                sender.say(room, number).await?;
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Member::enter(addr, &tokens[USERS - 1], room).await?.say(room, total).await
}
