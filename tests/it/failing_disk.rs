//! Disks that fail under the running binary: full ones, and ones on which files may not grow. What
//! is acknowledged is there, what is refused is not, and the process goes on by itself when the
//! disk does; or ends, having said nothing that is not so.

mod talker;

use std::path::Path;

use serde_json::json;

use self::talker::Talker;
use crate::disk::{SmallDisk, limit_files};
use crate::process::{Ended, Program, Signal, UNHURRIED, start_limitable};
use crate::support::Person;

/// Seconds that the server waits for a disk which comes back: less than what a request waits for
/// the disk, so that one which waits in vain has no answer at all.
const LONG: &str = "25";
/// And for one which does not.
const SHORT: &str = "1";
/// Refused messages offered, 8 KB each, and how much memory may be taken meanwhile.
const OFFERED: usize = 2_000;
const AT_ONCE: usize = 50;
/// Refused messages said again in the end.
const AGAIN: usize = 20;
const GROWTH_KIB: u64 = 8 * 1024;

const FAILS: &str = "storage fails: nothing is acknowledged until it is back";
const IS_BACK: &str = "storage is back, everything waiting is committed";
const GIVES_UP: &str = "storage did not come back: the process ends";
const STILL_FAILS: &str = "storage still fails";

/// Starts the binary over `data`, showing each attempt to open the database again.
fn start(place: &Path, data: &Path, patience: &str) -> Program {
    start_limitable(place, &settings(data, patience), false)
}

fn settings<'a>(data: &'a Path, patience: &'a str) -> Vec<(&'a str, &'a str)> {
    let own = [
        ("PARLOR_DATA", data.to_str().expect("UTF-8")),
        ("PARLOR_LIMITS__STORAGE_PATIENCE_SECONDS", patience),
        ("PARLOR_LIMITS__CONNECTIONS", "100"),
        ("PARLOR_LOG__FILTER", "info,parlor::store::thread=debug"),
    ];
    [&UNHURRIED[..], &own].concat()
}

#[tokio::test]
async fn a_full_disk_that_is_freed_costs_nothing() {
    let Some(disk) = SmallDisk::mount("a_full_disk_that_is_freed_costs_nothing") else { return };
    let place = tempfile::tempdir().unwrap();
    let data = disk.path().join("data");
    recover(start(place.path(), &data, LONG), "No space left", |_| disk.fill(), |_| disk.free())
        .await;
}

#[tokio::test]
async fn a_file_that_may_not_grow_for_a_while_costs_nothing() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let length = || std::fs::metadata(data.join("parlor.redb")).unwrap().len();
    let break_it = |program: &Program| limit_files(program, Some(length()));
    let mend = |program: &Program| limit_files(program, None);
    recover(start(place.path(), &data, LONG), "File too large", break_it, mend).await;
}

#[tokio::test]
async fn a_disk_that_takes_no_write_for_a_while_costs_nothing() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let break_it = |program: &Program| limit_files(program, Some(0));
    let mend = |program: &Program| limit_files(program, None);
    recover(start(place.path(), &data, LONG), "File too large", break_it, mend).await;
}

#[tokio::test]
async fn a_disk_that_stays_full_ends_the_process_and_nothing_else() {
    let test = "a_disk_that_stays_full_ends_the_process_and_nothing_else";
    let Some(disk) = SmallDisk::mount(test) else { return };
    let place = tempfile::tempdir().unwrap();
    let data = disk.path().join("data");
    let program = start(place.path(), &data, SHORT);
    let talker = give_up(program, |_| disk.fill(), None).await;
    // Nor does a start help, as long as there is no space, unless it finds some within the file;
    // and it does no harm.
    let mut program = start(place.path(), &data, SHORT);
    if program.listens().await {
        program.signal(Signal::KILL);
        program.ended().await;
    } else {
        let ended = program.ended().await;
        ended.failed_saying(&["cannot read or write the database", "No space left"]);
    }
    disk.free();
    nothing_is_lost(start(place.path(), &data, LONG), talker).await;
}

#[tokio::test]
async fn a_disk_that_takes_no_write_any_more_ends_the_process_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let program = start(place.path(), &data, SHORT);
    let talker = give_up(program, |program| limit_files(program, Some(0)), None).await;
    nothing_is_lost(start(place.path(), &data, LONG), talker).await;
}

#[tokio::test]
async fn a_stop_while_the_disk_takes_no_write_ends_the_process_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let program = start(place.path(), &data, SHORT);
    let break_it = |program: &Program| limit_files(program, Some(0));
    let talker = give_up(program, break_it, Some(Signal::TERM)).await;
    nothing_is_lost(start(place.path(), &data, LONG), talker).await;
}

/// A full disk was called a damaged database, which an operator would replace by a backup.
#[tokio::test]
async fn a_start_on_a_disk_that_takes_no_write_names_the_disk_and_harms_nothing() {
    for end in [Signal::TERM, Signal::KILL] {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        let mut program = start(place.path(), &data, LONG);
        let talker = talk(&mut program).await;
        program.signal(end);
        program.ended().await;
        let before = std::fs::read(data.join("parlor.redb")).unwrap();
        let ended = start_limitable(place.path(), &settings(&data, LONG), true).ended().await;
        ended.failed_saying(&["cannot read or write the database", "File too large"]);
        assert!(std::fs::read(data.join("parlor.redb")).unwrap() == before, "not touched");
        nothing_is_lost(start(place.path(), &data, LONG), talker).await;
    }
}

