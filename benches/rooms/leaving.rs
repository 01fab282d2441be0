//! A crowd that is served while some of it leaves and joins again.

use std::time::Duration;

use super::figures::{Figure, Row};
use super::hall::{Act, Hall};
use super::{Failure, Stage};

const ROOM: usize = 0;
const MEMBERS: usize = 1_000;
/// Messages a second.
const RATE: u32 = 200;
/// The first member says them all, and stays.
const SENDERS: usize = 1;
/// Who leave in a second, one after the other.
const LEAVING: u32 = 100;
/// Until who left joins again.
const AWAY: Duration = Duration::from_millis(105);

pub fn run(stage: &Stage) -> Result<Vec<Row>, Failure> {
    let (server, _directory) = stage.serve(MEMBERS)?;
    let mut hall = Hall::open(stage, &server, MEMBERS)?;
    hall.play(
        (0..MEMBERS).map(|connection| (Duration::ZERO, Act::Join { connection, room: ROOM })),
    )?;
    hall.settle()?;
    let without = hall.measure("all stay", talk(stage.time))?;
    let mut acts: Vec<_> = talk(stage.time).chain(restless(stage.time)).collect();
    acts.sort_by_key(|(due, _)| *due);
    let with = hall.measure("100 a second leave and join", acts)?;
    let ratio = Row {
        name: "CPU, leaving/staying",
        counts: None,
        figures: vec![Figure::new("", with.figures[0].value / without.figures[0].value, 2)],
    };
    Ok(vec![without, with, ratio])
}

fn talk(time: Duration) -> impl Iterator<Item = (Duration, Act)> {
    every(RATE, time).map(|(_, due)| (due, Act::Say { connection: 0, room: ROOM }))
}

/// Each leaves when its turn comes, and joins again.
fn restless(time: Duration) -> impl Iterator<Item = (Duration, Act)> {
    let room = ROOM;
    every(LEAVING, time).flat_map(move |(number, due)| {
        let connection = SENDERS + number as usize % (MEMBERS - SENDERS);
        [(due, Act::Leave { connection, room }), (due + AWAY, Act::Join { connection, room })]
    })
}

fn every(rate: u32, time: Duration) -> impl Iterator<Item = (u32, Duration)> {
    let all = u32::try_from(time.as_millis() * u128::from(rate) / 1_000).unwrap_or(u32::MAX);
    (0..all).map(move |number| (number, Duration::from_secs(1) * number / rate))
}
