//! Which objects without a row are deleted now, and which wait for a person. Pure: the time is an argument.
//!
//! Deletions are counted over a sliding window against the most objects there were in it. The first set that is too
//! large is frozen under a name of its own, its digest: objects whose rows return leave it, and nothing joins it, so that
//! who approves it approves what they saw. What becomes too much later waits behind it and is the next set.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guard::{Blocked, Count, Guard};
use super::object::{AppliedHash, ObjectId};

/// An object without a row, and its uid.
pub type Stale = (ObjectId, Arc<str>);

/// What is remembered of deletions between reads. After a restart there is nothing of it: everything without a row is one
/// deletion then, and judged anew.
#[derive(Debug, Default)]
pub struct Pruning {
    window: Window,
    frozen: Option<Frozen>,
    /// What waits behind the frozen set, and is the next one.
    waiting: Option<Waiting>,
}

/// Deletions that will wait for a person once an earlier set of them is done.
#[derive(Debug)]
struct Waiting {
    members: Vec<Stale>,
    why: Blocked,
    guard: Guard,
    nonce: u128,
}

impl Waiting {
    fn frozen(self) -> Frozen {
        let Self { members, why, guard, nonce } = self;
        Frozen { digest: digest(&members, nonce), members: members.into_iter().collect(), why, guard }
    }
}

/// Deletions that wait for a person.
#[derive(Debug)]
struct Frozen {
    digest: String,
    members: BTreeMap<ObjectId, Arc<str>>,
    why: Blocked,
    /// Under another guard everything is judged anew.
    guard: Guard,
}

/// What is known when a read has been worked through.
#[derive(Debug)]
pub struct Situation<'a> {
    /// Objects that existed before the read, those without a row included.
    pub objects: usize,
    /// Whether there are objects that have a row.
    pub leaves_some: bool,
    /// Objects without a row.
    pub stale: Vec<Stale>,
    /// Objects of which nobody can tell whether they have one. They count for nothing, and stay where they are.
    pub doubtful: Vec<Stale>,
    /// Deletions that the guard believed and of which nobody knows yet whether they were done. They count as if they were.
    pub unanswered: usize,
    /// The digest that a person approved.
    pub approved: Option<&'a str>,
    /// Different for each set, so that no approval outlives its set.
    pub nonce: u128,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Delete these: the guard believes them.
    pub believed: Vec<Stale>,
    /// Delete these: a person approved them.
    pub approved: Vec<Stale>,
}

/// Deletions that are held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many the frozen set has.
    pub count: usize,
    /// The set's name.
    pub digest: String,
    /// How many wait behind it.
    pub waiting: usize,
    /// Why.
    pub why: Blocked,
}

impl Pruning {
    /// Judges what has no row after a complete read.
    pub fn judge(&mut self, guard: &Guard, situation: Situation<'_>, now: Instant) -> Verdict {
        let Situation { objects, leaves_some, stale, doubtful, unanswered, approved, nonce } = situation;
        self.window.advance(guard, objects, now);
        self.waiting = None;
        let fresh = self.part(stale, doubtful, guard);
        let mut verdict = Verdict::default();
        if let Some(frozen) = self.frozen.as_ref().filter(|frozen| approved == Some(frozen.digest.as_str())) {
            verdict.approved = frozen.members.clone().into_iter().collect();
        }
        let (objects, earlier) = (self.window.largest(), self.window.deleted() + unanswered);
        let count = Count { objects, earlier, deletions: fresh.len(), leaves_some };
        match guard.judge(count) {
            Ok(()) => verdict.believed = fresh,
            Err(why) => self.waiting = Some(Waiting { members: fresh, why, guard: *guard, nonce }),
        }
        self.next_set();
        verdict
    }

    /// The objects are gone, for the reason that the guard believed it.
    pub fn deleted(&mut self, number: usize, now: Instant) {
        self.window.delete(number, now);
    }

