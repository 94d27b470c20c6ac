//! Whether a replica has what the primary had at some moment, so that nothing older than that is read there.

use tokio_postgres::types::{ToSql, Type};

use super::query::{NONE, bounded};
use super::{Error, Limits, Session};

/// How a sentence about it begins.
const WHICH: &str = "the look at the replica";

/// Where everything ends that was committed before. The insert position: a commit that did not wait for its flush is
/// before that, too.
const POSITION: &str = "\
    SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END, \
    (SELECT s.system_identifier FROM pg_control_system() s), \
    CASE WHEN NOT pg_is_in_recovery() THEN \
        ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END";

/// $1 is a position, $2 of which system, $3 on which timeline: of a replica of somebody who was promoted, positions say
/// nothing. Who receives shows its timeline at once, if not to everybody; the others are written down now and then.
const REPLAYED: &str = "\
    SELECT pg_is_in_recovery() AND coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false) \
    AND (SELECT s.system_identifier FROM pg_control_system() s) = $2 \
    AND greatest( \
        (SELECT c.timeline_id FROM pg_control_checkpoint() c), \
        (SELECT r.min_recovery_end_timeline FROM pg_control_recovery() r), \
        (SELECT r.received_tli FROM pg_stat_get_wal_receiver() r)) = $3";

/// A moment of a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    lsn: String,
    system: i64,
    timeline: i32,
}

impl Session {
    /// This moment; None where the server is no primary.
    pub async fn position(&self, limits: &Limits) -> Result<Option<Position>, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let row = bounded(WHICH, limits, self.client.query_typed(POSITION, &NONE)).await?.map_err(failed)?;
        let Some(row) = row.first() else { return Ok(None) };
        let (lsn, timeline): (Option<String>, Option<i32>) =
            (row.try_get(0).map_err(failed)?, row.try_get(2).map_err(failed)?);
        let system = row.try_get(1).map_err(failed)?;
        Ok(lsn.zip(timeline).map(|(lsn, timeline)| Position { lsn, system, timeline }))
    }

    /// Whether this is a replica of the same system, on the same timeline, that has everything from before that moment.
    pub async fn has_replayed(&self, position: &Position, limits: &Limits) -> Result<bool, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&position.lsn, Type::TEXT), (&position.system, Type::INT8), (&position.timeline, Type::INT4)];
        let row = bounded(WHICH, limits, self.client.query_typed(REPLAYED, &parameters)).await?.map_err(failed)?;
        row.first().map_or(Ok(false), |row| row.try_get(0)).map_err(failed)
    }
}
