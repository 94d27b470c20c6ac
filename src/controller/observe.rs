//! What each look came to, for the log and the metrics: told here and nowhere else.

use std::time::Duration;

use super::Context;
use crate::crd::{Dbqr, Status, condition};
use crate::logic::failures::RowFailure;
use crate::logic::object::Owner;
use crate::logic::outcome::{Changed, Done, Notice, Outcome};
use crate::metrics::{Series, Sync};

/// One look ended like this, after so long; the statuses are what the user was and is told.
pub fn look(series: &Series, owner: &Owner, outcome: &Outcome, (before, status): (&Status, &Status), took: Duration) {
    if let Outcome::Done(done) = outcome {
        log(owner, done, before, took);
        series.queried(done.query_time);
        series.synced(sync(done));
    }
    if let Some(reason) = outcome.trouble() {
        series.failed(reason);
    }
    if !matches!(outcome, Outcome::Unchanged(_)) {
        series.reconciled(took);
    }
    series.ready(status.condition(condition::READY).is_some_and(|ready| ready.status == "True"));
}

/// Tells the user at once, in the log and in an event.
pub async fn tell(ctx: &Context, dbqr: &Dbqr, owner: &Owner, notice: &Notice) {
    if notice.warning {
        tracing::warn!(dbqr = %owner, reason = notice.reason, "{}", notice.note);
    } else {
        tracing::info!(dbqr = %owner, reason = notice.reason, "{}", notice.note);
    }
    ctx.cluster.publish(&dbqr.metadata, notice).await;
}

/// A line for the look, and one for each of the first failures, as thousands of rows may fail of one mistake. What was told
/// the last time is not told again.
fn log(owner: &Owner, done: &Done, before: &Status, took: Duration) {
    let is_told = |failure: &RowFailure| {
        let row = failure.row.to_string();
        before
            .failures
            .iter()
            .any(|told| told.row == row && told.object == failure.object && told.reason == failure.reason)
    };
    for failure in done.failures.kept().iter().filter(|failure| !is_told(failure)) {
        let object = failure.object.as_deref();
        tracing::warn!(dbqr = %owner, row = %failure.row, object, reason = failure.reason, "failed: {}", failure.message);
    }
    let told = before.condition(condition::READY).map(|ready| &ready.message);
    if let Some(undeleted) = done.undeleted.as_ref().filter(|undeleted| told != Some(undeleted)) {
        tracing::warn!(dbqr = %owner, "{undeleted}");
    }
    let Changed { created, updated, deleted, adopted, released } = done.changed;
    let Sync { rows, objects, failed_rows: failed, blocked, .. } = sync(done);
    let (query_ms, took_ms) = (done.query_time.as_millis() as u64, took.as_millis() as u64);
    tracing::info!(
        dbqr = %owner, rows, objects, created, updated, deleted, adopted, released, failed, blocked, query_ms, took_ms,
        "reconciled"
    );
}

fn sync(done: &Done) -> Sync {
    let Changed { created, updated, deleted, adopted, released } = done.changed;
    Sync {
        rows: done.rows,
        failed_rows: done.failures.rows(),
        objects: done.objects,
        blocked: done.held.as_ref().map_or(0, |held| held.count + held.waiting),
        created,
        // To whoever looks at figures, both are changes of what exists.
        updated: updated + adopted + released,
        deleted,
    }
}
