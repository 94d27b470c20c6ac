//! Changes that are notified: applied at once, whatever the interval.

use serde_json::json;

use crate::support::listening::notified;
use crate::support::world::{World, condition};

#[tokio::test]
async fn what_is_committed_is_applied_whatever_the_interval() {
    let world = World::new("notify", &["a", "b"]).await;
    world.create("q", notified(json!({"mode": "Notify"}))).await;
    let resource = world.listening("q").await;
    assert_eq!(resource["status"]["mode"], "Notify");
    let message = condition(&resource, "ChangeDetection").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("read by their keys"), "{message}");
    world.hears(&world.sql, "two").await;
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
