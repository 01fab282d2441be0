//! The order of a run: accounts, rooms, members, the talk, the last messages, the figures.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::api::Api;
use super::arguments::{Arguments, Pace, Plan};
use super::crowd::Crowd;
use super::delays::Gathered;
use super::made::{Errand, Made};
use super::messages::Messages;
use super::report::{DelayFigures, Generator, Report, ServerUse, held_back, seconds};
use super::run::Run;
use super::tally::{RoomShape, Sender, Tally};
use super::target::Target;
use super::usage::{Usage, watch_timers};

/// What it takes to measure.
pub struct Measuring<'a> {
    pub arguments: &'a Arguments,
    pub plan: &'a Plan,
    pub target: Arc<Target>,
    pub api: &'a Api,
    pub run: &'a Arc<Run>,
    pub stop: &'a CancellationToken,
}

/// What was used up to a moment.
struct Used {
    server: Option<Usage>,
    own: Option<Usage>,
}

/// The talk, as it went.
struct Talk {
    lasted: Duration,
    before: Option<Usage>,
    entered: Used,
    after: Used,
    late: Gathered,
}

/// Everybody's place in the books.
pub fn tally(plan: &Plan, tag: String) -> Tally {
    let mut rooms = vec![RoomShape { members: 0, senders: 0 }; plan.rooms as usize];
    let mut senders = Vec::with_capacity(plan.senders as usize);
    for member in 0..plan.members {
        let room = plan.room(member);
        let Some(shape) = rooms.get_mut(room) else { continue };
        shape.members += 1;
        if plan.sender(member).is_some() {
            let place = shape.senders as usize;
            senders.push(Sender { room, place, messages: Messages::default() });
            shape.senders += 1;
        }
    }
    Tally::new(tag, rooms, senders)
}

impl Measuring<'_> {
    /// `None`: stopped before anybody talked. What was made on the way is in `made` in any case.
    pub async fn measure(&self, made: &mut Made) -> Result<Option<Report>, Failure> {
        let before = self.server_usage()?;
        self.prepare(made).await?;
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let mut crowd = Crowd::default();
        crowd.enter(self.run, self.plan, &self.target, made, self.stop).await?;
        if self.stop.is_cancelled() {
            crowd.scatter().await;
            return Ok(None);
        }
        let entered = self.used();
        let mut late = Gathered::default();
        let time = Duration::from_secs(self.plan.seconds.into());
        let talk = async {
            let lasted = crowd.talk(self.run, time, self.stop).await;
            crowd.settle(self.run).await;
            lasted
        };
        let lasted = tokio::select! {
            lasted = talk => lasted,
            () = watch_timers(&mut late) => Duration::ZERO,
        };
        let after = self.used();
        crowd.leave(self.run).await;
        let talk = Talk { lasted, before, entered, after, late };
        Ok(Some(self.report(&crowd, &talk)))
    }

    async fn prepare(&self, made: &mut Made) -> Result<(), Failure> {
        let told = Instant::now();
        let mut errand = Errand { api: self.api, run: self.run, stop: self.stop, told };
        let tag = &self.run.tally.tag;
        if self.arguments.tokens.is_empty() {
            made.sign_up(&mut errand, tag, self.plan.users as usize).await?;
        } else {
            made.borrow(&self.arguments.tokens);
        }
        made.make_rooms(&mut errand, tag, self.plan.rooms as usize).await
    }

    fn server_usage(&self) -> Result<Option<Usage>, Failure> {
        let usage = self.arguments.server_pid.map(Usage::of).transpose();
        usage.map_err(|reason| Failure(format!("--server-pid: {reason}")))
    }

    /// A server that is gone has no usage any more, and the figures say the rest.
    fn used(&self) -> Used {
        Used { server: self.server_usage().ok().flatten(), own: Usage::own().ok() }
    }

    fn report(&self, crowd: &Crowd, talk: &Talk) -> Report {
        let Plan { members, rooms, senders, pace, bytes, with_ids, users, .. } = *self.plan;
        let counts = &self.run.tally.counts;
        let expected = counts.expected.load(Ordering::Relaxed);
        let delays = self.run.tally.delays();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Report {
            members,
            rooms,
            accounts: users,
            senders,
            message_bytes: bytes,
            with_ids,
            rate: if let Pace::Rate(rate) = pace { Some(rate) } else { None },
            window: if let Pace::Window(window) = pace { Some(window) } else { None },
            seconds: seconds(talk.lasted),
            interrupted: self.stop.is_cancelled(),
            sent: counts.sent.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            acked: with_ids.then(|| counts.acked.load(Ordering::Relaxed)),
            expected,
            delivered: crowd.heard.delivered,
            missing: expected.saturating_sub(crowd.heard.delivered),
            doubled: crowd.heard.doubled,
            out_of_order: crowd.heard.disordered,
            delays: DelayFigures {
                first_member: delays.first.figures(),
                middle_member: delays.middle.figures(),
                last_member: delays.last.figures(),
                ack: with_ids.then(|| delays.ack.figures()),
            },
            connections_lost: crowd.lost.clone(),
            faults: self.run.faults().clone(),
            held_back: held_back(&self.run.tally.holds()),
            server: server_use(talk),
            generator: Generator {
                cpu_seconds: cpu(talk.entered.own, talk.after.own),
                cores,
                late: talk.late.figures(),
            },
        }
    }
}

fn cpu(from: Option<Usage>, to: Option<Usage>) -> Option<f64> {
    Some(seconds(to?.cpu.saturating_sub(from?.cpu)))
}

fn server_use(talk: &Talk) -> Option<ServerUse> {
    Some(ServerUse {
        cpu_seconds: cpu(talk.entered.server, talk.after.server)?,
        memory_before: talk.before?.resident,
        memory_entered: talk.entered.server?.resident,
        memory_after: talk.after.server?.resident,
    })
}
