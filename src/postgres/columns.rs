//! What is known of a query's rows before it runs: their columns, and which of them name a row.

use futures::future::try_join;
use tokio_postgres::types::{ToSql, Type};

use super::query::{NONE, bounded};
use super::{Error, Limits, Session};
use crate::logic::columns;
use crate::logic::sql::{Identifier, QualifiedName, Query, Wrapped};

/// The columns of a table's primary key, in its order. $1 is the schema or null, $2 the table.
const PRIMARY_KEY: &str = "\
    SELECT a.attname::text \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
    JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
    WHERE c.relname = $2::name AND k.n <= i.indnkeyatts \
    AND CASE WHEN $1 IS NULL THEN pg_table_is_visible(c.oid) ELSE s.nspname = $1::name END \
    ORDER BY k.n";

impl Session {
    /// All columns, and those whose values name the rows; none where nothing names them. An error where columns cannot be
    /// told apart or one of the key is missing.
    pub(super) async fn columns_and_key(
        &self,
        query: &Query,
        wrapped: &Wrapped,
        limits: &Limits,
    ) -> Result<(Vec<String>, Vec<Identifier>), Error> {
        // On their way together: one wait for both.
        let (columns, primary_key) =
            try_join(self.columns(query, wrapped, limits), self.primary_key(query.key.table(), limits)).await?;
        let key = query.key.among(&columns, primary_key).map_err(Error::Columns)?;
        Ok((columns, key))
    }

    async fn columns(&self, query: &Query, wrapped: &Wrapped, limits: &Limits) -> Result<Vec<String>, Error> {
        let failed = |error: tokio_postgres::Error| {
            let which = query.which(query.len());
            Error::statement(&error, which, &query.last, |position| wrapped.position(position))
        };
        let rows = bounded(&query.which(query.len()), limits, self.client.query_typed(&wrapped.text, &NONE)).await?;
        let rows = rows.map_err(failed)?;
        let row: Option<String> = rows.first().map(|row| row.try_get(0)).transpose().map_err(failed)?;
        columns::names(row.as_deref().unwrap_or("{}")).map_err(Error::Columns)
    }

    /// The columns of a table's primary key; none where there is no table, or it has none.
    pub(super) async fn primary_key(
        &self,
        table: Option<&QualifiedName>,
        limits: &Limits,
    ) -> Result<Vec<Identifier>, Error> {
        const WHICH: &str = "the look for the primary key";
        let Some(table) = table else { return Ok(Vec::new()) };
        let (schema, table) = (table.schema(), table.table());
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&schema, Type::TEXT), (&table, Type::TEXT)];
        let rows = bounded(WHICH, limits, self.client.query_typed(PRIMARY_KEY, &parameters)).await?;
        let rows = rows.map_err(|error| Error::ours(&error, WHICH))?;
        let names = rows.iter().map(|row| row.try_get(0).map(Identifier::of_catalog));
        names.collect::<Result<_, _>>().map_err(|error| Error::ours(&error, WHICH))
    }
}