    /// An approved object is gone, or is no longer ours to delete.
    pub fn settled(&mut self, id: &ObjectId) {
        if let Some(frozen) = &mut self.frozen {
            frozen.members.remove(id);
        }
        self.thaw_if_empty();
        self.next_set();
    }

    /// Nothing is to be deleted any more.
    pub fn forget(&mut self) {
        self.frozen = None;
        self.waiting = None;
    }

    /// What is held back.
    pub fn held(&self) -> Option<Held> {
        self.frozen.as_ref().map(|frozen| Held {
            count: frozen.members.len(),
            digest: frozen.digest.clone(),
            waiting: self.waiting.as_ref().map_or(0, |waiting| waiting.members.len()),
            why: frozen.why.clone(),
        })
    }

    /// Objects whose rows returned leave the frozen set; returns those without a row that are not in it.
    fn part(&mut self, stale: Vec<Stale>, doubtful: Vec<Stale>, guard: &Guard) -> Vec<Stale> {
        let Some(frozen) = self.frozen.as_mut().filter(|frozen| frozen.guard == *guard) else {
            self.frozen = None;
            return stale;
        };
        let (members, fresh): (Vec<_>, Vec<_>) =
            stale.into_iter().partition(|(id, uid)| frozen.members.get(id) == Some(uid));
        let still: HashSet<_> = members.into_iter().chain(doubtful).collect();
        frozen.members.retain(|id, uid| still.contains(&(id.clone(), uid.clone())));
        self.thaw_if_empty();
        fresh
    }

    /// What waits is frozen as soon as nothing else is: so a person is always told of it.
    fn next_set(&mut self) {
        if self.frozen.is_none() {
            self.frozen = self.waiting.take().map(Waiting::frozen);
        }
    }

    fn thaw_if_empty(&mut self) {
        self.frozen.take_if(|frozen| frozen.members.is_empty());
    }
}

/// A short name of a set.
fn digest(members: &[Stale], nonce: u128) -> String {
    const DIGITS: usize = 12;
    let mut text = nonce.to_string();
    for (id, uid) in members {
        text.push_str(&format!("\n{id} {uid}"));
    }
    let mut digest = AppliedHash::of(text.as_bytes()).0;
    digest.truncate(DIGITS);
    digest
}

/// How much was deleted and how many objects there were lately, in steps of a part of the window.
#[derive(Debug, Default)]
struct Window {
    deletions: VecDeque<(Instant, usize)>,
    /// Falling: a count that a later one exceeds will never be the largest again.
    counts: VecDeque<(Instant, usize)>,
    step: Duration,
}

/// Steps of a window: what bounds its memory.
const STEPS: u32 = 600;

impl Window {
    fn advance(&mut self, guard: &Guard, objects: usize, now: Instant) {
        self.step = guard.window / STEPS;
        // A step begins with its first deletion: counted a little longer than the window, never shorter.
        let is_past = |at: &Instant, most| now.saturating_duration_since(*at) > most;
        while self.deletions.front().is_some_and(|(at, _)| is_past(at, guard.window + self.step)) {
            self.deletions.pop_front();
        }
        while self.counts.front().is_some_and(|(at, _)| is_past(at, guard.window)) {
            self.counts.pop_front();
        }
        while self.counts.back().is_some_and(|(_, count)| *count <= objects) {
            self.counts.pop_back();
        }
        // A lower count so soon after a higher one will not be missed.
        if self.counts.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= self.step) {
            self.counts.push_back((now, objects));
        }
    }

    fn delete(&mut self, number: usize, now: Instant) {
        match self.deletions.back_mut() {
            Some((at, count)) if now.saturating_duration_since(*at) < self.step => *count += number,
            _ if number > 0 => self.deletions.push_back((now, number)),
            _ => {}
        }
    }

    fn deleted(&self) -> usize {
        self.deletions.iter().map(|(_, count)| count).sum()
    }

    fn largest(&self) -> usize {
        self.counts.front().map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
#[path = "prune/tests.rs"]
mod tests;
