//! What happened becomes status and events. Pure: the time is an argument.

mod conditions;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use self::conditions::{Conditions, cut};
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
    /// What could not be taken over from the Go operator.
    pub untaken: Option<String>,
    /// Whether the list that it left is still needed.
    pub needs_list: bool,
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
/// The reason where objects of the Go operator could not be made ours.
const TAKE_OVER_FAILED: &str = "TakeOverFailed";

impl Outcome {
    /// Why not all is as it should be: the reason that Ready gets. None where nothing failed.
    pub fn trouble(&self) -> Option<&'static str> {
        match self {
            Self::Failed(failed) => Some(failed.reason),
            Self::Done(done) => done.trouble(),
            Self::Unchanged(_) => None,
        }
    }

    /// How changes are noticed from now on; None where that is as it was.
    fn told(&self) -> Option<Cow<'_, Told>> {
        match self {
            Self::Unchanged(told) => Some(Cow::Borrowed(told)),
            Self::Done(done) => Some(Cow::Borrowed(&done.detection)),
            Self::Failed(failed) => failed.blind.then(|| Cow::Owned(Told::nothing(failed.reason, &failed.message))),
        }
    }
}

impl Done {
    /// The reason that Ready gets; None where nothing failed.
    pub fn trouble(&self) -> Option<&'static str> {
        [
            (!self.failures.is_empty(), PARTIALLY_FAILED),
            (self.untaken.is_some(), TAKE_OVER_FAILED),
            (self.undeleted.is_some(), PRUNE_FAILED),
        ]
        .into_iter()
        .find_map(|(is_so, reason)| is_so.then_some(reason))
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
    /// Whether rows cannot be read until it is mended, so that no change is noticed.
    pub blind: bool,
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
    if let Some(told) = outcome.told() {
        status.mode = told.mode.map(|mode| mode.name().into());
        Conditions::of(&mut status, generation, now.clone()).detection(&told);
    }
    let mut conditions = Conditions::of(&mut status, generation, now.clone());
    match outcome {
        Outcome::Unchanged(_) => {
            conditions.set(condition::DATABASE_CONNECTED, true, "Connected", "the database answered");
            if conditions.get(condition::READY).is_some_and(|ready| ready.status == "True") {
                conditions.remove(condition::RECONCILING);
            }
        }
        Outcome::Failed(failed) => conditions.failed(failed),
        Outcome::Done(done) => {
            conditions.done(done);
            if !done.changed.is_nothing() || status.last_reconcile.is_none() {
                status.last_reconcile = Some(now);
            }
            status.rows = Some(count(done.rows as usize));
            status.failed_rows = Some(count(done.failures.rows()));
            // The list is in place of the count.
            if !done.needs_list {
                status.managed_resources = Some(count(done.objects));
            }
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
    let mut conditions = Conditions::of(&mut status, generation, now);
    conditions.remove(condition::STALLED);
    conditions.set(condition::RECONCILING, true, "Progressing", "working through the rows");
    if conditions.get(condition::READY).is_none() {
        conditions.put(condition::READY, "Unknown", "Progressing", "working through the rows for the first time");
    }
    status
}

/// The status where nothing was looked at, and changes are noticed like this from now on.
pub fn noticed(before: &Status, told: &Told, now: Time) -> Status {
    let mut status = before.clone();
    status.mode = told.mode.map(|mode| mode.name().into());
    Conditions::of(&mut status, before.observed_generation, now).detection(told);
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

fn failures(failures: &Failures) -> Vec<Failure> {
    let one = |failure: &RowFailure| Failure {
        row: failure.row.to_string(),
        object: failure.object.clone(),
        reason: failure.reason.into(),
        message: cut(&failure.message),
    };
    failures.kept().iter().map(one).collect()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "outcome/tests.rs"]
mod tests;
