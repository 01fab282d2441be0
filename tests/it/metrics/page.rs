//! The page of metrics as a strict scraper reads it: what is not well formed fails the test.

use std::collections::{BTreeMap, BTreeSet};

/// One metric and all of its lines.
#[derive(Debug)]
pub struct Family {
    pub kind: String,
    help: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    /// What follows the family's name: `_total`, `_bucket`; nothing for a gauge.
    suffix: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// All metrics, by the names under which they are announced.
#[derive(Debug)]
pub struct Page {
    families: BTreeMap<String, Family>,
    /// What a counter's name has more than it is announced with.
    of_counters: &'static str,
}

impl Page {
    /// In the format `OpenMetrics` 1.0.
    pub fn parse(text: &str) -> Self {
        let lines = text.strip_suffix("# EOF\n").expect("the last line says that it is the last");
        Self::parse_lines(lines, "_total")
    }

    /// In the older format 0.0.4.
    pub fn parse_older(text: &str) -> Self {
        Self::parse_lines(text, "")
    }

    fn parse_lines(lines: &str, of_counters: &'static str) -> Self {
        assert!(lines.ends_with('\n') && !lines.contains("\n\n"), "whole lines, none empty");
        let mut families = BTreeMap::new();
        let mut series = BTreeSet::new();
        let mut lines = lines.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) = comment(line, "HELP");
            let kind = lines.next().map(|line| comment(line, "TYPE")).expect("a type");
            assert_eq!(kind.0, name, "the type belongs to the help before it");
            let mut samples = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (identity, sample) = sample(name, line);
                assert!(series.insert(identity.to_owned()), "twice: {identity}");
                samples.push(sample);
            }
            let family = Family { kind: kind.1.to_owned(), help: help.to_owned(), samples };
            family.check(name, of_counters);
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} twice");
        }
        Self { families, of_counters }
    }

    /// Names as queries use them, and types.
    pub fn list(&self) -> BTreeSet<(String, String)> {
        let named = self.families.iter().map(|(name, family)| {
            let suffix = if family.kind == "counter" { self.of_counters } else { "" };
            (format!("{name}{suffix}"), family.kind.clone())
        });
        named.collect()
    }

    /// The value of a series as a query names it: `parlor_closes_total{code="1003"}`.
    pub fn value(&self, series: &str) -> f64 {
        let (name, label) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').expect("a bracket")),
            None => (series, ""),
        };
        let samples = self.families.iter().filter_map(|(family_name, family)| {
            let suffix = name.strip_prefix(family_name.as_str())?;
            let wanted = |sample: &&Sample| sample.suffix == suffix && sample.label() == label;
            family.samples.iter().find(wanted)
        });
        let found: Vec<f64> = samples.map(|sample| sample.value).collect();
        let [value] = found[..] else { panic!("{series}: {found:?}") };
        value
    }

    pub fn shows(&self, series: &str, value: u32) -> bool {
        self.value(series).total_cmp(&f64::from(value)).is_eq()
    }
}

/// `# KEYWORD name rest`.
fn comment<'a>(line: &'a str, keyword: &str) -> (&'a str, &'a str) {
    let rest = line.strip_prefix("# ").and_then(|rest| rest.strip_prefix(keyword));
    let rest = rest.and_then(|rest| rest.strip_prefix(' ')).unwrap_or_else(|| {
        panic!("wanted {keyword}: {line}");
    });
    rest.split_once(' ').expect("a name and what is said of it")
}

/// `name{label="value"} 1.5`: what tells the series from others, and the sample.
fn sample<'a>(family: &str, line: &'a str) -> (&'a str, Sample) {
    let (identity, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match identity.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').expect("a bracket")),
        None => (identity, ""),
    };
    let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{name} in {family}"));
    let labels = labels.split_terminator(',').map(|label| {
        let (key, value) = label.split_once('=').expect("a label and its value");
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = value.expect("a value in quotes");
        assert!(is_name(key) && !value.contains(['"', '\\', '{']), "{line}");
        (key.to_owned(), value.to_owned())
    });
    let labels = labels.collect();
    let value: f64 = value.parse().expect("a number");
    assert!(value.is_finite(), "{line}");
    (identity, Sample { suffix: suffix.to_owned(), labels, value })
}

fn is_name(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(byte)
}

impl Sample {
    fn label(&self) -> String {
        let labels = self.labels.iter().map(|(key, value)| format!("{key}=\"{value}\""));
        labels.collect::<Vec<_>>().join(",")
    }
}

impl Family {
    fn check(&self, name: &str, of_counters: &str) {
        assert!(is_name(name), "{name}");
        assert!(self.help.ends_with('.') && self.help.len() > 10, "{name}: {}", self.help);
        assert!(!self.samples.is_empty(), "{name} is announced and not there");
        match self.kind.as_str() {
            "counter" => {
                assert!(format!("{name}{of_counters}").ends_with("_total"), "{name}");
                self.all(name, |sample| sample.suffix == of_counters && sample.value >= 0.0);
            }
            "gauge" => self.all(name, |sample| sample.suffix.is_empty()),
            "histogram" => self.check_histogram(name),
            other => panic!("{name} is a {other}"),
        }
    }

    fn all(&self, name: &str, holds: impl Fn(&Sample) -> bool) {
        for sample in &self.samples {
            assert!(holds(sample), "{name}: {sample:?}");
        }
    }

    fn check_histogram(&self, name: &str) {
        let only = |suffix: &str| {
            let found: Vec<_> = self.samples.iter().filter(|one| one.suffix == suffix).collect();
            let [one] = found[..] else { panic!("{name}{suffix}: {found:?}") };
            assert!(one.labels.is_empty() && one.value >= 0.0, "{one:?}");
            one.value
        };
        let (count, _sum) = (only("_count"), only("_sum"));
        let buckets = self.samples.iter().filter(|sample| sample.suffix == "_bucket");
        let buckets: Vec<(f64, f64)> = buckets
            .map(|sample| {
                let [(key, bound)] = &sample.labels[..] else { panic!("{sample:?}") };
                assert_eq!(key, "le");
                (bound.parse().expect("a bound"), sample.value)
            })
            .collect();
        assert_eq!(buckets.len() + 2, self.samples.len(), "{name} has nothing else");
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name}");
    }
}
