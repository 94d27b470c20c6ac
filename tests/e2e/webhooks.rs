//! What admission webhooks of others do to our writes: they deny, are slow, add, change and take away. Neither other rows
//! nor the API server suffer from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::webhook::{NAME, TIMEOUT, Verdict, Webhook};
use crate::support::world::{PATIENCE, World, condition};

/// So many rows, `n1` and so on.
const ROWS: usize = 100;
/// The one that webhooks are about.
const ODD: &str = "n57";

async fn world_of_many(test: &str) -> World {
    let world = World::new(test, &[]).await;
    world.run_sql(&format!("INSERT INTO t SELECT 'n' || n, 'CANARY' FROM generate_series(1, {ROWS}) n")).await;
    world
}

/// Denies these operations with the odd one as long as the switch is on, in words that quote its value.
async fn denying(world: &World, operations: &'static [&'static str]) -> (Webhook, Arc<AtomicBool>) {
    let denies = Arc::new(AtomicBool::new(true));
    let is_denying = denies.clone();
    let webhook = Webhook::validating(world, move |request| {
        let is_meant = request["name"] == ODD && operations.iter().any(|operation| request["operation"] == *operation);
        if !is_meant || !is_denying.load(Ordering::Relaxed) {
            return Verdict::Allow;
        }
        let object = if request["object"].is_null() { &request["oldObject"] } else { &request["object"] };
        Verdict::Deny(400, format!("no {}", object["data"]["v"]))
    })
    .await;
    (webhook, denies)
}

/// The value of each object.
async fn values(world: &World) -> BTreeMap<String, String> {
    let list = world.config_maps().list(&Default::default()).await.unwrap();
    let read = |it: k8s_openapi::api::core::v1::ConfigMap| Some((it.metadata.name?, it.data?.remove("v")?));
    list.items.into_iter().filter_map(read).collect()
}

/// Waits until each row has its object with its value, and the odd one this value, or none.
async fn until_all_but_the_odd_one(world: &World, odd: Option<&str>) {
    let rows = world.sql.query("SELECT name, v FROM t", &[]).await.unwrap();
    let mut wanted: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    wanted.remove(ODD);
    wanted.extend(odd.map(|value| (ODD.to_owned(), value.to_owned())));
    eventually("all but one is as wanted", PATIENCE, async || (values(world).await == wanted).then_some(())).await;
}

