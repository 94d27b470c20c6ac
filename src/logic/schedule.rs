//! When to look at the database, and how: a full read, or a look at the watermark. Pure: time and jitter are arguments.

use std::time::{Duration, Instant};

/// How often to do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Run the query this often.
    pub full: Duration,
    /// Look at the watermark this often; None where change detection is off.
    pub probe: Option<Duration>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Run the query.
    Full,
    /// Look at the watermark, and run the query if it moved.
    Probe,
}

impl Schedule {
    /// What is due at `now`, given when the last full read and the last look of any kind began.
    pub fn due(&self, last_full: Instant, last_look: Instant, now: Instant) -> Option<Look> {
        if now >= last_full + self.full {
            Some(Look::Full)
        } else if self.probe.is_some_and(|probe| now >= last_look + probe) {
            Some(Look::Probe)
        } else {
            None
        }
    }

    /// When something is due next.
    pub fn next(&self, last_full: Instant, last_look: Instant) -> Instant {
        let full = last_full + self.full;
        self.probe.map_or(full, |probe| full.min(last_look + probe))
    }
}

/// How long to put off the first look at a resource where `starting` resources are found at once, as at the operator's
/// start: a part, by `jitter` from 0 to 1, of a time that grows with their number. One alone does not wait.
pub fn first_delay(starting: usize, jitter: f64) -> Duration {
    const EACH: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(60);
    let others = u32::try_from(starting.saturating_sub(1)).unwrap_or(u32::MAX);
    EACH.saturating_mul(others).min(LONGEST).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_change_detection_the_query_runs_at_every_interval() {
        let (schedule, start) = (Schedule { full: 60 * SECOND, probe: None }, Instant::now());
        assert_eq!(schedule.due(start, start, start + 59 * SECOND), None);
        assert_eq!(schedule.due(start, start, start + 60 * SECOND), Some(Look::Full));
        assert_eq!(schedule.next(start, start), start + 60 * SECOND);
    }

    #[test]
    fn with_change_detection_there_are_probes_between_full_reads() {
        let (schedule, start) = (Schedule { full: 600 * SECOND, probe: Some(30 * SECOND) }, Instant::now());
        assert_eq!(schedule.due(start, start, start + 30 * SECOND), Some(Look::Probe));
        assert_eq!(schedule.due(start, start + 30 * SECOND, start + 40 * SECOND), None);
        assert_eq!(schedule.due(start, start + 590 * SECOND, start + 600 * SECOND), Some(Look::Full));
        assert_eq!(schedule.next(start, start + 590 * SECOND), start + 600 * SECOND);
    }

    #[test]
    fn one_resource_starts_at_once_and_many_spread_over_at_most_a_minute() {
        assert_eq!(first_delay(0, 1.0), Duration::ZERO);
        assert_eq!(first_delay(1, 1.0), Duration::ZERO);
        assert_eq!(first_delay(101, 1.0), SECOND);
        assert_eq!(first_delay(101, 0.25), SECOND / 4);
        assert_eq!(first_delay(101, 0.0), Duration::ZERO);
        assert_eq!(first_delay(usize::MAX, 1.0), 60 * SECOND);
    }
}
