//! Reading the rows of some keys, and finding out whether that is right for a query.

use bytes::BytesMut;
use futures::future::{try_join, try_join3};
use tokio::sync::mpsc::Sender;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::query::bounded;
use super::{Error, Limits, Read, Session};
use crate::logic::keyed::routine::{Names, Routine};
use crate::logic::keyed::{
    KeyedPlan, Member, Table, Whole, consider, consider_plan, consider_routines, consider_table,
};
use crate::logic::row::{Key, Row};
use crate::logic::sql::{Identifier, QualifiedName, Query};

/// How a sentence about it begins.
const WHICH: &str = "the look for whether rows can be read by their keys";

/// The family of a table: itself, first, what it is a part of, and all parts of these. $1 is the schema or null, $2 the
/// table. A plan shows nothing of what a unique index lets the server leave out, so these count to the definition.
const FAMILY: &str = "\
    WITH RECURSIVE watched AS ( \
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
        WHERE c.relname = $2::name \
        AND CASE WHEN $1 IS NULL THEN pg_table_is_visible(c.oid) ELSE s.nspname = $1::name END \
    ), up(oid) AS ( \
        SELECT oid FROM watched \
        UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN up ON i.inhrelid = up.oid \
    ), down(oid) AS ( \
        SELECT oid FROM up \
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN down ON i.inhparent = down.oid \
    ), part(oid) AS ( \
        SELECT oid FROM watched \
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid \
    ) \
    SELECT r.oid, r.relkind::text, s.nspname::text, r.relname::text, r.oid IN (SELECT oid FROM part), \
        hashtextextended(string_agg(format('%s %s %s', r.oid, r.xmin, \
            (SELECT string_agg(i.indexrelid::text, ' ' ORDER BY i.indexrelid) FROM pg_catalog.pg_index i \
             WHERE i.indrelid = r.oid AND i.indisunique)), ',') OVER whole, 0) \
    FROM down JOIN pg_catalog.pg_class r ON r.oid = down.oid \
    JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace \
    WINDOW whole AS (ORDER BY r.oid ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) \
    ORDER BY r.oid IN (SELECT oid FROM watched) DESC, r.oid";

/// What goes by these names and need not be harmless. PostgreSQL's own operators and casts are; its own functions in SQL
/// are as good as those in C.
const ROUTINES: &str = "\
    SELECT f.what, f.name, p.provolatile::text, CASE WHEN p.oid < 16384 THEN 'internal' ELSE l.lanname::text END FROM ( \
        SELECT 'function' AS what, proname::text AS name, oid AS routine FROM pg_catalog.pg_proc \
        WHERE proname = ANY($1::name[]) \
        UNION ALL SELECT 'operator', oprname::text, oprcode FROM pg_catalog.pg_operator \
        WHERE oid >= 16384 AND oprname = ANY($2::name[]) \
        UNION ALL SELECT 'cast to', t.typname::text, c.castfunc FROM pg_catalog.pg_cast c \
        JOIN pg_catalog.pg_type t ON t.oid = c.casttarget \
        WHERE c.oid >= 16384 AND c.castfunc <> 0 AND (c.castcontext = 'i' OR t.typname = ANY($3::name[])) \
    ) f JOIN pg_catalog.pg_proc p ON p.oid = f.routine JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE p.provolatile <> 'i' \
    UNION ALL SELECT 'view', relname::text, '', '' FROM pg_catalog.pg_class \
    WHERE oid >= 16384 AND relkind = 'v' AND relname = ANY($4::name[]) \
    ORDER BY 1, 2";

