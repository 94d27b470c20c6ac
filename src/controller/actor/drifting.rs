//! What an actor does about changes by others: it watches the kinds of its objects, and plans to put right what is seen.

use std::time::Instant;

use super::Actor;
use crate::controller::cleanup;
use crate::crd::Dbqr;
use crate::logic::outcome;

impl Actor {
    /// Takes note of what others did to objects, and plans to put it right.
    pub(super) async fn absorb(&mut self, dbqr: &Dbqr) {
        let news = self.inbox.take();
        if news.gap {
            self.memory.state.relist();
            self.restore = Some(Instant::now());
        }
        let now = Instant::now();
        for (id, sighting) in news.objects {
            if !self.memory.state.see(&id, sighting.seen) {
                continue;
            }
            let answer = self.contests.changed(&id, now);
            self.restore = Some(self.restore.map_or(answer.at, |at| at.min(answer.at)));
            if answer.begins {
                let notice = outcome::contested(&id, sighting.by.as_deref());
                tracing::warn!(dbqr = %self.owner, object = %id, "{}", notice.note);
                self.ctx.cluster.publish(&dbqr.metadata, &notice).await;
            }
        }
    }

    /// Watches the kinds that there may be objects of.
    pub(super) async fn follow(&mut self) {
        if self.followed == self.memory.state.recorded().kinds {
            return;
        }
        let mut served = Vec::new();
        for kind in &self.memory.state.recorded().kinds {
            // Tried again after the next pass.
            let Ok(kind) = self.ctx.cluster.served(kind).await else { return };
            served.extend(kind.map(|kind| {
                let scope = cleanup::scope(&kind, &self.owner, &self.ctx.rights);
                (kind, scope)
            }));
        }
        self.ctx.drift.follow(&self.ctx.cluster, &self.inbox, served);
        self.followed.clone_from(&self.memory.state.recorded().kinds);
    }
}
