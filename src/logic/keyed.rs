//! Whether the rows of some keys may be read by themselves after a change of a table: only where a change of a row of
//! that table changes no rows of the query but those with its key. Pure.
//!
//! The server's own plan is asked. What it computes is a sum over the table's rows as long as the table is read in one
//! place, everything above that place takes its rows one by one, and nothing looks at the table in another way (see
//! [`plan`]). If then each row's key is that of the table's row it was made of, the rows of one key depend on no row of
//! the table with another. A plan tells that for any data: it does what the query says, and is asked for with
//! everything turned off by which the server leaves out what the present constants do not need. What runs inside of
//! functions does not show, so these are looked up (see [`routine`]).
//!
//! That holds for each watched table by itself. The key of the first is what the query's rows are called by. A change of
//! another changes only the rows that showed the key of its row, or show it now: those are found by that, and read by
//! what they are called.

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
    /// Why, in words.
    pub fn why(&self) -> &str {
        &self.0
    }

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

    /// The triggers of the table were made to send less, and this role cannot make others.
    pub fn not_sent(key: &[Identifier]) -> Self {
        let key: Vec<String> = key.iter().map(Identifier::shown).collect();
        Self::new(format!("its triggers do not send {}", key.join(", ")))
    }

    /// Triggers send keys as they look with settings of ours, and with this one rows would be called otherwise.
    pub fn looks_otherwise(setting: &str) -> Self {
        Self::new(format!("its setup statements set {setting}, on which the text of keys may depend"))
    }

    /// Values of the key's types are not to be compared.
    pub fn not_comparable() -> Self {
        Self::new("PostgreSQL cannot look for values of the key columns' types")
    }
}

/// After changes of which tables rows may be read by their keys, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedPlan {
    /// The columns that the query's rows are called by, in order. Of no meaning where nothing may be read by keys.
    pub columns: Vec<Identifier>,
    /// The watched tables in their order. The key of the first is that of the query's rows.
    pub tables: Vec<Result<KeyedTable, Whole>>,
    /// Another one where PostgreSQL's plan of the query is another, or a function in it: then all rows may be others,
    /// although nobody wrote any.
    pub edition: u64,
}

/// A table after whose changes rows may be read by their keys. Equal ones hold for the same query, table and definition
/// of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedTable {
    /// The table.
    pub oid: u32,
    /// The columns of its key, in order.
    pub key: Vec<Identifier>,
    /// The columns of the query that show them.
    pub columns: Vec<Identifier>,
    /// Of the definition of the table, its partitions and their unique indexes.
    pub definition: i64,
}

impl KeyedPlan {
    /// Nothing may be read by keys, whichever of so many tables changes.
    pub fn whole(tables: usize, why: &Whole) -> Self {
        Self { columns: Vec::new(), tables: vec![Err(why.clone()); tables], edition: 0 }
    }

    /// Whether anything may be read by keys.
    pub fn is_of_use(&self) -> bool {
        self.tables.iter().any(Result::is_ok)
    }

    /// Whether that is so after changes of the first table.
    pub fn has_first(&self) -> bool {
        self.tables.first().is_some_and(Result::is_ok)
    }

    /// The tables but the first after whose changes it is so.
    pub fn others(&self) -> impl Iterator<Item = &KeyedTable> {
        self.tables.iter().skip(1).flatten()
    }
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
    /// See [`KeyedTable::definition`].
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
    if key.is_empty() { Err(Whole::new("no columns name its rows")) } else { Ok(()) }
}

/// Whether something is called by columns.
pub fn consider_key(columns: &[Identifier]) -> Result<(), Whole> {
    if columns.is_empty() { Err(Whole::new("no columns name the query's rows")) } else { Ok(()) }
}

/// Whether rows of the query, which has these columns, may be read by the key of a table. `is_first` is whether the rows
/// are called by it: its columns have the same names then. Returns the columns that show it.
pub fn consider_plan(
    plan: &Plan,
    columns: &[String],
    key: &[Identifier],
    table: &Table,
    is_first: bool,
) -> Result<Vec<Identifier>, Whole> {
    plan.is_a_sum_over(table)?;
    plan.shows_the_key(columns, key, table, is_first)
}

/// Whether nothing that was found under those names can look at the table.
pub fn consider_routines(found: &[Routine]) -> Result<(), Whole> {
    found.iter().try_for_each(Routine::is_harmless)
}

#[cfg(test)]
mod tests;
