//! Namespaces that come to their end, on control planes of their own: elsewhere one API that is away, or is too busy, keeps
//! all of them.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::control_plane::OwnControlPlane;
use crate::support::rules::{VERBS, allow, create_account};
use crate::support::world::{CONFIG_MAP, PATIENCE, World};
use crate::support::{TestNamespace, eventually};

/// The Lease would be in the namespace that goes.
const FLAGS: [&str; 2] = ["--allow-namespaces=*", "--leader-elect=false"];

async fn until_gone(namespaces: &Api<Namespace>, name: &str) {
    eventually(&format!("namespace {name} is gone"), 4 * PATIENCE, async || {
        namespaces.get_opt(name).await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_on_its_way_out_gets_nothing_and_what_is_in_it_goes() {
    let servers = OwnControlPlane::start().await;
    let (client, kubeconfig) = (servers.client().await, Some(servers.kubeconfig.clone()));
    let world = World::on(client, "ending", &[], &FLAGS, kubeconfig).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let other = TestNamespace::create(&world.client, "ending-b").await;
    for (name, namespace) in [("a", world.namespace.name()), ("b", other.name())] {
        world.sql.execute("INSERT INTO t VALUES ($1, $2)", &[&name, &namespace]).await.unwrap();
    }
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n  namespace: {{ row.v }}\n";
    world.create("q", json!({"resourceTemplate": template})).await;
    world.ready("q").await;
    let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    // Something holds up its end.
    let held =
        serde_json::from_value(json!({"metadata": {"name": "hold", "finalizers": ["example.com/hold"]}})).unwrap();
    there.create(&PostParams::default(), &held).await.unwrap();
    namespaces.delete(other.name(), &DeleteParams::default()).await.unwrap();
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failures"][0]["reason"], "NamespaceTerminating");
    world.sql.execute("INSERT INTO t VALUES ('c', $1)", &[&world.namespace.name()]).await.unwrap();
    eventually("the others go on", PATIENCE, async || world.config_maps().get_opt("c").await.unwrap()).await;
    assert!(there.get_opt("b").await.unwrap().is_none());
    let released = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    there.patch("hold", &PatchParams::default(), &released).await.unwrap();
    until_gone(&namespaces, other.name()).await;
    let again = serde_json::from_value(json!({"metadata": {"name": other.name()}})).unwrap();
    namespaces.create(&PostParams::default(), &again).await.unwrap();
    eventually("b is made again", PATIENCE, async || there.get_opt("b").await.unwrap()).await;
    world.ready("q").await;

    namespaces.delete(world.namespace.name(), &DeleteParams::default()).await.unwrap();
    until_gone(&namespaces, world.namespace.name()).await;
    assert!(there.get_opt("b").await.unwrap().is_none(), "it belonged to the resource that was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_goes_with_its_namespace_keeps_nobody_waiting() {
    let servers = OwnControlPlane::start().await;
    let (client, kubeconfig) = (servers.client().await, Some(servers.kubeconfig.clone()));
    let world = World::on(client, "ending-account", &["a"], &FLAGS[1..], kubeconfig).await;
    let other = TestNamespace::create(&world.client, "ending-account-b").await;
    let account = (world.namespace.name(), "writer");
    create_account(&world.client, account.0, account.1).await;
    allow(&world.client, account, other.name(), "configmaps", &VERBS).await;
    let placed = CONFIG_MAP.replace("\ndata", &format!("\n  namespace: {}\ndata", other.name()));
    world.create("q", json!({"resourceTemplate": placed, "serviceAccountName": "writer"})).await;
    world.ready("q").await;
    let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    assert!(there.get_opt("a").await.unwrap().is_some());
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(world.namespace.name(), &DeleteParams::default()).await.unwrap();
    until_gone(&namespaces, world.namespace.name()).await;
    assert!(there.get_opt("a").await.unwrap().is_none(), "the rule by which it is deleted is still there");
}
