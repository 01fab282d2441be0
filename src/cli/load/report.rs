//! The figures of a run, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
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
    /// Every message reached every member, once and in order, and the disk; every connection lasted.
    pub fn is_sound(&self) -> bool {
        self.missing == 0
            && self.doubled == 0
            && self.out_of_order == 0
            && self.acked.is_none_or(|acked| acked == self.sent)
            && self.connections_lost.is_empty()
            && self.faults.is_empty()
    }

    /// Whether the figures tell of this program, alone or beside the server, more than of the server.
    fn is_bottleneck(&self) -> bool {
        let Generator { cpu_seconds, cores, late } = self.generator;
        let most = BUSY * self.seconds * real(cores as u64);
        let server = self.server.map_or(0.0, |server| server.cpu_seconds);
        late.p99 > LATE || cpu_seconds.is_some_and(|cpu| cpu + server > most)
    }

    fn crowd(&self, table: &mut Table) {
        let members = grouped(self.members.into());
        let (rooms, accounts) =
            (counted(self.rooms.into(), "room"), counted(self.accounts.into(), "account"));
        table.row("members", format!("{members} in {rooms}, of {accounts}"));
        let pace = match (self.rate, self.window) {
            (_, Some(window)) => format!("{} messages of each under way", grouped(window.into())),
            (rate, None) => {
                format!("{} messages a second in all", grouped(rate.unwrap_or(0).into()))
            }
        };
        let ids = if self.with_ids { "with ids" } else { "without ids" };
        let senders = grouped(self.senders.into());
        table.row("senders", format!("{senders}, {pace}, {} bytes, {ids}", self.message_bytes));
        let reached = real(self.sent) / self.seconds.max(0.001);
        let stopped = if self.interrupted { ", interrupted" } else { "" };
        table.row(
            "messages sent",
            format!(
                "{} in {:.1} s{stopped}: {reached:.1} a second",
                grouped(self.sent),
                self.seconds
            ),
        );
        if let Some(acked) = self.acked {
            table.row("acknowledged", grouped(acked));
        }
        if self.refused > 0 {
            table.row("refused", grouped(self.refused));
        }
    }

    fn deliveries(&self, table: &mut Table) {
        let rate = real(self.delivered) / self.seconds.max(0.001);
        table.row("deliveries expected", grouped(self.expected));
        table.row("delivered", format!("{}: {rate:.0} a second", grouped(self.delivered)));
        table.row("missing", grouped(self.missing));
        table.row("doubled", grouped(self.doubled));
        table.row("out of order", grouped(self.out_of_order));
    }

    fn delays(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, cells: [String; 4]| {
            let [p50, p99, p999, max] = cells;
            writeln!(f, "{name:<24}{p50:>12}{p99:>12}{p999:>12}{max:>12}")
        };
        row("delay", ["p50", "p99", "p99.9", "max"].map(str::to_owned))?;
        let DelayFigures { first_member, middle_member, last_member, ack } = self.delays;
        row("to the first member", first_member.cells())?;
        row("to the middle member", middle_member.cells())?;
        row("to the last member", last_member.cells())?;
        ack.map_or(Ok(()), |ack| row("to the ack", ack.cells()))
    }

    fn costs(&self, table: &mut Table) {
        if let Some(server) = self.server {
            let cores = server.cpu_seconds / self.seconds.max(0.001);
            let each = server.cpu_seconds * 1e6 / real(self.delivered.max(1));
            let cpu = server.cpu_seconds;
            let told = format!("{cpu:.2} s: {cores:.2} cores, {each:.2} us a delivery");
            table.row("server's CPU time", told);
            let [before, entered, after] =
                [server.memory_before, server.memory_entered, server.memory_after].map(mebibytes);
            let told = format!("{before} before, {entered} with all members, {after} in the end");
            table.row("server's memory", told);
        }
        let Generator { cpu_seconds, cores, late } = self.generator;
        let cpu = cpu_seconds.map_or_else(String::new, |cpu| {
            format!(
                "{cpu:.2} s of CPU time, {:.2} of {cores} cores; ",
                cpu / self.seconds.max(0.001)
            )
        });
        let (p99, max) = (millis(late.p99), millis(late.max));
        table.row("this load generator", format!("{cpu}late by {p99} (p99), {max} at most"));
    }

    fn troubles(&self, table: &mut Table) {
        for (why, count) in &self.connections_lost {
            table.row("connections lost", format!("{}: {why}", grouped(*count)));
        }
        for (what, count) in &self.faults {
            table.row("faults", format!("{}: {what}", grouped(*count)));
        }
        if self.held_back.is_empty() {
            table.row("held back by", "no limit of the server".to_owned());
        }
        for HeldBack { keys, about, times, waited_seconds } in &self.held_back {
            let keys = if keys.is_empty() { "no setting".to_owned() } else { keys.join(", ") };
            let times = counted(*times, "time");
            let waited = if *waited_seconds > 0.0 {
                format!(", waited {waited_seconds:.1} s")
            } else {
                String::new()
            };
            table.row("held back by", format!("{keys}: met {times}{waited} ({about})"));
        }
    }
}

