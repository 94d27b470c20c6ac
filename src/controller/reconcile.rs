//! The pipeline: what one look at one DatabaseQueryResource does, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::memory::{Memory, Recalled};
use super::prune::Wanted;
use super::stop::Stop;
use super::{Context, cleanup, detect, error::Error};
use crate::cluster::{Applied, ApplyError, Work};
use crate::crd::{DatabaseQueryResourceSpec as Spec, Dbqr};
use crate::logic::inventory::Inventory;
use crate::logic::object::{Desired, GroupKind, Known, ObjectId, Owner, Ownership};
use crate::logic::outcome::{Done, Outcome};
use crate::logic::render::{Rendered, RowFailure};
use crate::logic::rest::Resting;
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

/// 1. fetch what it refers to, validate    cluster, pure
/// 2. look for changes                     postgres
/// 3. recall what exists                   cluster
/// 4. query, render each row               postgres, pure
/// 5. look up what is new                  cluster
/// 6. track: record new kinds              cluster
/// 7. apply what differs                   cluster
/// 8. prune what has no row                pure, cluster
pub async fn reconcile(pass: &Pass<'_>, memory: &mut Memory, look: Look) -> Result<Outcome, Error> {
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
    pass.apply(memory, desired, &wanted.key_columns, &mut done).await?;
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
        let inventory = Arc::new(Inventory::of(objects));
        memory.inventory = Some(Recalled { inventory: inventory.clone(), at: Instant::now() });
        Ok(inventory)
    }

    /// Records kinds before their first object, so that there is always a place to look for what was created; and that
    /// objects are no longer all marked by the same columns, before the first is marked otherwise.
    async fn track(
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

    async fn apply(
        &self,
        memory: &mut Memory,
        desired: Vec<Desired>,
        key_columns: &Vec<String>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let Some(recalled) = &mut memory.inventory else { return Ok(()) };
        let inventory = Arc::make_mut(&mut recalled.inventory);
        let resting = &mut memory.resting;
        let mut plan = inventory.plan(awake(desired, resting, done));
        let mut work: Vec<Work> =
            plan.update.drain(..).map(|(desired, known)| Work::update(desired, known.uid)).collect();
        let found = self.look_up(plan.first_contact, done).await?;
        // Not of what cannot even be looked at: nothing of it will be created, and nothing has to be found again.
        let kinds = found.iter().map(|(desired, _)| &*desired.id.kind);
        let new = kinds.filter(|kind| !memory.kinds.contains(*kind)).cloned().collect();
        if inventory.is_empty() && !key_columns.is_empty() {
            memory.key_columns.get_or_insert_with(|| key_columns.clone());
        }
        self.track((&mut memory.kinds, &mut memory.key_columns), new, key_columns).await?;
        for (desired, existing) in found {
            match existing {
                None => work.push(Work::create(desired)),
                Some((known, Ownership::Ours)) if known.is_applied(&desired.hash) => {
                    inventory.insert(desired.id, known)
                }
                Some((known, Ownership::Ours)) => work.push(Work::update(desired, known.uid)),
                Some((_, whose)) => done.failures.push(conflict(&desired, &whose)),
            }
        }
        let go_on = || self.stop.go_on();
        let mut results = self.ctx.cluster.apply_all(&self.owner, work, &go_on);
        while let Some((work, result)) = results.next().await {
            self.record(inventory, resting, work, result, done);
        }
        drop(results);
        if self.stop.go_on() { Ok(()) } else { Err(Error::Stopped) }
    }

    /// What exists under the names of objects that are not known to be ours, one look per kind and namespace. What we
    /// may not look at fails its own rows.
    async fn look_up(
        &self,
        desired: Vec<Desired>,
        done: &mut Done,
    ) -> Result<Vec<(Desired, Option<(Known, Ownership)>)>, Error> {
        let mut by_place: BTreeMap<_, Vec<Desired>> = BTreeMap::new();
        for desired in desired {
            let place = (desired.id.kind.clone(), desired.id.namespace.clone());
            by_place.entry(place).or_default().push(desired);
        }
        let mut found = Vec::new();
        for desired in by_place.into_values() {
            let Some(kind) = desired.first().map(|first| first.kind.clone()) else { continue };
            let ids: Vec<&ObjectId> = desired.iter().map(|desired| &desired.id).collect();
            let mut existing = match self.ctx.cluster.look_up(&kind, &ids, &self.owner).await {
                Err(failure) if failure.is_forbidden() => {
                    let failed = |desired| failed(desired, failure.reason(), failure.to_string());
                    desired.iter().for_each(|desired| done.failures.push(failed(desired)));
                    continue;
                }
                existing => existing.map_err(Error::LookUp)?,
            };
            found.extend(desired.into_iter().map(|desired| {
                let is = existing.remove(&desired.id);
                (desired, is)
            }));
        }
        Ok(found)
    }

    fn record(
        &self,
        inventory: &mut Inventory,
        resting: &mut Resting,
        work: Work,
        result: Result<Applied, ApplyError>,
        done: &mut Done,
    ) {
        let desired = work.desired;
        match result {
            Ok(Applied { uid, fields, .. }) => {
                let verb = if work.uid.is_some() {
                    done.changed.updated += 1;
                    "updated"
                } else {
                    done.changed.created += 1;
                    "created"
                };
                tracing::info!(dbqr = %self.owner, object = %desired.id, "{verb}");
                resting.applied(&desired.id);
                let Desired { id, hash, protected, row, .. } = desired;
                let known = Known {
                    uid,
                    hash: Some(hash),
                    row_key: row.key,
                    protected,
                    deleting: false,
                    fields,
                    verified: true,
                };
                inventory.insert(id, known);
            }
            Err(error) => {
                if matches!(error, ApplyError::Replaced) {
                    inventory.remove(&desired.id);
                }
                let message = error.to_string();
                resting.failed(&desired, error.reason(), &message, Instant::now());
                done.failures.push(failed(&desired, error.reason(), message));
            }
        }
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

/// What is to be applied: all but what failed lately, which fails of the same once more.
fn awake(mut desired: Vec<Desired>, resting: &Resting, done: &mut Done) -> Vec<Desired> {
    let now = Instant::now();
    desired.retain(|desired| match resting.still(desired, now) {
        Some((reason, message)) => {
            done.failures.push(failed(desired, reason, message));
            false
        }
        None => true,
    });
    desired
}

fn failed(desired: &Desired, reason: &'static str, message: String) -> RowFailure {
    RowFailure { row: desired.row.clone(), object: Some(desired.id.to_string()), reason, message }
}

fn conflict(desired: &Desired, whose: &Ownership) -> RowFailure {
    let message = match whose {
        Ownership::OtherOwner { owner } => format!("the object belongs to the DatabaseQueryResource {owner}"),
        _ => "the object exists and is not managed by this resource; it was not touched".to_owned(),
    };
    failed(desired, "Conflict", message)
}
