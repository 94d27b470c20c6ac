//! The look for changes: one small statement for all tables of a DatabaseQueryResource.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::error::place;
use super::query::bounded;
use super::shape::shape;
use super::tree::tree;
use super::{Error, Limits, Session};
use crate::logic::detect::{Ask, Detection, Fingerprint, Found, FoundTable, Relation, Server};
use crate::logic::sql::Query;

/// How a sentence about it begins.
const WHICH: &str = "the look for changes";

/// Tables are found as the server finds them in a query, but without the right to use their schema: counters are
/// there for everybody. All descendants count, as all of them are read through the table. Of a table that was never
/// analysed, the file's size says how many rows of the smallest kind it could hold. Changes of its definition (a column
/// with a default, one that is called otherwise) show in the rows that the catalogs have for it.
const TABLES: &str = "\
    SELECT c.oid::int8, c.relkind::text, a.attnum IS NOT NULL, \
        coalesce(c.usable AND has_column_privilege(c.oid, a.attnum, 'SELECT'), false), \
        coalesce(c.usable AND has_any_column_privilege(c.oid, 'SELECT'), false), \
        coalesce(m.partly_foreign, false), coalesce(m.rows, 0)::float8, coalesce(m.bytes, 0)::int8, m.state, \
        pg_is_in_recovery(), current_setting('track_counts')::bool, \
        concat_ws(', ', pg_stat_get_bgwriter_stat_reset_time(), pg_stat_get_db_stat_reset_time(d.oid)), \
        current_setting('max_prepared_transactions')::int4 > 0";

/// $1 are the schemas, where given, $2 the tables, $3 the columns, where given.
const FROM: &str = concat!(
    " \
    FROM pg_catalog.pg_database d \
    CROSS JOIN unnest($1, $2, $3) WITH ORDINALITY AS t(schema, name, column_name, n) \
    LEFT JOIN LATERAL ( \
        SELECT c.oid, c.relkind, c.reltype, has_schema_privilege(c.relnamespace, 'USAGE') AS usable \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
        WHERE c.relname = t.name::name \
        AND CASE WHEN t.schema IS NULL THEN pg_table_is_visible(c.oid) ELSE s.nspname = t.schema::name END \
    ) c ON true \
    LEFT JOIN pg_catalog.pg_attribute a \
        ON a.attrelid = c.oid AND a.attname = t.column_name::name AND NOT a.attisdropped \
    LEFT JOIN LATERAL ( \
        WITH RECURSIVE ",
    tree!("c.oid"),
    "SELECT bool_or(r.relkind = 'f') AS partly_foreign, \
            sum(CASE WHEN r.reltuples < 0 THEN pg_relation_size(r.oid) / 36 ELSE r.reltuples END) \
                FILTER (WHERE r.relkind IN ('r', 'm')) AS rows, \
            sum(r.relpages::int8) * current_setting('block_size')::int8 AS bytes, \
            hashtextextended(concat(string_agg(format('%s %s %s %s %s %s %s', r.oid, r.xmin, tree.leaving, \
                pg_relation_filenode(r.oid), pg_stat_get_tuples_inserted(r.oid), pg_stat_get_tuples_updated(r.oid), \
                pg_stat_get_tuples_deleted(r.oid)), ',' ORDER BY r.oid), ' ', ",
    shape!("c.reltype"),
    "), 0) AS state \
        FROM tree JOIN pg_catalog.pg_class r ON r.oid = tree.oid \
    ) m ON true \
    WHERE d.datname = current_database() \
    ORDER BY t.n"
);

/// The text of a look, and whose each part of it is.
struct Look {
    sql: String,
    /// Where something of a table is asked for: characters before it, and what it is.
    parts: Vec<(usize, String)>,
}

impl Session {
    /// Looks at the tables, found where the query's setup statements say, in a transaction of its own, since counters
    /// stand still within one. With the look `before` it is one statement, unless there is something else to ask for
    /// by now. After an error, or if it is not awaited to its end, the session is closed.
    pub async fn probe(
        &mut self,
        query: &Query,
        limits: &Limits,
        detection: &Detection,
        before: Option<&Fingerprint>,
    ) -> Result<Fingerprint, Error> {
        self.enter(query)?;
        self.set_up(query, limits).await?;
        self.begin(query, true, limits).await?;
        let mut asks = before.map_or_else(|| detection.nothing(), Fingerprint::asks);
        let mut print = match self.look(detection, &asks, limits).await {
            // What was asked for may be gone: to ask for nothing tells what it is.
            Err(error) if before.is_some() && error.is_of_class("42") => {
                self.own("ROLLBACK", limits).await?;
                self.begin(query, true, limits).await?;
                asks = detection.nothing();
                self.look(detection, &asks, limits).await
            }
            looked => looked,
        }?;
        if print.asks() != asks {
            asks = print.asks();
            print = self.look(detection, &asks, limits).await?;
        }
        self.roll_back(limits).await?;
        Ok(print)
    }

