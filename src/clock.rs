//! The only reader of time. Everything that decides is told what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Millis;

/// Wall-clock time, or a time that a test sets.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Self::set`].
    #[must_use]
    pub fn manual(now: Millis) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(now))))
    }

    /// Moves a manual clock and all its clones; a system clock goes on by itself.
    pub fn set(&self, now: Millis) {
        if let Source::Manual(time) = &self.0 {
            time.store(now, Ordering::SeqCst);
        }
    }

    /// Milliseconds since the Unix epoch; 0 for a machine whose clock stands before it.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
            Source::Manual(time) => time.load(Ordering::SeqCst),
        }
    }
}

/// A moment to come, which no change of the wall clock moves.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    #[must_use]
    pub fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    #[must_use]
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// A moment that has passed, to measure from; no change of the wall clock moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Instant);

impl Moment {
    #[must_use]
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// How long it was from `earlier` to this.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// How long it was from this until now.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(5);
        let other = clock.clone();
        clock.set(9);
        assert_eq!(other.now(), 9);
        assert!(Clock::system().now() > 1_700_000_000_000);
    }

    #[test]
    fn a_moment_measures_and_what_is_not_past_is_no_time_ago() {
        let (earlier, later) = (Moment::now(), Moment::now());
        assert_eq!(later.since(earlier) + earlier.since(later), later.since(earlier));
        assert!(earlier.elapsed() >= later.since(earlier));
    }
}
