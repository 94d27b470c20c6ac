//! Creating and updating.

use std::time::Duration;

use dbqo::cluster::{Applied, ApplyError, Change, Conflict, KindError, Onlooker, Terms};
use dbqo::logic::object::Ownership;
use dbqo::logic::queue::Work;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::{World, deployment, owner, support};

#[tokio::test]
async fn a_new_object_is_created_and_its_uid_told() {
    let world = World::new("create").await;
    let kind = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&kind, "a", json!({"data": {"k": "v"}}));
    let applied = world.cluster.create(&world.owner, &desired).await.unwrap();
    let live = world.get(&kind, "a").await;
    assert_eq!((applied.change, &*applied.known.uid), (Change::Created, live.metadata.uid.unwrap().as_str()));
    assert_eq!(live.data["data"]["k"], "v");
}

#[tokio::test]
async fn ours_is_updated_by_force() {
    let world = World::new("force").await;
    let kind = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&kind, "a", json!({"data": {"k": "v"}}));
    let uid = world.cluster.create(&world.owner, &desired).await.unwrap().known.uid;
    let stolen = json!({"data": {"k": "theirs"}});
    world.api(&kind).patch("a", &PatchParams::default(), &Patch::Merge(&stolen)).await.unwrap();
    assert_eq!(world.update(&desired, &uid).await, Ok((Change::Updated, uid)));
    assert_eq!(world.get(&kind, "a").await.data["data"]["k"], "v");
}

#[tokio::test]
async fn an_object_that_was_deleted_meanwhile_is_not_updated_into_being() {
    let world = World::new("deleted").await;
    for (api_version, name, object) in
        [("v1", "ConfigMap", json!({"data": {"k": "v"}})), ("apps/v1", "Deployment", deployment("i"))]
    {
        let kind = world.kind(api_version, name).await;
        let desired = world.desired(&kind, "a", object.clone());
        let uid = world.cluster.create(&world.owner, &desired).await.unwrap().known.uid;
        world.api(&kind).delete("a", &DeleteParams::background()).await.unwrap();
        support::eventually("deleted", Duration::from_secs(10), async || {
            world.api(&kind).get_opt("a").await.unwrap().is_none().then_some(())
        })
        .await;
        assert_eq!(world.update(&desired, &uid).await, Err(ApplyError::Replaced));
        assert!(world.api(&kind).get_opt("a").await.unwrap().is_none());
        // Nor is the one that took its name.
        let theirs = world.foreign(&kind, "a", object).await;
        assert_eq!(world.update(&desired, &uid).await, Err(ApplyError::Replaced));
        assert_eq!(
            world.get(&kind, "a").await.metadata.managed_fields.unwrap()[0].manager,
            Some("somebody-else".into())
        );
        assert_eq!(world.get(&kind, "a").await.metadata.uid, theirs.metadata.uid);
    }
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_waited_for() {
    let world = World::new("terminating").await;
    let kind = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&kind, "a", json!({"data": {"k": "v"}}));
    let uid = world.cluster.create(&world.owner, &desired).await.unwrap().known.uid;
    let finalizers = |list: serde_json::Value| json!({"metadata": {"finalizers": list}});
    let patch = |body| async move { Patch::Merge(body) };
    world.api(&kind).patch("a", &PatchParams::default(), &patch(finalizers(json!(["x.io/y"]))).await).await.unwrap();
    world.api(&kind).delete("a", &DeleteParams::default()).await.unwrap();
    let error = world.update(&desired, &uid).await.unwrap_err();
    assert_eq!(error, ApplyError::BeingDeleted);
    assert!(error.is_retryable());
    world.api(&kind).patch("a", &PatchParams::default(), &patch(finalizers(json!(null))).await).await.unwrap();
}

