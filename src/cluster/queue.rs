//! One apply among many, within the bounds that all owners share and each has of its own.

use std::sync::Arc;

use super::Cluster;
use super::apply::{Applied, ApplyError, Terms};
use super::failure::Failure;
use crate::logic::object::Owner;
use crate::logic::queue::{Found, Work};

impl Cluster {
    /// Applies one object, when it is its turn.
    pub async fn carry_out(&self, owner: &Arc<Owner>, work: &Work, terms: &Terms) -> Result<Applied, ApplyError> {
        let share = self.shared.slots.share(&owner.uid);
        let _slot = self.shared.slots.take(&share).await.ok_or(ApplyError::Failed(Failure::Timeout))?;
        match &work.found {
            Found::Nothing => self.make(owner, &work.desired, terms).await,
            Found::Foreign(uid) => self.adopt(owner, &work.desired, uid, terms).await,
            Found::Inherited(known) => self.inherit(owner, &work.desired, known, terms).await,
            Found::Ours(known) => self.update(owner, &work.desired, known, terms).await,
        }
    }

    /// How many applies one owner may have in flight.
    pub fn at_once(&self) -> usize {
        self.shared.slots.per_owner()
    }
}
