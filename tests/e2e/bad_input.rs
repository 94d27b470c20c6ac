//! A catalogue of bad input, all of it in one operator: each gets an error that names what is wrong, and a resource
//! beside them goes on.

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::support::admission::Refusal;
use crate::support::world::{CONFIG_MAP, PATIENCE, World, condition};
use crate::support::{eventually, free_port};

fn ready_message(resource: &Value) -> String {
    condition(resource, "Ready").unwrap()["message"].as_str().unwrap().to_owned()
}

/// A template of a ConfigMap whose metadata holds more.
fn with_metadata(more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x-{{{{ row.name }}}}\n{more}")
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_named_by_statement_and_place() {
    let world = World::new("bad-query", &["a", "b"]).await;
    world.create("good", json!({})).await;
    for (name, query, reason, parts) in [
        ("table", "SELECT name, v FROM no_such_table", "QueryFailed", ["42P01", "no_such_table"]),
        ("column", "SELECT name,\n  nothing FROM t", "QueryFailed", ["42703", "line 2, column 3"]),
        ("second", "SET a.b = 1; SELECT 1/0; SELECT name, v FROM t", "QueryFailed", ["statement 2 of 3", "22012"]),
        ("second-name", "SET a.b = 1; CALL nobody(); SELECT name FROM t", "QueryFailed", ["statement 2 of 3", "42883"]),
        ("commit", "SET a.b = 1; COMMIT; SELECT name FROM t", "InvalidSpec", ["statement 2 of 3", "COMMIT"]),
        ("begin", "BEGIN; SELECT name FROM t", "InvalidSpec", ["statement 1 of 2", "control transactions"]),
        ("same", "SELECT name, v AS name FROM t", "QueryFailed", ["two columns", "name"]),
        ("unnamed", "SELECT name, 1 + 1 FROM t", "QueryFailed", ["column 2", "no name"]),
        ("quote", "SELECT 'x FROM t", "InvalidSpec", ["query:", ""]),
        ("nul", "SELECT name FROM t -- \0", "InvalidSpec", ["query:", "NUL"]),
        ("nothing", "-- nothing", "InvalidSpec", ["query:", "no statement"]),
        ("write", "DELETE FROM t RETURNING name, v", "InvalidSpec", ["DELETE", "database.readOnly"]),
        ("show", "SHOW all", "InvalidSpec", ["SHOW", "SELECT"]),
        (
            "with",
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            "InvalidSpec",
            ["WITH that changes data", ""],
        ),
    ] {
        world.create(name, json!({ "query": query })).await;
        let resource = world.condition(name, "Ready", "False", Some(reason)).await;
        for part in parts {
            assert!(ready_message(&resource).contains(part), "{name}: {}", ready_message(&resource));
        }
    }
    world.ready("good").await;
    let rows: i64 = world.sql.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 2);
}

