//! One row of a result, and what it is called. Pure.

mod key;

use std::fmt;
use std::sync::Arc;

pub use key::Key;

/// A longer key is cut where it is shown.
const LONGEST: usize = 200;

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The text of a JSON object with its columns.
    pub json: String,
    /// The text of a JSON array with the values of its key columns, each as text or null; None where there are no such
    /// columns.
    pub key: Option<String>,
    /// The same of the key columns of each further table whose rows' keys are to be known; texts as in `key`.
    pub others: Vec<String>,
}

impl Row {
    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.json.len() + self.key.iter().chain(&self.others).map(String::len).sum::<usize>()
    }
}

/// What a row is called: by its key where it has one, else by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowName {
    /// Number of the row in its result, from 1.
    pub number: u64,
    /// The row's key. Rows of one result may have the same.
    pub key: Option<Arc<str>>,
}

impl From<u64> for RowName {
    /// Of a row without a key.
    fn from(number: u64) -> Self {
        Self { number, key: None }
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => write!(f, "{}", self.number),
            Some(key) => match key.char_indices().nth(LONGEST) {
                None => f.write_str(key),
                Some((end, _)) => write!(f, "{}…", &key[..end]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_called_by_its_key_or_its_number() {
        let keyed = |key: &str| RowName { number: 3, key: Some(key.into()) }.to_string();
        assert_eq!(RowName::from(3).to_string(), "3");
        assert_eq!(keyed(r#"["acme",null]"#), r#"["acme",null]"#);
        assert_eq!(keyed(&"ü".repeat(1000)), "ü".repeat(LONGEST) + "…");
    }
}
