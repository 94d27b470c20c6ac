//! What PostgreSQL needs to tell of changes: the files of `sql/`, what of them is there, and what somebody with more
//! rights has to run. Pure.

use std::fmt;

use postgres_protocol::escape::escape_literal;
use serde::Deserialize;

use super::sql::{Identifier, QualifiedName};

/// Version of the payload and of the functions that are relied on.
pub const VERSION: i32 = 1;
/// Which edition of `sql/install.sql` that is.
pub const REVISION: i32 = 1;
/// Most slots that a table may have.
pub const MOST_SLOTS: u16 = 16;

/// The files of `sql/`, by which `psql` does the same.
pub mod files {
    /// Installs; what [`crate::postgres::Session::install`] runs.
    pub const INSTALL: &str = include_str!("../../sql/install.sql");
    /// Watches a table.
    pub const WATCH: &str = include_str!("../../sql/watch.sql");
    /// Ends the watch of a table.
    pub const UNWATCH: &str = include_str!("../../sql/unwatch.sql");
    /// Removes everything.
    pub const UNINSTALL: &str = include_str!("../../sql/uninstall.sql");
    /// Tells the version.
    pub const VERSION: &str = include_str!("../../sql/version.sql");
    /// Tells what is missing.
    pub const CHECK: &str = include_str!("../../sql/check.sql");
}

/// A table that is to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its number.
    pub oid: u32,
    /// Columns to be sent of the rows that changed; none tells only that something changed. None: as it is, and the
    /// primary key where nobody has said.
    pub keys: Option<Vec<String>>,
    /// How many operators may have a bell each; 0: no bell, every change is sent. None: as it is, and 1 where nobody has
    /// said.
    pub slots: Option<u16>,
}

impl Wanted {
    /// The columns that have to be sent.
    pub fn columns(&self) -> &[String] {
        self.keys.as_deref().unwrap_or_default()
    }
}

/// What is there for one table, and what this role may do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The table's number.
    pub oid: u32,
    /// The table; None where there is none.
    pub table: Option<QualifiedName>,
    /// What its function sends; None where there is no function.
    pub sends: Option<Sends>,
    /// Triggers that are missing or not as they have to be.
    pub missing: Vec<Trigger>,
    /// Triggers that are there and do not fire.
    pub disabled: Vec<Trigger>,
    /// Whether its triggers have to be enabled in a way that fires for a logical subscription, too.
    pub subscribed: bool,
    /// Whether this role may make triggers on it.
    pub may_make: bool,
    /// Differs whenever the function or one of the triggers was made anew, enabled or disabled.
    pub state: i64,
}

/// A trigger and its table, which may be a part of the one that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: Identifier,
    /// Its table.
    pub table: QualifiedName,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.name.shown(), self.table.shown())
    }
}

/// What a table's function sends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sends {
    /// The key columns, in the order of the table.
    pub keys: Vec<String>,
    /// How many slots its bell has; 0: it has none.
    pub slots: u16,
}

impl Sends {
    /// From the comment of the function; None where somebody else wrote it.
    pub fn from_comment(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether it is enough for what is wanted. A function without a bell tells everybody everything.
    pub fn serves(&self, wanted: &Wanted) -> bool {
        wanted.columns().iter().all(|key| self.keys.contains(key))
            && (self.slots == 0 || wanted.slots.is_none_or(|slots| self.slots >= slots))
    }
}

impl Watch {
    /// Whether it is enough for what is wanted: the function is there and sends it, and all triggers are enabled.
    pub fn serves(&self, wanted: &Wanted) -> Result<&Sends, Why> {
        match &self.sends {
            _ if self.table.is_none() => Err(Why::NoTable),
            None => Err(Why::NotWatched),
            Some(_) if !self.missing.is_empty() => Err(Why::Missing(self.missing.clone())),
            Some(_) if !self.disabled.is_empty() => {
                Err(Why::Disabled { triggers: self.disabled.clone(), always: self.subscribed })
            }
            Some(sends) if sends.serves(wanted) => Ok(sends),
            Some(_) => Err(Why::SendsLess),
        }
    }
}

/// What is installed in a database, and what this role may do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its version; None where nothing is installed.
    pub version: Option<i32>,
    /// Which edition of that version.
    pub revision: Option<i32>,
    /// Whether this role may create schemas.
    pub may_install: bool,
    /// Whether the server only replays another one's changes.
    pub standby: bool,
    /// Whether transactions can be prepared (two-phase commit): one that notified cannot.
    pub prepares: bool,
    /// Who owns the schema, unless it is somebody whose functions may be called: `dbqo_owner`, this role, the
    /// database's owner or a superuser.
    pub stranger: Option<String>,
}

/// What `dbqo.check` says of one table, or of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table, quoted where it has to be; None: it is about the server.
    pub table: Option<String>,
    /// The key columns that are sent.
    pub keys: Vec<String>,
    /// How many slots its bell has.
    pub slots: Option<i32>,
    /// What is wrong; None where all is well.
    pub problem: Option<String>,
    /// What mends it.
    pub statement: Option<String>,
}

impl Installed {
    /// Why nothing can come of it, whatever the tables have.
    pub fn is_usable(&self) -> Result<(), Why> {
        match (self.version, &self.stranger) {
            _ if self.standby => Err(Why::Standby),
            (_, Some(owner)) => Err(Why::Stranger(owner.clone())),
            (Some(version), _) if version > VERSION => Err(Why::Newer(version)),
            (Some(_), _) => Ok(()),
            (None, _) => Err(Why::NotInstalled),
        }
    }

