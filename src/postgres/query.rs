//! Runs a query: setup statements, then the rows of the last one as JSON texts, streamed.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::try_join;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{BorrowToSql, ToSql, Type};

use super::batch::Batch;
use super::error::place;
use super::pooler::timeouts;
use super::{Error, Limits, Session};
use crate::logic::columns;
use crate::logic::keyed::KeyedTable;
use crate::logic::row::Row;
use crate::logic::sql::{Identifier, Query, Wrapped};

/// More than the server is given, so that its own timeout comes first and its error tells more.
const GRACE: Duration = Duration::from_secs(2);
/// Longest time for small statements of ours: a server that does not answer these does not answer at all.
const OWN: Duration = Duration::from_secs(10);
/// No parameters.
pub(super) const NONE: [(&(dyn ToSql + Sync), Type); 0] = [];

/// What is known of a read besides its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// How many rows there were.
    pub rows: u64,
    /// The columns that name them; none where nothing does.
    pub key_columns: Vec<String>,
}

impl Read {
    pub(super) fn new(rows: u64, key: &[Identifier]) -> Self {
        Self { rows, key_columns: key.iter().map(|column| column.as_str().to_owned()).collect() }
    }
}

impl Session {
    /// Reads all rows of the query into `rows`, each as one JSON text, with its key where columns name one, and returns
    /// how many there were. With the keys of the rows of `others` that they show, too, unless the columns of one of these
    /// are not there any more. Ends the transaction before it returns. Rows count only once this has succeeded: an error
    /// may come after the last one. After an error, or if it is not awaited to its end, the session is closed.
    pub async fn read(
        &mut self,
        query: &Query,
        limits: &Limits,
        others: &[KeyedTable],
        rows: Sender<Vec<Row>>,
    ) -> Result<Read, Error> {
        self.enter(query)?;
        self.set_up(query, limits).await?;
        self.begin(query, limits.read_only, limits).await?;
        let (columns, key) = match query.columns() {
            Some(wrapped) => self.columns_and_key(query, &wrapped, limits).await?,
            // As far as that can be known without changing data.
            None => (Vec::new(), query.key.given()),
        };
        let is_there = |name: &Identifier| columns.iter().any(|column| column == name.as_str());
        let are_there = !key.is_empty() && others.iter().all(|other| other.columns.iter().all(is_there));
        let others: Vec<&[Identifier]> =
            others.iter().filter(|_| are_there).map(|other| other.columns.as_slice()).collect();
        let which = query.which(query.len());
        let wrapped = query.rows(&key, &others);
        let rows = bounded(&which, limits, self.stream(query, &wrapped, NONE, limits, rows)).await??;
        if limits.read_only {
            self.roll_back(limits).await?;
        } else {
            // Deferred constraints fail here.
            let commit = bounded(&which, limits, self.client.batch_execute("COMMIT")).await?;
            commit.map_err(|error| Error::statement(&error, which, &query.last, |_| None))?;
            self.reset(limits).await?;
        }
        Ok(Read::new(rows, &key))
    }

    /// Our timeouts first, so that a SET of the user can shorten them; then the setup statements, each for itself.
    /// Without any, the timeouts come with the transaction.
    pub(super) async fn set_up(&self, query: &Query, limits: &Limits) -> Result<(), Error> {
        if !self.direct || query.setup.is_empty() {
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
    pub(super) async fn stream<P: BorrowToSql>(
        &self,
        query: &Query,
        wrapped: &Wrapped,
        parameters: impl IntoIterator<Item = (P, Type)>,
        limits: &Limits,
        rows: Sender<Vec<Row>>,
    ) -> Result<u64, Error> {
        let failed = |error: tokio_postgres::Error| {
            let key_column = place(&error).filter(|_| error.code() == Some(&SqlState::UNDEFINED_COLUMN));
            let key_column = key_column.and_then(|at| wrapped.key_at(at)).and_then(|index| query.key.missing(index));
            if let Some(missing) = key_column {
                return Error::Columns(missing);
            }
            let which = query.which(query.len());
            Error::statement(&error, which, &query.last, |position| wrapped.position(position))
        };
        let mut stream = pin!(self.client.query_typed_raw(&wrapped.text, parameters).await.map_err(failed)?);
        let mut batch = Batch::new(limits.max_rows);
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            let key = if row.len() > 1 { row.try_get(1).map_err(failed)? } else { None };
            let others = (2..row.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>().map_err(failed)?;
            let row = Row { json: row.try_get(0).map_err(failed)?, key, others };
            if batch.count() == 0 {
                // What changes data could not be asked for its columns.
                columns::names(&row.json).map_err(Error::Columns)?;
            }
            if batch.push(row)? {
                hand_on(&mut batch, &rows).await?;
            }
        }
        hand_on(&mut batch, &rows).await?;
        Ok(batch.count())
    }

    /// Ends a transaction and leaves nothing behind; both are on their way at once.
    pub(super) async fn roll_back(&mut self, limits: &Limits) -> Result<(), Error> {
        let discard = async { if self.direct { self.own("DISCARD ALL", limits).await } else { Ok(()) } };
        try_join(self.own("ROLLBACK", limits), discard).await?;
        self.in_use = false;
        Ok(())
    }

    /// Leaves nothing behind that the query has set, and gives the session free.
    pub(super) async fn reset(&mut self, limits: &Limits) -> Result<(), Error> {
        if self.direct {
            self.own("DISCARD ALL", limits).await?;
        }
        self.in_use = false;
        Ok(())
    }

    /// Runs a statement of ours.
    pub(super) async fn own(&self, sql: &str, limits: &Limits) -> Result<(), Error> {
        self.execute(sql, OWN.min(limits.statement_timeout) + GRACE, "the session").await
    }
}

/// Waits for a statement a little longer than the server does. What is given up is canceled with the session.
pub(super) async fn bounded<T>(which: &str, limits: &Limits, work: impl Future<Output = T>) -> Result<T, Error> {
    let limit = limits.statement_timeout;
    timeout(limit + GRACE, work).await.map_err(|_| Error::TimedOut { which: which.to_owned(), limit })
}

async fn hand_on(batch: &mut Batch, rows: &Sender<Vec<Row>>) -> Result<(), Error> {
    match batch.take() {
        Some(full) => rows.send(full).await.map_err(|_| Error::Abandoned),
        None => Ok(()),
    }
}
