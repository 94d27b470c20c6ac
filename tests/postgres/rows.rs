//! Which rows come, and what a session leaves behind.

use dbqo::logic::row::Row;
use dbqo::logic::sql::parse_query;
use tokio::sync::mpsc;

use super::{LIMITS, Limits, failure, read, session, settings};
use crate::support::TestDatabase;

#[tokio::test]
async fn whatever_selects_can_be_wrapped() {
    let database = TestDatabase::create("rows").await;
    let mut session = session(&database).await;
    let rows = read(&mut session, "SELECT 2 AS z, 'x' AS q, NULL AS a UNION ALL SELECT 1, 'y', 'b' -- end");
    assert_eq!(rows.await.unwrap(), [r#"{"z":2,"q":"x","a":null}"#, r#"{"z":1,"q":"y","a":"b"}"#]);
    for sql in ["VALUES (1)", "(SELECT 1 AS column1)", "WITH w AS (SELECT 1 AS column1) SELECT * FROM w"] {
        assert_eq!(read(&mut session, sql).await.unwrap(), [r#"{"column1":1}"#], "{sql}");
    }
    assert!(read(&mut session, "SELECT 1 AS a WHERE false").await.unwrap().is_empty());
}

#[tokio::test]
async fn values_look_the_same_whatever_the_database_is_set_to() {
    let database = TestDatabase::create("fixed").await;
    let name = database.name();
    let odd = format!(
        "ALTER DATABASE \"{name}\" SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE \"{name}\" SET DateStyle = 'German'; \
         ALTER DATABASE \"{name}\" SET bytea_output = 'escape'; ALTER DATABASE \"{name}\" SET IntervalStyle = \
         'iso_8601'; ALTER DATABASE \"{name}\" SET standard_conforming_strings = off"
    );
    database.client().await.batch_execute(&odd).await.unwrap();
    let sql = r"SELECT '2024-01-15 10:30:00+00'::timestamptz AS t, '\x01ff'::bytea AS b, '1 day'::interval AS i,
                0.1::float8 + 0.2 AS f, 12.50::numeric AS n, '2024-01-15'::date::text AS d, 'a\' AS s";
    let rows = read(&mut session(&database).await, sql).await.unwrap();
    let expected = r#"{"t":"2024-01-15T10:30:00+00:00","b":"\\x01ff","i":"1 day","f":0.30000000000000004,"n":12.50,"d":"2024-01-15","s":"a\\"}"#;
    assert_eq!(rows, [expected]);
}

#[tokio::test]
async fn the_example_with_timeouts_runs_as_promised() {
    let database = TestDatabase::create("timeouts").await;
    let sql = "CREATE TABLE large_table (indexed_column text); INSERT INTO large_table VALUES ('value'), ('other')";
    database.client().await.batch_execute(sql).await.unwrap();
    let sql = "SET statement_timeout = '5s';\nSET lock_timeout = '3s';\n\n\
               SELECT * FROM large_table WHERE indexed_column = 'value';";
    assert_eq!(read(&mut session(&database).await, sql).await.unwrap(), [r#"{"indexed_column":"value"}"#]);
}

#[tokio::test]
async fn setup_statements_write_and_the_last_one_may_not() {
    let database = TestDatabase::create("read only").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int); CREATE SEQUENCE s").await.unwrap();
    client
        .batch_execute(
            "CREATE FUNCTION sneaky() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (9) RETURNING id';
             CREATE FUNCTION switch() RETURNS text LANGUAGE sql AS
                 $$SELECT set_config('transaction_read_only', 'off', false)$$",
        )
        .await
        .unwrap();
    let rows = read(&mut session(&database).await, "INSERT INTO t VALUES (1); SELECT id FROM t").await;
    assert_eq!(rows.unwrap(), [r#"{"id":1}"#]);
    for (sql, state) in [
        ("SELECT sneaky() AS a", "25006"),
        ("SELECT nextval('s') AS a", "25006"),
        ("SELECT switch() AS a, sneaky() AS b", "25001"),
        ("SET default_transaction_read_only = off; SELECT sneaky() AS a", "25006"),
        ("SELECT id FROM t FOR UPDATE", "25006"),
    ] {
        let error = failure(&database, sql, &LIMITS).await;
        assert!(error.to_string().contains(state), "{sql}: {error}");
    }
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_change_whose_commit_fails_is_an_error() {
    let database = TestDatabase::create("deferred").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)").await.unwrap();
    let limits = Limits { read_only: false, ..LIMITS };
    let error = failure(&database, "INSERT INTO t VALUES (4242), (4242) RETURNING id", &limits).await;
    assert!(error.to_string().contains("23505") && error.to_string().contains("statement 1 of 1"), "{error}");
    assert!(!format!("{error:?}").contains("4242"));
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test]
async fn nothing_that_a_query_sets_is_there_for_the_next() {
    let database = TestDatabase::create("reset").await;
    let mut session = session(&database).await;
    let first = "SET search_path = pg_catalog; SET work_mem = '8MB'; SET ROLE pg_monitor; \
                 CREATE TEMP TABLE left_over (a int); PREPARE p AS SELECT 1; SELECT pg_advisory_lock(7); SELECT 1 AS a";
    read(&mut session, first).await.unwrap();
    let look = "SELECT current_setting('search_path') AS path, current_setting('work_mem') AS mem, \
                current_user::text AS who, to_regclass('left_over') AS temp, \
                (SELECT count(*) FROM pg_prepared_statements WHERE from_sql) AS prepared, \
                (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks, \
                current_setting('TimeZone') AS zone";
    let expected =
        r#"{"path":"\"$user\", public","mem":"4MB","who":"postgres","temp":null,"prepared":0,"locks":0,"zone":"UTC"}"#;
    assert_eq!(read(&mut session, look).await.unwrap(), [expected.replace("postgres", database.user())]);
}

#[tokio::test]
async fn ten_thousand_rows_stream_through() {
    let database = TestDatabase::create("many").await;
    let sql = "SELECT g AS id, repeat('x', 100) AS text FROM generate_series(1, 10000) g";
    let rows = read(&mut session(&database).await, sql).await.unwrap();
    assert_eq!(rows.len(), 10_000);
    assert!(rows[9_999].starts_with(r#"{"id":10000,"#));
}

#[tokio::test]
async fn large_rows_come_in_small_batches() {
    let database = TestDatabase::create("large").await;
    let mut session = session(&database).await;
    let query = parse_query("SELECT repeat('x', 1000000) AS text FROM generate_series(1, 40)", true).unwrap();
    let (sender, mut batches) = mpsc::channel::<Vec<Row>>(1);
    let largest = async {
        let mut largest = 0;
        while let Some(batch) = batches.recv().await {
            largest = largest.max(batch.iter().map(Row::bytes).sum::<usize>());
        }
        largest
    };
    let (read, largest) = tokio::join!(session.read(&query, &LIMITS, &[], sender), largest);
    assert_eq!(read.map(|read| read.rows), Ok(40));
    assert!(largest < 4_000_000, "{largest} bytes at a time");
}

#[tokio::test]
async fn options_of_the_connection_string_reach_the_server_and_ours_stay() {
    let database = TestDatabase::create("options").await;
    let mut settings = settings(&database);
    settings.options = Some("-c work_mem=5MB -c TimeZone=Asia/Tokyo".into());
    settings.application_name = Some("mine".into());
    let mut session = dbqo::postgres::Session::connect(&settings).await.unwrap();
    let sql = "SELECT current_setting('work_mem') AS mem, current_setting('TimeZone') AS zone, \
               current_setting('application_name') AS name";
    let expected = r#"{"mem":"5MB","zone":"UTC","name":"mine"}"#;
    assert_eq!(read(&mut session, sql).await.unwrap(), [expected]);
}
