//! The database goes away in the middle of a read: nothing is deleted on doubt, and all heals by itself.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::server::Server;
use crate::support::world::{PATIENCE, World};

/// Halfway through, it rests for as long as the table `pause` says. The rows before are larger than what a server
/// keeps back: by then they have been read.
const QUERY: &str = "SELECT name, v, CASE name WHEN 'n5' THEN pg_sleep((SELECT s FROM pause))::text END AS rest \
                     FROM t ORDER BY name";
const ROWS: &str = "INSERT INTO t (name, v) SELECT 'n' || n, repeat('x', 10000) FROM generate_series(0, 9) n; \
                    CREATE TABLE pause AS SELECT 0 AS s";

fn spec(secret: &str) -> Value {
    let database = json!({"connectionSecretRef": {"name": secret}, "statementTimeout": "10m"});
    json!({"database": database, "query": QUERY})
}

#[tokio::test]
async fn a_database_that_dies_in_the_middle_of_a_query_costs_nothing_and_heals() {
    let mut server = Server::start("dies").await;
    let mut sql = server.admin().await;
    sql.batch_execute("CREATE TABLE t (name text PRIMARY KEY, v text)").await.unwrap();
    sql.batch_execute(ROWS).await.unwrap();
    let world = World::new("dies", &[]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", spec("own")).await;
    world.ready("q").await;
    let mut left = world.uids().await;
    assert_eq!(left.len(), 10);
    // Killed outright, and asked to break off at once.
    for (signal, row) in [("KILL", "n8"), ("QUIT", "n9")] {
        sql.batch_execute(&format!("DELETE FROM t WHERE name = '{row}'; UPDATE pause SET s = 500")).await.unwrap();
        World::until_resting(&sql, "*").await;
        server.crash(signal);
        world.condition("q", "DatabaseConnected", "False", None).await;
        assert_eq!(world.uids().await, left, "{signal}");
        server.start_again().await;
        sql = server.admin().await;
        World::until_resting(&sql, "*").await;
        assert_eq!(world.uids().await, left, "{signal}");
        sql.batch_execute("UPDATE pause SET s = 0").await.unwrap();
        World::until_resting(&sql, "pg_terminate_backend(pid)").await;
        world.until_value(row, None).await;
        world.ready("q").await;
        left.remove(row);
        assert_eq!(world.uids().await, left, "{signal}");
    }
}

#[tokio::test]
async fn connections_that_are_cut_in_the_middle_of_reads_cost_nothing_and_are_made_anew() {
    const ROUNDS: usize = 10;
    let world = World::new("cut", &[]).await;
    world.run_sql(ROWS).await;
    world.create("q", spec("db")).await;
    world.ready("q").await;
    let mut left = world.uids().await;
    assert_eq!(left.len(), 10);
    world.run_sql("DELETE FROM t WHERE name > 'n7'; UPDATE pause SET s = 500").await;
    let mut cut = 0;
    for round in 0..ROUNDS {
        // By turns the connection is cut and the query canceled.
        cut +=
            World::until_resting(&world.sql, ["pg_terminate_backend(pid)", "pg_cancel_backend(pid)"][round % 2]).await;
        assert_eq!(world.uids().await, left);
        // Whoever asks need not wait for the next attempt, which comes later each time.
        let annotations = json!({"konnektr.io/requestedAt": round.to_string()});
        world.patch("q", json!({"metadata": {"annotations": annotations}})).await;
    }
    println!("{cut} reads were broken off; objects lost: 0");
    world.condition("q", "Ready", "False", None).await;
    world.run_sql("UPDATE pause SET s = 0").await;
    left.retain(|name, _| name.as_str() <= "n7");
    eventually("it heals", PATIENCE, async || {
        World::resting(&world.sql, "pg_terminate_backend(pid)").await;
        (world.uids().await == left).then_some(())
    })
    .await;
    world.ready("q").await;
    assert_eq!(world.uids().await, left);
}
