//! One server, by host and port, and the connections that the operator may have to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// Host and port.
pub(super) type Name = (String, u16);

/// The name of a server whose host may be written in any case.
pub(super) fn name((host, port): &Name) -> Name {
    (host.to_lowercase(), *port)
}

pub(super) struct Server {
    pub(super) name: Name,
    most: usize,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Counts one that waits, however it comes to an end.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    pub(super) fn new(name: Name, most: usize) -> Self {
        Self { name, most, slots: Arc::new(Semaphore::new(most)), waiting: AtomicUsize::new(0) }
    }

    /// A slot for one connection, in the order of asking; None if there is none by the deadline. `make_room` closes a
    /// connection that nobody uses.
    pub(super) async fn slot(&self, deadline: Instant, make_room: impl Fn()) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        make_room();
        by(deadline, self.slots.clone()).await
    }

    /// Slots that are not free.
    pub(super) fn taken(&self) -> usize {
        self.most.saturating_sub(self.slots.available_permits())
    }

    /// Whether somebody waits for a connection to it.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }
}

/// A permit, in the order of asking; None if there is none by the deadline.
pub(super) async fn by(deadline: Instant, permits: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    timeout_at(deadline.into(), permits.acquire_owned()).await.ok()?.ok()
}
