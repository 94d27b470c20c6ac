//! Whether a pooler such as PgBouncer stands between us and the server, and how to do without a session of our own
//! then: it may give every transaction another connection, so each one brings all its settings along.

use std::hash::{BuildHasher, RandomState};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::Pooled;
use super::query::{NONE, bounded};
use super::{Error, Limits, Session};
use crate::logic::sql::Query;

/// What rows look like as text depends on these, and hashes on that; how a query is split depends on
/// standard_conforming_strings. Notices are not asked for: nobody could be shown them, as they carry values.
const FIXED: [(&str, &str); 7] = [
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("standard_conforming_strings", "on"),
    ("client_min_messages", "error"),
];
/// So many of them, the first, decide what values look like as text.
const LOOKS: usize = 5;
/// What others have set in a connection and left behind, where it would decide which rows there are.
const LEFT_BEHIND: [&str; 2] = ["search_path", "role"];
/// When we close a connection, the pooler closes that to the server, which looks for it this often while it works. Not
/// all systems can; where they cannot, the setting is an error.
const NOTICE: &str = "SELECT pg_catalog.set_config('client_connection_check_interval', '1s', true) \
                      WHERE pg_catalog.version() LIKE '%linux%'";
/// Our startup options set this, too, to be looked for in the session.
const MARK: &str = "dbqo.session";

/// The value of [`MARK`] in one session. No other has the same, so nobody can have left it behind in a connection
/// that a pooler shares out.
pub(super) struct Mark(String);

impl Mark {
    pub(super) fn new() -> Self {
        Self(format!("{:016x}", RandomState::new().hash_one(0)))
    }

    /// Startup options: those of the connection string, then ours, which win.
    pub(super) fn options(&self, given: Option<&str>) -> String {
        let ours = FIXED.iter().map(|(name, value)| format!("-c {name}={value}"));
        let all = given.map(Into::into).into_iter().chain(ours).chain([format!("-c {MARK}={}", self.0)]);
        all.collect::<Vec<String>>().join(" ")
    }

    /// Whether the startup options have arrived at the server, so that the session is ours alone.
    pub(super) async fn has_arrived(&self, client: &Client) -> Result<bool, Error> {
        let sql = format!("SELECT pg_catalog.current_setting('{MARK}', true)");
        let answer = client.simple_query(&sql).await.map_err(|error| Error::ours(&error, "the session"))?;
        Ok(answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).is_ok_and(|mark| mark == Some(self.0.as_str())),
            _ => false,
        }))
    }
}

/// Our timeouts, as `SET` or `SET LOCAL` statements.
pub(super) fn timeouts(set: &str, limits: &Limits) -> String {
    let milliseconds = limits.statement_timeout.as_millis().min(i32::MAX as u128 / 2);
    format!(
        "{set} statement_timeout = {milliseconds}; {set} lock_timeout = {milliseconds}; \
         {set} idle_in_transaction_session_timeout = {}",
        milliseconds * 2
    )
}

impl Session {
    /// Before anything is asked for a query: refuses what could not hold, and leaves the session of use then.
    pub(super) fn enter(&mut self, query: &Query) -> Result<(), Error> {
        if !self.direct && !query.setup.is_empty() {
            return Err(Error::Pooled(Pooled::Setup));
        }
        self.in_use = true;
        Ok(())
    }

    /// Which of the settings that decide what values look like as text is another one by now, after setup statements.
    pub(super) async fn looks_otherwise(&self, query: &Query, limits: &Limits) -> Result<Option<String>, Error> {
        if query.setup.is_empty() {
            return Ok(None);
        }
        let failed = |error: tokio_postgres::Error| Error::ours(&error, "the session");
        let each: Vec<String> =
            FIXED.iter().take(LOOKS).map(|(name, value)| format!("('{name}', '{value}')")).collect();
        let sql = format!(
            "SELECT f.name FROM (VALUES {}) AS f(name, value) WHERE pg_catalog.split_part(\
             pg_catalog.current_setting(f.name), ',', 1) OPERATOR(pg_catalog.<>) f.value LIMIT 1",
            each.join(", ")
        );
        let rows = bounded("the session", limits, self.client.query_typed(&sql, &NONE)).await?.map_err(failed)?;
        rows.first().map(|row| row.try_get(0)).transpose().map_err(failed)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, query: &Query, read_only: bool, limits: &Limits) -> Result<(), Error> {
        self.own(&self.beginning(query, read_only, limits), limits).await
    }

    /// What begins a transaction, in one message: with our timeouts, unless they stand since before the setup
    /// statements, and through a pooler with the settings of the session.
    pub(super) fn beginning(&self, query: &Query, read_only: bool, limits: &Limits) -> String {
        let begin = if read_only { "BEGIN READ ONLY" } else { "BEGIN" };
        if self.direct && query.setup.is_empty() {
            return format!("{begin}; {}", timeouts("SET LOCAL", limits));
        }
        if self.direct {
            return begin.to_owned();
        }
        let fixed = FIXED.iter().map(|(name, value)| format!("SET LOCAL {name} = '{value}'"));
        let defaults = LEFT_BEHIND.iter().map(|name| format!("SET LOCAL {name} TO DEFAULT"));
        let last = [timeouts("SET LOCAL", limits), NOTICE.into()];
        let all = [begin.into()].into_iter().chain(defaults).chain(fixed).chain(last);
        all.collect::<Vec<String>>().join("; ")
    }
}
