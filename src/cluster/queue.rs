//! One apply among many, within the bounds that all owners share and each has of its own.

use std::sync::Arc;

use super::Cluster;
use super::apply::{Applied, ApplyError, Conflict, Terms};
use super::failure::Failure;
use super::lookup::Onlooker;
use crate::logic::object::{Known, Owner, Ownership};
use crate::logic::queue::{Found, Work};

/// What an apply came to.
#[derive(Debug)]
pub enum CarriedOut {
    /// The object is as it should be.
    Applied(Applied),
    /// It was to be created unseen, and something was there: nothing was done. What it is, and whose; None where it is gone
    /// by now.
    Met(Option<(Known, Ownership)>),
}

impl Cluster {
    /// Applies one object, when it is its turn.
    pub async fn carry_out(&self, owner: &Arc<Owner>, work: &Work, terms: &Terms) -> Result<CarriedOut, ApplyError> {
        let share = self.shared.slots.share(&owner.uid);
        let _slot = self.shared.slots.take(&share).await.ok_or(ApplyError::Failed(Failure::Timeout))?;
        let applied = match &work.found {
            Found::Unknown => match self.make(owner, &work.desired, terms).await {
                // Either way it is there.
                Err(ApplyError::Conflict(Conflict::Exists | Conflict::Managers(_))) => {
                    let (kind, id) = (&work.desired.kind, &work.desired.id);
                    let mut existing =
                        self.look_up(kind, &[id], &Onlooker::of(owner)).await.map_err(ApplyError::from)?;
                    return Ok(CarriedOut::Met(existing.remove(id)));
                }
                made => made,
            },
            Found::Nothing => self.make(owner, &work.desired, terms).await,
            Found::Foreign(uid) => self.adopt(owner, &work.desired, uid, terms).await,
            Found::Inherited(known) => self.inherit(owner, &work.desired, known, terms).await,
            Found::Ours(known) if known.is_predecessors => self.inherit(owner, &work.desired, known, terms).await,
            Found::Ours(known) => self.update(owner, &work.desired, known, terms).await,
        };
        applied.map(CarriedOut::Applied)
    }

    /// How many applies one owner may have in flight.
    pub fn at_once(&self) -> usize {
        self.shared.slots.per_owner()
    }
}
