//! What a state makes of applies that have ended. Pure: the time is an argument.

use std::time::Instant;

use super::State;
use crate::crd::ConflictPolicy;
use crate::logic::object::{Desired, Known, ObjectId, Ownership};
use crate::logic::queue::Work;

/// An object could not be applied.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// One word.
    pub reason: &'static str,
    /// Why.
    pub message: String,
    /// Whether it is gone, or another one has its name.
    pub replaced: bool,
    /// Whether it may have been applied all the same: there was no answer, or it cannot be found by its marks.
    pub unanswered: bool,
}

/// What became of an apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Landing {
    /// Whether it failed.
    pub failed: bool,
    /// Whether the object has to be looked at again.
    pub outdated: bool,
}

impl State {
    /// An apply has ended; whether it failed, and whether the object has to be looked at again.
    pub fn landed(&mut self, desired: Desired, result: Result<Known, Refusal>, now: Instant) -> Landing {
        let id = desired.id.clone();
        let (outdated, then) = self.ended(&id);
        let mut landing = Landing { failed: result.is_err(), outdated };
        match result {
            Ok(known) => {
                self.resting.done(&id);
                self.contests.restored(&id, &desired.hash);
                self.seen.remove(&id);
                if let Some(inventory) = self.known_mut() {
                    landing.outdated |= !inventory.applied(id.clone(), known.clone());
                }
                if !self.rows.want(&id) {
                    self.loose = None;
                }
                match then {
                    // It is there, and that is all that is wanted of it.
                    Some(then) if then.wishes.create_only => self.is_mismarked |= known.row_key != then.row.key,
                    Some(then) => self.queue.put(Work::update(then, known)),
                    None => {}
                }
            }
            Err(Refusal { reason, message, replaced, unanswered }) => {
                if unanswered && let Some(inventory) = self.known_mut() {
                    inventory.suspect(&id);
                }
                if replaced && let Some(inventory) = self.known_mut() {
                    inventory.remove(&id);
                }
                self.resting.failed(&desired.id, &desired.hash.0, reason, &message, now);
                // Where another waits, it was not tried as its row wants it by now, and until it is, the row has to keep
                // what it has.
                landing.outdated |= then.is_some();
                if then.is_some() || self.rows.want(&id) {
                    self.fail(then.as_ref().unwrap_or(&desired), reason, message);
                }
            }
        }
        landing
    }

    /// What was to be created unseen was there, or is not any more; whether the object has to be looked at again. Where no
    /// pass is under way there is no policy either, and the next one looks at it.
    pub fn met(
        &mut self,
        desired: Desired,
        existing: Option<(Known, Ownership)>,
        policy: Option<ConflictPolicy>,
    ) -> Landing {
        let id = desired.id.clone();
        let (outdated, then) = self.ended(&id);
        if !self.rows.want(&id) {
            return Landing { failed: false, outdated };
        }
        self.seen.insert(id);
        let desired = then.unwrap_or(desired);
        match policy {
            Some(policy) if !outdated => {
                self.meet(desired, existing, policy);
                Landing::default()
            }
            _ => {
                // Until then its row has to keep what it has.
                self.fail(&desired, "Conflict", "the object exists already; it is looked at again".into());
                Landing { failed: true, outdated: true }
            }
        }
    }

    /// An apply has ended; whether the object has to be looked at again, and how it is wanted since.
    fn ended(&mut self, id: &ObjectId) -> (bool, Option<Desired>) {
        let (meanwhile, then) = self.queue.landed(id);
        // Nobody knows whether the listing has what came of it, and of others: one more, when all have ended.
        let is_doubtful = meanwhile.listed && !self.queue.doubts_listing();
        if is_doubtful {
            self.relist();
        }
        (meanwhile.overtaken || is_doubtful, then)
    }
}
