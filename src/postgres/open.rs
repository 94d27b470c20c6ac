//! How many connections are open, counted where each is driven: whoever holds one, and whichever side ends it.

use std::sync::atomic::{AtomicUsize, Ordering};

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// One open connection.
pub(super) struct Open(());

impl Open {
    pub fn one_more() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections to PostgreSQL that this process has open.
pub fn open_connections() -> usize {
    OPEN.load(Ordering::Relaxed)
}
