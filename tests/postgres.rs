//! What is asked of a real PostgreSQL, and what becomes of it.

mod support;

#[path = "postgres/errors.rs"]
mod errors;
#[path = "postgres/hosts.rs"]
mod hosts;
#[path = "postgres/keyed.rs"]
mod keyed;
#[path = "postgres/keyed_types.rs"]
mod keyed_types;
#[path = "postgres/keys.rs"]
mod keys;
#[path = "postgres/pool.rs"]
mod pool;
#[path = "postgres/pooler.rs"]
mod pooler;
#[path = "postgres/probe.rs"]
mod probe;
#[path = "postgres/rows.rs"]
mod rows;
#[path = "postgres/shape.rs"]
mod shape;
#[path = "postgres/splitter.rs"]
mod splitter;
#[path = "postgres/standby.rs"]
mod standby;
#[path = "postgres/tables.rs"]
mod tables;
#[path = "postgres/time.rs"]
mod time;
#[path = "postgres/tls.rs"]
mod tls;
#[path = "postgres/triggers.rs"]
mod triggers;
#[path = "postgres/types.rs"]
mod types;
#[path = "postgres/whole.rs"]
mod whole;

use std::time::Duration;

use dbqo::logic::connection::certificates::Certificates;
use dbqo::logic::connection::{self, SecretKeys, Settings};
use dbqo::logic::row::Row;
use dbqo::logic::sql::{Query, parse_query};
use dbqo::postgres::{Error, Limits, Session};
use k8s_openapi::ByteString;
use support::{TestDatabase, free_port};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const LIMITS: Limits = Limits { statement_timeout: Duration::from_secs(20), max_rows: 200_000, read_only: true };

fn settings(database: &TestDatabase) -> Settings {
    Settings {
        hosts: vec![(database.host().to_owned(), database.port()).into()],
        user: database.user().to_owned(),
        password: Some(database.password().to_owned()),
        dbname: database.name().to_owned(),
        ..Settings::default()
    }
}

