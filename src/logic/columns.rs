//! The columns of a query, as the JSON text of a row shows them: each must have a name of its own, or templates could
//! not tell them apart. Pure.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Columns that cannot be told apart, or one that is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadColumns {
    /// Two columns of one name.
    #[error("two columns of the query are named {0}: name one of them otherwise with AS")]
    Duplicate(String),
    /// A column without a name.
    #[error("column {0} of the query has no name: give it one with AS")]
    Unnamed(usize),
    /// One that is to be part of the key.
    #[error("{field}: the query has no column named {name}")]
    NoKeyColumn {
        /// The field that names it.
        field: String,
        /// Its name.
        name: String,
    },
}

/// The names of the columns of one row, in order; all rows of a query have the same.
pub fn names(row: &str) -> Result<Vec<String>, BadColumns> {
    let mut json = serde_json::Deserializer::from_str(row);
    let names = json.deserialize_map(Names).unwrap_or_default();
    if let Some(unnamed) = names.iter().position(|name| name == "?column?") {
        return Err(BadColumns::Unnamed(unnamed + 1));
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(BadColumns::Duplicate(name.clone())),
        None => Ok(names),
    }
}

/// Collects the keys of an object, duplicates too.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_need_names_of_their_own() {
        assert_eq!(names(r#"{"a":1,"b":{"a":1}}"#), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(names(r#"{"a":1,"b":2,"a":3}"#), Err(BadColumns::Duplicate("a".into())));
        assert_eq!(names(r#"{"a":1,"?column?":2}"#), Err(BadColumns::Unnamed(2)));
    }
}
