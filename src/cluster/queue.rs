//! Many applies at once, within the bounds that all owners share and each has of its own.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::Cluster;
use super::apply::{Applied, ApplyError, Terms};
use crate::logic::object::{Desired, Known, Owner, goes_first};

/// One object to apply.
#[derive(Clone, Debug)]
pub struct Work {
    /// How it should be.
    pub desired: Desired,
    /// What there is.
    pub found: Found,
}

/// What there is under the name of an object.
#[derive(Clone, Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// An object of nobody whom we know, with this uid.
    Foreign(Arc<str>),
    /// An object that the Go operator made for us.
    Inherited(Known),
    /// An object of ours.
    Ours(Known),
}

impl Work {
    /// An object that was looked up and does not exist.
    pub fn create(desired: Desired) -> Self {
        Self { desired, found: Found::Nothing }
    }

    /// An object that exists and is to be shared.
    pub fn adopt(desired: Desired, uid: Arc<str>) -> Self {
        Self { desired, found: Found::Foreign(uid) }
    }

    /// An object that the Go operator made for us.
    pub fn inherit(desired: Desired, known: Known) -> Self {
        Self { desired, found: Found::Inherited(known) }
    }

    /// An object of ours.
    pub fn update(desired: Desired, known: Known) -> Self {
        Self { desired, found: Found::Ours(known) }
    }
}

impl Cluster {
    /// Applies all, in no order but that Namespaces and CustomResourceDefinitions are done before the rest begins.
    /// Once `go_on` is false nothing new begins; what has begun is finished.
    pub fn apply_all<'a>(
        &'a self,
        owner: &'a Arc<Owner>,
        work: Vec<Work>,
        terms: &'a Terms,
        go_on: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> BoxStream<'a, (Work, Result<Applied, ApplyError>)> {
        let at_once = self.shared.limits.per_owner.max(1);
        let share = self.share(&owner.uid);
        let (first, rest): (Vec<_>, Vec<_>) = work.into_iter().partition(|work| goes_first(&work.desired.id.kind));
        let [first, rest] = [first, rest].map(|work| {
            let share = share.clone();
            let begun = stream::iter(work).map(move |work| self.apply_one(owner, share.clone(), work, terms, go_on));
            begun.buffer_unordered(at_once).filter_map(std::future::ready)
        });
        first.chain(rest).boxed()
    }

    async fn apply_one(
        &self,
        owner: &Arc<Owner>,
        share: Arc<tokio::sync::Semaphore>,
        work: Work,
        terms: &Terms,
        go_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Option<(Work, Result<Applied, ApplyError>)> {
        // Own share first: one that waits for it must not hold a place of all.
        let _own = share.acquire().await.ok()?;
        let _of_all = self.shared.applies.acquire().await.ok()?;
        if !go_on() {
            return None;
        }
        let result = match &work.found {
            Found::Nothing => self.make(owner, &work.desired, terms).await,
            Found::Foreign(uid) => self.adopt(owner, &work.desired, uid, terms).await,
            Found::Inherited(known) => self.inherit(owner, &work.desired, known, terms).await,
            Found::Ours(known) => self.update(owner, &work.desired, known, terms).await,
        };
        Some((work, result))
    }
}
