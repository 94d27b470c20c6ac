//! Marks of ours that somebody changes: what still says whose an object is, and what it may not be taken for.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::world::{PATIENCE, World};
use crate::support::{TestNamespace, eventually};

const OWNER_UID: &str = "konnektr.io/owner-uid";
const ADOPTED: &str = "konnektr.io/adopted";

/// Rows whose names begin with `far` have their objects in another namespace.
fn template(far: &TestNamespace) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ row.name }}}}\n{{% if 'far' in row.name %}}  namespace: {}\n\
         {{% endif %}}data:\n  v: {{{{ row.v | quote }}}}\n",
        far.name()
    )
}

/// Nothing is looked at by time.
fn keyed(more: Value) -> Value {
    let mut spec = json!({"pollInterval": "1h", "changeDetection": {"keyColumns": ["name"]}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

async fn annotate(maps: &Api<ConfigMap>, name: &str, annotations: Value) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    maps.patch(name, &params, &patch).await.unwrap();
}

async fn mark(maps: &Api<ConfigMap>, name: &str, key: &str) -> Option<String> {
    maps.get(name).await.unwrap().metadata.annotations?.remove(key)
}

async fn theirs(world: &World, name: &str) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"team": "x"}}, "data": {"theirs": "t"},
    });
    world.config_maps().patch(name, &PatchParams::apply("somebody"), &Patch::Apply(&object)).await.unwrap();
}

/// It is as it was before it was adopted.
async fn until_released(world: &World, name: &str) {
    eventually(&format!("{name} is released"), PATIENCE, async || {
        let object = world.config_maps().get(name).await.unwrap();
        let is_free = object.metadata.annotations.is_none() && json!(object.metadata.labels) == json!({"team": "x"});
        (is_free && json!(object.data) == json!({"theirs": "t"})).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_owner_uid_that_somebody_changed_is_put_right_and_until_then_nothing_with_it_is_deleted() {
    let names = ["a", "b", "c", "d", "far-e", "far-f", "far-g"];
    let mut world = World::with_flags("owner-uid", &names, &["--allow-namespaces=*"]).await;
    let far = TestNamespace::create(&world.client, "owner-uid-far").await;
    let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), far.name());
    let here = world.config_maps();
    let of = |name: &str| if name.starts_with("far") { &there } else { &here };
    world.create("q", keyed(json!({"resourceTemplate": template(&far)}))).await;
    let resource = world.ready("q").await;
    let uid = resource["metadata"]["uid"].as_str().unwrap();
    let mut uids = Vec::new();
    for name in names {
        uids.push(of(name).get(name).await.unwrap().metadata.uid);
    }
    for (name, to, is_away) in [
        ("a", json!("nonsense"), false),
        ("far-e", json!("nonsense"), false),
        ("b", Value::Null, false),
        ("far-f", Value::Null, false),
        ("a", json!("nonsense"), true),
        ("far-e", json!("nonsense"), true),
    ] {
        if is_away {
            world.operator.terminate();
        }
        annotate(of(name), name, json!({ OWNER_UID: to })).await;
        if is_away {
            world.restart();
        }
        eventually(&format!("{name} is put right"), PATIENCE, async || {
            (mark(of(name), name, OWNER_UID).await.as_deref() == Some(uid)).then_some(())
        })
        .await;
        assert_eq!(mark(of(name), name, ADOPTED).await, None, "{name} was made by us");
    }
    world.another_pass("q").await;
    world.ready("q").await;
    for (name, uid) in names.into_iter().zip(uids) {
        assert_eq!(of(name).get(name).await.unwrap().metadata.uid, uid, "{name} is the same as ever");
    }
    world.run_sql("DELETE FROM t WHERE name IN ('a', 'far-e')").await;
    world.another_pass("q").await;
    for name in ["a", "far-e"] {
        assert!(of(name).get_opt(name).await.unwrap().is_none(), "{name} goes with its row");
    }

    // Nobody puts it right while the resource is suspended.
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.condition("q", "ChangeDetection", "Unknown", Some("Suspended")).await;
    annotate(&here, "d", json!({ OWNER_UID: "nonsense" })).await;
    let unbound = json!({"metadata": {"ownerReferences": null}});
    here.patch("d", &PatchParams::default(), &Patch::Merge(unbound)).await.unwrap();
    annotate(&there, "far-f", json!({ OWNER_UID: "nonsense" })).await;
    world.delete("q").await;
    world.until_gone("q").await;
    for name in ["b", "c", "far-g"] {
        let what = format!("{name} is gone");
        let look = async || of(name).get_opt(name).await.unwrap().is_none().then_some(());
        eventually(&what, PATIENCE, look).await;
    }
    assert!(here.get_opt("d").await.unwrap().is_some() && there.get_opt("far-f").await.unwrap().is_some());
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    let note = eventually("what stays is told", PATIENCE, async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.into_iter().find(|event| event.reason.as_deref() == Some("ObjectsKept"))?.note
    })
    .await;
    let named = |part: String| assert!(note.contains(&part), "{note}");
    named("2 stay".into());
    named(OWNER_UID.into());
    named(format!("ConfigMap {}/d", world.namespace.name()));
    named(format!("ConfigMap {}/far-f", far.name()));
}

