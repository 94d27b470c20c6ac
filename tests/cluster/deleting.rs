//! What is deleted, and above all what is not.

use dbqo::cluster::Deleted;
use dbqo::logic::object::Ownership;
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
    let deleted = world.cluster.delete_owned(&maps, &desired.id, "the uid of an earlier one", &world.owner).await;
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
