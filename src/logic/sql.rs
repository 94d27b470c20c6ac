//! SQL as users write it: split into statements by PostgreSQL's own lexical rules, checked for what cannot
//! work, and wrapped so that rows come as JSON. Nothing here tries to understand a statement beyond its words;
//! that is the server's part. Pure.

mod lexer;
mod name;
mod query;
mod split;

pub use name::{Identifier, QualifiedName, identifier, qualified_name};
pub use query::{Query, Statement, parse_query};

/// What is wrong with a query or a name; a sentence that names the statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SqlError(pub String);