#[tokio::test]
async fn what_is_to_stay_is_kept_from_the_garbage_collector_whatever_its_owner_uid() {
    let world = World::new("owner-uid-kept", &["a", "b"]).await;
    world.create("q", keyed(json!({}))).await;
    let resource = world.ready("q").await;
    let maps = world.config_maps();
    // The collector takes it once its owner is gone, and with it all that refers to the same one.
    let reference = maps.get("a").await.unwrap().metadata.owner_references;
    let metadata = json!({"name": "collected", "ownerReferences": reference});
    maps.create(&PostParams::default(), &serde_json::from_value(json!({ "metadata": metadata })).unwrap())
        .await
        .unwrap();
    assert_eq!(reference.unwrap()[0].uid, resource["metadata"]["uid"].as_str().unwrap());
    world.patch("q", json!({"spec": {"suspend": true, "deletionPolicy": "Orphan"}})).await;
    world.condition("q", "ChangeDetection", "Unknown", Some("Suspended")).await;
    annotate(&maps, "a", json!({ OWNER_UID: "nonsense" })).await;
    world.delete("q").await;
    world.until_gone("q").await;
    eventually("it is collected", PATIENCE, async || maps.get_opt("collected").await.unwrap().is_none().then_some(()))
        .await;
    for name in ["a", "b"] {
        let object = maps.get(name).await.unwrap();
        assert_eq!((object.metadata.deletion_timestamp, object.metadata.owner_references), (None, None), "{name}");
    }
}

#[tokio::test]
async fn what_is_to_stay_loses_its_reference_whatever_its_owner_uid() {
    let world = World::new("owner-uid-orphaned", &["a", "b"]).await;
    world.create("q", keyed(json!({"prune": false}))).await;
    world.ready("q").await;
    let maps = world.config_maps();
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.another_pass("q").await;
    annotate(&maps, "b", json!({ OWNER_UID: "nonsense" })).await;
    assert!(!maps.get("b").await.unwrap().metadata.owner_references.unwrap_or_default().is_empty());
    world.patch("q", json!({"spec": {"deletionPolicy": "Orphan"}})).await;
    // A deletion in the foreground has the garbage collector go first.
    for name in ["a", "b"] {
        eventually(&format!("{name} does not refer to it"), PATIENCE, async || {
            let references = maps.get(name).await.unwrap().metadata.owner_references;
            references.unwrap_or_default().is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_owner_uid_that_cannot_be_taken_back_fails_its_own_row_by_name() {
    let mut world = World::new("owner-uid-held", &["a", "b", "c"]).await;
    theirs(&world, "a").await;
    world.create("q", keyed(json!({}))).await;
    world.ready("q").await;
    world.operator.terminate();
    // It existed before, and nobody knows any more which of its fields were ours: the row wants others now.
    annotate(&world.config_maps(), "a", json!({ OWNER_UID: "nonsense" })).await;
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'; DELETE FROM t WHERE name = 'b'").await;
    world.restart();
    world.until_value("b", None).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let failure = &resource["status"]["failures"][0];
    assert_eq!(failure["object"], format!("ConfigMap {}/a", world.namespace.name()));
    assert_eq!(failure["message"], format!("others manage its fields: .metadata.annotations.{OWNER_UID} (somebody)"));
    assert_eq!(resource["status"]["failedRows"], 1);
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    // Whoever takes it off again lets it be ours.
    annotate(&world.config_maps(), "a", json!({ OWNER_UID: null })).await;
    world.until_value("a", Some("two")).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    world.another_pass("q").await;
    until_released(&world, "a").await;
}

#[tokio::test]
async fn what_was_adopted_stays_known_as_that_without_its_mark() {
    let names = ["a", "back", "changed", "row", "res"];
    let mut world = World::new("unmarked", &names).await;
    for name in &names[1..] {
        theirs(&world, name).await;
    }
    world.create("q", keyed(json!({}))).await;
    world.ready("q").await;
    world.operator.terminate();
    for name in &names[1..] {
        annotate(&world.config_maps(), name, json!({ ADOPTED: null })).await;
    }
    world.run_sql("DELETE FROM t WHERE name = 'row'; UPDATE t SET v = 'two' WHERE name = 'changed'").await;
    world.restart();
    until_released(&world, "row").await;
    world.until_value("changed", Some("two")).await;
    for name in ["back", "changed", "res"] {
        eventually(&format!("{name} has its mark again"), PATIENCE, async || {
            mark(&world.config_maps(), name, ADOPTED).await.map(drop)
        })
        .await;
    }
    world.operator.terminate();
    annotate(&world.config_maps(), "res", json!({ ADOPTED: null })).await;
    world.delete("q").await;
    world.restart();
    world.until_gone("q").await;
    world.until_value("a", None).await;
    for name in ["back", "changed", "res"] {
        until_released(&world, name).await;
    }
}
