//! What runs without showing in a plan: functions, and those behind operators, casts and views. Pure.

use super::Whole;
use super::plan::Plan;
use crate::logic::sql::{Mentions, Query};

/// Stable functions that come with PostgreSQL and read tables by name or by a query's text.
const READERS: [&str; 9] = [
    "table_to_",
    "query_to_",
    "schema_to_",
    "database_to_",
    "cursor_to_",
    "crosstab",
    "connectby",
    "xpath_table",
    "ts_stat",
];

/// Operators that IN, CASE, NULLIF, ORDER BY and the like use without a word.
const UNSEEN: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// Names to look up. Other things of the same name are found as well: one that does harm is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of functions.
    pub functions: Vec<String>,
    /// Of operators that are not PostgreSQL's own.
    pub operators: Vec<String>,
    /// Of types that something may be cast to by a function that is not PostgreSQL's own.
    pub types: Vec<String>,
    /// Of views, where a plan does not show all that may come of them.
    pub views: Vec<String>,
}

/// Something that was found.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Routine {
    /// `function`, `operator`, `cast to` or `view`.
    pub what: String,
    /// Its name.
    pub name: String,
    /// `pg_proc.provolatile`; of a view nothing.
    pub volatility: char,
    /// Name of the language it is written in.
    pub language: String,
    /// `pg_proc.xmin`: another one where it is defined otherwise.
    pub edition: String,
}

impl Names {
    /// Of all that the plan says, and of the statement, which has functions that the server has put the body in place
    /// of. A plan keeps the expressions of a VALUES list to itself: where it has one, everything in the statement counts,
    /// and it must be the statement's own.
    pub fn of(query: &Query, plan: &Plan) -> Result<Self, Whole> {
        let unclear = |_| Whole::new("PostgreSQL's plan of the query cannot be read");
        let mut seen = Mentions::default();
        plan.expressions().try_for_each(|text| seen.add(text)).map_err(unclear)?;
        let mut own = Mentions::default();
        own.add(&query.last.text).map_err(unclear)?;
        let views = if plan.has_values() { own.names.iter().cloned().collect() } else { Vec::new() };
        let called = if plan.has_values() { own.names } else { own.functions };
        seen.functions.extend(called);
        seen.operators.extend(own.operators.into_iter().chain(UNSEEN.map(String::from)));
        let all = |names: std::collections::BTreeSet<String>| names.into_iter().collect();
        Ok(Self { functions: all(seen.functions), operators: all(seen.operators), types: all(seen.names), views })
    }
}

impl Routine {
    pub(super) fn is_harmless(&self) -> Result<(), Whole> {
        let Self { what, name, volatility, language, .. } = self;
        let is_trusted = matches!(language.as_str(), "internal" | "c");
        match volatility {
            _ if what == "view" => Err(Whole::new(format!("it may read VALUES in the view {name}"))),
            // A promise to depend on nothing but the arguments.
            'i' => Ok(()),
            'v' => Err(Whole::new(format!("the {what} {name} is volatile"))),
            _ if is_trusted && !READERS.iter().any(|reader| name.starts_with(reader)) => Ok(()),
            _ => Err(Whole::new(format!("the {what} {name} may read tables"))),
        }
    }
}
