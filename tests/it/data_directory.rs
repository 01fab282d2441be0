//! A data directory that cannot be used: one clear line, and nothing in it is touched.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Signal, UNHURRIED, run, start};
use crate::support::Person;

/// A database with something in it, from a server that has stopped; `place` is where it ran.
async fn database(place: &Path, last: Signal) -> PathBuf {
    let mut program = start(place, &[], &UNHURRIED);
    let ann = Person::sign_up(program.addr().await, "ann").await;
    let room = ann.room("General").await;
    for _ in 0..5 {
        ann.say(room, &"long ".repeat(1_000)).await;
    }
    program.signal(last);
    program.ended().await;
    let files = fs::read_dir(place.join("data")).unwrap().map(|entry| entry.unwrap().path());
    let mut databases = files.filter(|path| path.extension().is_some_and(|name| name == "redb"));
    databases.next().expect("a database")
}

/// Starts over `content` in place of the database; it must fail and leave it as it is.
async fn refused(file: &Path, content: &[u8], words: &[&str]) {
    fs::write(file, content).unwrap();
    let place = file.parent().unwrap().parent().unwrap();
    let ended = run(place, &[], &UNHURRIED).await;
    let name = file.file_name().unwrap().to_str().unwrap();
    ended.failed_saying(&[name]);
    ended.failed_saying(words);
    assert!(fs::read(file).unwrap() == content, "touched, {} bytes", content.len());
}

#[tokio::test]
async fn a_second_server_is_refused_and_the_first_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let mut first = start(place.path(), &[], &UNHURRIED);
    let ann = Person::sign_up(first.addr().await, "ann").await;
    let ended = run(place.path(), &[], &UNHURRIED).await;
    ended.failed_saying(&["another server is using the data directory", "data"]);
    let room = ann.room("General").await;
    assert_eq!(ann.say(room, "still here").await, 1);
}

#[tokio::test]
async fn a_place_where_nothing_can_be_written_is_named() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), "mine").unwrap();
    for data in ["file", "file/below", "file/below/that"] {
        let ended = run(place.path(), &["serve", "--data", data], &UNHURRIED).await;
        ended.failed_saying(&["cannot create the data directory", data]);
    }
    assert_eq!(fs::read(place.path().join("file")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let file = database(place.path(), Signal::TERM).await;
    refused(&file, b"", &["is empty", "backup"]).await;
    refused(&file, b"remember the milk\n", &["not a database of this server"]).await;
    refused(&file, &[0; 8192], &["not a database of this server"]).await;
}

#[tokio::test]
async fn a_database_cut_short_is_refused_and_left_alone() {
    for last in [Signal::TERM, Signal::KILL] {
        let place = tempfile::tempdir().unwrap();
        let file = database(place.path(), last).await;
        let whole = fs::read(&file).unwrap();
        for length in [1, 9, 64, 320, 4_096, 10_000, whole.len() / 2 + 1, whole.len() - 1] {
            refused(&file, &whole[..length], &["or it is damaged"]).await;
        }
        fs::write(&file, &whole).unwrap();
        let mut program = start(place.path(), &[], &UNHURRIED);
        Person::sign_in(program.addr().await, "ann").await;
    }
}
