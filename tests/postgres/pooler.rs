//! Through a real PgBouncer: the same rows as directly, or a reason why not.

use std::collections::HashSet;
use std::time::Duration;

use dbqo::logic::connection::Settings;
use dbqo::logic::detect::Detection;
use dbqo::logic::sql::parse_query;
use dbqo::postgres::{Error, Limits, Pooled, Session};

use super::{LIMITS, nothing_runs, query, read, read_with, session, settings};
use crate::support::TestDatabase;
use crate::support::pgbouncer::PgBouncer;

const TRANSACTION: &str = "pool_mode = transaction";
const DROPPING: &str = "ignore_startup_parameters = options, extra_float_digits";

/// What settings have a say in.
const TEXTS: &str = r"SELECT '2024-01-15 10:30:00+00'::timestamptz AS t, '2024-07-01'::date::text AS d,
    '\x01ff'::bytea AS b, '1 day 2 hours'::interval AS i, 0.1::float8 + 0.2 AS f, (1::float4 / 3)::text AS g,
    'a\' AS s, current_setting('TimeZone') AS zone, current_setting('search_path') AS path, current_user AS me,
    current_setting('statement_timeout') AS timeout";

fn through(bouncer: &PgBouncer, database: &TestDatabase) -> Settings {
    Settings { hosts: vec![("127.0.0.1".to_owned(), bouncer.port()).into()], ..settings(database) }
}

/// A database whose settings are not ours.
async fn odd_database(test: &str) -> TestDatabase {
    let database = TestDatabase::create(test).await;
    let client = database.client().await;
    for setting in [
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German'",
        "bytea_output = 'escape'",
        "IntervalStyle = 'iso_8601'",
        "extra_float_digits = -3",
        "standard_conforming_strings = off",
        "search_path = app, public",
    ] {
        client.batch_execute(&format!("ALTER DATABASE \"{}\" SET {setting}", database.name())).await.unwrap();
    }
    client.batch_execute("CREATE SCHEMA app; CREATE TABLE app.t (n int); INSERT INTO app.t VALUES (1)").await.unwrap();
    database
}

