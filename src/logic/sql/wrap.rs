//! What is put around the last statement, so that its rows, or its columns alone, come as JSON. Pure.

use super::Identifier;
use super::query::Query;

/// A statement with text of ours around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The whole, ready to be sent.
    pub text: String,
    /// Characters before the statement.
    before: usize,
    /// Characters of the statement.
    inside: usize,
    /// Where the columns of the key are asked for: characters before each.
    keys: Vec<usize>,
}

/// The newlines around the statement keep a trailing `--` comment from swallowing the end.
const READ: [&str; 3] = ["SELECT row_to_json(q.*)::text", " FROM (\n", "\n) q"];
const WRITE: [&str; 3] = ["WITH q AS (\n", "\n) SELECT row_to_json(q.*)::text", " FROM q"];
/// The server sees that no row can come of it, and runs nothing of it.
const COLUMNS: [&str; 2] =
    ["SELECT row_to_json(r.*)::text FROM (SELECT q.* FROM (SELECT) one LEFT JOIN (\n", "\n) q ON false) r"];
/// PostgreSQL 18 knows one of these that others do not.
const EXPLAIN: &str = "\
    SELECT pg_catalog.set_config(name, 'off', true) FROM pg_catalog.pg_settings WHERE name IN ( \
    'enable_partition_pruning', 'constraint_exclusion', 'enable_partitionwise_join', 'enable_self_join_elimination'); \
    EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON)\n";

impl Query {
    /// The last statement, so that each row is one JSON text; with a key, the row's key is a second one: the array of
    /// these columns' values, each as text. `others` are the columns of further keys, each of which is one more.
    pub fn rows(&self, key: &[Identifier], others: &[&[Identifier]]) -> Wrapped {
        let mut wrapped = Wrapped { text: String::new(), before: 0, inside: 0, keys: Vec::new() };
        if self.changes_data {
            wrapped.put(WRITE[0]).put_statement(self).put(WRITE[1]).put_keys(key, others).put(WRITE[2]);
        } else {
            wrapped.put(READ[0]).put_keys(key, others).put(READ[1]).put_statement(self).put(READ[2]);
        }
        wrapped
    }

    /// The same, of the rows that a condition on `q` allows. It must not change data.
    pub(super) fn rows_where(&self, key: &[Identifier], others: &[&[Identifier]], condition: &str) -> Wrapped {
        let mut wrapped = self.rows(key, others);
        wrapped.put(" WHERE ").put(condition);
        wrapped
    }

    /// The keys alone of the rows that a condition on `q` allows, each once, and at most so many. It must not change data.
    pub(super) fn keys_where(&self, key: &[Identifier], condition: &str, most: usize) -> Wrapped {
        let mut wrapped = Wrapped { text: String::new(), before: 0, inside: 0, keys: Vec::new() };
        wrapped.put("SELECT DISTINCT ").put_array(key).put(READ[1]).put_statement(self).put(READ[2]);
        wrapped.put(" WHERE ").put(condition).put(&format!(" LIMIT {most}"));
        wrapped
    }

    /// How the server would run the last statement, as JSON, with the names of all that it has to do with. Only what
    /// the statement says decides on it: no part is left out because of what it asks for now.
    pub fn explained(&self) -> Wrapped {
        let mut wrapped = Wrapped { text: String::new(), before: 0, inside: 0, keys: Vec::new() };
        wrapped.put(EXPLAIN).put_statement(self);
        wrapped
    }

    /// The last statement, so that one row of nulls comes, which has its columns, and nothing of it runs. None where
    /// it changes data: the server would not leave that out.
    pub fn columns(&self) -> Option<Wrapped> {
        let mut wrapped = Wrapped { text: String::new(), before: 0, inside: 0, keys: Vec::new() };
        wrapped.put(COLUMNS[0]).put_statement(self).put(COLUMNS[1]);
        (!self.changes_data).then_some(wrapped)
    }
}

impl Wrapped {
    /// A position that the server gave for the whole (in characters, from 1), in the statement as it was written; None
    /// if it lies outside.
    pub fn position(&self, position: usize) -> Option<usize> {
        position.checked_sub(self.before).filter(|p| (1..=self.inside).contains(p))
    }

