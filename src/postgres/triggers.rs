//! What makes PostgreSQL tell of changes: whether it is there, and how it comes there. All of it is done by the functions
//! of `sql/install.sql`, which a person can run as well.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::pooler::timeouts;
use super::query::bounded;
use super::tree::tree;
use super::{Error, Limits, Session};
use crate::logic::sql::{Identifier, QualifiedName};
use crate::logic::triggers::{Finding, Installed, Missing, Sends, Trigger, Wanted, Watch, Watched, Why, files};

/// How a sentence about it begins.
const WHICH: &str = "the look for triggers";
const INSTALLING: &str = "installing the schema dbqo";
const WATCHING: &str = "making triggers";

/// Numbers of versions are read in the functions' texts: nothing can be called that may not be there.
const INSTALLED: &str = "\
    SELECT max(f.number) FILTER (WHERE f.name = 'version'), max(f.number) FILTER (WHERE f.name = 'revision'), \
        has_database_privilege(current_database(), 'CREATE'), pg_is_in_recovery(), \
        current_setting('max_prepared_transactions')::int4 > 0, \
        (SELECT r.rolname::text FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner \
            WHERE n.nspname = 'dbqo' AND NOT (r.rolname IN ('dbqo_owner', current_user) OR r.rolsuper \
                OR r.oid = (SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = current_database()))) \
    FROM (SELECT p.proname AS name, substring(p.prosrc FROM '^SELECT ([0-9]{1,9})$')::int4 AS number \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE n.nspname = 'dbqo' AND p.pronargs = 0 AND p.proname IN ('version', 'revision')) f";

/// $1 are the tables. Catalogs alone, which everybody may read. Inheritance children need triggers of their own;
/// partitions have theirs from the table (but that for TRUNCATE, which the files' numbers show, too). As `sql/install.sql`
/// has it: names, and for what kind of table triggers are for each row.
const TRIGGERS: &str = concat!(
    "\
    SELECT w.oid::int8, s.nspname::text, c.relname::text, obj_description(p.oid, 'pg_proc'), \
        coalesce(has_table_privilege(c.oid, 'TRIGGER'), false), coalesce(k.subscribed, false), \
        coalesce(m.names, '{}'), coalesce(m.schemas, '{}'), coalesce(m.tables, '{}'), \
        coalesce(d.names, '{}'), coalesce(d.schemas, '{}'), coalesce(d.tables, '{}'), \
        coalesce(hashtextextended(concat_ws(' ', p.xmin::text, d.state), 0), 0) \
    FROM unnest($1) WITH ORDINALITY AS w(oid, n) \
    LEFT JOIN pg_catalog.pg_class c ON c.oid = w.oid \
    LEFT JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_namespace o ON o.nspname = 'dbqo' \
    LEFT JOIN pg_catalog.pg_proc p \
        ON p.pronamespace = o.oid AND p.proname = concat('n_', w.oid)::name AND p.pronargs = 0 \
    LEFT JOIN LATERAL ( \
        WITH RECURSIVE ",
    tree!("c.oid"),
    "SELECT array_agg(tree.oid) AS oids, \
            EXISTS (SELECT FROM pg_catalog.pg_subscription_rel r WHERE r.srrelid IN (SELECT tree.oid FROM tree)) \
                AS subscribed, \
            EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid) AS inherits \
        FROM tree \
    ) k ON true \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(e.name) AS names, array_agg(rs.nspname::text) AS schemas, array_agg(r.relname::text) AS tables \
        FROM unnest(CASE WHEN c.relkind = 'r' THEN k.oids ELSE ARRAY[c.oid] END) AS part(oid) \
        JOIN pg_catalog.pg_class r ON r.oid = part.oid AND r.relkind IN ('r', 'p') \
        JOIN pg_catalog.pg_namespace rs ON rs.oid = r.relnamespace \
        CROSS JOIN LATERAL (SELECT concat('dbqo_', c.oid, '_', suffix) AS name, \
            (suffix <> 'trunc' AND (c.relkind = 'p' OR k.inherits OR k.subscribed))::int4 AS per_row \
            FROM unnest(ARRAY['ins', 'upd', 'del', 'trunc']) AS suffix) e \
        LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND t.tgname = e.name::name AND t.tgfoid = p.oid \
        WHERE t.tgtype & 1 IS DISTINCT FROM e.per_row \
    ) m ON true \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(t.tgname::text) FILTER (WHERE t.off) AS names, \
            array_agg(rs.nspname::text) FILTER (WHERE t.off) AS schemas, \
            array_agg(r.relname::text) FILTER (WHERE t.off) AS tables, \
            string_agg(concat(t.oid, ' ', t.version, ' ', t.tgenabled), ',' ORDER BY t.oid) AS state \
        FROM (SELECT t.oid, t.tgname, t.tgrelid, t.tgenabled, t.xmin AS version, \
                NOT (t.tgenabled = 'A' OR t.tgenabled = 'O' AND NOT k.subscribed) AS off \
            FROM pg_catalog.pg_trigger t WHERE t.tgrelid = ANY (k.oids) AND t.tgfoid = p.oid) t \
        JOIN pg_catalog.pg_class r ON r.oid = t.tgrelid JOIN pg_catalog.pg_namespace rs ON rs.oid = r.relnamespace \
    ) d ON true \
    ORDER BY w.n"
);

