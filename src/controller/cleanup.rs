//! Deletion: of objects whose row went, and of everything when the resource itself goes. Needs neither a
//! valid spec nor the database.

use futures::StreamExt;

use super::{Context, error::Error};
use crate::cluster::{self, Deleted, Scope};
use crate::crd::{Dbqr, DeletionPolicy};
use crate::logic::object::{GroupKind, Kind, ObjectId, Owner, Ownership};
use crate::logic::rights::Rights;

/// Deletions in flight for one resource.
const AT_ONCE: usize = 16;

/// Where objects of this kind may be.
pub fn scope(kind: &Kind, owner: &Owner, rights: &Rights) -> Scope {
    if kind.namespaced && rights.own_namespace_only() { Scope::Namespace(owner.namespace.clone()) } else { Scope::All }
}

/// Deletes objects after checking on the live ones that they are ours; CustomResourceDefinitions and Namespaces last,
/// since they take others along.
pub async fn delete(
    ctx: &Context,
    owner: &Owner,
    ids: Vec<ObjectId>,
    go_on: &(dyn Fn() -> bool + Send + Sync),
) -> Vec<(ObjectId, Result<Deleted, cluster::Error>)> {
    let (last, first): (Vec<_>, Vec<_>) =
        ids.into_iter().partition(|id| matches!(id.kind.kind.as_str(), "CustomResourceDefinition" | "Namespace"));
    let mut results = Vec::new();
    for ids in [first, last] {
        let deletions = futures::stream::iter(ids).take_while(|_| std::future::ready(go_on())).map(async |id| {
            let result = delete_one(ctx, owner, &id).await;
            (id, result)
        });
        results.extend(deletions.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }
    results
}

async fn delete_one(ctx: &Context, owner: &Owner, id: &ObjectId) -> Result<Deleted, cluster::Error> {
    if ctx.rights.place(&id.kind, id.namespace.as_deref(), owner).is_err() {
        tracing::warn!(dbqr = %owner, object = %id, "left alone: the operator's flags no longer allow it to be deleted");
        return Ok(Deleted::Protected);
    }
    let Some(kind) = ctx.cluster.served(&id.kind).await? else { return Ok(Deleted::AlreadyGone) };
    let deleted = ctx.cluster.delete_owned(&kind, id, owner).await?;
    match &deleted {
        Deleted::Deleted => tracing::info!(dbqr = %owner, object = %id, "deleted"),
        Deleted::NotOurs(_) => tracing::warn!(dbqr = %owner, object = %id, "not deleted: it is not ours"),
        _ => {}
    }
    Ok(deleted)
}

/// Deletes everything of a resource that is being deleted; Ok when nothing is left to do.
pub async fn clean_up(
    ctx: &Context,
    dbqr: &Dbqr,
    owner: &Owner,
    kinds: impl Iterator<Item = GroupKind>,
) -> Result<(), Error> {
    let mut ids = Vec::new();
    for kind in kinds {
        let failed = |error: cluster::Error| Error::CleanUp(format!("{kind}: {error}"));
        // A kind that no longer exists has no objects.
        let Some(served) = ctx.cluster.served(&kind).await.map_err(failed)? else { continue };
        let listed =
            ctx.cluster.list_owned(&served, owner, &scope(&served, owner, &ctx.rights)).await.map_err(failed)?;
        ids.extend(
            listed
                .into_iter()
                .filter(|owned| owned.ownership == Ownership::Ours && !owned.known.protected)
                .map(|owned| owned.id),
        );
    }
    if dbqr.deletion_policy == DeletionPolicy::Orphan {
        for id in &ids {
            let Some(kind) = ctx.cluster.served(&id.kind).await.map_err(|error| Error::CleanUp(error.to_string()))?
            else {
                continue;
            };
            ctx.cluster.orphan(&kind, id, owner).await.map_err(|error| Error::CleanUp(format!("{id}: {error}")))?;
        }
        return Ok(());
    }
    let refused = delete(ctx, owner, ids, &|| true)
        .await
        .into_iter()
        .find_map(|(id, result)| result.err().map(|error| (id, error)));
    match refused {
        Some((id, error)) => Err(Error::CleanUp(format!("{id}: {error}"))),
        None => Ok(()),
    }
}
