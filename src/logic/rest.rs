//! Objects that could not be applied, or deleted, and how long each is left alone before it is tried again. Pure: the time
//! is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::object::ObjectId;
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
    /// What was tried, such as the hash of a body, or the uid to delete: something else is tried at once.
    what: String,
    delays: Retry,
    until: Instant,
    reason: &'static str,
    message: String,
}

impl Resting {
    /// Why this is not tried with an object now: what it failed of last.
    pub fn still(&self, id: &ObjectId, what: &str, now: Instant) -> Option<(&'static str, &str)> {
        let rest = self.objects.get(id)?;
        (rest.what == what && now < rest.until).then_some((rest.reason, rest.message.as_str()))
    }

    /// This could not be done with an object.
    pub fn failed(&mut self, id: &ObjectId, what: &str, reason: &'static str, message: &str, now: Instant) {
        let before = self.objects.remove(id).filter(|rest| rest.what == what);
        let mut delays = before.map_or_else(|| Retry::between(FIRST, LONGEST, now), |rest| rest.delays);
        let until = now + delays.next(0.0);
        let rest = Rest { what: what.to_owned(), delays, until, reason, message: message.to_owned() };
        self.objects.insert(id.clone(), rest);
    }

    /// Why one of them failed, always the same one.
    pub fn first(&self) -> Option<(&ObjectId, &str)> {
        let first = self.objects.iter().min_by_key(|(id, _)| *id);
        first.map(|(id, rest)| (id, rest.message.as_str()))
    }

    /// It was done.
    pub fn done(&mut self, id: &ObjectId) {
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
    use crate::logic::object::GroupKind;
    use std::sync::Arc;

    fn id(name: &str) -> ObjectId {
        let kind = Arc::new(GroupKind { group: String::new(), kind: "ConfigMap".into() });
        ObjectId { kind, namespace: None, name: name.into() }
    }

    #[test]
    fn an_object_rests_longer_each_time_and_nothing_else_does() {
        let (mut resting, mut now) = (Resting::default(), Instant::now());
        for expected in [400, 800, 1600, 3200, 6400, 12800, 25600, 50000, 50000] {
            assert_eq!(resting.still(&id("a"), "1", now), None);
            resting.failed(&id("a"), "1", "Invalid", "why", now);
            let last = now + Duration::from_millis(expected - 1);
            assert_eq!(resting.still(&id("a"), "1", last), Some(("Invalid", "why")));
            assert_eq!(resting.still(&id("b"), "1", last), None);
            now += Duration::from_millis(expected);
        }
    }

    #[test]
    fn something_else_is_tried_at_once_and_begins_anew() {
        let (mut resting, now) = (Resting::default(), Instant::now());
        resting.failed(&id("a"), "1", "Invalid", "why", now);
        resting.failed(&id("a"), "1", "Invalid", "why", now);
        assert_eq!(resting.still(&id("a"), "2", now), None);
        resting.failed(&id("a"), "2", "Invalid", "why", now);
        assert_eq!(resting.still(&id("a"), "2", now + FIRST), None);
        resting.failed(&id("b"), "1", "Invalid", "why not", now);
        assert_eq!(resting.first(), Some((&id("a"), "why")));
        resting.done(&id("a"));
        resting.retain(|id| id.name != "b");
        assert_eq!(resting.first(), None);
    }
}
