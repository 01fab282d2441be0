//! The works: a crowd in one room hears as much as the server can, or a few messages a second.

use std::time::{Duration, Instant};

use super::crowd::{Crowd, Heard};
use super::delays::Delays;
use super::dialect::Dialect;
use super::meter::{Meter, Reading};
use super::process::{Server, Usage};
use super::tally::Tally;
use super::task::Outcome;
use crate::Failure;

pub const SENDERS: usize = 10;
/// Messages of a turn in which each sender says one.
const PER_TURN: u32 = 10;
/// Messages that a sender has said and not heard.
const WINDOW: u32 = 10;
/// After everybody has entered, and before anything is measured.
const SETTLING: Duration = Duration::from_millis(1_500);
/// Under full load, before anything is measured.
const WARMING: Duration = Duration::from_millis(700);
/// A sender that hears nothing of its own for so long takes it for lost.
const LOST: Duration = Duration::from_secs(2);
/// What has not come when nobody has heard anything for so long does not come.
const SILENCE: Duration = Duration::from_secs(3);

struct Sender {
    member: usize,
    sent: u32,
    heard: u32,
    last: Instant,
}

pub struct Work<'a> {
    pub server: &'a Server,
    pub dialect: &'a Dialect,
    pub crowd: Crowd,
    pub time: Duration,
}