    /// Whether to install would change something, and this role may.
    pub fn may_be_installed(&self) -> bool {
        let is_older = (self.version, self.revision) < (Some(VERSION), Some(REVISION));
        is_older && self.may_install && !self.standby && self.stranger.is_none()
    }
}

/// What became of a table that was to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// What was made now, in words; nothing where all was there.
    pub created: Vec<String>,
    /// The key columns that are sent: at least those wanted.
    pub keys: Vec<String>,
    /// How many slots there are; 0: no bell.
    pub slots: u16,
}

/// Why a table cannot be watched as things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The role may not install, or the operator is told not to.
    NotInstalled,
    /// What is installed is of a newer version.
    Newer(i32),
    /// The schema belongs to this role, whose functions are not to be trusted.
    Stranger(String),
    /// There is no such table.
    NoTable,
    /// It is none that can have such triggers.
    NotATable,
    /// The role may not make triggers, or the operator is told not to.
    NotWatched,
    /// Triggers are missing or not as they have to be.
    Missing(Vec<Trigger>),
    /// Triggers are there and do not fire.
    Disabled {
        /// Which.
        triggers: Vec<Trigger>,
        /// Whether a logical subscription writes to the table, so that they have to fire always.
        always: bool,
    },
    /// Of the watch of it, other keys or fewer slots.
    SendsLess,
    /// It has no such key column.
    NoKeyColumn,
    /// Somebody used the table for too long.
    Busy,
    /// The server only replays another one's changes.
    Standby,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the schema dbqo is not installed in this database"),
            Self::Newer(version) => {
                write!(f, "version {version} of the schema dbqo is installed, and this operator knows {VERSION}")
            }
            Self::Stranger(owner) => write!(
                f,
                "the schema dbqo belongs to role {owner}, and not to dbqo_owner, this role, the database's owner or a \
                 superuser, so that its functions are not trusted; {owner} or a superuser has to run: DROP SCHEMA dbqo \
                 CASCADE, and then one of those has to install it (dbqo sql install)"
            ),
            Self::NoTable => f.write_str("there is no such table"),
            Self::NotATable => f.write_str("only permanent tables can have the triggers"),
            Self::NotWatched => f.write_str("the table has no triggers of ours"),
            Self::Missing(triggers) => write!(f, "missing triggers: {}", list(triggers)),
            Self::Disabled { triggers, always: false } => write!(f, "disabled triggers: {}", list(triggers)),
            Self::Disabled { triggers, always: true } => {
                write!(f, "triggers that do not fire for the table's subscription: {}", list(triggers))
            }
            Self::SendsLess => f.write_str("the table's function sends other key columns, or has fewer slots"),
            Self::NoKeyColumn => f.write_str("the table has no such key column"),
            Self::Busy => f.write_str("the table was in use for too long to make triggers"),
            Self::Standby => f.write_str("the server is a standby, which sends no notifications"),
        }
    }
}

/// Why there are no notifications of a table, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}{}", .statement.as_ref().map(|statement| format!("; run: {statement}")).unwrap_or_default())]
pub struct Missing {
    /// What is missing.
    pub why: Why,
    /// What a person with the rights to has to run; None where no statement helps.
    pub statement: Option<String>,
}

impl Missing {
    /// With what a person can do about it.
    pub fn of(why: Why, table: Option<&QualifiedName>, wanted: &Wanted) -> Self {
        let statement = match (&why, table) {
            (Why::NotInstalled, _) => Some("dbqo sql install (or psql -f sql/install.sql)".to_owned()),
            (Why::NotWatched | Why::Missing(_) | Why::SendsLess | Why::Busy, Some(table)) => {
                Some(watch_statement(table, wanted))
            }
            (Why::Disabled { triggers, always }, _) => {
                let always = if *always { "ALWAYS " } else { "" };
                let enable = |Trigger { name, table }: &Trigger| {
                    format!("ALTER TABLE {} ENABLE {always}TRIGGER {};", table.shown(), name.shown())
                };
                Some(triggers.iter().map(enable).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        };
        Self { why, statement }
    }

    /// What is wrong where nothing was made because somebody had tried in vain lately.
    pub fn too_early(self) -> Self {
        match self.why {
            Why::NotWatched | Why::Missing(_) | Why::SendsLess => Self { why: Why::Busy, ..self },
            _ => self,
        }
    }
}

/// The statement by which somebody watches a table; names are quoted where they have to be.
pub fn watch_statement(table: &QualifiedName, wanted: &Wanted) -> String {
    let table = literal(&table.shown());
    let keys = wanted.keys.as_ref().map(|keys| {
        let keys: Vec<String> = keys.iter().map(|key| element(key)).collect();
        literal(&format!("{{{}}}", keys.join(",")))
    });
    match (keys, wanted.slots) {
        (None, None | Some(1)) => format!("SELECT dbqo.watch({table});"),
        (None, Some(slots)) => format!("SELECT dbqo.watch({table}, slots => {slots});"),
        (Some(keys), None | Some(1)) => format!("SELECT dbqo.watch({table}, {keys});"),
        (Some(keys), Some(slots)) => format!("SELECT dbqo.watch({table}, {keys}, {slots});"),
    }
}

fn list(triggers: &[Trigger]) -> String {
    triggers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A text as SQL.
fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}

/// A name as an element of an array's text.
fn element(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(plain) && !name.eq_ignore_ascii_case("null") {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
