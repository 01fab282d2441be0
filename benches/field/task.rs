//! A work that a server is put to, and what came of it.

use std::time::Duration;

use serde::Serialize;

use super::cores::{Cores, Machine};
use super::crowd::Crowd;
use super::delays::Quantiles;
use super::dialect::Dialect;
use super::house::House;
use super::median::median;
use super::process::Server;
use super::works::Work;
use crate::Failure;

pub struct Task {
    pub name: &'static str,
    /// Members of the room.
    pub members: usize,
    pub what: What,
    pub cores: Cores,
}

#[derive(Clone, Copy)]
pub enum What {
    /// As many messages as the senders' windows allow.
    Saturated,
    /// So many messages a second; what has come is read only so long after each.
    Quiet { rate: u32, rest: Duration },
    /// Nobody says anything.
    Idle,
}

/// What came of a task; what it does not measure is 0.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub sent: u64,
    pub expected: u64,
    pub delivered: u64,
    pub missing: u64,
    pub doubled: u64,
    pub out_of_order: u64,
    /// The server's, in microseconds a delivery.
    pub cpu: f64,
    /// In a second.
    pub deliveries: f64,
    /// Messages in one read of a member's, which tells how many the server sends at once.
    pub batch: f64,
    /// From a sender to the middle member and to the last one.
    pub middle: Quantiles,
    pub last: Quantiles,
    /// The server's, in KiB a member.
    pub memory: f64,
    /// What other processes took meanwhile, of one core.
    pub others: f64,
}

/// A figure that servers are compared by.
pub struct Figure {
    pub name: &'static str,
    pub decimals: usize,
    pub of: fn(&Outcome) -> f64,
}

/// Whether a name is among those, with commas between them; all are, where none is named.
pub fn is_chosen(names: &str, name: &str) -> bool {
    names.is_empty() || names.split(',').any(|chosen| chosen == name)
}

impl Task {
    /// `seconds`: how long messages are sent.
    pub fn run(
        &self,
        server: &Server,
        dialect: &Dialect,
        seconds: u64,
    ) -> Result<Outcome, Failure> {
        let stamped = matches!(self.what, What::Quiet { .. });
        let before = server.usage()?;
        let crowd = Crowd::enter(server.addr, dialect, self.members, stamped)?;
        let time = Duration::from_secs(seconds);
        let mut work = Work { server, dialect, crowd, time };
        work.settle()?;
        match self.what {
            What::Saturated => work.saturated(),
            What::Quiet { rate, rest } => work.quiet(rate, rest),
            What::Idle => work.idle(before),
        }
    }

    /// Parlor, started for this.
    pub fn run_on_parlor(
        &self,
        machine: &Machine,
        house: &House,
        seconds: u64,
    ) -> Result<Outcome, Failure> {
        let (command, _directory) = house.copy(self.members)?;
        let server = machine.start(self.cores, || Server::start(command))?;
        self.run(&server, &house.dialect(), seconds)
    }

    pub fn title(&self) -> String {
        let what = match self.what {
            What::Saturated => "10 senders with windows of 10".to_owned(),
            What::Quiet { rate, .. } => format!("{rate} messages/s"),
            What::Idle => "idle".to_owned(),
        };
        let cores = match self.cores {
            Cores::OneEach => "server on one core",
            Cores::Shared => "server on all cores",
        };
        format!("{} members, {what}, {cores}", self.members)
    }

    /// What it is about.
    pub fn figures(&self) -> Vec<Figure> {
        let cpu = Figure { name: "CPU us/delivery", decimals: 3, of: |outcome| outcome.cpu };
        match self.what {
            What::Saturated => {
                let of = |outcome: &Outcome| outcome.deliveries;
                let batch = |outcome: &Outcome| outcome.batch;
                vec![
                    cpu,
                    Figure { name: "deliveries/s", decimals: 0, of },
                    Figure { name: "messages/read", decimals: 1, of: batch },
                ]
            }
            What::Quiet { .. } => {
                let middle = |outcome: &Outcome| outcome.middle.p50;
                let last = |outcome: &Outcome| outcome.last.p99;
                vec![
                    cpu,
                    Figure { name: "middle p50 ms", decimals: 2, of: middle },
                    Figure { name: "last p99 ms", decimals: 2, of: last },
                ]
            }
            What::Idle => {
                vec![Figure { name: "KiB/member", decimals: 2, of: |outcome| outcome.memory }]
            }
        }
    }
}

impl Outcome {
    pub fn is_sound(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.out_of_order == 0
    }

    /// Of several turns: the sums of what is counted, the medians of what is measured.
    pub fn of_turns(turns: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> u64| turns.iter().map(of).sum();
        let median = |of: fn(&Self) -> f64| median(turns.iter().map(of));
        Self {
            sent: sum(|turn| turn.sent),
            expected: sum(|turn| turn.expected),
            delivered: sum(|turn| turn.delivered),
            missing: sum(|turn| turn.missing),
            doubled: sum(|turn| turn.doubled),
            out_of_order: sum(|turn| turn.out_of_order),
            cpu: median(|turn| turn.cpu),
            deliveries: median(|turn| turn.deliveries),
            batch: median(|turn| turn.batch),
            middle: Quantiles {
                p50: median(|turn| turn.middle.p50),
                p99: median(|turn| turn.middle.p99),
            },
            last: Quantiles {
                p50: median(|turn| turn.last.p50),
                p99: median(|turn| turn.last.p99),
            },
            memory: median(|turn| turn.memory),
            others: median(|turn| turn.others),
        }
    }
}
