//! Changes that are notified: applied at once, whatever the interval.

use serde_json::{Value, json};

use crate::support::world::{World, condition};

/// Nothing but a notification tells of a change within the hour.
fn notified(more: Value) -> Value {
    let mut changes = json!({"enabled": true, "tableName": "t", "mode": "Notify", "resyncInterval": "1h"});
    changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "changeDetection": changes, "pollInterval": "1h", "pruneGuard": {"maxDeletions": "100%"} })
}

/// Waits until it is told that changes are notified.
async fn listening(world: &World, name: &str) -> Value {
    world.condition(name, "ChangeDetection", "True", Some("Listening")).await
}

#[tokio::test]
async fn what_is_committed_is_applied_whatever_the_interval() {
    let world = World::new("notify", &["a", "b"]).await;
    world.create("q", notified(json!({}))).await;
    let resource = listening(&world, "q").await;
    assert_eq!(resource["status"]["mode"], "Notify");
    let message = condition(&resource, "ChangeDetection").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("read by their keys"), "{message}");
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'").await;
    world.until_value("a", Some("two")).await;
    world.run_sql("INSERT INTO t (name, v) VALUES ('c', 'new')").await;
    world.until_value("c", Some("new")).await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.until_value("b", None).await;
    world.run_sql("UPDATE t SET name = 'd' WHERE name = 'a'").await;
    world.until_value("d", Some("two")).await;
    world.until_value("a", None).await;
    world.run_sql("TRUNCATE t; INSERT INTO t (name, v) VALUES ('c', 'again')").await;
    world.until_value("c", Some("again")).await;
    world.until_value("d", None).await;
}
