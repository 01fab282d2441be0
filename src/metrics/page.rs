//! The page of metrics as a scraper reads it: every metric with its name, type and help.

use std::fmt;

use prometheus_client::encoding::{EncodeGaugeValue, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use crate::domain::Millis;
use crate::protocol::{CloseCode, ErrorCode};

/// What is known elsewhere, read when somebody asks for the page.
#[derive(Debug, Clone)]
pub struct Readings {
    pub version: &'static str,
    /// When the process started.
    pub started_at: Millis,
    /// Whether writes reach the disk.
    pub storing: bool,
    /// Whether `/readyz` says so.
    pub ready: bool,
    /// Commands that wait for the writer, messages nearly all, and their bytes.
    pub queue_commands: usize,
    pub queue_bytes: usize,
    /// Rooms in memory.
    pub rooms: usize,
    /// Sockets and streams of events, and how many there may be.
    pub connections: usize,
    pub connections_limit: usize,
    /// Bytes that wait for clients to take them, and of clients' unfinished messages.
    pub waiting_bytes: usize,
    pub partial_input_bytes: usize,
}

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// The text format 0.0.4, which came before it.
    Text,
}

impl Metrics {
    #[must_use]
    pub fn page(&self, readings: &Readings, format: Format) -> String {
        let mut registry = Registry::default();
        self.messages(&mut registry);
        storage(&mut registry, readings);
        self.clients(&mut registry, readings);
        process(&mut registry, readings);
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut page, &registry);
        match format {
            Format::OpenMetrics => page,
            Format::Text => older(&page),
        }
    }

    fn messages(&self, registry: &mut Registry) {
        registry.register(
            "parlor_publish_to_ack_seconds",
            "From a message's publication until its ack, or its response over HTTP, is on its way",
            self.publish_to_ack.shown(),
        );
        registry.register(
            "parlor_publish_to_last_send_seconds",
            "From a message's publication until the last member on a lane was given it",
            self.publish_to_last_send.shown(),
        );
        registry.register(
            "parlor_commit_seconds",
            "Applying and committing what one commit takes, its sync included",
            self.commit.shown(),
        );
        registry.register(
            "parlor_commit_messages",
            "Messages in one commit",
            self.commit_messages.shown(),
        );
        registry.register(
            "parlor_storage_faults",
            "Times that storage began to fail",
            self.storage_faults.clone(),
        );
    }

    fn clients(&self, registry: &mut Registry, readings: &Readings) {
        gauge(registry, "parlor_rooms_live", "Rooms in memory", readings.rooms);
        registry.register(
            "parlor_members_live",
            "Members that hear a room as it goes, once for each room",
            self.members_live.clone(),
        );
        registry.register(
            "parlor_members_catching_up",
            "Members that are served from a room's log until they have caught up",
            self.members_catching_up.clone(),
        );
        registry.register(
            "parlor_resumes",
            "Joins that named the last message they hold",
            self.resumes.clone(),
        );
        registry.register(
            "parlor_members_fallen_behind",
            "Times that a live member did not keep up and went back to the log",
            self.fallen_behind.clone(),
        );
        let help = "WebSockets and streams of events that are open";
        gauge(registry, "parlor_connections", help, readings.connections);
        let help = "WebSockets and streams of events that may be open";
        gauge(registry, "parlor_connections_limit", help, readings.connections_limit);
        let help = "Bytes that wait for clients to take them";
        gauge(registry, "parlor_waiting_bytes", help, readings.waiting_bytes);
        let help = "Bytes of clients' unfinished WebSocket messages";
        gauge(registry, "parlor_partial_input_bytes", help, readings.partial_input_bytes);
        let closes = CloseCode::ALL.into_iter().zip(&self.closes);
        // Nothing is ever closed with a code for what the client did itself.
        let closes = closes.filter(|(code, _)| *code != CloseCode::Normal);
        let closes = closes.map(|(code, count)| (code.code().to_string(), count));
        let closes = closes.chain([("client".to_owned(), &self.closes_by_client)]);
        let help = "WebSockets closed by the server, by code, or by their clients";
        registry.register("parlor_closes", help, Labelled::new("code", closes));
        let refusals = ErrorCode::ALL.into_iter().zip(&self.refusals);
        let refusals = refusals.map(|(code, count)| (code.as_str().to_owned(), count));
        let help = "Frames and requests refused, by the error's code";
        registry.register("parlor_refusals", help, Labelled::new("code", refusals));
        let responses = (1..).zip(&self.responses);
        let responses = responses.map(|(digit, count)| (format!("{digit}xx"), count));
        let help = "Responses over HTTP, by the class of their status";
        registry.register("parlor_http_responses", help, Labelled::new("class", responses));
    }
}

