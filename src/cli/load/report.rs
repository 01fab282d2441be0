//! The figures of a run, and what they amount to. As JSON they are for programs; `table` shows them
//! to people.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::delays::Figures;
use super::hold::Holds;

/// Percentiles of this program's own lateness above which its figures say more of it than of the
/// server: in microseconds, at the 99th.
const LATE: u64 = 20_000;
/// The part of this machine's cores that both can use before that is so.
const BUSY: f64 = 0.9;

/// Everything that a run has found out.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub members: u32,
    pub rooms: u32,
    pub accounts: u32,
    pub senders: u32,
    pub message_bytes: usize,
    pub with_ids: bool,
    /// Messages a second that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Messages of each sender under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// How long the senders talked.
    pub seconds: f64,
    /// Ended by a signal.
    pub interrupted: bool,
    pub sent: u64,
    pub refused: u64,
    /// With ids only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked: Option<u64>,
    /// Deliveries: each message to each member of its room.
    pub expected: u64,
    pub delivered: u64,
    pub missing: u64,
    pub doubled: u64,
    pub out_of_order: u64,
    /// In microseconds.
    pub delays: DelayFigures,
    /// Why connections ended before their time, and how many.
    pub connections_lost: BTreeMap<String, u64>,
    /// What else should not have happened, and how often.
    pub faults: BTreeMap<String, u64>,
    pub held_back: Vec<HeldBack>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUse>,
    pub generator: Generator,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DelayFigures {
    pub first_member: Figures,
    pub middle_member: Figures,
    pub last_member: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack: Option<Figures>,
}

/// A bound of the server that was met.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldBack {
    /// The settings that say how much there is.
    pub keys: Vec<&'static str>,
    pub about: &'static str,
    pub times: u64,
    pub waited_seconds: f64,
}

/// The server's process while the senders talked.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerUse {
    pub cpu_seconds: f64,
    /// KiB: before anybody came, when all were in, and in the end.
    pub memory_before: u64,
    pub memory_entered: u64,
    pub memory_after: u64,
}

/// This program itself, meanwhile.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Generator {
    /// Not known where there is no `/proc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    pub cores: usize,
    /// By how many microseconds its own timers rang late.
    pub late: Figures,
}

pub fn held_back(holds: &Holds) -> Vec<HeldBack> {
    let told = holds.iter().map(|(hold, held)| HeldBack {
        keys: hold.keys().to_vec(),
        about: hold.about(),
        times: held.times,
        waited_seconds: seconds(held.waited),
    });
    told.collect()
}

/// To a thousandth.
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

impl Report {
    /// Every message reached every member, once and in order, and, with an id, the disk; every
    /// connection lasted.
    pub fn is_sound(&self) -> bool {
        self.missing == 0
            && self.doubled == 0
            && self.out_of_order == 0
            && self.acked.is_none_or(|acked| acked == self.sent)
            && self.connections_lost.is_empty()
            && self.faults.is_empty()
    }

    /// Whether the figures tell of this program as much as of the server.
    pub fn is_bottleneck(&self) -> bool {
        let Generator { cpu_seconds, cores, late } = self.generator;
        let most = BUSY * self.seconds * real(cores as u64);
        let server = self.server.map_or(0.0, |server| server.cpu_seconds);
        late.p99 > LATE || cpu_seconds.is_some_and(|cpu| cpu + server > most)
    }
}

/// For shares and rates, which are shown to a few digits.
#[expect(clippy::cast_precision_loss, reason = "shown to a few digits")]
pub fn real(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::load::hold::Hold;

    pub fn report() -> Report {
        let figures = Figures { count: 10, p50: 420, p99: 9_999, p999: 10_000, max: 12_345 };
        let mut holds = Holds::default();
        holds.met(Hold::SignIns);
        holds.waited(Hold::SignIns, Duration::from_secs(6));
        Report {
            members: 2_000,
            rooms: 1,
            accounts: 4,
            senders: 10,
            message_bytes: 100,
            with_ids: true,
            rate: Some(100),
            window: None,
            seconds: 10.0,
            interrupted: false,
            sent: 1_000,
            refused: 0,
            acked: Some(1_000),
            expected: 2_000_000,
            delivered: 2_000_000,
            missing: 0,
            doubled: 0,
            out_of_order: 0,
            delays: DelayFigures {
                first_member: figures,
                middle_member: figures,
                last_member: figures,
                ack: Some(figures),
            },
            connections_lost: BTreeMap::new(),
            faults: BTreeMap::new(),
            held_back: held_back(&holds),
            server: Some(ServerUse {
                cpu_seconds: 2.0,
                memory_before: 10_240,
                memory_entered: 20_480,
                memory_after: 20_992,
            }),
            generator: Generator {
                cpu_seconds: Some(5.0),
                cores: 2,
                late: Figures { p99: 1_500, max: 3_000, ..Figures::default() },
            },
        }
    }

    #[test]
    fn a_generator_that_is_late_or_busy_says_so() {
        let mut late = report();
        late.generator.late.p99 = LATE + 1;
        let mut busy = report();
        // With the server's two seconds, more than nine tenths of two cores in ten seconds.
        busy.generator.cpu_seconds = Some(16.1);
        for report in [late, busy] {
            assert!(report.is_bottleneck());
        }
    }

    #[test]
    fn whatever_is_wrong_makes_it_unsound() {
        assert!(report().is_sound());
        let changes: [fn(&mut Report); 6] = [
            |report| report.acked = Some(999),
            |report| report.missing = 1,
            |report| report.doubled = 1,
            |report| report.out_of_order = 1,
            |report| report.connections_lost = BTreeMap::from([("gone".to_owned(), 1)]),
            |report| report.faults = BTreeMap::from([("odd".to_owned(), 1)]),
        ];
        for change in changes {
            let mut report = report();
            change(&mut report);
            assert!(!report.is_sound());
        }
    }

    #[test]
    fn programs_read_the_same_figures() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["delays"]["lastMember"]["p99.9"], 10_000);
        assert_eq!(json["outOfOrder"], 0);
        assert_eq!(json["heldBack"][0]["keys"][0], "limits.sign_ins_per_minute");
        assert_eq!(json["server"]["memoryEntered"], 20_480);
        assert!(json.get("window").is_none());
    }
}
