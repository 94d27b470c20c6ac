//! What an error says, and what it does not.

use std::io;
use std::sync::{Arc, Mutex};

use dbqo::logic::detect::Detection;
use dbqo::logic::sql::parse_query;
use dbqo::postgres::{Error, Session};

use super::{LIMITS, Limits, failure, nothing_runs, read, read_with, session, settings};
use crate::support::TestDatabase;

const SECRET: &str = "CANARY";

/// All that an error could show anywhere.
pub fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn an_error_names_statement_state_and_place() {
    let database = TestDatabase::create("places").await;
    for (sql, expected) in [
        (
            "SELECT id,\n  nmae FROM (SELECT 1 AS id) t",
            "statement 1 of 1: no such column (SQLSTATE 42703) at line 2, column 3: nmae",
        ),
        (
            "SET work_mem = '8MB'; SELECT * FROM tenantz",
            "statement 2 of 2: no such table (SQLSTATE 42P01) at line 1, column 37: tenantz",
        ),
        (
            "SET work_mem = '8MB';\n  SELECT * FROM tenantz;\nSELECT 1 AS a",
            "statement 2 of 3: no such table (SQLSTATE 42P01) at line 2, column 17: tenantz",
        ),
        ("SELECT 'ü' AS a, nope FROM (SELECT 1) t", "at line 1, column 18: nope"),
        ("SELECT 1 AS a FROM", "syntax error (SQLSTATE 42601)"),
        ("SELECT 1/0 AS a", "division by zero (SQLSTATE 22012)"),
    ] {
        let error = failure(&database, sql, &LIMITS).await;
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.reason(), "QueryFailed");
    }
}

#[tokio::test]
async fn no_error_tells_a_value() {
    let database = TestDatabase::create("canary").await;
    let client = database.client().await;
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, email text UNIQUE, short varchar(3), CHECK (email <> 'CANARY-no'));
             INSERT INTO t VALUES (1, 'CANARY', 'a');
             CREATE FUNCTION shout() RETURNS int LANGUAGE plpgsql AS
                 $$BEGIN RAISE EXCEPTION 'CANARY %', 1 USING DETAIL = 'CANARY', HINT = 'CANARY'; END$$;
             CREATE FUNCTION dynamic() RETURNS int LANGUAGE plpgsql AS
                 $$BEGIN EXECUTE 'SELECT CANARY'; RETURN 1; END$$",
        )
        .await
        .unwrap();
    let write = Limits { read_only: false, ..LIMITS };
    for sql in [
        "SELECT shout() AS a",
        "SELECT dynamic() AS a",
        "SELECT 'CANARY'::int AS a",
        "SELECT email::int AS a FROM t",
        "SELECT $x$CANARY$x$::int AS a",
        "SELECT E'CANARY'::jsonb AS a",
        "SELECT to_date(email, 'YYYY') AS a FROM t",
        "DO $$BEGIN RAISE EXCEPTION 'CANARY'; END$$; SELECT 1 AS a",
        "INSERT INTO t VALUES (2, 'CANARY') RETURNING id",
        "INSERT INTO t VALUES (2, 'CANARY-no') RETURNING id",
        "INSERT INTO t VALUES (3, 'x', 'CANARY') RETURNING id",
        "INSERT INTO t VALUES (4, 'CANARY'); SELECT 1 AS a",
    ] {
        let error = failure(&database, sql, &write).await;
        assert!(!shown(&error).contains(SECRET), "{sql}: {error:?}");
        assert!(error.to_string().contains("SQLSTATE"), "{error}");
    }
    let unique = failure(&database, "INSERT INTO t VALUES (2, 'CANARY') RETURNING id", &write).await;
    assert!(unique.to_string().contains("table t, constraint t_email_key"), "{unique}");
}

/// What was logged, as the operator's own log would have it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_the_server_says_beside_a_result_is_not_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).init();
    let database = TestDatabase::create("notices").await;
    let noisy = "SET client_min_messages = notice; \
                 DO $$BEGIN RAISE NOTICE 'CANARY'; RAISE WARNING 'CANARY'; RAISE INFO 'CANARY'; END$$; SELECT 1 AS a";
    read(&mut session(&database).await, noisy).await.unwrap();
    tracing::info!("the log works");
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("the log works"));
    assert!(!logged.contains(SECRET), "{logged}");
}

