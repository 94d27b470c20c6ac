//! Objects that the API server takes long for: they hold up nothing else, and are not lost sight of.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::Api;
use serde_json::json;

use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy};
use crate::support::world::{PATIENCE, World, condition};

/// A world with these names in which the first apply of each object whose name begins with `slow` takes so long.
async fn world(test: &str, names: &[&str], flags: &[&str], long: Duration) -> World {
    let seen = Mutex::new(HashSet::new());
    let proxy = Proxy::start(move |parts| {
        let is_named = |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with("slow"));
        let is_slow = parts.method == Method::PATCH && is_named(parts.uri.path());
        let is_first = is_slow && seen.lock().unwrap().insert(parts.uri.path().to_owned());
        if is_first { Fate::Waits(long) } else { Fate::Passes }
    })
    .await;
    World::on(Client::try_default().await.unwrap(), test, names, flags, Some(proxy.kubeconfig)).await
}

/// Waits until the status says that so many objects are still being applied.
async fn until_unfinished(world: &World, count: usize) {
    let said = format!("objects still being applied: {count}");
    eventually(&said, PATIENCE, async || {
        let resource = world.get("q").await;
        (condition(&resource, "Reconciling")?["message"] == said).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_slow_holds_up_nothing_else_and_is_there_in_the_end() {
    let world = world("slow", &["a", "slow", "gone", "more"], &[], Duration::from_secs(15)).await;
    world.create("q", json!({"changeDetection": {"keyColumns": ["name"]}})).await;
    world.until_value("a", Some("one")).await;
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'; DELETE FROM t WHERE name = 'gone'").await;
    world.until_value("a", Some("two")).await;
    world.until_value("gone", None).await;
    until_unfinished(&world, 1).await;
    assert_eq!(world.value("slow").await, None, "the server still waits");
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'slow'").await;
    world.until_value("slow", Some("two")).await;
    world.ready("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_while_the_resource_goes_goes_with_it() {
    let world = world("slow-gone", &["a", "slow"], &[], Duration::from_secs(6)).await;
    world.create("q", json!({})).await;
    world.until_value("a", Some("one")).await;
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(
        world
            .operator
            .logs()
            .contains(&format!("created dbqr={0}/q object=ConfigMap {0}/slow", world.namespace.name()))
    );
    eventually("nothing is left", PATIENCE, async || world.managed().await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_goes_while_its_object_is_being_made_leaves_nothing() {
    let world = world("slow-row", &["a", "slow"], &[], Duration::from_secs(6)).await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": 10}})).await;
    world.until_value("a", Some("one")).await;
    world.run_sql("DELETE FROM t WHERE name = 'slow'").await;
    let made = format!("created dbqr={0}/q object=ConfigMap {0}/slow", world.namespace.name());
    eventually("it was made", PATIENCE, async || world.operator.logs().contains(&made).then_some(())).await;
    eventually("it is gone", PATIENCE, async || (world.managed().await == ["a"]).then_some(())).await;
    world.ready("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_slow_holds_up_nothing_of_its_resource() {
    let flags = ["--allow-cluster-scoped", "*"];
    let world = world("slow-first", &["a", "namespace"], &flags, Duration::from_secs(15)).await;
    let slow = format!("slow-{}", world.namespace.name());
    let kind = "{% if row.name == 'namespace' %}{kind: Namespace, metadata: {name: NAME}}{% else %}\
        {kind: ConfigMap, metadata: {name: {{ row.name }}}, data: {v: {{ row.v }}}}{% endif %}";
    let kind = kind.replace("NAME", &slow).replace("{kind", "{apiVersion: v1, kind");
    world.create("q", json!({"resourceTemplate": kind})).await;
    world.until_value("a", Some("one")).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    assert!(namespaces.get_opt(&slow).await.unwrap().is_none(), "the server still waits");
    until_unfinished(&world, 1).await;
    world.ready("q").await;
    assert!(namespaces.get_opt(&slow).await.unwrap().is_some());
    world.delete("q").await;
    world.until_gone("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_places_of_slow_ones_is_applied_later_and_holds_up_nothing_else() {
    let world = world("slow-many", &["gone", "stays"], &[], Duration::from_secs(12)).await;
    let query = "SELECT name, v FROM t ORDER BY name = 'waits', name";
    world.create("q", json!({"query": query, "changeDetection": {"keyColumns": ["name"]}})).await;
    world.ready("q").await;
    world
        .run_sql(
            "INSERT INTO t SELECT 'slow' || n, 'one' FROM generate_series(1, 40) n; \
             INSERT INTO t VALUES ('waits', 'one'); DELETE FROM t WHERE name = 'gone'",
        )
        .await;
    world.until_value("gone", None).await;
    assert_eq!(world.managed().await, ["stays"], "the server still waits");
    until_unfinished(&world, 41).await;
    assert_eq!(world.get("q").await["status"]["managedResources"], 1);
    world.until_value("waits", Some("one")).await;
    world.until_value("slow40", Some("one")).await;
    world.ready("q").await;
    assert_eq!(world.managed().await.len(), 42);
}
