//! Attempts at what holds others up for as long as it is tried: however many want it, one of them tries, and after a
//! failure nobody does for a while. Pure: the time is an argument.

use std::time::{Duration, Instant};

use super::retry::Retry;

/// After the first failure. A little less than the minute after which each who wants it comes again, so that who has
/// tried is not just too early.
const FIRST: Duration = Duration::from_secs(55);
/// After failures in a row, each of which has doubled it.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The attempts at one thing.
#[derive(Debug, Default)]
pub struct Attempts {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    retry: Retry,
    next: Instant,
}

impl Attempts {
    /// Whether it may be tried now.
    pub fn may_begin(&self, now: Instant) -> bool {
        self.failing.as_ref().is_none_or(|failing| now >= failing.next)
    }

    /// One that began then has ended, and whether it has failed.
    pub fn ended(&mut self, began: Instant, has_failed: bool) {
        if !has_failed {
            self.failing = None;
            return;
        }
        let new = || Failing { retry: Retry::between(FIRST, LONGEST, began), next: began };
        let failing = self.failing.get_or_insert_with(new);
        failing.next = began + failing.retry.next(0.0);
    }

    /// Whether anything of it matters still: nobody has come for long where it does not.
    pub fn is_over(&self, now: Instant) -> bool {
        self.failing.as_ref().is_none_or(|failing| now >= failing.next + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn after_a_failure_nobody_tries_before_the_time_has_come_and_then_for_longer_and_longer() {
        let mut now = Instant::now();
        let mut attempts = Attempts::default();
        assert!(attempts.may_begin(now));
        for delay in [55, 110, 220, 300, 300] {
            attempts.ended(now, true);
            assert!(!attempts.may_begin(now) && !attempts.may_begin(now + (delay - 1) * SECOND), "{delay}");
            now += delay * SECOND;
            assert!(attempts.may_begin(now), "{delay}");
        }
    }

    #[test]
    fn a_success_lets_everybody_try_and_ends_the_growth() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        attempts.ended(now, true);
        attempts.ended(now, true);
        attempts.ended(now, false);
        assert!(attempts.may_begin(now));
        attempts.ended(now, true);
        assert!(attempts.may_begin(now + FIRST));
    }

    #[test]
    fn what_has_failed_is_known_until_nobody_has_come_for_long() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        assert!(attempts.is_over(now));
        attempts.ended(now, true);
        assert!(!attempts.is_over(now + FIRST));
        assert!(attempts.is_over(now + FIRST + LONGEST));
    }
}
