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
