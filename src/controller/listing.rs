//! Finds a resource's objects: by label, wherever it may have some, and by their names where the label may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Context;
use crate::cluster::{self, Onlooker, Owned, Scope};
use crate::logic::object::{GroupKind, Kind, ObjectId, Owner};
use crate::logic::rights::Rights;

/// Where objects of this kind may be.
pub fn scope(kind: &Kind, owner: &Owner, rights: &Rights) -> Scope {
    if kind.namespaced && rights.own_namespace_only() { Scope::Namespace(owner.namespace.clone()) } else { Scope::All }
}

/// Objects of a kind that this label selector selects, where they may be.
pub async fn listed(ctx: &Context, kind: &Kind, owner: &Owner, selector: &str) -> Result<Vec<Owned>, cluster::Error> {
    match scope(kind, owner, &ctx.rights) {
        Scope::All => everywhere(ctx, kind, owner, selector).await.map(|(owned, _)| owned),
        own => ctx.cluster.list_labelled(kind, owner, &own, selector).await,
    }
}

/// The same wherever they are, and whether everywhere could be looked at. Where not, it is an error unless the flags say
/// which namespaces there are to look at.
pub async fn everywhere(
    ctx: &Context,
    kind: &Kind,
    owner: &Owner,
    selector: &str,
) -> Result<(Vec<Owned>, bool), cluster::Error> {
    let forbidden = match ctx.cluster.list_labelled(kind, owner, &Scope::All, selector).await {
        Err(error) if error.lacks_rule() => error,
        listed => return listed.map(|owned| (owned, true)),
    };
    // An account may have rules for some namespaces only, and nobody else knows which. The operator watches the metadata of
    // these objects anyway; with them it does nothing in its own name but to find them again.
    if ctx.cluster.account().is_some() {
        return match ctx.cluster.as_operator().list_labelled(kind, owner, &Scope::All, selector).await {
            Err(error) if error.lacks_rule() => Err(forbidden),
            listed => listed.map(|owned| (owned, true)),
        };
    }
    let Some(places) = ctx.rights.places(owner).filter(|_| kind.namespaced) else { return Err(forbidden) };
    let mut owned = Vec::new();
    for place in places {
        let place = Scope::Namespace(place.into());
        owned.extend(ctx.cluster.list_labelled(kind, owner, &place, selector).await?);
    }
    Ok((owned, false))
}

/// Whether it is certain that no object of a kind is left.
pub async fn is_empty(ctx: &Context, kind: &GroupKind, owner: &Owner) -> bool {
    match ctx.cluster.served(kind).await {
        Ok(None) => true,
        Ok(Some(kind)) => {
            let found = everywhere(ctx, &kind, owner, &owner.selector()).await;
            found.is_ok_and(|(owned, all)| all && owned.is_empty())
        }
        Err(_) => false,
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
