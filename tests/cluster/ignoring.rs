//! Fields that are set when an object is created and left to others afterwards.

use std::sync::Arc;

use dbqo::cluster::{Applied, ApplyError, Change, Deleted, Onlooker, Terms};
use dbqo::logic::object::{Desired, Kind, Known};
use dbqo::logic::pointer::Pointer;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{World, deployment, merge, owner};

fn ignoring(pointers: &[&str]) -> Terms {
    let pointers: Vec<String> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
    Terms { ignored: Pointer::all(&pointers).unwrap(), ..Terms::default() }
}

/// As the renderer makes it: `ignored` is only in what creates it.
fn desired(world: &World, kind: &Arc<Kind>, lasting: Value, ignored: Value) -> Desired {
    let mut first = lasting.clone();
    merge(&mut first, ignored);
    let (_, first) = world.body_of(&world.owner, kind, "a", first);
    let (_, body) = world.body_of(&world.owner, kind, "a", lasting.clone());
    world.desired(kind, "a", lasting).with(&body, Some(&first))
}

async fn known(world: &World, desired: &Desired) -> Known {
    let found = world.cluster.look_up(&desired.kind, &[&desired.id], &Onlooker::of(&world.owner)).await.unwrap();
    found[&desired.id].0.clone()
}

async fn update(world: &World, desired: &Desired, terms: &Terms) -> Result<Applied, ApplyError> {
    let known = known(world, desired).await;
    world.cluster.update(&world.owner, desired, &known, terms).await
}

async fn scale(world: &World, kind: &Kind, replicas: i32) {
    let params = PatchParams { field_manager: Some("autoscaler".into()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    world.api(kind).patch_subresource("scale", "a", &params, &patch).await.unwrap();
}

/// Who holds `spec.replicas`.
fn holders(object: &DynamicObject) -> Vec<String> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let holding =
        entries.filter(|e| e.fields_v1.as_ref().is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some()));
    holding.filter_map(|entry| entry.manager.clone()).collect()
}

#[tokio::test]
async fn an_ignored_field_is_set_once_and_stays_as_others_want_it() {
    let world = World::new("ignored").await;
    let kind = world.kind("apps/v1", "Deployment").await;
    let terms = ignoring(&["/spec/replicas"]);
    let of =
        |image: &str, replicas: i32| desired(&world, &kind, deployment(image), json!({"spec": {"replicas": replicas}}));
    let made = world.cluster.make(&world.owner, &of("one", 3), &terms).await.unwrap();
    assert_eq!(made.change, Change::Created);
    let live = world.get(&kind, "a").await;
    assert_eq!((&live.data["spec"]["replicas"], holders(&live)), (&json!(3), vec!["db-query-operator-initial".into()]));
    assert!(known(&world, &of("one", 9)).await.is_applied(&of("one", 9).hash));

    update(&world, &of("two", 9), &terms).await.unwrap();
    let live = world.get(&kind, "a").await;
    assert_eq!(live.data["spec"]["replicas"], 3, "what the row says later is of no account");
    assert_eq!(live.data["spec"]["template"]["spec"]["containers"][0]["image"], "two");

    scale(&world, &kind, 5).await;
    update(&world, &of("three", 9), &terms).await.unwrap();
    let live = world.get(&kind, "a").await;
    assert_eq!((&live.data["spec"]["replicas"], holders(&live)), (&json!(5), vec!["autoscaler".into()]));
}

