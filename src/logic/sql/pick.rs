//! The rows of some keys alone. Pure.

use super::query::Query;
use super::{Identifier, Wrapped};
use crate::logic::row::Key;

/// Most keys that are asked for at once: beyond, to read everything is not much dearer.
pub const MOST_KEYS: usize = 256;

/// A statement that reads the rows of some keys, and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The statement.
    pub wrapped: Wrapped,
    /// Its parameters, as texts that the server is to read as what they are compared with.
    pub parameters: Vec<String>,
}

/// Keys that rows cannot be asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// More than [`MOST_KEYS`].
    #[error("too many keys to be read by themselves")]
    TooMany,
    /// Another number of values than there are columns.
    #[error("a key has not as many values as there are key columns")]
    OtherColumns,
}

impl Query {
    /// The rows whose columns have the values of one of the keys; `others` as in [`Self::rows`]. The server may think
    /// values equal whose texts differ: rows of keys that were not asked for come, too, and all of these keys.
    pub fn pick(&self, columns: &[Identifier], others: &[&[Identifier]], keys: &[Key]) -> Result<Pick, BadKeys> {
        let (condition, parameters) = condition(columns, keys)?;
        Ok(Pick { wrapped: self.rows_where(columns, others, &condition), parameters })
    }

    /// The row keys, by these columns, of the rows in which the columns `by` have the values of one of the keys. One
    /// more than [`MOST_KEYS`] at most.
    pub fn pick_keys(&self, columns: &[Identifier], by: &[Identifier], keys: &[Key]) -> Result<Pick, BadKeys> {
        if columns.is_empty() {
            return Err(BadKeys::OtherColumns);
        }
        let (condition, parameters) = condition(by, keys)?;
        Ok(Pick { wrapped: self.keys_where(columns, &condition, MOST_KEYS + 1), parameters })
    }
}

/// A condition on `q` that its columns have the values of one of the keys, and its parameters.
fn condition(columns: &[Identifier], keys: &[Key]) -> Result<(String, Vec<String>), BadKeys> {
    if keys.len() > MOST_KEYS {
        return Err(BadKeys::TooMany);
    }
    if columns.is_empty() || keys.iter().any(|key| key.parts().len() != columns.len()) {
        return Err(BadKeys::OtherColumns);
    }
    let mut parameters = Vec::new();
    let condition = match columns {
        [column] => one_of(column, keys, &mut parameters),
        _ => all_of(columns, keys, &mut parameters),
    };
    Ok((condition, parameters))
}

/// With one array an index is looked into once for each key, in order.
fn one_of(column: &Identifier, keys: &[Key], parameters: &mut Vec<String>) -> String {
    let values = || keys.iter().flat_map(|key| key.parts());
    parameters.push(array(values().flatten()));
    let null = if values().any(Option::is_none) { format!(" OR q.{column} IS NULL") } else { String::new() };
    format!("q.{column} = ANY($1){null}")
}

fn all_of(columns: &[Identifier], keys: &[Key], parameters: &mut Vec<String>) -> String {
    let mut equal = |(column, value): (&Identifier, &Option<String>)| match value {
        None => format!("q.{column} IS NULL"),
        Some(value) => {
            parameters.push(value.clone());
            format!("q.{column} = ${}", parameters.len())
        }
    };
    let mut each = |key: &Key| {
        let parts: Vec<String> = columns.iter().zip(key.parts()).map(&mut equal).collect();
        format!("({})", parts.join(" AND "))
    };
    let any: Vec<String> = keys.iter().map(&mut each).collect();
    if any.is_empty() { "false".into() } else { any.join(" OR ") }
}

/// An array's text, with every element quoted.
fn array<'a>(values: impl Iterator<Item = &'a String>) -> String {
    let mut text = String::from("{");
    for (index, value) in values.enumerate() {
        text += if index == 0 { "\"" } else { ",\"" };
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text + "}"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::sql::{identifier, parse_query};

    fn picked(columns: &[&str], keys: &[&str]) -> Result<(String, Vec<String>), BadKeys> {
        let columns: Vec<Identifier> = columns.iter().map(|name| identifier(name).unwrap()).collect();
        let keys: Vec<Key> = keys.iter().map(|key| Key::parse(key).unwrap()).collect();
        let pick = parse_query("SELECT * FROM t", true).unwrap().pick(&columns, &[], &keys)?;
        let (_, condition) = pick.wrapped.text.split_once("\n) q WHERE ").unwrap();
        Ok((condition.to_owned(), pick.parameters))
    }

    #[test]
    fn one_column_is_compared_with_an_array() {
        let (condition, parameters) = picked(&["id"], &[r#"["1"]"#, r#"["a\"b\\,{} NULL"]"#]).unwrap();
        assert_eq!(condition, r#"q."id" = ANY($1)"#);
        assert_eq!(parameters, [r#"{"1","a\"b\\,{} NULL"}"#]);
        let (condition, parameters) = picked(&["id"], &["[null]", r#"[""]"#]).unwrap();
        assert_eq!((condition.as_str(), parameters[0].as_str()), (r#"q."id" = ANY($1) OR q."id" IS NULL"#, r#"{""}"#));
    }

    #[test]
    fn several_columns_are_compared_one_by_one() {
        let (condition, parameters) = picked(&["a", "\"B\""], &[r#"["1","x"]"#, r#"["2",null]"#]).unwrap();
        assert_eq!(condition, r#"(q."a" = $1 AND q."B" = $2) OR (q."a" = $3 AND q."B" IS NULL)"#);
        assert_eq!(parameters, ["1", "x", "2"]);
    }

    #[test]
    fn the_keys_of_rows_are_asked_for_by_other_columns() {
        let query = parse_query("SELECT * FROM t", true).unwrap();
        let [id, by] = ["id", "plan"].map(|name| [identifier(name).unwrap()]);
        let pick = query.pick_keys(&id, &by, &[Key::parse(r#"["x"]"#).unwrap()]).unwrap();
        let asked = "SELECT DISTINCT array_to_json(ARRAY[q.\"id\"::text])::text FROM (\nSELECT * FROM t\n) q \
                     WHERE q.\"plan\" = ANY($1) LIMIT 257";
        assert_eq!((pick.wrapped.text.as_str(), pick.parameters), (asked, vec![r#"{"x"}"#.to_owned()]));
        assert_eq!(query.pick_keys(&[], &by, &[]), Err(BadKeys::OtherColumns));
    }

    #[test]
    fn keys_of_another_shape_or_too_many_are_refused() {
        assert_eq!(picked(&["a", "b"], &[r#"["1"]"#]), Err(BadKeys::OtherColumns));
        assert_eq!(picked(&[], &[]), Err(BadKeys::OtherColumns));
        assert_eq!(picked(&["a"], &vec![r#"["1"]"#; MOST_KEYS + 1]), Err(BadKeys::TooMany));
        assert!(picked(&["a"], &vec![r#"["1"]"#; MOST_KEYS]).is_ok());
        assert_eq!(picked(&["a", "b"], &[]).unwrap().0, "false");
    }
}
