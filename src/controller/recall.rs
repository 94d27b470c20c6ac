//! What exists of a resource's objects: found again by label, and freed of what would make the garbage collector take it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::deletion::unrefer;
use super::error::Error;
use super::listing::{is_empty, listed};
use super::memory::Memory;
use super::pass::Pass;
use super::search::search;
use crate::cluster::Owned;
use crate::crd::DeletionPolicy;
use crate::logic::inventory::Inventory;
use crate::logic::object::{GroupKind, Ownership};
use crate::logic::outcome::Done;

impl Pass<'_> {
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
        let (mut objects, mut disowned) = (Vec::new(), Vec::new());
        for (kind, _) in &kinds {
            let found = listed(self.ctx, kind, &self.owner, &self.owner.selector()).await.map_err(Error::Recall)?;
            let (ours, others): (Vec<_>, Vec<_>) = found.into_iter().partition(Owned::is_ours);
            let others = others.into_iter().filter(|it| it.ownership == Ownership::Disowned && it.known.referring);
            disowned.extend(others.map(|owned| (owned.id, owned.known.uid)));
            let ours = ours.into_iter().inspect(|owned| memory.inbox.knows(owned.known.version));
            objects.extend(ours.map(|owned| (owned.id, owned.known)));
        }
        // No inventory has them, and yet they are to stay.
        if self.spec.deletion_policy == DeletionPolicy::Orphan
            && let (_, Some((id, error))) = unrefer(self.ctx, &self.owner, disowned).await
        {
            return Err(Error::Orphan(format!("{id}: {error}")));
        }
        Ok(memory.state.listed(objects, Instant::now()))
    }

    /// What is to stay when the resource goes must not refer to it: the garbage collector asks nobody. So this waits for
    /// no database.
    pub(super) async fn unrefer(&self, memory: &mut Memory) -> Result<(), Error> {
        if self.spec.deletion_policy != DeletionPolicy::Orphan {
            return Ok(());
        }
        let referring = self.recall(memory).await?.referring();
        if referring.is_empty() {
            return Ok(());
        }
        let (free, failed) = unrefer(self.ctx, &self.owner, referring).await;
        if let Some(inventory) = memory.state.known_mut() {
            free.iter().for_each(|id| inventory.unrefer(id));
        }
        match failed {
            Some((id, error)) => Err(Error::Orphan(format!("{id}: {error}"))),
            None => Ok(()),
        }
    }

    /// The kinds to keep looking for: one is forgotten only when a listing of everywhere finds nothing of it.
    pub(super) async fn kinds_left(&self, memory: &Memory, done: &Done) -> BTreeSet<GroupKind> {
        let is_present = |kind| memory.state.known().is_some_and(|inventory| inventory.has(kind));
        let certain = done.trouble().is_none() && done.under_way == 0;
        let mut left = BTreeSet::new();
        for kind in &memory.state.recorded().kinds {
            if is_present(kind) || !certain || !is_empty(self.ctx, kind, &self.owner).await {
                left.insert(kind.clone());
            }
        }
        left
    }
}
