//! Whose turn it is to make the triggers of a table. For as long as somebody waits for the table's lock, all who write to
//! it wait behind: so of all resources that watch it one tries at a time, and none soon after one has failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::OwnedMutexGuard;

use super::listen::Endpoint;
use super::lock::lock;
use crate::logic::attempts::Attempts;
use crate::logic::triggers::{Watched, Why};
use crate::postgres::Unwatched;

/// A table of a database.
type Table = (Endpoint, u32);

type Line = Arc<tokio::sync::Mutex<Attempts>>;

/// Those who wait for their turn, and what came of those before them.
#[derive(Default)]
pub struct Turns {
    tables: Mutex<HashMap<Table, Line>>,
}

/// The turn of one of them. The next one's comes when this is dropped.
pub(super) struct Turn {
    attempts: OwnedMutexGuard<Attempts>,
    began: Instant,
}

impl Turns {
    /// Waits until nobody else tries; None where somebody has failed lately.
    pub(super) async fn take(&self, table: Table) -> Option<Turn> {
        let line = self.line(table);
        let attempts = line.lock_owned().await;
        let began = Instant::now();
        attempts.may_begin(began).then_some(Turn { attempts, began })
    }

    /// Whether somebody has failed lately. Who tries now does not count.
    pub(super) fn has_failed(&self, table: &Table) -> bool {
        let line = lock(&self.tables).get(table).cloned();
        line.is_some_and(|line| line.try_lock().is_ok_and(|attempts| !attempts.may_begin(Instant::now())))
    }

    fn line(&self, table: Table) -> Line {
        let now = Instant::now();
        let mut tables = lock(&self.tables);
        tables.retain(|_, line| {
            Arc::strong_count(line) > 1 || line.try_lock().is_ok_and(|attempts| !attempts.is_over(now))
        });
        tables.entry(table).or_default().clone()
    }
}

impl Turn {
    /// What came of it: whether the table was waited for in vain, or nobody knows for how long.
    pub(super) fn end(mut self, came: &Result<Watched, Unwatched>) {
        let has_failed = match came {
            Err(Unwatched::Missing(missing)) => missing.why == Why::Busy,
            came => came.is_err(),
        };
        self.attempts.ended(self.began, has_failed);
    }
}