/// Waits until the odd one's row is the only one that fails, because the webhook denies it.
async fn until_the_odd_one_is_told(world: &World) {
    let resource = eventually("one row fails", PATIENCE, async || {
        let resource = world.get("q").await;
        let is_told = condition(&resource, "Ready")?["reason"] == "PartiallyFailed";
        (is_told && resource["status"]["failedRows"] == 1).then_some(resource)
    })
    .await;
    let failure = &resource["status"]["failures"][0];
    assert!(failure["object"].as_str().unwrap().ends_with(&format!("/{ODD}")), "{failure}");
    let expected = format!("403 Forbidden (denied by the admission webhook {NAME})");
    assert_eq!(failure["message"], expected);
    assert!(!resource.to_string().contains("CANARY"), "what a webhook says quotes values");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_denies_of_one_object_holds_up_no_other_and_is_done_when_it_allows_it() {
    let world = world_of_many("deny").await;
    let (webhook, denies) = denying(&world, &["CREATE", "UPDATE"]).await;
    world.create("q", json!({})).await;
    until_all_but_the_odd_one(&world, None).await;
    until_the_odd_one_is_told(&world).await;
    denies.store(false, Ordering::Relaxed);
    world.until_value(ODD, Some("CANARY")).await;
    world.ready("q").await;
    let before = world.uids().await;

    denies.store(true, Ordering::Relaxed);
    world.run_sql("UPDATE t SET v = 'CANARY two'").await;
    until_all_but_the_odd_one(&world, Some("CANARY")).await;
    until_the_odd_one_is_told(&world).await;
    webhook.lift().await;
    until_all_but_the_odd_one(&world, Some("CANARY two")).await;
    world.ready("q").await;
    assert_eq!(world.uids().await, before, "none was deleted or made anew");
    assert!(!world.operator.logs().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_webhook_denies_is_told_once_and_tried_ever_more_seldom_and_holds_up_no_other() {
    let world = world_of_many("deny-deletion").await;
    let (webhook, denies) = denying(&world, &["DELETE"]).await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": 1000}})).await;
    world.ready("q").await;
    let before = world.uids().await;
    let begin = Instant::now();
    world.run_sql(&format!("DELETE FROM t WHERE name IN ('n1', 'n2', 'n3', '{ODD}')")).await;
    until_all_but_the_odd_one(&world, Some("CANARY")).await;
    let attempts = || webhook.asked_of(ODD).iter().filter(|asked| asked.operation == "DELETE").count();
    eventually("it is tried again and again", PATIENCE, async || (attempts() >= 4).then_some(())).await;
    let (first, span) = (attempts(), begin.elapsed());
    // The others go on meanwhile.
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'n4'; DELETE FROM t WHERE name = 'n5'").await;
    until_all_but_the_odd_one(&world, Some("CANARY")).await;
    tokio::time::sleep(span.saturating_sub(begin.elapsed() - span)).await;
    let then = attempts() - first;
    assert!(2 * then <= first, "{first} attempts in {span:?}, and {then} in as long again");
    let resource = world.get("q").await;
    let ready = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    let expected = format!("/{ODD} could not be deleted: 403 Forbidden (denied by the admission webhook {NAME})");
    assert!(ready.contains(&expected), "{ready}");
    assert_eq!(world.operator.logs().matches("could not be deleted").count(), 1, "it is told once");
    assert!(!resource.to_string().contains("CANARY") && !world.operator.logs().contains("CANARY"));
    denies.store(false, Ordering::Relaxed);
    until_all_but_the_odd_one(&world, None).await;
    world.ready("q").await;
    assert!(world.uids().await.iter().all(|(name, uid)| before[name] == *uid), "none was made anew");
}

/// Some kinds of webhooks answer 404, or 409: that is not that the object is gone, or was written to.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_answers_to_a_deletion_is_not_taken_for_its_success() {
    for code in [404, 409, 410, 429, 503] {
        let world = World::new(&format!("deny-with-{code}"), &["a", "b"]).await;
        let denies = Arc::new(AtomicBool::new(true));
        let is_denying = denies.clone();
        let webhook = Webhook::validating(&world, move |request| {
            let is_meant = request["operation"] == "DELETE" && is_denying.load(Ordering::Relaxed);
            if is_meant { Verdict::Deny(code, "no".into()) } else { Verdict::Allow }
        })
        .await;
        world.create("q", json!({"pollInterval": "1h", "changeDetection": {"mode": "Poll"}})).await;
        world.ready("q").await;
        world.run_sql("DELETE FROM t WHERE name = 'b'").await;
        world.another_pass("q").await;
        world.condition("q", "Ready", "False", None).await;
        assert_eq!(world.managed().await, ["a", "b"]);
        // A request would repeat itself otherwise, and hold up others.
        let attempts = webhook.asked_of("b").iter().filter(|asked| asked.operation == "DELETE").count();
        assert!(attempts <= 2, "{attempts} attempts of a pass and perhaps another, with {code}");
        denies.store(false, Ordering::Relaxed);
        world.until_value("b", None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_slow_about_some_objects_holds_up_no_other() {
    let world = World::new("slow-webhook", &[]).await;
    // They come first.
    world.run_sql("INSERT INTO t SELECT 'slow' || n, 'one' FROM generate_series(1, 4) n").await;
    world.run_sql("INSERT INTO t SELECT 'n' || n, 'one' FROM generate_series(1, 50) n").await;
    let webhook = Webhook::validating(&world, |request| {
        let is_slow = request["name"].as_str().is_some_and(|name| name.starts_with("slow"));
        if is_slow { Verdict::Late(TIMEOUT * 4 / 5, Verdict::Allow.into()) } else { Verdict::Allow }
    })
    .await;
    world.create("q", json!({})).await;
    for value in ["one", "two"] {
        world.run_sql(&format!("UPDATE t SET v = '{value}' WHERE v <> '{value}'")).await;
        let slow = eventually("all others are as wanted", PATIENCE, async || {
            let mut values = values(&world).await;
            values.retain(|_, is| is == value);
            let (slow, fast): (Vec<_>, Vec<_>) = values.into_keys().partition(|name| name.starts_with("slow"));
            (fast.len() == 50).then_some(slow)
        })
        .await;
        assert!(slow.is_empty(), "the others waited for {slow:?}");
        world.ready("q").await;
        eventually("the slow ones come later", PATIENCE, async || {
            values(&world).await.values().all(|is| is == value).then_some(())
        })
        .await;
    }
    assert_eq!(values(&world).await.len(), 54);
    drop(webhook);
}

/// By looking, and by being told.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_slow_about_deletions_holds_up_no_change_for_as_long_as_they_take_together() {
    for mode in ["Poll", "Notify"] {
        let world = World::new(&format!("slow-deletions-{mode}"), &["a", "b", "c"]).await;
        world.run_sql("INSERT INTO t SELECT 'slow' || n, 'one' FROM generate_series(1, 100) n").await;
        let webhook = Webhook::validating(&world, |request| {
            let is_slow = request["operation"] == "DELETE";
            if is_slow { Verdict::Late(Duration::from_secs(1), Verdict::Allow.into()) } else { Verdict::Allow }
        })
        .await;
        let detection = json!({"enabled": true, "mode": mode, "tableName": "t"});
        let more = json!({"pruneGuard": {"maxDeletions": 1000}, "changeDetection": detection});
        world.create("q", more).await;
        world.ready("q").await;
        if mode == "Notify" {
            world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
        }
        let is_deleted = |count: usize| webhook.writes() > 103 + count;
        world.run_sql("DELETE FROM t WHERE name LIKE 'slow%'").await;
        eventually("deletions have begun", PATIENCE, async || is_deleted(0).then_some(())).await;
        world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'").await;
        world.until_value("a", Some("two")).await;
        let left = world.managed().await.len() - 3;
        println!("{mode}: {left} of 100 deletions are still to come");
        assert!(left > 0, "the change waited for all deletions");
        eventually("all are deleted", PATIENCE, async || (world.managed().await == ["a", "b", "c"]).then_some(()))
            .await;
        world.ready("q").await;
        let deletions = webhook.writes() - 103 - 1;
        assert_eq!(deletions, 100, "none is asked for twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_answers_too_late_is_named_and_outlived() {
    let world = World::new("late-webhook", &["late", "other"]).await;
    let is_late = Arc::new(AtomicBool::new(true));
    let late = is_late.clone();
    let webhook = Webhook::validating(&world, move |request| {
        let is_meant = request["name"] == "late" && late.load(Ordering::Relaxed);
        if is_meant { Verdict::Late(TIMEOUT * 6 / 5, Verdict::Allow.into()) } else { Verdict::Allow }
    })
    .await;
    world.create("q", json!({})).await;
    world.until_value("other", Some("one")).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let failure = &resource["status"]["failures"][0];
    assert_eq!(failure["message"], format!("500 InternalError (the admission webhook {NAME} cannot be reached)"));
    is_late.store(false, Ordering::Relaxed);
    world.until_value("late", Some("one")).await;
    world.ready("q").await;
    drop(webhook);
}

/// Writes stay away for so long as nothing changes.
async fn nothing_is_written(webhook: &Webhook, time: Duration) {
    let before = webhook.writes();
    tokio::time::sleep(time).await;
    assert_eq!(webhook.writes(), before, "something writes although nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_adds_to_objects_causes_no_writes_and_stays_when_they_are_put_right() {
    let mut world = World::new("adding", &["a", "b"]).await;
    let count = AtomicUsize::new(0);
    let webhook = Webhook::mutating(&world, move |request| {
        if request["operation"] == "DELETE" {
            return Verdict::Allow;
        }
        // Another value each time, as a webhook that notes when it was asked.
        let number = count.fetch_add(1, Ordering::Relaxed).to_string();
        Verdict::Mutate(json!([
            {"op": "add", "path": "/metadata/labels/injected", "value": "yes"},
            {"op": "add", "path": "/metadata/annotations/policies.example.com~1asked", "value": number},
            {"op": "add", "path": "/data/sidecar", "value": number},
        ]))
    })
    .await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    assert_eq!(webhook.writes(), 2);
    nothing_is_written(&webhook, Duration::from_secs(15)).await;
    world.another_pass("q").await;
    world.restart();
    world.another_pass("q").await;
    nothing_is_written(&webhook, Duration::from_secs(5)).await;
    assert_eq!(webhook.writes(), 2);

    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'b'").await;
    world.until_value("b", Some("two")).await;
    let edit = Patch::Merge(json!({"data": {"v": "edited"}}));
    world.config_maps().patch("a", &PatchParams::default(), &edit).await.unwrap();
    world.until_value("a", Some("one")).await;
    nothing_is_written(&webhook, Duration::from_secs(5)).await;
    assert_eq!(webhook.writes(), 5, "one for the row, the edit, and one to put it right");
    for name in ["a", "b"] {
        let object = world.config_maps().get(name).await.unwrap();
        assert_eq!(object.metadata.labels.unwrap()["injected"], "yes");
        assert!(object.data.unwrap().contains_key("sidecar"));
    }
}

/// As those that take images from another registry: who asks for a value gets what the cluster makes of it, and to write
/// it again would change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_webhook_changes_is_not_fought_for_and_is_right_with_the_next_change_after_it_went() {
    let mut world = World::new("changing", &["a", "b"]).await;
    let webhook = Webhook::mutating(&world, |request| {
        if request["name"] != "a" || request["operation"] == "DELETE" {
            return Verdict::Allow;
        }
        Verdict::Mutate(json!([{"op": "replace", "path": "/data/v", "value": "theirs"}]))
    })
    .await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("b", Some("two")).await;
    world.another_pass("q").await;
    world.restart();
    world.another_pass("q").await;
    nothing_is_written(&webhook, Duration::from_secs(15)).await;
    assert_eq!((webhook.asked_of("a").len(), webhook.asked_of("b").len()), (2, 2), "one for each value");
    assert_eq!(world.value("a").await.as_deref(), Some("theirs"));
    webhook.lift().await;
    world.run_sql("UPDATE t SET v = 'three'").await;
    world.until_value("a", Some("three")).await;
    world.ready("q").await;
}

const LABEL: &str = "konnektr.io/managed-by";
const NAMESPACE_LABEL: &str = "konnektr.io/managed-by-namespace";
const UID: &str = "konnektr.io/owner-uid";
const HASH: &str = "konnektr.io/applied-hash";

/// The JSON patch that takes these away.
fn without(paths: &[&str]) -> Value {
    paths.iter().map(|path| json!({"op": "remove", "path": path})).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_a_webhook_takes_off_is_told_of_and_is_there_again_when_the_webhook_went() {
    marks_are_told_of_and_put_on_again("label", &["/metadata/labels/konnektr.io~1managed-by"], &[LABEL]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_uid_that_a_webhook_takes_off_is_told_of_and_is_there_again_when_the_webhook_went() {
    marks_are_told_of_and_put_on_again("uid", &["/metadata/annotations/konnektr.io~1owner-uid"], &[UID]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_that_a_webhook_takes_off_is_told_of_and_is_there_again_when_the_webhook_went() {
    marks_are_told_of_and_put_on_again("hash", &["/metadata/annotations/konnektr.io~1applied-hash"], &[HASH]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_strips_of_all_marks_is_told_of_and_ours_again_when_the_webhook_went() {
    let marks = [LABEL, NAMESPACE_LABEL, UID, HASH];
    marks_are_told_of_and_put_on_again("all", &["/metadata/annotations", "/metadata/labels"], &marks).await;
}

/// Meanwhile nothing is deleted, nor written again and again, and other rows are heeded.
async fn marks_are_told_of_and_put_on_again(which: &str, paths: &[&str], marks: &[&str]) {
    let (patch, marks): (_, BTreeSet<&str>) = (without(paths), marks.iter().copied().collect());
    let mut world = World::new(&format!("taking-{which}"), &["a", "b"]).await;
    let webhook = Webhook::mutating(&world, move |request| {
        let is_meant = request["name"] == "a" && request["operation"] != "DELETE";
        if is_meant { Verdict::Mutate(patch.clone()) } else { Verdict::Allow }
    })
    .await;
    let begin = Instant::now();
    world.create("q", json!({})).await;
    let told = async |world: &World| {
        let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
        let failure = resource["status"]["failures"][0].clone();
        assert_eq!(failure["reason"], "Unmarked", "{failure}");
        let message = failure["message"].as_str().unwrap();
        let named = message.split([' ', ',']).filter(|word| word.starts_with("konnektr.io/")).collect::<BTreeSet<_>>();
        assert_eq!(named, marks, "{message}");
    };
    told(&world).await;
    assert_eq!(world.value("b").await.as_deref(), Some("one"));
    let uid = world.config_maps().get("a").await.unwrap().metadata.uid;
    let attempts = || webhook.asked_of("a").len();
    eventually("it is tried again and again", PATIENCE, async || (attempts() >= 5).then_some(())).await;
    let (first, span) = (attempts(), begin.elapsed());
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'b'").await;
    world.until_value("b", Some("two")).await;
    tokio::time::sleep(span.saturating_sub(begin.elapsed() - span)).await;
    let then = attempts() - first;
    assert!(2 * then <= first, "{which}: {first} attempts in {span:?}, and {then} in as long again");
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    told(&world).await;
    assert!(webhook.asked_of("a").iter().all(|asked| asked.operation != "DELETE"));
    world.restart();
    world.another_pass("q").await;
    told(&world).await;
    webhook.lift().await;
    let object = eventually("its marks are there", 2 * PATIENCE, async || {
        let object = world.config_maps().get("a").await.unwrap();
        let (labels, annotations) = (object.metadata.labels.clone()?, object.metadata.annotations.clone()?);
        let is_there = |mark: &&str| labels.contains_key(*mark) || annotations.contains_key(*mark);
        marks.iter().all(is_there).then_some(object)
    })
    .await;
    assert_eq!(object.metadata.uid, uid, "{which}: it was made anew");
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    world.until_value("a", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_goes_waits_for_the_object_whose_deletion_a_webhook_denies_and_for_no_other() {
    let world = World::new("deny-the-end", &["a", ODD, "z"]).await;
    let (webhook, denies) = denying(&world, &["DELETE"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.delete("q").await;
    eventually("the others are gone", PATIENCE, async || (world.managed().await == [ODD]).then_some(())).await;
    let resource = eventually("it is told", PATIENCE, async || {
        let resource = world.get("q").await;
        let message = condition(&resource, "Ready")?["message"].as_str()?.to_owned();
        message.contains(&format!("/{ODD}: 403 Forbidden (denied by the admission webhook {NAME})")).then_some(resource)
    })
    .await;
    assert!(!resource.to_string().contains("CANARY"));
    let attempts = || webhook.asked_of(ODD).iter().filter(|asked| asked.operation == "DELETE").count();
    eventually("it is tried again", PATIENCE, async || (attempts() >= 3).then_some(())).await;
    denies.store(false, Ordering::Relaxed);
    world.until_gone("q").await;
    assert!(world.managed().await.is_empty());
}

/// Whose it is says the uid, and where it is the row said.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_keeps_unlabelled_goes_with_its_row_or_its_resource() {
    let mut world = World::new("unlabelled", &["a", "b", "c"]).await;
    let patch = without(&["/metadata/labels/konnektr.io~1managed-by"]);
    let webhook = Webhook::mutating(&world, move |request| {
        let is_meant = request["name"] != "c" && request["operation"] != "DELETE";
        if is_meant { Verdict::Mutate(patch.clone()) } else { Verdict::Allow }
    })
    .await;
    world.create("q", json!({"changeDetection": {"keyColumns": ["name"]}})).await;
    for name in ["a", "b"] {
        let told = async || (world.get("q").await["status"]["failedRows"] == 2).then_some(());
        eventually("both are told of", PATIENCE, told).await;
        world.run_sql(&format!("DELETE FROM t WHERE name = '{name}'")).await;
        world.until_value(name, None).await;
        world.run_sql(&format!("INSERT INTO t VALUES ('{name}', 'one')")).await;
        world.until_value(name, Some("one")).await;
        if name == "a" {
            world.restart();
            // Before it has read the row that goes, nobody could know of its object.
            world.another_pass("q").await;
        }
    }
    world.delete("q").await;
    world.until_gone("q").await;
    for name in ["a", "b", "c"] {
        world.until_value(name, None).await;
    }
    drop(webhook);
}

/// What says that it existed are annotations, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_existed_before_stays_whatever_a_webhook_takes_off() {
    for (which, taken) in [
        ("annotations", without(&["/metadata/annotations"])),
        (
            "that-it-existed",
            without(&["/metadata/annotations/konnektr.io~1adopted", "/metadata/annotations/konnektr.io~1applied-hash"]),
        ),
    ] {
        let mut world = World::new(&format!("existed-{which}"), &["a", "b", "c"]).await;
        let theirs = json!({"metadata": {"name": "a"}, "data": {"theirs": "t"}});
        for name in ["a", "b"] {
            let mut theirs = theirs.clone();
            theirs["metadata"]["name"] = json!(name);
            let theirs = serde_json::from_value(theirs).unwrap();
            world.config_maps().create(&Default::default(), &theirs).await.unwrap();
        }
        let webhook = Webhook::mutating(&world, move |request| {
            let marked = !request["object"]["metadata"]["annotations"]["konnektr.io/adopted"].is_null();
            if marked || which == "annotations" && !request["object"]["metadata"]["labels"][LABEL].is_null() {
                Verdict::Mutate(taken.clone())
            } else {
                Verdict::Allow
            }
        })
        .await;
        world.create("q", json!({"changeDetection": {"keyColumns": ["name"]}})).await;
        let tried = async |count: usize| {
            eventually("it is tried again and again", PATIENCE, async || {
                (webhook.asked_of("a").len() >= count && webhook.asked_of("b").len() >= count).then_some(())
            })
            .await;
        };
        tried(4).await;
        let told = webhook.asked_of("a").len();
        world.restart();
        tried(told + 2).await;
        for name in ["a", "b"] {
            let object = world.config_maps().get(name).await.unwrap();
            assert_eq!(object.metadata.owner_references, None, "the garbage collector would take it");
        }
        world.run_sql("DELETE FROM t WHERE name = 'a'").await;
        world.another_pass("q").await;
        world.delete("q").await;
        world.until_gone("q").await;
        world.until_value("c", None).await;
        for name in ["a", "b"] {
            let object = world.config_maps().get(name).await.unwrap();
            assert_eq!(object.data.unwrap()["theirs"], "t");
        }
        drop(webhook);
    }
}