#[tokio::test]
async fn rows_are_the_same_directly_and_through_every_kind_of_pooler() {
    let database = odd_database("same rows").await;
    let direct = read(&mut session(&database).await, TEXTS).await.unwrap();
    assert!(direct[0].contains("2024-01-15T10:30:00+00:00") && direct[0].contains(r#""i":"1 day 02:00:00""#));
    assert!(direct[0].contains("0.30000000000000004") && direct[0].contains(r#""path":"app, public""#), "{direct:?}");
    for lines in [vec![TRANSACTION], vec![TRANSACTION, DROPPING], vec!["pool_mode = session", DROPPING]] {
        let bouncer = PgBouncer::start(&database, &lines).await;
        let mut session = Session::connect(&through(&bouncer, &database)).await.unwrap();
        for _ in 0..3 {
            assert_eq!(read(&mut session, TEXTS).await.unwrap(), direct, "{lines:?}");
        }
        assert_eq!(read(&mut session, "SELECT n FROM t").await.unwrap(), [r#"{"n":1}"#]);
    }
}

#[tokio::test]
async fn no_setting_is_lost_while_others_use_the_same_connections() {
    let database = odd_database("switched").await;
    let bouncer = PgBouncer::start(&database, &[TRANSACTION, DROPPING, "default_pool_size = 3"]).await;
    let direct = read(&mut session(&database).await, TEXTS).await.unwrap();
    // Others leave behind what they set.
    let mut neighbour = tokio_postgres::Config::new();
    neighbour.host("127.0.0.1").port(bouncer.port()).dbname(database.name());
    neighbour.user(database.user()).password(database.password());
    let (neighbour, connection) = neighbour.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let littering = tokio::spawn(async move {
        loop {
            let litter = "SET TimeZone = 'America/Lima'; SET bytea_output = escape; SET IntervalStyle = sql_standard; \
                          SET extra_float_digits = -15; SET search_path = pg_catalog; SET ROLE pg_monitor; \
                          SET statement_timeout = 0; SET dbqo.session = 'on'";
            neighbour.batch_execute(litter).await.unwrap();
        }
    });
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (settings, direct) = (through(&bouncer, &database), direct.clone());
        clients.push(tokio::spawn(async move {
            let mut session = Session::connect(&settings).await.unwrap();
            let mut servers = HashSet::new();
            for _ in 0..50 {
                assert_eq!(read(&mut session, TEXTS).await.unwrap(), direct);
                servers.extend(read(&mut session, "SELECT pg_backend_pid() AS pid").await.unwrap());
            }
            servers.len()
        }));
    }
    let mut most = 0;
    for client in clients {
        most = most.max(client.await.unwrap());
    }
    assert!(most > 1, "a session was lent more than one connection");
    littering.abort();
}

#[tokio::test]
async fn setup_statements_are_refused_with_a_way_out_and_the_session_stays_of_use() {
    let database = TestDatabase::create("setup").await;
    for lines in [vec![TRANSACTION], vec![TRANSACTION, DROPPING]] {
        let bouncer = PgBouncer::start(&database, &lines).await;
        let mut session = Session::connect(&through(&bouncer, &database)).await.unwrap();
        let error = read(&mut session, "CREATE TABLE made (a int); SELECT 1 AS a").await.unwrap_err();
        assert_eq!(error, Error::Pooled(Pooled::Setup));
        assert_eq!(error.reason(), "ThroughPooler");
        let said = error.to_string();
        assert!(said.contains("setup statements") && said.contains("connect directly"), "{said}");
        assert!(!session.is_closed());
        let made = read(&mut session, "SELECT to_regclass('made') AS made").await.unwrap();
        assert_eq!(made, [r#"{"made":null}"#], "nothing of it ran");
    }
}

#[tokio::test]
async fn options_that_would_not_arrive_are_refused() {
    let database = TestDatabase::create("options").await;
    for lines in [vec![TRANSACTION], vec![TRANSACTION, DROPPING]] {
        let bouncer = PgBouncer::start(&database, &lines).await;
        let settings = Settings { options: Some("-c search_path=CANARY".into()), ..through(&bouncer, &database) };
        let error = Session::connect(&settings).await.err().unwrap();
        assert_eq!(error, Error::Pooled(Pooled::Options));
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        let none = Settings { options: Some(" ".into()), ..through(&bouncer, &database) };
        read(&mut Session::connect(&none).await.unwrap(), "SELECT 1 AS a").await.unwrap();
    }
}

#[tokio::test]
async fn a_pooler_without_transactions_is_refused() {
    let database = TestDatabase::create("statement").await;
    let bouncer = PgBouncer::start(&database, &["pool_mode = statement", DROPPING]).await;
    let mut session = Session::connect(&through(&bouncer, &database)).await.unwrap();
    let error = read(&mut session, "SELECT 1 AS a").await.unwrap_err();
    assert_eq!(error, Error::Pooled(Pooled::Transactions));
    assert!(error.to_string().contains("pool_mode"), "{error}");
}

#[tokio::test]
async fn a_query_that_took_too_long_is_canceled_through_the_pooler() {
    let database = TestDatabase::create("canceled").await;
    let bouncer = PgBouncer::start(&database, &[TRANSACTION]).await;
    let mut session = Session::connect(&through(&bouncer, &database)).await.unwrap();
    // It lifts the server's own limit, so that only ours is left.
    let slow = query("SELECT set_config('statement_timeout', '0', true) AS a, pg_sleep(600) AS s");
    let limits = Limits { statement_timeout: Duration::from_millis(300), ..LIMITS };
    let error = read_with(&mut session, &query("SELECT pg_sleep(600) AS s"), &limits).await.unwrap_err();
    assert!(error.to_string().contains("57014"), "by the server: {error}");
    drop(session);

    let mut session = Session::connect(&through(&bouncer, &database)).await.unwrap();
    let (rows, _batches) = tokio::sync::mpsc::channel(1);
    let given_up = tokio::time::timeout(Duration::from_millis(500), session.read(&slow, &LIMITS, &[], rows)).await;
    assert!(given_up.is_err());
    drop(session);
    nothing_runs(&database.client().await).await;
}

#[tokio::test]
async fn changes_are_looked_for_through_the_pooler() {
    let database = odd_database("probe").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE app.m (at timestamptz)").await.unwrap();
    let bouncer = PgBouncer::start(&database, &[TRANSACTION]).await;
    let mut session = Session::connect(&through(&bouncer, &database)).await.unwrap();
    let changes = serde_json::json!({"enabled": true, "tableName": "m", "timestampColumn": "at"});
    let detection = Detection::of(Some(&serde_json::from_value(changes).unwrap())).unwrap().unwrap();
    let query = query("SELECT 1 AS a");
    let before = session.probe(&query, &LIMITS, &detection, None).await.unwrap();
    assert_eq!(session.probe(&query, &LIMITS, &detection, Some(&before)).await.unwrap(), before);
    client.batch_execute("INSERT INTO app.m VALUES ('2024-01-15 10:30Z')").await.unwrap();
    assert_ne!(session.probe(&query, &LIMITS, &detection, Some(&before)).await.unwrap(), before);
    assert_eq!(read(&mut session, "SELECT n FROM t").await.unwrap(), [r#"{"n":1}"#]);
}

#[tokio::test]
async fn what_the_last_statement_writes_through_a_pooler_is_committed_only_where_it_may() {
    let database = TestDatabase::create("writes").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); CREATE SEQUENCE s").await.unwrap();
    let bouncer = PgBouncer::start(&database, &[TRANSACTION]).await;
    let mut reader = Session::connect(&through(&bouncer, &database)).await.unwrap();
    let error = read(&mut reader, "SELECT nextval('s') AS n").await.unwrap_err();
    assert!(error.to_string().contains("25006"), "{error}");
    let mut writer = Session::connect(&through(&bouncer, &database)).await.unwrap();
    let delete = parse_query("DELETE FROM t WHERE a = 1 RETURNING a", false).unwrap();
    let limits = Limits { read_only: false, ..LIMITS };
    assert_eq!(read_with(&mut writer, &delete, &limits).await.unwrap(), [r#"{"a":1}"#]);
    let left: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_login_that_the_pooler_refuses_is_told_without_its_values() {
    let database = TestDatabase::create("login").await;
    for lines in [vec![TRANSACTION], vec![TRANSACTION, DROPPING]] {
        let bouncer = PgBouncer::start(&database, &lines).await;
        let through = through(&bouncer, &database);
        for wrong in [
            Settings { password: Some("CANARY".into()), ..through.clone() },
            Settings { user: "CANARY".into(), ..through.clone() },
            Settings { dbname: "CANARY".into(), ..through.clone() },
        ] {
            let error = Session::connect(&wrong).await.err().unwrap();
            assert!(error.to_string().contains("a pooler before it refuses"), "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"));
        }
    }
}