#[tokio::test]
async fn more_rows_than_allowed_are_an_error_and_change_nothing() {
    let world = World::new("max-rows", &["a", "b"]).await;
    let spec = |rows: i64| json!({"database": {"connectionSecretRef": {"name": "db"}, "maxRows": rows}});
    world.create("q", spec(2)).await;
    world.ready("q").await;
    world.run_sql("INSERT INTO t VALUES ('c', 'one')").await;
    let resource = world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    assert!(ready_message(&resource).contains("more than 2 rows (database.maxRows)"), "{}", ready_message(&resource));
    assert_eq!(world.managed().await, ["a", "b"]);
    world.patch("q", json!({ "spec": spec(3) })).await;
    world.ready("q").await;
    assert_eq!(world.managed().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_and_waited_for() {
    let world = World::new("nowhere", &["a"]).await;
    let free = free_port();
    let mut secret = crate::support::secret_for(&world.database, "nowhere");
    secret.string_data.get_or_insert_default().insert("port".into(), free.to_string());
    Api::namespaced(world.client.clone(), world.namespace.name())
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    world.create("q", json!({"database": {"connectionSecretRef": {"name": "nowhere"}}})).await;
    let resource = world.condition("q", "Ready", "False", Some("DatabaseUnreachable")).await;
    assert!(ready_message(&resource).contains("connection refused"), "{}", ready_message(&resource));
    assert_eq!(condition(&resource, "DatabaseConnected").unwrap()["status"], "False");
    assert_eq!(condition(&resource, "Reconciling").unwrap()["status"], "True");
}

#[tokio::test]
async fn a_template_that_makes_no_sense_stalls_with_its_place() {
    let world = World::new("bad-template", &["a"]).await;
    for (name, template, parts) in [
        ("syntax", "kind: {{ row. }}", ["resourceTemplate: line 1", "not a valid template"]),
        ("open", "kind: ConfigMap\nmetadata: {{ row.name", ["line 2", "not a valid template"]),
        ("end", "a: 1\n{% if row.name %}\nb: 1", ["not a valid template", ""]),
        (
            "filter",
            "a: {{ row.v | nofilter }}",
            ["resourceTemplate: line 1, column 15", "unknown filter in `nofilter`"],
        ),
    ] {
        world.create(name, json!({ "resourceTemplate": template })).await;
        let resource = world.condition(name, "Stalled", "True", Some("InvalidSpec")).await;
        for part in parts {
            assert!(ready_message(&resource).contains(part), "{name}: {}", ready_message(&resource));
        }
    }
}

#[tokio::test]
async fn a_row_that_gives_no_object_says_why_and_where() {
    let world = World::new("bad-rows", &["a"]).await;
    world.create("good", json!({})).await;
    for (name, template, reason, parts) in [
        ("undefined", with_metadata("data:\n  v: {{ row.nmae }}"), "RenderFailed", ["line 6, column 9", "`row.nmae`"]),
        (
            "fail",
            with_metadata("data:\n  v: {{ row.v | int(base=2) }}"),
            "RenderFailed",
            ["line 6, column 17", "`int(base=2)`"],
        ),
        ("yaml", with_metadata("  labels: {a: 1\n"), "RenderFailed", ["not valid YAML", "line"]),
        ("path", with_metadata("data:\n  a:\n    <<: {b: c}\n"), "RenderFailed", ["merge keys", "line 7"]),
        ("twice", with_metadata("data:\n  k: a\n  k: b\n"), "RenderFailed", ["twice", "data.k"]),
        ("no-name", "apiVersion: v1\nkind: ConfigMap\ndata: {}\n".into(), "InvalidObject", ["metadata.name", ""]),
        ("no-kind", "apiVersion: v1\nmetadata:\n  name: a\n".into(), "InvalidObject", ["kind must be", ""]),
        ("a-list", "- a\n".into(), "InvalidObject", ["not a mapping", ""]),
        ("bad-name", CONFIG_MAP.replace("{{ row.name }}", "a/b"), "InvalidObject", ["metadata.name", "valid name"]),
        ("refused-name", CONFIG_MAP.replace("{{ row.name }}", "Not_Good"), "Invalid", ["metadata.name", ""]),
        ("misspelt", with_metadata("datum:\n  k: a\n"), "Refused", [".datum", ""]),
        (
            "our-label",
            with_metadata("  labels:\n    konnektr.io/managed-by: x\n"),
            "InvalidObject",
            ["may not set", "konnektr.io/managed-by"],
        ),
        (
            "our-mark",
            with_metadata("  annotations:\n    konnektr.io/owner-uid: x\n"),
            "InvalidObject",
            ["may not set", "konnektr.io/owner-uid"],
        ),
        (
            "owner",
            with_metadata("  ownerReferences: []\n"),
            "InvalidObject",
            ["may not set", "metadata.ownerReferences"],
        ),
        ("finalizer", with_metadata("  finalizers: [a/b]\n"), "InvalidObject", ["may not set", "metadata.finalizers"]),
        ("number", with_metadata("  labels:\n    n: 1\n"), "InvalidObject", ["metadata.labels", "quote it"]),
    ] {
        world.create(name, json!({ "resourceTemplate": template })).await;
        let resource = world.condition(name, "Ready", "False", Some("PartiallyFailed")).await;
        let failure = &resource["status"]["failures"][0];
        assert_eq!(failure["row"], "1", "{name}");
        let message = failure["message"].as_str().unwrap();
        if reason != "Refused" && reason != "Invalid" {
            assert_eq!(failure["reason"], reason, "{name}: {message}");
        }
        for part in parts {
            assert!(message.contains(part), "{name}: {message}");
        }
    }
    world.ready("good").await;
    assert_eq!(world.managed().await, ["a"]);
}

#[tokio::test]
async fn an_unknown_kind_is_waited_for_and_works_once_it_exists() {
    let world = World::new("later-kind", &["a"]).await;
    let group = format!("{}.example.com", world.namespace.name());
    let template = format!("apiVersion: {group}/v1\nkind: Late\nmetadata:\n  name: {{{{ row.name }}}}\n");
    world.create("q", json!({ "resourceTemplate": template })).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failures"][0]["reason"], "UnknownKind");
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": format!("lates.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "lates", "singular": "late", "kind": "Late"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}
    }))
    .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    world.ready("q").await;
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, "v1", "Late"), "lates");
    let lates: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), world.namespace.name(), &kind);
    assert_eq!(lates.get("a").await.unwrap().name_any(), "a");
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(lates.get_opt("a").await.unwrap().is_none());
    definitions.delete(&definition.name_any(), &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn one_object_of_a_hundred_that_admission_refuses_stops_no_other() {
    let world = World::new("admission", &[]).await;
    world.run_sql("INSERT INTO t SELECT 'n' || n, 'CANARY' FROM generate_series(1, 100) n").await;
    let refusal = Refusal::unless(&world, "object.metadata.name != 'n57'").await;
    refusal.heeded(&world, "n57").await;
    world.create("q", json!({})).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 1);
    assert!(resource["status"]["failures"][0]["object"].as_str().unwrap().ends_with("/n57"));
    assert!(!resource.to_string().contains("CANARY"), "an admission policy's message is the value's own");
    assert_eq!(world.managed().await.len(), 99);
    refusal.lift().await;
    world.ready("q").await;
    assert_eq!(world.managed().await.len(), 100);
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_named_and_stops_no_other() {
    let world = World::new("quota", &["a", "b"]).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(world.client.clone(), world.namespace.name());
    // One ConfigMap is everybody's: the cluster's own certificate.
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "2"}}});
    eventually("the namespace is furnished", PATIENCE, async || {
        world.config_maps().get_opt("kube-root-ca.crt").await.unwrap().map(|_| ())
    })
    .await;
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
    eventually("the quota counts", PATIENCE, async || {
        quotas.get("few").await.unwrap().status.and_then(|status| status.used).map(|_| ())
    })
    .await;
    world.create("q", json!({})).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 1);
    assert!(resource["status"]["failures"][0]["message"].to_string().contains("quota"), "{resource}");
    assert_eq!(world.managed().await.len(), 1);
    quotas.delete("few", &DeleteParams::default()).await.unwrap();
    world.ready("q").await;
    assert_eq!(world.managed().await.len(), 2);
}