impl Work<'_> {
    /// Ten senders say as much as their windows let them, for some time.
    pub fn saturated(mut self) -> Result<Outcome, Failure> {
        let members = self.crowd.len();
        let mut tally = Tally::new(members, SENDERS);
        let mut senders = self.senders();
        let began = Instant::now();
        while began.elapsed() < WARMING {
            self.talk(&mut senders)?;
            self.listen(&mut senders, &mut tally)?;
        }
        let (began, before, reads) = (Instant::now(), tally.delivered, self.crowd.reads);
        let meter = Meter::start(self.server)?;
        while began.elapsed() < self.time {
            self.talk(&mut senders)?;
            self.listen(&mut senders, &mut tally)?;
        }
        let reading = meter.read(self.server)?;
        let delivered = tally.delivered - before;
        let batch = count(delivered) / count((self.crowd.reads - reads).max(1));
        let measured = Outcome { batch, ..measured(&reading, delivered) };
        let mut last = Instant::now();
        let sent: u64 = senders.iter().map(|sender| u64::from(sender.sent)).sum();
        let expected = sent * members as u64;
        while tally.delivered < expected && last.elapsed() < SILENCE {
            if self.listen(&mut senders, &mut tally)? {
                last = Instant::now();
            }
        }
        self.refused()?;
        Ok(counted(&tally, sent, expected, measured))
    }

    /// One sender after the other says a message, `rate` a second. Members are read in between, a
    /// `rest` after what was last done: they have heard a message when the kernel had it.
    pub fn quiet(mut self, rate: u32, rest: Duration) -> Result<Outcome, Failure> {
        let members = self.crowd.len();
        let total = u32::try_from(u128::from(rate) * self.time.as_millis() / 1_000)?;
        let mut tally = Tally::new(members, SENDERS);
        let mut delays = Delays::new(total, members, SENDERS);
        let senders = self.senders();
        let meter = Meter::start(self.server)?;
        let began = Instant::now();
        let mut frame = Vec::new();
        for number in 0..total {
            let due = began + Duration::from_secs(1) * number / rate;
            while let left = due.saturating_duration_since(Instant::now())
                && !left.is_zero()
            {
                std::thread::sleep(left.min(rest));
                if left > rest {
                    self.catch_up(due, &mut tally, &mut delays)?;
                }
            }
            let (turn, sender) = (number / PER_TURN, (number % PER_TURN) as usize);
            frame.clear();
            self.dialect.say(&mut frame, sender, turn);
            delays.send(number);
            self.crowd.write(senders[sender].member, &frame)?;
        }
        let expected = u64::from(total) * members as u64;
        let mut last = Instant::now();
        while tally.delivered < expected && last.elapsed() < SILENCE {
            std::thread::sleep(rest);
            if self.catch_up(Instant::now() + SILENCE, &mut tally, &mut delays)? {
                last = Instant::now();
            }
        }
        let reading = meter.read(self.server)?;
        self.refused()?;
        let (middle, last) = delays.conclude();
        let measured = Outcome { middle, last, ..measured(&reading, tally.delivered) };
        Ok(counted(&tally, total.into(), expected, measured))
    }

    /// Reads all that has come, but no longer than to this moment; `false` if there was nothing.
    fn catch_up(
        &mut self,
        due: Instant,
        tally: &mut Tally,
        delays: &mut Delays,
    ) -> Result<bool, Failure> {
        let mut any = false;
        while Instant::now() < due
            && self.crowd.poll(|heard| {
                tally.hear(heard.member, heard.sender, heard.number, heard.seq);
                delays.hear(heard.member, heard.sender, heard.number, heard.arrived);
            })?
        {
            any = true;
        }
        Ok(any)
    }

    /// Nobody says anything; `before` anybody had entered, the server had used so much.
    pub fn idle(mut self, before: Usage) -> Result<Outcome, Failure> {
        self.settle()?;
        let more = self.server.usage()?.resident.saturating_sub(before.resident);
        let memory = count(more) / count(self.crowd.len() as u64);
        Ok(Outcome { memory, ..Outcome::default() })
    }

    /// They are anywhere among the members.
    fn senders(&self) -> Vec<Sender> {
        let now = Instant::now();
        let member = |number| number * self.crowd.len() / SENDERS;
        let sender = |number| Sender { member: member(number), sent: 0, heard: 0, last: now };
        (0..SENDERS).map(sender).collect()
    }

    pub fn settle(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < SETTLING {
            while self.crowd.poll(|_| {})? {}
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn talk(&mut self, senders: &mut [Sender]) -> Result<(), Failure> {
        let mut frames = Vec::new();
        for (number, sender) in senders.iter_mut().enumerate() {
            if sender.sent > sender.heard && sender.last.elapsed() > LOST {
                sender.heard = sender.sent;
            }
            let end = sender.heard + WINDOW;
            if sender.sent == end {
                continue;
            }
            frames.clear();
            for number_of_it in sender.sent..end {
                self.dialect.say(&mut frames, number, number_of_it);
            }
            self.crowd.write(sender.member, &frames)?;
            if sender.sent == sender.heard {
                sender.last = Instant::now();
            }
            sender.sent = end;
        }
        Ok(())
    }

    fn listen(&mut self, senders: &mut [Sender], tally: &mut Tally) -> Result<bool, Failure> {
        self.crowd.poll(|Heard { member, sender, number, seq, .. }| {
            tally.hear(member, sender, number, seq);
            let own = &mut senders[sender];
            if own.member == member && number >= own.heard {
                own.heard = number + 1;
                own.last = Instant::now();
            }
        })
    }

    /// What a server refuses is no delivery of it.
    fn refused(&self) -> Result<(), Failure> {
        match &self.crowd.refused {
            Some(refused) => Err(format!("the server refused something: {refused}").into()),
            None => Ok(()),
        }
    }
}

fn counted(tally: &Tally, sent: u64, expected: u64, measured: Outcome) -> Outcome {
    Outcome {
        sent,
        expected,
        delivered: tally.delivered,
        missing: expected - tally.delivered,
        doubled: tally.doubled,
        out_of_order: tally.disordered,
        ..measured
    }
}

fn measured(reading: &Reading, deliveries: u64) -> Outcome {
    let deliveries = count(deliveries);
    Outcome {
        cpu: reading.server.as_secs_f64() * 1e6 / deliveries.max(1.0),
        deliveries: deliveries / reading.elapsed.as_secs_f64(),
        others: reading.others,
        ..Outcome::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn count(number: u64) -> f64 {
    number as f64
}
