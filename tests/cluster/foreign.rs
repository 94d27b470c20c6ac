//! Objects of others.

use std::sync::Arc;
use std::time::Duration;

use dbqo::cluster::{ApplyError, Conflict};
use dbqo::logic::object::Owner;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::{World, deployment, support, visible};

const MET: Result<dbqo::cluster::Applied, ApplyError> = Err(ApplyError::Conflict(Conflict::Exists { released: true }));

#[tokio::test]
async fn a_foreign_object_met_while_creating_is_left_exactly_as_it_was() {
    let world = World::new("met").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let theirs = json!({"data": {"k": "theirs"}, "metadata": {"labels": {"app": "x"}}});
    let before = world.foreign(&maps, "a", theirs).await;
    // An owner that exists: else the garbage collector may take the object at the very moment.
    let uid = world.foreign(&maps, "o", json!({})).await.metadata.uid.unwrap();
    let owner = Arc::new(Owner { uid: uid.clone(), ..(*world.owner).clone() });
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid, "controller": true}]);
    let object = json!({"data": {"mine": "x"}, "metadata": {"ownerReferences": reference}});
    let desired = world.desired_of(&owner, &maps, "a", object);
    assert_eq!(world.cluster.create(&owner, &desired).await, MET);
    assert_eq!(visible(&world.get(&maps, "a").await), visible(&before));

    let deployments = world.kind("apps/v1", "Deployment").await;
    world.foreign(&deployments, "d", deployment("theirs")).await;
    let mut mine = deployment("theirs");
    mine["spec"]["template"]["spec"]["containers"] = json!([{"name": "extra", "image": "mine"}]);
    mine["spec"]["minReadySeconds"] = json!(7);
    let desired = world.desired(&deployments, "d", mine);
    assert_eq!(world.cluster.create(&world.owner, &desired).await, MET);
    let after = world.get(&deployments, "d").await;
    assert_eq!(after.data["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 1);
    assert!(after.data["spec"].get("minReadySeconds").is_none());
    assert!(!serde_json::to_string(&after.metadata).unwrap().contains("konnektr.io"), "{:?}", after.metadata);
    assert!(!after.metadata.managed_fields.unwrap().iter().any(|e| e.manager.as_deref() == Some("db-query-operator")));
}

#[tokio::test]
async fn a_foreign_object_without_field_managers_is_foreign_as_well() {
    let world = World::new("nomanagers").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), world.namespace.name());
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "theirs"}})).unwrap();
    api.create(&PostParams::default(), &map).await.unwrap();
    let none = json!({"metadata": {"managedFields": [{}]}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    let desired = world.desired(&maps, "a", json!({"data": {"mine": "x"}}));
    assert_eq!(world.cluster.create(&world.owner, &desired).await, MET);
    let after = world.get(&maps, "a").await;
    assert_eq!(after.data["data"], json!({"k": "theirs"}));
    assert_eq!((after.metadata.labels, after.metadata.annotations), (None, None));
}

#[tokio::test]
async fn a_field_of_another_manager_is_a_conflict_that_names_both() {
    let world = World::new("conflict").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let before = world.foreign(&maps, "a", json!({"data": {"k": "theirs"}})).await;
    let desired = world.desired(&maps, "a", json!({"data": {"k": "mine"}}));
    let error = world.cluster.create(&world.owner, &desired).await.unwrap_err();
    assert_eq!(error.to_string(), "others manage its fields: .data.k (somebody-else)");
    assert_eq!(error.reason(), "Conflict");
    assert_eq!(visible(&world.get(&maps, "a").await), visible(&before));
}

#[tokio::test]
async fn an_orphan_keeps_its_marks_and_loses_the_reference() {
    let world = World::new("orphan").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let keeper = world.foreign(&maps, "keeper", json!({})).await;
    // The collector would delete it at once for an owner that does not exist: a second, living one holds it.
    let both = json!([
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "keeper", "uid": keeper.metadata.uid},
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": world.owner.uid},
    ]);
    let desired = world.desired(&maps, "a", json!({"data": {"k": "v"}, "metadata": {"ownerReferences": both}}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    world.cluster.orphan(&maps, &desired.id, &world.owner).await.unwrap();
    let after = world.get(&maps, "a").await;
    assert_eq!(after.metadata.owner_references.unwrap().len(), 1);
    assert_eq!(after.metadata.annotations.as_ref().unwrap()["konnektr.io/adopted"], "true");
    assert_eq!(after.metadata.annotations.unwrap()["konnektr.io/owner-uid"], world.owner.uid);
}

#[tokio::test]
async fn where_the_api_refuses_that_we_give_up_our_fields_at_least_our_marks_go() {
    let world = World::new("strip").await;
    let group = format!("s{}.example.org", std::process::id());
    let definitions = world.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").await;
    let definition = json!({"spec": {
        "group": group, "scope": "Namespaced", "names": {"kind": "Sticky", "plural": "stickies"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {
                "type": "object", "properties": {"stays": {"type": "string"}, "other": {"type": "string"}},
                "x-kubernetes-validations": [{"rule": "!has(oldSelf.stays) || has(self.stays)"}],
            }},
        }}}],
    }});
    world.foreign(&definitions, &format!("stickies.{group}"), definition).await;
    let kind = support::eventually("the kind is known", Duration::from_secs(20), async || {
        world.cluster.kind(&format!("{group}/v1"), "Sticky").await.ok()
    })
    .await;
    world.foreign(&kind, "a", json!({"spec": {"other": "theirs"}})).await;
    let desired = world.desired(&kind, "a", json!({"spec": {"stays": "mine"}}));
    assert_eq!(world.cluster.create(&world.owner, &desired).await, MET);
    let after = world.get(&kind, "a").await;
    assert_eq!(after.data["spec"], json!({"other": "theirs", "stays": "mine"}));
    assert!(!serde_json::to_string(&after.metadata).unwrap().contains("konnektr.io/"), "{:?}", after.metadata);
    let managers: Vec<_> = after.metadata.managed_fields.unwrap().into_iter().map(|e| e.manager.unwrap()).collect();
    assert_eq!(managers, ["somebody-else"]);
    world.api(&definitions).delete(&format!("stickies.{group}"), &DeleteParams::default()).await.unwrap();
}
