//! Objects of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dbqo::cluster::{ApplyError, Change, Cluster, Conflict, Deleted, Limits, Onlooker, Terms};
use dbqo::logic::object::{Hold, Kind, Ownership};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::support::proxy::{Fate, Proxy, is_write};
use crate::{World, support, visible};

/// A kind of one test's own: a field of it cannot be taken away again.
struct Stickies {
    definitions: Arc<Kind>,
    name: String,
    kind: Arc<Kind>,
}

impl Stickies {
    async fn new(world: &World, test: &str) -> Self {
        let group = format!("{test}{}.example.org", std::process::id());
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
        let name = format!("stickies.{group}");
        world.foreign(&definitions, &name, definition).await;
        let kind = support::eventually("the kind is served", Duration::from_secs(20), async || {
            let kind = world.cluster.kind(&format!("{group}/v1"), "Sticky").await.ok()?;
            world.api(&kind).list(&ListParams::default()).await.ok().map(|_| kind)
        })
        .await;
        Self { definitions, name, kind }
    }

    async fn remove(self, world: &World) {
        world.api(&self.definitions).delete(&self.name, &DeleteParams::default()).await.unwrap();
    }
}

const MET: Result<dbqo::cluster::Applied, ApplyError> = Err(ApplyError::Conflict(Conflict::Exists));

#[tokio::test]
async fn a_foreign_object_met_while_creating_is_left_exactly_as_it_was() {
    let world = World::new("met").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let theirs = json!({"data": {"k": "theirs"}, "metadata": {"labels": {"app": "x"}}});
    let before = world.foreign(&maps, "a", theirs).await;
    let desired = world.desired(&maps, "a", json!({"data": {"mine": "x"}}));
    assert_eq!(world.cluster.create(&world.owner, &desired).await, MET);
    assert_eq!(world.get(&maps, "a").await, before);

    // Of a kind that the server takes no unconditional update of.
    let stickies = Stickies::new(&world, "met").await;
    let before = world.foreign(&stickies.kind, "a", json!({"spec": {"other": "theirs"}})).await;
    let desired = world.desired(&stickies.kind, "a", json!({"spec": {"stays": "mine"}}));
    assert_eq!(world.cluster.create(&world.owner, &desired).await, MET);
    assert_eq!(world.get(&stickies.kind, "a").await, before);
    let created = world.cluster.create(&world.owner, &world.desired(&stickies.kind, "b", json!({"spec": {}}))).await;
    assert_eq!(created.unwrap().change, Change::Created);
    stickies.remove(&world).await;
}

/// Through this way the API server gets only every other request to change something; the others are answered so.
async fn faulty(fate: Fate) -> Cluster {
    let counted = AtomicU32::new(0);
    let proxy = Proxy::start(move |parts| {
        if is_write(parts) && counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { fate } else { Fate::Passes }
    })
    .await;
    let file = Kubeconfig::read_from(proxy.kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    Cluster::new(config, Limits::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_creates_after_an_attempt_of_ours_that_came_to_nothing_is_theirs() {
    let world = World::new("theirs-after").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let cluster = faulty(Fate::Refused(500)).await;
    let desired = world.desired(&maps, "a", json!({"data": {"mine": "x"}}));
    assert!(matches!(cluster.create(&world.owner, &desired).await, Err(ApplyError::Failed(_))));
    let before = world.foreign(&maps, "a", json!({"data": {"k": "theirs"}})).await;
    assert_eq!(cluster.create(&world.owner, &desired).await, MET);
    assert_eq!(world.get(&maps, "a").await, before);
    let found = cluster.look_up(&maps, &[&desired.id], &Onlooker::of(&world.owner)).await.unwrap();
    assert_eq!(found[&desired.id].1, Ownership::Foreign);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_created_without_hearing_of_it_is_ours_whoever_wrote_to_it_since() {
    let world = World::new("ours-before").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let cluster = faulty(Fate::CutOff).await;
    let desired = world.desired(&maps, "a", json!({"data": {"mine": "x"}}));
    assert!(matches!(cluster.create(&world.owner, &desired).await, Err(ApplyError::Failed(_))));
    let before = world.foreign(&maps, "a", json!({"data": {"k": "theirs"}})).await;
    assert_eq!(cluster.create(&world.owner, &desired).await, MET);
    assert_eq!(world.get(&maps, "a").await, before);
    let found = cluster.look_up(&maps, &[&desired.id], &Onlooker::of(&world.owner)).await.unwrap();
    let (known, whose) = &found[&desired.id];
    assert_eq!((known.hold, whose), (Hold::Created, &Ownership::Ours));
    assert_eq!(world.delete(&maps, "a").await.unwrap(), Deleted::Deleted);
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
    let stickies = Stickies::new(&world, "strip").await;
    let theirs = world.foreign(&stickies.kind, "a", json!({"spec": {"other": "theirs"}})).await;
    let desired = world.desired(&stickies.kind, "a", json!({"spec": {"stays": "mine"}}));
    world.cluster.adopt(&world.owner, &desired, &theirs.metadata.uid.unwrap(), &Terms::default()).await.unwrap();
    assert_eq!(world.delete(&stickies.kind, "a").await.unwrap(), Deleted::Released);
    let after = world.get(&stickies.kind, "a").await;
    assert_eq!(after.data["spec"], json!({"other": "theirs", "stays": "mine"}));
    assert!(!serde_json::to_string(&after.metadata).unwrap().contains("konnektr.io/"), "{:?}", after.metadata);
    let managers: Vec<_> = after.metadata.managed_fields.unwrap().into_iter().map(|e| e.manager.unwrap()).collect();
    assert_eq!(managers, ["somebody-else"]);
    stickies.remove(&world).await;
}