/// The same page in the older format: that has no last line of its own, and announces a counter
/// under its whole name.
fn older(page: &str) -> String {
    let mut older = page.strip_suffix("# EOF\n").unwrap_or(page).to_owned();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for counter in types.filter_map(|line| line.strip_suffix(" counter")) {
        for keyword in ["HELP", "TYPE"] {
            let announced = format!("# {keyword} {counter} ");
            older = older.replace(&announced, &format!("# {keyword} {counter}_total "));
        }
    }
    older
}

fn storage(registry: &mut Registry, readings: &Readings) {
    let help = "1 while what is written reaches the disk, 0 while storage fails";
    gauge(registry, "parlor_storage_ok", help, i64::from(readings.storing));
    let help = "1 while /readyz says that the server can serve";
    gauge(registry, "parlor_ready", help, i64::from(readings.ready));
    let help = "Messages and other writes that wait for the disk";
    gauge(registry, "parlor_writer_queue_messages", help, readings.queue_commands);
    let help = "Bytes of messages that wait for the disk";
    gauge(registry, "parlor_writer_queue_bytes", help, readings.queue_bytes);
}

fn process(registry: &mut Registry, readings: &Readings) {
    let build = Build { version: readings.version };
    registry.register("parlor_build_info", "Always 1; the label tells what runs", build);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit for long")]
    let started = readings.started_at as f64 / 1_000.0;
    let help = "When the process started, in seconds since 1970";
    gauge(registry, "process_start_time_seconds", help, started);
}

fn gauge<N>(registry: &mut Registry, name: &str, help: &str, value: N)
where
    N: EncodeGaugeValue + fmt::Debug + Send + Sync + 'static,
{
    registry.register(name, help, ConstGauge::new(value));
}

#[derive(Debug)]
struct Build {
    version: &'static str,
}

impl EncodeMetric for Build {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let labels = [("version", self.version)];
        ConstGauge::new(1).encode(encoder.encode_family(&labels)?)
    }

    /// Not `info`, which the older format does not have.
    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

/// A counter for each value of one label, all of them from the beginning: what is first seen when
/// it is 1 has no rise that an alert could see.
#[derive(Debug)]
struct Labelled {
    label: &'static str,
    counts: Vec<(String, u64)>,
}

impl Labelled {
    fn new<'a>(label: &'static str, counters: impl Iterator<Item = (String, &'a Counter)>) -> Self {
        let counts = counters.map(|(value, counter)| (value, counter.get())).collect();
        Self { label, counts }
    }
}

impl EncodeMetric for Labelled {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, count) in &self.counts {
            let labels = [(self.label, value.as_str())];
            ConstCounter::new(*count).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const READINGS: Readings = Readings {
        version: "1.2.3",
        started_at: 1_795_384_463_470,
        storing: true,
        ready: false,
        queue_commands: 11,
        queue_bytes: 12,
        rooms: 13,
        connections: 14,
        connections_limit: 15,
        waiting_bytes: 16,
        partial_input_bytes: 17,
    };

    fn has(page: &str, line: &str) -> bool {
        page.lines().any(|found| found == line)
    }

