//! How many connections a pool may have, and how long it keeps one that nobody uses: what the same words mean in Go's
//! `database/sql`. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::crd::{ConnectionPool, defaults};

/// Bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most connections at a time, at least one.
    pub max_open: usize,
    /// Most of them kept while nobody uses them.
    pub max_idle: usize,
    /// None that is older is used again; of any age where None.
    pub max_lifetime: Option<Duration>,
    /// None that nobody used for longer is kept; for ever where None.
    pub max_idle_time: Option<Duration>,
}

impl Bounds {
    /// Reads the spec's pool; the error names the field. As in Go, a duration of 0 is no limit, and there are never
    /// more idle connections than connections.
    pub fn new(spec: Option<&ConnectionPool>) -> Result<Self, &'static str> {
        let (max_open, max_idle) = spec
            .map_or((defaults::max_open_conns(), defaults::max_idle_conns()), |s| (s.max_open_conns, s.max_idle_conns));
        let max_open = usize::try_from(max_open).ok().filter(|most| *most > 0);
        let max_open = max_open.ok_or("database.connectionPool.maxOpenConns must be at least 1")?;
        let max_idle =
            usize::try_from(max_idle).map_err(|_| "database.connectionPool.maxIdleConns must not be negative")?;
        let limit = |duration: Option<crate::crd::Duration>| duration.map(|d| d.0).filter(|d| !d.is_zero());
        Ok(Self {
            max_open,
            max_idle: max_idle.min(max_open),
            max_lifetime: limit(spec.and_then(|spec| spec.conn_max_lifetime)),
            max_idle_time: limit(spec.and_then(|spec| spec.conn_max_idle_time)),
        })
    }

    /// Most connections of the pool to a server that takes `per_server` of the operator's: at most half of them, so
    /// that no pool can keep all others from it.
    pub fn most_open(&self, per_server: usize) -> usize {
        self.max_open.min((per_server / 2).max(1))
    }

    /// Whether a connection that nobody uses has lasted for too long.
    pub fn is_over(&self, opened: Instant, idle_since: Instant, now: Instant) -> bool {
        let longer = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.saturating_duration_since(since) >= limit)
        };
        longer(opened, self.max_lifetime) || longer(idle_since, self.max_idle_time)
    }

    /// Whether a connection is kept that is given back to `idle` others.
    pub fn keeps(&self, opened: Instant, idle: usize, now: Instant) -> bool {
        idle < self.max_idle && !self.is_over(opened, now, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Duration as Written;

    const SECOND: Duration = Duration::from_secs(1);

    fn spec(max_open_conns: i32, max_idle_conns: i32) -> ConnectionPool {
        ConnectionPool { max_open_conns, max_idle_conns, conn_max_lifetime: None, conn_max_idle_time: None }
    }

    #[test]
    fn a_pool_has_four_connections_and_keeps_two_unless_the_spec_says_otherwise() {
        let bounds = Bounds::new(None).unwrap();
        assert_eq!((bounds.max_open, bounds.max_idle), (4, 2));
        assert_eq!((bounds.max_lifetime, bounds.max_idle_time), (None, None));
        let hour = Some(Written::from_secs(3600));
        let written = ConnectionPool { conn_max_lifetime: hour, ..spec(10, 5) };
        let bounds = Bounds::new(Some(&written)).unwrap();
        assert_eq!((bounds.max_open, bounds.max_idle, bounds.max_lifetime), (10, 5, Some(3600 * SECOND)));
    }

    #[test]
    fn more_idle_than_open_makes_no_sense_and_0_is_no_limit_of_time() {
        let none = Some(Written::from_secs(0));
        let written = ConnectionPool { conn_max_lifetime: none, conn_max_idle_time: none, ..spec(3, 9) };
        let bounds = Bounds::new(Some(&written)).unwrap();
        assert_eq!((bounds.max_idle, bounds.max_lifetime, bounds.max_idle_time), (3, None, None));
    }

    #[test]
    fn a_number_that_makes_no_sense_is_named() {
        assert!(Bounds::new(Some(&spec(0, 0))).unwrap_err().contains("maxOpenConns"));
        assert!(Bounds::new(Some(&spec(1, -1))).unwrap_err().contains("maxIdleConns"));
    }

    #[test]
    fn no_pool_has_more_than_half_of_a_server() {
        let bounds = Bounds::new(Some(&spec(30, 0))).unwrap();
        assert_eq!([100, 60, 50, 3, 2, 1].map(|per_server| bounds.most_open(per_server)), [30, 30, 25, 1, 1, 1]);
    }

    #[test]
    fn a_connection_is_over_when_it_is_too_old_or_was_idle_for_too_long() {
        let bounds =
            Bounds { max_lifetime: Some(60 * SECOND), max_idle_time: Some(10 * SECOND), ..Bounds::new(None).unwrap() };
        let opened = Instant::now();
        for (idle_since, now, over) in [(0, 9, false), (0, 10, true), (55, 59, false), (55, 60, true)] {
            assert_eq!(bounds.is_over(opened, opened + idle_since * SECOND, opened + now * SECOND), over, "{now}");
        }
        let unlimited = Bounds::new(None).unwrap();
        assert!(!unlimited.is_over(opened, opened, opened + 1_000_000 * SECOND));
    }

    #[test]
    fn one_that_is_given_back_is_kept_while_there_are_few_and_it_is_young() {
        let bounds = Bounds { max_lifetime: Some(60 * SECOND), ..Bounds::new(None).unwrap() };
        let opened = Instant::now();
        assert!(bounds.keeps(opened, 1, opened + SECOND));
        assert!(!bounds.keeps(opened, 2, opened + SECOND), "there are two already");
        assert!(!bounds.keeps(opened, 0, opened + 60 * SECOND), "it is too old");
        let none = Bounds { max_idle: 0, ..bounds };
        assert!(!none.keeps(opened, 0, opened));
    }
}
