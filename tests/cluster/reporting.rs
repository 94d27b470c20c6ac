//! Status, finalizers, events and Secrets.

use std::time::Duration;

use dbqo::logic::outcome::Notice;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::{World, support};

/// A DatabaseQueryResource named `shop`.
pub async fn resource(world: &World) -> (Api<DynamicObject>, DynamicObject) {
    support::install_crd(&world.client).await;
    let kind = support::eventually("the kind is known", Duration::from_secs(20), async || {
        world.cluster.kind("konnektr.io/v1alpha1", "DatabaseQueryResource").await.ok()
    })
    .await;
    let object = json!({"spec": {
        "database": {"type": "postgres", "connectionSecretRef": {"name": "s"}},
        "query": "SELECT 1", "template": "x",
    }});
    let object = world.foreign(&kind, "shop", object).await;
    (world.api(&kind), object)
}

#[tokio::test]
async fn our_finalizer_comes_and_goes_and_those_of_others_stay() {
    let world = World::new("finalizers").await;
    let (api, object) = resource(&world).await;
    let finalizers = async || api.get("shop").await.unwrap().metadata.finalizers.unwrap_or_default();
    // Others write at the same time.
    let theirs = async {
        for i in 0..5 {
            let patch = json!([{"op": "add", "path": "/metadata/labels", "value": {"i": i.to_string()}}]);
            let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
            api.patch("shop", &PatchParams::default(), &patch).await.unwrap();
        }
        let patch = json!({"metadata": {"finalizers": ["x.io/y"]}});
        api.patch("shop", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    theirs.await;
    world.cluster.add_finalizer(&object.metadata).await.unwrap();
    world.cluster.add_finalizer(&object.metadata).await.unwrap();
    assert_eq!(finalizers().await, ["x.io/y", "konnektr.io/dbqr-finalizer"]);
    world.cluster.remove_finalizers(&object.metadata).await.unwrap();
    assert_eq!(finalizers().await, ["x.io/y"]);
    let mut other = object.metadata.clone();
    other.uid = Some("another".into());
    assert!(world.cluster.add_finalizer(&other).await.unwrap_err().is_not_found());
    world.cluster.remove_finalizers(&other).await.unwrap();
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("shop", &PatchParams::default(), &Patch::Merge(none)).await.unwrap();
}

#[tokio::test]
async fn the_status_is_merged() {
    let world = World::new("status").await;
    let (api, _) = resource(&world).await;
    let patch =
        async |value| world.cluster.patch_status(world.namespace.name(), "shop", &json!({"status": value})).await;
    patch(json!({"kinds": ["ConfigMap"], "rows": 3})).await.unwrap();
    patch(json!({"rows": 4})).await.unwrap();
    let status = api.get("shop").await.unwrap().data["status"].clone();
    assert_eq!((&status["kinds"], &status["rows"]), (&json!(["ConfigMap"]), &json!(4)));
    let nobody = world.cluster.patch_status(world.namespace.name(), "nobody", &json!({"status": {}})).await;
    assert!(nobody.unwrap_err().is_not_found());
}

#[tokio::test]
async fn each_note_is_an_event_and_a_repeated_one_counts_up() {
    let world = World::new("events").await;
    let (_, object) = resource(&world).await;
    let long = "é".repeat(2000);
    for note in ["one", "two", "one", "one", &long] {
        let notice = Notice { warning: true, reason: "Tested".into(), note: note.into() };
        world.cluster.publish(&object.metadata, &notice).await;
    }
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    let mut events: Vec<_> = events.list(&ListParams::default()).await.unwrap().items;
    events.sort_by_key(|event| event.note.clone());
    let seen: Vec<_> = events.iter().map(|e| (e.note.clone().unwrap(), e.series.as_ref().map(|s| s.count))).collect();
    assert_eq!(seen, [("one".into(), Some(3)), ("two".into(), None), ("é".repeat(512), None)]);
    assert_eq!(events[0].regarding.as_ref().unwrap().uid, object.metadata.uid);
}

#[tokio::test]
async fn a_secret_is_read_or_named_as_missing() {
    let world = World::new("secret").await;
    let secrets = world.kind("v1", "Secret").await;
    world.foreign(&secrets, "s", json!({"stringData": {"password": "p"}})).await;
    let data = world.cluster.secret(world.namespace.name(), "s").await.unwrap();
    assert_eq!(data["password"].0, b"p");
    let missing = world.cluster.secret(world.namespace.name(), "none").await.unwrap_err();
    assert_eq!(missing.reason(), "SecretNotFound");
    assert_eq!(missing.to_string(), format!("the Secret {}/none does not exist", world.namespace.name()));
}
