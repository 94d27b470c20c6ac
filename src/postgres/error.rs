//! What can go wrong with PostgreSQL, told so that a person can act on it and without a value: the server's own
//! message and detail quote values, so of them SQLSTATE, position and the names of table, column and constraint
//! are kept.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio_postgres::error::{DbError, ErrorPosition, Severity, SqlState};

use super::phrase::phrase;
use super::tls::TlsFault;
use crate::logic::columns::BadColumns;
use crate::logic::detect::Undetectable;
use crate::logic::sql::{BadKeys, Statement};
use crate::logic::version::Unsupported;

/// What a server says whose pg_hba.conf has no line, or none that fits, for a connection of this kind.
const NOT_THIS_WAY: &str = "28000";

/// A connection or query that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("the database cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The operator's flags deny all the addresses there are.
    #[error("the operator's --deny-database-hosts does not allow a database on this host")]
    HostDenied,
    /// There is no encrypted connection as it was asked for.
    #[error("{0}")]
    Tls(TlsFault),
    /// The server answered and does not let us in.
    #[error("the database refuses the login: {0}{hint}", hint = .1.hint(.0))]
    LoginRefused(Fault, Way),
    /// It asks for a password and there is none.
    #[error("the database asks for a password, and the Secret has none")]
    NoPassword,
    /// The server is none that is supported.
    #[error("{0}")]
    Version(#[source] Unsupported),
    /// Something cannot be had through the pooler that the connection goes through.
    #[error("the connection goes through a pooler, {0}")]
    Pooled(#[source] Pooled),
    /// No connection was free in time.
    #[error("no connection became free within {waited:?}: {busy}")]
    Busy {
        /// What was waited for.
        busy: Busy,
        /// How long.
        waited: Duration,
    },
    /// A statement failed.
    #[error("{0}")]
    Query(Box<StatementFault>),
    /// A statement took too long, and its own timeout did not end it.
    #[error("{which} was canceled after {limit:?} (database.statementTimeout)")]
    TimedOut {
        /// Which statement: a sentence's beginning.
        which: String,
        /// How long it was given.
        limit: Duration,
    },
    /// More rows than allowed.
    #[error("the query returns more than {0} rows (database.maxRows)")]
    TooManyRows(u64),
    /// More bytes than the operator can hold.
    #[error("the query returns more than 1 GiB")]
    TooLarge,
    /// Whoever asked for the rows does not take them any more.
    #[error("the rows were not wanted any more")]
    Abandoned,
    /// Rows cannot be asked for by these keys.
    #[error("{0}")]
    Keys(#[source] BadKeys),
    /// Columns that cannot be told apart, or one of the key that is missing.
    #[error("{0}")]
    Columns(BadColumns),
    /// Changes of a table cannot be noticed.
    #[error("{0}")]
    Undetectable(Undetectable),
}

/// In which way a login was tried, for a server that wants another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Without encryption.
    Plain,
    /// Encrypted.
    Encrypted,
    /// Encrypted, and the server asked for a client certificate in vain.
    WithoutCertificate,
    /// Encrypted, and the server was shown one.
    WithCertificate,
}

/// What cannot be had through a pooler; says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Pooled {
    /// Setup statements.
    #[error(
        "which may run each transaction on another connection, so that the query's setup statements would be lost: \
         connect directly to PostgreSQL, or leave them out (ALTER ROLE … SET can set what they set)"
    )]
    Setup,
    /// Options of the connection string.
    #[error(
        "which does not let the connection string's options through: connect directly to PostgreSQL, or leave them out"
    )]
    Options,
    /// Transactions.
    #[error("which has no transactions in its statement mode: set its pool_mode to transaction, or connect directly")]
    Transactions,
}

/// Of what there were too few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Connections of the pool.
    #[error(
        "all of this pool ({0}) are in use (database.connectionPool.maxOpenConns, but at most half of \
         --max-connections-per-server)"
    )]
    Pool(usize),
    /// Connections to the server.
    #[error("all that the operator may have to this server ({0}) are in use (--max-connections-per-server)")]
    Server(usize),
}

/// What the server said, without values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    state: String,
    names: Vec<(&'static str, String)>,
}

/// What it said of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementFault {
    /// Which statement: a sentence's beginning.
    which: String,
    fault: Fault,
    /// Line of the query and column.
    place: Option<(usize, usize)>,
    near: Option<String>,
}

/// A server that was asked and did not answer in the time there was.
pub(super) const SILENT: Error = Error::Unreachable("no answer in time");

impl Error {
    /// Whether it tells something of the database: that it was asked at all.
    pub fn is_of_database(&self) -> bool {
        !matches!(self, Self::Busy { .. })
    }

