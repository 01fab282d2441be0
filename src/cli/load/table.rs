//! The figures of a run as a table for people.

use std::fmt;

use super::delays::Figures;
use super::report::{DelayFigures, Generator, HeldBack, Report, real};

impl Report {
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
        let rate = self.delivered * 1_000 / millis_of(self.seconds);
        table.row("deliveries expected", grouped(self.expected));
        table.row("delivered", format!("{}: {} a second", grouped(self.delivered), grouped(rate)));
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
                format!(", waited {waited_seconds:.1} s in all")
            } else {
                String::new()
            };
            table.row("held back by", format!("{keys}: met {times}{waited}"));
            table.row("", (*about).to_owned());
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
                "\nThis load generator was late or, with the server, used up the cores: the delays \
                 tell of that\nas much as of the server. Let it have a machine of its own, without \
                 other programs, or fewer\nmembers or messages."
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

/// Whole milliseconds, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds of a run, which are few and not negative"
)]
fn millis_of(seconds: f64) -> u64 {
    ((seconds * 1e3) as u64).max(1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::report::tests::report;

    #[test]
    fn the_table_tells_everything_in_words() {
        let table = report().to_string();
        for line in [
            "members                 2,000 in 1 room, of 4 accounts",
            "messages sent           1,000 in 10.0 s: 100.0 a second",
            "delivered               2,000,000: 200,000 a second",
            "missing                 0",
            "delay                            p50         p99       p99.9         max",
            "to the middle member         0.42 ms    10.00 ms     10.0 ms     12.3 ms",
            "to the ack                   0.42 ms    10.00 ms     10.0 ms     12.3 ms",
            "server's CPU time       2.00 s: 0.20 cores, 1.00 us a delivery",
            "server's memory         10.0 MiB before, 20.0 MiB with all members, 20.5 MiB in the",
            "held back by            limits.sign_ins_per_minute: met 1 time, waited 6.0 s in all",
        ] {
            assert!(table.lines().any(|found| found.starts_with(line)), "{line}\n{table}");
        }
        assert!(!table.contains("This load generator was late"));
    }

    #[test]
    fn a_bottleneck_here_is_told_below() {
        let mut late = report();
        late.generator.late.p99 = 1_000_000;
        assert!(late.to_string().contains("\nThis load generator was late or, with the server,"));
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
