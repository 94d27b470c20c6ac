//! What others do to our objects is put right, long before the query is due.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::world::{PATIENCE, World};

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n  labels:\n    app: x\n\
                        data:\n  v: {{ row.v | quote }}\n  w: \"w\"\n";

/// A world in which nothing is looked at by time.
async fn world(test: &str, names: &[&str]) -> World {
    let world = World::new(test, names).await;
    world.create("q", json!({"pollInterval": "1h", "resourceTemplate": TEMPLATE})).await;
    world.ready("q").await;
    world
}

async fn change(world: &World, name: &str, patch: Value) {
    world.config_maps().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn until_right(world: &World, name: &str) -> ConfigMap {
    eventually(&format!("{name} is as it should be"), PATIENCE, async || {
        let object = world.config_maps().get_opt(name).await.unwrap()?;
        let data = json!(object.data) == json!({"v": "one", "w": "w"});
        let labels = object.metadata.labels.clone().unwrap_or_default();
        let has = |key: &str, value: &str| labels.get(key).is_some_and(|is| is == value);
        (data && has("app", "x") && has("konnektr.io/managed-by", "q")).then_some(object)
    })
    .await
}

#[tokio::test]
async fn whatever_somebody_does_to_an_object_is_put_right() {
    let world = world("drift", &["a", "b"]).await;
    for patch in [
        json!({"data": {"v": "edited"}}),
        json!({"data": {"v": null}}),
        json!({"data": null}),
        json!({"metadata": {"labels": {"app": "other"}}}),
        json!({"metadata": {"labels": {"app": null}}}),
        json!({"metadata": {"labels": {"konnektr.io/managed-by": null}}}),
        json!({"metadata": {"labels": {"konnektr.io/managed-by": "somebody"}}}),
        json!({"metadata": {"annotations": {"konnektr.io/applied-hash": "x"}}}),
        json!({"metadata": {"annotations": {"konnektr.io/owner-uid": null}}}),
    ] {
        // Each for an object of its own: none is changed again and again.
        change(&world, "a", patch).await;
        until_right(&world, "a").await;
        world.run_sql("DELETE FROM t WHERE name = 'a'").await;
        world.another_pass("q").await;
        world.run_sql("INSERT INTO t (name, v) VALUES ('a', 'one')").await;
        world.another_pass("q").await;
    }
    world.config_maps().delete("b", &DeleteParams::default()).await.unwrap();
    until_right(&world, "b").await;
}

#[tokio::test]
async fn a_label_that_is_taken_off_time_and_again_is_put_back_each_time() {
    let world = world("drift-labels", &["a", "b"]).await;
    for name in ["a", "b"] {
        change(&world, name, json!({"metadata": {"labels": {"konnektr.io/managed-by": null}}})).await;
        until_right(&world, name).await;
    }
}

/// While the database is away, nothing is put right, and a row may go.
#[tokio::test]
async fn what_lost_its_label_while_the_database_was_away_goes_with_its_row_or_its_resource() {
    let world = world("drift-away", &["stays", "goes", "stranger"]).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace.name());
    let password = async |password: &str| {
        let patch = json!({"stringData": {"password": password}});
        secrets.patch("db", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    let right = secrets.get("db").await.unwrap().data.unwrap().remove("password").unwrap();
    let away = async || {
        password("wrong").await;
        world.condition("q", "DatabaseConnected", "False", None).await;
    };
    // Nor does the garbage collector help.
    let unlabel = async |name| {
        let patch = json!({"metadata": {"labels": {"konnektr.io/managed-by": null}, "ownerReferences": null}});
        change(&world, name, patch).await;
    };
    away().await;
    unlabel("goes").await;
    // Nothing of it is ours any more.
    unlabel("stranger").await;
    change(&world, "stranger", json!({"metadata": {"annotations": {"konnektr.io/owner-uid": null}}})).await;
    world.run_sql("DELETE FROM t WHERE name <> 'stays'").await;
    password(std::str::from_utf8(&right.0).unwrap()).await;
    world.until_value("goes", None).await;
    world.ready("q").await;
    assert!(world.config_maps().get_opt("stranger").await.unwrap().is_some());

    away().await;
    unlabel("stays").await;
    world.delete("q").await;
    world.until_value("stays", None).await;
}

/// Nobody puts it right while its resource is suspended.
#[tokio::test]
async fn what_got_another_label_goes_with_its_resource() {
    let world = world("drift-relabelled", &["a", "b"]).await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.condition("q", "ChangeDetection", "Unknown", Some("Suspended")).await;
    let labels = json!({"konnektr.io/managed-by": "another"});
    change(&world, "a", json!({"metadata": {"labels": labels, "ownerReferences": null}})).await;
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(world.config_maps().get_opt("a").await.unwrap().is_none(), "no listing by label has it");
}

#[tokio::test]
async fn what_others_add_stays() {
    let world = world("drift-added", &["a"]).await;
    change(&world, "a", json!({"data": {"theirs": "t"}, "metadata": {"labels": {"team": "t"}}})).await;
    let added = world.config_maps().get("a").await.unwrap();
    world.another_pass("q").await;
    assert_eq!(world.config_maps().get("a").await.unwrap(), added);
    change(&world, "a", json!({"data": {"v": "edited"}})).await;
    eventually("ours is back and theirs is there", PATIENCE, async || {
        let object = world.config_maps().get("a").await.unwrap();
        (json!(object.data) == json!({"v": "one", "w": "w", "theirs": "t"})).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_done_while_nobody_watched_is_put_right_after_a_start() {
    let mut world = world("drift-down", &["edited", "removed", "emptied", "same"]).await;
    world.operator.terminate();
    change(&world, "edited", json!({"data": {"v": "edited"}})).await;
    change(&world, "removed", json!({"data": {"w": null}})).await;
    change(&world, "emptied", json!({"data": null})).await;
    let same = world.config_maps().get("same").await.unwrap();
    world.restart();
    for name in ["edited", "removed", "emptied"] {
        until_right(&world, name).await;
    }
    assert_eq!(world.config_maps().get("same").await.unwrap(), same);
}

#[tokio::test]
async fn a_status_is_not_ours_and_causes_no_write() {
    let world = World::new("drift-status", &["a"]).await;
    let template = "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ row.name }}\nspec:\n  type: LoadBalancer\n  \
                    ports:\n  - port: 80\n  selector:\n    app: x\n";
    world.create("q", json!({"pollInterval": "1h", "resourceTemplate": template})).await;
    world.ready("q").await;
    let services: Api<k8s_openapi::api::core::v1::Service> =
        Api::namespaced(world.client.clone(), world.namespace.name());
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    services.patch_status("a", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let after = services.get("a").await.unwrap().metadata.resource_version;
    world.another_pass("q").await;
    assert_eq!(services.get("a").await.unwrap().metadata.resource_version, after);
}

#[tokio::test]
async fn a_scaled_deployment_stays_scaled_and_is_written_to_only_for_a_change() {
    let mut world = World::new("drift-scaled", &["a"]).await;
    let template = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ row.name }}\nspec:\n  replicas: 1\n  \
                    paused: true\n  selector:\n    matchLabels:\n      app: x\n  template:\n    metadata:\n      \
                    labels:\n        app: x\n    spec:\n      containers:\n      - name: c\n        image: {{ row.v }}\n";
    world.create("q", json!({"pollInterval": "1h", "resourceTemplate": template})).await;
    world.ready("q").await;
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), world.namespace.name());
    let scale = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let autoscaler = PatchParams { field_manager: Some("horizontal-pod-autoscaler".into()), ..PatchParams::default() };
    deployments.patch_scale("a", &autoscaler, &scale).await.unwrap();
    let generation = async || deployments.get("a").await.unwrap().metadata.generation;
    let scaled = generation().await;
    world.another_pass("q").await;
    world.restart();
    world.another_pass("q").await;
    assert_eq!(generation().await, scaled);
    let updated = || world.operator.logs().matches("updated dbqr").count();
    assert_eq!(updated(), 0, "not even an apply that changes nothing");
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.another_pass("q").await;
    let spec = deployments.get("a").await.unwrap().spec.unwrap();
    assert_eq!((spec.replicas, updated()), (Some(3), 1));
    assert_eq!(spec.template.spec.unwrap().containers[0].image.as_deref(), Some("two"));
}

#[tokio::test]
async fn who_fights_for_an_object_is_told_of_and_let_wait() {
    let world = world("contest", &["a", "b"]).await;
    let params = PatchParams::apply("rival").force();
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"v": "theirs"}});
    for _ in 0..4 {
        until_right(&world, "a").await;
        world.config_maps().patch("a", &params, &Patch::Apply(&theirs)).await.unwrap();
    }
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    let note = eventually("the contest is told of", PATIENCE, async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.into_iter().find(|event| event.reason.as_deref() == Some("Contested"))?.note
    })
    .await;
    assert!(note.contains("/a is changed again and again by rival"), "{note}");
    change(&world, "b", json!({"data": {"v": "edited"}})).await;
    until_right(&world, "b").await;
    until_right(&world, "a").await;
}

