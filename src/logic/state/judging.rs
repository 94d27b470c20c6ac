//! What a state makes of objects that no row wants: which of them may go. Pure: the time is an argument.

use std::time::Instant;

use super::{Read, State};
use crate::logic::guard::Guard;
use crate::logic::inventory::Doubt;
use crate::logic::object::ObjectId;
use crate::logic::prune::{Held, Situation, Stale, Verdict};
use crate::logic::rest::Resting;
use crate::logic::rows::Keys;

/// How deletions are to be judged.
#[derive(Debug)]
pub struct Terms<'a> {
    /// Whether there are to be any.
    pub prune: bool,
    /// How many.
    pub guard: &'a Guard,
    /// The digest that a person approved.
    pub approved: Option<&'a str>,
    /// Different each time.
    pub nonce: u128,
    /// The keys of rows that are known to have changed since they were read.
    pub awaited: &'a Keys,
}

/// Which deletions are right.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Whether nothing is deleted, since it cannot be told which objects are doubtful.
    pub all_kept: bool,
    /// What to delete.
    pub verdict: Verdict,
}

impl State {
    /// What has no row and may go, now that all of the read was worked through: nothing of rows that failed, are still
    /// being applied or have changed since, and nothing at all where it cannot be told which objects are theirs. What only
    /// has to wait is judged with the rest: many deletions are many, however few of them can be done at a time. Of rows
    /// that could not be rendered nobody knows what they will want, so that theirs do not count.
    pub fn judge(&mut self, read: &Read, terms: Terms<'_>, now: Instant) -> Judgement {
        let doubt = self.doubt(terms.awaited);
        let all_kept = matches!(doubt, Doubt::All);
        if !terms.prune {
            self.pruning.forget();
            self.undeletable = Resting::default();
        }
        if !terms.prune || all_kept {
            return Judgement { all_kept, verdict: Verdict::default() };
        }
        let loose = self.loose();
        self.undeletable.retain(|id| is_one_of(&loose, id));
        let unanswered = self.count_unanswered(&loose, now);
        // Not through a method: what is known is looked at while deletions are judged.
        let Some((inventory, Some(_))) = &self.listed else { return Judgement::default() };
        let leaves_some = inventory.keeps_any(|id| self.rows.want(id));
        let unknown = Doubt::about(self.rows.failures.unrendered());
        let rows = &self.rows;
        let is_doubtful = |id: &ObjectId, doubt: &Doubt| inventory.is_doubtful(id, doubt) || rows.is_held(id, doubt);
        let (doubtful, stale) = loose.into_iter().partition(|(id, _)| is_doubtful(id, &unknown));
        let Terms { guard, approved, nonce, .. } = terms;
        let situation = Situation { objects: read.existed, leaves_some, stale, doubtful, unanswered, approved, nonce };
        let mut verdict = self.pruning.judge(guard, situation, now);
        for objects in [&mut verdict.believed, &mut verdict.approved] {
            objects.retain(|(id, uid)| {
                let waits = self.queue.is_under_way(id) || is_doubtful(id, &doubt);
                !waits && self.undeletable.still(id, uid, now).is_none()
            });
        }
        Judgement { all_kept, verdict }
    }

    /// An object could not be deleted, for all that is known: it is left alone for a while.
    pub fn undeleted(&mut self, (id, uid): &Stale, reason: &'static str, message: &str, now: Instant) {
        self.undeletable.failed(id, uid, reason, message, now);
    }

    /// Nobody knows whether an object was deleted, be it because the guard believed it: it has to be looked up.
    pub fn unanswered(&mut self, (id, uid): Stale, is_believed: bool) {
        if let Some(inventory) = self.known_mut() {
            inventory.miss(&id);
        }
        if is_believed {
            self.unanswered.insert(id, uid);
        }
    }

    /// One of those that could not be deleted, and why; always the same one.
    pub fn undeletable(&self) -> Option<(&ObjectId, &str)> {
        self.undeletable.first()
    }

    /// A deletion is done, or not ours to do; whether it is one that the guard believed, and that we did. So it counts in
    /// the guard's window, and so does what is gone after a deletion without an answer.
    pub fn deleted(&mut self, (id, uid): &Stale, counts: bool, is_gone: bool, now: Instant) {
        self.undeletable.done(id);
        self.pruning.settled(id);
        let was_unanswered = self.unanswered.remove(id).is_some_and(|tried| tried == *uid);
        self.pruning.deleted(usize::from(counts || was_unanswered && is_gone), now);
    }

    /// What is gone after a deletion without an answer was deleted by us, for all that anybody knows. Returns how many may
    /// be gone: they were not looked up yet.
    fn count_unanswered(&mut self, loose: &[Stale], now: Instant) -> usize {
        let Some((inventory, _)) = &self.listed else { return 0 };
        let (mut unknown, mut gone) = (0, 0);
        self.unanswered.retain(|id, uid| {
            if inventory.is_missed(id) {
                unknown += 1;
                return true;
            }
            let is_there = inventory.is_there((id, uid));
            gone += usize::from(!is_there);
            is_there && is_one_of(loose, id)
        });
        self.pruning.deleted(gone, now);
        unknown
    }

    /// The deletions that are held back.
    pub fn held(&self) -> Option<Held> {
        self.pruning.held()
    }

    /// All of a read was worked through. If nothing is left of rows named otherwise, all objects are marked by its columns.
    pub fn close(&mut self) {
        let columns = &self.rows.key_columns;
        if columns.is_empty() || self.is_mismarked || self.recorded.marked_by.as_ref() == Some(columns) {
            return;
        }
        let is_certain = self.rows.failures.is_empty() && self.queue.is_idle() && self.certain().is_some();
        if is_certain && self.loose().is_empty() {
            self.recorded.marked_by = Some(self.rows.key_columns.clone());
            self.has_heritage = false;
        }
    }

    /// What exists, has no row and may be deleted, as far as what exists is certain. O(objects) after a read of all rows,
    /// else O(what has no row).
    fn loose(&mut self) -> Vec<Stale> {
        let Some((inventory, Some(_))) = &self.listed else { return Vec::new() };
        let rows = &mut self.rows;
        let loose = self.loose.get_or_insert_with(|| inventory.without(|id| rows.want(id)));
        loose.retain(|id| {
            let exists = inventory.exists(id);
            if !exists && !inventory.is_missed(id) {
                rows.forget(id);
            }
            exists
        });
        inventory.stale(loose.iter(), &Doubt::None)
    }

    fn doubt(&self, awaited: &Keys) -> Doubt {
        let under_way = self.queue.rows().map(|row| row.key.as_ref());
        let columns = &self.rows.key_columns;
        match Doubt::about(self.rows.failures.keys().chain(under_way).chain(awaited.iter().map(Some))) {
            Doubt::Of(_) if columns.is_empty() => Doubt::All,
            Doubt::Of(_) if self.recorded.marked_by.as_ref() != Some(columns) => Doubt::All,
            doubt => doubt,
        }
    }
}

fn is_one_of(sorted: &[Stale], id: &ObjectId) -> bool {
    sorted.binary_search_by_key(&id, |(id, _)| id).is_ok()
}
