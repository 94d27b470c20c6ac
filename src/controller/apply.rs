//! Applies what differs from what is known: looks at what is met for the first time, records new kinds, writes, and
//! takes note of what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;

use super::error::Error;
use super::memory::Memory;
use super::reconcile::Pass;
use crate::cluster::{Applied, ApplyError, Change, Terms, Work};
use crate::logic::contact::{self, Contact};
use crate::logic::inventory::Inventory;
use crate::logic::object::{Desired, Known, ObjectId, Ownership};
use crate::logic::outcome::Done;
use crate::logic::render::RowFailure;
use crate::logic::rest::Resting;
use crate::logic::validate::Validated;

impl Pass<'_> {
    /// Applies what differs, after looking at what is met for the first time and recording the kinds of what is new.
    pub(super) async fn apply(
        &self,
        memory: &mut Memory,
        valid: &Validated,
        desired: Vec<Desired>,
        key_columns: &Vec<String>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let Some(recalled) = &mut memory.inventory else { return Ok(()) };
        let inventory = Arc::make_mut(&mut recalled.inventory);
        let resting = &mut memory.resting;
        let mut plan = inventory.plan(awake(desired, resting, done));
        let mut work: Vec<Work> = plan.update.drain(..).map(|(desired, known)| Work::update(desired, known)).collect();
        let found = self.look_up(plan.first_contact, done).await?;
        if inventory.is_empty() && !key_columns.is_empty() {
            memory.key_columns.get_or_insert_with(|| key_columns.clone());
        }
        let mut kinds = BTreeSet::new();
        for (desired, existing) in found {
            let kind = desired.id.kind.clone();
            let Some((known, whose)) = existing else {
                kinds.insert(kind);
                work.push(Work::create(desired));
                continue;
            };
            match contact::judge(&desired, &known, &whose, self.spec.conflict_policy) {
                Contact::Keep => inventory.insert(desired.id, known),
                Contact::Update => work.push(Work::update(desired, known)),
                Contact::Inherit => work.push(Work::inherit(desired, known)),
                Contact::Adopt => work.push(Work::adopt(desired, known.uid)),
                // Nothing of it will be ours, and nothing has to be found again.
                Contact::LeaveAlone => continue,
                Contact::Refuse(reason, message) => {
                    done.failures.push(failed(&desired, reason, message));
                    continue;
                }
            }
            kinds.insert(kind);
        }
        let new = kinds.iter().filter(|kind| !memory.kinds.contains(&***kind)).map(|kind| (**kind).clone()).collect();
        self.track((&mut memory.kinds, &mut memory.key_columns), new, key_columns).await?;
        let terms = Terms { policy: self.spec.conflict_policy, ignored: valid.ignored.clone() };
        let go_on = || self.stop.go_on();
        let mut results = self.ctx.cluster.apply_all(&self.owner, work, &terms, &go_on);
        while let Some((work, result)) = results.next().await {
            self.record((inventory, resting), work.desired, result, done);
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
        (inventory, resting): (&mut Inventory, &mut Resting),
        desired: Desired,
        result: Result<Applied, ApplyError>,
        done: &mut Done,
    ) {
        match result {
            Ok(applied) => {
                let (verb, count) = match applied.change {
                    Change::Created => ("created", &mut done.changed.created),
                    Change::Updated => ("updated", &mut done.changed.updated),
                    Change::Adopted => ("adopted", &mut done.changed.adopted),
                    Change::Recreated => ("deleted and created anew", &mut done.changed.created),
                };
                *count += 1;
                tracing::info!(dbqr = %self.owner, object = %desired.id, "{verb}");
                for (field, holder) in &applied.yielded {
                    tracing::info!(dbqr = %self.owner, object = %desired.id, field, "left to {holder}");
                }
                resting.applied(&desired.id);
                let known = desired.known(applied.uid, applied.version, applied.hold, applied.fields);
                inventory.insert(desired.id, known);
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
