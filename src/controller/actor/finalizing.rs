//! What an actor does when its resource goes: it cleans up, and lets it go.

use std::collections::BTreeSet;

use super::{Actor, Seen, now};
use crate::controller::{cleanup, error::Error};
use crate::crd::DeletionPolicy;
use crate::logic::object::GroupKind;
use crate::logic::outcome::{self, Outcome};

impl Actor {
    /// The resource is being deleted: clean up, then let it go.
    pub(super) async fn finalize(&mut self, seen: &Seen) {
        let dbqr = &seen.dbqr;
        let keep = seen.orphaned || dbqr.deletion_policy == DeletionPolicy::Orphan;
        // What is stored counts as well: it was written by whoever worked on the resource before.
        let stored = dbqr.status.kinds.iter().map(|kind| GroupKind::parse(kind));
        self.drain().await;
        let kinds =
            self.memory.state.recorded().kinds.iter().cloned().chain(stored).collect::<BTreeSet<_>>().into_iter();
        let result = match cleanup::clean_up(&self.ctx, &self.owner, kinds, keep).await {
            Ok(()) => self
                .ctx
                .cluster
                .remove_finalizer(&dbqr.metadata)
                .await
                .map_err(|error| Error::CleanUp(error.to_string())),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {
                tracing::info!(dbqr = %self.owner, "cleaned up");
                self.again = None;
            }
            Err(error) => {
                tracing::warn!(dbqr = %self.owner, reason = error.reason(), "{error}");
                self.series.failed(error.reason());
                self.plan_retry(&Outcome::Failed(error.failed()));
                let status = outcome::status(
                    self.report.latest(),
                    &Outcome::Failed(error.failed()),
                    dbqr.metadata.generation,
                    None,
                    now(),
                );
                self.report.set(status);
            }
        }
    }

    /// Waits for what is under way: what it creates has to be found afterwards.
    pub(super) async fn drain(&mut self) {
        while !self.memory.applies.is_empty() {
            let landed = self.memory.applies.next().await;
            self.memory.land(&self.owner, landed);
        }
    }
}
