//! What is deleted, and above all what is not.

use dbqo::cluster::{Deleted, Terms};
use dbqo::logic::object::{Known, Ownership};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{World, owner};

#[tokio::test]
async fn ours_is_deleted_and_what_is_gone_is_gone() {
    let world = World::new("delete").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    let delete = async || world.delete(&maps, "a").await.unwrap();
    assert_eq!(delete().await, Deleted::Deleted);
    assert_eq!(delete().await, Deleted::AlreadyGone);
    assert!(world.api(&maps).get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn another_object_of_that_name_is_left_alone() {
    let world = World::new("another").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    let deleted = world.cluster.delete_owned(&maps, &desired.id, "the uid of an earlier one", None, &world.owner).await;
    assert_eq!(deleted.unwrap(), Deleted::AlreadyGone);
    assert!(world.api(&maps).get_opt("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_copy_of_ours_is_not_ours() {
    let world = World::new("copy").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    let ours = world.get(&maps, "a").await;
    let marks = json!({"metadata": {"labels": ours.metadata.labels, "annotations": ours.metadata.annotations}});
    world.foreign(&maps, "copy", marks).await;
    let deleted = world.delete(&maps, "copy").await.unwrap();
    assert_eq!(deleted, Deleted::NotOurs(Ownership::Foreign));
    assert!(world.api(&maps).get_opt("copy").await.unwrap().is_some());
}

#[tokio::test]
async fn a_foreign_a_protected_and_anothers_object_stay() {
    let world = World::new("stay").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let delete = async |name| world.delete(&maps, name).await.unwrap();

    world.foreign(&maps, "foreign", json!({})).await;
    assert_eq!(delete("foreign").await, Deleted::NotOurs(Ownership::Foreign));

    world.cluster.create(&world.owner, &world.desired(&maps, "protected", json!({}))).await.unwrap();
    let protect = json!({"metadata": {"annotations": {"konnektr.io/prune": "disabled"}}});
    world.api(&maps).patch("protected", &PatchParams::default(), &Patch::Merge(&protect)).await.unwrap();
    assert_eq!(delete("protected").await, Deleted::Protected);

    let other = owner(world.namespace.name(), "other", "22222222-0000-0000-0000-000000000002");
    world.cluster.create(&other, &world.desired_of(&other, &maps, "others", json!({}))).await.unwrap();
    let whose = Ownership::OtherOwner { owner: format!("{}/other", world.namespace.name()) };
    assert_eq!(delete("others").await, Deleted::NotOurs(whose));

    for name in ["foreign", "protected", "others"] {
        assert!(world.api(&maps).get_opt(name).await.unwrap().is_some(), "{name}");
    }
}

/// Protected, adopted or made another's after it was seen.
#[tokio::test]
async fn what_was_seen_to_be_deletable_is_looked_at_again_where_it_has_changed_since() {
    let world = World::new("seen").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let other = owner(world.namespace.name(), "other", "22222222-0000-0000-0000-000000000002");
    let whose = Ownership::OtherOwner { owner: format!("{}/other", world.namespace.name()) };
    for (name, changes, becomes) in [
        ("same", json!({}), Deleted::Deleted),
        ("written", json!({"data": {"k": "theirs"}}), Deleted::Deleted),
        ("protected", json!({"metadata": {"annotations": {"konnektr.io/prune": "disabled"}}}), Deleted::Protected),
        ("adopted", json!({"metadata": {"annotations": {"konnektr.io/adopted": "true"}}}), Deleted::Released),
        ("others", json!({}), Deleted::NotOurs(whose)),
    ] {
        let desired = world.desired(&maps, name, json!({}));
        let seen = world.cluster.create(&world.owner, &desired).await.unwrap().known;
        let version = seen.deletable();
        assert!(version.is_some());
        if name == "others" {
            let known = Known { uid: seen.uid.clone(), ..Known::default() };
            let theirs = world.desired_of(&other, &maps, name, json!({}));
            world.cluster.update(&other, &theirs, &known, &Terms::default()).await.unwrap();
        }
        world.api(&maps).patch(name, &PatchParams::default(), &Patch::Merge(&changes)).await.unwrap();
        let deleted = world.cluster.delete_owned(&maps, &desired.id, &seen.uid, version, &world.owner).await.unwrap();
        assert_eq!(deleted, becomes, "{name}");
        let is_there = world.api(&maps).get_opt(name).await.unwrap().is_some();
        assert_eq!(is_there, deleted != Deleted::Deleted, "{name}");
    }
}

#[tokio::test]
async fn an_apply_tells_that_an_object_must_not_be_deleted() {
    let world = World::new("told").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({"data": {"k": "1"}}));
    let known = world.cluster.create(&world.owner, &desired).await.unwrap().known;
    let protect = json!({"metadata": {"annotations": {"konnektr.io/prune": "disabled"}}});
    world.api(&maps).patch("a", &PatchParams::default(), &Patch::Merge(&protect)).await.unwrap();
    let next = world.desired(&maps, "a", json!({"data": {"k": "2"}}));
    let applied = world.cluster.update(&world.owner, &next, &known, &Terms::default()).await.unwrap();
    assert_eq!(next.applied(applied.known).deletable(), None);
}

#[tokio::test]
async fn an_object_that_keeps_changing_is_deleted_all_the_same() {
    let world = World::new("busy").await;
    let maps = world.kind("v1", "ConfigMap").await;
    for round in 0..10 {
        let name = format!("a{round}");
        let desired = world.desired(&maps, &name, json!({}));
        world.cluster.create(&world.owner, &desired).await.unwrap();
        let write = async {
            for i in 0..3 {
                let data = json!({"data": {"k": i.to_string()}});
                let _ = world.api(&maps).patch(&name, &PatchParams::default(), &Patch::Merge(&data)).await;
            }
        };
        let (deleted, ()) = tokio::join!(world.delete(&maps, &name), write);
        assert_eq!(deleted.unwrap(), Deleted::Deleted);
    }
}
