//! The connection that listens: what others notify comes in by itself, and every few seconds one statement asks for all
//! that nobody notifies.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::error::SILENT;
use super::session::PATIENCE;
use super::shape::shape;
use super::tree::tree;
use super::{Error, Session};
use crate::logic::connection::Settings;
use crate::logic::hint::{CHANNEL, Hint};
use crate::logic::vigil::Sight;

/// How a sentence about it begins.
const WHICH: &str = "the listening connection";

/// $1 are the oids. All descendants of a table count: they are read through it. A trigger that is switched off, for all
/// sessions or for ordinary ones, is as if it was not there. Transactions that notify have one lock, from before their
/// commit until after it.
const PING: &str = concat!(
    "\
    SELECT pg_notification_queue_usage(), one.is_stuck, one.committing, t.oid, t.counters, t.definition, t.triggers \
    FROM (SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l \
            WHERE NOT l.granted AND l.locktype = 'object' AND l.database = 0 AND l.objid = 0 \
            AND l.classid = 'pg_catalog.pg_database'::regclass \
            AND l.waitstart < clock_timestamp() - interval '2 seconds') AS is_stuck, \
        (SELECT max(l.virtualtransaction) FROM pg_catalog.pg_locks l \
            WHERE l.granted AND l.locktype = 'object' AND l.database = 0 AND l.objid = 0 \
            AND l.classid = 'pg_catalog.pg_database'::regclass) AS committing) AS one \
    LEFT JOIN (SELECT t.oid, m.* FROM unnest($1) AS t(oid) \
        JOIN pg_catalog.pg_class c ON c.oid = t.oid::oid \
        CROSS JOIN LATERAL ( \
            WITH RECURSIVE ",
    tree!("c.oid"),
    "SELECT hashtextextended(string_agg(format('%s %s %s', pg_stat_get_tuples_inserted(r.oid), \
                    pg_stat_get_tuples_updated(r.oid), pg_stat_get_tuples_deleted(r.oid)), ',' ORDER BY r.oid), 0) \
                    AS counters, \
                hashtextextended(concat(string_agg(format('%s %s %s %s', r.oid, r.xmin, tree.leaving, \
                    pg_relation_filenode(r.oid)), ',' ORDER BY r.oid), ' ', ",
    shape!("c.reltype"),
    "), 0) AS definition, \
                (SELECT CASE WHEN bool_and(g.tgenabled IN ('O', 'A')) THEN \
                    hashtextextended(string_agg(format('%s %s %s %s %s', g.oid, g.xmin, g.tgenabled, p.oid, p.xmin), ',' \
                        ORDER BY g.oid), 0) END \
                FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid \
                WHERE g.tgrelid IN (SELECT tree.oid FROM tree) AND p.proname = concat('n_', c.oid)::name \
                AND p.pronamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'dbqo') \
                ) AS triggers \
            FROM tree JOIN pg_catalog.pg_class r ON r.oid = tree.oid \
        ) m \
    ) t ON true"
);

/// Sessions that are called as ours are. One whose process does not read any more, or whose path is gone, keeps its locks
/// and all that was notified since.
const OTHERS: &str = "\
    SELECT a.pid, a.application_name FROM pg_catalog.pg_stat_activity a \
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.application_name LIKE 'db-query-operator %'";

/// Why a connection is none to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deaf {
    /// Nothing is notified there.
    #[error("the server is a standby, where nobody can listen")]
    Standby,
    /// What is notified does not arrive.
    #[error(
        "the connection goes through a pooler, which lets no notification through: \
         database.notifyConnectionSecretRef can name a direct connection for them"
    )]
    Pooler,
    /// It does not come about, or broke.
    #[error("{0}")]
    Broken(#[from] Error),
}

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Ping {
    /// How full the server's queue of notifications is, from 0 to 1.
    pub usage: f64,
    /// Whether transactions that notify have waited for seconds for another one's commit.
    pub is_stuck: bool,
    /// The transaction that has notified and is about to commit: no other one has its number.
    pub committing: Option<String>,
    /// The tables; those that are not there are missing.
    pub tables: HashMap<i64, Sight>,
}