    #[test]
    fn every_reading_stands_under_its_own_name() {
        let page = Metrics::new().page(&READINGS, Format::OpenMetrics);
        for line in [
            "parlor_build_info{version=\"1.2.3\"} 1",
            "process_start_time_seconds 1795384463.47",
            "parlor_storage_ok 1",
            "parlor_ready 0",
            "parlor_writer_queue_messages 11",
            "parlor_writer_queue_bytes 12",
            "parlor_rooms_live 13",
            "parlor_connections 14",
            "parlor_connections_limit 15",
            "parlor_waiting_bytes 16",
            "parlor_partial_input_bytes 17",
        ] {
            assert!(has(&page, line), "no {line} in\n{page}");
        }
    }

    #[test]
    fn every_code_and_class_has_its_counter_from_the_beginning() {
        let metrics = Metrics::new();
        let line = |name: &str, label: &str, value: &str, count| {
            format!("parlor_{name}_total{{{label}=\"{value}\"}} {count}")
        };
        let page = metrics.page(&READINGS, Format::OpenMetrics);
        for code in ErrorCode::ALL {
            assert!(has(&page, &line("refusals", "code", code.as_str(), 0)), "{page}");
            metrics.refused(code);
            assert!(has(
                &metrics.page(&READINGS, Format::OpenMetrics),
                &line("refusals", "code", code.as_str(), 1)
            ));
        }
        for code in CloseCode::ALL.into_iter().filter(|code| *code != CloseCode::Normal) {
            let value = code.code().to_string();
            assert!(has(&page, &line("closes", "code", &value, 0)), "{page}");
            metrics.closed(Some(code));
            assert!(has(
                &metrics.page(&READINGS, Format::OpenMetrics),
                &line("closes", "code", &value, 1)
            ));
        }
        metrics.closed(None);
        assert!(has(
            &metrics.page(&READINGS, Format::OpenMetrics),
            &line("closes", "code", "client", 1)
        ));
        for (status, class) in
            [(101, "1xx"), (204, "2xx"), (304, "3xx"), (426, "4xx"), (503, "5xx")]
        {
            assert!(has(&page, &line("http_responses", "class", class, 0)), "{page}");
            metrics.answered(status);
            assert!(has(
                &metrics.page(&READINGS, Format::OpenMetrics),
                &line("http_responses", "class", class, 1)
            ));
        }
        metrics.answered(999);
        metrics.answered(0);
    }

    #[test]
    fn a_histogram_shows_ranges_that_hold_those_before_them() {
        let metrics = Metrics::new();
        for micros in [5, 30, 20_000_000] {
            metrics.commit.observe(Duration::from_micros(micros));
        }
        let page = metrics.page(&READINGS, Format::OpenMetrics);
        for line in [
            "# TYPE parlor_commit_seconds histogram",
            "parlor_commit_seconds_count 3",
            "parlor_commit_seconds_sum 20.000035",
            "parlor_commit_seconds_bucket{le=\"0.00001\"} 1",
            "parlor_commit_seconds_bucket{le=\"0.00005\"} 2",
            "parlor_commit_seconds_bucket{le=\"10.0\"} 2",
            "parlor_commit_seconds_bucket{le=\"+Inf\"} 3",
        ] {
            assert!(has(&page, line), "no {line} in\n{page}");
        }
    }

    #[test]
    fn a_member_is_counted_in_one_place() {
        let metrics = Metrics::new();
        let counts = || (metrics.members_live.get(), metrics.members_catching_up.get());
        metrics.member_came(true);
        metrics.member_came(false);
        assert_eq!(counts(), (1, 1));
        metrics.member_moved(false, true);
        metrics.member_moved(true, true);
        assert_eq!(counts(), (2, 0));
        metrics.member_moved(true, false);
        metrics.member_left(false);
        metrics.member_left(true);
        assert_eq!(counts(), (0, 0));
    }
}
