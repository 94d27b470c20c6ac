//! Objects that the API server takes long for: they hold up nothing else, and are not lost sight of.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::json;

use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy};
use crate::support::world::{PATIENCE, World, condition};

/// A world with these names in which the first apply of ConfigMap `slow` takes so long.
async fn world(test: &str, names: &[&str], long: Duration) -> World {
    let first = std::sync::Once::new();
    let proxy = Proxy::start(move |parts| {
        let mut fate = Fate::Passes;
        if parts.method == Method::PATCH && parts.uri.path().ends_with("/configmaps/slow") {
            first.call_once(|| fate = Fate::Waits(long));
        }
        fate
    })
    .await;
    World::on(Client::try_default().await.unwrap(), test, names, &[], Some(proxy.kubeconfig)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_slow_holds_up_nothing_else_and_is_there_in_the_end() {
    let world = world("slow", &["a", "slow", "gone", "more"], Duration::from_secs(15)).await;
    world.create("q", json!({"changeDetection": {"keyColumns": ["name"]}})).await;
    world.until_value("a", Some("one")).await;
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'; DELETE FROM t WHERE name = 'gone'").await;
    world.until_value("a", Some("two")).await;
    world.until_value("gone", None).await;
    eventually("the status says so", PATIENCE, async || {
        let resource = world.get("q").await;
        let reconciling = condition(&resource, "Reconciling")?["message"].as_str()?;
        (reconciling == "objects still being applied: 1").then_some(())
    })
    .await;
    assert_eq!(world.value("slow").await, None, "the server still waits");
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'slow'").await;
    world.until_value("slow", Some("two")).await;
    world.ready("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_while_the_resource_goes_goes_with_it() {
    let world = world("slow-gone", &["a", "slow"], Duration::from_secs(6)).await;
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
    let world = world("slow-row", &["a", "slow"], Duration::from_secs(6)).await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": 10}})).await;
    world.until_value("a", Some("one")).await;
    world.run_sql("DELETE FROM t WHERE name = 'slow'").await;
    let made = format!("created dbqr={0}/q object=ConfigMap {0}/slow", world.namespace.name());
    eventually("it was made", PATIENCE, async || world.operator.logs().contains(&made).then_some(())).await;
    eventually("it is gone", PATIENCE, async || (world.managed().await == ["a"]).then_some(())).await;
    world.ready("q").await;
}
