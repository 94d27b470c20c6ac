//! What is to be looked at again: all rows, or those with some keys. Pure.

use std::time::Instant;

use super::rows::{Keys, OtherKeys};
use super::sql::MOST_KEYS;

/// A reason to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At all rows.
    Everything,
    /// At the rows with these keys, or that have to do with these rows of other tables.
    Keys(Touched),
}

/// Keys of what changed; texts as [`super::row::Row::key`] has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Of rows of the first table, by which the query's rows are called.
    pub rows: Keys,
    /// Of rows of other tables.
    pub others: OtherKeys,
}

impl From<Keys> for Touched {
    fn from(rows: Keys) -> Self {
        Self { rows, ..Self::default() }
    }
}

impl From<OtherKeys> for Touched {
    fn from(others: OtherKeys) -> Self {
        Self { others, ..Self::default() }
    }
}

impl Wake {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Keys(mut keys), Self::Keys(more)) => {
                keys.rows.extend(more.rows);
                keys.others.extend(more.others);
                let is_much = keys.rows.len() + keys.others.len() > MOST_KEYS;
                if is_much { Self::Everything } else { Self::Keys(keys) }
            }
            _ => Self::Everything,
        }
    }
}

/// What woke a resource and was not heeded yet: however much it was, one look will do.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What to look at.
    pub wake: Wake,
    /// When the first of it came.
    pub since: Instant,
    /// Whether watched tables may not be what they were.
    pub is_redefined: bool,
    /// Whether a table has notified. Else somebody has looked, or is to look.
    pub is_heard: bool,
}

impl Pending {
    /// One wake.
    pub fn new(wake: Wake, now: Instant) -> Self {
        Self { wake, since: now, is_redefined: false, is_heard: false }
    }

    /// One that a table has notified.
    pub fn heard(wake: Wake, now: Instant) -> Self {
        Self { is_heard: true, ..Self::new(wake, now) }
    }

    /// Both together.
    pub fn and(self, later: Self) -> Self {
        Self {
            wake: self.wake.and(later.wake),
            since: self.since.min(later.since),
            is_redefined: self.is_redefined || later.is_redefined,
            is_heard: self.is_heard || later.is_heard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(range: std::ops::Range<usize>) -> Wake {
        Wake::Keys(range.map(|key| format!("[\"{key}\"]").into()).collect::<Keys>().into())
    }

    fn others(table: u32, range: std::ops::Range<usize>) -> Wake {
        Wake::Keys(range.map(|key| (table, format!("[\"{key}\"]").into())).collect::<OtherKeys>().into())
    }

    #[test]
    fn wakes_add_up_until_all_rows_are_cheaper() {
        assert_eq!(keys(0..2).and(keys(1..3)), keys(0..3));
        assert_eq!(keys(0..2).and(Wake::Everything), Wake::Everything);
        assert_eq!(Wake::Everything.and(keys(0..2)), Wake::Everything);
        assert_eq!(keys(0..MOST_KEYS).and(keys(0..1)), keys(0..MOST_KEYS));
        assert_eq!(keys(0..MOST_KEYS).and(keys(MOST_KEYS..MOST_KEYS + 1)), Wake::Everything);
        assert_eq!(keys(0..MOST_KEYS).and(others(1, 0..1)), Wake::Everything);
        let Wake::Keys(all) = keys(0..2).and(others(1, 0..2)).and(others(2, 0..2)).and(others(1, 1..2)) else {
            panic!("that is not much")
        };
        assert_eq!((all.rows.len(), all.others.len()), (2, 4), "each with its table");
    }

    #[test]
    fn what_was_not_heeded_is_as_old_as_its_first() {
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(1);
        let redefined = Pending { is_redefined: true, ..Pending::new(Wake::Everything, later) };
        assert!(!redefined.is_heard);
        let both = redefined.and(Pending::heard(keys(0..1), now));
        assert_eq!((both.wake, both.since), (Wake::Everything, now));
        assert!(both.is_redefined && both.is_heard, "whatever else it was");
    }
}
