//! Rows on their way out: handed on in batches that are small in number and in bytes, and counted against the limits.

use super::Error;
use crate::logic::row::Row;

/// Most rows of a batch.
const ROWS: usize = 256;
/// A batch is handed on once it has so many bytes.
const BYTES: usize = 1 << 20;
/// A result of more bytes is an error: it could take the whole operator down.
const MOST_BYTES: usize = 1 << 30;

/// Rows that were read and not yet handed on.
pub(super) struct Batch {
    rows: Vec<Row>,
    bytes: usize,
    count: u64,
    max_rows: u64,
    bytes_left: usize,
}

impl Batch {
    /// For a result of at most so many rows.
    pub(super) fn new(max_rows: u64) -> Self {
        Self { rows: Vec::new(), bytes: 0, count: 0, max_rows, bytes_left: MOST_BYTES }
    }

    /// Takes a row in; true once the batch is to be handed on.
    pub(super) fn push(&mut self, row: Row) -> Result<bool, Error> {
        if self.count == self.max_rows {
            return Err(Error::TooManyRows(self.max_rows));
        }
        self.count += 1;
        self.bytes_left = self.bytes_left.checked_sub(row.bytes()).ok_or(Error::TooLarge)?;
        self.bytes += row.bytes();
        self.rows.push(row);
        Ok(self.rows.len() >= ROWS || self.bytes >= BYTES)
    }

    /// How many rows there were so far, over all batches.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The rows since the last time; none if there were none.
    pub(super) fn take(&mut self) -> Option<Vec<Row>> {
        self.bytes = 0;
        Some(std::mem::take(&mut self.rows)).filter(|rows| !rows.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of so many bytes, half of them its key's.
    fn row(bytes: usize) -> Row {
        Row { json: "x".repeat(bytes - bytes / 2), key: Some("x".repeat(bytes / 2)), others: Vec::new() }
    }

    #[test]
    fn a_batch_is_full_by_number_or_by_bytes() {
        let mut batch = Batch::new(u64::MAX);
        assert_eq!(batch.take(), None);
        let pushed: Vec<bool> = (0..ROWS).map(|_| batch.push(row(1)).unwrap()).collect();
        assert_eq!(pushed.iter().position(|full| *full), Some(ROWS - 1));
        assert_eq!(batch.take().unwrap().len(), ROWS);
        assert_eq!(batch.push(row(BYTES - 1)), Ok(false), "it starts anew");
        assert_eq!(batch.push(row(1)), Ok(true));
    }

    #[test]
    fn rows_and_bytes_are_bounded_over_all_batches() {
        let mut batch = Batch::new(2);
        assert_eq!(batch.push(row(1)), Ok(false));
        batch.take();
        assert_eq!(batch.push(row(1)), Ok(false));
        assert_eq!(batch.push(row(1)), Err(Error::TooManyRows(2)));
        let mut batch = Batch { bytes_left: 10, ..Batch::new(9) };
        assert_eq!(batch.push(row(10)), Ok(false));
        batch.take();
        assert_eq!(batch.push(row(1)), Err(Error::TooLarge));
    }
}