#[tokio::test]
async fn a_missing_and_a_terminating_namespace_are_named_as_such() {
    let world = World::new("namespaces").await;
    let kind = world.kind("v1", "ConfigMap").await;
    let mut nowhere = world.desired(&kind, "a", json!({"metadata": {"namespace": "there-is-none"}}));
    nowhere.id.namespace = Some("there-is-none".into());
    assert_eq!(world.cluster.create(&world.owner, &nowhere).await, Err(ApplyError::NamespaceMissing));

    let kept = json!({"metadata": {"finalizers": ["x.io/y"]}});
    world.foreign(&kind, "kept", kept).await;
    let namespaces = world.kind("v1", "Namespace").await;
    world.api(&namespaces).delete(world.namespace.name(), &DeleteParams::default()).await.unwrap();
    let desired = world.desired(&kind, "a", json!({}));
    let refused = support::eventually("terminating", Duration::from_secs(10), async || {
        world.cluster.create(&world.owner, &desired).await.err()
    })
    .await;
    assert_eq!(refused, ApplyError::NamespaceTerminating);
    world.foreign(&kind, "kept", json!({"metadata": {"finalizers": []}})).await;
}

#[tokio::test]
async fn two_owners_that_want_the_same_new_object_do_not_take_it_from_each_other() {
    let world = World::new("race").await;
    let kind = world.kind("v1", "ConfigMap").await;
    let other = owner(world.namespace.name(), "other", "22222222-0000-0000-0000-000000000002");
    for round in 0..20 {
        let name = format!("a{round}");
        let one = world.desired(&kind, &name, json!({"data": {"k": "one"}}));
        let two = world.desired_of(&other, &kind, &name, json!({"data": {"k": "two"}}));
        let (one, two) = tokio::join!(world.cluster.create(&world.owner, &one), world.cluster.create(&other, &two));
        assert!(matches!(one, Ok(Applied { change: Change::Created, .. })), "{one:?}");
        let namespace = world.namespace.name();
        assert_eq!(two, Err(ApplyError::Conflict(Conflict::Owner(format!("{namespace}/shop")))));
        assert_eq!(world.get(&kind, &name).await.data["data"], json!({"k": "one"}));
    }
}

#[tokio::test]
async fn a_kind_is_known_soon_after_its_definition_came() {
    let world = World::new("crd").await;
    // Digits alone would be no valid beginning of a name.
    let group = format!("g{}.example.org", std::process::id());
    let version = format!("{group}/v1");
    let unknown = world.cluster.kind(&version, "Widget").await.unwrap_err();
    assert!(matches!(unknown, KindError::Unknown { .. }), "{unknown}");
    let definitions = world.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").await;
    let definition = json!({"spec": {
        "group": group, "scope": "Cluster", "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        }}}],
    }});
    let name = format!("widgets.{group}");
    let desired = world.desired(&definitions, &name, definition);
    let work = Work::create(desired);
    let result = world.cluster.carry_out(&world.owner, &work, &Terms::default()).await;
    assert!(result.is_ok(), "{result:?}");
    let kind = support::eventually("the kind is known", Duration::from_secs(20), async || {
        world.cluster.kind(&version, "Widget").await.ok()
    })
    .await;
    assert!(!kind.namespaced);
    assert_eq!(world.cluster.served(&kind.group_kind).await.unwrap(), Some(kind.clone()));

    let desired = world.desired(&kind, "w", json!({"spec": {"size": 3}}));
    let uid = world.cluster.create(&world.owner, &desired).await.unwrap().known.uid;
    assert_eq!(world.update(&desired, &uid).await, Ok((Change::Updated, uid)));
    let found = world.cluster.look_up(&kind, &[&desired.id], &Onlooker::of(&world.owner)).await.unwrap();
    assert_eq!(found[&desired.id].1, Ownership::Ours);
    // Whatever has another's uid is refused for custom resources as well.
    let gone = world.update(&desired, "11111111-1111-1111-1111-111111111111").await;
    assert_eq!(gone, Err(ApplyError::Replaced));

    world.api(&definitions).delete(&name, &DeleteParams::default()).await.unwrap();
    support::eventually("the kind is gone", Duration::from_secs(30), async || {
        let _ =
            world.cluster.list_labelled(&kind, &world.owner, &dbqo::cluster::Scope::All, &world.owner.selector()).await;
        (world.cluster.served(&kind.group_kind).await == Ok(None)).then_some(())
    })
    .await;
}
