//! The crowd that comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;

use crate::client::Member;
use crate::quiet::Quiet;
use crate::tally::{Report, Tally};
use crate::{Failure, Stage, USERS};

/// The members' cursors differ by up to this many messages.
pub const SPREAD: u64 = 50;
/// For the quiet room alone, to compare with.
const ALONE: Duration = Duration::from_secs(3);

/// All messages were said; now everybody who is `behind` asks for them in the same moment.
pub async fn measure(stage: &Stage, members: usize, behind: u64) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    tally.quiet_alone = beside(stage, 0, pause()).await?.0;
    eprintln!("resume: {members} members come back");
    let total = behind + SPREAD;
    let ready = Arc::new(Barrier::new(members + 1));
    let mut tasks = JoinSet::new();
    for number in 0..members {
        let token = &stage.tokens[number % USERS];
        let mut member = Member::connect(stage.addr(), token).await?;
        let (ready, room) = (Arc::clone(&ready), stage.room);
        tasks.spawn(async move {
            let after = number as u64 * 7 % (SPREAD + 1);
            let join = json!({"type": "join_room", "roomId": room, "after": after});
            ready.wait().await;
            member.send(&join).await?;
            let mut report = Report::new(after, total);
            report.listen(&mut member).await?;
            Ok::<_, Failure>(report)
        });
    }
    let before = stage.server.usage()?;
    let (delays, took) = beside(stage, tally.quiet_alone.len(), async {
        ready.wait().await;
        let began = Instant::now();
        while let Some(report) = tasks.join_next().await {
            tally.add(&report??);
        }
        Ok(began.elapsed())
    })
    .await?;
    tally.conclude(took, &before, &stage.server.usage()?);
    tally.quiet_beside = delays;
    Ok(tally)
}

async fn pause() -> Result<Duration, Failure> {
    tokio::time::sleep(ALONE).await;
    Ok(ALONE)
}

/// Has the quiet room talk, from the message with the number `first` on, while something goes on.
pub async fn beside(
    stage: &Stage,
    first: usize,
    what: impl Future<Output = Result<Duration, Failure>>,
) -> Result<(Vec<Duration>, Duration), Failure> {
    let (talking, stop) = watch::channel(());
    let (addr, room) = (stage.addr(), stage.quiet);
    let tokens = [stage.tokens[0].clone(), stage.tokens[1].clone()];
    let quiet = Quiet { addr, tokens, room, first }.talk(stop);
    let outcome = what.await;
    drop(talking);
    let delays = tokio::task::spawn_blocking(|| quiet.join()).await?;
    Ok((delays.map_err(|_| "the quiet room's thread panicked")??, outcome?))
}
