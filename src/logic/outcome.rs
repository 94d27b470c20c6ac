//! What happened becomes status and events. Pure: the time is an argument.

use std::fmt;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::account::Account;
use super::detect::Told;
use super::failures::{Failures, RowFailure};
use super::object::{GroupKind, ObjectId};
use super::prune::Held;
use super::state::Recorded;
use super::template::Language;
use crate::crd::{BlockedPrune, Failure, Status, condition};

/// What one look came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The database was read and its rows were worked through.
    Done(Box<Done>),
    /// The watermark had not moved: nothing to do.
    Unchanged(Told),
    /// A step failed.
    Failed(Failed),
}

/// A read that was worked through.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Rows read.
    pub rows: u64,
    /// Time until the query had returned them.
    pub query_time: Duration,
    /// Objects that exist now.
    pub objects: usize,
    /// Objects that are still being applied, since they are slow, or wait for the places of such.
    pub under_way: usize,
    /// Objects created, updated, deleted and the like.
    pub changed: Changed,
    /// Rows that failed.
    pub failures: Failures,
    /// Deletions held back.
    pub held: Option<Held>,
    /// The approval that fits none of them.
    pub misapproved: Option<String>,
    /// Whether nothing was deleted, since rows failed and it cannot be told which objects are theirs.
    pub all_kept: bool,
    /// Deletions that the server refused.
    pub undeleted: Option<String>,
    /// What outlives the process.
    pub recorded: Recorded,
    /// How changes are noticed, and which are not.
    pub detection: Told,
    /// Whether all rows were read.
    pub whole: bool,
    /// What the templates are written in.
    pub language: Option<Language>,
}

/// So many objects that are left are named in an event, which has room for 1024 bytes.
const NAMED_UNDONE: usize = 10;

/// The reason where rows failed.
const PARTIALLY_FAILED: &str = "PartiallyFailed";
/// The reason where the server refused deletions.
const PRUNE_FAILED: &str = "PruneFailed";

impl Outcome {
    /// Why not all is as it should be: the reason that Ready gets. None where nothing failed.
    pub fn trouble(&self) -> Option<&'static str> {
        match self {
            Self::Failed(failed) => Some(failed.reason),
            Self::Done(done) if !done.failures.is_empty() => Some(PARTIALLY_FAILED),
            Self::Done(done) if done.undeleted.is_some() => Some(PRUNE_FAILED),
            _ => None,
        }
    }
}

/// How many objects were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Created.
    pub created: usize,
    /// Updated.
    pub updated: usize,
    /// Deleted.
    pub deleted: usize,
    /// Shared from now on, since they existed.
    pub adopted: usize,
    /// Left to others again.
    pub released: usize,
}

impl Changed {
    /// How many went, one way or the other.
    pub fn gone(&self) -> usize {
        self.deleted + self.released
    }

    /// How many were written, whichever way.
    pub fn all(&self) -> usize {
        self.created + self.updated + self.adopted + self.gone()
    }

    /// Whether nothing was written.
    pub fn is_nothing(&self) -> bool {
        self.all() == 0
    }
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The condition reason.
    pub reason: &'static str,
    /// What went wrong.
    pub message: String,
    /// Whether only a change of spec or Secret can help.
    pub stalled: bool,
    /// What is known of the database: None where it was not asked.
    pub database: Option<bool>,
}

/// Something to tell the user once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a warning.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub note: String,
}

/// The status after a look, given the one before. Times of conditions move only with their status.
pub fn status(before: &Status, outcome: &Outcome, generation: Option<i64>, request: Option<&str>, now: Time) -> Status {
    let mut status = before.clone();
    status.observed_generation = generation;
    status.last_handled_request = request.map(Into::into).or(status.last_handled_request);
    let mut conditions = Conditions { now, generation, list: &mut status.conditions };
    match outcome {
        Outcome::Unchanged(told) => {
            status.mode = Some(if told.notified { "Notify" } else { "Poll" }.into());
            conditions.detection(told);
            conditions.set(condition::DATABASE_CONNECTED, true, "Connected", "the database answered");
            if conditions.get(condition::READY).is_some_and(|ready| ready.status == "True") {
                conditions.remove(condition::RECONCILING);
            }
        }
        Outcome::Failed(failed) => conditions.failed(failed),
        Outcome::Done(done) => {
            conditions.done(done);
            let now = conditions.now;
            status.mode = Some(if done.detection.notified { "Notify" } else { "Poll" }.into());
            if !done.changed.is_nothing() || status.last_reconcile.is_none() {
                status.last_reconcile = Some(now);
            }
            status.rows = Some(count(done.rows as usize));
            status.failed_rows = Some(count(done.failures.rows()));
            status.managed_resources = Some(count(done.objects));
            status.failures = failures(&done.failures);
            status.kinds = done.recorded.kinds.iter().map(ToString::to_string).collect();
            status.template_language = done.language.map(|language| language.name().into());
            status.key_columns.clone_from(&done.recorded.marked_by);
            status.blocked_prune = done
                .held
                .as_ref()
                .map(|held| BlockedPrune { count: count(held.count), digest: Some(held.digest.clone()) });
        }
    }
    status
}

