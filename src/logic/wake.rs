//! What is to be looked at again: all rows, or those with some keys. Pure.

use std::time::Instant;

use super::rows::Keys;
use super::sql::MOST_KEYS;

/// A reason to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At all rows.
    Everything,
    /// At the rows with these keys; texts as [`super::row::Row::key`] has them.
    Keys(Keys),
}

impl Wake {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Keys(mut keys), Self::Keys(more)) => {
                keys.extend(more);
                if keys.len() > MOST_KEYS { Self::Everything } else { Self::Keys(keys) }
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
}

impl Pending {
    /// One wake.
    pub fn new(wake: Wake, now: Instant) -> Self {
        Self { wake, since: now, is_redefined: false }
    }

    /// Both together.
    pub fn and(self, later: Self) -> Self {
        Self {
            wake: self.wake.and(later.wake),
            since: self.since.min(later.since),
            is_redefined: self.is_redefined || later.is_redefined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(range: std::ops::Range<usize>) -> Wake {
        Wake::Keys(range.map(|key| format!("[\"{key}\"]").into()).collect())
    }

    #[test]
    fn wakes_add_up_until_all_rows_are_cheaper() {
        assert_eq!(keys(0..2).and(keys(1..3)), keys(0..3));
        assert_eq!(keys(0..2).and(Wake::Everything), Wake::Everything);
        assert_eq!(Wake::Everything.and(keys(0..2)), Wake::Everything);
        assert_eq!(keys(0..MOST_KEYS).and(keys(0..1)), keys(0..MOST_KEYS));
        assert_eq!(keys(0..MOST_KEYS).and(keys(MOST_KEYS..MOST_KEYS + 1)), Wake::Everything);
    }

    #[test]
    fn what_was_not_heeded_is_as_old_as_its_first() {
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(1);
        let redefined = Pending { is_redefined: true, ..Pending::new(Wake::Everything, later) };
        let both = redefined.and(Pending::new(keys(0..1), now));
        assert_eq!((both.wake, both.since, both.is_redefined), (Wake::Everything, now, true));
    }
}