#[tokio::test]
async fn no_rows_are_no_error_and_ten_thousand_are_none_either() {
    let world = World::new("sizes", &[]).await;
    let few =
        "{% if row.v == 'keep' %}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n{% endif %}";
    world.create("q", json!({ "resourceTemplate": few })).await;
    let resource = world.ready("q").await;
    assert_eq!((&resource["status"]["rows"], &resource["status"]["managedResources"]), (&json!(0), &json!(0)));
    world
        .run_sql(
            "INSERT INTO t SELECT 'n' || n, CASE WHEN n % 2500 = 0 THEN 'keep' END FROM generate_series(1, 10000) n",
        )
        .await;
    eventually("all rows are read", PATIENCE, async || {
        (world.get("q").await["status"]["rows"] == 10_000).then_some(())
    })
    .await;
    world.ready("q").await;
    assert_eq!(world.managed().await, ["n10000", "n2500", "n5000", "n7500"]);
}

#[tokio::test]
async fn an_object_larger_than_the_api_server_takes_is_its_rows_failure() {
    let world = World::new("too-large", &["a", "b"]).await;
    world.run_sql("UPDATE t SET v = repeat('x', 3500000) WHERE name = 'b'").await;
    world.create("q", json!({})).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failures"][0]["reason"], "TooLarge");
    world.until_value("a", Some("one")).await;
}
