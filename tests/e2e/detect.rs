//! When the query runs: intervals, the watermark, requests, suspension.

use serde_json::json;

use crate::support::eventually;
use crate::support::world::{PATIENCE, World};

#[tokio::test]
async fn a_moved_watermark_is_seen_long_before_the_query_is_due() {
    let world = World::new("watermark", &["a", "b"]).await;
    let changes = json!({"enabled": true, "tableName": "t", "timestampColumn": "at", "resyncInterval": "1h"});
    world.create("q", json!({ "changeDetection": changes })).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two', at = clock_timestamp() WHERE name = 'a'").await;
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn what_the_watermark_cannot_see_is_seen_by_the_resync() {
    let world = World::new("resync", &["a", "b"]).await;
    let changes = json!({"enabled": true, "tableName": "t", "timestampColumn": "at", "resyncInterval": "3s"});
    world.create("q", json!({ "changeDetection": changes })).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'unseen' WHERE name = 'a'").await;
    world.until_value("a", Some("unseen")).await;
}

#[tokio::test]
async fn an_unmoved_watermark_does_not_run_the_query() {
    let world = World::new("unmoved", &["a"]).await;
    // Every look runs the setup statements, so the sequence shows that looks go on.
    world.run_sql("CREATE SEQUENCE looks").await;
    let changes = json!({"enabled": true, "tableName": "t", "timestampColumn": "at", "resyncInterval": "1h"});
    let query = "SELECT nextval('looks'); SELECT name, v FROM t";
    world.create("q", json!({ "changeDetection": changes, "query": query })).await;
    world.ready("q").await;
    let passes = || world.operator.logs().matches("reconciled").count();
    let looks = async || -> i64 { world.sql.query_one("SELECT last_value FROM looks", &[]).await.unwrap().get(0) };
    let (passes_before, looks_before) = (passes(), looks().await);
    eventually("three more looks", PATIENCE, async || (looks().await >= looks_before + 3).then_some(())).await;
    assert_eq!(passes(), passes_before, "the query did not run");
}

#[tokio::test]
async fn a_request_is_answered_at_once_and_recorded() {
    let world = World::new("requested", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_request_finds_what_somebody_deleted() {
    let world = World::new("request-finds", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    world.config_maps().delete("a", &Default::default()).await.unwrap();
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_suspended_resource_does_nothing_but_be_deleted() {
    let world = World::new("suspended", &["a"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.create("other", json!({"resourceTemplate": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other-{{ row.name }}\ndata:\n  v: {{ row.v }}\n"})).await;
    world.ready("other").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("other-a", Some("two")).await;
    world.another_pass("other").await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    world.until_value("a", Some("two")).await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.delete("q").await;
    eventually("a is gone", PATIENCE, async || world.value("a").await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_changed_template_is_applied_at_once() {
    let world = World::new("changed", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: other {{ row.v }}\n";
    world.patch("q", json!({"spec": {"resourceTemplate": template}})).await;
    world.until_value("a", Some("other one")).await;
}
