//! A histogram that any thread records into without a lock: one relaxed addition to a bucket and
//! one to the sum. The library's own takes a mutex for each value.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// How many values fell into each of a few fixed ranges, and their sum.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    /// One for each bound, and one for whatever is above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The upper ends of the ranges, each of which belongs to its range.
#[derive(Debug)]
struct Scale {
    bounds: &'static [u64],
    /// How many of what is recorded make one of what is shown.
    unit: f64,
}

const MICROS: u64 = 1_000;
const MILLIS: u64 = 1_000 * MICROS;
const SECONDS: u64 = 1_000 * MILLIS;

/// Recorded in nanoseconds, shown in seconds.
const DURATIONS: Scale = Scale {
    bounds: &[
        10 * MICROS,
        25 * MICROS,
        50 * MICROS,
        100 * MICROS,
        250 * MICROS,
        500 * MICROS,
        MILLIS,
        2_500 * MICROS,
        5 * MILLIS,
        10 * MILLIS,
        25 * MILLIS,
        50 * MILLIS,
        100 * MILLIS,
        250 * MILLIS,
        500 * MILLIS,
        SECONDS,
        2_500 * MILLIS,
        5 * SECONDS,
        10 * SECONDS,
    ],
    unit: 1e9,
};

const SIZES: Scale =
    Scale { bounds: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096], unit: 1.0 };

impl Histogram {
    /// From ten microseconds to ten seconds.
    #[must_use]
    pub fn of_durations() -> Self {
        Self::new(&DURATIONS)
    }

    /// From one to as many as a commit takes.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::new(&SIZES)
    }

    fn new(scale: &'static Scale) -> Self {
        let buckets = (0..=scale.bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { scale, buckets, sum: AtomicU64::new(0) }
    }

    /// Records one value of [`Self::of_durations`].
    pub fn observe(&self, took: Duration) {
        self.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Records one value of [`Self::of_sizes`].
    pub fn observe_size(&self, size: usize) {
        self.record(size as u64);
    }

    fn record(&self, value: u64) {
        let bucket = self.scale.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// What was recorded so far, fit to be shown.
    pub(super) fn shown(&self) -> Shown {
        let Scale { bounds, unit } = self.scale;
        #[expect(clippy::cast_precision_loss, reason = "shown as a float, whatever it is")]
        let scaled = |value: u64| value as f64 / unit;
        let bounds = bounds.iter().map(|bound| scaled(*bound)).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        Shown {
            buckets: bounds.zip(counts).collect(),
            sum: scaled(self.sum.load(Ordering::Relaxed)),
        }
    }
}

/// A histogram at one moment: each range's end and count.
#[derive(Debug)]
pub(super) struct Shown {
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl EncodeMetric for Shown {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // Not counted apart: it is always what the last bucket says.
        let count = self.buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::BATCH_COMMANDS;
    use proptest::prelude::*;

    /// Count of each range, as the page would not cumulate them, by its end in what is shown.
    fn filled(histogram: &Histogram) -> Vec<(f64, u64)> {
        histogram.shown().buckets.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_bound_belongs_to_its_range_and_nothing_is_too_large() {
        let histogram = Histogram::of_durations();
        for nanos in [0, 10_000, 10_001, 25_000, 10_000_000_000, 10_000_000_001] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        assert_eq!(filled(&histogram), [(1e-5, 2), (2.5e-5, 2), (10.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(histogram.count(), 6);
        assert!((histogram.shown().sum - 20.000_045_002).abs() < 1e-9, "{:?}", histogram.shown());
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.count(), 7);
    }

    #[test]
    fn sizes_reach_as_far_as_a_commit() {
        let histogram = Histogram::of_sizes();
        for size in [0, 1, 2, 3, 4, BATCH_COMMANDS] {
            histogram.observe_size(size);
        }
        assert_eq!(filled(&histogram), [(1.0, 2), (2.0, 1), (4.0, 2), (4096.0, 1)]);
        assert_eq!(SIZES.bounds.last(), Some(&(BATCH_COMMANDS as u64)));
    }

    #[test]
    fn bounds_rise() {
        for scale in [&DURATIONS, &SIZES] {
            assert!(scale.bounds.is_sorted_by(|a, b| a < b), "{scale:?}");
        }
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let histogram = Histogram::of_sizes();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|size| histogram.observe_size(size % 8)));
            }
        });
        assert_eq!(histogram.count(), 40_000);
        assert!((histogram.shown().sum - 4.0 * 35_000.0).abs() < 0.5, "{:?}", histogram.shown());
    }

    proptest! {
        #[test]
        fn every_value_is_in_the_first_range_that_reaches_it(value: u64) {
            let histogram = Histogram::of_durations();
            histogram.record(value);
            let filled = |bucket: &AtomicU64| bucket.load(Ordering::Relaxed) == 1;
            let bucket = histogram.buckets.iter().position(filled);
            let reaching = DURATIONS.bounds.iter().position(|bound| value <= *bound);
            prop_assert_eq!(bucket, Some(reaching.unwrap_or(DURATIONS.bounds.len())));
        }
    }
}
