//! One task per DatabaseQueryResource: waits until there is a reason to look, looks, reports. Since each has its
//! own, one that waits for a silent database keeps nobody else waiting.

mod drifting;
mod due;
mod finalizing;
mod noticing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::applies::Landed;
use super::jitter::jitter;
use super::memory::Memory;
use super::pass::Pass;
use super::reconcile::reconcile;
use super::report::Report;
use super::seen::{Reason, Seen};
use super::stop::Stop;
use super::{Context, error::Error, observe};
use crate::crd::Dbqr;
use crate::logic::account::Account;
use crate::logic::invalid::InvalidSpec;
use crate::logic::object::{OUR_FINALIZERS, Owner};
use crate::logic::outcome::{self, Outcome};
use crate::logic::retry::Retry;
use crate::logic::schedule::Look;
use crate::metrics::{Series, Source};

/// A pass that takes longer is reported while it runs.
const LONG: Duration = Duration::from_secs(2);
/// Asks for a pass now; whatever its value, a new one counts.
const REQUESTED_AT: &str = "konnektr.io/requestedAt";

/// Something is to be tried again.
#[derive(Clone, Copy)]
struct Again {
    at: Instant,
    /// A step failed: nothing else makes sense before. Else some rows or objects did, and the others go on.
    holds: bool,
}

struct Actor {
    ctx: Arc<Context>,
    seen: watch::Receiver<Seen>,
    owner: Arc<Owner>,
    memory: Memory,
    report: Report,
    retry: Retry,
    /// When to try again what failed.
    again: Option<Again>,
    /// Begin of the last full read and of the last look of any kind.
    last: Option<(Instant, Instant)>,
    /// When what others did is to be put right.
    restore: Option<Instant>,
    /// Whether it may be that changes were not notified.
    in_doubt: bool,
    /// Whether all was cleaned up. It is not done twice: by now there may be another resource of this name, whose objects
    /// have the same labels.
    finalized: bool,
    /// Who asked for the next look; None where only time did.
    woken: Option<Source>,
    series: Series,
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.ctx.drift.leave(&self.memory.inbox);
    }
}

