//! Deletes objects, or takes from them what would make the garbage collector delete them: what has no row, and what is left
//! of a resource that goes.

use futures::StreamExt;

use super::Context;
use crate::cluster::{self, Deleted};
use crate::logic::object::{ObjectId, Owner, Version, deletion_order};
use crate::logic::prune::Stale;

/// Deletions in flight for one resource.
const AT_ONCE: usize = 16;

/// Deletes objects that are ours in the version in which they were seen to be deletable, and after checking on the live
/// ones where they have another by now; CustomResourceDefinitions and Namespaces last,
/// since they take others along.
pub async fn delete(
    ctx: &Context,
    owner: &Owner,
    objects: Vec<(Stale, Option<Version>)>,
    go_on: &(dyn Fn() -> bool + Send + Sync),
) -> Vec<(Stale, Result<Deleted, cluster::Error>)> {
    let mut results = Vec::new();
    for objects in deletion_order(objects, |((id, _), _)| id) {
        let deletions =
            futures::stream::iter(objects).take_while(|_| std::future::ready(go_on())).map(async |(stale, seen)| {
                let result = delete_one(ctx, owner, &stale, seen).await;
                (stale, result)
            });
        results.extend(deletions.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }
    results
}

async fn delete_one(
    ctx: &Context,
    owner: &Owner,
    (id, uid): &Stale,
    seen: Option<Version>,
) -> Result<Deleted, cluster::Error> {
    if ctx.rights.place(&id.kind, id.namespace.as_deref(), owner).is_err() {
        tracing::warn!(dbqr = %owner, object = %id, "left alone: the operator's flags no longer allow it to be deleted");
        return Ok(Deleted::Protected);
    }
    let Some(kind) = ctx.cluster.served(&id.kind).await? else { return Ok(Deleted::AlreadyGone) };
    let deleted = ctx.cluster.delete_owned(&kind, id, uid, seen, owner).await?;
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
