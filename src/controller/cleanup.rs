//! Deletion: of objects whose row went, and of everything when the resource itself goes. Needs neither a
//! valid spec nor the database.

use futures::StreamExt;

use super::{Context, error::Error};
use crate::cluster::{self, Deleted, Owned, Scope};
use crate::logic::object::{GroupKind, Kind, ObjectId, Owner, Ownership};
use crate::logic::prune::Stale;
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
    objects: Vec<Stale>,
    go_on: &(dyn Fn() -> bool + Send + Sync),
) -> Vec<(ObjectId, Result<Deleted, cluster::Error>)> {
    let (last, first): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|(id, _)| matches!(id.kind.kind.as_str(), "CustomResourceDefinition" | "Namespace"));
    let mut results = Vec::new();
    for objects in [first, last] {
        let deletions =
            futures::stream::iter(objects).take_while(|_| std::future::ready(go_on())).map(async |(id, uid)| {
                let result = delete_one(ctx, owner, &id, &uid).await;
                (id, result)
            });
        results.extend(deletions.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }
    results
}

async fn delete_one(ctx: &Context, owner: &Owner, id: &ObjectId, uid: &str) -> Result<Deleted, cluster::Error> {
    if ctx.rights.place(&id.kind, id.namespace.as_deref(), owner).is_err() {
        tracing::warn!(dbqr = %owner, object = %id, "left alone: the operator's flags no longer allow it to be deleted");
        return Ok(Deleted::Protected);
    }
    let Some(kind) = ctx.cluster.served(&id.kind).await? else { return Ok(Deleted::AlreadyGone) };
    let deleted = ctx.cluster.delete_owned(&kind, id, uid, owner).await?;
    match &deleted {
        Deleted::Deleted => tracing::info!(dbqr = %owner, object = %id, "deleted"),
        Deleted::Released => tracing::info!(dbqr = %owner, object = %id, "released: it existed before"),
        Deleted::NotOurs(_) => tracing::warn!(dbqr = %owner, object = %id, "not deleted: it is not ours"),
        _ => {}
    }
    Ok(deleted)
}

/// Takes the reference to their owner from objects, so that the garbage collector does not delete them with it; those
/// that have none any more, and why others still have.
pub async fn unrefer(
    ctx: &Context,
    owner: &Owner,
    objects: Vec<Stale>,
) -> (Vec<ObjectId>, Option<(ObjectId, cluster::Error)>) {
    let work = futures::stream::iter(objects).map(async |(id, _)| {
        let result = match ctx.cluster.served(&id.kind).await {
            Ok(Some(kind)) => ctx.cluster.unrefer(&kind, &id, owner).await,
            served => served.map(|_| ()),
        };
        (id, result)
    });
    let (mut free, mut failed) = (Vec::new(), None);
    for (id, result) in work.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match result {
            Ok(()) => free.push(id),
            Err(error) => failed = Some((id, error)),
        }
    }
    (free, failed)
}

/// Objects of a kind wherever they are, and whether everywhere could be looked at.
async fn everywhere(ctx: &Context, kind: &Kind, owner: &Owner) -> Result<(Vec<Owned>, bool), cluster::Error> {
    match ctx.cluster.list_owned(kind, owner, &Scope::All).await {
        Err(error) if error.is_forbidden() && kind.namespaced => {
            let own = Scope::Namespace(owner.namespace.clone());
            ctx.cluster.list_owned(kind, owner, &own).await.map(|owned| (owned, false))
        }
        listed => listed.map(|owned| (owned, true)),
    }
}

/// Whether it is certain that no object of a kind is left.
pub async fn is_empty(ctx: &Context, kind: &GroupKind, owner: &Owner) -> bool {
    match ctx.cluster.served(kind).await {
        Ok(None) => true,
        Ok(Some(kind)) => everywhere(ctx, &kind, owner).await.is_ok_and(|(owned, all)| all && owned.is_empty()),
        Err(_) => false,
    }
}

/// Deletes everything of a resource that is being deleted, or keeps all; Ok when nothing is left to do. What is to stay loses the
/// reference by which the garbage collector would take it.
pub async fn clean_up(
    ctx: &Context,
    owner: &Owner,
    kinds: impl Iterator<Item = GroupKind>,
    keep: bool,
) -> Result<(), Error> {
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for kind in kinds {
        let failed = |error: cluster::Error| Error::CleanUp(format!("{kind}: {error}"));
        // A kind that no longer exists has no objects.
        let Some(served) = ctx.cluster.served(&kind).await.map_err(failed)? else { continue };
        let (listed, _) = everywhere(ctx, &served, owner).await.map_err(failed)?;
        for owned in listed.into_iter().filter(|owned| owned.ownership == Ownership::Ours) {
            let stays = owned.known.protected || keep;
            if stays { kept.push((served.clone(), owned.id)) } else { gone.push((owned.id, owned.known.uid)) }
        }
    }
    for (id, _) in &gone {
        // Left behind it would be without anybody who knows of it: whoever took the right away has to decide.
        let allowed = ctx.rights.place(&id.kind, id.namespace.as_deref(), owner);
        allowed.map_err(|forbidden| Error::CleanUp(format!("{id} is left: {forbidden}")))?;
    }
    for (kind, id) in &kept {
        ctx.cluster.orphan(kind, id, owner).await.map_err(|error| Error::CleanUp(format!("{id}: {error}")))?;
    }
    let deleted = delete(ctx, owner, gone, &|| true).await;
    match deleted.into_iter().find_map(|(id, result)| result.err().map(|error| (id, error))) {
        Some((id, error)) => Err(Error::CleanUp(format!("{id}: {error}"))),
        None => Ok(()),
    }
}
