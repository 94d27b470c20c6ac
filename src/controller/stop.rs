//! When a pass has lost its point: the process stops, or the resource was deleted, suspended or changed.

use tokio::sync::watch;

use super::seen::Seen;

/// Watches what would make a pass pointless.
pub struct Stop {
    /// Whether the process is asked to stop.
    pub stopping: watch::Receiver<bool>,
    /// The resource as it is by now; closed when it is gone.
    pub seen: watch::Receiver<Seen>,
    /// The generation that the pass is for.
    pub generation: Option<i64>,
}

impl Stop {
    /// Whether to go on.
    pub fn go_on(&self) -> bool {
        !*self.stopping.borrow() && self.seen.has_changed().is_ok() && !self.is_void(&self.seen.borrow())
    }

    /// Waits until there is no point in going on.
    pub async fn wait(&self) {
        let (mut stopping, mut seen) = (self.stopping.clone(), self.seen.clone());
        // A channel that is closed ends the wait, too.
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = seen.wait_for(|seen| self.is_void(seen)) => {}
        }
    }

    fn is_void(&self, seen: &Seen) -> bool {
        seen.dbqr.is_deleting() || seen.dbqr.is_suspended() || seen.dbqr.metadata.generation != self.generation
    }
}
