//! Delays, gathered in histograms of three significant digits, and their percentiles.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Everything longer counts as this long: ten minutes, in microseconds.
const LONGEST: u64 = 10 * 60 * 1_000_000;
const DIGITS: u8 = 3;

/// Microseconds.
#[derive(Debug, Default)]
pub struct Gathered(Option<Histogram<u64>>);

impl Gathered {
    pub fn record(&mut self, micros: u64) {
        // Its own bounds are valid ones, so there always is a histogram.
        let made = || Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
        if self.0.is_none() {
            self.0 = made();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(micros);
        }
    }

    pub fn figures(&self) -> Figures {
        let Some(histogram) = &self.0 else { return Figures::default() };
        Figures {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// From a message's sending to its arrival: at the first, the middle and the last member of its
/// room; and to its ack.
#[derive(Debug, Default)]
pub struct Delays {
    pub first: Gathered,
    pub middle: Gathered,
    pub last: Gathered,
    pub ack: Gathered,
}

/// Microseconds, exact to a thousandth; all 0 where nothing was gathered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    #[serde(rename = "p99.9")]
    pub p999: u64,
    pub max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.figures(), Figures::default());
        for micros in 1..=1_000 {
            gathered.record(micros);
        }
        let expected = Figures { count: 1_000, p50: 500, p99: 990, p999: 999, max: 1_000 };
        assert_eq!(gathered.figures(), expected);
    }

    #[test]
    fn what_is_too_long_or_nothing_still_counts() {
        let mut gathered = Gathered::default();
        gathered.record(0);
        gathered.record(u64::MAX);
        let figures = gathered.figures();
        assert_eq!(figures.count, 2);
        assert!(figures.max >= LONGEST);
    }
}
