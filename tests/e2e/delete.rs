//! Never delete on doubt, and leave nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dbqo::logic::object::FINALIZER;
use http::Method;
use http::request::Parts;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::support::proxy::{Fate, Gate, Proxy, is_watch};
use crate::support::world::{CONFIG_MAP, PATIENCE, World, condition};
use crate::support::{Operator, TestNamespace, eventually};

#[tokio::test]
async fn a_failed_query_prunes_nothing() {
    let world = World::new("failed-query", &["a"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("ALTER TABLE t RENAME TO gone").await;
    let resource = world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    assert_eq!(condition(&resource, "Reconciling").unwrap()["status"], "True");
    assert_eq!(world.managed().await, ["a"]);
    world.run_sql("ALTER TABLE gone RENAME TO t").await;
    world.ready("q").await;
}

#[tokio::test]
async fn a_row_that_fails_keeps_its_object_and_stops_no_other() {
    let world = World::new("failed-row", &["a", "b"]).await;
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: {{ row.v | required('v') }}\n";
    world.create("q", json!({ "resourceTemplate": template })).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = NULL WHERE name = 'a'; UPDATE t SET v = 'two' WHERE name = 'b'").await;
    world.until_value("b", Some("two")).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 1);
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.another_pass("q").await;
    assert_eq!(world.managed().await, ["a", "b"], "nothing is pruned while a row fails");
    world.run_sql("UPDATE t SET v = 'x'").await;
    world.until_value("b", None).await;
    world.until_value("a", Some("x")).await;
}

#[tokio::test]
async fn an_emptied_table_deletes_nothing_until_the_spec_allows_it() {
    let world = World::new("emptied", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t").await;
    let resource = world.condition("q", "PruneBlocked", "True", None).await;
    assert_eq!(resource["status"]["blockedPrune"]["count"], 2);
    assert_eq!(condition(&resource, "Ready").unwrap()["status"], "True");
    world.another_pass("q").await;
    assert_eq!(world.managed().await, ["a", "b"]);
    world.patch("q", json!({"spec": {"pruneGuard": {"allowEmpty": true}}})).await;
    eventually("all are gone", PATIENCE, async || world.managed().await.is_empty().then_some(())).await;
    world.condition("q", "PruneBlocked", "False", None).await;
}

#[tokio::test]
async fn a_suspicious_shrink_waits_and_updates_go_on() {
    let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let world = World::new("shrink", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name NOT IN ('n0', 'n1'); UPDATE t SET v = 'two'").await;
    world.until_value("n0", Some("two")).await;
    world.condition("q", "PruneBlocked", "True", None).await;
    assert_eq!(world.managed().await.len(), 20);
    world.patch("q", json!({"spec": {"pruneGuard": {"maxDeletions": 18}}})).await;
    eventually("the rest is gone", PATIENCE, async || (world.managed().await == ["n0", "n1"]).then_some(())).await;
}

#[tokio::test]
async fn renaming_everything_is_a_suspicious_shrink_too() {
    let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
    let world = World::new("renamed", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": "60%"}})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET name = 'x' || name").await;
    world.condition("q", "PruneBlocked", "True", None).await;
    world.another_pass("q").await;
    assert_eq!(world.managed().await.len(), 24);
}

#[tokio::test]
async fn without_prune_and_with_protection_objects_stay() {
    let world = World::new("no-prune", &["a", "b"]).await;
    world.create("q", json!({"prune": false})).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.another_pass("q").await;
    assert_eq!(world.managed().await, ["a", "b"]);
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n  annotations:\n    konnektr.io/prune: disabled\n";
    world.patch("q", json!({"spec": {"prune": true, "resourceTemplate": template}})).await;
    world.until_value("b", None).await;
    world.delete("q").await;
    world.until_gone("q").await;
    assert_eq!(world.managed().await, ["a"]);
}

#[tokio::test]
async fn a_copied_object_is_not_ours_to_delete() {
    let world = World::new("copied", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let mut copy = world.config_maps().get("a").await.unwrap();
    copy.metadata.name = Some("copy".into());
    copy.metadata.uid = None;
    copy.metadata.resource_version = None;
    copy.metadata.managed_fields = None;
    copy.metadata.owner_references = None;
    world.config_maps().patch("copy", &PatchParams::apply("somebody"), &Patch::Apply(&copy)).await.unwrap();
    let mut world = world;
    world.restart();
    world.another_pass("q").await;
    assert!(world.config_maps().get_opt("copy").await.unwrap().is_some());
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(world.config_maps().get_opt("copy").await.unwrap().is_some());
}

#[tokio::test]
async fn a_label_changed_by_somebody_gives_no_object_to_another_resource() {
    let mut world = World::new("relabelled", &["a"]).await;
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other-{{ row.name }}\n";
    world.create("q", json!({})).await;
    world.create("other", json!({ "resourceTemplate": other })).await;
    world.ready("q").await;
    world.ready("other").await;
    let label = json!({"metadata": {"labels": {"konnektr.io/managed-by": "q"}}});
    world.config_maps().patch("other-a", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    world.restart();
    world.another_pass("q").await;
    assert!(world.config_maps().get_opt("other-a").await.unwrap().is_some());
    world.another_pass("other").await;
    assert_eq!(world.managed().await, ["a", "other-a"]);
}

#[tokio::test]
async fn what_was_protected_by_hand_survives_its_resource() {
    let world = World::new("by-hand", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let protect = json!({"metadata": {"annotations": {"konnektr.io/prune": "disabled"}}});
    world.config_maps().patch("a", &PatchParams::default(), &Patch::Merge(protect)).await.unwrap();
    world.delete("q").await;
    world.until_value("b", None).await;
    let kept = world.config_maps().get("a").await.unwrap();
    assert!(kept.metadata.owner_references.unwrap_or_default().is_empty(), "or the garbage collector takes it");
    assert!(kept.metadata.deletion_timestamp.is_none());
}

/// That asks nobody, and begins before we do.
#[tokio::test]
async fn what_was_protected_by_hand_is_out_of_reach_of_the_garbage_collector() {
    let world = World::new("by-hand-foreground", &["a", "b"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    let protect = async |value| {
        let protect = json!({"metadata": {"annotations": {"konnektr.io/prune": value}}});
        world.config_maps().patch("a", &PatchParams::default(), &Patch::Merge(protect)).await.unwrap();
    };
    let until_refers = async |refers: bool| {
        eventually("its reference comes and goes", PATIENCE, async || {
            let references = world.config_maps().get("a").await.unwrap().metadata.owner_references;
            (references.unwrap_or_default().is_empty() != refers).then_some(())
        })
        .await;
    };
    protect(json!("disabled")).await;
    until_refers(false).await;
    protect(json!(null)).await;
    until_refers(true).await;
    protect(json!("disabled")).await;
    until_refers(false).await;
    let foreground =
        DeleteParams { propagation_policy: Some(kube::api::PropagationPolicy::Foreground), ..DeleteParams::default() };
    world.dbqrs().delete("q", &foreground).await.unwrap();
    world.until_gone("q").await;
    world.until_value("b", None).await;
    assert!(world.config_maps().get("a").await.unwrap().metadata.deletion_timestamp.is_none());
}

#[tokio::test]
async fn an_orphaning_delete_keeps_the_objects() {
    let world = World::new("cascade", &["a"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let orphan =
        DeleteParams { propagation_policy: Some(kube::api::PropagationPolicy::Orphan), ..DeleteParams::default() };
    world.dbqrs().delete("q", &orphan).await.unwrap();
    world.until_gone("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn an_object_on_its_way_out_is_made_anew_for_a_row_that_returns() {
    let world = World::new("returns", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let hold = |finalizers| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    world.config_maps().patch("a", &PatchParams::default(), &hold(json!(["example.com/hold"]))).await.unwrap();
    world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    eventually("a is being deleted", PATIENCE, async || {
        world.config_maps().get("a").await.unwrap().metadata.deletion_timestamp.map(|_| ())
    })
    .await;
    world.run_sql("INSERT INTO t VALUES ('a', 'again')").await;
    world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    world.config_maps().patch("a", &PatchParams::default(), &hold(json!(null))).await.unwrap();
    world.until_value("a", Some("again")).await;
    world.ready("q").await;
}

#[tokio::test]
async fn a_resource_goes_although_its_query_still_runs() {
    let world = World::new("still-runs", &["a"]).await;
    world.create("q", json!({"database": {"connectionSecretRef": {"name": "db"}, "statementTimeout": "1h"}, "query": "SELECT pg_sleep(3000)::text AS name, 1 AS v"})).await;
    eventually("the query runs", PATIENCE, async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3000)%' AND pid <> pg_backend_pid() AND datname = current_database() AND state = 'active'";
        let running: i64 = world.sql.query_one(sql, &[]).await.unwrap().get(0);
        (running > 0).then_some(())
    })
    .await;
    world.delete("q").await;
    world.until_gone("q").await;
}

#[tokio::test]
async fn a_resource_is_cleaned_up_without_the_database_and_without_a_valid_spec() {
    let world = World::new("clean-up", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(world.client.clone(), world.namespace.name());
    secrets.delete("db", &DeleteParams::default()).await.unwrap();
    world.patch("q", json!({"spec": {"resourceTemplate": "{{ nonsense"}})).await;
    world.condition("q", "Ready", "False", None).await;
    world.delete("q").await;
    world.until_gone("q").await;
    eventually("so are its objects", PATIENCE, async || world.managed().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_resource_with_a_field_of_later_is_refused_and_can_be_deleted() {
    let world = World::new("later", &["a"]).await;
    world.create("q", json!({"statusUpdateQuery": "SELECT 1"})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains("statusUpdateQuery") && message.contains("not supported yet"), "{message}");
    assert!(world.managed().await.is_empty());
    world.delete("q").await;
    world.until_gone("q").await;
}

#[tokio::test]
async fn foreign_finalizers_survive_ours() {
    let world = World::new("finalizers", &["a"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.patch("q", json!({"metadata": {"finalizers": [FINALIZER, "example.com/other"]}})).await;
    world.delete("q").await;
    eventually("only theirs is left", PATIENCE, async || {
        (world.get("q").await["metadata"]["finalizers"] == json!(["example.com/other"])).then_some(())
    })
    .await;
    world.patch("q", json!({"metadata": {"finalizers": null}})).await;
}

fn is_deletion(parts: &Parts) -> bool {
    parts.method == Method::DELETE && parts.uri.path().contains("/configmaps/")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_finalizer_off_ends_the_cleaning_up_and_the_next_of_that_name_has_what_is_left() {
    const OBJECTS: usize = 40;
    let deletions = Arc::new(AtomicUsize::new(0));
    let counted = deletions.clone();
    let proxy = Proxy::start(move |parts| {
        if !is_deletion(parts) {
            return Fate::Passes;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        Fate::Waits(Duration::from_secs(3))
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "stripped", &[], &["--allow-namespaces=*"], Some(proxy.kubeconfig)).await;
    world.run_sql(&format!("INSERT INTO t SELECT 'n' || n, 'one' FROM generate_series(1, {OBJECTS}) n")).await;
    // Elsewhere, where the garbage collector does not take them.
    let other = TestNamespace::create(&world.client, "stripped-b").await;
    let placed = CONFIG_MAP.replace("\ndata", &format!("\n  namespace: {}\ndata", other.name()));
    let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    let uids = async || -> BTreeMap<String, String> {
        let ours = there.list(&ListParams::default().labels("konnektr.io/managed-by")).await.unwrap();
        ours.items.into_iter().map(|it| (it.metadata.name.unwrap(), it.metadata.uid.unwrap())).collect()
    };
    world.create("q", json!({"resourceTemplate": placed})).await;
    world.ready("q").await;
    world.delete("q").await;
    let begun = async || (deletions.load(Ordering::Relaxed) > 0).then_some(());
    eventually("it is in the middle of it", PATIENCE, begun).await;
    world.patch("q", json!({"metadata": {"finalizers": null}})).await;
    eventually("it does not go on", PATIENCE, async || {
        world.operator.logs().contains("not cleaned up to the end").then_some(())
    })
    .await;
    let left = uids().await;
    assert_eq!(left.len(), OBJECTS - deletions.load(Ordering::Relaxed));
    assert!(!left.is_empty());
    world.create("q", json!({"resourceTemplate": placed})).await;
    world.ready("q").await;
    let now = uids().await;
    assert_eq!(now.len(), OBJECTS);
    assert!(left.iter().all(|(name, uid)| now.get(name) == Some(uid)), "they are taken over as they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cleaned_up_is_not_cleaned_up_again_when_there_is_another_of_that_name() {
    let gate = Gate::open();
    let proxy = Proxy::start(move |parts| {
        if is_deletion(parts) {
            // What becomes of the resource from now on this operator hears late.
            gate.shut();
        }
        let is_told = is_watch(parts) && parts.uri.path().ends_with("/databasequeryresources");
        if is_told { Fate::Gated(gate) } else { Fate::Passes }
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let flags = ["--leader-elect=false"];
    let world = World::on(client, "once", &["a", "b"], &flags, Some(proxy.kubeconfig)).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.delete("q").await;
    world.until_gone("q").await;
    let another = Operator::start_with(world.namespace.name(), &flags, &[]);
    world.create("q", json!({})).await;
    world.ready("q").await;
    let uids = world.uids().await;
    assert_eq!(uids.len(), 2);
    world.another_pass("q").await;
    drop(another);
    gate.reopen();
    world.another_pass("q").await;
    assert_eq!(world.uids().await, uids);
    assert_eq!(world.operator.logs().matches("cleaned up").count(), 1);
}
