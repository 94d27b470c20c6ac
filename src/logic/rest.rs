//! Objects that could not be applied, and how long each is left alone before it is tried again. Pure: the time is an
//! argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::object::{AppliedHash, Desired, ObjectId};
use super::retry::Retry;

/// First delay; a little less than that of a pass that failed, so that the next pass finds it over.
const FIRST: Duration = Duration::from_millis(400);
/// Longest delay.
const LONGEST: Duration = Duration::from_secs(50);

/// The objects that rest.
#[derive(Debug, Default)]
pub struct Resting {
    objects: HashMap<ObjectId, Rest>,
}

#[derive(Debug)]
struct Rest {
    /// What was tried: something else is tried at once.
    hash: AppliedHash,
    delays: Retry,
    until: Instant,
    reason: &'static str,
    message: String,
}

impl Resting {
    /// Why an object is not tried now: what it failed of last.
    pub fn still(&self, desired: &Desired, now: Instant) -> Option<(&'static str, String)> {
        let rest = self.objects.get(&desired.id)?;
        (rest.hash == desired.hash && now < rest.until).then(|| (rest.reason, rest.message.clone()))
    }

    /// An object could not be applied.
    pub fn failed(&mut self, desired: &Desired, reason: &'static str, message: &str, now: Instant) {
        let before = self.objects.remove(&desired.id).filter(|rest| rest.hash == desired.hash);
        let mut delays = before.map_or_else(|| Retry::between(FIRST, LONGEST, now), |rest| rest.delays);
        let until = now + delays.next(0.0);
        let rest = Rest { hash: desired.hash.clone(), delays, until, reason, message: message.to_owned() };
        self.objects.insert(desired.id.clone(), rest);
    }

    /// An object was applied.
    pub fn applied(&mut self, id: &ObjectId) {
        self.objects.remove(id);
    }

    /// Only these are wanted: the others are forgotten.
    pub fn retain(&mut self, is_wanted: impl Fn(&ObjectId) -> bool) {
        self.objects.retain(|id, _| is_wanted(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::{GroupKind, Kind};
    use std::sync::Arc;

    fn desired(name: &str, hash: &str) -> Desired {
        let group_kind = Arc::new(GroupKind { group: String::new(), kind: "ConfigMap".into() });
        let id = ObjectId { kind: group_kind.clone(), namespace: None, name: name.into() };
        let kind = Kind { group_kind, version: "v1".into(), plural: "configmaps".into(), namespaced: true };
        Desired::new(id, kind.into(), AppliedHash(hash.into()), 1, None)
    }

    #[test]
    fn an_object_rests_longer_each_time_and_nothing_else_does() {
        let (mut resting, mut now) = (Resting::default(), Instant::now());
        for expected in [400, 800, 1600, 3200, 6400, 12800, 25600, 50000, 50000] {
            assert_eq!(resting.still(&desired("a", "1"), now), None);
            resting.failed(&desired("a", "1"), "Invalid", "why", now);
            let last = now + Duration::from_millis(expected - 1);
            assert_eq!(resting.still(&desired("a", "1"), last), Some(("Invalid", "why".into())));
            assert_eq!(resting.still(&desired("b", "1"), last), None);
            now += Duration::from_millis(expected);
        }
    }

    #[test]
    fn another_body_is_tried_at_once_and_begins_anew() {
        let (mut resting, now) = (Resting::default(), Instant::now());
        resting.failed(&desired("a", "1"), "Invalid", "why", now);
        resting.failed(&desired("a", "1"), "Invalid", "why", now);
        assert_eq!(resting.still(&desired("a", "2"), now), None);
        resting.failed(&desired("a", "2"), "Invalid", "why", now);
        assert_eq!(resting.still(&desired("a", "2"), now + FIRST), None);
        resting.failed(&desired("b", "1"), "Invalid", "why", now);
        resting.applied(&desired("a", "2").id);
        resting.retain(|id| id.name != "b");
        assert!(resting.objects.is_empty());
    }
}
