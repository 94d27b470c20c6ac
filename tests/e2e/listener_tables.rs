//! While changes are notified, another table is watched, or the watched one is another.

use serde_json::json;

use crate::support::eventually;
use crate::support::listening::{notified, until_armed};
use crate::support::world::{PATIENCE, World, condition};

/// A table with the rows `a` and `b`, which have this value.
fn table(name: &str, value: &str) -> String {
    format!(
        "CREATE TABLE {name} (name text PRIMARY KEY, v text); INSERT INTO {name} VALUES ('a', '{value}'), ('b', '{value}');"
    )
}

/// Its triggers are there, and their lock is had or waited for.
async fn until_watched(world: &World) {
    eventually("the table has triggers", PATIENCE, async || {
        let sql = "SELECT FROM pg_trigger WHERE tgrelid = to_regclass('t') AND tgname LIKE 'dbqo%'";
        (world.sql.query(sql, &[]).await.unwrap().len() == 4).then_some(())
    })
    .await;
    until_armed(&world.sql, 1).await;
}

#[tokio::test]
async fn when_the_query_is_of_another_table_that_is_heard_and_the_former_let_go() {
    let world = World::new("another-table", &["a", "b"]).await;
    world.run_sql(&table("u", "of u")).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    for (now, before) in [("u", "t"), ("t", "u"), ("u", "t")] {
        let query = format!("SELECT name, v FROM {now}");
        world.patch("q", json!({"spec": {"query": query, "changeDetection": {"tableName": now}}})).await;
        let value: String =
            world.sql.query_one(&format!("SELECT v FROM {now} WHERE name = 'a'"), &[]).await.unwrap().get(0);
        world.until_value("a", Some(&value)).await;
        world.hears_of(now, "a", &world.sql, &format!("heard of {now} after {before}")).await;
        // One is had, and of the other's lock it is known that it is none of ours.
        until_armed(&world.sql, 1).await;
        let oid = format!("SELECT pg_try_advisory_xact_lock_shared(1684173168, '{before}'::regclass::oid::int4)");
        assert!(
            world.sql.query_one(&oid, &[]).await.unwrap().get::<_, bool>(0),
            "whoever writes to {before} is silent"
        );
        // What is told is of the former table until the status is written next.
        let told = format!("{now}: changes are notified");
        eventually(&told, PATIENCE, async || {
            let resource = world.listening("q").await;
            condition(&resource, "ChangeDetection")?["message"].as_str()?.starts_with(&told).then_some(())
        })
        .await;
    }
    world.run_sql("UPDATE t SET v = 'of nobody'").await;
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("heard of u after t"));
}

#[tokio::test]
async fn when_another_table_gets_the_name_of_the_watched_one_that_is_heard() {
    let world = World::new("swapped-heard", &["a", "b"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    world.run_sql(&table("next", "swapped")).await;
    for round in 0..3 {
        // Told of by its key, and by the time that is read it may be another table's row.
        world.run_sql(&format!("UPDATE t SET v = 'before {round}'; UPDATE next SET v = 'swapped {round}'")).await;
        world
            .run_sql(
                "BEGIN; ALTER TABLE t RENAME TO former; ALTER TABLE next RENAME TO t; ALTER TABLE former RENAME TO next; \
                 COMMIT",
            )
            .await;
        world
            .run_sql(&format!("UPDATE next SET v = 'of nobody'; UPDATE t SET v = 'at once {round}' WHERE name = 'b'"))
            .await;
        world.until_value("a", Some(&format!("swapped {round}"))).await;
        world.until_value("b", Some(&format!("at once {round}"))).await;
        until_watched(&world).await;
        world.hears(&world.sql, &format!("heard {round}")).await;
    }
    world.listening("q").await;
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("heard 2"));
    assert_eq!(world.value("b").await.as_deref(), Some("at once 2"));
}

#[tokio::test]
async fn a_table_that_is_made_anew_is_heard_and_meanwhile_nothing_is_deleted() {
    let world = World::new("made-anew", &["a", "b"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let uids = world.uids().await;
    // At one moment.
    world.run_sql(&format!("BEGIN; DROP TABLE t; {} COMMIT", table("t", "anew"))).await;
    world.until_value("a", Some("anew")).await;
    until_watched(&world).await;
    world.hears(&world.sql, "heard").await;
    // With a time between in which there is none.
    world.run_sql("DROP TABLE t").await;
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    assert_eq!(world.value("a").await.as_deref(), Some("heard"));
    world.run_sql(&table("t", "once more")).await;
    world.until_value("a", Some("once more")).await;
    until_watched(&world).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard again").await;
    assert_eq!(world.value("b").await.as_deref(), Some("once more"));
    assert_eq!(world.uids().await, uids, "they are the same objects all the time");
}