#[tokio::test]
async fn a_refused_login_says_why_and_nothing_else() {
    let database = TestDatabase::create("login").await;
    let wrong = dbqo::logic::connection::Settings { password: Some(SECRET.into()), ..settings(&database) };
    let absent = dbqo::logic::connection::Settings { dbname: SECRET.into(), ..settings(&database) };
    let stranger = dbqo::logic::connection::Settings { user: SECRET.into(), ..settings(&database) };
    let silent = dbqo::logic::connection::Settings { password: None, ..settings(&database) };
    for (settings, expected) in
        [(wrong, "28P01"), (absent, "3D000"), (stranger, "28P01"), (silent, "asks for a password")]
    {
        let error = Session::connect(&settings).await.err().unwrap();
        assert_eq!(error.reason(), "LoginRefused", "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!shown(&error).contains(SECRET), "{error:?}");
    }
}

#[tokio::test]
async fn a_host_of_the_wrong_kind_is_not_used() {
    use dbqo::logic::connection::{Settings, Target};
    let database = TestDatabase::create("kind").await;
    let writing = Settings { target: Target::ReadWrite, ..settings(&database) };
    let rows = read(&mut Session::connect(&writing).await.unwrap(), "SELECT 1 AS a").await;
    assert_eq!(rows.unwrap(), [r#"{"a":1}"#]);
    let standby = Settings { target: Target::ReadOnly, ..settings(&database) };
    let error = Session::connect(&standby).await.err().unwrap();
    assert!(error.to_string().contains("target_session_attrs"), "{error}");
    assert_eq!(error.reason(), "DatabaseUnreachable");
}

#[tokio::test]
async fn a_session_and_its_settings_show_nothing() {
    let database = TestDatabase::create("debug").await;
    let session = session(&database).await;
    let shown = format!("{session:?} {:?}", settings(&database));
    assert!(!shown.contains(database.password()) && !shown.contains(database.name()), "{shown}");
}

#[tokio::test]
async fn exactly_as_many_rows_as_allowed_are_fine_and_one_more_stops_the_query() {
    let database = TestDatabase::create("one too many").await;
    let limits = Limits { max_rows: 10, ..LIMITS };
    let ten = parse_query("SELECT g AS id FROM generate_series(1, 10) g", true).unwrap();
    assert_eq!(read_with(&mut session(&database).await, &ten, &limits).await.unwrap().len(), 10);
    let slow_at_the_end =
        "SELECT g AS id, CASE WHEN g > 1000 THEN pg_sleep(15) END AS s FROM generate_series(1, 2000) g";
    assert_eq!(failure(&database, slow_at_the_end, &limits).await, Error::TooManyRows(10));
    nothing_runs(&database.client().await).await;
}

#[tokio::test]
async fn a_failure_of_another_server_is_not_one_of_the_connection() {
    let database = TestDatabase::create("foreign").await;
    let sql = "DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '08001'; END$$; SELECT 1 AS a";
    let error = failure(&database, sql, &LIMITS).await;
    assert_eq!(error.reason(), "QueryFailed", "{error}");
}

#[tokio::test]
async fn a_connection_that_was_ended_is_told_apart_from_a_failed_query() {
    let database = TestDatabase::create("ended").await;
    let sql = "SELECT pg_terminate_backend(pg_backend_pid()) AS a";
    let mut session = session(&database).await;
    let error = read(&mut session, sql).await.unwrap_err();
    assert_eq!(error.reason(), "DatabaseUnreachable", "{error}");
    assert!(session.is_closed());
}

#[tokio::test]
async fn a_session_whose_look_failed_is_not_for_use() {
    let database = TestDatabase::create("no look").await;
    let query = parse_query("SELECT 1 AS a", true).unwrap();
    let changes = serde_json::from_value(serde_json::json!({"enabled": true, "tableName": "gone"})).unwrap();
    let detection = Detection::of(Some(&changes)).unwrap().unwrap();
    let mut session = session(&database).await;
    let error = session.probe(&query, &LIMITS, &detection, None).await.unwrap_err();
    assert_eq!(error.reason(), "QueryFailed");
    assert!(session.is_closed(), "it is in the middle of a transaction");
}
