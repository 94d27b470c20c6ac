//! Until when this process may act, for all who act.
//!
//! The clock is CLOCK_MONOTONIC. It goes on while the process is stopped (SIGSTOP, a frozen cgroup, no CPU to be
//! had), so that one who wakes up late finds its term over before it does anything else. It stands still while a whole
//! machine is suspended: what sleeps with its machine may act for the rest of its term when it wakes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

/// A time after which nothing may be begun. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Term {
    since: Instant,
    /// In nanoseconds after `since`.
    until: Arc<AtomicU64>,
}

impl Term {
    /// One without an end.
    pub fn endless() -> Self {
        Self { since: Instant::now(), until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// One that has not begun.
    pub fn not_begun() -> Self {
        Self { since: Instant::now(), until: Arc::default() }
    }

    /// It ends then, and not before.
    pub fn ends_at(&self, until: Instant) {
        let nanos = until.saturating_duration_since(self.since).as_nanos();
        self.until.store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// It is over.
    pub fn end(&self) {
        self.until.store(0, Ordering::SeqCst);
    }

    /// Whether there is anything left of it.
    pub fn is_running(&self) -> bool {
        self.since.elapsed().as_nanos() < u128::from(self.until.load(Ordering::SeqCst))
    }

    /// Does the work step by step as long as the term runs: before each step it looks at the clock. None if the term
    /// ended first.
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match self.is_running() {
            true => work.as_mut().poll(context).map(Some),
            false => Poll::Ready(None),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_term_runs_from_its_first_renewal_until_its_end() {
        let term = Term::not_begun();
        assert!(!term.is_running());
        term.ends_at(Instant::now() + Duration::from_secs(3600));
        assert!(term.is_running());
        term.ends_at(Instant::now());
        assert!(!term.is_running());
        let endless = Term::endless();
        assert!(endless.is_running());
        endless.clone().end();
        assert!(!endless.is_running());
    }

    #[tokio::test]
    async fn no_step_is_taken_after_the_end() {
        let term = Term::endless();
        let ends = term.clone();
        let steps = async {
            tokio::task::yield_now().await;
            ends.end();
            tokio::task::yield_now().await;
            unreachable!("a step after the end");
        };
        assert_eq!(term.clone().bound(steps).await, None::<()>);
        assert_eq!(term.bound(async { unreachable!("a first step after the end") }).await, None::<()>);
        assert_eq!(Term::endless().bound(async { 1 }).await, Some(1));
    }
}
