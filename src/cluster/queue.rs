//! Many applies at once, within the bounds that all owners share and each has of its own.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::Cluster;
use super::apply::{Applied, ApplyError};
use super::slots::Share;
use crate::logic::object::{Desired, Owner, goes_first};

/// One object to apply.
#[derive(Clone, Debug)]
pub struct Work {
    /// How it should be.
    pub desired: Desired,
    /// The uid of the object of ours to update; None: it does not exist and is created.
    pub uid: Option<Arc<str>>,
}

impl Work {
    /// An object that was looked up and does not exist.
    pub fn create(desired: Desired) -> Self {
        Self { desired, uid: None }
    }

    /// An object of ours.
    pub fn update(desired: Desired, uid: Arc<str>) -> Self {
        Self { desired, uid: Some(uid) }
    }
}

impl Cluster {
    /// Applies all, in no order but that Namespaces and CustomResourceDefinitions are done before the rest begins.
    /// Once `go_on` is false nothing new begins; what has begun is finished.
    pub fn apply_all<'a>(
        &'a self,
        owner: &'a Arc<Owner>,
        work: Vec<Work>,
        go_on: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> BoxStream<'a, (Work, Result<Applied, ApplyError>)> {
        let at_once = self.shared.slots.per_owner();
        let share = self.shared.slots.share(&owner.uid);
        let (first, rest): (Vec<_>, Vec<_>) = work.into_iter().partition(|work| goes_first(&work.desired.id.kind));
        let [first, rest] = [first, rest].map(|work| {
            let share = share.clone();
            let begun = stream::iter(work).map(move |work| self.apply_one(owner, share.clone(), work, go_on));
            begun.buffer_unordered(at_once).filter_map(std::future::ready)
        });
        first.chain(rest).boxed()
    }

    async fn apply_one(
        &self,
        owner: &Arc<Owner>,
        share: Arc<Share>,
        work: Work,
        go_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Option<(Work, Result<Applied, ApplyError>)> {
        let _slot = self.shared.slots.take(&share).await?;
        if !go_on() {
            return None;
        }
        let result = match &work.uid {
            Some(uid) => self.update(&work.desired, uid).await,
            None => self.create(owner, &work.desired).await,
        };
        Some((work, result))
    }
}
