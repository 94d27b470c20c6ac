//! Rows that are read by their keys, wherever that is not simple.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy, is_write};
use crate::support::world::{PATIENCE, World, condition};

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  \
                        v: {{ row.v | required('v') | quote }}\n";

/// Nothing but notifications tells of changes within the hour.
pub fn spec(more: Value) -> Value {
    let changes = json!({"enabled": true, "tableName": "k", "mode": "Notify", "resyncInterval": "1h"});
    let mut spec = json!({
        "query": "SELECT id, name, v FROM k", "resourceTemplate": TEMPLATE, "changeDetection": changes,
        "pollInterval": "1h", "pruneGuard": {"maxDeletions": "100%", "allowEmpty": true},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// With so many rows, numbered from 1, whose objects are `n1`, `n2`…
async fn fill(world: &World, rows: usize) {
    let rows = format!("INSERT INTO k SELECT n, 'n' || n, 'one' FROM generate_series(1, {rows}) n");
    world.run_sql(&format!("CREATE TABLE k (id int PRIMARY KEY, name text, v text); {rows}")).await;
}

pub async fn listening(world: &World) -> String {
    let resource = world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    condition(&resource, "ChangeDetection").unwrap()["message"].as_str().unwrap().to_owned()
}

/// A world with so many rows that is notified of their changes, and reads them by key.
async fn world(test: &str, rows: usize, more: Value) -> World {
    let world = World::new(test, &[]).await;
    fill(&world, rows).await;
    world.create("q", spec(more)).await;
    assert!(listening(&world).await.contains("read by their keys"));
    world.until_value(&format!("n{rows}"), Some("one")).await;
    world
}

/// Waits until there are these objects, with these values, and no others.
pub async fn until(world: &World, wanted: &[(&str, &str)]) {
    let wanted: BTreeMap<String, String> = wanted.iter().map(|(name, v)| ((*name).into(), (*v).into())).collect();
    eventually(&format!("{wanted:?}"), PATIENCE, async || {
        let mut there = BTreeMap::new();
        for name in world.managed().await {
            there.insert(name.clone(), world.value(&name).await.unwrap_or_default());
        }
        (there == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_and_names_that_change_and_are_swapped_move_the_objects() {
    let world = world("moves", 3, json!({})).await;
    let uids = world.uids().await;
    world.run_sql("UPDATE k SET id = 10, v = 'ten' WHERE id = 1").await;
    until(&world, &[("n1", "ten"), ("n2", "one"), ("n3", "one")]).await;
    let marked = async |name: &str| {
        let object = world.config_maps().get(name).await.unwrap();
        object.metadata.annotations.unwrap()["konnektr.io/row-key"].clone()
    };
    eventually("it is marked with its new key", PATIENCE, async || (marked("n1").await == r#"["10"]"#).then_some(()))
        .await;
    world.run_sql("UPDATE k SET name = 'm3' WHERE id = 3").await;
    until(&world, &[("m3", "one"), ("n1", "ten"), ("n2", "one")]).await;
    // In one transaction, and in two: for a moment both rows want one object, or one none.
    world.run_sql("UPDATE k SET name = CASE name WHEN 'n1' THEN 'n2' ELSE 'n1' END WHERE name IN ('n1', 'n2')").await;
    until(&world, &[("m3", "one"), ("n1", "one"), ("n2", "ten")]).await;
    world.run_sql("UPDATE k SET name = 'n2' WHERE name = 'n1'").await;
    world.run_sql("UPDATE k SET name = 'n1' WHERE id = 10").await;
    until(&world, &[("m3", "one"), ("n1", "ten"), ("n2", "one")]).await;
    let now = world.uids().await;
    assert_eq!((&now["n1"], &now["n2"]), (&uids["n1"], &uids["n2"]), "none was deleted meanwhile");
    world.ready("q").await;
}

#[tokio::test]
async fn rows_whose_keys_look_otherwise_after_the_setup_statements_are_found() {
    let world = World::new("looks", &[]).await;
    world
        .run_sql(
            "CREATE TABLE k (id timestamptz PRIMARY KEY, name text, v text); \
             INSERT INTO k VALUES ('2024-01-01 00:00Z', 'n1', 'one'), ('2024-01-02 00:00Z', 'n2', 'one')",
        )
        .await;
    world.create("q", spec(json!({"query": "SET TIME ZONE 'Asia/Tokyo'; SELECT id, name, v FROM k"}))).await;
    listening(&world).await;
    world.run_sql("UPDATE k SET v = 'two' WHERE name = 'n1'").await;
    until(&world, &[("n1", "two"), ("n2", "one")]).await;
    world.run_sql("UPDATE k SET v = 'two' WHERE name = 'n2'").await;
    until(&world, &[("n1", "two"), ("n2", "two")]).await;
    world.run_sql("DELETE FROM k WHERE name = 'n1'").await;
    until(&world, &[("n2", "two")]).await;
    world.run_sql("UPDATE k SET id = '2024-01-03 00:00Z', name = 'n3' WHERE name = 'n2'").await;
    until(&world, &[("n3", "two")]).await;
}

#[tokio::test]
async fn an_object_that_two_rows_want_is_left_as_it_is_until_one_of_them_has_it() {
    let world = world("disputed", 3, json!({})).await;
    let uids = world.uids().await;
    world.run_sql("UPDATE k SET name = 'n1', v = 'mine' WHERE id = 2").await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 2);
    world.run_sql("UPDATE k SET v = 'three' WHERE id = 3").await;
    until(&world, &[("n1", "one"), ("n2", "one"), ("n3", "three")]).await;
    world.run_sql("DELETE FROM k WHERE id = 1").await;
    until(&world, &[("n1", "mine"), ("n3", "three")]).await;
    world.ready("q").await;
    assert_eq!(world.uids().await["n1"], uids["n1"]);
}

#[tokio::test]
async fn a_row_that_fails_keeps_its_object_and_counts_while_others_change() {
    let world = world("fails", 3, json!({})).await;
    world.run_sql("UPDATE k SET v = NULL WHERE id = 1").await;
    let failed = async |count: u64| {
        let what = format!("{count} rows failed");
        eventually(&what, PATIENCE, async || {
            let resource = world.get("q").await;
            (resource["status"]["failedRows"].as_u64().unwrap_or(0) == count).then_some(())
        })
        .await;
    };
    failed(1).await;
    world.run_sql("UPDATE k SET v = 'two' WHERE id = 2").await;
    world.run_sql("DELETE FROM k WHERE id = 3").await;
    until(&world, &[("n1", "one"), ("n2", "two")]).await;
    failed(1).await;
    world.run_sql("UPDATE k SET v = NULL WHERE id = 2").await;
    failed(2).await;
    until(&world, &[("n1", "one"), ("n2", "two")]).await;
    world.run_sql("DELETE FROM k WHERE id = 1").await;
    until(&world, &[("n2", "two")]).await;
    world.run_sql("UPDATE k SET v = 'back' WHERE id = 2").await;
    until(&world, &[("n2", "back")]).await;
    failed(0).await;
    world.ready("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_during_a_long_first_sync_does_not_wait_for_its_end() {
    // So many that the rest takes longer than anybody waits for the two that change, as long as applies are slow.
    const ROWS: usize = 3000;
    let is_slow = Arc::new(AtomicBool::new(true));
    let slow = is_slow.clone();
    let proxy = Proxy::start(move |parts| {
        let is_apply = parts.method == Method::PATCH && parts.uri.path().contains("/configmaps/");
        let waits = is_apply && slow.load(Ordering::Relaxed);
        if waits { Fate::Waits(Duration::from_millis(400)) } else { Fate::Passes }
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "overtakes", &[], &[], Some(proxy.kubeconfig)).await;
    fill(&world, ROWS).await;
    // Somebody listens already, so that what is notified need not be read once more as a whole.
    world.create("earlier", spec(json!({"query": "SELECT id, name, v FROM k WHERE id < 0"}))).await;
    world.condition("earlier", "ChangeDetection", "True", Some("Listening")).await;
    world.create("q", spec(json!({}))).await;
    world.until_value("n1", Some("one")).await;
    // The last one, and one that has its object by now. Until it is known that rows are read by their keys, all are read.
    let last = format!("n{ROWS}");
    eventually("the last one is there", PATIENCE, async || {
        world.run_sql(&format!("UPDATE k SET v = 'new' WHERE id IN (1, {ROWS})")).await;
        (world.value(&last).await? == "new").then_some(())
    })
    .await;
    world.until_value("n1", Some("new")).await;
    let there = world.managed().await.len();
    assert!(there < ROWS, "the first sync was over");
    is_slow.store(false, Ordering::Relaxed);
    eventually("all are there", 3 * PATIENCE, async || (world.managed().await.len() == ROWS).then_some(())).await;
    world.ready("q").await;
}

#[tokio::test]
async fn what_others_change_is_put_right_while_changes_are_notified() {
    let world = world("foreign", 2, json!({})).await;
    let edit = |patch: Value| {
        let api = world.config_maps();
        async move { api.patch("n1", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap() }
    };
    edit(json!({"data": {"v": "theirs", "more": "theirs"}})).await;
    world.until_value("n1", Some("one")).await;
    world.run_sql("UPDATE k SET v = 'two' WHERE id = 1").await;
    world.until_value("n1", Some("two")).await;
    let more = world.config_maps().get("n1").await.unwrap().data.unwrap().remove("more");
    assert_eq!(more.as_deref(), Some("theirs"), "what is not ours stays");
    world.config_maps().delete("n2", &Default::default()).await.unwrap();
    world.until_value("n2", Some("one")).await;
}

#[tokio::test]
async fn single_deletions_that_were_notified_trip_the_guard_together() {
    let guard = json!({"pruneGuard": {"maxDeletions": "20%", "minimum": 0}});
    let world = world("guard", 20, guard).await;
    for (id, left) in (1..=4).zip([19, 18, 17, 16]) {
        world.run_sql(&format!("DELETE FROM k WHERE id = {id}")).await;
        eventually("it is gone", PATIENCE, async || (world.managed().await.len() == left).then_some(())).await;
    }
    world.run_sql("DELETE FROM k WHERE id = 5").await;
    let digest = eventually("the fifth waits", PATIENCE, async || {
        let blocked = world.get("q").await["status"]["blockedPrune"].clone();
        (blocked["count"] == 1).then(|| blocked["digest"].as_str().unwrap().to_owned())
    })
    .await;
    world.run_sql("UPDATE k SET v = 'two' WHERE id = 6").await;
    world.until_value("n6", Some("two")).await;
    assert_eq!(world.value("n5").await.as_deref(), Some("one"));
    let annotations = json!({"konnektr.io/approve-prune": digest});
    world.patch("q", json!({"metadata": {"annotations": annotations}})).await;
    world.until_value("n5", None).await;
    assert_eq!(world.managed().await.len(), 15);
    world.condition("q", "PruneBlocked", "False", None).await;
}

#[tokio::test]
async fn an_adopted_object_whose_row_goes_is_released() {
    let world = World::new("released", &[]).await;
    fill(&world, 2).await;
    let theirs: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "n1"}, "data": {"own": "o"}})).unwrap();
    world.config_maps().create(&PostParams::default(), &theirs).await.unwrap();
    world.create("q", spec(json!({}))).await;
    listening(&world).await;
    until(&world, &[("n1", "one"), ("n2", "one")]).await;
    world.run_sql("DELETE FROM k WHERE id = 1").await;
    until(&world, &[("n2", "one")]).await;
    let released = world.config_maps().get("n1").await.unwrap();
    assert_eq!(json!(released.data), json!({"own": "o"}));
}

#[tokio::test]
async fn rows_that_cannot_be_read_alone_are_read_as_a_whole_and_it_is_said_why() {
    let world = World::new("whole", &[]).await;
    fill(&world, 3).await;
    world.create("q", spec(json!({"query": "SELECT id, name, v FROM k ORDER BY id LIMIT 2"}))).await;
    let message = listening(&world).await;
    assert!(message.contains("full reads: ") && message.contains("LIMIT"), "{message}");
    until(&world, &[("n1", "one"), ("n2", "one")]).await;
    world.run_sql("DELETE FROM k WHERE id = 1").await;
    until(&world, &[("n2", "one"), ("n3", "one")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_read_after_changes_that_were_read_by_key_finds_nothing_to_write() {
    let (writes, counts) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let (counted, is_counting) = (writes.clone(), counts.clone());
    let proxy = Proxy::start(move |parts| {
        let is_status = parts.uri.path().ends_with("/status") || parts.uri.path().contains("/events");
        let counts = is_counting.load(Ordering::Relaxed) && is_write(parts) && !is_status;
        counted.fetch_add(usize::from(counts), Ordering::Relaxed);
        Fate::Passes
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "nothing", &[], &["--leader-elect=false"], Some(proxy.kubeconfig)).await;
    fill(&world, 20).await;
    let changes = json!({"enabled": true, "tableName": "k", "mode": "Notify", "resyncInterval": "2s"});
    world.create("q", spec(json!({ "changeDetection": changes }))).await;
    listening(&world).await;
    world.until_value("n20", Some("one")).await;
    let sql = "UPDATE k SET v = 'two' WHERE id <= 3; UPDATE k SET name = 'm4' WHERE id = 4; DELETE FROM k WHERE id = 5; \
               INSERT INTO k VALUES (21, 'n21', 'one'), (22, 'n5', 'again'); UPDATE k SET id = 100 WHERE id = 6";
    for statement in sql.split(';') {
        world.run_sql(statement).await;
    }
    world.until_value("n5", Some("again")).await;
    world.until_value("n4", None).await;
    world.another_pass("q").await;
    world.ready("q").await;
    counts.store(true, Ordering::Relaxed);
    let resource = world.get("q").await["metadata"]["resourceVersion"].clone();
    let labels = format!("namespace=\"{}\",name=\"q\"", world.namespace.name());
    let reads =
        async || world.operator.figure(&format!("dbqr_query_duration_seconds_count{{{labels}}}")).await.unwrap();
    let more = async |number: f64| {
        let before = reads().await;
        eventually("more reads", PATIENCE, async || (reads().await >= before + number).then_some(())).await;
    };
    more(3.0).await;
    assert_eq!(world.get("q").await["metadata"]["resourceVersion"], resource, "nor is anything said");
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND application_name LIKE 'db-query-operator%'";
    assert!(world.sql.query_one(cut, &[]).await.unwrap().get::<_, i64>(0) >= 2);
    more(2.0).await;
    listening(&world).await;
    more(1.0).await;
    assert_eq!(writes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_view_that_is_another_one_is_noticed_while_rows_are_read_by_their_keys() {
    let world = World::new("redefined", &[]).await;
    fill(&world, 2).await;
    world.run_sql("CREATE VIEW w AS SELECT id, name, v FROM k").await;
    world.create("q", spec(json!({"query": "SELECT id, name, v FROM w"}))).await;
    assert!(listening(&world).await.contains("read by their keys"));
    until(&world, &[("n1", "one"), ("n2", "one")]).await;
    world.run_sql("CREATE OR REPLACE VIEW w AS SELECT id, name, v || '!' AS v FROM k").await;
    // What changes is read by its key for a minute or so, and the other row, which nobody wrote, then as well.
    let mut changes = 0;
    eventually("the other row has its new value", 3 * PATIENCE, async || {
        changes += 1;
        world.run_sql(&format!("UPDATE k SET v = '{changes}' WHERE id = 1")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        (world.value("n2").await.as_deref() == Some("one!")).then_some(())
    })
    .await;
}