/// Names on the left, values on the right.
#[derive(Debug, Default)]
struct Table(Vec<(&'static str, String)>);

impl Table {
    fn row(&mut self, name: &'static str, value: String) {
        self.0.push((name, value));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name:<24}{value}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut work, mut costs) = (Table::default(), Table::default());
        self.crowd(&mut work);
        self.deliveries(&mut work);
        self.costs(&mut costs);
        self.troubles(&mut costs);
        writeln!(f, "{work}")?;
        self.delays(f)?;
        write!(f, "\n{costs}")?;
        if self.is_bottleneck() {
            writeln!(
                f,
                "\nThis load generator was the bottleneck, or used up the cores together with the \
                 server: the\ndelays tell of it as much as of the server. Let it have a machine of \
                 its own, or fewer\nmembers or messages."
            )?;
        }
        Ok(())
    }
}

impl Figures {
    /// As the table shows them.
    fn cells(self) -> [String; 4] {
        [self.p50, self.p99, self.p999, self.max].map(millis)
    }
}

fn millis(micros: u64) -> String {
    let millis = real(micros) / 1e3;
    if micros < 10_000 { format!("{millis:.2} ms") } else { format!("{millis:.1} ms") }
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", real(kibibytes) / 1024.0)
}

/// In groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and what it counts.
pub fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// For shares and rates, which are shown to a few digits.
#[expect(clippy::cast_precision_loss, reason = "shown to a few digits")]
fn real(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::hold::Hold;

    fn report() -> Report {
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
    fn the_table_tells_everything_in_words() {
        let table = report().to_string();
        for line in [
            "members                 2,000 in 1 room, of 4 accounts",
            "messages sent           1,000 in 10.0 s: 100.0 a second",
            "delivered               2,000,000: 200000 a second",
            "missing                 0",
            "delay                            p50         p99       p99.9         max",
            "to the middle member         0.42 ms    10.00 ms     10.0 ms     12.3 ms",
            "to the ack                   0.42 ms    10.00 ms     10.0 ms     12.3 ms",
            "server's CPU time       2.00 s: 0.20 cores, 1.00 us a delivery",
            "server's memory         10.0 MiB before, 20.0 MiB with all members, 20.5 MiB in the end",
            "held back by            limits.sign_ins_per_minute: met 1 time, waited 6.0 s (",
        ] {
            assert!(table.lines().any(|found| found.starts_with(line)), "{line}\n{table}");
        }
        assert!(!table.contains("bottleneck"));
    }

    #[test]
    fn a_generator_that_is_late_or_busy_says_so() {
        let mut late = report();
        late.generator.late.p99 = LATE + 1;
        let mut busy = report();
        // With the server's two seconds, more than nine tenths of two cores in ten seconds.
        busy.generator.cpu_seconds = Some(16.1);
        for report in [late, busy] {
            assert!(report.to_string().contains("bottleneck"));
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

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
