//! The conditions: what they say after a look, and since when. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Done, Failed, Held, PARTIALLY_FAILED, PRUNE_FAILED, TAKE_OVER_FAILED};
use crate::crd::{Status, condition};
use crate::logic::detect::Told;
use crate::logic::few::counted;

/// The conditions of a status, and what is put down with each that is set.
pub(super) struct Conditions<'a> {
    now: Time,
    generation: Option<i64>,
    list: &'a mut Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Those of this status.
    pub(super) fn of(status: &'a mut Status, generation: Option<i64>, now: Time) -> Self {
        Self { now, generation, list: &mut status.conditions }
    }

    /// How changes are noticed.
    pub(super) fn detection(&mut self, told: &Told) {
        let value = match told.is_well {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        self.put(condition::CHANGE_DETECTION, value, told.reason, &told.message);
    }

    /// A read was worked through.
    pub(super) fn done(&mut self, done: &Done) {
        self.set(condition::DATABASE_CONNECTED, true, "Connected", "the database answered");
        self.remove(condition::STALLED);
        match &done.held {
            Some(held) => self.set(condition::PRUNE_BLOCKED, true, "PruneBlocked", &blocked(held, done)),
            None => self.set(condition::PRUNE_BLOCKED, false, "NothingBlocked", "no deletion is held back"),
        }
        if !done.failures.is_empty() {
            let first = done.failures.kept().first();
            let first = first.map(|failure| format!("; row {}: {}", failure.row, failure.message)).unwrap_or_default();
            let kept = if done.all_kept { "nothing is pruned meanwhile" } else { "their objects stay as they are" };
            let untaken = done.untaken.as_ref().map(|untaken| format!("; {untaken}")).unwrap_or_default();
            let message = format!("{} of {} rows failed; {kept}{first}{untaken}", done.failures.rows(), done.rows);
            self.set(condition::READY, false, PARTIALLY_FAILED, &message);
            self.set(condition::RECONCILING, true, PARTIALLY_FAILED, "failed rows are tried again");
        } else if let Some(untaken) = &done.untaken {
            self.set(condition::READY, false, TAKE_OVER_FAILED, untaken);
            self.set(condition::RECONCILING, true, TAKE_OVER_FAILED, "it is tried again");
        } else if let Some(undeleted) = &done.undeleted {
            self.set(condition::READY, false, PRUNE_FAILED, undeleted);
            self.set(condition::RECONCILING, true, PRUNE_FAILED, "deletions are tried again");
        } else if done.under_way > 0 {
            let message = format!("objects still being applied: {}", done.under_way);
            self.set(condition::RECONCILING, true, "Progressing", &message);
            if self.get(condition::READY).is_none_or(|ready| ready.status != "True") {
                self.put(condition::READY, "Unknown", "Progressing", &message);
            }
        } else {
            self.remove(condition::RECONCILING);
            let held = done.held.as_ref();
            let held = held
                .map(|held| format!("; {} without a row are held back: see PruneBlocked", held.count + held.waiting));
            let (rows, objects) = (counted(done.rows, "row"), counted(done.objects, "object"));
            let message = format!("{rows} and {objects}, all as they should be");
            self.set(condition::READY, true, "Synced", &(message + &held.unwrap_or_default()));
        }
    }

    /// A step failed.
    pub(super) fn failed(&mut self, failed: &Failed) {
        self.set(condition::READY, false, failed.reason, &failed.message);
        if failed.stalled {
            self.remove(condition::RECONCILING);
            self.set(condition::STALLED, true, failed.reason, &failed.message);
        } else {
            self.remove(condition::STALLED);
            self.set(condition::RECONCILING, true, failed.reason, "tried again with growing delays");
        }
        match failed.database {
            Some(true) => self.set(condition::DATABASE_CONNECTED, true, "Connected", "the database answered"),
            Some(false) => self.set(condition::DATABASE_CONNECTED, false, failed.reason, &failed.message),
            None => {}
        }
    }

    /// A condition that holds, or does not.
    pub(super) fn set(&mut self, kind: &str, is: bool, reason: &str, message: &str) {
        self.put(kind, if is { "True" } else { "False" }, reason, message);
    }

    /// A condition with any value. Its time moves only with that.
    pub(super) fn put(&mut self, kind: &str, value: &str, reason: &str, message: &str) {
        let since =
            self.get(kind).filter(|before| before.status == value).map(|before| before.last_transition_time.clone());
        let new = Condition {
            type_: kind.into(),
            status: value.into(),
            reason: reason.into(),
            message: cut(message),
            observed_generation: self.generation,
            last_transition_time: since.unwrap_or_else(|| self.now.clone()),
        };
        match self.list.iter_mut().find(|condition| condition.type_ == kind) {
            Some(condition) => *condition = new,
            None => self.list.push(new),
        }
    }

    /// One of them.
    pub(super) fn get(&self, kind: &str) -> Option<&Condition> {
        self.list.iter().find(|condition| condition.type_ == kind)
    }

    /// Takes one off.
    pub(super) fn remove(&mut self, kind: &str) {
        self.list.retain(|condition| condition.type_ != kind);
    }
}

/// Why deletions wait, and how to let them pass.
fn blocked(held: &Held, done: &Done) -> String {
    let Held { count, digest, waiting, why } = held;
    let left = if *count == why.deletions() { String::new() } else { format!("; of these {count} still have none") };
    let mut message = format!(
        "{why}{left}. To delete exactly these {count}, annotate the resource with konnektr.io/approve-prune={digest}"
    );
    if *waiting > 0 {
        message.push_str(&format!("; {waiting} more wait behind them"));
    }
    if let Some(approved) = &done.misapproved {
        message.push_str(&format!("; {approved:?}, which is approved, is none of them"));
    }
    message
}

/// Long messages help nobody and bound nothing.
pub(super) fn cut(message: &str) -> String {
    const MOST: usize = 1000;
    if message.chars().count() <= MOST { message.into() } else { message.chars().take(MOST).chain(['…']).collect() }
}
