//! A member that talks: at its part of a rate, or as fast as what it said is confirmed.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::SinkExt;
use futures_util::sink::Sink;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::arguments::Pace;
use super::frame::{Frame, chat};
use super::hold::{Asked, Hold, error_code};
use super::messages::{NUMBERS, Name};
use super::run::Run;
use super::tally::Micros;

/// Messages given to the socket before it is flushed.
const BATCH: usize = 64;
/// When a retryable error does not say how long to wait.
const PAUSE_MS: u64 = 1_000;

/// A sender, as both halves of its connection see it.
#[derive(Debug)]
pub struct Speaker {
    run: Arc<Run>,
    room_id: u64,
    /// Counted from 0.
    sender: u32,
    /// Messages that may be sent now; without a window, none is ever taken.
    credit: Semaphore,
    /// Refused for a while: they are said again under the same ids.
    again: Mutex<Vec<u32>>,
    /// Until then the server wants no more from this account, and why.
    pause: Mutex<(Micros, Option<Hold>)>,
    /// Messages under way, and how many the server takes before it stops reading.
    unacked: AtomicUsize,
    unacknowledged: usize,
    next: AtomicU64,
    /// Cancelled when this one may not go on.
    hush: CancellationToken,
}

/// When a sender says its next message.
#[derive(Debug)]
struct Schedule {
    /// Nanoseconds from the beginning of the run.
    due: u64,
    interval: u64,
}

impl Schedule {
    /// Each sender has its own part of the interval, so that they do not all talk at once.
    fn new(began: Micros, sender: u32, senders: usize, rate: u32) -> Self {
        let one = 1_000_000_000.0 / f64::from(rate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most 10^5 senders at 1/s: far below what either type holds"
        )]
        let nanos = |times: usize| (one * times as f64) as u64;
        let offset = nanos(usize::try_from(sender).unwrap_or(0));
        Self { due: began * 1_000 + offset, interval: nanos(senders).max(1) }
    }

    fn due(&self) -> Micros {
        self.due / 1_000
    }

    fn advance(&mut self) {
        self.due += self.interval;
    }

    /// What was due before `at` is not made up for.
    fn skip_to(&mut self, at: Micros) {
        self.due = self.due.max(at * 1_000);
    }
}

impl Speaker {
    pub fn new(run: Arc<Run>, room_id: u64, sender: u32, unacknowledged: usize) -> Self {
        let credit = match run.pace {
            Pace::Rate(_) => 0,
            Pace::Window(window) => window as usize,
        };
        let hush = run.hush.child_token();
        Self {
            run,
            room_id,
            sender,
            credit: Semaphore::new(credit),
            again: Mutex::default(),
            pause: Mutex::default(),
            unacked: AtomicUsize::new(0),
            unacknowledged,
            next: AtomicU64::new(0),
            hush,
        }
    }

