//! How long to wait before trying again. Pure: jitter is an argument. The only user of `backoff`.

use std::time::{Duration, Instant};

use backoff::Clock;
use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

/// First delay.
const FIRST: Duration = Duration::from_millis(500);
/// Longest delay.
const LONGEST: Duration = Duration::from_secs(60);

/// Growing delays between attempts, from half a second to a minute where nothing else is said.
#[derive(Debug)]
pub struct Retry(ExponentialBackoff<Standstill>);

/// There is no limit of elapsed time, so no time has to be read.
#[derive(Debug)]
struct Standstill(Instant);

impl Clock for Standstill {
    fn now(&self) -> Instant {
        self.0
    }
}

impl Retry {
    /// Starts over; `now` is only kept, never compared.
    pub fn new(now: Instant) -> Self {
        Self::between(FIRST, LONGEST, now)
    }

    /// The same with other delays: the first, and the longest.
    pub fn between(first: Duration, longest: Duration, now: Instant) -> Self {
        Self(ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: longest,
            start_time: now,
            max_elapsed_time: None,
            clock: Standstill(now),
        })
    }

    /// The delay before the next attempt, made up to a fifth longer by `jitter` from 0 to 1.
    pub fn next(&mut self, jitter: f64) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval).mul_f64(1.0 + 0.2 * jitter.clamp(0.0, 1.0))
    }

    /// The last attempt succeeded.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit_and_start_over_after_a_success() {
        let mut retry = Retry::new(Instant::now());
        let delays: Vec<_> = (0..12).map(|_| retry.next(0.0).as_millis()).collect();
        assert_eq!(delays[..4], [500, 1000, 2000, 4000]);
        assert_eq!(delays[11], 60_000);
        retry.reset();
        assert_eq!(retry.next(1.0), Duration::from_millis(600));
    }
}
