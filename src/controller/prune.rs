//! Deletes what has no row any more, after all else was done.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;

use super::cleanup;
use super::memory::Memory;
use super::reconcile::Pass;
use crate::cluster::Deleted;
use crate::logic::inventory::{Doubt, Inventory};
use crate::logic::object::{APPROVE_PRUNE, ObjectId};
use crate::logic::outcome::Done;
use crate::logic::prune::{Situation, Stale, Verdict};
use crate::logic::validate::Validated;

/// What a read has told.
pub(super) struct Wanted {
    /// The objects that rows want.
    pub ids: HashSet<ObjectId>,
    /// How many objects there were before.
    pub existed: usize,
    /// The columns that name the rows; none where nothing does.
    pub key_columns: Vec<String>,
}

impl Pass<'_> {
    /// Deletes what exists, is ours and has no row, if the guard believes it or a person approved it. Rows that failed
    /// keep their objects, and all objects where it cannot be told which are theirs.
    pub(super) async fn prune(&self, memory: &mut Memory, valid: &Validated, wanted: &Wanted, done: &mut Done) {
        let Wanted { ids, existed, key_columns } = wanted;
        let Some(recalled) = &mut memory.inventory else { return };
        let inventory = Arc::make_mut(&mut recalled.inventory);
        let marked = !key_columns.is_empty() && memory.key_columns.as_ref() == Some(key_columns);
        let doubt = match done.failures.doubt() {
            Doubt::Of(_) if !marked => Doubt::All,
            doubt => doubt,
        };
        done.all_kept = matches!(doubt, Doubt::All);
        if !valid.prune {
            memory.pruning.forget();
            return;
        }
        if done.all_kept {
            done.held = memory.pruning.held();
            return;
        }
        let approved = self.dbqr.annotation(APPROVE_PRUNE);
        let situation = Situation {
            objects: *existed,
            kept: inventory.kept(ids),
            stale: inventory.stale(ids, doubt),
            approved,
            nonce: Timestamp::now().as_nanosecond().unsigned_abs(),
        };
        let Verdict { believed, approved: agreed } = memory.pruning.judge(&valid.guard, situation, Instant::now());
        let gone = self.delete(inventory, agreed, done).await;
        gone.iter().for_each(|id| memory.pruning.settled(id));
        let before = done.changed.deleted;
        self.delete(inventory, believed, done).await;
        // A watch that lags may bring back what is gone: that was counted when it went.
        memory.pruning.deleted(done.changed.deleted - before, Instant::now());
        done.held = memory.pruning.held();
        done.misapproved =
            approved.filter(|digest| done.held.as_ref().is_some_and(|held| held.digest != *digest)).map(Into::into);
        let may_be_marked = !marked && !key_columns.is_empty() && done.failures.is_empty();
        if may_be_marked && inventory.stale(ids, Doubt::None).is_empty() {
            memory.key_columns = Some(key_columns.clone());
        }
    }

    /// Deletes objects; those that are gone, or are not ours to delete.
    async fn delete(&self, inventory: &mut Inventory, objects: Vec<Stale>, done: &mut Done) -> Vec<ObjectId> {
        let mut gone = Vec::new();
        for (id, result) in cleanup::delete(self.ctx, &self.owner, objects, &|| self.stop.go_on()).await {
            match result {
                Ok(Deleted::Protected) => inventory.protect(&id),
                Ok(deleted) => {
                    done.changed.deleted += usize::from(deleted == Deleted::Deleted);
                    inventory.remove(&id);
                }
                Err(error) => {
                    done.undeleted = Some(format!("{id} could not be deleted: {error}"));
                    continue;
                }
            }
            gone.push(id);
        }
        gone
    }
}