/// A text that the server is to read as whatever type it needs there.
#[derive(Debug)]
struct AsText<'a>(Option<&'a str>);

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
    /// Whether the query's rows may be read by their keys after changes of this table, where the setup statements say
    /// it is. It holds until the query changes or something is defined otherwise: the table, a view, a function. To ask
    /// again with each full read is cheap, and finds that out. After an
    /// error, or if it is not awaited to its end, the session is closed.
    pub async fn may_read_keyed(
        &mut self,
        query: &Query,
        limits: &Limits,
        table: &QualifiedName,
    ) -> Result<Result<KeyedPlan, Whole>, Error> {
        if let Err(whole) = consider(query) {
            return Ok(Err(whole));
        }
        self.enter(query)?;
        self.set_up(query, limits).await?;
        self.begin(query, true, limits).await?;
        let plan = self.consider_keyed(query, limits, table).await?;
        self.roll_back(limits).await?;
        Ok(plan)
    }

    async fn consider_keyed(
        &self,
        query: &Query,
        limits: &Limits,
        table: &QualifiedName,
    ) -> Result<Result<KeyedPlan, Whole>, Error> {
        let Some(wrapped) = query.columns() else { return Ok(Err(Whole::changes_data())) };
        let described = self.columns_and_key(query, &wrapped, limits);
        let ((columns, key), found) = try_join(described, self.family(table, limits)).await?;
        let considered = match found {
            None => Err(Whole::no_table(table)),
            Some(table) => consider_table(&table, &key).map(|()| table),
        };
        let table = match considered {
            Ok(table) => table,
            Err(whole) => return Ok(Err(whole)),
        };
        let plan = self.explained(query, limits).await?;
        let names = match consider_plan(query, &plan, &columns, &key, &table) {
            Ok(names) => names,
            Err(whole) => return Ok(Err(whole)),
        };
        if let Err(whole) = consider_routines(&self.routines(&names, limits).await?) {
            return Ok(Err(whole));
        }
        Ok(match self.compares(query, &key, limits).await {
            Ok(()) => Ok(KeyedPlan { columns: key, table: table.oid, definition: table.definition }),
            Err(error) if error.is_of_class("42") => Err(Whole::not_comparable()),
            Err(error) => return Err(error),
        })
    }

    async fn family(&self, name: &QualifiedName, limits: &Limits) -> Result<Option<Table>, Error> {
        let (schema, table) = (name.schema(), name.table());
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&schema, Type::TEXT), (&table, Type::TEXT)];
        let rows = self.ask(FAMILY, &parameters, limits).await?;
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let member = |row: &tokio_postgres::Row| {
            Ok(Member { schema: row.try_get(2)?, name: row.try_get(3)?, is_part: row.try_get(4)? })
        };
        let family = rows.iter().map(member).collect::<Result<_, _>>().map_err(failed)?;
        let Some(first) = rows.first() else { return Ok(None) };
        let kind = first.try_get::<_, String>(1).map_err(failed)?;
        Ok(Some(Table {
            name: name.shown(),
            oid: first.try_get(0).map_err(failed)?,
            kind: kind.chars().next().unwrap_or_default(),
            family,
            definition: first.try_get(5).map_err(failed)?,
        }))
    }

    /// The plan of the last statement. In one message: what is set for it holds until the transaction ends.
    async fn explained(&self, query: &Query, limits: &Limits) -> Result<String, Error> {
        let (which, wrapped) = (query.which(query.len()), query.explained());
        let answer = bounded(&which, limits, self.client.simple_query(&wrapped.text)).await?;
        let answer = answer
            .map_err(|error| Error::statement(&error, which, &query.last, |position| wrapped.position(position)))?;
        let plan = answer.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten(),
            _ => None,
        });
        Ok(plan.unwrap_or_default().to_owned())
    }

    async fn routines(&self, names: &Names, limits: &Limits) -> Result<Vec<Routine>, Error> {
        let Names { functions, operators, types, views } = names;
        let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
            (functions, Type::TEXT_ARRAY),
            (operators, Type::TEXT_ARRAY),
            (types, Type::TEXT_ARRAY),
            (views, Type::TEXT_ARRAY),
        ];
        let rows = self.ask(ROUTINES, &parameters, limits).await?;
        let routine = |row: &tokio_postgres::Row| {
            let volatility = row.try_get::<_, String>(2)?.chars().next().unwrap_or_default();
            Ok(Routine { what: row.try_get(0)?, name: row.try_get(1)?, volatility, language: row.try_get(3)? })
        };
        rows.iter().map(routine).collect::<Result<_, _>>().map_err(|error| Error::ours(&error, WHICH))
    }

    /// Fails where values of the key's types cannot be compared as a read of some keys does it.
    async fn compares(&self, query: &Query, key: &[Identifier], limits: &Limits) -> Result<(), Error> {
        let any = Key::new(vec![Some(String::new()); key.len()]);
        let pick = query.pick(key, &[any]).map_err(Error::Keys)?;
        let nulls: Vec<AsText> = pick.parameters.iter().map(|_| AsText(None)).collect();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            nulls.iter().map(|null| (null as &(dyn ToSql + Sync), Type::UNKNOWN)).collect();
        self.ask(&format!("EXPLAIN {}", pick.wrapped.text), &parameters, limits).await.map(|_| ())
    }

    async fn ask(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        limits: &Limits,
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        let rows = bounded(WHICH, limits, self.client.query_typed(sql, parameters)).await?;
        rows.map_err(|error| Error::ours(&error, WHICH))
    }

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
        let pick = query.pick(&plan.columns, keys).map_err(Error::Keys)?;
        self.enter(query)?;
        self.set_up(query, limits).await?;
        let which = query.which(query.len());
        let parameters: Vec<AsText> = pick.parameters.iter().map(|text| AsText(Some(text))).collect();
        let parameters = parameters.iter().map(|parameter| (parameter, Type::UNKNOWN));
        // On their way together, in this order: one wait for all. A statement that the server refuses is rolled back
        // like any other.
        let beginning = self.beginning(query, true, limits);
        let begin = self.sent(&beginning);
        let read = async {
            match self.stream(query, &pick.wrapped, parameters, limits, rows).await {
                Err(error) if !error.is_of_keys() => Err(error),
                read => Ok(read),
            }
        };
        let end = try_join(self.sent("ROLLBACK"), async {
            // What may be read by keys leaves nothing behind by itself.
            if self.direct && !query.setup.is_empty() { self.sent("DISCARD ALL").await } else { Ok(()) }
        });
        let ((), read, _) = bounded(&which, limits, try_join3(begin, read, end)).await??;
        self.in_use = false;
        read.map(|rows| Read::new(rows, &plan.columns))
    }

    async fn sent(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| Error::ours(&error, "the session"))
    }
}