/// Why a table is not watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwatched {
    /// Something is missing that somebody can mend.
    #[error("{0}")]
    Missing(Missing),
    /// The database could not be asked.
    #[error("{0}")]
    Failed(#[from] Error),
}

impl Session {
    /// What of `sql/install.sql` is in this database.
    pub async fn installed(&self, limits: &Limits) -> Result<Installed, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let rows = bounded(WHICH, limits, self.client.query_typed(INSTALLED, &[])).await?.map_err(failed)?;
        let row = rows.first().ok_or(Error::Unreachable("no answer"))?;
        let installed = || {
            Ok(Installed {
                version: row.try_get(0)?,
                revision: row.try_get(1)?,
                may_install: row.try_get(2)?,
                standby: row.try_get(3)?,
                prepares: row.try_get(4)?,
                stranger: row.try_get(5)?,
            })
        };
        installed().map_err(failed)
    }

    /// What each of the tables has of triggers, in their order: one small statement that needs no rights, and neither
    /// begins nor ends a transaction.
    pub async fn triggers(&self, oids: &[u32], limits: &Limits) -> Result<Vec<Watch>, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&oids, Type::OID_ARRAY)];
        let rows = bounded(WHICH, limits, self.client.query_typed(TRIGGERS, &parameters)).await?.map_err(failed)?;
        rows.iter().map(watch).collect::<Result<_, _>>().map_err(failed)
    }

    /// Runs `sql/install.sql`, which leaves a newer version alone. After an error the session is of use still, unless
    /// the connection is lost.
    pub async fn install(&mut self, limits: &Limits) -> Result<(), Error> {
        self.change(limits, async |session| {
            let done = bounded(INSTALLING, limits, session.client.batch_execute(files::INSTALL)).await?;
            done.map_err(|error| Error::ours(&error, INSTALLING))
        })
        .await
    }

    /// Makes what the table lacks of function and triggers, and tells what that was; nothing, where all is there, and
    /// then it locks nothing. It waits for those who write to the table two seconds at most, as they do for it.
    pub async fn watch(&mut self, wanted: &Wanted, limits: &Limits) -> Result<Vec<String>, Error> {
        let slots = wanted.slots.map(i32::from);
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&wanted.oid, Type::OID), (&wanted.keys, Type::TEXT_ARRAY), (&slots, Type::INT4)];
        self.list("SELECT dbqo.watch($1::pg_catalog.regclass, $2::pg_catalog.name[], $3)", &parameters, limits).await
    }

    /// Removes the table's function and triggers, and tells what that was.
    pub async fn unwatch(&mut self, oid: u32, limits: &Limits) -> Result<Vec<String>, Error> {
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&oid, Type::OID)];
        self.list("SELECT dbqo.unwatch($1::pg_catalog.regclass)", &parameters, limits).await
    }

    /// Sees to it that the changes of a table are sent as wanted. Where `may_make` it installs and makes what is missing,
    /// as far as this role may; else it only looks.
    pub async fn ensure_watched(
        &mut self,
        wanted: &Wanted,
        may_make: bool,
        limits: &Limits,
    ) -> Result<Watched, Unwatched> {
        self.ensure_watched_if(wanted, async |_| may_make, limits).await
    }

    /// The same, where whether something may be made is asked only when this role may make it, with whether anything is
    /// known to be missing. Who is asked may take its time.
    pub async fn ensure_watched_if(
        &mut self,
        wanted: &Wanted,
        may_make: impl AsyncFnOnce(bool) -> bool,
        limits: &Limits,
    ) -> Result<Watched, Unwatched> {
        let (mut installed, mut watch) = (self.installed(limits).await?, self.one(wanted.oid, limits).await?);
        let mut created = Vec::new();
        let mut refused = None;
        let is_makeable = installed.may_be_installed() || installed.is_usable().is_ok() && watch.may_make;
        let lacks = installed.may_be_installed() || watch.serves(wanted).is_err();
        if is_makeable && may_make(lacks).await {
            // By now somebody else may have.
            installed = self.installed(limits).await?;
            if installed.may_be_installed() {
                match self.install(limits).await {
                    Ok(()) => created.push("schema dbqo".to_owned()),
                    Err(error) if error.is_of_class(DENIED) || error.is_of_class(BUSY) => {}
                    Err(error) => return Err(error.into()),
                }
                installed = self.installed(limits).await?;
            }
            if installed.is_usable().is_ok() && watch.may_make && watch.table.is_some() {
                match self.watch(wanted, limits).await {
                    Ok(made) => created.extend(made),
                    // What is missing then tells more.
                    Err(error) if error.is_of_class(DENIED) => {}
                    Err(error) => refused = Some(refusal(&error).ok_or(error)?),
                }
            }
            watch = self.one(wanted.oid, limits).await?;
        }
        let missing = |why| Unwatched::Missing(Missing::of(why, watch.table.as_ref(), wanted));
        installed.is_usable().map_err(missing)?;
        match watch.serves(wanted) {
            Ok(Sends { keys, slots }) => Ok(Watched { created, keys: keys.clone(), slots: *slots }),
            Err(why) => Err(missing(refused.unwrap_or(why))),
        }
    }

    /// Removes everything: first table by table, so that nobody waits for all of it, then the rest.
    pub async fn uninstall(&mut self, limits: &Limits) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        for oid in self.watched_tables(limits).await? {
            removed.extend(self.unwatch(oid, limits).await?);
        }
        removed.extend(self.list("SELECT dbqo.uninstall()", &[], limits).await?);
        Ok(removed)
    }

    /// The number of a table as the session finds it by that name.
    pub async fn table(&self, name: &QualifiedName, limits: &Limits) -> Result<Option<u32>, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let name = name.to_string();
        let sql = "SELECT to_regclass($1)::oid";
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&name, Type::TEXT)];
        let rows = bounded(WHICH, limits, self.client.query_typed(sql, &parameters)).await?.map_err(failed)?;
        rows.first().map_or(Ok(None), |row| row.try_get(0).map_err(failed))
    }

    /// What `dbqo.check` says, of one table or of all that are watched.
    pub async fn check(&self, oid: Option<u32>, limits: &Limits) -> Result<Vec<Finding>, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let sql = "SELECT watched, keys, slots, problem, statement FROM dbqo.check($1::pg_catalog.regclass)";
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&oid, Type::OID)];
        let rows = bounded(WHICH, limits, self.client.query_typed(sql, &parameters)).await?.map_err(failed)?;
        let finding = |row: &Row| {
            let (keys, slots): (Option<Vec<String>>, Option<i32>) = (row.try_get(1)?, row.try_get(2)?);
            Ok(Finding {
                table: row.try_get(0)?,
                keys: keys.unwrap_or_default(),
                slots,
                problem: row.try_get(3)?,
                statement: row.try_get(4)?,
            })
        };
        rows.iter().map(finding).collect::<Result<_, _>>().map_err(failed)
    }

    async fn watched_tables(&self, limits: &Limits) -> Result<Vec<u32>, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WHICH);
        let sql = "SELECT substr(p.proname, 3)::oid FROM pg_catalog.pg_proc p \
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname = 'dbqo' AND p.proname ~ '^n_[0-9]+$' ORDER BY 1";
        let rows = bounded(WHICH, limits, self.client.query_typed(sql, &[])).await?.map_err(failed)?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)
    }

    async fn one(&self, oid: u32, limits: &Limits) -> Result<Watch, Error> {
        self.triggers(&[oid], limits).await?.pop().ok_or(Error::Unreachable("no answer"))
    }

    async fn list(
        &mut self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        limits: &Limits,
    ) -> Result<Vec<String>, Error> {
        let failed = |error: tokio_postgres::Error| Error::ours(&error, WATCHING);
        self.change(limits, async |session| {
            let rows = bounded(WATCHING, limits, session.client.query_typed(sql, parameters)).await?.map_err(failed)?;
            rows.first().map_or(Ok(Vec::new()), |row| row.try_get(0).map_err(failed))
        })
        .await
    }

    /// Runs something in a transaction of its own, which is over afterwards whatever became of it.
    async fn change<T>(
        &mut self,
        limits: &Limits,
        work: impl AsyncFnOnce(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.in_use = true;
        self.own(&format!("BEGIN; {READ_COMMITTED}; {}", timeouts("SET LOCAL", limits)), limits).await?;
        let session: &Self = self;
        let done = match work(session).await {
            Ok(done) => session.own("COMMIT", limits).await.map(|()| done),
            Err(error) => Err(error),
        };
        // What the server refused it has ended; a time that is over may still be running there.
        if let Err(error @ Error::Query(_)) = done {
            session.own("ROLLBACK", limits).await?;
            self.in_use = false;
            return Err(error);
        }
        self.in_use = done.is_err();
        done
    }
}

