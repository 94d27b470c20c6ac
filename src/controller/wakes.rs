//! Where reasons to look again are left for one DatabaseQueryResource; never a queue, as one look heeds them all.

use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::Notify;

use super::lock::lock;
use crate::logic::wake::{Pending, Touched, Wake};

/// The reasons that one resource did not heed yet.
#[derive(Default)]
pub struct Wakes {
    pending: Mutex<Option<Pending>>,
    arrived: Notify,
}

impl Wakes {
    /// Leaves one.
    pub fn leave(&self, more: Pending) {
        let mut pending = lock(&self.pending);
        *pending = Some(match pending.take() {
            Some(before) => before.and(more),
            None => more,
        });
        self.arrived.notify_one();
    }

    /// Takes them all, to be heeded.
    pub fn take(&self) -> Option<Pending> {
        lock(&self.pending).take()
    }

    /// Takes them if they are about some keys alone; which, and when the first came.
    pub fn take_keys(&self) -> Option<(Touched, Instant)> {
        let mut pending = lock(&self.pending);
        match pending.take() {
            Some(Pending { wake: Wake::Keys(keys), since, is_redefined: false, .. }) => Some((keys, since)),
            other => {
                *pending = other;
                None
            }
        }
    }

    /// The keys they are about; none where they are about all rows.
    pub fn keys(&self) -> Touched {
        match &*lock(&self.pending) {
            Some(Pending { wake: Wake::Keys(keys), .. }) => keys.clone(),
            _ => Touched::default(),
        }
    }

    /// Whether they are about some keys alone.
    pub fn are_keys(&self) -> bool {
        matches!(&*lock(&self.pending), Some(Pending { wake: Wake::Keys(_), is_redefined: false, .. }))
    }

    /// Whether one of them says that a table is not what it was.
    pub fn is_redefined(&self) -> bool {
        lock(&self.pending).as_ref().is_some_and(|pending| pending.is_redefined)
    }

    /// Whether a table has notified.
    pub fn are_heard(&self) -> bool {
        lock(&self.pending).as_ref().is_some_and(|pending| pending.is_heard)
    }

    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        lock(&self.pending).is_some()
    }

    /// Waits until there is one.
    pub async fn arrived(&self) {
        while !self.is_some() {
            self.arrived.notified().await;
        }
    }

    /// Waits until there are some about some keys alone.
    pub async fn keys_arrived(&self) {
        while !self.are_keys() {
            self.arrived.notified().await;
        }
    }
}
