//! Works through what is to be applied: looks at what is met for the first time, records new kinds, writes, and takes
//! note of what became of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::sleep_until;

use super::applies::Landed;
use super::error::Error;
use super::memory::Memory;
use super::pass::Pass;
use crate::cluster::{self, ApplyError, CarriedOut, Change, Failure, Onlooker, Terms};
use crate::crd::ConflictPolicy;
use crate::logic::object::{GroupKind, ObjectId, Owner, Ownership};
use crate::logic::outcome::Changed;
use crate::logic::queue::Work;
use crate::logic::state::{Read, Recorded, Refusal};
use crate::logic::validate::Validated;

impl Pass<'_> {
    /// Looks up what is not known to exist, one look per kind and namespace, unless it is so little that it can as well be
    /// created unseen. What cannot be looked at fails its own rows;
    /// of a kind about which the server says nothing in time nothing more is asked.
    pub(super) async fn meet(&self, memory: &mut Memory, read: &mut Read) -> Result<(), Error> {
        memory.state.attempt(read);
        let onlooker = Onlooker::of(&self.owner);
        let mut silent: HashMap<Arc<GroupKind>, Failure> = HashMap::new();
        for desired in read.unmet() {
            let Some(kind) = desired.first().map(|first| first.kind.clone()) else { continue };
            let ids: Vec<&ObjectId> = desired.iter().map(|desired| &desired.id).collect();
            let existing = match silent.get(&kind.group_kind) {
                Some(failure) => Err(failure.clone()),
                None => self.ctx.cluster.look_up(&kind, &ids, &onlooker).await,
            };
            match existing {
                // It is the server itself: nothing can be done.
                Err(failure @ Failure::Unreachable(_)) => return Err(Error::LookUp(failure)),
                Err(failure) => {
                    for desired in &desired {
                        memory.state.fail(desired, failure.reason(), failure.to_string());
                    }
                    if failure == Failure::Timeout {
                        silent.insert(kind.group_kind.clone(), failure);
                    }
                }
                Ok(mut existing) => {
                    for desired in desired {
                        let existing = existing.remove(&desired.id);
                        if existing.as_ref().is_some_and(|(_, whose)| *whose == Ownership::Ours) {
                            memory.met_ours();
                        }
                        memory.state.meet(desired, existing, self.spec.conflict_policy);
                    }
                }
            }
        }
        Ok(())
    }

    /// Records what has to be found again before it is made.
    pub(super) async fn track(&self, memory: &mut Memory) -> Result<(), Error> {
        let Some(recorded) = memory.state.to_record() else { return Ok(()) };
        self.record(memory, recorded).await
    }

    /// Writes to the status, before anything else is done, where objects have to be found again.
    pub(super) async fn record(&self, memory: &mut Memory, recorded: Recorded) -> Result<(), Error> {
        super::report::record(self.ctx, self.dbqr, memory, recorded).await.map_err(Error::Track)
    }

    /// Applies what differs. What is slow is left to itself after a while, so that it holds up nothing else; once the
    /// pass has lost its point nothing new begins, and what has begun is finished. Where rows have to be read again
    /// meanwhile, the next pass goes on.
    pub(super) async fn apply(&self, memory: &mut Memory, valid: &Validated) -> Result<(), Error> {
        let terms = Terms { policy: self.spec.conflict_policy, ignored: valid.ignored.clone() };
        loop {
            if !self.stop.go_on() {
                memory.state.void();
            }
            let now = Instant::now();
            while memory.state.under_way() < self.ctx.cluster.at_once()
                && let Some(work) = memory.state.next(now)
            {
                let (cluster, owner, terms) = (self.ctx.cluster.clone(), self.owner.clone(), terms.clone());
                memory.applies.0.spawn(async move {
                    let result = cluster.carry_out(&owner, &work, &terms).await;
                    (work, result)
                });
            }
            // Nothing was begun now, so that nothing will be before one of the slow has ended.
            let Some(slow_from) = memory.state.slow_from().filter(|at| *at > now) else { break };
            tokio::select! {
                landed = memory.applies.next() => {
                    let is_met = matches!(&landed, Ok((_, Ok(CarriedOut::Met(_)))));
                    memory.land(&self.owner, landed, Some(self.spec.conflict_policy));
                    // Only then there may be something to record, and to find that out takes a look at all that waits.
                    if is_met && self.stop.go_on() {
                        self.track(memory).await?;
                    }
                }
                // What they say overtakes what waits.
                () = memory.notified.wakes.keys_arrived(), if memory.notified.keyed().is_some() => break,
                // Thousands of them would wait for the end of a long pass; most tell of what was just applied.
                () = memory.inbox.arrived() => memory.absorb(),
                () = sleep_until(slow_from.into()) => {}
            }
        }
        if self.stop.go_on() { Ok(()) } else { Err(Error::Stopped) }
    }
}

impl Memory {
    /// Takes note of an apply that has ended; whether it failed. The policy is that of the pass under way, if one is.
    pub(super) fn land(&mut self, owner: &Owner, landed: Landed, policy: Option<ConflictPolicy>) -> bool {
        let Ok((Work { desired, .. }, result)) = landed else {
            tracing::error!(dbqr = %owner, "an apply was aborted: what exists is listed anew");
            self.state.lost();
            self.outdated = true;
            return true;
        };
        let result = match result {
            Ok(CarriedOut::Met(existing)) => {
                if existing.as_ref().is_some_and(|(_, whose)| *whose == Ownership::Ours) {
                    self.met_ours();
                }
                self.inbox.remind();
                let landing = self.state.met(desired, existing, policy);
                self.outdated |= landing.outdated;
                return landing.failed;
            }
            Ok(CarriedOut::Applied(applied)) => {
                tell(owner, &desired.id, &applied, &mut self.changed);
                Ok(desired.applied(applied.known))
            }
            Err(error) => Err(Refusal {
                reason: error.reason(),
                message: error.to_string(),
                replaced: matches!(error, ApplyError::Replaced),
                unanswered: error.may_be_done(),
            }),
        };
        if let Ok(known) = &result {
            self.inbox.knows(known.version);
        }
        self.inbox.remind();
        let landing = self.state.landed(desired, result, Instant::now());
        self.outdated |= landing.outdated;
        landing.failed
    }
}

fn tell(owner: &Owner, id: &ObjectId, applied: &cluster::Applied, changed: &mut Changed) {
    let (verb, count) = match applied.change {
        Change::Created => ("created", &mut changed.created),
        Change::Updated => ("updated", &mut changed.updated),
        Change::Adopted => ("adopted", &mut changed.adopted),
        Change::Recreated => ("deleted and created anew", &mut changed.created),
    };
    *count += 1;
    tracing::info!(dbqr = %owner, object = %id, "{verb}");
    for (field, holder) in &applied.yielded {
        tracing::info!(dbqr = %owner, object = %id, field, "left to {holder}");
    }
}
