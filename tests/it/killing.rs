//! The process is killed again and again in the middle of conversations, over one data directory.
//! Clients that follow the protocol's rules and nothing else hold the same logs afterwards, with
//! everything acknowledged in them, once; and no seq that anyone ever heard belongs to two
//! messages.
//!
//! A kill leaves to the disk what the process has written, synced or not: that a commit waits for
//! the disk is not to be seen here.

mod client;
mod dice;
mod pager;
mod poster;
mod shared;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::client::{Client, Habit};
use self::dice::Dice;
use self::pager::Pager;
use self::poster::Poster;
use self::shared::{Report, Shared, Stage};
use self::view::Entry;
use crate::process::{Signal, UNHURRIED, start};
use crate::support::{Api, Person, within};

const ROOMS: usize = 3;
const HABITS: [Habit; 5] =
    [Habit::Steady, Habit::Coming, Habit::Coming, Habit::Newcomer, Habit::Slow];
/// And the one that posts and the one that reads pages.
const CLIENTS: u64 = HABITS.len() as u64 + 2;
const KILLS: u64 = 50;
/// Another number of kills.
const KILLS_VARIABLE: &str = "KILLS";
/// A run is repeated, as far as the machine allows, by giving its seed in this variable.
const SEED_VARIABLE: &str = "KILLING_SEED";
/// Before a kill so many acks at most are waited for, and then so long.
const ACKS: u64 = 150;
const MOMENT_US: u64 = 40_000;
/// Out of so many kills one comes while the server starts, within so long.
const START: u64 = 4;
const START_US: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_acknowledged_and_double_nothing() {
    let seed = number_in(SEED_VARIABLE).unwrap_or_else(dice::fresh_seed);
    let kills = number_in(KILLS_VARIABLE).unwrap_or(KILLS);
    println!("{SEED_VARIABLE}={seed} {KILLS_VARIABLE}={kills}");
    let mut dice = Dice::new(seed);
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &UNHURRIED);
    let addr = program.addr().await;
    let creator = Person::sign_up(addr, "creator").await;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(creator.room(&format!("Room {number}")).await);
    }
    let shared = Arc::new(Shared::default());
    let (stage, stages) = watch::channel(Stage::Talk(addr));
    let mut clients = people(addr, &rooms, seed, &shared, &stages).await;

    let (mut starting, mut in_starts) = (false, 0);
    for kill in 0..kills {
        if starting {
            in_starts += 1;
            tokio::time::sleep(Duration::from_micros(dice.below(START_US))).await;
        } else {
            stage.send_replace(Stage::Talk(program.addr().await));
            wait_for_acks(&shared, &mut clients, dice.below(ACKS) + 1).await;
            // Any moment will do, also one at which something is on its way to the disk.
            tokio::time::sleep(Duration::from_micros(dice.below(MOMENT_US))).await;
        }
        program.signal(Signal::KILL);
        let ended = program.ended().await;
        assert_eq!(ended.code, None, "kill {kill}: {ended:?}");
        assert!(!ended.err.contains("ERROR"), "kill {kill}: {ended:?}");
        program = start(place.path(), &[], &UNHURRIED);
        starting = dice.below(START) == 0;
    }
    let addr = program.addr().await;
    let logs = finish(addr, &creator, &rooms, &shared, &stage).await;
    let outcome = compare(&logs, clients).await;
    let (said, repeated) = (shared.said.current(), shared.repeated.current());
    let line = format!(
        "{SEED_VARIABLE}={seed}: kills survived {kills}, {in_starts} of them in a start; messages \
         sent {said}, sent again {repeated}; {outcome}\n"
    );
    // Not by `println!`, which the tests' own harness would swallow.
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// One client of each kind, each with dice of its own.
async fn people(
    addr: SocketAddr,
    rooms: &[u64],
    seed: u64,
    shared: &Arc<Shared>,
    stages: &watch::Receiver<Stage>,
) -> JoinSet<Report> {
    let mut clients = JoinSet::new();
    for (number, habit) in (1..).zip(HABITS) {
        let person = Person::sign_up(addr, &format!("{habit:?}{number}")).await;
        let dice = Dice::new(seed ^ number);
        let client = Client::new(rooms, &person, habit, dice, Arc::clone(shared));
        clients.spawn(client.run(stages.clone()));
    }
    let (poster, pager) = (Person::sign_up(addr, "poster"), Person::sign_up(addr, "pager"));
    let poster = Poster::new(rooms, &poster.await, Dice::new(seed ^ 0x100), Arc::clone(shared));
    clients.spawn(poster.run(stages.clone()));
    let pager = Pager::new(rooms, &pager.await, Dice::new(seed ^ 0x200), Arc::clone(shared));
    clients.spawn(pager.run(stages.clone()));
    clients
}

