//! Rows become objects, and objects follow rows.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::support::world::{PATIENCE, World};
use crate::support::{Operator, TestNamespace, eventually};

#[tokio::test]
async fn rows_become_objects_and_objects_follow_rows() {
    let world = World::new("follow", &["a", "b"]).await;
    world.create("q", json!({})).await;
    let object = world.ready("q").await;
    assert_eq!(world.managed().await, ["a", "b"]);
    assert_eq!((&object["status"]["rows"], &object["status"]["managedResources"]), (&json!(2), &json!(2)));
    assert_eq!(object["status"]["kinds"], json!(["ConfigMap"]));
    assert_eq!(object["status"]["mode"], "Poll");
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'").await;
    world.until_value("a", Some("two")).await;
    world.run_sql("INSERT INTO t VALUES ('c', 'new')").await;
    world.until_value("c", Some("new")).await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.until_value("b", None).await;
}

#[tokio::test]
async fn an_object_carries_our_marks_and_a_reference_to_its_owner() {
    let world = World::new("marks", &["a"]).await;
    world.create("q", json!({})).await;
    let resource = world.ready("q").await;
    let meta = world.config_maps().get("a").await.unwrap().metadata;
    let labels = meta.labels.unwrap();
    assert_eq!(labels["konnektr.io/managed-by"], "q");
    assert_eq!(labels["konnektr.io/managed-by-namespace"], world.namespace.name());
    assert_eq!(json!(meta.annotations.unwrap()["konnektr.io/owner-uid"]), resource["metadata"]["uid"]);
    let reference = &meta.owner_references.unwrap()[0];
    assert_eq!((reference.kind.as_str(), reference.controller), ("DatabaseQueryResource", Some(true)));
    assert!(meta.managed_fields.unwrap().iter().any(|entry| entry.manager.as_deref() == Some("db-query-operator")));
    assert_eq!(resource["metadata"]["finalizers"], json!(["konnektr.io/dbqr-finalizer"]));
}

#[tokio::test]
async fn a_restart_with_nothing_changed_writes_nothing() {
    let mut world = World::new("restart", &["a", "b"]).await;
    // This is shared, and not known to be as it was left.
    let theirs = json!({"metadata": {"name": "b"}, "data": {"theirs": "1"}});
    world.config_maps().create(&PostParams::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.another_pass("q").await;
    let before = world.versions("q", &["a", "b"]).await;
    let told = world.get("q").await["status"].clone();
    world.operator.terminate();
    let restarted = Operator::start(world.namespace.name(), &[]);
    eventually("the restarted operator reconciled twice", PATIENCE, async || {
        (restarted.logs().matches("reconciled").count() >= 2).then_some(())
    })
    .await;
    // On a machine that is very slow a pass may take so long that the status says so meanwhile.
    assert_eq!(world.get("q").await["status"], told);
    assert_eq!(world.versions("q", &["a", "b"]).await[1..], before[1..]);
    world.operator = restarted;
}

#[tokio::test]
async fn one_row_makes_several_documents_of_several_kinds() {
    let world = World::new("documents", &["a"]).await;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: {{ row.v }}\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ row.name }}\nspec:\n  selector:\n    matchLabels: {app: {{ row.name }}}\n  \
        template:\n    metadata:\n      labels: {app: {{ row.name }}}\n    spec:\n      containers: [{name: x, image: x}]\n";
    world.create("q", json!({ "resourceTemplate": template })).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["kinds"], json!(["ConfigMap", "Deployment.apps"]));
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), world.namespace.name());
    assert!(deployments.get_opt("a").await.unwrap().is_some());
    world.patch("q", json!({"spec": {"resourceTemplate": template.split("---").next().unwrap(), "pruneGuard": {"maxDeletions": "100%"}}})).await;
    eventually("the Deployment went with its document", PATIENCE, async || {
        deployments.get_opt("a").await.unwrap().is_none().then_some(())
    })
    .await;
    world.until_value("a", Some("one")).await;
}

#[tokio::test]
async fn a_row_that_keeps_failing_does_not_slow_the_others_down() {
    let world = World::new("keeps-failing", &["a", "Bad_Name"]).await;
    world.create("q", json!({})).await;
    world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    // If the others waited for the failing row's next try, the delays would soon exceed all patience.
    for change in 0..8 {
        world.run_sql(&format!("UPDATE t SET v = '{change}' WHERE name = 'a'")).await;
        world.until_value("a", Some(&change.to_string())).await;
    }
}

#[tokio::test]
async fn an_empty_render_means_no_object() {
    let world = World::new("empty-render", &["a", "b"]).await;
    let template =
        "{% if row.v != 'off' %}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n{% endif %}";
    world.create("q", json!({"template": template, "resourceTemplate": null})).await;
    world.ready("q").await;
    assert_eq!(world.managed().await, ["a", "b"]);
    world.run_sql("UPDATE t SET v = 'off' WHERE name = 'b'").await;
    eventually("b is gone", PATIENCE, async || (world.managed().await == ["a"]).then_some(())).await;
}

#[tokio::test]
async fn other_namespaces_and_cluster_scoped_kinds_need_their_flags() {
    let world = World::new("flags", &["a"]).await;
    let template = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: never-{{ dbqr.namespace }}\n";
    world.create("q", json!({ "resourceTemplate": template })).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let message = resource["status"]["failures"][0]["message"].as_str().unwrap();
    assert!(message.contains("--allow-cluster-scoped=Namespace"), "{message}");
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: kube-system\n";
    world.patch("q", json!({"spec": {"resourceTemplate": other}})).await;
    eventually("the message names the other flag", PATIENCE, async || {
        let message = world.get("q").await["status"]["failures"][0]["message"].to_string();
        message.contains("--allow-namespaces=kube-system").then_some(())
    })
    .await;
}

#[tokio::test]
async fn with_the_flags_other_namespaces_are_written_and_cleaned_up() {
    let world =
        World::with_flags("flagged", &["a"], &["--allow-namespaces=*", "--allow-cluster-scoped=Namespace"]).await;
    let other = TestNamespace::create(&world.client, "flagged-other").await;
    let made = format!("made-{}", world.namespace.name());
    let template = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: {}\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {made}\n",
        other.name()
    );
    world.create("q", json!({ "resourceTemplate": template })).await;
    world.ready("q").await;
    let config_maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    assert!(config_maps.get("x").await.unwrap().metadata.owner_references.is_none());
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    assert!(namespaces.get_opt(&made).await.unwrap().is_some());
    world.delete("q").await;
    eventually("what was made elsewhere is gone", PATIENCE, async || {
        let gone = config_maps.get_opt("x").await.unwrap().is_none();
        let namespace = namespaces.get_opt(&made).await.unwrap();
        (gone && namespace.is_none_or(|n| n.metadata.deletion_timestamp.is_some())).then_some(())
    })
    .await;
}
