//! Names of tables and columns as users write them, read as SQL identifiers: folded to lower case unless quoted.
//! What is made of them is always quoted, so that a name is never anything else. Pure.

use std::fmt;

use postgres_protocol::escape::escape_identifier;

use super::SqlError;
use super::lexer::{Kind, tokens};

/// One name, as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(String);

/// A table's name, with its schema where one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName(Vec<Identifier>);

impl fmt::Display for Identifier {
    /// Quoted, ready to be put into SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_identifier(&self.0))
    }
}

impl fmt::Display for QualifiedName {
    /// Quoted, ready to be put into SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join("."))
    }
}

impl Identifier {
    /// A name that the server's catalogs have.
    pub fn of_catalog(name: String) -> Self {
        Self(name)
    }

    /// The name itself, as the server's catalogs have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As one would write it: quoted only where it has to be.
    pub fn shown(&self) -> String {
        let starts = self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if starts && self.0.chars().all(plain) { self.0.clone() } else { self.to_string() }
    }
}

impl QualifiedName {
    /// A table as the server's catalogs have it.
    pub fn of_catalog(schema: String, table: String) -> Self {
        Self(vec![Identifier(schema), Identifier(table)])
    }

    /// The schema, where one was given.
    pub fn schema(&self) -> Option<&str> {
        self.0.iter().rev().nth(1).map(Identifier::as_str)
    }

    /// The table, without its schema.
    pub fn table(&self) -> &str {
        self.0.last().map_or("", Identifier::as_str)
    }

    /// As one would write it: quoted only where it has to be.
    pub fn shown(&self) -> String {
        let names: Vec<String> = self.0.iter().map(Identifier::shown).collect();
        names.join(".")
    }
}

/// Reads a column's name.
pub fn identifier(text: &str) -> Result<Identifier, SqlError> {
    let mut names = names(text)?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err(SqlError("expected one name, without a schema or table".into())),
    }
}

/// Reads a table's name: `table` or `schema.table`.
pub fn qualified_name(text: &str) -> Result<QualifiedName, SqlError> {
    let names = names(text)?;
    if names.len() <= 2 { Ok(QualifiedName(names)) } else { Err(SqlError("expected table or schema.table".into())) }
}

/// Names joined by dots.
fn names(text: &str) -> Result<Vec<Identifier>, SqlError> {
    let not_a_name = || SqlError("not an SQL name; put it into double quotes if it has unusual characters".into());
    let mut names = Vec::new();
    let mut name_is_next = true;
    for token in tokens(text)? {
        let part = &text[token.start..token.end];
        match (name_is_next, token.kind) {
            // As the server does with UTF-8: other letters than these are left as they are.
            (true, Kind::Word) => names.push(Identifier(part.to_ascii_lowercase())),
            // The Unicode escapes of U&"" are left to those who need them in a query.
            (true, Kind::QuotedName) if part.starts_with('"') => {
                let inner = part[1..part.len() - 1].replace("\"\"", "\"");
                if inner.is_empty() || inner.contains('\0') {
                    return Err(not_a_name());
                }
                names.push(Identifier(inner));
            }
            (false, Kind::Other) if part == "." => {}
            _ => return Err(not_a_name()),
        }
        name_is_next = !name_is_next;
    }
    if name_is_next { Err(not_a_name()) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_unless_quoted_and_are_always_written_quoted() {
        for (text, sql) in [
            ("Tenants", r#""tenants""#),
            ("public.Tenants", r#""public"."tenants""#),
            (r#""My Schema"."My ""Table""""#, r#""My Schema"."My ""Table""""#),
            ("GRÖSSE", "\"grÖsse\""),
        ] {
            assert_eq!(qualified_name(text).unwrap().to_string(), sql, "{text}");
        }
    }

    #[test]
    fn people_see_quotes_only_where_they_are_needed() {
        for (text, schema, table, shown) in [
            ("Tenants", None, "tenants", "tenants"),
            ("public.Tenants_2", Some("public"), "tenants_2", "public.tenants_2"),
            (r#""My Schema".t"#, Some("My Schema"), "t", r#""My Schema".t"#),
            (r#""2""#, None, "2", r#""2""#),
        ] {
            let name = qualified_name(text).unwrap();
            assert_eq!((name.schema(), name.table(), name.shown().as_str()), (schema, table, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "a b",
            "a;drop table b",
            "a.b.c",
            "a..b",
            ".a",
            "a.",
            "'a'",
            "a--",
            "a)",
            "\"\"",
            "1a",
            "\"a",
            "t where true",
        ] {
            assert!(qualified_name(text).is_err() || text == "a--", "{text}");
        }
        assert!(identifier("a.b").is_err());
        assert_eq!(qualified_name("a-- comment").unwrap().to_string(), r#""a""#, "a comment is no part of a name");
    }
}
