//! Rows that failed, at whichever step. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::row::RowName;

/// Failures that are kept with their message; the others are only counted.
pub const KEPT: usize = 10;

/// Failed rows: all of their numbers, and what is told of the first few.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    /// The numbers of the rows by their keys.
    rows: HashMap<Option<Arc<str>>, BTreeSet<u64>>,
    /// The keys of those of which nobody knows what they want.
    unrendered: HashSet<Option<Arc<str>>>,
    kept: Vec<RowFailure>,
}

/// One failed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFailure {
    /// Which row.
    pub row: RowName,
    /// The object, where it got that far.
    pub object: Option<String>,
    /// One word.
    pub reason: &'static str,
    /// What went wrong; never a value of the row.
    pub message: String,
}

impl Failures {
    /// Adds one.
    pub fn push(&mut self, failure: RowFailure) {
        self.rows.entry(failure.row.key.clone()).or_default().insert(failure.row.number);
        if failure.object.is_none() {
            self.unrendered.insert(failure.row.key.clone());
        }
        // By rows, in whichever order they failed: so the same failures give the same status.
        let place = |one: &RowFailure| (one.row.number, one.row.key.clone(), one.object.clone());
        let at = self.kept.partition_point(|one| place(one) <= place(&failure));
        self.kept.insert(at, failure);
        self.kept.truncate(KEPT);
    }

    /// Adds them.
    pub fn extend(&mut self, failures: impl IntoIterator<Item = RowFailure>) {
        failures.into_iter().for_each(|failure| self.push(failure));
    }

    /// Adds those of other rows.
    pub fn merge(&mut self, others: Self) {
        let Self { rows, unrendered, kept } = others;
        self.extend(kept);
        self.unrendered.extend(unrendered);
        for (key, numbers) in rows {
            self.rows.entry(key).or_default().extend(numbers);
        }
    }

    /// The rows of this key are read again.
    pub fn forget(&mut self, key: &Arc<str>) {
        let key_of = Some(key.clone());
        self.unrendered.remove(&key_of);
        if self.rows.remove(&key_of).is_some() {
            self.kept.retain(|one| one.row.key.as_ref() != Some(key));
        }
    }

    /// Whether a row of this key failed.
    pub fn has(&self, key: &Arc<str>) -> bool {
        self.rows.contains_key(&Some(key.clone()))
    }

    /// How many rows failed.
    pub fn rows(&self) -> usize {
        self.rows.values().map(BTreeSet::len).sum()
    }

    /// Their keys; None for those that have none.
    pub fn keys(&self) -> impl Iterator<Item = Option<&Arc<str>>> {
        self.rows.keys().map(Option::as_ref)
    }

    /// The keys of those of which nobody knows what they want, as they could not be rendered.
    pub fn unrendered(&self) -> impl Iterator<Item = Option<&Arc<str>>> {
        self.unrendered.iter().map(Option::as_ref)
    }

    /// Whether none failed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first few.
    pub fn kept(&self) -> &[RowFailure] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(number: u64, key: &str) -> RowFailure {
        let row = RowName { number, key: Some(key.into()) };
        RowFailure { row, object: None, reason: "RenderFailed", message: String::new() }
    }

    #[test]
    fn the_rows_of_a_key_that_are_read_again_fail_anew_or_not_at_all() {
        let mut failures = Failures::default();
        failures.extend([failure(1, "a"), failure(2, "b"), failure(3, "b")]);
        failures.forget(&"b".into());
        let mut again = Failures::default();
        again.push(failure(1, "b"));
        failures.merge(again);
        assert_eq!((failures.rows(), failures.kept().len()), (2, 2));
        failures.forget(&"a".into());
        failures.forget(&"b".into());
        assert!(failures.is_empty() && failures.kept().is_empty());
    }

    #[test]
    fn of_many_failures_the_first_are_told_and_all_are_counted() {
        let mut failures = Failures::default();
        failures.extend((1..=2 * KEPT as u64).rev().map(|number| failure(number, &number.to_string())));
        assert_eq!((failures.rows(), failures.kept().len()), (2 * KEPT, KEPT));
        assert_eq!(failures.kept()[0].row.number, 1);
    }
}
