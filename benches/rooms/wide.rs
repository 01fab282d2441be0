//! A connection that is in a hundred rooms, in each of which somebody talks to it; beside it, a
//! hundred connections in a room each.

use std::time::Duration;

use super::figures::{Figure, Row};
use super::hall::{Act, Hall};
use super::{Failure, Stage};

const ROOMS: usize = 100;
/// Messages a second, of all rooms.
const RATE: u32 = 1_000;

pub fn run(stage: &Stage) -> Result<Vec<Row>, Failure> {
    let wide = hear(stage, "one connection hears 100 rooms", |_| ROOMS)?;
    let narrow = hear(stage, "100 connections hear a room each", |room| ROOMS + room)?;
    let ratio = Row {
        name: "CPU, one/100",
        counts: None,
        figures: vec![Figure::new("", wide.figures[0].value / narrow.figures[0].value, 2)],
    };
    Ok(vec![wide, narrow, ratio])
}

/// The first connections talk, one in each room; `hearer` gives who hears it.
fn hear(stage: &Stage, name: &'static str, hearer: fn(usize) -> usize) -> Result<Row, Failure> {
    let (server, _directory) = stage.serve(2 * ROOMS)?;
    let mut hall = Hall::open(stage, &server, 2 * ROOMS)?;
    let join = |connection, room| (Duration::ZERO, Act::Join { connection, room });
    hall.play((0..ROOMS).flat_map(|room| [join(room, room), join(hearer(room), room)]))?;
    hall.settle()?;
    let messages = u32::try_from(stage.time.as_millis() * u128::from(RATE) / 1_000)?;
    hall.measure(
        name,
        (0..messages).map(|number| {
            let room = number as usize % ROOMS;
            (Duration::from_secs(1) * number / RATE, Act::Say { connection: room, room })
        }),
    )
}
