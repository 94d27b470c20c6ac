//! Finding out whether it is right for a query to read the rows of some keys by themselves.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use futures::future::try_join;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{ToSql, Type};

use super::pick::AsText;
use super::query::bounded;
use super::shape::shape;
use super::tree::tree;
use super::{Error, Limits, Session};
use crate::logic::detect::Watched;
use crate::logic::keyed::plan::Plan;
use crate::logic::keyed::routine::{Names, Routine};
use crate::logic::keyed::{
    KeyedPlan, KeyedTable, Member, Table, Whole, consider, consider_key, consider_plan, consider_routines,
    consider_table,
};
use crate::logic::row::Key;
use crate::logic::sql::{BadKeys, Identifier, Pick, QualifiedName, Query};

/// How a sentence about it begins.
const WHICH: &str = "the look for whether rows can be read by their keys";

/// The family of a table: itself, first, what it is a part of, and all parts of these. $1 is the schema or null, $2 the
/// table. A plan shows nothing of what a unique index lets the server leave out, so these count to the definition.
const FAMILY: &str = concat!(
    "\
    WITH RECURSIVE watched AS ( \
        SELECT c.oid, c.reltype FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
        WHERE c.relname = $2::name \
        AND CASE WHEN $1 IS NULL THEN pg_table_is_visible(c.oid) ELSE s.nspname = $1::name END \
    ), up(oid) AS ( \
        SELECT oid FROM watched \
        UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN up ON i.inhrelid = up.oid \
    ), down(oid) AS ( \
        SELECT oid FROM up \
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN down ON i.inhparent = down.oid \
    ), ",
    tree!("(SELECT watched.oid FROM watched)"),
    "SELECT r.oid, r.relkind::text, s.nspname::text, r.relname::text, r.oid IN (SELECT tree.oid FROM tree), \
        hashtextextended(concat(string_agg(format('%s %s %s', r.oid, r.xmin, \
            (SELECT string_agg(i.indexrelid::text, ' ' ORDER BY i.indexrelid) FROM pg_catalog.pg_index i \
             WHERE i.indrelid = r.oid AND i.indisunique)), ',') OVER whole, ' ', ",
    shape!("(SELECT watched.reltype FROM watched)"),
    "), 0) \
    FROM down JOIN pg_catalog.pg_class r ON r.oid = down.oid \
    JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace \
    WINDOW whole AS (ORDER BY r.oid ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) \
    ORDER BY r.oid IN (SELECT oid FROM watched) DESC, r.oid"
);

/// What goes by these names and need not be harmless. PostgreSQL's own operators and casts are; its own functions in SQL
/// are as good as those in C.
const ROUTINES: &str = "\
    SELECT f.what, f.name, p.provolatile::text, CASE WHEN p.oid < 16384 THEN 'internal' ELSE l.lanname::text END, \
    p.xmin::text FROM ( \
        SELECT 'function' AS what, proname::text AS name, oid AS routine FROM pg_catalog.pg_proc \
        WHERE proname = ANY($1::name[]) \
        UNION ALL SELECT 'operator', oprname::text, oprcode FROM pg_catalog.pg_operator \
        WHERE oid >= 16384 AND oprname = ANY($2::name[]) \
        UNION ALL SELECT 'cast to', t.typname::text, c.castfunc FROM pg_catalog.pg_cast c \
        JOIN pg_catalog.pg_type t ON t.oid = c.casttarget \
        WHERE c.oid >= 16384 AND c.castfunc <> 0 AND (c.castcontext = 'i' OR t.typname = ANY($3::name[])) \
    ) f JOIN pg_catalog.pg_proc p ON p.oid = f.routine JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE p.provolatile <> 'i' OR p.oid >= 16384 \
    UNION ALL SELECT 'view', relname::text, '', '', '' FROM pg_catalog.pg_class \
    WHERE oid >= 16384 AND relkind = 'v' AND relname = ANY($4::name[]) \
    ORDER BY 1, 2, 5";

impl Session {
    /// After changes of which of these tables the query's rows may be read by keys, where the setup statements say that
    /// they are. It holds until the query changes or something is defined otherwise: a table, a view, a function, a policy.
    /// To ask again is cheap, and finds that out. After an
    /// error, or if it is not awaited to its end, the session is closed.
    pub async fn may_read_keyed(
        &mut self,
        query: &Query,
        limits: &Limits,
        tables: &[Watched],
    ) -> Result<KeyedPlan, Error> {
        if let Err(whole) = consider(query) {
            return Ok(KeyedPlan::whole(tables.len(), &whole));
        }
        self.enter(query)?;
        self.set_up(query, limits).await?;
        self.begin(query, true, limits).await?;
        let plan = match self.consider_keyed(query, limits, tables).await? {
            Ok(plan) => plan,
            Err(whole) => KeyedPlan::whole(tables.len(), &whole),
        };
        self.roll_back(limits).await?;
        Ok(plan)
    }

