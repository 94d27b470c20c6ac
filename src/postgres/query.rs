//! Runs a query: setup statements, then the rows of the last one as JSON texts, streamed.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};

use super::batch::Batch;
use super::pooler::timeouts;
use super::{Error, Limits, Session};
use crate::logic::columns;
use crate::logic::sql::{Identifier, QualifiedName, Query};

/// More than the server is given, so that its own timeout comes first and its error tells more.
const GRACE: Duration = Duration::from_secs(2);
/// Longest time for small statements of ours: a server that does not answer these does not answer at all.
const OWN: Duration = Duration::from_secs(10);
/// No parameters.
const NONE: [(&(dyn ToSql + Sync), Type); 0] = [];

impl Session {
    /// Reads all rows of the query into `rows`, each as one JSON text, and returns how many there were. Ends the
    /// transaction before it returns. Rows count only once this has succeeded: an error may come after the last
    /// one. After an error, or if it is not awaited to its end, the session is closed.
    pub async fn read(&mut self, query: &Query, limits: &Limits, rows: Sender<Vec<String>>) -> Result<u64, Error> {
        self.enter(query)?;
        self.set_up(query, limits).await?;
        self.begin(limits.read_only, limits).await?;
        let which = query.which(query.len());
        let count = bounded(&which, limits, self.stream(query, limits, rows)).await??;
        if limits.read_only {
            self.own("ROLLBACK", limits).await?;
        } else {
            // Deferred constraints fail here.
            let commit = bounded(&which, limits, self.client.batch_execute("COMMIT")).await?;
            commit.map_err(|error| Error::statement(&error, which, &query.last, |_| None))?;
        }
        self.reset(limits).await?;
        Ok(count)
    }

    /// `MAX(column)` of the table as text, None where it has no rows; found where the query's setup statements say.
    /// After an error, or if it is not awaited to its end, the session is closed.
    pub async fn watermark(
        &mut self,
        query: &Query,
        limits: &Limits,
        table: &QualifiedName,
        column: &Identifier,
    ) -> Result<Option<String>, Error> {
        const WHICH: &str = "the look at timestampColumn";
        self.enter(query)?;
        self.set_up(query, limits).await?;
        self.begin(true, limits).await?;
        let sql = format!("SELECT max({column})::text FROM {table}");
        let rows = bounded(WHICH, limits, self.client.query_typed(&sql, &NONE)).await?;
        let rows = rows.map_err(|error| Error::ours(&error, WHICH))?;
        let watermark = rows.first().map_or(Ok(None), |row| row.try_get(0));
        let watermark = watermark.map_err(|error| Error::ours(&error, WHICH))?;
        self.own("ROLLBACK", limits).await?;
        self.reset(limits).await?;
        Ok(watermark)
    }

    /// Our timeouts first, so that a SET of the user can shorten them; then the setup statements, each for itself.
    async fn set_up(&self, query: &Query, limits: &Limits) -> Result<(), Error> {
        if !self.direct {
            return Ok(());
        }
        self.own(&timeouts("SET", limits), limits).await?;
        for (index, statement) in query.setup.iter().enumerate() {
            let which = query.which(index + 1);
            let done = bounded(&which, limits, self.client.batch_execute(&statement.text)).await?;
            done.map_err(|error| Error::statement(&error, which, statement, Some))?;
        }
        Ok(())
    }

    /// The result is text alone, a type that is known without asking the server; with others, the driver's request
    /// for them would wait behind these rows, and the rows for it.
    async fn stream(&self, query: &Query, limits: &Limits, rows: Sender<Vec<String>>) -> Result<u64, Error> {
        let failed = |error: tokio_postgres::Error| {
            let which = query.which(query.len());
            Error::statement(&error, which, &query.last, |position| query.position_in_last(position))
        };
        let mut stream = pin!(self.client.query_typed_raw(&query.wrapped(), NONE).await.map_err(failed)?);
        let mut batch = Batch::new(limits.max_rows);
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            let text: String = row.try_get(0).map_err(failed)?;
            if batch.count() == 0 {
                columns::check(&text).map_err(Error::Columns)?;
            }
            if batch.push(text)? {
                hand_on(&mut batch, &rows).await?;
            }
        }
        hand_on(&mut batch, &rows).await?;
        Ok(batch.count())
    }

    /// Leaves nothing behind that the query has set, and gives the session free.
    async fn reset(&mut self, limits: &Limits) -> Result<(), Error> {
        if self.direct {
            self.own("DISCARD ALL", limits).await?;
        }
        self.in_use = false;
        Ok(())
    }

    /// Runs a statement of ours.
    pub(super) async fn own(&self, sql: &str, limits: &Limits) -> Result<(), Error> {
        let done = timeout(OWN.min(limits.statement_timeout) + GRACE, self.client.batch_execute(sql)).await;
        let done = done.map_err(|_| Error::Unreachable("no answer in time"))?;
        done.map_err(|error| Error::ours(&error, "the session"))
    }
}

/// Waits for a statement a little longer than the server does. What is given up is canceled with the session.
async fn bounded<T>(which: &str, limits: &Limits, work: impl Future<Output = T>) -> Result<T, Error> {
    let limit = limits.statement_timeout;
    timeout(limit + GRACE, work).await.map_err(|_| Error::TimedOut { which: which.to_owned(), limit })
}

async fn hand_on(batch: &mut Batch, rows: &Sender<Vec<String>>) -> Result<(), Error> {
    match batch.take() {
        Some(full) => rows.send(full).await.map_err(|_| Error::Abandoned),
        None => Ok(()),
    }
}