/// What others have committed meanwhile has to be seen.
const READ_COMMITTED: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE";
/// SQLSTATEs that a person can do something about.
const DENIED: &str = "42501";
const BUSY: &str = "55P03";

fn refusal(error: &Error) -> Option<Why> {
    let of = |state| error.is_of_class(state);
    match () {
        () if of(BUSY) || of("57014") || of("40P01") => Some(Why::Busy),
        () if of("42703") => Some(Why::NoKeyColumn),
        () if of("42809") => Some(Why::NotATable),
        () if of("42P01") => Some(Why::NoTable),
        () => None,
    }
}

fn watch(row: &Row) -> Result<Watch, tokio_postgres::Error> {
    let oid: i64 = row.try_get(0)?;
    let (schema, table): (Option<String>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
    let comment: Option<String> = row.try_get(3)?;
    Ok(Watch {
        oid: u32::try_from(oid).unwrap_or_default(),
        table: schema.zip(table).map(|(schema, table)| QualifiedName::of_catalog(schema, table)),
        sends: comment.as_deref().and_then(Sends::from_comment),
        may_make: row.try_get(4)?,
        subscribed: row.try_get(5)?,
        missing: list_of(row, 6)?,
        disabled: list_of(row, 9)?,
        state: row.try_get(12)?,
    })
}

/// From three columns: names, and schemas and names of their tables.
fn list_of(row: &Row, at: usize) -> Result<Vec<Trigger>, tokio_postgres::Error> {
    let (names, schemas, tables): (Vec<String>, Vec<String>, Vec<String>) =
        (row.try_get(at)?, row.try_get(at + 1)?, row.try_get(at + 2)?);
    let tables = schemas.into_iter().zip(tables).map(|(schema, table)| QualifiedName::of_catalog(schema, table));
    let triggers = names.into_iter().map(Identifier::of_catalog).zip(tables);
    Ok(triggers.map(|(name, table)| Trigger { name, table }).collect())
}