/// A connection that listens.
pub struct Listener {
    session: Session,
}

impl Listener {
    /// Connects, listens, and makes sure that what is notified arrives. `heard` is called with each hint, and must not
    /// wait for anything.
    pub async fn start(settings: &Settings, heard: impl Fn(Hint) + Send + Sync + 'static) -> Result<Self, Deaf> {
        let session = Session::connect(settings).await?;
        let echo = format!("echo {:016x}", RandomState::new().hash_one(0));
        let (sender, arrived) = oneshot::channel();
        let (expected, sender) = (echo.clone(), Mutex::new(Some(sender)));
        let ear = Box::new(move |payload: &str| match Hint::parse(payload) {
            Some(hint) => heard(hint),
            None if payload == expected => {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                sender.into_iter().for_each(|sender| sender.send(()).unwrap_or_default());
            }
            None => {}
        });
        // Nobody else has it yet.
        let _ = session.ear.set(ear);
        let mut listener = Self { session };
        if !listener.session.direct {
            return Err(Deaf::Pooler);
        }
        listener.session.stay().await?;
        // Statements of their own: nothing is listened to before the first has ended.
        listener.run(&format!("LISTEN {CHANNEL}")).await?;
        // Given up, it is canceled: it may wait for another one's commit.
        listener.session.in_use = true;
        listener.run(&format!("NOTIFY {CHANNEL}, '{echo}'")).await?;
        match timeout(PATIENCE, arrived).await {
            Ok(Ok(())) => {
                listener.session.in_use = false;
                Ok(listener)
            }
            _ => Err(Deaf::Pooler),
        }
    }

    /// Ends the sessions of whose name `is_dead` says that there is nobody behind them.
    pub async fn end_the_dead(&self, is_dead: impl Fn(&str) -> bool) -> Result<(), Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let rows = timeout(PATIENCE, self.session.client.query_typed(OTHERS, &[])).await;
        for row in &rows.map_err(|_| SILENT)?.map_err(failed)? {
            let (pid, name): (i32, &str) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
            if !is_dead(name) {
                continue;
            }
            // Waits for its end, so that its locks are free.
            let sql = format!("SELECT pg_catalog.pg_terminate_backend({pid}, 2000)");
            let ended = timeout(PATIENCE, self.session.client.query_typed(&sql, &[])).await.map_err(|_| SILENT)?;
            match ended.and_then(|rows| rows.first().map_or(Ok(false), |row| row.try_get(0))) {
                Ok(true) => tracing::info!(pid, "ended a session of before that still listened or held locks"),
                Ok(false) => tracing::warn!(pid, "a session of before that listened or held locks does not end"),
                // Not ours to end.
                Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Asks how the tables are; the answer shows as well that the connection is alive.
    pub async fn ping(&self, tables: &[i64]) -> Result<Ping, Error> {
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&tables, Type::INT8_ARRAY)];
        let rows = timeout(PATIENCE, self.session.client.query_typed(PING, &parameters)).await;
        let rows = rows.map_err(|_| SILENT)?.map_err(|error| Error::ours(&error, WHICH))?;
        let mut ping = Ping::default();
        for row in &rows {
            let mut read = || {
                (ping.usage, ping.is_stuck, ping.committing) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                if let Some(oid) = row.try_get(3)? {
                    let (counters, definition) = (row.try_get(4)?, row.try_get(5)?);
                    ping.tables.insert(oid, Sight { counters, definition, triggers: row.try_get(6)? });
                }
                Ok(())
            };
            read().map_err(|error| Error::ours(&error, WHICH))?;
        }
        Ok(ping)
    }

    /// Waits until the connection is gone. Of no use afterwards.
    pub async fn ended(&mut self) {
        self.session.ended().await;
    }

    async fn run(&self, sql: &str) -> Result<(), Deaf> {
        let done = timeout(PATIENCE, self.session.client.batch_execute(sql)).await.map_err(|_| SILENT)?;
        done.map_err(|error| match error.code() {
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Deaf::Standby,
            _ => Deaf::Broken(Error::ours(&error, WHICH)),
        })
    }
}
