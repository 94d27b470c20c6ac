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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;
    use crate::logic::connection::Settings;
    use crate::logic::triggers::{Missing, Wanted};

    fn table(dbname: &str, oid: u32) -> Table {
        (Endpoint::of(&Settings { dbname: dbname.into(), ..Settings::default() }), oid)
    }

    fn busy() -> Result<Watched, Unwatched> {
        let wanted = Wanted { oid: 1, keys: None, slots: None };
        Err(Unwatched::Missing(Missing::of(Why::Busy, None, &wanted)))
    }

    #[tokio::test]
    async fn who_comes_while_somebody_tries_waits_and_does_not_try_after_a_failure() {
        let turns = Turns::default();
        let first = turns.take(table("a", 1)).await.unwrap();
        let mut second = Box::pin(turns.take(table("a", 1)));
        assert!((&mut second).now_or_never().is_none(), "it waits");
        assert!(!turns.has_failed(&table("a", 1)), "nobody knows yet");
        for other in [table("a", 2), table("b", 1)] {
            assert!(turns.take(other).now_or_never().flatten().is_some(), "other tables wait for nobody");
        }
        first.end(&busy());
        assert!(second.await.is_none());
        assert!(turns.has_failed(&table("a", 1)) && !turns.has_failed(&table("a", 2)));
    }

    #[tokio::test]
    async fn after_a_success_or_where_somebody_gave_up_the_next_one_tries() {
        let turns = Turns::default();
        let made = Ok(Watched { created: Vec::new(), keys: Vec::new(), slots: 1 });
        turns.take(table("a", 1)).await.unwrap().end(&made);
        drop(turns.take(table("a", 1)).await.unwrap());
        let mut last = turns.take(table("a", 1)).await.unwrap();
        last.began -= Duration::from_secs(60);
        last.end(&busy());
        assert!(turns.take(table("a", 1)).await.is_some(), "that is a minute ago");
    }

    #[tokio::test]
    async fn only_failures_are_kept() {
        let turns = Turns::default();
        for oid in 1..10 {
            drop(turns.take(table("a", oid)).await);
        }
        turns.take(table("a", 10)).await.unwrap().end(&busy());
        drop(turns.take(table("a", 11)).await);
        assert_eq!(lock(&turns.tables).len(), 2, "the one that failed, and the last one");
    }
}
