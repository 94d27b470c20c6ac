//! What an actor does about changes by others: it watches the kinds of its objects, and plans to put right what is seen.

use std::time::Instant;

use super::Actor;
use crate::crd::Dbqr;
use crate::logic::outcome;

impl Actor {
    /// Takes note of what others did to objects, and plans to put it right.
    pub(super) async fn absorb(&mut self, dbqr: &Dbqr) {
        self.memory.absorb();
        let now = Instant::now();
        for (id, by) in std::mem::take(&mut self.memory.others) {
            let answer = self.memory.state.contests().changed(&id, now);
            self.restore = Some(self.restore.map_or(answer.at, |at| at.min(answer.at)));
            if answer.begins {
                let notice = outcome::contested(&id, by.as_deref());
                tracing::warn!(dbqr = %self.owner, object = %id, "{}", notice.note);
                self.ctx.cluster.publish(&dbqr.metadata, &notice).await;
            }
        }
        if std::mem::take(&mut self.memory.outdated) {
            self.read_again();
        }
    }
}
