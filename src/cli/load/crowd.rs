//! All members of a run: they enter, talk, hear the last of it and leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::arguments::Plan;
use super::frame::HelloLimits;
use super::hearing::Heard;
use super::hold::Hold;
use super::made::Made;
use super::member::{Ended, Place, attend};
use super::run::Run;
use super::table::grouped;
use super::target::Target;
use super::{Failure, note};

/// Handshakes under way at once.
const ENTERING: usize = 32;
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// While the last messages arrive, it is looked this often whether any did.
const LOOK: Duration = Duration::from_millis(20);
/// When nothing has arrived for this long, nothing more will.
const SILENCE: Duration = Duration::from_secs(5);
/// When everything has, what comes within this is one too many.
const SURPLUS: Duration = Duration::from_millis(200);

/// Connections of a run, and what those that are over came to.
#[derive(Debug, Default)]
pub struct Crowd {
    seats: JoinSet<Ended>,
    pub heard: Heard,
    /// Why connections ended before their time, and how many.
    pub lost: BTreeMap<String, u64>,
}

impl Crowd {
    /// Brings everybody in. Whoever cannot enter ends it; the stop ends it as well.
    pub async fn enter(
        &mut self,
        run: &Arc<Run>,
        plan: &Plan,
        target: &Arc<Target>,
        made: &Made,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let (entered, mut entering) = mpsc::channel(ENTERING);
        let doorway = Arc::new(Semaphore::new(ENTERING));
        for member in 0..plan.members {
            let place = place(plan, made, target, member);
            let (run, doorway, entered) = (Arc::clone(run), Arc::clone(&doorway), entered.clone());
            self.seats.spawn(async move {
                let permit = doorway.acquire_owned().await.ok();
                attend(run, place, (entered, permit)).await
            });
        }
        drop(entered);
        let mut progress = progress();
        let mut count = 0;
        loop {
            tokio::select! {
                Some(limits) = entering.recv() => {
                    fits(plan, limits, run)?;
                    count += 1;
                    if count == u64::from(plan.members) {
                        return Ok(());
                    }
                }
                Some(Ok(ended)) = self.seats.join_next() => {
                    let why = self.take(run, ended).unwrap_or_default();
                    let (count, all) = (grouped(count), grouped(plan.members.into()));
                    return Err(Failure(format!("{count} of {all} members entered; then: {why}")));
                }
                () = stop.cancelled() => return Ok(()),
                _ = progress.tick() => {
                    let (count, all) = (grouped(count), grouped(plan.members.into()));
                    note(&format!("entered {count} of {all}"));
                }
            }
        }
    }

    /// Lets the senders talk for so long, and tells of it each second. Gives how long it was: less
    /// after a stop, or when everybody is gone.
    pub async fn talk(&mut self, run: &Run, time: Duration, stop: &CancellationToken) -> Duration {
        let began = Instant::now();
        let mut progress = progress();
        let mut before = (0, 0);
        run.go.cancel();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(began + time) => break,
                () = stop.cancelled() => break,
                ended = self.seats.join_next() => match ended {
                    Some(ended) => self.take_if(run, ended.ok()),
                    None => break,
                },
                _ = progress.tick() => before = tell(run, began.elapsed(), before),
            }
        }
        run.hush.cancel();
        began.elapsed()
    }

    /// Waits for the last messages and acks, as long as any come.
    pub async fn settle(&mut self, run: &Run) {
        let outstanding = || run.tally.outstanding() + run.unacked();
        let mut left = outstanding();
        let mut heard = Instant::now();
        while left > 0 && heard.elapsed() < SILENCE && !self.seats.is_empty() {
            tokio::time::sleep(LOOK).await;
            while let Some(ended) = self.seats.try_join_next() {
                self.take_if(run, ended.ok());
            }
            if std::mem::replace(&mut left, outstanding()) != left {
                heard = Instant::now();
            }
        }
        tokio::time::sleep(SURPLUS).await;
    }

    /// Closes all connections and gathers what each has heard.
    pub async fn leave(&mut self, run: &Run) {
        run.end.cancel();
        while let Some(ended) = self.seats.join_next().await {
            self.take_if(run, ended.ok());
        }
    }

    /// Ends all connections, entering or in, without a word.
    pub async fn scatter(&mut self) {
        self.seats.shutdown().await;
    }

    fn take_if(&mut self, run: &Run, ended: Option<Ended>) {
        if let Some(ended) = ended {
            self.take(run, ended);
        }
    }

    fn take(&mut self, run: &Run, ended: Ended) -> Option<String> {
        self.heard.delivered += ended.heard.delivered;
        self.heard.doubled += ended.heard.doubled;
        self.heard.disordered += ended.heard.disordered;
        let early = ended.early?;
        if let Some(hold) = early.hold() {
            run.tally.holds().met(hold);
        }
        *self.lost.entry(early.to_string()).or_default() += 1;
        Some(early.to_string())
    }
}

fn place(plan: &Plan, made: &Made, target: &Arc<Target>, member: u32) -> Place {
    let room = plan.room(member);
    let account = made.accounts.get(plan.user(member));
    Place {
        target: Arc::clone(target),
        token: account.and_then(|account| account.token.clone()).unwrap_or_default(),
        room_id: made.rooms.get(room).map_or(0, |room| room.id),
        room,
        sender: plan.sender(member),
    }
}

/// Whether the messages are such as the server takes.
fn fits(plan: &Plan, limits: HelloLimits, run: &Run) -> Result<(), Failure> {
    if plan.bytes <= limits.message_bytes {
        return Ok(());
    }
    run.tally.holds().met(Hold::MessageBytes);
    let (bytes, limit) = (plan.bytes, limits.message_bytes);
    Err(Failure(format!("--bytes {bytes}: the server's limits.message_bytes is {limit}")))
}

fn progress() -> tokio::time::Interval {
    let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS, PROGRESS);
    progress.set_missed_tick_behavior(MissedTickBehavior::Skip);
    progress
}

/// One line; `before` and what it gives are messages sent and deliveries.
fn tell(run: &Run, elapsed: Duration, before: (u64, u64)) -> (u64, u64) {
    let counts = &run.tally.counts;
    let sent = counts.sent.load(Ordering::Relaxed);
    let heard = counts.heard.load(Ordering::Relaxed);
    note(&format!(
        "{:>3} s: sent {} (+{}), delivered {} (+{}), under way {}, refused {}",
        elapsed.as_secs(),
        grouped(sent),
        grouped(sent.saturating_sub(before.0)),
        grouped(heard),
        grouped(heard.saturating_sub(before.1)),
        grouped(run.tally.outstanding()),
        grouped(counts.refused.load(Ordering::Relaxed)),
    ));
    (sent, heard)
}