    async fn consider_keyed(
        &self,
        query: &Query,
        limits: &Limits,
        tables: &[Watched],
    ) -> Result<Result<KeyedPlan, Whole>, Error> {
        let Some(wrapped) = query.columns() else { return Ok(Err(Whole::changes_data())) };
        if let Some(setting) = self.looks_otherwise(query, limits).await? {
            return Ok(Err(Whole::looks_otherwise(&setting)));
        }
        let (columns, row_key) = self.columns_and_key(query, &wrapped, limits).await?;
        if let Err(whole) = consider_key(&row_key) {
            return Ok(Err(whole));
        }
        let mut found = Vec::new();
        for (index, watched) in tables.iter().enumerate() {
            found.push(self.found(watched, (index == 0).then_some(&row_key), limits).await?);
        }
        let explained = match found.iter().any(Result::is_ok) {
            true => Some(self.explained(query, limits).await?),
            false => None,
        };
        let plan = match explained.as_deref().map_or_else(|| Ok(Plan::default()), Plan::read) {
            Ok(plan) => plan,
            Err(whole) => return Ok(Err(whole)),
        };
        let keyed = |(index, found): (usize, Result<(Table, Vec<Identifier>), Whole>)| {
            let (table, key) = found?;
            let shown = consider_plan(&plan, &columns, &key, &table, index == 0)?;
            Ok(KeyedTable { oid: table.oid, key, columns: shown, definition: table.definition })
        };
        let tables = found.into_iter().enumerate().map(keyed).collect();
        let mut keyed = KeyedPlan { columns: row_key, tables, edition: 0 };
        if !keyed.is_of_use() {
            return Ok(Ok(keyed));
        }
        let names = match Names::of(query, &plan) {
            Ok(names) => names,
            Err(whole) => return Ok(Err(whole)),
        };
        let routines = self.routines(&names, limits).await?;
        if let Err(whole) = consider_routines(&routines) {
            return Ok(Err(whole));
        }
        keyed.edition = BuildHasherDefault::<DefaultHasher>::default().hash_one((explained, routines));
        let any = |key: &[Identifier]| [Key::new(vec![Some(String::new()); key.len()])];
        let rows = query.pick(&keyed.columns, &[], &any(&keyed.columns));
        if !self.is_comparable(rows, limits).await? {
            return Ok(Err(Whole::not_comparable()));
        }
        for table in keyed.tables.iter_mut().skip(1) {
            let Ok(KeyedTable { columns, .. }) = table else { continue };
            let keys = query.pick_keys(&keyed.columns, columns, &any(columns));
            if !self.is_comparable(keys, limits).await? {
                *table = Err(Whole::not_comparable());
                // The server has given the transaction up.
                self.own("ROLLBACK", limits).await?;
                self.begin(query, true, limits).await?;
            }
        }
        Ok(Ok(keyed))
    }

    /// The table and its key: `row_key`, or else what is said of it, or else its primary key.
    async fn found(
        &self,
        watched: &Watched,
        row_key: Option<&Vec<Identifier>>,
        limits: &Limits,
    ) -> Result<Result<(Table, Vec<Identifier>), Whole>, Error> {
        let given = row_key.or(Some(&watched.key).filter(|key| !key.is_empty()));
        let primary = given.is_none().then_some(&watched.table);
        let (found, primary) = try_join(self.family(&watched.table, limits), self.primary_key(primary, limits)).await?;
        let key = given.cloned().unwrap_or(primary);
        let found = found.ok_or_else(|| Whole::no_table(&watched.table));
        Ok(found.and_then(|table| consider_table(&table, &key).map(|()| (table, key))))
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
            let (what, name) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Routine { what, name, volatility, language: row.try_get(3)?, edition: row.try_get(4)? })
        };
        rows.iter().map(routine).collect::<Result<_, _>>().map_err(|error| Error::ours(&error, WHICH))
    }

    /// Whether the values in it can be compared as it does that.
    async fn is_comparable(&self, pick: Result<Pick, BadKeys>, limits: &Limits) -> Result<bool, Error> {
        let pick = pick.map_err(Error::Keys)?;
        let nulls: Vec<AsText> = pick.parameters.iter().map(|_| AsText(None)).collect();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            nulls.iter().map(|null| (null as &(dyn ToSql + Sync), Type::UNKNOWN)).collect();
        match self.ask(&format!("EXPLAIN {}", pick.wrapped.text), &parameters, limits).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_of_class("42") => Ok(false),
            Err(error) => Err(error),
        }
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
}
