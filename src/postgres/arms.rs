//! The locks by which a listener says for which tables it wants to be notified; on connections of their own, as nobody
//! hears anything on one that waits. They end with the connection.

use std::pin::pin;
use std::time::Duration;

use futures::future::join;
use tokio::time::{sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::error::SILENT;
use super::session::PATIENCE;
use super::{Error, Session};
use crate::logic::connection::Settings;
use crate::logic::detect::Keeper;

/// First of the numbers that our advisory locks have; the triggers use the same. Slot n is claimed by (this + 2n, 0), and
/// table t armed for it by (this + 2n + 1, t).
const FIRST: i32 = 1_684_173_167;
/// How long to wait for a lock before that is left to a connection of its own.
const SHORT: &str = "200ms";
/// A lock that is not had so long after it was asked for is waited for.
const SOON: Duration = Duration::from_millis(100);
/// How a sentence about it begins.
const WHICH: &str = "the connection for locks";

/// A slot of a database, and locks on it for tables.
pub struct Arms {
    session: Session,
    slot: i32,
}

/// All slots of the database have other holders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Who they are, as far as they have not let go meanwhile.
    pub holders: Vec<Holder>,
}

/// A session that has a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its server process.
    pub pid: i32,
    /// What it is called; None where that is not to be seen.
    pub name: Option<String>,
}

/// $1 are the first numbers of slots.
const HOLDERS: &str = "\
    SELECT DISTINCT l.pid, a.application_name \
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
    WHERE l.locktype = 'advisory' AND l.granted AND l.pid IS NOT NULL \
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()) \
    AND l.classid::int8 = ANY ($1) AND l.objid = 0 AND l.objsubid = 2 ORDER BY l.pid";

/// $1 is the first number of a slot's locks on tables, $2 are tables. Only who listens has such a lock exclusively.
const KEEPERS: &str = "\
    SELECT l.objid::int8, l.pid, l.mode = 'ExclusiveLock' \
    FROM pg_catalog.pg_locks l \
    WHERE l.locktype = 'advisory' AND l.granted \
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()) \
    AND l.classid::int8 = $1 AND l.objid::int8 = ANY ($2) AND l.objsubid = 2 ORDER BY l.pid";

/// $1 is the first number of a slot's locks on tables, $2 a table.
const OWN: &str = "\
    SELECT FROM pg_catalog.pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'advisory' AND l.granted \
    AND l.classid::int8 = $1 AND l.objid::int8 = $2 AND l.objsubid = 2";

impl Arms {
    /// Claims a slot, of so many.
    pub async fn claim(settings: &Settings, slots: i32) -> Result<Result<Self, Taken>, Error> {
        let session = Session::connect(settings).await?;
        session.stay().await?;
        let mut arms = Self { session, slot: 0 };
        for slot in 0..slots {
            arms.slot = slot;
            if arms.try_claim().await? {
                return Ok(Ok(arms));
            }
        }
        Ok(Err(Taken { holders: arms.holders(slots).await? }))
    }

    async fn holders(&self, slots: i32) -> Result<Vec<Holder>, Error> {
        let firsts: Vec<i64> = (0..slots).map(|slot| i64::from(FIRST + 2 * slot)).collect();
        let rows = self.look(HOLDERS, &[(&firsts, Type::INT8_ARRAY)]).await?;
        let holder = |row: &Row| Ok(Holder { pid: row.try_get(0)?, name: row.try_get(1)? });
        rows.iter().map(holder).collect::<Result<_, _>>().map_err(|error| Error::ours(&error, WHICH))
    }

    /// Who has the locks of these tables, each with its table.
    pub async fn keepers(&self, tables: &[i64]) -> Result<Vec<(i64, Keeper)>, Error> {
        let first = i64::from(second(self.slot));
        let rows = self.look(KEEPERS, &[(&first, Type::INT8), (&tables, Type::INT8_ARRAY)]).await?;
        let keeper = |row: &Row| Ok((row.try_get(0)?, Keeper { pid: row.try_get(1)?, is_listener: row.try_get(2)? }));
        rows.iter().map(keeper).collect::<Result<_, _>>().map_err(|error| Error::ours(&error, WHICH))
    }

    /// What there is to be seen: a server that does not let us see it has none.
    async fn look(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        match self.ask(sql, parameters).await {
            Err(error) if !error.tells_nothing() => {
                tracing::debug!("who keeps locks is not to be seen: {error}");
                Ok(Vec::new())
            }
            seen => seen,
        }
    }

    async fn ask(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        let rows = timeout(PATIENCE, self.session.client.query_typed(sql, parameters)).await.map_err(|_| SILENT)?;
        rows.map_err(|error| Error::ours(&error, WHICH))
    }

