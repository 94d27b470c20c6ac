//! Until when this process may act, for all who act.
//!
//! Two clocks are looked at, and the term is over when one of them says so. CLOCK_MONOTONIC goes on while the process is
//! stopped (SIGSTOP, a frozen cgroup, no CPU to be had), so that one who wakes up late finds its term over before it does
//! anything else; nobody can set it, but it stands still while the whole machine is suspended. The clock on the wall knows
//! of that time as well; should somebody put it forward, a term ends too early, which costs a hand-over.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

/// A time after which nothing may be begun. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Term {
    since: Moment,
    until: Arc<Until>,
}

/// A point in time by either clock: monotonic, and on the wall.
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub Instant, pub SystemTime);

/// In nanoseconds after the `since` of the term, by each clock.
#[derive(Debug, Default)]
struct Until {
    has_begun: AtomicBool,
    monotonic: AtomicU64,
    wall: AtomicU64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// How much later it is than another one, by each clock; nothing where it is earlier.
    fn after(self, other: Self) -> [Duration; 2] {
        [self.0.saturating_duration_since(other.0), self.1.duration_since(other.1).unwrap_or_default()]
    }
}

impl Term {
    /// One without an end.
    pub fn endless() -> Self {
        let term = Self::not_begun();
        term.set([Duration::MAX; 2]);
        term
    }

    /// One that has not begun.
    pub fn not_begun() -> Self {
        Self { since: Moment::now(), until: Arc::default() }
    }

    /// It begins, or goes on, and ends so long after that moment. One that is over stays so, as what was to be done in it
    /// was given up.
    pub fn lasts(&self, time: Duration, after: Moment) {
        if !self.until.has_begun.load(Ordering::SeqCst) || self.is_running() {
            self.set(after.after(self.since).map(|elapsed| elapsed.saturating_add(time)));
        }
    }

    /// It is over.
    pub fn end(&self) {
        self.set([Duration::ZERO; 2]);
    }

    /// Whether there is anything left of it. Once there was found to be nothing it stays so, whatever a clock says then.
    pub fn is_running(&self) -> bool {
        let runs = self.runs_at(Moment::now());
        if !runs && self.until.has_begun.load(Ordering::SeqCst) {
            self.end();
        }
        runs
    }

    fn runs_at(&self, moment: Moment) -> bool {
        let [monotonic, wall] = moment.after(self.since);
        let is_before =
            |elapsed: Duration, until: &AtomicU64| elapsed.as_nanos() < u128::from(until.load(Ordering::SeqCst));
        is_before(monotonic, &self.until.monotonic) && is_before(wall, &self.until.wall)
    }

    fn set(&self, until: [Duration; 2]) {
        let [monotonic, wall] = until.map(|until| u64::try_from(until.as_nanos()).unwrap_or(u64::MAX));
        self.until.monotonic.store(monotonic, Ordering::SeqCst);
        self.until.wall.store(wall, Ordering::SeqCst);
        self.until.has_begun.store(true, Ordering::SeqCst);
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

    const SECOND: Duration = Duration::from_secs(1);

    /// So many seconds later, by each clock.
    fn later(Moment(monotonic, wall): Moment, seconds: [u32; 2]) -> Moment {
        Moment(monotonic + seconds[0] * SECOND, wall + seconds[1] * SECOND)
    }

    #[test]
    fn a_term_runs_from_its_beginning_until_its_end() {
        let (term, begin) = (Term::not_begun(), Moment::now());
        assert!(!term.is_running());
        term.lasts(3600 * SECOND, begin);
        assert!(term.is_running() && term.runs_at(later(begin, [3599, 3599])));
        assert!(!term.runs_at(later(begin, [3600, 3600])));
        let endless = Term::endless();
        assert!(endless.is_running());
        endless.clone().end();
        assert!(!endless.is_running());
    }

    #[test]
    fn a_term_is_over_when_either_clock_says_so() {
        let (term, begin) = (Term::not_begun(), Moment::now());
        term.lasts(10 * SECOND, begin);
        assert!(term.runs_at(later(begin, [9, 9])));
        assert!(!term.runs_at(later(begin, [11, 1])), "somebody put the clock back while the process was stopped");
        assert!(!term.runs_at(later(begin, [1, 3600])), "the machine was suspended");
        let before = Moment(begin.0 + 9 * SECOND, begin.1 - 3600 * SECOND);
        assert!(term.runs_at(before), "somebody put the clock back");
    }

    #[test]
    fn a_machine_that_was_suspended_while_a_renewal_was_answered_finds_its_term_over() {
        let (term, sent) = (Term::not_begun(), Moment::now());
        let answered = later(sent, [1, 3600]);
        term.lasts(10 * SECOND, sent);
        assert!(!term.runs_at(answered));
    }

    #[test]
    fn what_is_over_does_not_begin_again() {
        let term = Term::not_begun();
        term.lasts(Duration::ZERO, Moment::now());
        term.lasts(3600 * SECOND, Moment::now());
        assert!(!term.is_running());
        let ended = Term::endless();
        ended.end();
        ended.lasts(3600 * SECOND, Moment::now());
        assert!(!ended.is_running());
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
