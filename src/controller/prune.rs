//! Deletes what has no row any more, after all else was done.

use std::time::Instant;

use k8s_openapi::jiff::Timestamp;

use super::cleanup;
use super::memory::Memory;
use super::reconcile::Pass;
use crate::cluster::Deleted;
use crate::logic::object::{APPROVE_PRUNE, ObjectId};
use crate::logic::prune::Stale;
use crate::logic::sql::MOST_KEYS;
use crate::logic::state::{Read, Terms};
use crate::logic::validate::Validated;
use crate::logic::wake::Touched;

/// What became of what had no row.
#[derive(Default)]
pub(super) struct Pruned {
    /// Whether nothing was deleted, since it cannot be told which objects are those of failed rows.
    pub all_kept: bool,
    /// Deletions that the server refused.
    pub undeleted: Option<String>,
    /// The approval that fits nothing that is held back.
    pub misapproved: Option<String>,
}

impl Pass<'_> {
    /// Deletes what exists, is ours and has no row, if the guard believes it or a person approved it. Rows that failed
    /// keep their objects, and all objects where it cannot be told which are theirs.
    pub(super) async fn prune(&self, memory: &mut Memory, valid: &Validated, read: &Read) -> Pruned {
        let approved = self.dbqr.annotation(APPROVE_PRUNE);
        let nonce = Timestamp::now().as_nanosecond().unsigned_abs();
        let Touched { rows: mut awaited, others } = memory.notified.wakes.keys();
        awaited.append(&mut memory.state.rows().showing(&others, MOST_KEYS));
        let terms = Terms { prune: valid.prune, guard: &valid.guard, approved, nonce, awaited: &awaited };
        let judgement = memory.state.judge(read, terms, Instant::now());
        let mut pruned = Pruned { all_kept: judgement.all_kept, ..Pruned::default() };
        for id in self.delete(memory, judgement.verdict.approved).await {
            memory.state.settled(&id);
        }
        let before = memory.changed.gone();
        self.delete(memory, judgement.verdict.believed).await;
        memory.state.deleted(memory.changed.gone() - before, Instant::now());
        let undeletable = memory.state.undeletable().filter(|_| !judgement.all_kept);
        pruned.undeleted = undeletable.map(|(id, why)| format!("{id} could not be deleted: {why}"));
        let fits = |digest: &str| memory.state.held().is_none_or(|held| held.digest == digest);
        pruned.misapproved =
            approved.filter(|digest| valid.prune && !judgement.all_kept && !fits(digest)).map(Into::into);
        pruned
    }

    /// Deletes objects; those that are gone, or are not ours to delete.
    async fn delete(&self, memory: &mut Memory, objects: Vec<Stale>) -> Vec<ObjectId> {
        let mut gone = Vec::new();
        for (stale, result) in cleanup::delete(self.ctx, &self.owner, objects, &|| self.stop.go_on()).await {
            if let Err(error) = &result {
                memory.state.undeleted(&stale, error.reason(), &error.to_string(), Instant::now());
            }
            let (Some(inventory), (id, _)) = (memory.state.known_mut(), stale) else { continue };
            match result {
                Ok(Deleted::Protected) => inventory.protect(&id),
                Ok(deleted) => {
                    memory.changed.deleted += usize::from(deleted == Deleted::Deleted);
                    memory.changed.released += usize::from(deleted == Deleted::Released);
                    match deleted {
                        Deleted::Deleted | Deleted::AlreadyGone => inventory.delete(&id),
                        _ => inventory.remove(&id),
                    }
                }
                Err(_) => continue,
            }
            gone.push(id);
        }
        gone
    }
}