/// Settings as a user would write them, as a connection string.
fn dsn(text: &str, certificates: &Certificates) -> Settings {
    let key = |name: &str| name.to_owned();
    let keys = SecretKeys {
        uri: Some(key("dsn")),
        host: key("host"),
        port: key("port"),
        user: key("user"),
        password: key("password"),
        dbname: key("dbname"),
        sslmode: key("sslmode"),
    };
    let data = [(key("dsn"), ByteString(text.as_bytes().to_vec()))].into();
    connection::settings(&keys, &data, certificates).unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn session(database: &TestDatabase) -> Session {
    Session::connect(&settings(database)).await.unwrap()
}

fn query(sql: &str) -> Query {
    parse_query(sql, true).unwrap()
}

async fn collect(mut batches: mpsc::Receiver<Vec<Row>>) -> Vec<Row> {
    let mut all = Vec::new();
    while let Some(batch) = batches.recv().await {
        all.extend(batch);
    }
    all
}

async fn read_rows(session: &mut Session, query: &Query, limits: &Limits) -> Result<Vec<Row>, Error> {
    let (rows, batches) = mpsc::channel(4);
    let (read, all) = tokio::join!(session.read(query, limits, &[], rows), collect(batches));
    assert!(read.as_ref().is_ok_and(|read| read.rows == all.len() as u64) || read.is_err());
    read.map(|_| all)
}

async fn read_with(session: &mut Session, query: &Query, limits: &Limits) -> Result<Vec<String>, Error> {
    let rows = read_rows(session, query, limits).await?;
    Ok(rows.into_iter().map(|row| row.json).collect())
}

async fn read(session: &mut Session, sql: &str) -> Result<Vec<String>, Error> {
    read_with(session, &query(sql), &LIMITS).await
}

/// The error of a query on a session of its own.
async fn failure(database: &TestDatabase, sql: &str, limits: &Limits) -> Error {
    let query = parse_query(sql, limits.read_only).unwrap();
    read_with(&mut session(database).await, &query, limits).await.expect_err(sql)
}

/// Waits until the server runs nothing of ours in this database any more.
async fn nothing_runs(client: &tokio_postgres::Client) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'db-query-operator' AND state = 'active'";
    let look = async || (client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(());
    support::eventually("the server has stopped", Duration::from_secs(10), look).await;
}

#[tokio::test]
async fn rows_come_as_json_texts_in_order() {
    let database = TestDatabase::create("rows").await;
    let mut session = session(&database).await;
    let rows = read(&mut session, "SELECT n, n::text AS t, NULL AS q FROM generate_series(1, 1000) n ORDER BY n")
        .await
        .unwrap();
    assert_eq!(rows.len(), 1000);
    assert_eq!(rows[999], r#"{"n":1000,"t":"1000","q":null}"#);
    assert!(read(&mut session, "SELECT 1 AS a WHERE false").await.unwrap().is_empty());
}

#[tokio::test]
async fn setup_statements_hold_for_the_query_and_leave_no_trace() {
    let database = TestDatabase::create("setup").await;
    let mut session = session(&database).await;
    let sql = "CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE IF NOT EXISTS other.x AS SELECT 1 AS a; \
               SET search_path = other; SET statement_timeout = '5s'; CREATE TEMP TABLE y AS TABLE x; \
               SELECT a, current_setting('statement_timeout') AS t FROM x JOIN y USING (a)";
    assert_eq!(read(&mut session, sql).await.unwrap(), [r#"{"a":1,"t":"5s"}"#]);
    let after =
        "SELECT current_setting('search_path') AS p, current_setting('statement_timeout') AS t, to_regclass('y') AS y";
    let row = &read(&mut session, after).await.unwrap()[0];
    assert_eq!(row, r#"{"p":"\"$user\", public","t":"20s","y":null}"#);
}

#[tokio::test]
async fn the_example_with_an_extension_runs_as_promised() {
    let database = TestDatabase::create("extension").await;
    let client = database.client().await;
    client.batch_execute("CREATE SCHEMA extensions; CREATE TABLE users AS SELECT 'a' AS name").await.unwrap();
    let sql = "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\";\nSET search_path = public, extensions;\n\n\
               SELECT uuid_generate_v4() as id, name FROM users;";
    let mut session = session(&database).await;
    for place in ["public", "extensions"] {
        let row = &read(&mut session, sql).await.unwrap()[0];
        assert!(row.starts_with(r#"{"id":""#) && row.ends_with(r#"","name":"a"}"#), "{row}");
        assert_eq!(row.len(), r#"{"id":"","name":"a"}"#.len() + 36, "{place}: {row}");
        client.batch_execute("ALTER EXTENSION \"uuid-ossp\" SET SCHEMA extensions").await.unwrap();
    }
}

#[tokio::test]
async fn texts_do_not_depend_on_the_servers_settings() {
    let database = TestDatabase::create("texts").await;
    let alter = format!(
        "ALTER DATABASE \"{0}\" SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE \"{0}\" SET bytea_output = 'escape'; \
         ALTER DATABASE \"{0}\" SET IntervalStyle = 'iso_8601'",
        database.name()
    );
    database.client().await.batch_execute(&alter).await.unwrap();
    let mut session = session(&database).await;
    let sql = "SELECT timestamptz '2024-01-01 00:00Z' AS t, '\\xdead'::bytea AS b, interval '1 day' AS i";
    let row = &read(&mut session, sql).await.unwrap()[0];
    assert_eq!(row, r#"{"t":"2024-01-01T00:00:00+00:00","b":"\\xdead","i":"1 day"}"#);
}

#[tokio::test]
async fn the_last_statement_writes_only_where_it_may() {
    let database = TestDatabase::create("writes").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); CREATE SEQUENCE s").await.unwrap();
    let mut reader = session(&database).await;
    let error = read(&mut reader, "SELECT nextval('s') AS n FROM (SELECT 1) x").await.unwrap_err();
    assert!(error.to_string().contains("25006"), "{error}");
    let mut writer = session(&database).await;
    let delete = parse_query("DELETE FROM t WHERE a = 1 RETURNING a", false).unwrap();
    let limits = Limits { read_only: false, ..LIMITS };
    assert_eq!(read_with(&mut writer, &delete, &limits).await.unwrap(), [r#"{"a":1}"#]);
    let left: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(left, 1, "what it deleted is committed");
}

#[tokio::test]
async fn an_error_names_statement_line_and_word() {
    let database = TestDatabase::create("errors").await;
    for (sql, parts) in [
        (
            "SET a.b = 1;\nSELECT nothing FROM pg_class;\nSELECT 1 AS a",
            vec!["statement 2 of 3", "42703", "line 2, column 8", "nothing"],
        ),
        (
            "SELECT 1 AS a\nFROM\n  no_such_table",
            vec!["statement 1 of 1", "42P01", "line 3, column 3", "no_such_table"],
        ),
        ("SELECT * FRM pg_class", vec!["42601", "line 1"]),
        ("SELECT 1/0 AS a", vec!["22012"]),
    ] {
        let error = read(&mut session(&database).await, sql).await.unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{sql}: {error}");
        }
    }
}

#[tokio::test]
async fn columns_that_cannot_be_told_apart_are_refused_by_name_whether_or_not_there_are_rows() {
    let database = TestDatabase::create("columns").await;
    for (sql, part) in [
        ("SELECT 1 AS same, 2 AS same", "two columns of the query are named same"),
        ("SELECT 1 AS same, 2 AS same WHERE false", "two columns of the query are named same"),
        ("SELECT 1 AS a, 2 + 3", "column 2 of the query has no name"),
        ("SELECT 1 AS a, 2 + 3 WHERE false", "column 2 of the query has no name"),
        ("WITH w AS (SELECT 1 AS a) SELECT *, 1 AS a FROM w LIMIT 0", "two columns of the query are named a"),
    ] {
        let error = read(&mut session(&database).await, sql).await.unwrap_err().to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
    let changing = parse_query("DELETE FROM pg_class WHERE false RETURNING 1 AS a, 2 AS a", false).unwrap();
    let limits = Limits { read_only: false, ..LIMITS };
    let rows = read_with(&mut session(&database).await, &changing, &limits).await.unwrap();
    assert!(rows.is_empty(), "what changes data is asked for nothing beforehand");
}

#[tokio::test]
async fn columns_are_known_without_running_anything() {
    let database = TestDatabase::create("columns only").await;
    let client = database.client().await;
    client.batch_execute("CREATE SEQUENCE runs; CREATE TABLE t AS SELECT 1 AS a").await.unwrap();
    let limits = Limits { read_only: false, ..LIMITS };
    for sql in [
        "SELECT nextval('runs') AS n, a FROM t WHERE nextval('runs') > 0 FOR UPDATE",
        "WITH w AS MATERIALIZED (SELECT nextval('runs') AS n) SELECT n, (SELECT nextval('runs')) AS m FROM w",
        "SELECT * FROM (VALUES (nextval('runs'), nextval('runs'))) v(a, b) ORDER BY nextval('runs') LIMIT 1",
    ] {
        client.batch_execute("ALTER SEQUENCE runs RESTART").await.unwrap();
        client.query_one("SELECT nextval('runs')", &[]).await.unwrap();
        let query = parse_query(sql, false).unwrap();
        read_with(&mut session(&database).await, &query, &limits).await.unwrap();
        let once: i64 = client.query_one("SELECT last_value FROM runs", &[]).await.unwrap().get(0);
        client.batch_execute("ALTER SEQUENCE runs RESTART").await.unwrap();
        client.query_one("SELECT nextval('runs')", &[]).await.unwrap();
        client
            .batch_execute(&format!("CREATE TEMP TABLE result AS SELECT * FROM ({sql}) q; DROP TABLE result"))
            .await
            .unwrap();
        let by_itself: i64 = client.query_one("SELECT last_value FROM runs", &[]).await.unwrap().get(0);
        assert_eq!(once, by_itself, "{sql}");
    }
}

#[tokio::test]
async fn more_rows_than_allowed_are_an_error() {
    let database = TestDatabase::create("many").await;
    let limits = Limits { max_rows: 10, ..LIMITS };
    let many = query("SELECT n FROM generate_series(1, 100000) n");
    let error = read_with(&mut session(&database).await, &many, &limits).await.unwrap_err();
    assert_eq!(error, Error::TooManyRows(10));
}

#[tokio::test]
async fn a_long_statement_is_canceled_on_the_server_too() {
    let database = TestDatabase::create("long").await;
    let limits = Limits { statement_timeout: Duration::from_millis(300), ..LIMITS };
    // What the user sets is capped: by us, where it lifts the server's own limit.
    for sql in ["SELECT pg_sleep(600) AS s", "SET statement_timeout = 0; SELECT pg_sleep(600) AS s"] {
        let mut session = session(&database).await;
        let error = read_with(&mut session, &query(sql), &limits).await.unwrap_err();
        assert_eq!(error.reason(), "QueryFailed", "{error}");
        drop(session);
    }
    let client = database.client().await;
    support::eventually("nobody sleeps any more", Duration::from_secs(20), async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
                   AND datname = current_database() AND pid <> pg_backend_pid()";
        let sleeping: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        (sleeping == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_connection_is_told_by_its_kind() {
    let database = TestDatabase::create("login").await;
    let wrong = Settings { password: Some("CANARY".into()), ..settings(&database) };
    let error = Session::connect(&wrong).await.err().unwrap();
    assert_eq!(error.reason(), "LoginRefused");
    let missing = Settings { dbname: "CANARY".into(), ..settings(&database) };
    let error = Session::connect(&missing).await.err().unwrap();
    assert!(error.to_string().contains("no such database") && !format!("{error} {error:?}").contains("CANARY"));
    let free = free_port();
    let nobody = Settings { hosts: vec![("127.0.0.1".to_owned(), free).into()], ..settings(&database) };
    assert_eq!(Session::connect(&nobody).await.err().unwrap(), Error::Unreachable("connection refused"));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let database = TestDatabase::create("silent").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let settings = Settings {
        hosts: vec![("127.0.0.1".to_owned(), port).into()],
        connect_timeout: Duration::from_millis(300),
        ..settings(&database)
    };
    assert_eq!(Session::connect(&settings).await.err().unwrap(), Error::Unreachable("no answer in time"));
}

#[tokio::test]
async fn what_the_server_says_of_values_is_not_told() {
    let database = TestDatabase::create("canary").await;
    for sql in [
        "SELECT 'CANARY'::int AS a",
        "SELECT ('CANARY' || 'x')::json AS a",
        "DO $$ BEGIN RAISE EXCEPTION 'CANARY' USING DETAIL = 'CANARY', HINT = 'CANARY'; END $$; SELECT 1 AS a",
        "CREATE TEMP TABLE u (a text UNIQUE); INSERT INTO u VALUES ('CANARY'), ('CANARY'); SELECT 1 AS a",
        "CREATE TEMP TABLE u (a text CHECK (a <> 'CANARY')); INSERT INTO u VALUES ('CANARY'); SELECT 1 AS a",
    ] {
        let error = read(&mut session(&database).await, sql).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{sql}: {error:?}");
    }
}
