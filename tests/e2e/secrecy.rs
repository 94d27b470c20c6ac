//! No row value, Secret or DSN in logs, events, status or metrics, whatever goes wrong.

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::support::world::World;

#[tokio::test]
async fn no_value_is_told_whoever_complains() {
    let world = World::new("secrecy", &[]).await;
    world.run_sql("ALTER TABLE t DROP CONSTRAINT t_pkey").await;
    // Values that the API server quotes when it refuses an object.
    world.run_sql("INSERT INTO t VALUES ('CANARY_Name', 'CANARY-v'), ('fine', 'CANARY-v')").await;
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ row.name }}\nspec:\n  replicas: {{ row.v }}\n  \
        selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: {{ row.v }}}}, spec: {containers: [{name: {{ row.v }}, image: x}]}}\n";
    let label = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: l-{{ row.v | lower }}\n  labels:\n    x: {{ row.v ~ '/ /' }}\n";
    world.create("api-name", json!({})).await;
    world.create("api-type", json!({ "resourceTemplate": deployment })).await;
    world.create("api-label", json!({ "resourceTemplate": label })).await;
    // Values that PostgreSQL quotes in its messages.
    for (name, query) in [
        ("pg-cast", "SELECT v::int AS name, v FROM t"),
        (
            "pg-raise",
            "DO $$ BEGIN RAISE EXCEPTION 'CANARY %', (SELECT v FROM t LIMIT 1); END $$; SELECT name, v FROM t",
        ),
        ("pg-unique", "CREATE TEMP TABLE u AS SELECT v FROM t; CREATE UNIQUE INDEX ON u (v); SELECT name, v FROM t"),
        ("pg-literal", "SELECT 'CANARY'::json AS name, 1 AS v"),
    ] {
        world.create(name, json!({ "query": query })).await;
    }
    let notice = "DO $$ BEGIN RAISE NOTICE 'CANARY'; RAISE WARNING 'CANARY'; END $$; SELECT 'noticed' AS name, 1 AS v";
    world.create("pg-notice", json!({ "query": notice })).await;
    world.ready("pg-notice").await;
    // Values that a template engine quotes.
    for (name, expression) in [
        ("t-filter", "{{ row.v | abs }}"),
        ("t-index", "{{ row[row.v] }}"),
        ("t-fail", "{{ fail(row.v) }}"),
        ("t-number", "{{ row.v + 1 }}"),
        ("t-json", "{{ row.v | fromJson }}"),
        ("t-yaml", "x: y: {{ row.v }}"),
    ] {
        let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  v: {expression}\n");
        world.create(name, json!({ "resourceTemplate": template })).await;
    }
    let all = [
        "api-name",
        "api-type",
        "api-label",
        "pg-cast",
        "pg-raise",
        "pg-unique",
        "pg-literal",
        "t-filter",
        "t-index",
        "t-fail",
        "t-number",
        "t-json",
        "t-yaml",
    ];
    for name in all {
        world.condition(name, "Ready", "False", None).await;
        world.another_pass(name).await;
    }
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    let events = events.list(&ListParams::default()).await.unwrap();
    let events: Vec<_> = events
        .items
        .into_iter()
        .filter(|event| event.regarding.as_ref().is_some_and(|r| r.kind.as_deref() == Some("DatabaseQueryResource")))
        .collect();
    assert!(events.len() >= all.len(), "each said what was wrong");
    let mut told = vec![("log", world.operator.logs()), ("events", serde_json::to_string(&events).unwrap())];
    for name in all {
        told.push(("status", world.get(name).await["status"].to_string()));
    }
    let (_, metrics) = world.operator.get("/metrics").await;
    assert!(!metrics.to_lowercase().contains("canary"), "not even names of objects: {metrics}");
    for (place, text) in told {
        // The name of an object is told; nothing else that came from a row is.
        let text = text.replace("CANARY_Name", "").replace("l-canary-v", "");
        assert!(!text.contains("CANARY") && !text.contains("canary"), "{place}: {text}");
        assert!(!text.contains(world.database.password()), "{place} tells the password");
    }
}
