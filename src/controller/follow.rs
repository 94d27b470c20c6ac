//! Keeps watch over the objects of a resource.

use std::sync::Arc;

use super::listing::scope;
use super::memory::Memory;
use super::pass::Pass;
use crate::cluster::{self, Scope};
use crate::logic::object::Kind;

impl Pass<'_> {
    /// The kinds that there may be objects of, and where those are.
    pub(super) async fn places(&self, memory: &Memory) -> Result<Vec<(Arc<Kind>, Scope)>, cluster::Error> {
        let mut places = Vec::new();
        for kind in &memory.state.recorded().kinds {
            // What is served no longer has no objects.
            let Some(kind) = self.ctx.cluster.served(kind).await? else { continue };
            let scope = scope(&kind, &self.owner, &self.ctx.rights);
            places.push((kind, scope));
        }
        Ok(places)
    }

    /// Sees what others have watched for: that has begun, and counts nothing for who comes later.
    pub(super) async fn join(&self, memory: &Memory) {
        if memory.followed.as_ref() != Some(&memory.state.recorded().kinds)
            && let Ok(places) = self.places(memory).await
        {
            self.ctx.drift.join(&memory.inbox, &places);
        }
    }

    /// Watches them. A watch that begins counts what there is, so that it need not see all of a first sync. Where that
    /// cannot be begun, it is at the next pass.
    pub(super) async fn follow(&self, memory: &mut Memory) {
        let kinds = &memory.state.recorded().kinds;
        if memory.followed.as_ref() == Some(kinds) {
            return;
        }
        if let Ok(places) = self.places(memory).await {
            // A kind that is not served may be again.
            memory.followed = (places.len() == kinds.len()).then(|| kinds.clone());
            self.ctx.drift.follow(&self.ctx.cluster, &memory.inbox, places);
        }
    }
}
