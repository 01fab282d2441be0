//! How often one may do what: messages by user, sign-ins by address, failed sign-ins by address and
//! account. What is remembered is bounded: keys that are back at rest are forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, InsufficientCapacity, Quota};

use crate::domain::limits::RATE_KEYS;
use crate::domain::{Limits, Millis, Refusal, UserId};

/// A rate for each key; `None` inside: no limit.
#[derive(Debug)]
pub struct Pace<K: Hash + Eq + Clone> {
    limiter: Option<DefaultKeyedRateLimiter<K>>,
    clock: DefaultClock,
    /// When those at rest were last forgotten because there were too many.
    swept: Mutex<Option<<DefaultClock as governor::clock::Clock>::Instant>>,
}

impl<K: Hash + Eq + Clone> Pace<K> {
    fn new(quota: Option<Quota>) -> Self {
        Self {
            limiter: quota.map(DefaultKeyedRateLimiter::keyed),
            clock: DefaultClock::default(),
            swept: Mutex::new(None),
        }
    }

    /// Counts one, or refuses and says when to come back.
    pub fn check(&self, key: &K) -> Result<(), Refusal> {
        self.check_all(key, NonZeroU32::MIN)
    }

    /// Counts so many together, or none of them and says when to come back. More than may come at
    /// once count as that many.
    pub fn check_all(&self, key: &K, count: NonZeroU32) -> Result<(), Refusal> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        // One more key than can be remembered: nobody new until some are back at rest.
        if limiter.len() >= RATE_KEYS && !self.make_room(limiter) {
            return Err(Refusal::RateLimited { retry_after: SWEEP_INTERVAL });
        }
        let counted =
            limiter.check_key_n(key, count).unwrap_or_else(|InsufficientCapacity(most)| {
                let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
                limiter.check_key_n(key, most).unwrap_or(Ok(()))
            });
        counted.map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Refusal::RateLimited { retry_after: whole_millis(wait) }
        })
    }

    /// Forgets those at rest, which takes a walk over all and so is done once a second at most.
    fn make_room(&self, limiter: &DefaultKeyedRateLimiter<K>) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let due =
            swept.is_none_or(|swept| whole_millis(now.duration_since(swept)) > SWEEP_INTERVAL);
        if due {
            limiter.retain_recent();
            *swept = Some(now);
        }
        limiter.len() < RATE_KEYS
    }

    fn tidy(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn whole_millis(wait: Duration) -> Millis {
    Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX).saturating_add(1)
}

#[derive(Debug)]
pub struct RateLimits {
    pub messages: Pace<UserId>,
    pub sign_ins: Pace<IpAddr>,
    pub failures: Failures,
}

impl RateLimits {
    pub(super) fn new(limits: &Limits) -> Self {
        let messages = NonZeroU32::new(limits.messages_per_second).map(|rate| {
            Quota::per_second(rate)
                .allow_burst(NonZeroU32::new(limits.message_burst).unwrap_or(NonZeroU32::MIN))
        });
        let sign_ins = NonZeroU32::new(limits.sign_ins_per_minute).map(Quota::per_minute);
        Self {
            messages: Pace::new(messages),
            sign_ins: Pace::new(sign_ins),
            failures: Failures::new(limits.sign_ins_per_minute.div_ceil(2)),
        }
    }

    pub(super) fn tidy(&self) {
        self.messages.tidy();
        self.sign_ins.tidy();
    }
}

/// Wrong passwords from one address for one account. Unlike a pace it must be asked before an
/// attempt and told after, since only failures count.
#[derive(Debug)]
pub struct Failures {
    /// In one minute; 0: no limit.
    max: u32,
    seen: Mutex<HashMap<(IpAddr, String), Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    since: Millis,
    failures: u32,
}

const MINUTE: Millis = 60_000;
/// Between two walks over all keys of a rate that has too many.
const SWEEP_INTERVAL: Millis = 1_000;