/// Waits for so many more acks, or fails with the client that failed.
async fn wait_for_acks(shared: &Shared, clients: &mut JoinSet<Report>, acks: u64) {
    let enough = shared.acks.current() + acks;
    tokio::select! {
        () = within("acks", shared.acks.wait_for(enough)) => {}
        failed = clients.join_next() => {
            failed.expect("clients").expect("no failure of a client");
            panic!("a client ended early");
        }
    }
}

/// Lets the clients come to an end; gives the logs as pages show them, by room.
async fn finish(
    addr: SocketAddr,
    creator: &Person,
    rooms: &[u64],
    shared: &Shared,
    stage: &watch::Sender<Stage>,
) -> BTreeMap<u64, Vec<Entry>> {
    stage.send_replace(Stage::Settle(addr));
    within("every ack", shared.settled.wait_for(CLIENTS)).await;
    let creator = Person { api: Api::new(addr).with_token(&creator.token), ..creator.clone() };
    let mut logs = BTreeMap::new();
    for room in rooms {
        let log: Vec<_> = creator.history(*room).await.iter().map(Entry::of).collect();
        let told = creator.api.get(&format!("/rooms/{room}")).await;
        assert_eq!(told.json["room"]["count"].as_u64(), Some(log.len() as u64), "{:?}", told.json);
        logs.insert(*room, log);
    }
    let head = |log: &Vec<Entry>| log.last().expect("messages").seq;
    let heads = logs.iter().map(|(room, log)| (*room, head(log))).collect();
    stage.send_replace(Stage::Finish(addr, Arc::new(heads)));
    logs
}

/// Holds what the clients have against the logs; says how much that was.
async fn compare(logs: &BTreeMap<u64, Vec<Entry>>, mut clients: JoinSet<Report>) -> String {
    let (mut acked, mut checked, mut discarded) = (0, 0, 0);
    let mut lost: Vec<String> = Vec::new();
    while let Some(report) = within("the reports", clients.join_next()).await {
        let Report { name, views, acked: acks } = report.expect("no failure of a client");
        for (room, view) in &views {
            let log = logs[room].iter().filter(|entry| entry.seq > view.start);
            let log: BTreeMap<_, _> = log.map(|entry| (entry.seq, entry.text.clone())).collect();
            let differs = log.iter().zip(&view.held).find(|(stored, held)| stored != held);
            assert_eq!((differs, view.held.len()), (None, log.len()), "{name} in room {room}");
            checked += log.len();
            discarded += view.discarded;
        }
        acked += acks.len();
        let stored = |id: &String, room, seq| {
            let log: &Vec<Entry> = &logs[&room];
            let found = log.binary_search_by_key(&seq, |entry| entry.seq);
            found.is_ok_and(|index| log[index].text == *id)
        };
        lost.extend(acks.into_iter().filter(|(id, at)| !stored(id, at.0, at.1)).map(|ack| ack.0));
    }
    let mut texts = BTreeSet::new();
    let mut doubled = Vec::new();
    for (room, log) in logs {
        let mut before = 0;
        for entry in log {
            assert!(entry.follows(before), "{entry:?} behind {before} in room {room}");
            before = entry.seq;
            if !texts.insert(&entry.text) {
                doubled.push(&entry.text);
            }
        }
    }
    assert_eq!((lost.len(), doubled.len()), (0, 0), "lost {lost:?}, doubled {doubled:?}");
    format!(
        "acknowledged {acked}, stored {}; checked {checked} in the views of {CLIENTS} clients, \
         which discarded {discarded} that a kill took back; losses {}, doubles {}",
        texts.len(),
        lost.len(),
        doubled.len()
    )
}

fn number_in(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}