    async fn look(&self, detection: &Detection, asks: &[Ask], limits: &Limits) -> Result<Fingerprint, Error> {
        let look = Look::of(detection, asks);
        let failed = |error: tokio_postgres::Error| {
            Error::ours(&error, place(&error).and_then(|at| look.part_at(at)).unwrap_or(WHICH))
        };
        let tables = &detection.tables;
        let schemas: Vec<Option<&str>> = tables.iter().map(|watched| watched.table.schema()).collect();
        let names: Vec<&str> = tables.iter().map(|watched| watched.table.table()).collect();
        let columns: Vec<Option<&str>> =
            tables.iter().map(|watched| watched.column.as_ref().map(|column| column.as_str())).collect();
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY), (&columns, Type::TEXT_ARRAY)];
        let rows = bounded(WHICH, limits, self.client.query_typed(&look.sql, &parameters)).await?.map_err(failed)?;
        let found = found(&rows).map_err(failed)?;
        detection.fingerprint(found).map_err(Error::Undetectable)
    }
}

impl Look {
    /// Each MAX and number of rows is a sub-select that the server runs for its table's row alone.
    fn of(detection: &Detection, asks: &[Ask]) -> Self {
        let mut look = Self { sql: TABLES.to_owned(), parts: Vec::new() };
        let tables = || detection.tables.iter().zip(asks).zip(1..);
        look.sql += ", CASE t.n";
        for ((watched, _), n) in tables().filter(|((_, ask), _)| ask.newest) {
            let Some(column) = &watched.column else { continue };
            look.part(&format!("{}: MAX of {} of {}", watched.column_field(), column.shown(), watched.table.shown()));
            look.sql += &format!(" WHEN {n} THEN (SELECT max({column})::text FROM {})", watched.table);
        }
        look.sql += " WHEN 0 THEN NULL::text END, CASE t.n";
        for ((watched, _), n) in tables().filter(|((_, ask), _)| ask.count) {
            look.part(&format!("{}: the number of rows of {}", watched.table_field(), watched.table.shown()));
            look.sql += &format!(" WHEN {n} THEN (SELECT count(*) FROM {})", watched.table);
        }
        look.sql += " WHEN 0 THEN NULL::int8 END";
        look.sql += FROM;
        look
    }

    fn part(&mut self, what: &str) {
        self.parts.push((self.sql.chars().count(), what.to_owned()));
    }

    /// What stands at a position that the server gave (in characters, from 1).
    fn part_at(&self, position: usize) -> Option<&str> {
        self.parts.iter().rev().find(|(before, _)| *before < position).map(|(_, what)| what.as_str())
    }
}

fn found(rows: &[Row]) -> Result<Found, tokio_postgres::Error> {
    let server = rows.first().map(server).transpose()?.unwrap_or_default();
    Ok(Found { server, tables: rows.iter().map(table).collect::<Result<_, _>>()? })
}

fn server(row: &Row) -> Result<Server, tokio_postgres::Error> {
    Ok(Server {
        standby: row.try_get(9)?,
        track_counts: row.try_get(10)?,
        counting_since: row.try_get(11)?,
        prepares: row.try_get(12)?,
    })
}

fn table(row: &Row) -> Result<FoundTable, tokio_postgres::Error> {
    let relation = match row.try_get(0)? {
        None => None,
        Some(oid) => Some(Relation {
            oid,
            kind: row.try_get::<_, String>(1)?.chars().next().unwrap_or_default(),
            has_column: row.try_get(2)?,
            may_select_column: row.try_get(3)?,
            may_select: row.try_get(4)?,
            partly_foreign: row.try_get(5)?,
            rows: row.try_get(6)?,
            bytes: row.try_get(7)?,
            state: row.try_get::<_, Option<i64>>(8)?.unwrap_or_default(),
        }),
    };
    Ok(FoundTable { relation, newest: row.try_get(13)?, count: row.try_get(14)? })
}
