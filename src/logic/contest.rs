//! Objects that others change again and again, and how long to let them have it. Pure: the time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::object::{AppliedHash, ObjectId};
use super::retry::Retry;

/// Changes of one object that are answered at once.
const FREE: u32 = 3;
/// Who leaves an object alone for so long after it was restored has given up.
const QUIET: Duration = Duration::from_secs(60);
/// The first delay after that, and the longest.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);
/// Those who gave up are looked for when there are so many contests, and at each doubling.
const SWEEP_AT: usize = 64;

/// The objects that were changed lately.
#[derive(Debug, Default)]
pub struct Contests {
    objects: HashMap<ObjectId, Contest>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Contest {
    changes: u32,
    due: Instant,
    delays: Retry,
    /// How it was restored last.
    restored: Option<AppliedHash>,
}

impl Contest {
    fn new(now: Instant) -> Self {
        Self { changes: 0, due: now, delays: Retry::between(FIRST, LONGEST, now), restored: None }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.due) >= QUIET
    }
}

/// What to do about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When to restore the object.
    pub at: Instant,
    /// Whether this is where delays begin: worth telling once.
    pub begins: bool,
}

impl Contests {
    /// Somebody changed an object.
    pub fn changed(&mut self, id: &ObjectId, now: Instant) -> Answer {
        if self.objects.len() >= self.sweep_at.max(SWEEP_AT) {
            self.objects.retain(|_, contest| !contest.is_over(now));
            self.sweep_at = 2 * self.objects.len();
        }
        let contest = self.objects.entry(id.clone()).or_insert_with(|| Contest::new(now));
        if contest.is_over(now) {
            *contest = Contest::new(now);
        }
        // A change while one is still to be answered is answered with it.
        if contest.changes > 0 && contest.due > now {
            return Answer { at: contest.due, begins: false };
        }
        contest.changes += 1;
        contest.due = if contest.changes > FREE { now + contest.delays.next(0.0) } else { now };
        Answer { at: contest.due, begins: contest.changes == FREE + 1 }
    }

    /// An object is as this hash has it.
    pub fn restored(&mut self, id: &ObjectId, hash: &AppliedHash) {
        if let Some(contest) = self.objects.get_mut(id) {
            contest.restored = Some(hash.clone());
        }
    }

    /// Whether an object is left as it is for now. Where it is to be otherwise than it was restored last, somebody of ours
    /// changed it, and that does not wait.
    pub fn waits(&self, id: &ObjectId, hash: &AppliedHash, now: Instant) -> bool {
        self.objects.get(id).is_some_and(|contest| contest.due > now && contest.restored.as_ref() == Some(hash))
    }

    /// An object is wanted no more. Should it be again, that is a change by us, which does not wait.
    pub fn unwanted(&mut self, id: &ObjectId) {
        if let Some(contest) = self.objects.get_mut(id) {
            contest.restored = None;
        }
    }

    /// The same of all that are not wanted. O(contests).
    pub fn want(&mut self, is_wanted: impl Fn(&ObjectId) -> bool) {
        let unwanted = self.objects.iter_mut().filter(|(id, _)| !is_wanted(id));
        unwanted.for_each(|(_, contest)| contest.restored = None);
    }

    /// When the next one of those that wait is due. O(contests).
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.objects.values().map(|contest| contest.due).filter(|due| *due > now).min()
    }

    /// Nothing waits: somebody asks.
    pub fn hurry(&mut self) {
        self.objects.values_mut().for_each(|contest| contest.restored = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::GroupKind;

    fn id(name: &str) -> ObjectId {
        let kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
        ObjectId { kind: kind.into(), namespace: None, name: name.into() }
    }

    #[test]
    fn a_few_changes_are_answered_at_once_and_then_later_and_later() {
        let (mut contests, start) = (Contests::default(), Instant::now());
        let mut now = start;
        let mut delays = Vec::new();
        for _ in 0..14 {
            let answer = contests.changed(&id("a"), now);
            assert_eq!(answer.begins, delays.len() == 3);
            delays.push((answer.at - now).as_secs());
            now = answer.at;
        }
        assert_eq!(delays, [0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(contests.changed(&id("b"), now).at, now, "others do not wait for it");
    }

    #[test]
    fn changes_while_one_waits_are_answered_together() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        for _ in 0..3 {
            contests.changed(&id("a"), now);
        }
        let first = contests.changed(&id("a"), now);
        assert_eq!(contests.changed(&id("a"), now + Duration::from_secs(1)), Answer { begins: false, ..first });
    }

    #[test]
    fn an_object_waits_until_it_is_due_or_wanted_otherwise_or_somebody_asks() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        let hash = |text: &str| AppliedHash(text.into());
        contests.restored(&id("a"), &hash("1"));
        for _ in 0..4 {
            assert!(!contests.waits(&id("a"), &hash("1"), now));
            contests.changed(&id("a"), now);
            contests.restored(&id("a"), &hash("1"));
        }
        let due = contests.next(now).unwrap();
        let waits = |contests: &Contests, name: &str, text: &str, at| contests.waits(&id(name), &hash(text), at);
        assert!(waits(&contests, "a", "1", now));
        assert!(
            !waits(&contests, "a", "2", now) && !waits(&contests, "b", "1", now) && !waits(&contests, "a", "1", due)
        );
        assert_eq!(contests.next(due), None);
        contests.hurry();
        assert!(!waits(&contests, "a", "1", now));
    }

    #[test]
    fn contests_that_are_over_are_swept_up() {
        let (mut contests, mut now) = (Contests::default(), Instant::now());
        for number in 0..10 * SWEEP_AT {
            contests.changed(&id(&number.to_string()), now);
            now += QUIET;
        }
        assert!(contests.objects.len() <= SWEEP_AT);
    }

    #[test]
    fn who_gives_up_is_forgotten() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        for _ in 0..5 {
            contests.changed(&id("a"), now);
        }
        let later = now + Duration::from_secs(70);
        assert_eq!(contests.changed(&id("a"), later), Answer { at: later, begins: false });
        assert_eq!(contests.objects.len(), 1);
    }
}
