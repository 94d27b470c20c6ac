//! Deletion: of objects whose row went, and of everything when the resource itself goes. Needs neither a
//! valid spec nor the database.

use std::collections::HashSet;

use futures::StreamExt;

use super::missed::look_up;
use super::search::tell;
use super::{Context, error::Error};
use crate::cluster::{self, Deleted, Owned, Scope};
use crate::crd::Dbqr;
use crate::logic::lost;
use crate::logic::object::{GroupKind, Kind, ObjectId, Owner, Version, goes_first};
use crate::logic::outcome::Undone;
use crate::logic::prune::Stale;
use crate::logic::rights::Rights;

/// Deletions in flight for one resource.
const AT_ONCE: usize = 16;

/// Where objects of this kind may be.
pub fn scope(kind: &Kind, owner: &Owner, rights: &Rights) -> Scope {
    if kind.namespaced && rights.own_namespace_only() { Scope::Namespace(owner.namespace.clone()) } else { Scope::All }
}

/// Deletes objects that are ours in the version in which they were seen to be deletable, and after checking on the live
/// ones where they have another by now; CustomResourceDefinitions and Namespaces last,
/// since they take others along.
pub async fn delete(
    ctx: &Context,
    owner: &Owner,
    objects: Vec<(Stale, Option<Version>)>,
    go_on: &(dyn Fn() -> bool + Send + Sync),
) -> Vec<(Stale, Result<Deleted, cluster::Error>)> {
    let (last, first): (Vec<_>, Vec<_>) = objects.into_iter().partition(|((id, _), _)| goes_first(&id.kind));
    let mut results = Vec::new();
    for objects in [first, last] {
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

/// Objects of a kind where they may be.
pub async fn listed(ctx: &Context, kind: &Kind, owner: &Owner) -> Result<Vec<Owned>, cluster::Error> {
    match scope(kind, owner, &ctx.rights) {
        Scope::All => everywhere(ctx, kind, owner).await.map(|(owned, _)| owned),
        own => ctx.cluster.list_owned(kind, owner, &own).await,
    }
}

/// Objects of a kind wherever they are, and whether everywhere could be looked at. Where not, it is an error unless
/// the flags say which namespaces there are to look at.
pub async fn everywhere(ctx: &Context, kind: &Kind, owner: &Owner) -> Result<(Vec<Owned>, bool), cluster::Error> {
    let forbidden = match ctx.cluster.list_owned(kind, owner, &Scope::All).await {
        Err(error) if error.lacks_rule() => error,
        listed => return listed.map(|owned| (owned, true)),
    };
    // An account may have rules for some namespaces only, and nobody else knows which. The operator watches the metadata of
    // these objects anyway; with them it does nothing in its own name but to find them again.
    if ctx.cluster.account().is_some() {
        return match ctx.cluster.as_operator().list_owned(kind, owner, &Scope::All).await {
            Err(error) if error.lacks_rule() => Err(forbidden),
            listed => listed.map(|owned| (owned, true)),
        };
    }
    let Some(places) = ctx.rights.places(owner).filter(|_| kind.namespaced) else { return Err(forbidden) };
    let mut owned = Vec::new();
    for place in places {
        owned.extend(ctx.cluster.list_owned(kind, owner, &Scope::Namespace(place.into())).await?);
    }
    Ok((owned, false))
}

/// Whether it is certain that no object of a kind is left.
pub async fn is_empty(ctx: &Context, kind: &GroupKind, owner: &Owner) -> bool {
    match ctx.cluster.served(kind).await {
        Ok(None) => true,
        Ok(Some(kind)) => everywhere(ctx, &kind, owner).await.is_ok_and(|(owned, all)| all && owned.is_empty()),
        Err(_) => false,
    }
}

/// How to clean up.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether the objects stay.
    pub keep: bool,
    /// Whether it may be that the objects are to stay, and only they tell.
    pub unattended: bool,
    /// Whether the account in whose name it is done is gone: then what is not allowed never will be, and is left.
    pub account_is_gone: bool,
}

/// Deletes everything of a resource that is being deleted, or keeps all; Ok when nothing is left to do but what it returns,
/// which nobody may do. What is to stay loses the reference by which the garbage collector would take it. Nothing more is
/// deleted, and it is an error, as soon as `go_on` says no. A listing need not have all that is `known`: labels are anyone's
/// to edit.
pub async fn clean_up(
    ctx: &Context,
    dbqr: &Dbqr,
    owner: &Owner,
    kinds: impl Iterator<Item = GroupKind>,
    known: Vec<ObjectId>,
    Manner { keep, unattended, account_is_gone }: Manner,
    go_on: &(dyn Fn() -> bool + Send + Sync),
) -> Result<Vec<Undone>, Error> {
    let is_vain = |error: &cluster::Error| account_is_gone && error.lacks_rule();
    let (mut all, mut gone, mut kept, mut undone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut referring = HashSet::new();
    for kind in kinds {
        let failed = |error: cluster::Error| Error::CleanUp(format!("{kind}: {error}"));
        // A kind that no longer exists has no objects.
        let Some(served) = ctx.cluster.served(&kind).await.map_err(failed)? else { continue };
        let listed = match everywhere(ctx, &served, owner).await {
            // What is to stay has to lose its reference first, whoever may do that.
            Err(error) if is_vain(&error) && !keep => {
                undone.push(Undone::Kind(kind));
                continue;
            }
            listed => listed.map_err(failed)?.0,
        };
        all.extend(listed.into_iter().filter(Owned::is_ours).map(|owned| (served.clone(), owned)));
    }
    let listed: HashSet<&ObjectId> = all.iter().map(|(_, owned)| &owned.id).collect();
    let is_unseen = |id: &ObjectId| !listed.contains(id) && !undone.contains(&Undone::Kind((*id.kind).clone()));
    let unseen = known.into_iter().filter(is_unseen).collect();
    for (ids, found) in look_up(ctx, owner, unseen).await {
        match found {
            Err(error) if is_vain(&error) && !keep => undone.extend(ids.into_iter().map(Undone::Object)),
            Err(error) => return Err(Error::CleanUp(error.to_string())),
            Ok(found) => all.extend(found),
        }
    }
    let were_orphaned =
        unattended && !keep && lost::were_orphaned(all.iter().map(|(_, owned)| (&owned.id, &owned.known)), owner);
    for (kind, Owned { id, known, .. }) in all {
        if known.referring {
            referring.insert(id.clone());
        }
        if known.protected || keep || were_orphaned {
            kept.push((kind, id))
        } else {
            gone.push(((id, known.uid.clone()), known.deletable()))
        }
    }
    if were_orphaned {
        tell(ctx, dbqr, owner, &lost::kept(kept.len())).await;
    }
    for ((id, _), _) in &gone {
        // Left behind it would be without anybody who knows of it: whoever took the right away has to decide.
        let allowed = ctx.rights.place(&id.kind, id.namespace.as_deref(), owner);
        allowed.map_err(|forbidden| Error::CleanUp(format!("{id} is left: {forbidden}")))?;
    }
    for (kind, id) in kept {
        match ctx.cluster.orphan(&kind, &id, owner).await {
            // With its reference it would go for want of a rule.
            Err(error) if is_vain(&error) && !referring.contains(&id) => undone.push(Undone::Object(id)),
            result => result.map_err(|error| Error::CleanUp(format!("{id}: {error}")))?,
        }
    }
    for ((id, _), result) in delete(ctx, owner, gone, go_on).await {
        match result {
            // The garbage collector takes those that refer to the resource.
            Err(error) if is_vain(&error) && referring.contains(&id) => {}
            Err(error) if is_vain(&error) => undone.push(Undone::Object(id)),
            Err(error) => return Err(Error::CleanUp(format!("{id}: {error}"))),
            // It has its reference still, and the garbage collector would not ask.
            Ok(Deleted::Protected) => return Err(Error::CleanUp(format!("{id} was protected meanwhile"))),
            Ok(_) => {}
        }
    }
    if go_on() { Ok(undone) } else { Err(Error::Stopped) }
}