/// Talks until the disk fails, and on; the same process has everything when it works again.
async fn recover(
    mut program: Program,
    reason: &str,
    break_it: impl FnOnce(&Program),
    mend: impl FnOnce(&Program),
) {
    let mut talker = talk(&mut program).await;
    break_it(&program);
    talker.say_until_refused().await;
    let waiting = talker.open.clone();
    assert!(!waiting.is_empty(), "what was published before the fault was known");
    refuses(&talker).await;
    let before = program.resident_kib();
    for _ in 0..OFFERED / AT_ONCE {
        talker.say(AT_ONCE).await;
    }
    let grown = program.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB more");
    program.logged_times(STILL_FAILS, 3).await;
    assert_eq!(talker.open, waiting, "all else is refused, and nothing is acknowledged");

    mend(&program);
    program.logged(IS_BACK).await;
    talker.await_acks().await;
    assert_eq!(talker.person.api.get_root("/readyz").await.status, 200);
    let heard = talker.heard.len();
    assert_eq!(talker.check_log().await, heard, "what was heard is stored, and no more");
    let (late, refused) = (waiting.len(), std::mem::take(&mut talker.refused));
    println!("{heard} heard, {late} acknowledged late, {} refused", refused.len());
    println!("memory: {before} KiB before, {grown} KiB more");
    // What was acknowledged late is known under its id, and what was refused is new.
    talker.say_again(waiting).await;
    talker.say_again(refused.into_iter().take(AGAIN)).await;
    assert_eq!(talker.check_log().await, heard + AGAIN);
    talker.go().await;

    program.signal(Signal::TERM);
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(told(&ended), [FAILS, IS_BACK], "{}", ended.err);
    assert!(ended.err.contains(reason), "{}", ended.err);
}

async fn talk(program: &mut Program) -> Talker {
    let ann = Person::sign_up(program.addr().await, "ann").await;
    let mut talker = Talker::new(ann).await;
    talker.say(20).await;
    talker.await_acks().await;
    talker
}

/// What is asked for while the disk fails is answered, and honestly.
async fn refuses(talker: &Talker) {
    let api = &talker.person.api;
    let ready = api.get_root("/readyz").await;
    assert_eq!((ready.status, ready.code()), (503, "unavailable"));
    assert_eq!(api.get_root("/livez").await.status, 200);
    let path = format!("/rooms/{}/messages", talker.room);
    let posted = api.post(&path, &json!({"message": "hi", "id": "http"})).await;
    assert_eq!((posted.status, posted.code()), (503, "unavailable"));
    assert!(posted.headers.contains_key("retry-after"));
    let made = api.post("/rooms", &json!({"name": "Another"})).await;
    assert_eq!((made.status, made.code()), (503, "unavailable"));
    // A page would have to wait for what is published and not on disk.
    let page = api.get(&path).await;
    assert_eq!((page.status, page.code()), (503, "unavailable"));
}

/// Talks until the disk fails for good: the process ends by itself, also when it was told to.
async fn give_up(
    mut program: Program,
    break_it: impl FnOnce(&Program),
    signal: Option<Signal>,
) -> Talker {
    let mut talker = talk(&mut program).await;
    break_it(&program);
    talker.say_until_refused().await;
    let acked = talker.acked.clone();
    if let Some(signal) = signal {
        program.signal(signal);
    }
    talker.listen_to_the_end().await;
    assert_eq!(talker.acked, acked, "no ack of what is not there");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(told(&ended), [FAILS, GIVES_UP], "{}", ended.err);
    let last = ended.err.lines().last().expect("a line");
    assert!(last.starts_with("parlor: storage failed: "), "{last}");
    talker
}

async fn nothing_is_lost(mut program: Program, talker: Talker) {
    let mut talker = talker.at(program.addr().await).await;
    talker.check_log().await;
    // What was published and not acknowledged may be stored or not: nobody was told.
    let unsure = std::mem::take(&mut talker.open);
    // Those that were lost with the process are heard again, under other seqs.
    talker.heard.retain(|id, _| !unsure.contains(id));
    let refused = std::mem::take(&mut talker.refused);
    talker.say_again(unsure.into_iter().chain(refused)).await;
    assert_eq!(talker.check_log().await, talker.acked.len());
    talker.go().await;
    program.signal(Signal::TERM);
    program.ended().await.succeeded();
}

/// What the log says of storage, and all that it says above `INFO`.
fn told(ended: &Ended) -> Vec<&str> {
    let known = [FAILS, IS_BACK, GIVES_UP];
    let grave = |line: &&str| line.contains(" ERROR ") || line.contains(" WARN ");
    let ours = ended.err.lines().filter(grave);
    ours.map(|line| known.into_iter().find(|text| line.contains(text)).unwrap_or(line)).collect()
}
