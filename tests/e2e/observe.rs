//! Metrics tell what happens, and of nothing that is gone.

use serde_json::json;

use crate::support::eventually;
use crate::support::world::{PATIENCE, World};

impl World {
    /// A figure of the resource `q`, with further labels.
    async fn figure(&self, name: &str, more: &str) -> Option<f64> {
        let series = format!(r#"{name}{{namespace="{}",name="q"{more}}}"#, self.namespace.name());
        self.operator.figure(&series).await
    }

    async fn until_figure(&self, name: &str, more: &str, is_so: impl Fn(f64) -> bool) {
        eventually(&format!("{name}{more} is as expected"), PATIENCE, async || {
            self.figure(name, more).await.filter(|figure| is_so(*figure))
        })
        .await;
    }
}

#[tokio::test]
async fn figures_of_a_resource_are_told_until_it_is_gone() {
    let world = World::new("metrics", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    for (name, more, figure) in [
        ("dbqr_resources_managed_total", "", 2.0),
        ("dbqr_rows", "", 2.0),
        ("dbqr_failed_rows", "", 0.0),
        ("dbqr_ready", "", 1.0),
        ("dbqr_suspended", "", 0.0),
        ("dbqr_object_writes_total", r#",operation="created""#, 2.0),
    ] {
        assert_eq!(world.figure(name, more).await, Some(figure), "{name}");
    }
    for name in ["dbqr_reconciliation_duration_seconds_count", "dbqr_query_duration_seconds_count"] {
        assert!(world.figure(name, "").await >= Some(1.0), "{name}");
    }
    assert!(world.figure("dbqr_last_success_timestamp_seconds", "").await > Some(1.6e9));
    assert!(world.operator.figure(r#"dbqo_api_requests_total{method="PATCH",code="201"}"#).await >= Some(2.0));
    assert!(world.operator.figure(r#"dbqo_api_requests_total{method="WATCH",code="200"}"#).await >= Some(2.0));
    assert_eq!(world.operator.figure("dbqo_database_connections").await, Some(1.0));
    world.until_figure("dbqr_wakes_total", r#",source="poll""#, |looks| looks >= 1.0).await;

    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'; DELETE FROM t WHERE name = 'b'").await;
    world.until_figure("dbqr_object_writes_total", r#",operation="deleted""#, |deleted| deleted == 1.0).await;
    world.until_figure("dbqr_object_writes_total", r#",operation="updated""#, |updated| updated == 1.0).await;
    world.run_sql("DELETE FROM t").await;
    world.until_figure("dbqr_prune_blocked", "", |blocked| blocked == 1.0).await;
    world.run_sql("ALTER TABLE t RENAME TO gone").await;
    world.until_figure("dbqr_errors_total", r#",reason="QueryFailed""#, |errors| errors >= 1.0).await;
    world.until_figure("dbqr_ready", "", |ready| ready == 0.0).await;

    world.delete("q").await;
    eventually("nothing is told of what is gone", PATIENCE, async || {
        let (status, text) = world.operator.get("/metrics").await;
        (status == 200 && !text.contains(r#"name="q""#)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_log_tells_of_each_look_how_long_the_query_took() {
    let world = World::with_flags("log", &["a", "b"], &["--log-format", "json"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let logs = world.operator.logs();
    let lines: Vec<serde_json::Value> = logs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    assert_eq!(said("created").len(), 2);
    let first = said("reconciled")[0];
    assert_eq!((&first["rows"], &first["created"], &first["failed"]), (&json!(2), &json!(2), &json!(0)));
    assert!(first["query_ms"].is_u64() && first["took_ms"].as_u64() >= first["query_ms"].as_u64(), "{first}");
}

#[tokio::test]
async fn of_many_failing_rows_the_log_tells_the_first() {
    let names: Vec<String> = (0..30).map(|n| format!("n{n}")).collect();
    let world = World::new("many-fail", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.run_sql("UPDATE t SET name = 'Bad_' || name WHERE name <> 'n0'").await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    world.until_figure("dbqr_failed_rows", "", |failed| failed == 29.0).await;
    let logs = world.operator.logs();
    let lines: Vec<&str> = logs.lines().collect();
    let first_look = lines.iter().position(|line| line.contains("reconciled")).unwrap();
    let failures = lines[..first_look].iter().filter(|line| line.contains("failed: ")).count();
    assert_eq!(failures, 10, "{logs}");
}