impl Failures {
    fn new(max: u32) -> Self {
        Self { max, seen: Mutex::default() }
    }

    /// Refuses while there were too many failures within a minute.
    pub fn check(&self, address: IpAddr, account: &str, now: Millis) -> Result<(), Refusal> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&(address, account.to_owned())) {
            Some(seen) if self.max > 0 && seen.failures >= self.max => {
                match (seen.since + MINUTE).checked_sub(now) {
                    None | Some(0) => Ok(()),
                    Some(retry_after) => Err(Refusal::RateLimited { retry_after }),
                }
            }
            _ => Ok(()),
        }
    }

    pub fn failed(&self, address: IpAddr, account: &str, now: Millis) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= RATE_KEYS {
            seen.retain(|_, seen| seen.since + MINUTE > now);
        }
        if self.max == 0 || seen.len() >= RATE_KEYS {
            return;
        }
        let fresh = Seen { since: now, failures: 0 };
        let entry = seen.entry((address, account.to_owned())).or_insert(fresh);
        if entry.since + MINUTE <= now {
            *entry = fresh;
        }
        entry.failures += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_burst_is_allowed_then_the_wait_is_told() {
        let limits = Limits { messages_per_second: 1, message_burst: 3, ..Limits::default() };
        let rates = RateLimits::new(&limits);
        let user = UserId::new(1).unwrap();
        for _ in 0..3 {
            assert_eq!(rates.messages.check(&user), Ok(()));
        }
        let Err(Refusal::RateLimited { retry_after }) = rates.messages.check(&user) else {
            panic!("not limited");
        };
        assert!((1..=1_001).contains(&retry_after), "{retry_after}");
        assert_eq!(rates.messages.check(&UserId::new(2).unwrap()), Ok(()));
    }

    #[test]
    fn what_counts_together_is_allowed_together_or_not_at_all() {
        let limits = Limits { messages_per_second: 1, message_burst: 3, ..Limits::default() };
        let rates = RateLimits::new(&limits);
        let user = UserId::new(1).unwrap();
        let take = |count| rates.messages.check_all(&user, NonZeroU32::new(count).unwrap());
        assert_eq!(take(2), Ok(()));
        let Err(Refusal::RateLimited { retry_after }) = take(2) else { panic!("not limited") };
        assert!((1..=1_001).contains(&retry_after), "{retry_after}");
        assert_eq!(take(1), Ok(()), "nothing was counted of what was refused");
        // More than ever come at once count as a whole burst.
        let other = UserId::new(2).unwrap();
        let take = |count| rates.messages.check_all(&other, NonZeroU32::new(count).unwrap());
        assert_eq!(take(1_000), Ok(()));
        assert!(take(1).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = Limits { messages_per_second: 0, sign_ins_per_minute: 0, ..Limits::default() };
        let rates = RateLimits::new(&limits);
        for _ in 0..1_000 {
            assert_eq!(rates.sign_ins.check(&HOME), Ok(()));
            rates.failures.failed(HOME, "ann", 0);
        }
        assert_eq!(rates.failures.check(HOME, "ann", 0), Ok(()));
    }

    #[test]
    fn failures_close_one_account_for_one_address_for_a_minute() {
        let failures = Failures::new(2);
        failures.failed(HOME, "ann", 1_000);
        assert_eq!(failures.check(HOME, "ann", 1_000), Ok(()));
        failures.failed(HOME, "ann", 2_000);
        let wait = Refusal::RateLimited { retry_after: 59_000 };
        assert_eq!(failures.check(HOME, "ann", 2_000), Err(wait));
        assert_eq!(failures.check(HOME, "ben", 2_000), Ok(()));
        assert_eq!(failures.check(HOME, "ann", 61_000), Ok(()));
        failures.failed(HOME, "ann", 61_000);
        assert_eq!(failures.check(HOME, "ann", 61_000), Ok(()));
    }
}
