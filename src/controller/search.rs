//! Looks for a resource's objects among all kinds, once, where its status does not say any more which there are.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::Context;
use super::listing::everywhere;
use super::observe::tell;
use crate::cluster;
use crate::crd::Dbqr;
use crate::logic::lost::Search;
use crate::logic::object::{GroupKind, Owner};

/// Listings in flight: nobody waits for this, and the server has others to serve.
const AT_ONCE: usize = 4;

/// The kinds that there are objects of. What could not be looked at is told, and is no error: it may be so for good.
pub async fn search(ctx: &Context, dbqr: &Dbqr, owner: &Owner) -> Result<BTreeSet<GroupKind>, cluster::Error> {
    let all = ctx.cluster.all_kinds().await?;
    let look = stream::iter(all.kinds).map(async |kind| {
        let has_some = match everywhere(ctx, &kind, owner, &owner.selector()).await {
            Err(error) if error.lacks_rule() => None,
            // It went since.
            Err(error) if error.is_not_found() => Some(false),
            listed => Some(listed?.0.iter().any(cluster::Owned::is_ours)),
        };
        Ok::<_, cluster::Error>((kind, has_some))
    });
    let mut search = Search { unseen: all.unknown, ..Search::default() };
    for (kind, has_some) in look.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await? {
        match has_some {
            Some(true) => _ = search.found.insert((*kind.group_kind).clone()),
            Some(false) => {}
            None => search.unseen.push(kind.group_kind.to_string()),
        }
    }
    search.unseen.sort();
    let notice = search.notice();
    tell(ctx, dbqr, owner, &notice).await;
    Ok(search.found)
}
