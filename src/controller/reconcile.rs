//! The pipeline: what one look at one DatabaseQueryResource does, in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::detect::Sought;
use super::memory::Memory;
use super::prune::Pruned;
use super::read::Seen;
use super::search::search;
use super::stop::Stop;
use super::{Context, cleanup, error::Error};
use crate::cluster::Owned;
use crate::crd::{DatabaseQueryResourceSpec as Spec, Dbqr, DeletionPolicy};
use crate::logic::inventory::Inventory;
use crate::logic::object::{GroupKind, Owner};
use crate::logic::outcome::{Done, Outcome};
use crate::logic::schedule::Look;
use crate::logic::validate::Validated;
use crate::postgres::Limits;

/// One pass over one DatabaseQueryResource.
pub struct Pass<'a> {
    /// What everything is done with.
    pub ctx: &'a Context,
    /// The resource.
    pub dbqr: &'a Arc<Dbqr>,
    /// Its spec.
    pub spec: &'a Spec,
    /// On whose behalf objects are written.
    pub owner: Arc<Owner>,
    /// When to give up.
    pub stop: &'a Stop,
}

/// 1. let go of what is to be orphaned     cluster
/// 2. fetch what it refers to, validate    cluster, pure
/// 3. see what may have changed            postgres
/// 4. recall what exists, and watch it     cluster
/// 5. query, render each row               postgres, pure
/// 6. look up what is new                  cluster
/// 7. track: record new kinds              cluster
/// 8. apply what differs, and watch it     cluster
/// 9. prune what has no row                pure, cluster
pub async fn reconcile(pass: &Pass<'_>, memory: &mut Memory, look: Look) -> Result<Outcome, Error> {
    pass.unrefer(memory).await?;
    let (valid, pool) = pass.validated(memory).await?;
    let sought = pass.seek(memory, &valid, &pool, look).await?;
    if matches!(sought, Sought::Nothing) {
        return Ok(Outcome::Unchanged(memory.notified.told(&valid, memory.fingerprint.as_ref())));
    }
    pass.recall(memory).await?;
    pass.follow(memory).await;
    let (mut read, seen) = pass.read(memory, &valid, &pool, sought).await?;
    pass.meet(memory, &mut read).await?;
    pass.track(memory).await?;
    pass.join(memory).await;
    pass.apply(memory, &valid).await?;
    pass.follow(memory).await;
    // Also where others wait: were it left to a pass that nothing overtakes, rows that go would never be heeded while
    // others change all the time. What is not applied yet keeps what it has.
    let pruned = pass.prune(memory, &valid, &read).await;
    let done = pass.done(memory, &valid, seen, pruned).await;
    memory.look_for_heritage();
    Ok(Outcome::Done(done.into()))
}

/// The bounds of whatever is asked of the database.
pub fn limits(valid: &Validated) -> Limits {
    Limits { statement_timeout: valid.statement_timeout, max_rows: valid.max_rows, read_only: valid.read_only }
}

impl Pass<'_> {
    /// Waits for the database only as long as there is a point in it. A session that is given up is canceled.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            result = work => result,
            () = self.stop.wait() => Err(Error::Stopped),
        }
    }

    /// What exists of ours, by label, of the kinds that the status records.
    pub(super) async fn recall(&self, memory: &mut Memory) -> Result<Arc<Inventory>, Error> {
        if let Some(known) = memory.state.inventory(Instant::now()) {
            return Ok(known.clone());
        }
        if memory.kinds_lost {
            let recorded = memory.with(search(self.ctx, self.dbqr, &self.owner).await.map_err(Error::Recall)?);
            self.record(memory, recorded).await?;
            memory.kinds_lost = false;
        }
        let kinds = self.places(memory).await.map_err(Error::Recall)?;
        self.ctx.drift.join(&memory.inbox, &kinds);
        let mut objects = Vec::new();
        for (kind, _) in &kinds {
            let listed = cleanup::listed(self.ctx, kind, &self.owner).await.map_err(Error::Recall)?;
            let ours = listed.into_iter().filter(Owned::is_ours);
            let ours = ours.inspect(|owned| memory.inbox.knows(owned.known.version));
            objects.extend(ours.map(|owned| (owned.id, owned.known)));
        }
        Ok(memory.state.listed(objects, Instant::now()))
    }

    /// What is to stay when the resource goes must not refer to it: the garbage collector asks nobody. So this waits for
    /// no database.
    async fn unrefer(&self, memory: &mut Memory) -> Result<(), Error> {
        if self.spec.deletion_policy != DeletionPolicy::Orphan {
            return Ok(());
        }
        let referring = self.recall(memory).await?.referring();
        if referring.is_empty() {
            return Ok(());
        }
        let (free, failed) = cleanup::unrefer(self.ctx, &self.owner, referring).await;
        if let Some(inventory) = memory.state.known_mut() {
            free.iter().for_each(|id| inventory.unrefer(id));
        }
        match failed {
            Some((id, error)) => Err(Error::Orphan(format!("{id}: {error}"))),
            None => Ok(()),
        }
    }

    /// What became of the read.
    async fn done(&self, memory: &mut Memory, valid: &Validated, seen: Seen, pruned: Pruned) -> Done {
        memory.state.close();
        if let Some(print) = seen.print {
            memory.fingerprint = print;
        }
        let Pruned { all_kept, undeleted, misapproved } = pruned;
        let rows = memory.state.rows();
        let mut done = Done {
            rows: rows.count,
            query_time: seen.query_time,
            objects: memory.state.known().map_or(0, Inventory::len),
            under_way: memory.state.unfinished(),
            changed: std::mem::take(&mut memory.changed),
            failures: rows.failures.clone(),
            held: memory.state.held(),
            misapproved,
            all_kept,
            undeleted,
            detection: memory.notified.told(valid, memory.fingerprint.as_ref()),
            language: Some(valid.template.language()),
            recorded: memory.state.recorded().clone(),
            whole: seen.whole,
        };
        if seen.whole {
            done.recorded.kinds = self.kinds_left(memory, &done).await;
            memory.state.record(done.recorded.clone());
        }
        done
    }

    /// The kinds to keep looking for: one is forgotten only when a listing of everywhere finds nothing of it.
    async fn kinds_left(&self, memory: &Memory, done: &Done) -> BTreeSet<GroupKind> {
        let is_present = |kind| memory.state.known().is_some_and(|inventory| inventory.has(kind));
        let certain = done.failures.is_empty() && done.undeleted.is_none() && done.under_way == 0;
        let mut left = BTreeSet::new();
        for kind in &memory.state.recorded().kinds {
            if is_present(kind) || !certain || !cleanup::is_empty(self.ctx, kind, &self.owner).await {
                left.insert(kind.clone());
            }
        }
        left
    }
}
