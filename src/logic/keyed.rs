//! Whether the rows of some keys may be read by themselves after a change of a table: only where a change of a row of
//! that table changes no rows of the query but those with its key. Pure.
//!
//! The server's own plan is asked. What it computes is a sum over the table's rows as long as the table is read in one
//! place, everything above that place takes its rows one by one, and nothing looks at the table in another way (see
//! [`plan`]). If then each row's key is that of the table's row it was made of, the rows of one key depend on no row of
//! the table with another. A plan tells that for any data: it does what the query says, and is asked for with
//! everything turned off by which the server leaves out what the present constants do not need. What runs inside of
//! functions does not show, so these are looked up (see [`routine`]).

pub mod plan;
pub mod routine;

use super::sql::{Identifier, QualifiedName, Query};
use plan::Plan;
use routine::Routine;

/// Why everything is read after each change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("full reads: {0}")]
pub struct Whole(String);

impl Whole {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// For a statement that changes data.
    pub fn changes_data() -> Self {
        Self::new("the last statement changes data")
    }

    /// There is no such table where the setup statements say.
    pub fn no_table(name: &QualifiedName) -> Self {
        Self::new(format!("there is no table {}", name.shown()))
    }

    /// Values of the key's types are not to be compared.
    pub fn not_comparable() -> Self {
        Self::new("PostgreSQL cannot look for values of the key columns' types")
    }
}

/// That and how rows may be read by their keys. Equal ones hold for the same query, table and definition of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedPlan {
    /// The columns of the key, in order: of the query, and of the table by the same names.
    pub columns: Vec<Identifier>,
    /// The watched table.
    pub table: u32,
    /// Of the definition of the table, its partitions and their unique indexes.
    pub definition: i64,
}

/// The watched table, as the catalogs have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// As the user calls it.
    pub name: String,
    /// Its identity.
    pub oid: u32,
    /// `pg_class.relkind`.
    pub kind: char,
    /// It and all that is read as a part of it, and all that it is read as a part of.
    pub family: Vec<Member>,
    /// See [`KeyedPlan::definition`].
    pub definition: i64,
}

/// A table of a tree of partitions, or of tables that inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether it is the watched table or a part of it.
    pub is_part: bool,
}

/// What can be said before the server is asked.
pub fn consider(query: &Query) -> Result<(), Whole> {
    if query.changes_data() {
        return Err(Whole::changes_data());
    }
    query.first_that_makes().map_or(Ok(()), |number| {
        let which = query.which(number);
        Err(Whole::new(format!("{which} is none of SET, RESET, LOAD and CREATE EXTENSION, and may read tables")))
    })
}

/// Whether it is a table whose rows may be read by these columns.
pub fn consider_table(table: &Table, key: &[Identifier]) -> Result<(), Whole> {
    let Table { name, kind, .. } = table;
    match kind {
        'r' | 'p' => {}
        'v' => return Err(Whole::new(format!("{name} is a view"))),
        'm' => return Err(Whole::new(format!("{name} is a materialized view"))),
        'f' => return Err(Whole::new(format!("{name} is a foreign table"))),
        _ => return Err(Whole::new(format!("{name} is no table"))),
    }
    if key.is_empty() { Err(Whole::new("no columns name the query's rows")) } else { Ok(()) }
}

/// Whether the query as the server plans it may be read by these of its columns. Tells what else there is to look up.
pub fn consider_plan(
    query: &Query,
    plan: &str,
    columns: &[String],
    key: &[Identifier],
    table: &Table,
) -> Result<routine::Names, Whole> {
    let plan = Plan::read(plan)?;
    plan.is_a_sum_over(table)?;
    plan.keeps_the_key(columns, key, table)?;
    routine::Names::of(query, &plan)
}

/// Whether nothing that was found under those names can look at the table.
pub fn consider_routines(found: &[Routine]) -> Result<(), Whole> {
    found.iter().try_for_each(Routine::is_harmless)
}

#[cfg(test)]
mod tests;
