//! One that hangs, one that is slow and those that are huge keep no small one waiting: it gets through several changes
//! while they are still at work.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use serde_json::json;

use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy, is_write};
use crate::support::server::{Server, send};
use crate::support::world::{PATIENCE, World};

fn template(prefix: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {prefix}-{{{{ row.name }}}}\ndata:\n  v: {{{{ row.v }}}}\n"
    )
}

/// A resource of few rows, through and through.
async fn small(world: &World) {
    world.create("small", json!({"query": "SELECT name, v FROM t WHERE name = 'a'"})).await;
    world.until_value("a", Some("one")).await;
}

/// It gets through several changes, one after the other.
async fn gets_through(world: &World) {
    for value in ["two", "three", "four"] {
        world.run_sql(&format!("UPDATE t SET v = '{value}' WHERE name = 'a'")).await;
        world.until_value("a", Some(value)).await;
    }
    world.another_pass("small").await;
    world.ready("small").await;
}

#[tokio::test]
async fn a_database_that_hangs_in_the_middle_of_a_read_keeps_no_small_one_waiting() {
    let server = Server::start("hangs").await;
    let sql = server.admin().await;
    let rows = "CREATE TABLE t AS SELECT 'x' AS name, 'before' AS v; CREATE TABLE pause AS SELECT 0 AS s";
    sql.batch_execute(rows).await.unwrap();
    let world = World::new("hangs", &["a"]).await;
    world.add_secret(&server.secret("own")).await;
    let database = json!({"connectionSecretRef": {"name": "own"}, "statementTimeout": "10m"});
    let query = "SELECT name, v, pg_sleep((SELECT s FROM pause))::text AS rest FROM t";
    world.create("hung", json!({"database": database, "query": query, "resourceTemplate": template("hung")})).await;
    world.ready("hung").await;
    small(&world).await;
    sql.batch_execute("BEGIN; UPDATE t SET v = 'after'; UPDATE pause SET s = 500; COMMIT").await.unwrap();
    World::until_resting(&sql, "*").await;
    let processes = server.processes().await;
    send("STOP", &processes);
    gets_through(&world).await;
    assert_eq!(world.value("hung-x").await.as_deref(), Some("before"), "it is still at work");
    send("CONT", &processes);
    sql.batch_execute("UPDATE pause SET s = 0").await.unwrap();
    World::until_resting(&sql, "pg_terminate_backend(pid)").await;
    world.until_value("hung-x", Some("after")).await;
    world.ready("hung").await;
}

#[tokio::test]
async fn a_query_of_a_minute_keeps_no_small_one_of_the_same_pool_waiting() {
    let world = World::new("minute", &["a"]).await;
    let database = json!({"connectionSecretRef": {"name": "db"}, "statementTimeout": "2m"});
    let query = "SELECT name, v, pg_sleep(60)::text AS rest FROM t";
    world.create("slow", json!({"database": database, "query": query, "resourceTemplate": template("slow")})).await;
    World::until_resting(&world.sql, "*").await;
    // All but the query is the same, so that both have one pool.
    small(&world).await;
    gets_through(&world).await;
    let is_at_work = World::resting(&world.sql, "*").await == 1;
    assert!(is_at_work && world.value("slow-a").await.is_none());
}

/// Three resources of thousands of rows whose writes meet this fate, so that they are sure to be at work.
async fn beside_huge_ones(test: &str, fate: Fate) {
    const ROWS: usize = 2_000;
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let at_work = seen.clone();
    let proxy = Proxy::start(move |parts| match parts.uri.path().split_once("/configmaps/huge-") {
        Some((_, object)) if is_write(parts) => {
            at_work.lock().unwrap().insert(object[..1].to_owned());
            fate
        }
        _ => Fate::Passes,
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, test, &["a"], &[], Some(proxy.kubeconfig)).await;
    let names = ["huge-1", "huge-2", "huge-3"];
    for name in names {
        let query = format!("SELECT 'x' || n AS name, 'v' AS v FROM generate_series(1, {ROWS}) n");
        world.create(name, json!({"query": query, "resourceTemplate": template(name)})).await;
    }
    eventually("they are at work", PATIENCE, async || (seen.lock().unwrap().len() == names.len()).then_some(())).await;
    small(&world).await;
    gets_through(&world).await;
    let managed = world.managed().await;
    for name in names {
        let prefix = format!("{name}-");
        let done = managed.iter().filter(|object| object.starts_with(&prefix)).count();
        assert!(done < ROWS, "{name} is still at work");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_of_thousands_of_rows_keep_no_small_one_waiting() {
    beside_huge_ones("huge", Fate::Waits(Duration::from_millis(500))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_that_get_no_answer_keep_no_other_resource_waiting() {
    beside_huge_ones("no-answer", Fate::Lost).await;
}
