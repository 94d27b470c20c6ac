//! SQL as users write it: split into statements by PostgreSQL's own lexical rules, checked for what cannot
//! work, and wrapped so that rows come as JSON. Nothing here tries to understand a statement beyond its words;
//! that is the server's part. Pure.

mod key;
mod lexer;
mod mention;
mod name;
mod pick;
mod query;
mod split;
mod wrap;

pub use key::RowKey;
pub use mention::Mentions;
pub use name::{Identifier, QualifiedName, identifier, qualified_name};
pub use pick::{BadKeys, MOST_KEYS, Pick};
pub use query::{Query, Statement, parse_query};
pub use wrap::Wrapped;

/// What is wrong with a query or a name; a sentence that names the statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SqlError(pub String);

/// The statements of a text, in order, without the semicolons between them and the comments around them; empty ones
/// are left out. An error where a string, comment or body does not end.
pub fn statements(text: &str) -> Result<Vec<&str>, SqlError> {
    Ok(split::split(text)?.into_iter().map(|part| &text[part.range]).collect())
}
