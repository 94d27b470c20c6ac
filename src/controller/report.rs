//! Tells the user: writes the status where it differs, at most once a second, and publishes an event for what
//! became different.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Context;
use super::memory::Memory;
use crate::cluster;
use crate::crd::{Dbqr, Status};
use crate::logic::outcome;
use crate::logic::state::Recorded;

/// How long to wait after a write that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Shortest time between two writes of one status.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The status of one DatabaseQueryResource: as it is stored, and as it should be.
pub struct Report {
    written: Status,
    pending: Option<Status>,
    not_before: Instant,
    /// Whether what is stored was seen to have kinds and conditions, which nobody takes off but who wipes it.
    shown: (bool, bool),
}

impl Report {
    /// Starts from the stored status.
    pub fn new(stored: &Status, now: Instant) -> Self {
        Self { written: stored.clone(), pending: None, not_before: now, shown: (false, false) }
    }

    /// This is stored. It may be older than what was written, but where all that stood there is gone, somebody wiped it
    /// or restored it from before: then it is told anew.
    pub fn see(&mut self, stored: &Status) {
        let latest = self.latest();
        let has = |status: &Status| (!status.kinds.is_empty(), !status.conditions.is_empty());
        let ((kinds, conditions), (want_kinds, want_conditions)) = (has(stored), has(latest));
        let is_wiped = (self.shown.0 && want_kinds && !kinds) || (self.shown.1 && want_conditions && !conditions);
        if is_wiped {
            (self.pending, self.written) = (Some(latest.clone()), stored.clone());
        }
        self.shown = (kinds, conditions);
    }

    /// The latest status, written or not.
    pub fn latest(&self) -> &Status {
        self.pending.as_ref().unwrap_or(&self.written)
    }

    /// This is how the status should be from now on.
    pub fn set(&mut self, status: Status) {
        // When something was read last is never written for its own sake.
        let but_time = Status { last_reconcile: self.written.last_reconcile.clone(), ..status.clone() };
        self.pending = (but_time != self.written).then_some(status);
    }

    /// The same in the middle of a pass. What has to be known of objects, that writes at once and alone: what is not written
    /// of it yet may be out of date.
    pub fn set_meanwhile(&mut self, status: Status) {
        let Status { kinds, key_columns, .. } = self.written.clone();
        self.set(Status { kinds, key_columns, ..status });
    }

    /// What [`record`] wrote.
    pub fn recorded(&mut self, recorded: &Recorded) {
        let kinds: Vec<String> = recorded.kinds.iter().map(ToString::to_string).collect();
        for status in self.pending.iter_mut().chain([&mut self.written]) {
            status.kinds.clone_from(&kinds);
            // Otherwise it is written with all else, when it is time.
            status.key_columns.take_if(|_| recorded.marked_by.is_none());
        }
    }

    /// When there is something to write next.
    pub fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|_| self.not_before)
    }

    /// Writes what is due. A failure is logged and tried again.
    pub async fn write(&mut self, ctx: &Context, dbqr: &Arc<Dbqr>, now: Instant) {
        if now < self.not_before {
            return;
        }
        let Some(pending) = self.pending.take() else { return };
        let Some(patch) = pending.patch_from(&self.written) else { return };
        self.not_before = now + AT_MOST_EVERY;
        let (name, namespace) = dbqr.name();
        match ctx.cluster.patch_status(namespace, name, &patch).await {
            Ok(()) => {
                for notice in outcome::notices(&self.written, &pending) {
                    ctx.cluster.publish(&dbqr.metadata, &notice).await;
                }
                self.written = pending;
            }
            // The resource is gone; so is its status.
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                tracing::warn!(dbqr = %format!("{namespace}/{name}"), "status not written: {error}");
                self.pending = Some(pending);
                self.not_before = now + AFTER_FAILURE;
            }
        }
    }
}

/// Writes alone and at once what has to be known of objects before they are written.
pub async fn record(ctx: &Context, dbqr: &Dbqr, memory: &mut Memory, recorded: Recorded) -> Result<(), cluster::Error> {
    let (name, namespace) = dbqr.name();
    let kinds: Vec<String> = recorded.kinds.iter().map(ToString::to_string).collect();
    let patch = json!({"status": {"kinds": kinds, "keyColumns": recorded.marked_by}});
    ctx.cluster.patch_status(namespace, name, &patch).await?;
    memory.recorded = Some(recorded.clone());
    memory.state.record(recorded);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_since_is_not_taken_back_in_the_middle_of_a_pass() {
        let status = |kinds: &[&str], key: &str, mode: &str| Status {
            kinds: kinds.iter().map(ToString::to_string).collect(),
            key_columns: Some(vec![key.into()]),
            mode: Some(mode.into()),
            ..Status::default()
        };
        let stored = status(&["ConfigMap", "Secret"], "id", "Poll");
        let mut report = Report::new(&stored, Instant::now());
        // Nothing is left of the one kind, which is not written yet, and then something is again.
        report.set(status(&["Secret"], "name", "Poll"));
        report.set_meanwhile(status(&["Secret"], "name", "Notify"));
        assert_eq!(report.latest().patch_from(&stored), Some(json!({"status": {"mode": "Notify"}})));
    }
}
