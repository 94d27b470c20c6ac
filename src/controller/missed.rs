//! Objects that were seen to go: one that only lost our label looks the same to a watch and to a listing by label. Where a
//! row wants it, it is met like any other; where none does, it is looked up here, so that it does not stay behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Context;
use super::memory::Memory;
use super::reconcile::Pass;
use crate::cluster::{self, Onlooker, Owned};
use crate::logic::object::{Kind, ObjectId, Owner};

impl Pass<'_> {
    /// Looks up what was seen to go and no row wants. What cannot be looked up, and why, waits for the next time.
    pub(super) async fn look_after(&self, memory: &mut Memory) -> Option<String> {
        let mut failed = None;
        for (ids, found) in look_up(self.ctx, &self.owner, memory.state.missed()).await {
            match found {
                Err(error) => failed = ids.first().map(|id| format!("{id} could not be looked up: {error}")),
                Ok(found) => {
                    let mut found: BTreeMap<_, _> =
                        found.into_iter().map(|(_, owned)| (owned.id, owned.known)).collect();
                    for id in ids {
                        let known = found.remove(&id);
                        memory.state.look_after(id, known);
                    }
                }
            }
        }
        failed
    }
}

/// Objects of one kind and place, and those of them that exist and are ours.
type Looked = (Vec<ObjectId>, Result<Vec<(Arc<Kind>, Owned)>, cluster::Error>);

/// Looks up objects by their names.
pub async fn look_up(ctx: &Context, owner: &Owner, ids: Vec<ObjectId>) -> Vec<Looked> {
    let onlooker = Onlooker::of(owner);
    let mut by_place: BTreeMap<_, Vec<ObjectId>> = BTreeMap::new();
    for id in ids {
        by_place.entry((id.kind.clone(), id.namespace.clone())).or_default().push(id);
    }
    let mut looked = Vec::new();
    for ids in by_place.into_values() {
        let found = ours(ctx, &onlooker, &ids).await;
        looked.push((ids, found));
    }
    looked
}

async fn ours(
    ctx: &Context,
    onlooker: &Onlooker<'_>,
    ids: &[ObjectId],
) -> Result<Vec<(Arc<Kind>, Owned)>, cluster::Error> {
    let Some(first) = ids.first() else { return Ok(Vec::new()) };
    // A kind that no longer exists has no objects.
    let Some(kind) = ctx.cluster.served(&first.kind).await? else { return Ok(Vec::new()) };
    let ids: Vec<&ObjectId> = ids.iter().collect();
    let found = ctx.cluster.look_up(&kind, &ids, onlooker).await?;
    let owned = found.into_iter().map(|(id, (known, ownership))| Owned { id, known, ownership });
    Ok(owned.filter(Owned::is_ours).map(|owned| (kind.clone(), owned)).collect())
}