#[tokio::test]
async fn who_never_gives_up_is_answered_ever_more_seldom_however_often_rows_are_read() {
    let world = World::new("contest-long", &["a", "b"]).await;
    for (resource, name, interval) in [("q", "a", "1h"), ("polled", "b", "1s")] {
        let query = format!("SELECT name, v FROM t WHERE name = '{name}'");
        world.create(resource, json!({"pollInterval": interval, "query": query})).await;
        world.ready(resource).await;
    }
    let answers = |name: &str| {
        let end = format!("/{name}");
        world.operator.logs().lines().filter(|line| line.contains(" updated ") && line.ends_with(&end)).count()
    };
    let both = || ["a", "b"].map(answers);
    let strike = async || {
        for name in ["a", "b"] {
            change(&world, name, json!({"data": {"v": "theirs"}})).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let mut strikes = 0;
    while both().into_iter().any(|answers| answers < 5) {
        strike().await;
        strikes += 1;
        assert!(strikes < 1000, "both should be answered: {:?}", both());
    }
    let first = both();
    for _ in 0..strikes {
        strike().await;
    }
    for (first, all) in first.into_iter().zip(both()) {
        assert!(4 * all < 2 * strikes, "{all} answers to {strikes} strikes, twice");
        assert!(
            2 * (all - first) <= first,
            "{first} answers to {strikes} strikes, and {} to as many more",
            all - first
        );
    }
    // As soon as they give up, it ends; and it was told once of each.
    for name in ["a", "b"] {
        eventually("it is ours", 2 * PATIENCE, async || {
            (world.value(name).await.as_deref() == Some("one")).then_some(())
        })
        .await;
    }
    let versions = world.versions("q", &["a", "b"]).await;
    world.another_pass("q").await;
    world.another_pass("polled").await;
    assert_eq!(world.versions("q", &["a", "b"]).await[1..], versions[1..]);
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let notes: Vec<_> = events.iter().filter(|event| event.reason.as_deref() == Some("Contested")).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
}