#[tokio::test]
async fn a_creation_that_was_interrupted_is_finished_without_losing_the_value() {
    let world = World::new("interrupted").await;
    let kind = world.kind("apps/v1", "Deployment").await;
    let terms = ignoring(&["/spec/replicas"]);
    let desired = desired(&world, &kind, deployment("one"), json!({"spec": {"replicas": 3}}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    assert!(!known(&world, &desired).await.is_applied(&desired.hash), "or nothing would ever finish it");
    update(&world, &desired, &terms).await.unwrap();
    let live = world.get(&kind, "a").await;
    assert_eq!((&live.data["spec"]["replicas"], holders(&live)), (&json!(3), vec!["db-query-operator-initial".into()]));
}

#[tokio::test]
async fn a_field_that_is_ignored_from_now_on_keeps_the_value_it_has() {
    let world = World::new("ignored-later").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let before = world.desired(&maps, "a", json!({"data": {"a": "1", "b": "2", "c": "3"}}));
    world.cluster.create(&world.owner, &before).await.unwrap();
    for (terms, left) in [
        (ignoring(&["/data/a"]), json!({"data": {"b": "2", "c": "3"}})),
        // One more: what the second manager holds already must not be lost.
        (ignoring(&["/data/a", "/data/b"]), json!({"data": {"c": "4"}})),
    ] {
        update(&world, &world.desired(&maps, "a", left), &terms).await.unwrap();
    }
    assert_eq!(world.get(&maps, "a").await.data["data"], json!({"a": "1", "b": "2", "c": "4"}));

    // And ours again.
    let after = world.desired(&maps, "a", json!({"data": {"a": "5", "b": "2"}}));
    update(&world, &after, &Terms::default()).await.unwrap();
    assert_eq!(world.get(&maps, "a").await.data["data"], json!({"a": "5", "b": "2"}));
}

#[tokio::test]
async fn a_part_of_what_is_set_as_a_whole_is_refused_by_name() {
    let world = World::new("ignored-part").await;
    let kind = world.kind("apps/v1", "Deployment").await;
    let terms = ignoring(&["/spec/selector/matchLabels/a"]);
    world.cluster.create(&world.owner, &world.desired(&kind, "a", deployment("one"))).await.unwrap();
    let error = update(&world, &world.desired(&kind, "a", deployment("two")), &terms).await.unwrap_err();
    let shown = "ignoreFields: /spec/selector/matchLabels/a is part of a field that is only ever set as a whole";
    assert_eq!((error.to_string().as_str(), error.is_retryable()), (shown, false));
}

#[tokio::test]
async fn an_adopted_object_keeps_its_own_value_and_release_gives_up_both_entries() {
    let world = World::new("ignored-adopted").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let uid = world.foreign(&maps, "a", json!({"data": {"a": "theirs"}})).await.metadata.uid.unwrap();
    let terms = ignoring(&["/data/a", "/data/b"]);
    let more = desired(&world, &maps, json!({"data": {"c": "ours"}}), json!({"data": {"a": "ours", "b": "ours"}}));
    world.cluster.adopt(&world.owner, &more, &uid, &terms).await.unwrap();
    assert_eq!(world.get(&maps, "a").await.data["data"], json!({"a": "theirs", "c": "ours"}));

    // One that we set ourselves before it was ignored.
    let with = world.desired(&maps, "a", json!({"data": {"b": "ours", "c": "ours"}}));
    update(&world, &with, &Terms::default()).await.unwrap();
    update(&world, &more, &terms).await.unwrap();
    let managers = |object: &DynamicObject| {
        object.metadata.managed_fields.iter().flatten().filter_map(|e| e.manager.clone()).collect::<Vec<_>>()
    };
    assert_eq!(managers(&world.get(&maps, "a").await).len(), 3);
    assert_eq!(world.delete(&maps, "a").await.unwrap(), Deleted::Released);
    let after = world.get(&maps, "a").await;
    assert_eq!((&after.data["data"], managers(&after)), (&json!({"a": "theirs"}), vec!["somebody-else".to_owned()]));
}

#[tokio::test]
async fn an_orphan_keeps_its_ignored_fields_when_it_is_released() {
    let world = World::new("ignored-orphan").await;
    let kind = world.kind("apps/v1", "Deployment").await;
    let terms = ignoring(&["/spec/replicas"]);
    let desired = desired(&world, &kind, deployment("one"), json!({"spec": {"replicas": 3}}));
    let uid = world.cluster.make(&world.owner, &desired, &terms).await.unwrap().known.uid;
    world.cluster.orphan(&kind, &desired.id, &world.owner).await.unwrap();
    let again = owner(world.namespace.name(), "shop", "33333333-0000-0000-0000-000000000003");
    let released = world.cluster.delete_owned(&kind, &desired.id, &uid, None, &again).await.unwrap();
    assert_eq!(released, Deleted::Released);
    let after = world.get(&kind, "a").await;
    assert_eq!((&after.data["spec"]["replicas"], holders(&after)), (&json!(3), Vec::new()));
}

#[tokio::test]
async fn a_password_is_set_once_however_it_is_written() {
    let world = World::new("password").await;
    let kind = world.kind("v1", "Secret").await;
    for (field, once, later) in [("data", "b25jZQ==", "bGF0ZXI="), ("stringData", "once", "later")] {
        let terms = ignoring(&[&format!("/{field}/password")]);
        let of = |user: &str, password: &str| {
            let mut ignored = json!({});
            ignored[field] = json!({ "password": password });
            desired(&world, &kind, json!({"stringData": {"user": user}}), ignored)
        };
        world.cluster.make(&world.owner, &of("one", once), &terms).await.unwrap();
        update(&world, &of("two", later), &terms).await.unwrap();
        let live = world.get(&kind, "a").await;
        assert_eq!(live.data["data"], json!({"password": "b25jZQ==", "user": "dHdv"}), "{field}");
        world.delete(&kind, "a").await.unwrap();
    }
}