    /// Which column of the key, from 0, is asked for at a position that the server gave.
    pub fn key_at(&self, position: usize) -> Option<usize> {
        self.keys.iter().position(|before| before + 1 == position)
    }

    fn put(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn put_statement(&mut self, query: &Query) -> &mut Self {
        self.before = self.text.chars().count();
        self.inside = query.last.text.chars().count();
        self.put(&query.last.text)
    }

    fn put_keys(&mut self, key: &[Identifier], others: &[&[Identifier]]) -> &mut Self {
        if !key.is_empty() {
            self.put(", ").put_array(key);
        }
        let own = self.keys.len();
        others.iter().for_each(|other| _ = self.put(", ").put_array(other));
        // The spec need not say these.
        self.keys.truncate(own);
        self
    }

    fn put_array(&mut self, key: &[Identifier]) -> &mut Self {
        for (index, column) in key.iter().enumerate() {
            self.put(if index == 0 { "array_to_json(ARRAY[" } else { ", " });
            self.keys.push(self.text.chars().count());
            self.put(&format!("q.{column}::text"));
        }
        self.put("])::text")
    }
}

#[cfg(test)]
mod tests {
    use crate::logic::sql::{identifier, parse_query};

    #[test]
    fn rows_come_as_json_and_their_keys_beside_them() {
        let query = parse_query("SET a = 1; SELECT 1 AS x -- one\n;", true).unwrap();
        assert_eq!(query.rows(&[], &[]).text, "SELECT row_to_json(q.*)::text FROM (\nSELECT 1 AS x\n) q");
        let key = [identifier("x").unwrap(), identifier("\"Y\"").unwrap()];
        let keyed = "SELECT row_to_json(q.*)::text, array_to_json(ARRAY[q.\"x\"::text, q.\"Y\"::text])::text FROM (\nSELECT 1 AS x\n) q";
        assert_eq!(query.rows(&key, &[]).text, keyed);
        let showing = query.rows(&key[..1], &[&key[1..], &key]);
        let columns = "array_to_json(ARRAY[q.\"x\"::text])::text, array_to_json(ARRAY[q.\"Y\"::text])::text, \
                       array_to_json(ARRAY[q.\"x\"::text, q.\"Y\"::text])::text";
        assert_eq!(showing.text, format!("SELECT row_to_json(q.*)::text, {columns} FROM (\nSELECT 1 AS x\n) q"));
        let second = showing.text.find("q.\"Y\"").unwrap();
        assert_eq!(showing.key_at(second + 1), None, "which is no part of the row's key");
        let delete = parse_query("DELETE FROM t RETURNING x", false).unwrap();
        assert_eq!(
            delete.rows(&key[..1], &[]).text,
            "WITH q AS (\nDELETE FROM t RETURNING x\n) SELECT row_to_json(q.*)::text, array_to_json(ARRAY[q.\"x\"::text])::text FROM q"
        );
        assert_eq!(delete.columns(), None, "it would run");
    }

    #[test]
    fn a_position_of_the_server_is_found_in_what_the_user_wrote_or_in_the_key() {
        let query = parse_query("SET a = 1;\nSELECT 'ü', nmae FROM t", true).unwrap();
        let key = [identifier("\"ü\"").unwrap(), identifier("b").unwrap()];
        for wrapped in [query.rows(&[], &[]), query.rows(&key, &[]), query.columns().unwrap()] {
            let at = |word: &str| wrapped.text.find(word).map(|byte| wrapped.text[..byte].chars().count() + 1).unwrap();
            assert_eq!(wrapped.position(at("nmae")), Some(13));
            assert_eq!(wrapped.position(3), None, "that is ours");
            assert_eq!(wrapped.position(wrapped.text.chars().count()), None);
        }
        let wrapped = query.rows(&key, &[]);
        let second = wrapped.text.find("q.\"b\"").map(|byte| wrapped.text[..byte].chars().count() + 1).unwrap();
        assert_eq!((wrapped.key_at(second), wrapped.key_at(second + 1)), (Some(1), None));
    }
}
