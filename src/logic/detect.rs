//! How changes are noticed by looking: what to look at, what a look has to ask for, and what of it is compared with
//! the look before. Pure.
//!
//! A table's counters of inserted, updated and deleted rows see every committed change, whenever its transaction
//! began, and its file's number sees TRUNCATE. They can lag by some seconds, so `MAX` of the timestamp column and, of
//! a small table, the number of rows are looked at as well. Those are all there is where nothing is counted; of a
//! view or foreign table it is `MAX` alone. Whatever differs is a change: counters go backwards, too.

mod message;
mod quiet;

use super::sql::{Identifier, QualifiedName, SqlError, identifier, qualified_name};
use crate::crd::{ChangeDetection, ChangeDetectionMode};

pub use message::{Mode, Told};
pub use quiet::{Keeper, Quiet};

/// Tables of fewer rows are counted at each look, though their counters tell.
const FEW_ROWS: f64 = 100_000.0;
/// But not where the rows lie in more bytes than this: to count is to read them all.
const FEW_BYTES: i64 = 64 << 20;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The tables, at least one.
    pub tables: Vec<Watched>,
}

/// One table to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which part of the spec says so.
    place: String,
    /// Its name.
    pub table: QualifiedName,
    /// Its column that grows with every change.
    pub column: Option<Identifier>,
    /// Columns by whose values its rows are found again; none stands for its primary key. What the query's rows are called
    /// by is another matter ([`super::sql::RowKey`]).
    pub key: Vec<Identifier>,
}

/// What is asked of one table besides what the catalogs know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// `MAX` of its column.
    pub newest: bool,
    /// The number of its rows.
    pub count: bool,
}

/// What one look found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Of the server.
    pub server: Server,
    /// Of the tables, in their order.
    pub tables: Vec<FoundTable>,
}

/// The server as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// It replays another server's changes and counts none of its own.
    pub standby: bool,
    /// It counts changes.
    pub track_counts: bool,
    /// It allows transactions to be prepared (two-phase commit).
    pub prepares: bool,
    /// Since when it counts: other times, other counters.
    pub counting_since: String,
}

/// What one look found of one table.
#[derive(Clone, Debug, Default)]
pub struct FoundTable {
    /// What the catalogs know; None where there is no such table.
    pub relation: Option<Relation>,
    /// `MAX` of its column as text, where asked for and there are rows.
    pub newest: Option<String>,
    /// The number of its rows, where asked for.
    pub count: Option<i64>,
}

/// What the catalogs know of a table.
#[derive(Clone, Debug, Default)]
pub struct Relation {
    /// Its identity: another one, if another table has taken the name.
    pub oid: i64,
    /// `pg_class.relkind`.
    pub kind: char,
    /// Whether it has the column.
    pub has_column: bool,
    /// Whether we may select the column.
    pub may_select_column: bool,
    /// Whether we may select anything of it.
    pub may_select: bool,
    /// Whether a partition of it is a foreign table.
    pub partly_foreign: bool,
    /// About how many rows it has.
    pub rows: f64,
    /// About how many bytes they lie in.
    pub bytes: i64,
    /// Hash of its counters, file, columns and definition, and of the same of all its partitions.
    pub state: i64,
}

/// What is compared: two that differ mean that the data may have changed in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    server: Server,
    tables: Vec<Mark>,
}

/// What is compared of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How its changes are noticed.
    pub signals: Signals,
    /// Its identity.
    pub oid: i64,
    /// See [`Relation::state`].
    pub state: i64,
    /// `MAX` of its column.
    pub newest: Option<String>,
    /// The number of its rows.
    pub count: Option<i64>,
}

/// How changes of one table are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// What it is.
    pub kind: Kind,
    /// Whether its changes are counted.
    pub counters: bool,
    /// What else tells.
    pub ask: Ask,
    /// Whether a partition of it is a foreign table, of which nothing is counted.
    pub partly_foreign: bool,
}

/// What a watched table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table, partitioned or not.
    Table,
    /// A materialized view: its rows are its own, and counted.
    MaterializedView,
    /// A view.
    View,
    /// A foreign table.
    ForeignTable,
}

/// Why changes of a table cannot be noticed; a sentence that begins with the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undetectable(String);

impl Detection {
    /// As the spec has it; None where changes are not looked for.
    pub fn of(changes: Option<&ChangeDetection>) -> Result<Option<Self>, SqlError> {
        let Some(changes) = changes.filter(|changes| changes.enabled) else { return Ok(None) };
        let tables = match (&changes.table_name, changes.tables.as_deref().unwrap_or_default()) {
            (Some(name), []) => {
                let place = "changeDetection".to_owned();
                vec![Watched::of(place, name, changes.timestamp_column.as_deref(), changes.key_columns.as_deref())?]
            }
            (None, tables @ [_, ..]) => {
                let watched = tables.iter().enumerate().map(|(index, table)| {
                    let place = format!("changeDetection.tables[{index}]");
                    let (column, key) = (table.timestamp_column.as_deref(), table.key_columns.as_deref());
                    Watched::of(place, &table.table_name, column, key)
                });
                watched.collect::<Result<_, _>>()?
            }
            (None, []) => return Err(SqlError("changeDetection.enabled needs tableName or tables".into())),
            (Some(_), _) => {
                return Err(SqlError("set only one of changeDetection.tableName and changeDetection.tables".into()));
            }
        };
        Ok(Some(Self { tables }))
    }