    /// Talks for as long as it may and then is silent; ends only with its connection.
    pub async fn talk(&self, sink: &mut (impl Sink<Message, Error = Error> + Unpin)) -> Error {
        self.run.go.cancelled().await;
        let spoken = match self.run.pace {
            Pace::Window(_) => self.talk_in_window(sink).await,
            Pace::Rate(rate) => self.talk_at_rate(rate, sink).await,
        };
        match spoken {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }

    async fn talk_in_window(
        &self,
        sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    ) -> Result<(), Error> {
        let may = async || {
            let permit = self.credit.acquire().await;
            self.wait_out_pause().await;
            permit.map(tokio::sync::SemaphorePermit::forget)
        };
        while let Some(Ok(())) = self.hush.run_until_cancelled(may()).await {
            self.say(sink, self.run.now()).await?;
            for _ in 1..BATCH {
                let Ok(permit) = self.credit.try_acquire() else { break };
                permit.forget();
                self.say(sink, self.run.now()).await?;
            }
            sink.flush().await?;
        }
        Ok(())
    }

    /// A delay begins when the message was sent; where the server did not take the one before it
    /// in time, when it was due.
    async fn talk_at_rate(
        &self,
        rate: u32,
        sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    ) -> Result<(), Error> {
        let senders = self.run.tally.senders.len();
        let mut schedule = Schedule::new(self.run.now(), self.sender, senders, rate);
        loop {
            let wait = async {
                if let Some(end) = self.wait_out_pause().await {
                    schedule.skip_to(end);
                }
                let waits = schedule.due() > self.run.now();
                self.run.sleep_until(schedule.due()).await;
                waits.then(|| self.run.now())
            };
            let Some(woke) = self.hush.run_until_cancelled(wait).await else { return Ok(()) };
            for _ in 0..BATCH {
                // This program's own timers are no delay of the server's.
                self.say(sink, woke.unwrap_or(schedule.due())).await?;
                schedule.advance();
                if schedule.due() > self.run.now() {
                    break;
                }
            }
            sink.flush().await?;
        }
    }

    /// Waits as long as the server asked for; gives when that was over, if there was anything.
    async fn wait_out_pause(&self) -> Option<Micros> {
        let mut waited = None;
        loop {
            let (until, hold) = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            let left = until.saturating_sub(self.run.now());
            if left == 0 {
                return waited;
            }
            self.run.sleep_until(until).await;
            if let Some(hold) = hold {
                self.run.tally.holds().waited(hold, Duration::from_micros(left));
            }
            waited = Some(until);
        }
    }

    async fn say(
        &self,
        sink: &mut (impl Sink<Message, Error = Error> + Unpin),
        at: Micros,
    ) -> Result<(), Error> {
        let again = self.again.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let number = again.or_else(|| self.next_number());
        let Some(number) = number else {
            self.hush.cancel();
            return Ok(());
        };
        let name = Name { sender: self.sender, number };
        if !self.run.tally.send(name, at) {
            return Ok(());
        }
        let Run { bytes, with_ids, .. } = *self.run;
        if with_ids {
            let unacked = self.unacked.fetch_add(1, Ordering::Relaxed) + 1;
            if unacked == self.unacknowledged {
                self.run.tally.holds().met(Hold::Unacknowledged);
            }
        }
        let text = chat(self.room_id, &name.write(&self.run.tally.tag), bytes, with_ids);
        sink.feed(Message::text(text)).await
    }

    fn next_number(&self) -> Option<u32> {
        let number = u32::try_from(self.next.fetch_add(1, Ordering::Relaxed)).ok()?;
        (number < NUMBERS).then_some(number)
    }

    /// It hears a message of its own, which without ids is all the confirmation there is.
    pub fn hears(&self, name: Name) {
        if name.sender == self.sender && !self.run.with_ids {
            self.confirm();
        }
    }

    pub fn acked(&self, frame: &Frame<'_>) {
        let tally = &self.run.tally;
        let name = frame.answered(&tally.tag).filter(|name| name.sender == self.sender);
        match name.and_then(|name| tally.ack(name, frame.seq, self.run.now())) {
            Some(true) => {}
            Some(false) => self.run.fault("an ack names another seq than the message".to_owned()),
            None => {
                self.run.fault("an ack of nothing that waits for one".to_owned());
                return;
            }
        }
        self.unacked.fetch_sub(1, Ordering::Relaxed);
        self.confirm();
    }

    pub fn refused(&self, frame: &Frame<'_>) {
        let tally = &self.run.tally;
        let (code, words) = frame.error();
        let name = frame.answered(&tally.tag).filter(|name| name.sender == self.sender);
        let number = name.map(|name| name.number);
        tally.refuse(self.sender as usize, number);
        if self.run.with_ids {
            self.unacked.fetch_sub(1, Ordering::Relaxed);
        }
        let hold = error_code(code).and_then(|code| Hold::of_error(code, Asked::Socket));
        if let Some(hold) = hold {
            tally.holds().met(hold);
        }
        if !frame.retryable {
            self.run.fault(format!("{code}: {words}"));
            self.hush.cancel();
            return;
        }
        self.again.lock().unwrap_or_else(PoisonError::into_inner).extend(number);
        let millis = frame.retry_after_ms.unwrap_or(PAUSE_MS);
        let until = self.run.now() + millis * 1_000;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = (until.max(pause.0), hold);
        drop(pause);
        self.confirm();
    }

    fn confirm(&self) {
        if let Pace::Window(_) = self.run.pace {
            self.credit.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_share_a_rate_and_take_turns() {
        let mut all: Vec<_> = (0..3).map(|n| Schedule::new(1_000, n, 3, 300)).collect();
        let first: Vec<_> = all.iter().map(Schedule::due).collect();
        assert_eq!(first, [1_000, 4_333, 7_666]);
        all.iter_mut().for_each(Schedule::advance);
        let second: Vec<_> = all.iter().map(Schedule::due).collect();
        assert_eq!(second, [11_000, 14_333, 17_666]);
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut schedule = Schedule::new(1, 0, 1, 1_000);
        schedule.skip_to(10_000);
        assert_eq!(schedule.due(), 10_000);
        schedule.skip_to(5_000);
        assert_eq!(schedule.due(), 10_000);
        schedule.advance();
        assert_eq!(schedule.due(), 11_000);
    }
}