    /// Asks for the lock of a table; tells whether it is free.
    pub async fn try_arm(&self, table: i64) -> Result<bool, Error> {
        self.is_granted(&of_table("pg_try_advisory_lock", self.slot, table)).await
    }

    /// Waits for the lock of a table; tells whether it was had in a short time.
    pub async fn arm(&self, table: i64) -> Result<bool, Error> {
        let sql = format!("SET lock_timeout = '{SHORT}'; {}", of_table("pg_advisory_lock", self.slot, table));
        match timeout(PATIENCE, self.session.client.batch_execute(&sql)).await {
            Err(_) => Err(SILENT),
            Ok(Ok(())) => Ok(true),
            // One that was granted as the time ended is kept in spite of the error, as it is the session's.
            Ok(Err(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => self.has(table).await,
            Ok(Err(error)) => Err(Error::ours(&error, WHICH)),
        }
    }

    /// Whether the lock of a table is had.
    async fn has(&self, table: i64) -> Result<bool, Error> {
        let first = i64::from(second(self.slot));
        Ok(!self.look(OWN, &[(&first, Type::INT8), (&table, Type::INT8)]).await?.is_empty())
    }

    /// Gives up the lock of a table.
    pub async fn disarm(&self, table: i64) -> Result<(), Error> {
        self.session.execute(&of_table("pg_advisory_unlock", self.slot, table), PATIENCE, WHICH).await
    }

    /// The slot that was claimed, from 0.
    pub fn slot(&self) -> i32 {
        self.slot
    }

    /// Takes a lock that was had on a connection of its own over. Whoever asks meanwhile finds it had or waited for, unless
    /// the server takes long: so it counts as had only from now on. False if somebody else has it by then.
    pub async fn take_over(&self, vigilant: Vigilant) -> Result<bool, Error> {
        let table = vigilant.table;
        let let_go = async {
            sleep(SOON).await;
            // One that does not answer keeps it, and then it is not had here.
            let _ = timeout(SOON, vigilant.let_go()).await;
        };
        join(self.arm(table), let_go).await.0
    }

    /// Whether the connection is alive.
    pub async fn ping(&self) -> Result<(), Error> {
        self.session.execute("", PATIENCE, WHICH).await
    }

    /// Waits until the connection, and with it every lock, is gone. Of no use afterwards.
    pub async fn ended(&mut self) {
        self.session.ended().await;
    }

    async fn try_claim(&self) -> Result<bool, Error> {
        self.is_granted(&format!("SELECT pg_catalog.pg_try_advisory_lock({}, 0)", FIRST + 2 * self.slot)).await
    }

    async fn is_granted(&self, sql: &str) -> Result<bool, Error> {
        let rows = self.ask(sql, &[]).await?;
        rows.first().map_or(Ok(false), |row| row.try_get(0)).map_err(|error| Error::ours(&error, WHICH))
    }
}

/// The lock of one table, waited for and had on a connection of its own, until it is taken over.
pub struct Vigilant {
    session: Session,
    slot: i32,
    table: i64,
}

impl Vigilant {
    /// Waits for the lock of a table as long as it takes. `queued` is called as soon as it is waited for.
    pub async fn wait(settings: &Settings, slot: i32, table: i64, queued: impl FnOnce()) -> Result<Self, Error> {
        let mut session = Session::connect(settings).await?;
        session.stay().await?;
        // Given up, it is canceled: a server does not notice by itself that nobody waits any more.
        session.in_use = true;
        let sql = of_table("pg_advisory_lock", slot, table);
        {
            let mut asked = pin!(session.client.batch_execute(&sql));
            let had = match timeout(SOON, &mut asked).await {
                Ok(had) => had,
                Err(_) => {
                    queued();
                    asked.await
                }
            };
            had.map_err(|error| Error::ours(&error, WHICH))?;
        }
        session.in_use = false;
        Ok(Self { session, slot, table })
    }

    async fn let_go(&self) -> Result<(), Error> {
        self.session.execute(&of_table("pg_advisory_unlock", self.slot, self.table), PATIENCE, WHICH).await
    }
}

/// A call of a function on the lock by which a slot is armed for a table.
fn of_table(function: &str, slot: i32, table: i64) -> String {
    format!("SELECT pg_catalog.{function}({}, {})", second(slot), as_int4(table))
}

/// The first number of the locks by which a slot is armed for tables.
fn second(slot: i32) -> i32 {
    FIRST + 2 * slot + 1
}

/// Locks have 32 bits with a sign, and oids 32 without.
#[expect(clippy::cast_possible_truncation, reason = "oids have 32 bits")]
fn as_int4(oid: i64) -> i32 {
    oid as u32 as i32
}