    /// The first look asks for nothing: what there is to ask for, it finds out.
    pub fn nothing(&self) -> Vec<Ask> {
        vec![Ask::default(); self.tables.len()]
    }

    /// What of a look is compared. Holds all that was found only if the look asked for [`Fingerprint::asks`].
    pub fn fingerprint(&self, found: Found) -> Result<Fingerprint, Undetectable> {
        let marks = self.tables.iter().zip(found.tables).map(|(watched, table)| {
            let signals = watched.signals(table.relation.as_ref(), &found.server)?;
            let (oid, state) = table.relation.map_or((0, 0), |relation| (relation.oid, relation.state));
            Ok(Mark { signals, oid, state, newest: table.newest, count: table.count })
        });
        Ok(Fingerprint { tables: marks.collect::<Result<_, _>>()?, server: found.server })
    }
}

impl Fingerprint {
    /// What a look has to ask for, table by table.
    pub fn asks(&self) -> Vec<Ask> {
        self.tables.iter().map(|mark| mark.signals.ask).collect()
    }

    /// Whether all tables are such that they can notify; why not, as a sentence.
    pub fn can_notify(&self, detection: &Detection, mode: ChangeDetectionMode) -> Result<(), String> {
        if self.server.standby {
            return Err("the server is a standby, where nobody can listen".into());
        }
        if self.server.prepares && mode == ChangeDetectionMode::Auto {
            let why = "max_prepared_transactions is not 0, and a transaction that was notified of cannot be prepared: \
                       changeDetection.mode: Notify accepts that";
            return Err(why.into());
        }
        for (watched, mark) in detection.tables.iter().zip(&self.tables) {
            let name = watched.table.shown();
            match mark.signals.kind {
                Kind::Table if mark.signals.partly_foreign => return Err(format!("{name} has foreign partitions")),
                Kind::Table => {}
                Kind::MaterializedView => return Err(format!("{name} is a materialized view, which has no triggers")),
                Kind::View => return Err(format!("{name} is a view: watch the tables that it reads")),
                Kind::ForeignTable => return Err(format!("{name} is a foreign table")),
            }
        }
        Ok(())
    }

    /// What is compared of each table.
    pub fn tables(&self) -> &[Mark] {
        &self.tables
    }
}

impl Watched {
    fn of(place: String, table: &str, column: Option<&str>, key: Option<&[String]>) -> Result<Self, SqlError> {
        let at = |field: &str, error: SqlError| SqlError(format!("{place}.{field}: {error}"));
        let key = key.unwrap_or_default().iter().enumerate();
        let key = key.map(|(index, name)| identifier(name).map_err(|error| at(&format!("keyColumns[{index}]"), error)));
        Ok(Self {
            key: key.collect::<Result<_, _>>()?,
            table: qualified_name(table).map_err(|error| at("tableName", error))?,
            column: column.map(identifier).transpose().map_err(|error| at("timestampColumn", error))?,
            place,
        })
    }

    /// The field that names the table.
    pub fn table_field(&self) -> String {
        format!("{}.tableName", self.place)
    }

    /// The field that names the column.
    pub fn column_field(&self) -> String {
        format!("{}.timestampColumn", self.place)
    }

    /// How changes of this table are noticed, given what the catalogs know.
    fn signals(&self, relation: Option<&Relation>, server: &Server) -> Result<Signals, Undetectable> {
        let name = self.table.shown();
        let at_table = |why: String| Err(Undetectable(format!("{}: {why}", self.table_field())));
        let at_column = |why: String| Err(Undetectable(format!("{}: {why}", self.column_field())));
        let Some(relation) = relation else { return at_table(format!("there is no table {name}")) };
        let Some(kind) = Kind::of(relation.kind) else { return at_table(format!("{name} is no table or view")) };
        if let Some(column) = self.column.as_ref().map(Identifier::shown) {
            if !relation.has_column {
                return at_column(format!("{name} has no column {column}"));
            }
            if !relation.may_select_column {
                return at_column(format!("permission denied: this role may not select {column} of {name}"));
            }
        }
        let newest = self.column.is_some();
        let own_rows = matches!(kind, Kind::Table | Kind::MaterializedView);
        let counters = own_rows && server.track_counts && !server.standby;
        let few = relation.rows < FEW_ROWS && relation.bytes < FEW_BYTES;
        let count = own_rows && !relation.partly_foreign && relation.may_select && (few || !counters);
        if !(counters || newest || count) {
            return at_column(match (kind, server.uncounted()) {
                (Kind::View, _) => format!("{name} is a view, whose changes nobody counts: it needs this column"),
                (Kind::ForeignTable, _) => {
                    format!("{name} is a foreign table, whose changes are not counted here: it needs this column")
                }
                (_, why) => format!("changes of {name} are not counted ({why}): it needs this column"),
            });
        }
        Ok(Signals { kind, counters, ask: Ask { newest, count }, partly_foreign: relation.partly_foreign })
    }
}

impl Server {
    /// Why it counts nothing.
    fn uncounted(&self) -> &'static str {
        if self.standby { "the server is a standby" } else { "track_counts is off" }
    }
}

impl Kind {
    fn of(relkind: char) -> Option<Self> {
        match relkind {
            'r' | 'p' => Some(Self::Table),
            'm' => Some(Self::MaterializedView),
            'v' => Some(Self::View),
            'f' => Some(Self::ForeignTable),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "detect/tests.rs"]
mod tests;