/// The status while a pass takes long.
pub fn in_progress(before: &Status, generation: Option<i64>, now: Time) -> Status {
    let mut status = before.clone();
    let mut conditions = Conditions { now, generation, list: &mut status.conditions };
    conditions.remove(condition::STALLED);
    conditions.set(condition::RECONCILING, true, "Progressing", "working through the rows");
    if conditions.get(condition::READY).is_none() {
        conditions.put(condition::READY, "Unknown", "Progressing", "working through the rows for the first time");
    }
    status
}

/// That triggers were installed, since the role may.
pub fn installed(what: &str) -> Notice {
    Notice { warning: false, reason: "TriggersInstalled".into(), note: format!("created in the database: {what}") }
}

/// What to tell the user: only what became different.
pub fn notices(before: &Status, after: &Status) -> Vec<Notice> {
    let said = |status: &Status, kind: &str| {
        let set = status.blocked_prune.as_ref().filter(|_| kind == condition::PRUNE_BLOCKED);
        status.condition(kind).map(|c| (c.status.clone(), c.reason.clone(), set.map(|set| set.digest.clone())))
    };
    let mut notices = Vec::new();
    for kind in [condition::READY, condition::PRUNE_BLOCKED] {
        let Some(now) = after.condition(kind) else { continue };
        let first = said(before, kind).is_none();
        if said(before, kind) == said(after, kind)
            || (first && kind == condition::PRUNE_BLOCKED && now.status == "False")
        {
            continue;
        }
        let bad = if kind == condition::READY { "False" } else { "True" };
        notices.push(Notice { warning: now.status == bad, reason: now.reason.clone(), note: now.message.clone() });
    }
    notices
}

/// What is left where an account was deleted before the objects that it was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// An object that could not be deleted.
    Object(ObjectId),
    /// Objects of a kind that could not be listed.
    Kind(GroupKind),
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => write!(f, "{id}"),
            Self::Kind(kind) => write!(f, "whatever there is of the kind {kind}"),
        }
    }
}

/// That the resource goes, and what it could not take along.
pub fn left_behind(account: &Account, undone: &[Undone]) -> Notice {
    let named: Vec<String> = undone.iter().take(NAMED_UNDONE).map(ToString::to_string).collect();
    // Numbers first: long names may leave no room for them.
    let note = format!(
        "{} left behind, since the {account} is gone and no rule allows to clean up in its name: {}{}",
        undone.len(),
        named.join(", "),
        if undone.len() > named.len() { " and others" } else { "" },
    );
    Notice { warning: true, reason: "ObjectsLeft".into(), note }
}

/// That others change an object again and again.
pub fn contested(id: &ObjectId, by: Option<&str>) -> Notice {
    let by = by.map(|manager| format!(" by {manager}")).unwrap_or_default();
    let note = format!("{id} is changed again and again{by}: it is restored with growing delays");
    Notice { warning: true, reason: "Contested".into(), note }
}

struct Conditions<'a> {
    now: Time,
    generation: Option<i64>,
    list: &'a mut Vec<Condition>,
}

impl Conditions<'_> {
    fn detection(&mut self, told: &Told) {
        let reason = told.fault.unwrap_or(if told.notified { "Listening" } else { "Polling" });
        self.set(condition::CHANGE_DETECTION, told.fault.is_none(), reason, &told.message);
    }

    fn done(&mut self, done: &Done) {
        self.set(condition::DATABASE_CONNECTED, true, "Connected", "the database answered");
        self.remove(condition::STALLED);
        self.detection(&done.detection);
        match &done.held {
            Some(held) => self.set(condition::PRUNE_BLOCKED, true, "PruneBlocked", &blocked(held, done)),
            None => self.set(condition::PRUNE_BLOCKED, false, "NothingBlocked", "no deletion is held back"),
        }
        if !done.failures.is_empty() {
            let first = done.failures.kept().first();
            let first = first.map(|failure| format!("; row {}: {}", failure.row, failure.message)).unwrap_or_default();
            let kept = if done.all_kept { "nothing is pruned meanwhile" } else { "their objects stay as they are" };
            let message = format!("{} of {} rows failed; {kept}{first}", done.failures.rows(), done.rows);
            self.set(condition::READY, false, PARTIALLY_FAILED, &message);
            self.set(condition::RECONCILING, true, PARTIALLY_FAILED, "failed rows are tried again");
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
            let message = format!("{} rows are as they should be, {} objects", done.rows, done.objects);
            self.set(condition::READY, true, "Synced", &(message + &held.unwrap_or_default()));
        }
    }

    fn failed(&mut self, failed: &Failed) {
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

    fn set(&mut self, kind: &str, is: bool, reason: &str, message: &str) {
        self.put(kind, if is { "True" } else { "False" }, reason, message);
    }

    fn put(&mut self, kind: &str, value: &str, reason: &str, message: &str) {
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

    fn get(&self, kind: &str) -> Option<&Condition> {
        self.list.iter().find(|condition| condition.type_ == kind)
    }

    fn remove(&mut self, kind: &str) {
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

fn failures(failures: &Failures) -> Vec<Failure> {
    let one = |failure: &RowFailure| Failure {
        row: failure.row.to_string(),
        object: failure.object.clone(),
        reason: failure.reason.into(),
        message: cut(&failure.message),
    };
    failures.kept().iter().map(one).collect()
}

/// Long messages help nobody and bound nothing.
fn cut(message: &str) -> String {
    const MOST: usize = 1000;
    if message.chars().count() <= MOST { message.into() } else { message.chars().take(MOST).chain(['…']).collect() }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "outcome/tests.rs"]
mod tests;
