//! Reading the rows of some keys.

use bytes::BytesMut;
use futures::TryStreamExt;
use futures::future::{try_join, try_join3};
use tokio::sync::mpsc::Sender;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::query::bounded;
use super::{Error, Limits, Read, Session};
use crate::logic::keyed::{KeyedPlan, KeyedTable};
use crate::logic::row::{Key, Row};
use crate::logic::sql::{Identifier, Pick, Query};

/// A text that the server is to read as whatever type it needs there.
#[derive(Debug)]
pub(super) struct AsText<'a>(pub Option<&'a str>);

impl ToSql for AsText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(text) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Session {
    /// Reads all rows of these keys into `rows`, as [`Session::read`] does with all rows; at most
    /// [`MOST_KEYS`](crate::logic::sql::MOST_KEYS) keys. Groups come whole or, where the query has no such row, not at
    /// all. Besides them, groups may come that were not asked for, whole as well: those of keys that the server thinks
    /// equal to one that was, such as 1.0 and 1.00.
    ///
    /// Where the keys are at fault ([`Error::is_of_keys`]), the session stays of use; after any other error, or if it is
    /// not awaited to its end, it is closed.
    pub async fn read_keys(
        &mut self,
        query: &Query,
        limits: &Limits,
        plan: &KeyedPlan,
        keys: &[Key],
        rows: Sender<Vec<Row>>,
    ) -> Result<Read, Error> {
        let others: Vec<&[Identifier]> = plan.others().map(|other| other.columns.as_slice()).collect();
        let pick = query.pick(&plan.columns, &others, keys).map_err(Error::Keys)?;
        self.enter(query)?;
        self.set_up(query, limits).await?;
        let read = self.stream(query, &pick.wrapped, parameters(&pick), limits, rows);
        let read = self.alone(query, limits, read).await?;
        self.in_use = false;
        read.map(|rows| Read::new(rows, &plan.columns))
    }

    /// The keys of the query's rows that show one of these keys of another table's rows; one more than
    /// [`MOST_KEYS`](crate::logic::sql::MOST_KEYS) at most. Errors as of [`Session::read_keys`].
    pub async fn keys_showing(
        &mut self,
        query: &Query,
        limits: &Limits,
        plan: &KeyedPlan,
        table: &KeyedTable,
        keys: &[Key],
    ) -> Result<Vec<String>, Error> {
        let pick = query.pick_keys(&plan.columns, &table.columns, keys).map_err(Error::Keys)?;
        self.enter(query)?;
        self.set_up(query, limits).await?;
        let found = self.alone(query, limits, self.texts(query, &pick)).await?;
        self.in_use = false;
        found
    }

    /// The one column of a statement.
    async fn texts(&self, query: &Query, pick: &Pick) -> Result<Vec<String>, Error> {
        let failed = |error: tokio_postgres::Error| {
            let which = query.which(query.len());
            Error::statement(&error, which, &query.last, |position| pick.wrapped.position(position))
        };
        let rows = self.client.query_typed_raw(&pick.wrapped.text, parameters(pick)).await.map_err(failed)?;
        let rows: Vec<tokio_postgres::Row> = rows.try_collect().await.map_err(failed)?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)
    }

    /// One statement in a transaction of its own. What is asked for is on its way together, in this order: one wait for
    /// all. A statement that the server refuses is rolled back like any other; what came of it is returned where the keys
    /// are at fault.
    async fn alone<T>(
        &self,
        query: &Query,
        limits: &Limits,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Error> {
        let beginning = self.beginning(query, true, limits);
        let begin = self.sent(&beginning);
        let done = async {
            match statement.await {
                Err(error) if !error.is_of_keys() => Err(error),
                done => Ok(done),
            }
        };
        let end = try_join(self.sent("ROLLBACK"), async {
            // What may be read by keys leaves nothing behind by itself.
            if self.direct && !query.setup.is_empty() { self.sent("DISCARD ALL").await } else { Ok(()) }
        });
        let ((), done, _) = bounded(&query.which(query.len()), limits, try_join3(begin, done, end)).await??;
        Ok(done)
    }

    async fn sent(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| Error::ours(&error, "the session"))
    }
}

fn parameters(pick: &Pick) -> impl ExactSizeIterator<Item = (AsText<'_>, Type)> {
    pick.parameters.iter().map(|text| (AsText(Some(text)), Type::UNKNOWN))
}
