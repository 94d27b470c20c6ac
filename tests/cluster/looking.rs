//! Listing and looking up.

use dbqo::cluster::{Failure, Onlooker, Scope, Terms};
use dbqo::logic::object::{GroupKind, ObjectId, Ownership};
use dbqo::logic::queue::Work;
use futures::{StreamExt, stream};
use serde_json::json;

use crate::World;

#[tokio::test]
async fn a_listing_of_many_pages_is_complete() {
    let world = World::new("pages").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let terms = Terms::default();
    let work = stream::iter(0..1200).map(async |i| {
        let work = Work::create(world.desired(&maps, &format!("a{i}"), json!({})));
        world.cluster.carry_out(&world.owner, &work, &terms).await
    });
    let applied: Vec<_> = work.buffer_unordered(world.cluster.at_once()).collect().await;
    assert!(applied.iter().all(Result::is_ok));
    world.foreign(&maps, "foreign", json!({})).await;

    for scope in [Scope::All, Scope::Namespace(world.namespace.name().into())] {
        let owned = world.cluster.list_labelled(&maps, &world.owner, &scope, &world.owner.selector()).await.unwrap();
        assert_eq!(owned.len(), 1200);
        assert!(owned.iter().all(|owned| owned.ownership == Ownership::Ours && owned.known.hash.is_some()));
    }
    let nothing = world
        .cluster
        .list_labelled(&maps, &world.owner, &Scope::Namespace("there-is-none".into()), &world.owner.selector())
        .await;
    assert_eq!(nothing, Ok(Vec::new()));

    // Few of many, many of many, and some that do not exist.
    for count in [3, 40, 900] {
        let names = (0..count).map(|i| format!("a{i}")).chain(["foreign".into(), "none".into()]);
        let ids: Vec<ObjectId> = names.map(|name| world.id(&maps, &name)).collect();
        let ids: Vec<&ObjectId> = ids.iter().collect();
        let found = world.cluster.look_up(&maps, &ids, &Onlooker::of(&world.owner)).await.unwrap();
        assert_eq!(found.len(), count + 1);
        assert_eq!(found[&world.id(&maps, "foreign")].1, Ownership::Foreign);
        assert_eq!(found[&world.id(&maps, "a0")].1, Ownership::Ours);
    }
}

#[tokio::test]
async fn cluster_scoped_objects_are_found_in_every_scope() {
    let world = World::new("scoped").await;
    let roles = world.kind("rbac.authorization.k8s.io/v1", "ClusterRole").await;
    assert!(!roles.namespaced);
    let desired = world.desired(&roles, &format!("system:{}", world.namespace.name()), json!({"rules": []}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    for scope in [Scope::All, Scope::Namespace(world.namespace.name().into())] {
        let owned = world.cluster.list_labelled(&roles, &world.owner, &scope, &world.owner.selector()).await.unwrap();
        assert_eq!(owned.iter().map(|owned| &owned.id).collect::<Vec<_>>(), [&desired.id]);
    }
    world.delete(&roles, &desired.id.name).await.unwrap();
}

#[tokio::test]
async fn a_kind_without_a_version_is_found_or_certainly_absent() {
    let world = World::new("served").await;
    let served = async |group: &str, kind: &str| {
        let kind = GroupKind { group: group.into(), kind: kind.into() };
        world.cluster.served(&kind).await.unwrap().map(|kind| (kind.version.clone(), kind.plural.clone()))
    };
    assert_eq!(served("", "ConfigMap").await, Some(("v1".into(), "configmaps".into())));
    assert_eq!(served("apps", "Deployment").await, Some(("v1".into(), "deployments".into())));
    assert_eq!(served("autoscaling", "HorizontalPodAutoscaler").await.unwrap().0, "v2");
    assert_eq!(served("apps", "Widget").await, None);
    assert_eq!(served("example.org", "Widget").await, None);
    assert_eq!(served("", "Widget").await, None);
}

#[tokio::test]
async fn a_kind_whose_objects_cannot_be_kept_is_refused_by_name() {
    let world = World::new("notkept").await;
    let error = world.cluster.kind("authentication.k8s.io/v1", "TokenReview").await.unwrap_err();
    assert!(error.to_string().contains("does not offer to get"), "{error}");
    for odd in ["", "/", "v1/", "a/b/c", "..", "apps/..", "v1?x"] {
        assert!(world.cluster.kind(odd, "ConfigMap").await.is_err(), "{odd}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_and_no_empty_list() {
    let world = World::new("away").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
    let away = dbqo::cluster::Cluster::new(config, dbqo::cluster::Limits::default()).unwrap();
    let listed = away.list_labelled(&maps, &world.owner, &Scope::All, &world.owner.selector()).await;
    assert_eq!(listed, Err(Failure::Unreachable("connection refused")));
    assert!(away.served(&maps.group_kind).await.is_err());
}