    /// Reason of conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "DatabaseUnreachable",
            Self::HostDenied => "HostDenied",
            Self::Tls(_) => "TlsFailed",
            Self::LoginRefused(..) | Self::NoPassword => "LoginRefused",
            Self::Version(_) => "UnsupportedVersion",
            Self::Pooled(_) => "ThroughPooler",
            Self::Busy { .. } => "NoFreeConnection",
            _ => "QueryFailed",
        }
    }

    /// Whether nothing was found out, as there was no connection to ask on, or it broke.
    pub fn tells_nothing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy { .. })
    }

    /// Of a read of some keys: whether it failed for what was asked and not for want of a database, so that a read of
    /// everything may succeed, or tells what is wrong. Texts of keys come from anywhere: they may be no values of their
    /// columns' types (class 22).
    pub fn is_of_keys(&self) -> bool {
        matches!(self, Self::Keys(_)) || ["22", "42", "0A", "54"].iter().any(|class| self.is_of_class(class))
    }

    /// Whether a statement failed with a SQLSTATE of this class.
    pub(super) fn is_of_class(&self, class: &str) -> bool {
        matches!(self, Self::Query(failed) if failed.fault.state.starts_with(class))
    }

    /// From an error while connecting.
    pub(super) fn connecting(error: &tokio_postgres::Error, way: Way) -> Self {
        if let Some(fault) = TlsFault::of(error) {
            return Self::Tls(fault);
        }
        match error.as_db_error() {
            // PgBouncer gives all its errors this state, and PostgreSQL none that a login can meet.
            Some(db) if *db.code() == SqlState::PROTOCOL_VIOLATION => {
                match db.message().contains("startup parameter") {
                    true => Self::Pooled(Pooled::Options),
                    false => Self::Unreachable(
                        "a pooler before it refuses the connection; its log says why, such as a wrong user name, password \
                     or database name, or a limit",
                    ),
                }
            }
            Some(db) if may_pass(db.code()) => {
                Self::Unreachable("it is starting up, shutting down or has no free connection")
            }
            Some(db) => Self::LoginRefused(Fault::of(db), way),
            None if error.source().is_some_and(|source| source.to_string() == "password missing") => Self::NoPassword,
            None => Self::Unreachable(broken(error)),
        }
    }

    /// Whether the server did not even look at who it is, because of the way that was tried.
    pub(super) fn is_of_the_way(&self) -> bool {
        match self {
            Self::LoginRefused(fault, _) => fault.state == NOT_THIS_WAY,
            Self::Unreachable(_) => true,
            _ => false,
        }
    }

    /// From an error of a statement; `which` begins the sentence, and `position` turns the server's position into one
    /// of the statement as it was written.
    pub(super) fn statement(
        error: &tokio_postgres::Error,
        which: String,
        statement: &Statement,
        position: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        let Some(db) = error.as_db_error() else { return Self::Unreachable(broken(error)) };
        if ends_the_connection(db) {
            return Self::Unreachable("the server ended the connection");
        }
        let at = place(error).and_then(position);
        Self::Query(Box::new(StatementFault {
            which,
            fault: Fault::of(db),
            place: at.map(|at| statement.place(at)),
            near: at.and_then(|at| statement.word_at(at)).map(Into::into),
        }))
    }

    /// From an error of a statement of ours, which was for `what`.
    pub(super) fn ours(error: &tokio_postgres::Error, what: &str) -> Self {
        match error.as_db_error() {
            Some(db) if db.message().contains("statement pooling mode") => Self::Pooled(Pooled::Transactions),
            Some(db) if !ends_the_connection(db) => {
                let fault = Fault::of(db);
                Self::Query(Box::new(StatementFault { which: what.to_owned(), fault, place: None, near: None }))
            }
            Some(_) => Self::Unreachable("the server ended the connection"),
            _ => Self::Unreachable(broken(error)),
        }
    }
}

impl Way {
    fn hint(self, fault: &Fault) -> &'static str {
        match self {
            _ if fault.state != NOT_THIS_WAY => "",
            Self::Plain => "; the connection was not encrypted (sslmode)",
            Self::Encrypted => "; the connection was encrypted",
            Self::WithoutCertificate => {
                "; the connection was encrypted, without the client certificate that the server asked for \
                 (database.sslCertSecretRef and database.sslKeySecretRef)"
            }
            Self::WithCertificate => {
                "; the connection was encrypted, with the certificate of database.sslCertSecretRef"
            }
        }
    }
}

impl Fault {
    fn of(error: &DbError) -> Self {
        let names = [("table", error.table()), ("column", error.column()), ("constraint", error.constraint())];
        Self {
            state: error.code().code().to_owned(),
            names: names.into_iter().filter_map(|(what, name)| name.map(|name| (what, name.to_owned()))).collect(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", phrase(&self.state), self.state)?;
        self.names.iter().try_for_each(|(what, name)| write!(f, ", {what} {name}"))
    }
}

impl fmt::Display for StatementFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.which, self.fault)?;
        if let Some((line, column)) = self.place {
            write!(f, " at line {line}, column {column}")?;
        }
        self.near.as_ref().map_or(Ok(()), |near| write!(f, ": {near}"))
    }
}

/// Where in the statement's text an error lies, in characters from 1.
pub(super) fn place(error: &tokio_postgres::Error) -> Option<usize> {
    match error.as_db_error()?.position()? {
        ErrorPosition::Original(at) => usize::try_from(*at).ok(),
        ErrorPosition::Internal { .. } => None,
    }
}

/// Not by its state: a function or a foreign table may fail with the states of a lost connection, to elsewhere.
fn ends_the_connection(error: &DbError) -> bool {
    match error.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        // PgBouncer leaves out the one that is not translated.
        None => error.severity() == "FATAL",
    }
}

/// States of a server, not of a login: shutting down, starting up, no more connections.
fn may_pass(state: &SqlState) -> bool {
    matches!(state.code(), "57P01" | "57P02" | "57P03" | "57P05" | "53300") || state.code().starts_with("08")
}

/// Why a connection broke, in our own words: an I/O error may hold the host's name.
fn broken(error: &tokio_postgres::Error) -> &'static str {
    let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) else {
        return match error.is_closed() {
            true => "the connection was closed",
            false => "the server does not accept this kind of connection or authentication",
        };
    };
    match io.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to the host",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "the connection was cut"
        }
        _ => "the network failed",
    }
}
