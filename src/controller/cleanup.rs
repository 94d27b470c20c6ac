//! Deletes or keeps everything of a resource that goes. Needs neither a valid spec nor the database.

use std::collections::HashSet;

use super::deletion::delete;
use super::listing::{everywhere, look_up};
use super::observe::tell;
use super::{Context, error::Error};
use crate::cluster::{self, Deleted, Owned};
use crate::crd::Dbqr;
use crate::logic::lost;
use crate::logic::object::{GroupKind, ObjectId, Owner, Ownership};
use crate::logic::outcome::Undone;

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
    let (mut referring, mut strangers) = (HashSet::new(), Vec::new());
    for kind in kinds {
        let failed = |error: cluster::Error| Error::CleanUp(format!("{kind}: {error}"));
        // A kind that no longer exists has no objects.
        let Some(served) = ctx.cluster.served(&kind).await.map_err(failed)? else { continue };
        let listed = match everywhere(ctx, &served, owner, &owner.selector()).await {
            // What is to stay has to lose its reference first, whoever may do that.
            Err(error) if is_vain(&error) && !keep => {
                undone.push(Undone::Kind(kind));
                continue;
            }
            listed => listed.map_err(failed)?.0,
        };
        // What is not known for sure to be ours is not deleted; but kept it is.
        let is_meant = |owned: &Owned| owned.is_ours() || keep && owned.ownership == Ownership::Disowned;
        let (ours, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(is_meant);
        all.extend(ours.into_iter().map(|owned| (served.clone(), owned)));
        // The garbage collector takes those that refer to the resource.
        strangers.extend(others.into_iter().filter(|owned| !owned.known.referring).map(|owned| owned.id));
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
    if !go_on() {
        return Err(Error::Stopped);
    }
    if !keep && !strangers.is_empty() {
        tell(ctx, dbqr, owner, &lost::not_its_own(&strangers)).await;
    }
    Ok(undone)
}
