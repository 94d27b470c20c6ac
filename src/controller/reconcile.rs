//! The pipeline: what one look at one DatabaseQueryResource does, in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memory::{Memory, Recalled};
use super::prune::Wanted;
use super::stop::Stop;
use super::{Context, cleanup, detect, error::Error};
use crate::crd::{DatabaseQueryResourceSpec as Spec, Dbqr, DeletionPolicy};
use crate::logic::inventory::Inventory;
use crate::logic::object::{GroupKind, Owner, Ownership};
use crate::logic::outcome::{Done, Outcome};
use crate::logic::render::Rendered;
use crate::logic::schedule::Look;
use crate::logic::validate::Validated;
use crate::postgres::Limits;

/// What exists is listed anew when the last listing is older, at the next full read.
const LISTING_AGE: Duration = Duration::from_secs(600);

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
/// 3. look for changes                     postgres
/// 4. recall what exists                   cluster
/// 5. query, render each row               postgres, pure
/// 6. look up what is new                  cluster
/// 7. track: record new kinds              cluster
/// 8. apply what differs                   cluster
/// 9. prune what has no row                pure, cluster
pub async fn reconcile(pass: &Pass<'_>, memory: &mut Memory, look: Look) -> Result<Outcome, Error> {
    pass.unrefer(memory).await?;
    let (valid, pool) = pass.validated(memory).await?;
    let fingerprint = pass.unless_stopped(detect::look(&pool, &valid, memory.fingerprint.as_ref())).await?;
    if look == Look::Probe && fingerprint.is_some() && fingerprint == memory.fingerprint {
        return Ok(Outcome::Unchanged);
    }
    let before = pass.recall(memory).await?;
    let (rendered, read, query_time) = pass.unless_stopped(pass.read(&valid, &pool, (&before, &memory.memo))).await?;
    let wanted = Wanted { ids: rendered.ids(), existed: before.len(), key_columns: read.key_columns };
    drop(before);
    memory.resting.retain(|id| wanted.ids.contains(id));
    let (detection, language) = (detect::told(&valid, fingerprint.as_ref()), Some(valid.template.language()));
    let Rendered { rows, failures, desired, memo } = rendered;
    let mut done = Done { rows, query_time, failures, detection, language, ..Done::default() };
    memory.memo = Arc::new(memo);
    pass.apply(memory, &valid, desired, &wanted.key_columns, &mut done).await?;
    pass.prune(memory, &valid, &wanted, &mut done).await;
    memory.fingerprint = fingerprint;
    done.kinds = pass.kinds_left(memory, &done).await;
    done.key_columns = memory.key_columns.clone();
    done.objects = memory.inventory.as_ref().map_or(0, |recalled| recalled.inventory.len());
    Ok(Outcome::Done(done.into()))
}

/// The bounds of whatever is asked of the database.
pub fn limits(valid: &Validated) -> Limits {
    Limits { statement_timeout: valid.statement_timeout, max_rows: valid.max_rows, read_only: valid.read_only }
}

impl Pass<'_> {
    /// Waits for the database only as long as there is a point in it. A session that is given up is canceled.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            result = work => result,
            () = self.stop.wait() => Err(Error::Stopped),
        }
    }

    /// What exists of ours, by label, of the kinds that the status records.
    async fn recall(&self, memory: &mut Memory) -> Result<Arc<Inventory>, Error> {
        match &memory.inventory {
            Some(recalled) if recalled.at.elapsed() < LISTING_AGE => return Ok(recalled.inventory.clone()),
            _ => {}
        }
        let mut objects = Vec::new();
        for kind in &memory.kinds {
            let Some(kind) = self.ctx.cluster.served(kind).await.map_err(Error::Recall)? else { continue };
            let listed = cleanup::listed(self.ctx, &kind, &self.owner).await.map_err(Error::Recall)?;
            objects.extend(
                listed
                    .into_iter()
                    .filter(|owned| owned.ownership == Ownership::Ours)
                    .map(|owned| (owned.id, owned.known)),
            );
        }
        let mut inventory = Inventory::of(objects);
        memory.relist();
        if let Some(earlier) = memory.earlier.take() {
            inventory.remember(&earlier);
        }
        let inventory = Arc::new(inventory);
        memory.inventory = Some(Recalled { inventory: inventory.clone(), at: Instant::now() });
        Ok(inventory)
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
        if let Some(recalled) = &mut memory.inventory {
            let inventory = Arc::make_mut(&mut recalled.inventory);
            free.iter().for_each(|id| inventory.unrefer(id));
        }
        match failed {
            Some((id, error)) => Err(Error::Orphan(format!("{id}: {error}"))),
            None => Ok(()),
        }
    }

    /// Records kinds before their first object, so that there is always a place to look for what was created; and that
    /// objects are no longer all marked by the same columns, before the first is marked otherwise.
    pub(super) async fn track(
        &self,
        memory: (&mut BTreeSet<GroupKind>, &mut Option<Vec<String>>),
        new: BTreeSet<GroupKind>,
        key_columns: &Vec<String>,
    ) -> Result<(), Error> {
        let (kinds, marked_by) = memory;
        let marked_otherwise = marked_by.as_ref().is_some_and(|columns| columns != key_columns);
        if new.is_empty() && !marked_otherwise {
            return Ok(());
        }
        let all = &*kinds | &new;
        let marks = marked_by.clone().filter(|_| !marked_otherwise);
        super::report::record(self.ctx, self.dbqr, &all, marks.as_ref()).await.map_err(Error::Track)?;
        (*kinds, *marked_by) = (all, marks);
        Ok(())
    }

    /// The kinds to keep looking for: one is forgotten only when a listing of everywhere finds nothing of it.
    async fn kinds_left(&self, memory: &Memory, done: &Done) -> Vec<String> {
        let present = memory.inventory.as_ref().map(|recalled| recalled.inventory.kinds()).unwrap_or_default();
        let certain = done.failures.is_empty() && done.undeleted.is_none();
        let mut left = Vec::new();
        for kind in &memory.kinds {
            if present.contains(kind) || !certain || !cleanup::is_empty(self.ctx, kind, &self.owner).await {
                left.push(kind.to_string());
            }
        }
        left
    }
}
