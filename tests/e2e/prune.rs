//! What waits for a person, and whose objects stay when rows fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy};
use crate::support::world::{PATIENCE, World, condition};

/// Waits until this many deletions are held back; the digest of the set.
async fn held(world: &World, count: i64) -> String {
    let what = format!("{count} deletions are held back");
    let blocked = eventually(&what, PATIENCE, async || {
        let blocked = world.get("q").await["status"]["blockedPrune"].clone();
        (blocked["count"] == count).then_some(blocked)
    })
    .await;
    blocked["digest"].as_str().unwrap().to_owned()
}

async fn approve(world: &World, digest: &str) {
    let annotations = json!({"konnektr.io/approve-prune": digest});
    world.patch("q", json!({"metadata": {"annotations": annotations}})).await;
}

async fn until_managed(world: &World, names: &[&str]) {
    let what = format!("{names:?} are left");
    eventually(&what, PATIENCE, async || (world.managed().await == names).then_some(())).await;
}

#[tokio::test]
async fn approval_deletes_exactly_what_is_held_back_and_no_approval_outlives_a_restart() {
    let names: Vec<String> = (10..30).map(|n| format!("n{n}")).collect();
    let mut world = World::new("approve", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name >= 'n15'").await;
    let first = held(&world, 15).await;
    world.restart();
    let what = "what is held back has another name";
    let second = eventually(what, PATIENCE, async || {
        let digest = held(&world, 15).await;
        (digest != first).then_some(digest)
    })
    .await;
    approve(&world, &first).await;
    let what = "the approval is refused";
    eventually(what, PATIENCE, async || {
        let message = condition(&world.get("q").await, "PruneBlocked")?["message"].as_str()?.to_owned();
        (message.contains(&format!("{first:?}")) && message.contains(&second)).then_some(())
    })
    .await;
    assert_eq!(world.managed().await.len(), 20);
    // Two rows return, another goes: it was not seen by whoever approves, and waits for nobody.
    world.run_sql("INSERT INTO t (name, v) VALUES ('n28', 'back'), ('n29', 'back')").await;
    let second = held(&world, 13).await;
    approve(&world, &second).await;
    until_managed(&world, &["n10", "n11", "n12", "n13", "n14", "n28", "n29"]).await;
    world.condition("q", "PruneBlocked", "False", None).await;
    assert_eq!(world.get("q").await["status"]["blockedPrune"], Value::Null);
}

#[tokio::test]
async fn single_deletions_trip_the_guard_together() {
    let names: Vec<String> = (10..30).map(|n| format!("n{n}")).collect();
    let world = World::new("drip", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": 3}})).await;
    world.ready("q").await;
    for (number, left) in (10..13).zip([19, 18, 17]) {
        world.run_sql(&format!("DELETE FROM t WHERE name = 'n{number}'")).await;
        eventually("one more is gone", PATIENCE, async || (world.managed().await.len() == left).then_some(())).await;
    }
    world.run_sql("DELETE FROM t WHERE name = 'n13'").await;
    held(&world, 1).await;
    assert_eq!(world.managed().await.len(), 17);
}

const TEMPLATE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}-{{ row.v | required('v') }}\n";

#[tokio::test]
async fn with_row_keys_a_failing_row_keeps_its_objects_while_others_are_pruned() {
    let mut world = World::new("keyed-failure", &["a", "b", "c", "d"]).await;
    let more = json!({"resourceTemplate": TEMPLATE, "changeDetection": {"keyColumns": ["name"]}});
    world.create("q", more).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["keyColumns"], json!(["name"]));
    let object = world.config_maps().get("a-one").await.unwrap();
    assert_eq!(object.metadata.annotations.unwrap()["konnektr.io/row-key"], r#"["a"]"#);
    world.run_sql("UPDATE t SET v = NULL WHERE name = 'a'; DELETE FROM t WHERE name = 'b'").await;
    until_managed(&world, &["a-one", "c-one", "d-one"]).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert!(condition(&resource, "Ready").unwrap()["message"].as_str().unwrap().contains("their objects stay"));
    world.restart();
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'c'").await;
    until_managed(&world, &["a-one", "c-two", "d-one"]).await;
}

#[tokio::test]
async fn other_key_columns_prove_nothing_of_objects_that_were_marked_before() {
    let world = World::new("other-key", &["a", "b", "c"]).await;
    let more = json!({"resourceTemplate": TEMPLATE, "changeDetection": {"keyColumns": ["name"]}});
    world.create("q", more).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = NULL WHERE name = 'a'; DELETE FROM t WHERE name = 'b'").await;
    until_managed(&world, &["a-one", "c-one"]).await;
    let query = "SELECT name, v, 'x' || name AS other FROM t";
    world.patch("q", json!({"spec": {"query": query, "changeDetection": {"keyColumns": ["other"]}}})).await;
    world.run_sql("DELETE FROM t WHERE name = 'c'").await;
    eventually("nothing is pruned", PATIENCE, async || {
        let message = condition(&world.get("q").await, "Ready")?["message"].as_str()?.to_owned();
        message.contains("nothing is pruned").then_some(())
    })
    .await;
    world.another_pass("q").await;
    assert_eq!(world.managed().await, ["a-one", "c-one"]);
    assert_eq!(world.get("q").await["status"]["keyColumns"], Value::Null);
    world.run_sql("UPDATE t SET v = 'one'").await;
    until_managed(&world, &["a-one"]).await;
    world.another_pass("q").await;
    assert_eq!(world.get("q").await["status"]["keyColumns"], json!(["other"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_forbidden_is_told_once_and_tried_ever_more_seldom() {
    const READS: usize = 12;
    let (is_forbidden, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (forbidden, counted) = (is_forbidden.clone(), tries.clone());
    let proxy = Proxy::start(move |parts| {
        if parts.method != Method::DELETE || !forbidden.load(Ordering::Relaxed) {
            return Fate::Passes;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        Fate::Refused(403)
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "undeletable", &["a", "b", "c"], &[], Some(proxy.kubeconfig)).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    world.condition("q", "Ready", "False", Some("PruneFailed")).await;
    let reads = || world.operator.logs().matches(" reconciled ").count();
    let before = reads();
    let more = async || (reads() >= before + READS).then_some(());
    eventually("it read often", 2 * PATIENCE, more).await;
    let tries = tries.load(Ordering::Relaxed);
    assert!((2..READS).contains(&tries), "{tries} tries in {READS} reads");
    assert_eq!(world.operator.logs().matches("could not be deleted").count(), 1);
    world.condition("q", "Ready", "False", Some("PruneFailed")).await;

    is_forbidden.store(false, Ordering::Relaxed);
    // Asked for, it is tried at once.
    world.another_pass("q").await;
    assert_eq!(world.managed().await, ["b", "c"]);
    world.ready("q").await;
}
