//! Ten thousand rooms of five members, each with a message every ten seconds. A process may have
//! fewer files than there are members, so that each connection is in five rooms, with other people
//! in each.

use std::time::Duration;

use super::field::process::Server;
use super::figures::{Figure, Row};
use super::hall::{Act, Hall};
use super::{Failure, ROOMS, Stage};

const MEMBERS: usize = 5;
/// So many rooms say as much as all do, beside the others and in a server of their own.
const FEW: usize = 100;
/// Messages a second: ten seconds for each of all rooms.
const RATE: usize = ROOMS / 10;
/// A step through all rooms that scatters them, and visits each.
const SCATTER: usize = 6_007;

pub fn run(stage: &Stage) -> Result<Vec<Row>, Failure> {
    let (server, _directory) = stage.serve(ROOMS)?;
    let mut hall = Hall::open(stage, &server, ROOMS)?;
    let opened = hall.resident()?;
    enter(&mut hall, ROOMS, 0..1)?;
    let founded = hall.resident()?;
    enter(&mut hall, ROOMS, 1..MEMBERS)?;
    let (rooms, more) = (as_f64(ROOMS), as_f64(ROOMS * (MEMBERS - 1)));
    let entered = hall.resident()?;
    let (each, first) = ((entered - founded) / more, (founded - opened) / rooms);
    let memory = Row {
        name: "memory",
        counts: None,
        figures: vec![
            Figure::new("KiB/room", first - each, 2),
            Figure::new("KiB/membership", each, 2),
        ],
    };
    let all = hall.measure("all 10,000 rooms talk", talk(ROOMS, ROOMS, stage.time))?;
    let some = hall.measure("100 of the 10,000 talk", talk(ROOMS, FEW, stage.time))?;
    let after = hall.resident()?;
    let kept = Row {
        name: "memory after that",
        counts: None,
        figures: vec![Figure::new("KiB/room more", (after - entered) / rooms, 2)],
    };
    drop(hall);
    let alone = alone(stage, &stage.serve(FEW)?.0)?;
    let ratio = Row {
        name: "CPU, with so many idle/without",
        counts: None,
        figures: vec![
            Figure::new("all talk", all.figures[0].value / alone.figures[0].value, 2),
            Figure::new("100 talk", some.figures[0].value / alone.figures[0].value, 2),
        ],
    };
    Ok(vec![all, some, alone, ratio, memory, kept])
}

/// The few rooms in a server that has no others.
fn alone(stage: &Stage, server: &Server) -> Result<Row, Failure> {
    let mut hall = Hall::open(stage, server, FEW)?;
    enter(&mut hall, FEW, 0..MEMBERS)?;
    hall.measure("100 alone talk", talk(FEW, FEW, stage.time))
}

/// Puts some of its members into each of the first rooms, as many as there are connections.
fn enter(hall: &mut Hall, rooms: usize, members: std::ops::Range<usize>) -> Result<(), Failure> {
    let join = |member| {
        move |room| (Duration::ZERO, Act::Join { connection: of(rooms, room, member), room })
    };
    hall.play(members.flat_map(|member| (0..rooms).map(join(member))))?;
    hall.settle()
}

/// The connection of a room's member.
fn of(rooms: usize, room: usize, member: usize) -> usize {
    (room + member * (rooms / MEMBERS + 1)) % rooms
}

/// One of the first rooms after the other says something, where there are so many connections.
fn talk(connections: usize, rooms: usize, time: Duration) -> impl Iterator<Item = (Duration, Act)> {
    let beat = Duration::from_secs(1) / u32::try_from(RATE).unwrap_or(u32::MAX);
    let messages = time.as_nanos() / beat.as_nanos();
    (0..u32::try_from(messages).unwrap_or(u32::MAX)).map(move |number| {
        let turn = number as usize * SCATTER;
        let room = turn % rooms;
        let scattered =
            beat.mul_f64(f64::from(number.wrapping_mul(2_654_435_769)) / 4_294_967_296.0);
        let connection = of(connections, room, 0);
        (beat * number + scattered, Act::Say { connection, room })
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn as_f64(number: usize) -> f64 {
    number as f64
}
