//! What is asked of PostgreSQL, on a real server: rows, limits, time, and that no error tells a value.

mod support;

#[path = "postgres/errors.rs"]
mod errors;
#[path = "postgres/rows.rs"]
mod rows;
#[path = "postgres/time.rs"]
mod time;

use std::time::Duration;

use dbqo::logic::connection::Settings;
use dbqo::logic::sql::parse_query;
use dbqo::postgres::{Error, Limits, Session};
use support::TestDatabase;
use tokio::sync::mpsc;

/// Far longer than anything here takes; tests of time set their own.
const LIMITS: Limits = Limits { statement_timeout: Duration::from_secs(20), max_rows: 100_000, read_only: true };

fn settings(database: &TestDatabase) -> Settings {
    Settings {
        hosts: vec![(database.host().to_owned(), database.port())],
        user: database.user().to_owned(),
        password: Some(database.password().to_owned()),
        dbname: database.name().to_owned(),
        ..Settings::default()
    }
}

async fn session(database: &TestDatabase) -> Session {
    Session::connect(&settings(database)).await.unwrap()
}

/// All rows of a query, as JSON texts.
async fn read(session: &mut Session, sql: &str, limits: &Limits) -> Result<Vec<String>, Error> {
    let query = parse_query(sql, limits.read_only).unwrap();
    let (sender, mut batches) = mpsc::channel::<Vec<String>>(2);
    let collect = async {
        let mut rows = Vec::new();
        while let Some(batch) = batches.recv().await {
            rows.extend(batch);
        }
        rows
    };
    let (count, rows) = tokio::join!(session.read(&query, limits, sender), collect);
    let count = count?;
    assert_eq!(count, rows.len() as u64, "the count is that of the rows");
    Ok(rows)
}

/// The error of a query on a session of its own.
async fn failure(database: &TestDatabase, sql: &str, limits: &Limits) -> Error {
    let result = read(&mut session(database).await, sql, limits).await;
    result.expect_err(sql)
}

/// How many of the operator's sessions are running a statement in this database.
async fn running(client: &tokio_postgres::Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'db-query-operator' AND state = 'active'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}
