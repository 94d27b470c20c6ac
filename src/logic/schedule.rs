//! When to look at the database, and how: a full read, or a look for changes. Pure: time and jitter are arguments.

use std::time::{Duration, Instant};

use crate::crd::ChangeDetection;

/// How often to do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Run the query this often.
    pub full: Duration,
    /// Look for changes this often; None where change detection is off.
    pub probe: Option<Duration>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Run the query.
    Full,
    /// Look for changes, and run the query if there are any.
    Probe,
    /// See what was notified.
    Woken,
}

impl Schedule {
    /// As the spec has it.
    pub fn of(poll: Duration, changes: Option<&ChangeDetection>) -> Self {
        match changes.filter(|changes| changes.enabled) {
            None => Self { full: poll, probe: None },
            Some(changes) => match changes.change_poll_interval {
                Some(interval) => Self { full: poll.min(changes.resync_interval.0), probe: Some(interval.0) },
                None => Self { full: changes.resync_interval.0, probe: Some(poll) },
            },
        }
    }

    /// The same where changes are notified: nobody has to look for them.
    pub fn notified(self) -> Self {
        Self { probe: None, ..self }
    }

    /// After so long something is due again.
    pub fn shortest(&self) -> Duration {
        self.probe.map_or(self.full, |probe| probe.min(self.full))
    }

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
    fn the_spec_says_what_runs_at_which_interval() {
        let of = |changes: serde_json::Value| {
            let schedule = Schedule::of(60 * SECOND, Some(&serde_json::from_value(changes).unwrap()));
            (schedule.full.as_secs(), schedule.probe.map(|probe| probe.as_secs()))
        };
        let enabled = |more: serde_json::Value| {
            let mut changes = serde_json::json!({"enabled": true, "tableName": "t"});
            changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            of(changes)
        };
        assert_eq!(enabled(serde_json::json!({})), (600, Some(60)));
        assert_eq!(enabled(serde_json::json!({"resyncInterval": "1h"})), (3600, Some(60)));
        assert_eq!(enabled(serde_json::json!({"changePollInterval": "5s"})), (60, Some(5)));
        let both = serde_json::json!({"changePollInterval": "5s", "resyncInterval": "30s"});
        assert_eq!(enabled(both), (30, Some(5)), "whichever comes first");
        assert_eq!(of(serde_json::json!({"changePollInterval": "5s"})), (60, None), "it is not enabled");
        assert_eq!(Schedule::of(60 * SECOND, None), Schedule { full: 60 * SECOND, probe: None });
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
