//! That everything ends in time, however silent the server.

use std::process::Command;
use std::time::{Duration, Instant};

use dbqo::logic::connection::Settings;
use dbqo::logic::row::Row;
use dbqo::logic::sql::parse_query;
use dbqo::postgres::{Error, Limits, Session};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{LIMITS, failure, nothing_runs, read, read_with, session, settings};
use crate::support::TestDatabase;

fn quick(statement_timeout: Duration) -> Limits {
    Limits { statement_timeout, ..LIMITS }
}

#[tokio::test]
async fn a_slow_statement_is_canceled_by_the_server() {
    let database = TestDatabase::create("slow").await;
    let limits = quick(Duration::from_millis(300));
    for (sql, statement) in
        [("SELECT pg_sleep(20) AS s", "statement 1 of 1"), ("SELECT pg_sleep(20); SELECT 1 AS a", "statement 1 of 2")]
    {
        let start = Instant::now();
        let error = failure(&database, sql, &limits).await;
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(error.to_string().contains(statement) && error.to_string().contains("57014"), "{error}");
    }
}

#[tokio::test]
async fn a_shorter_timeout_of_the_user_counts_and_a_longer_one_is_capped() {
    let database = TestDatabase::create("capped").await;
    let start = Instant::now();
    failure(&database, "SET statement_timeout = '200ms'; SELECT pg_sleep(15) AS s", &LIMITS).await;
    assert!(start.elapsed() < Duration::from_secs(5), "the shorter one counts");
    let start = Instant::now();
    let sql = "SET statement_timeout = 0; SELECT pg_sleep(30) AS s";
    let error = failure(&database, sql, &quick(Duration::from_millis(500))).await;
    assert!(start.elapsed() < Duration::from_secs(10), "the longer one is capped");
    let expected = "statement 2 of 2 was canceled after 500ms (database.statementTimeout)";
    assert_eq!(error.to_string(), expected);
    nothing_runs(&database.client().await).await;
}

#[tokio::test]
async fn a_silent_host_leaves_time_for_the_next() {
    let database = TestDatabase::create("hosts").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(&database);
    settings.hosts.insert(0, ("127.0.0.1".to_owned(), silent.local_addr().unwrap().port()).into());
    settings.connect_timeout = Duration::from_secs(4);
    let mut session = Session::connect(&settings).await.unwrap();
    read(&mut session, "SELECT 1 AS a").await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_none_is_not_told() {
    let settings = Settings { hosts: vec![("no-such-host.invalid".to_owned(), 5432).into()], ..Settings::default() };
    let error = Session::connect(&settings).await.err().unwrap();
    assert!(error.to_string().contains("cannot be resolved") && !error.to_string().contains("invalid"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_in_the_middle_is_given_up() {
    let database = TestDatabase::create("hung").await;
    let mut session = session(&database).await;
    let pid = &read(&mut session, "SELECT pg_backend_pid() AS pid").await.unwrap()[0];
    let pid: String = pid.chars().filter(char::is_ascii_digit).collect();
    let kill = |signal: &str| Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid}")).status().unwrap();
    assert!(kill("STOP").success());
    let start = Instant::now();
    let one = parse_query("SELECT 1 AS a", true).unwrap();
    let result = read_with(&mut session, &one, &quick(Duration::from_millis(300))).await;
    let took = start.elapsed();
    assert!(kill("CONT").success());
    assert_eq!(result, Err(Error::Unreachable("no answer in time")));
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(session.is_closed(), "it is not for use any more");
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_stopped() {
    let database = TestDatabase::create("abandoned").await;
    let client = database.client().await;
    let slow = parse_query("SELECT pg_sleep(30) AS s", true).unwrap();
    let mut forsaken = session(&database).await;
    let (rows, _batches) = mpsc::channel(1);
    let read = forsaken.read(&slow, &LIMITS, &[], rows);
    assert!(tokio::time::timeout(Duration::from_millis(300), read).await.is_err());
    assert!(forsaken.is_closed(), "it is in the middle of a statement");
    drop(forsaken);
    nothing_runs(&client).await;

    let endless = parse_query("SELECT generate_series(1, 500000000) AS id", true).unwrap();
    let (rows, batches) = mpsc::channel(1);
    drop(batches);
    let limits = Limits { max_rows: u64::MAX, ..LIMITS };
    let mut unheard = session(&database).await;
    let start = Instant::now();
    assert_eq!(unheard.read(&endless, &limits, &[], rows).await, Err(Error::Abandoned));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(unheard.is_closed());
}

#[tokio::test]
async fn a_slow_reader_slows_the_server_down_and_loses_nothing() {
    let database = TestDatabase::create("slow reader").await;
    let query = parse_query("SELECT g AS id FROM generate_series(1, 5000) g", true).unwrap();
    let (rows, mut batches) = mpsc::channel::<Vec<Row>>(1);
    let mut session = session(&database).await;
    let slowly = async {
        let mut count = 0;
        while let Some(batch) = batches.recv().await {
            count += batch.len();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        count
    };
    let (read, seen) = tokio::join!(session.read(&query, &LIMITS, &[], rows), slowly);
    assert_eq!((read.map(|read| read.rows), seen), (Ok(5000), 5000));
}
