//! Watches over the watchers: whether the tables that notify have changed without a word. Pure: the time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A table's counters may tell this much later of what was notified: what changes without a word in this time is taken for
/// that.
pub const LAG: Duration = Duration::from_secs(15);

/// What the catalogs say of one watched table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Hash of the counters of changes, of it and all its partitions.
    pub counters: i64,
    /// Hash of what it is: files, columns, partitions.
    pub definition: i64,
    /// Hash of the triggers that notify and their functions; None where one is missing or switched off.
    pub triggers: Option<i64>,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Nothing.
    Quiet,
    /// It has changed and nobody said so.
    Changed,
    /// It is not what it was, or does not notify as it did: all that was found out of it is to be found out again.
    Redefined,
}

/// The tables that one connection listens for.
#[derive(Debug, Default)]
pub struct Vigil {
    tables: HashMap<i64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    last: Option<Sight>,
    notified: Option<Instant>,
}

impl Vigil {
    /// Only these tables are of interest.
    pub fn retain(&mut self, is_watched: impl Fn(i64) -> bool) {
        self.tables.retain(|oid, _| is_watched(*oid));
    }

    /// A table has notified, or was read although it did not.
    pub fn notified(&mut self, oid: i64, now: Instant) {
        self.tables.entry(oid).or_default().notified = Some(now);
    }

    /// Whether there was a look at a table already.
    pub fn has_seen(&self, oid: i64) -> bool {
        self.tables.get(&oid).is_some_and(|entry| entry.last.is_some())
    }

    /// What a look found, None where there is no such table. The first look says how it is.
    pub fn look(&mut self, oid: i64, found: Option<Sight>, now: Instant) -> Finding {
        let Some(sight) = found else {
            self.tables.remove(&oid);
            return Finding::Redefined;
        };
        let entry = self.tables.entry(oid).or_default();
        let Some(last) = entry.last.replace(sight) else {
            return if sight.triggers.is_some() { Finding::Quiet } else { Finding::Redefined };
        };
        let is_explained = entry.notified.is_some_and(|at| now.saturating_duration_since(at) < LAG);
        if sight.definition != last.definition || sight.triggers != last.triggers || sight.triggers.is_none() {
            Finding::Redefined
        } else if sight.counters != last.counters && !is_explained {
            Finding::Changed
        } else {
            Finding::Quiet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SIGHT: Sight = Sight { counters: 1, definition: 1, triggers: Some(1) };

    fn vigil(now: Instant) -> Vigil {
        let mut vigil = Vigil::default();
        vigil.notified(7, now - LAG);
        assert!(!vigil.has_seen(7));
        assert_eq!(vigil.look(7, Some(SIGHT), now), Finding::Quiet);
        assert!(vigil.has_seen(7));
        vigil
    }

    #[test]
    fn a_change_that_was_notified_is_no_surprise() {
        let now = Instant::now();
        let mut vigil = vigil(now);
        vigil.notified(7, now);
        assert_eq!(vigil.look(7, Some(Sight { counters: 2, ..SIGHT }), now + 10 * SECOND), Finding::Quiet);
        assert_eq!(vigil.look(7, Some(Sight { counters: 2, ..SIGHT }), now + 20 * SECOND), Finding::Quiet);
        assert_eq!(vigil.look(7, Some(Sight { counters: 3, ..SIGHT }), now + 30 * SECOND), Finding::Changed);
    }

    #[test]
    fn a_change_without_a_word_is_seen_once() {
        let now = Instant::now();
        let mut vigil = vigil(now);
        assert_eq!(
            vigil.look(7, Some(Sight { counters: 0, ..SIGHT }), now),
            Finding::Changed,
            "whichever way they went"
        );
        assert_eq!(vigil.look(7, Some(Sight { counters: 0, ..SIGHT }), now), Finding::Quiet);
    }

    #[test]
    fn no_notification_explains_another_file_or_trigger() {
        let now = Instant::now();
        let mut vigil = vigil(now);
        vigil.notified(7, now);
        assert_eq!(vigil.look(7, Some(Sight { definition: 2, ..SIGHT }), now), Finding::Redefined);
        assert_eq!(vigil.look(7, Some(Sight { definition: 2, triggers: Some(2), ..SIGHT }), now), Finding::Redefined);
        let without = Sight { definition: 2, triggers: None, ..SIGHT };
        assert_eq!(vigil.look(7, Some(without), now), Finding::Redefined);
        assert_eq!(vigil.look(7, Some(without), now), Finding::Redefined, "as long as it is so");
        assert_eq!(vigil.look(7, None, now), Finding::Redefined);
    }

    #[test]
    fn a_table_without_its_triggers_is_seen_at_the_first_look() {
        let now = Instant::now();
        assert_eq!(Vigil::default().look(7, Some(Sight { triggers: None, ..SIGHT }), now), Finding::Redefined);
    }
}
