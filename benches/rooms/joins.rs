//! A thousand connections, of as many people as are still named, join one room: all at once while
//! nobody talks, and within a second while somebody talks to who is there already.

use std::time::Duration;

use super::field::meter::Meter;
use super::figures::{Figure, Row};
use super::hall::{Act, Hall};
use super::{Failure, Stage};

const ROOM: usize = 0;
/// They are there from the beginning, and the first of them talks.
const THERE: usize = 100;
const JOINERS: usize = 1_000;
/// Messages a second.
const RATE: u32 = 20;
/// Times that all join and leave again while nobody talks.
const ROUNDS: u32 = 5;

pub fn run(stage: &Stage) -> Result<Vec<Row>, Failure> {
    let (server, _directory) = stage.serve(THERE + JOINERS)?;
    let mut hall = Hall::open(stage, &server, THERE + JOINERS)?;
    hall.play((0..THERE).map(|connection| (Duration::ZERO, join(connection))))?;
    hall.settle()?;
    let (joined, left) = come_and_go(&mut hall)?;
    let without = hall.measure("talk, nobody joins", talk(stage.time))?;
    let mut acts: Vec<_> = talk(stage.time).collect();
    acts.extend(joiners().map(|(number, connection)| {
        (Duration::from_secs(1) * number / u32::try_from(JOINERS).unwrap_or(1), join(connection))
    }));
    acts.sort_by_key(|(due, _)| *due);
    let with = hall.measure("talk, 1,000 join in the first second", acts)?;
    Ok(vec![joined, left, without, with])
}

/// All at once, some times.
fn come_and_go(hall: &mut Hall) -> Result<(Row, Row), Failure> {
    let mut sums = [(Duration::ZERO, Duration::ZERO); 2];
    for _ in 0..ROUNDS {
        for ((took, cpu), act) in sums.iter_mut().zip([join as fn(usize) -> Act, leave]) {
            let meter = Meter::start(hall.server)?;
            *took +=
                hall.play(joiners().map(|(_, connection)| (Duration::ZERO, act(connection))))?;
            // The presence that is told of it is its cost, too.
            hall.settle()?;
            *cpu += meter.read(hall.server)?.server;
        }
    }
    let all = f64::from(ROUNDS) * f64::from(u32::try_from(JOINERS)?);
    let row = |name, kind: &[&'static str; 2], (took, cpu): (Duration, Duration)| Row {
        name,
        counts: None,
        figures: vec![
            Figure::new(kind[0], cpu.as_secs_f64() * 1e6 / all, 1),
            Figure::new(kind[1], all / took.as_secs_f64(), 0),
        ],
    };
    let joined = row("1,000 join at once", &["CPU us/join", "joins/s"], sums[0]);
    Ok((joined, row("1,000 leave at once", &["CPU us/leave", "leaves/s"], sums[1])))
}

fn joiners() -> impl Iterator<Item = (u32, usize)> {
    (0..).zip(THERE..THERE + JOINERS)
}

fn talk(time: Duration) -> impl Iterator<Item = (Duration, Act)> {
    let messages = u32::try_from(time.as_millis() * u128::from(RATE) / 1_000).unwrap_or(u32::MAX);
    let said = Act::Say { connection: 0, room: ROOM };
    (0..messages).map(move |number| (Duration::from_secs(1) * number / RATE, said))
}

fn join(connection: usize) -> Act {
    Act::Join { connection, room: ROOM }
}

fn leave(connection: usize) -> Act {
    Act::Leave { connection, room: ROOM }
}
