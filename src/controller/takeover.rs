//! Takes over what the Go operator left to a resource, of which its list in the status tells. The list goes when all of it
//! was looked at, so that an end in the middle loses nothing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::Context;
use super::error::Error;
use super::listing::listed;
use super::memory::Memory;
use super::observe::tell;
use super::pass::Pass;
use super::report::record;
use crate::cluster::{self, Owned};
use crate::crd::Dbqr;
use crate::logic::legacy;
use crate::logic::object::{GroupKind, Kind, ObjectId, Owner, Ownership};

/// Objects in flight for one resource.
const AT_ONCE: usize = 16;
/// What takes longer is tried again another time. Webhooks have ten seconds unless they say otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// An object that could not be taken over, and why.
pub type Refused = (ObjectId, cluster::Error);

impl Pass<'_> {
    /// Takes over what is to be. What is refused holds nothing up, and is tried again after a while.
    pub(super) async fn take_over(&self, memory: &mut Memory) -> Result<(), Error> {
        read(self.ctx, self.dbqr, &self.owner, memory, false).await;
        // Where there has to be an account, and is none, nothing is written; that is told later.
        if memory.state.legacy.due(Instant::now()).is_empty() || self.account().await.is_err() {
            return Ok(());
        }
        take_over(self.ctx, self.dbqr, &self.owner, memory, false, &|| self.stop.go_on())
            .await
            .map(|_| ())
            .map_err(Error::Track)
    }
}

/// Reads the list, and says what of it may not be touched. What is to stay when the resource goes needs no account for
/// that: the garbage collector asks for none.
pub async fn read(ctx: &Context, dbqr: &Dbqr, owner: &Owner, memory: &mut Memory, is_to_stay: bool) {
    let notices = memory.state.legacy.read(&dbqr.listed, |id| {
        if !is_to_stay {
            ctx.rights.account(dbqr.service_account_name.as_deref())?;
        }
        ctx.rights.place(&id.kind, id.namespace.as_deref(), owner)
    });
    for notice in notices {
        tell(ctx, dbqr, owner, &notice).await;
    }
}

/// Takes over all that is due of what was [`read`]; what was refused. It is an error where the kinds of what is to be taken over could not be
/// recorded before. Where all is to stay when the resource goes, that is also what refers to it and is not listed: the Go
/// operator leaves out what failed last.
pub async fn take_over(
    ctx: &Context,
    dbqr: &Dbqr,
    owner: &Owner,
    memory: &mut Memory,
    is_to_stay: bool,
    go_on: &(dyn Fn() -> bool + Send + Sync),
) -> Result<Vec<Refused>, cluster::Error> {
    let (mut refused, mut left, mut unserved, mut kinds) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for (kind, ids) in memory.state.legacy.due(Instant::now()) {
        match there(ctx, &kind, owner, &ids, is_to_stay).await {
            Ok(None) => unserved.extend(ids),
            Ok(Some((there, is_ours))) => {
                let open: HashSet<&ObjectId> = there.iter().map(|(_, id)| id).collect();
                ids.iter().filter(|id| !open.contains(id)).for_each(|id| memory.state.legacy.settled(id));
                if is_ours || !there.is_empty() {
                    kinds.insert((*kind).clone());
                }
                left.extend(there);
            }
            Err(error) => refused.extend(ids.into_iter().map(|id| (id, error.clone()))),
        }
    }
    if let Some(notice) = memory.state.legacy.unserved(&unserved) {
        tell(ctx, dbqr, owner, &notice).await;
    }
    // So that they are found again.
    let recorded = memory.with(kinds);
    if recorded != *memory.state.recorded() {
        record(ctx, dbqr, memory, recorded).await?;
    }
    // Rows wait meanwhile: where there is no answer, nothing more is begun. What was not begun is next, as the rest rests.
    let is_silent = AtomicBool::new(false);
    let go_on = |_: &_| std::future::ready(go_on() && !is_silent.load(Ordering::Relaxed));
    let work = stream::iter(left).take_while(go_on).map(async |(kind, id): (Arc<Kind>, _)| {
        let answer = timeout(ANSWER_WITHIN, ctx.cluster.take_over(&kind, &id, owner)).await;
        is_silent.fetch_or(answer.is_err(), Ordering::Relaxed);
        (id, answer.unwrap_or(Err(cluster::Error::Timeout)))
    });
    let mut taken = 0;
    for (id, result) in work.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match result {
            Ok(meta) => {
                memory.state.legacy.settled(&id);
                if meta.is_some() {
                    tracing::info!(dbqr = %owner, object = %id, "taken over from the Go operator");
                    taken += 1;
                }
            }
            Err(error) => refused.push((id, error)),
        }
    }
    for (id, error) in &refused {
        memory.state.legacy.refused(id, error.reason(), &error.to_string(), Instant::now());
    }
    if let Some(trouble) = memory.state.legacy.news() {
        tracing::warn!(dbqr = %owner, "{trouble}");
    }
    if taken > 0 {
        memory.state.relist();
        memory.changed.updated += taken;
        tell(ctx, dbqr, owner, &legacy::taken(taken)).await;
    }
    Ok(refused)
}

/// Those of these objects of a kind that the Go operator left, or applied since, and whether any are ours already. None
/// where there is no such kind; one that somebody else serves, who does not answer, is an error.
async fn there(
    ctx: &Context,
    kind: &GroupKind,
    owner: &Owner,
    ids: &[ObjectId],
    is_to_stay: bool,
) -> Result<Option<(Vec<(Arc<Kind>, ObjectId)>, bool)>, cluster::Error> {
    let Some(kind) = ctx.cluster.served(kind).await? else { return Ok(None) };
    let mut owned = listed(ctx, &kind, owner, &owner.predecessors_selector()).await?;
    let named: HashSet<&ObjectId> = ids.iter().collect();
    let refers = |owned: &Owned| is_to_stay && owned.ownership == Ownership::Inherited;
    owned.retain(|owned| named.contains(&owned.id) || refers(owned));
    let is_ours = owned.iter().any(Owned::is_ours);
    let left = owned.into_iter().filter(Owned::is_to_be_taken);
    Ok(Some((left.map(|owned| (kind.clone(), owned.id)).collect(), is_ours)))
}