/// Works on one resource until it is gone or the process stops. Does nothing for `delay` unless it changes.
pub async fn run(ctx: Arc<Context>, seen: watch::Receiver<Seen>, delay: Duration) {
    let now = Instant::now();
    let dbqr = seen.borrow().dbqr.clone();
    let (name, namespace) = dbqr.name();
    let owner =
        Owner { name: name.into(), namespace: namespace.into(), uid: dbqr.metadata.uid.clone().unwrap_or_default() };
    let report = Report::new(&dbqr.status, now);
    let mut stopping = ctx.stopping.clone();
    let owner = Arc::new(owner);
    let memory = Memory::new(&dbqr, owner.clone());
    let mut actor = Actor {
        series: ctx.metrics.series(namespace, name),
        ctx,
        seen,
        owner,
        restore: None,
        in_doubt: false,
        memory,
        report,
        retry: Retry::new(now),
        again: None,
        last: None,
        finalized: false,
        woken: None,
    };
    tokio::select! {
        changed = actor.seen.changed() => if changed.is_err() { return },
        () = sleep(delay) => {}
        _ = stopping.wait_for(|stopping| *stopping) => return,
    }
    let mut reason = None;
    loop {
        let seen = actor.seen.borrow_and_update().clone();
        let new_reason = Reason::of(&seen);
        if reason.as_ref() != Some(&new_reason) {
            actor.woken = Some(new_reason.source(reason.as_ref()));
            reason = Some(new_reason);
            actor.memory.forget();
            actor.last = None;
            actor.again = None;
            actor.retry.reset();
        }
        actor.report.see(&seen.dbqr.status);
        actor.absorb(&seen.dbqr).await;
        actor.work(&seen).await;
        actor.report.write(&actor.ctx, &seen.dbqr, Instant::now()).await;
        let (next, heeds_wakes, wakes) =
            (actor.next(&seen.dbqr), actor.heeds_wakes(&seen.dbqr), actor.memory.notified.wakes.clone());
        tokio::select! {
            changed = actor.seen.changed() => if changed.is_err() { return },
            () = sleep_until(next.into()) => {}
            () = actor.memory.inbox.arrived() => {}
            () = wakes.arrived(), if heeds_wakes => {}
            () = actor.memory.notified.changed() => actor.hear(),
            landed = actor.memory.applies.next() => actor.land(landed),
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    actor.drain().await;
}

impl Actor {
    /// Does what is due now, if anything.
    async fn work(&mut self, seen: &Seen) {
        let dbqr = &seen.dbqr;
        self.series.suspended(dbqr.is_suspended());
        if dbqr.is_deleting() {
            self.memory.rest();
            if OUR_FINALIZERS.iter().any(|finalizer| dbqr.has_finalizer(finalizer))
                && !self.finalized
                && self.again.is_none_or(|again| Instant::now() >= again.at)
            {
                self.finalize(seen).await;
            }
        } else if dbqr.is_suspended() {
            self.memory.rest();
            self.hold(dbqr).await;
            self.suspend(dbqr.metadata.generation);
        } else if let Some(look) = self.look(dbqr, Instant::now()) {
            self.pass(dbqr, look).await;
        }
    }

    /// One pass and what it came to.
    async fn pass(&mut self, dbqr: &Arc<Dbqr>, look: Look) {
        let begin = Instant::now();
        let full = match (look, self.last) {
            (Look::Probe | Look::Woken, Some((full, _))) => full,
            _ => begin,
        };
        self.last = Some((full, begin));
        self.in_doubt = false;
        let by_time = if self.again.is_some_and(|again| begin >= again.at) { Source::Retry } else { Source::Poll };
        let by_time = match look {
            Look::Woken if self.memory.notified.wakes.are_heard() => Source::Notification,
            Look::Woken => Source::Listener,
            Look::Full | Look::Probe => by_time,
        };
        let by_time = if self.restore.take_if(|at| begin >= *at).is_some() {
            // Of others the time has not come.
            self.restore = self.memory.state.contests().next(begin);
            Source::Drift
        } else {
            by_time
        };
        self.series.woken(self.woken.take().unwrap_or(by_time));
        let result = self.reconcile(dbqr, look).await;
        if let Some(recorded) = self.memory.recorded.take() {
            self.report.recorded(&recorded);
        }
        if std::mem::take(&mut self.memory.outdated) {
            self.read_again();
        }
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(Error::Stopped) => return,
            Err(error) => {
                tracing::warn!(dbqr = %self.owner, reason = error.reason(), "{error}");
                Outcome::Failed(error.failed())
            }
        };
        if matches!(outcome, Outcome::Failed(_)) {
            self.memory.notified.cannot_read();
        }
        if let Outcome::Done(done) = &outcome
            && done.whole
        {
            // Also where the watermark moved: the query has run just now.
            self.last = Some((begin, begin));
            self.memory.notified.read(done.query_time, done.changed.all());
        }
        if let Outcome::Done(done) = &outcome
            && done.under_way == 0
            && let Some(since) = self.memory.since.take()
        {
            self.series.caught_up(since.elapsed());
        }
        self.plan_retry(&outcome);
        let mut status = outcome::status(
            self.report.latest(),
            &outcome,
            dbqr.metadata.generation,
            dbqr.annotation(REQUESTED_AT),
            now(),
        );
        if matches!(&outcome, Outcome::Failed(failed) if failed.database == Some(true)) {
            status = self.notice(&status);
        }
        observe::look(&self.series, &self.owner, &outcome, (self.report.latest(), &status), begin.elapsed());
        self.report.set(status);
    }

    /// The pipeline, and a word in the status if it takes long.
    async fn reconcile(&mut self, dbqr: &Arc<Dbqr>, look: Look) -> Result<Outcome, Error> {
        self.guard(dbqr).await?;
        let spec = dbqr.spec.as_ref().map_err(|error| Error::Validate(InvalidSpec(error.clone())))?;
        let (stopping, seen) = (self.ctx.stopping.clone(), self.seen.clone());
        let stop = Stop { stopping, seen, generation: dbqr.metadata.generation };
        let ctx = self.ctx.in_name_of(Account::of(dbqr));
        let pass = Pass { ctx: &ctx, dbqr, spec, owner: self.owner.clone(), stop: &stop };
        let work = reconcile(&pass, &mut self.memory, look);
        tokio::pin!(work);
        tokio::select! {
            result = &mut work => return result,
            () = tokio::time::sleep(LONG) => {}
        }
        let status = outcome::in_progress(self.report.latest(), dbqr.metadata.generation, now());
        self.report.set_meanwhile(status);
        let (result, ()) = tokio::join!(work, self.report.write(&self.ctx, dbqr, Instant::now()));
        result
    }

    /// Takes note of an apply that took so long that no pass waited for it. What it was about is looked at once more, and
    /// so is all when nothing is under way any more, or something waited for its place.
    fn land(&mut self, landed: Landed) {
        let failed = self.memory.land(&self.owner, landed, None);
        if std::mem::take(&mut self.memory.outdated) || failed || self.memory.state.awaits_end() {
            self.read_again();
        }
    }

    /// All is read again, and compared with what exists.
    fn read_again(&mut self) {
        let at = self.memory.state.again(self.last.map(|(full, _)| full), Instant::now());
        self.restore = Some(self.restore.map_or(at, |restore| restore.min(at)));
    }

    fn plan_retry(&mut self, outcome: &Outcome) {
        let holds = match outcome {
            // Nothing was tried, so what failed before is still to be tried again.
            Outcome::Unchanged(_) => return,
            Outcome::Done(_) => outcome.trouble().map(|_| false),
            Outcome::Failed(failed) => (!failed.stalled).then_some(true),
        };
        if let Outcome::Failed(failed) = outcome
            && failed.database == Some(false)
        {
            // The Secret may have been changed at the very moment; it costs one request to be sure.
            self.memory.valid = None;
        }
        if matches!(outcome, Outcome::Failed(failed) if failed.stalled) {
            // Nothing is asked of the database until something changes.
            self.memory.rest();
        }
        let is_whole = !matches!(outcome, Outcome::Done(done) if !done.whole);
        match holds {
            // What failed before is tried again when it was to be, however often other rows are read meanwhile.
            Some(_) if !is_whole && self.again.is_some() => {}
            Some(holds) => self.again = Some(Again { at: Instant::now() + self.retry.next(jitter()), holds }),
            None => {
                self.retry.reset();
                self.again = None;
            }
        }
    }
}

fn now() -> Time {
    // The API keeps whole seconds.
    Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default())
}
