//! The process is killed again and again in the middle of a conversation. Clients that follow the
//! protocol's rules and nothing else hold the same log afterwards, with everything acknowledged in
//! it, once; and no seq that anyone ever heard belongs to two messages.

mod client;
mod dice;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use self::client::{Client, Report, Shared, Stage};
use self::dice::Dice;
use crate::process::{Program, Signal, UNHURRIED, start};
use crate::support::{Api, Person, within};

const CLIENTS: u64 = 4;
const KILLS: u32 = 10;
/// A run is repeated by giving its seed in this variable.
const SEED_VARIABLE: &str = "KILLING_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_lose_nothing_acknowledged_and_double_nothing() {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(dice::fresh_seed);
    println!("{SEED_VARIABLE}={seed}");
    let mut dice = Dice::new(seed);
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &UNHURRIED);
    let addr = program.addr().await;

    let creator = Person::sign_up(addr, "creator").await;
    let room = creator.room("General").await;
    let shared = Arc::new(Shared::default());
    let (stage, stages) = watch::channel(Stage::Talk(addr));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let person = Person::sign_up(addr, &format!("client{number}")).await;
        let dice = Dice::new(seed ^ (number + 1));
        let client = Client::new(number, room, &person, dice, Arc::clone(&shared));
        clients.spawn(client.run(stages.clone()));
    }

    for kill in 0..KILLS {
        wait_for_acks(&shared, &mut clients, dice.below(200) + 1).await;
        // Any moment will do, also one at which something is on its way to the disk.
        tokio::time::sleep(Duration::from_micros(dice.below(60_000))).await;
        program = restart(program, place.path(), &stage, kill).await;
    }
    let addr = program.addr().await;
    stage.send_replace(Stage::Settle(addr));
    within("every ack", shared.settled.wait_for_all(CLIENTS)).await;
    let log = Person { api: Api::new(addr).with_token(&creator.token), ..creator };
    let log = log.history(room).await;
    let head = log.last().expect("messages")["seq"].as_u64().expect("a seq");
    stage.send_replace(Stage::Finish(addr, head));
    let mut reports = Vec::new();
    while let Some(report) = within("the reports", clients.join_next()).await {
        reports.push(report.expect("no failure of a client"));
    }
    compare(&log, &reports);
}

/// Ends the process as a power cut would and begins anew; the clients learn the new address.
async fn restart(
    program: Program,
    place: &Path,
    stage: &watch::Sender<Stage>,
    kill: u32,
) -> Program {
    program.signal(Signal::KILL);
    let ended = program.ended().await;
    assert_eq!(ended.code, None, "kill {kill}: {ended:?}");
    let mut program = start(place, &[], &UNHURRIED);
    stage.send_replace(Stage::Talk(program.addr().await));
    program
}

/// Waits for so many more acks, or fails with the client that failed.
async fn wait_for_acks(shared: &Shared, clients: &mut tokio::task::JoinSet<Report>, acks: u64) {
    let enough = shared.acks.current() + acks;
    tokio::select! {
        () = within("acks", shared.acks.wait_for_all(enough)) => {}
        failed = clients.join_next() => {
            failed.expect("clients").expect("no failure of a client");
            panic!("a client ended early");
        }
    }
}

fn compare(log: &[Value], reports: &[Report]) {
    let log: Vec<_> = log.iter().map(client::message).collect();
    assert!(log.is_sorted_by(|a, b| a.0 < b.0), "seqs rise strictly");
    let mut discarded = 0;
    for report in reports {
        let differs = report.view.iter().zip(&log).find(|(held, stored)| held != stored);
        assert_eq!(differs, None, "{}", report.name);
        assert_eq!(report.view.len(), log.len(), "{}", report.name);
        for (id, seq) in &report.acked {
            let stored: Vec<_> = log.iter().filter(|(_, text)| text == id).collect();
            assert_eq!(stored, [&(*seq, id.clone())], "acknowledged, so there, once");
        }
        discarded += report.discarded;
    }
    let mut texts: Vec<_> = log.iter().map(|(_, text)| text).collect();
    texts.sort_unstable();
    assert!(texts.is_sorted_by(|a, b| a < b), "no message twice");
    println!("{} messages; clients discarded {discarded} that were lost", log.len());
}
