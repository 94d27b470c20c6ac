//! Runs a query: setup statements, then the rows of the last one as JSON texts, streamed.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::sync::mpsc::Sender;
use tokio_postgres::Row;

use super::{Error, Limits, Session};
use crate::logic::columns;
use crate::logic::sql::{Identifier, QualifiedName, Query, Statement};

/// Rows are handed on in batches of about this many.
const BATCH: usize = 256;
/// More than the server is given, so that its own timeout comes first and its error tells more.
const GRACE: Duration = Duration::from_secs(2);

impl Session {
    /// Reads all rows of the query into `rows`. Ends the transaction before it returns. After an error the session
    /// must not be used again.
    pub async fn read(&mut self, query: &Query, limits: &Limits, rows: Sender<Vec<String>>) -> Result<u64, Error> {
        self.set_up(query, limits).await?;
        let begin = if limits.read_only { "BEGIN READ ONLY" } else { "BEGIN" };
        self.own(begin, limits).await?;
        let last = query.len();
        let count = self.bounded(query, last, limits, self.stream(query, limits, rows)).await??;
        self.own(if limits.read_only { "ROLLBACK" } else { "COMMIT" }, limits).await?;
        self.own("DISCARD ALL", limits).await?;
        Ok(count)
    }

    /// `MAX(column)` of the table as text, None where it has no rows; found where the query's setup statements say.
    pub async fn watermark(
        &mut self,
        query: &Query,
        limits: &Limits,
        table: &QualifiedName,
        column: &Identifier,
    ) -> Result<Option<String>, Error> {
        self.set_up(query, limits).await?;
        self.own("BEGIN READ ONLY", limits).await?;
        let failed = |error: tokio_postgres::Error| Error::ours(&error, "the look at timestampColumn");
        let sql = format!("SELECT max({column})::text FROM {table}");
        let row = self.within(limits.statement_timeout + GRACE, self.client.query_one(&sql, &[])).await;
        let row = row.ok_or(Error::Unreachable("no answer in time"))?.map_err(failed)?;
        let watermark = row.try_get(0).map_err(failed)?;
        self.own("ROLLBACK", limits).await?;
        self.own("DISCARD ALL", limits).await?;
        Ok(watermark)
    }

    /// Our timeouts first, so that a SET of the user can shorten them; then the setup statements, each for itself.
    async fn set_up(&self, query: &Query, limits: &Limits) -> Result<(), Error> {
        let milliseconds = limits.statement_timeout.as_millis();
        let timeouts = format!(
            "SET statement_timeout = {milliseconds}; SET lock_timeout = {milliseconds}; \
             SET idle_in_transaction_session_timeout = {}",
            milliseconds * 2
        );
        self.own(&timeouts, limits).await?;
        for (index, statement) in query.setup.iter().enumerate() {
            let number = index + 1;
            let run = self.client.batch_execute(&statement.text);
            let result = self.bounded(query, number, limits, run).await?;
            result.map_err(|error| Error::statement(&error, query, number, statement, Some))?;
        }
        Ok(())
    }

    async fn stream(&self, query: &Query, limits: &Limits, rows: Sender<Vec<String>>) -> Result<u64, Error> {
        let wrapped = query.wrapped();
        let failed = |error: tokio_postgres::Error| {
            let last: &Statement = &query.last;
            Error::statement(&error, query, query.len(), last, |position| query.position_in_last(position))
        };
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
        let mut stream = pin!(self.client.query_raw(&wrapped, parameters).await.map_err(failed)?);
        let (mut count, mut batch) = (0, Vec::with_capacity(BATCH));
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            let text = text(&row).map_err(failed)?;
            count += 1;
            if count == 1 {
                columns::check(&text).map_err(Error::Columns)?;
            }
            if count > limits.max_rows {
                return Err(Error::TooManyRows(limits.max_rows));
            }
            batch.push(text);
            if batch.len() == BATCH
                && rows.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).await.is_err()
            {
                // Nobody wants the rows any more; whoever gave up says why.
                return Ok(count);
            }
        }
        let _ = rows.send(batch).await;
        Ok(count)
    }

    async fn bounded<T>(
        &self,
        query: &Query,
        number: usize,
        limits: &Limits,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let seconds = limits.statement_timeout.as_secs();
        let timed_out = Error::TimedOut { number, count: query.len(), seconds };
        self.within(limits.statement_timeout + GRACE, work).await.ok_or(timed_out)
    }

    /// Runs a statement of ours.
    async fn own(&self, sql: &str, limits: &Limits) -> Result<(), Error> {
        let done = self.within(limits.statement_timeout + GRACE, self.client.batch_execute(sql)).await;
        done.ok_or(Error::Unreachable("no answer in time"))?.map_err(|error| Error::ours(&error, "the session"))
    }
}

fn text(row: &Row) -> Result<String, tokio_postgres::Error> {
    row.try_get::<_, String>(0)
}
