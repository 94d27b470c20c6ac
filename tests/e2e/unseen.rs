//! Objects of a settled resource's new rows are created without a look. What is there all the same is looked at then, and
//! treated as if that had been done before.

use std::sync::{Arc, Mutex};

use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::listening::notified;
use crate::support::proxy::{Fate, Proxy};
use crate::support::world::{PATIENCE, World};

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n{% if row.v == 'once' %}  \
                        annotations:\n    konnektr.io/ssa: IfNotPresent\n{% endif %}data:\n  v: {{ row.v | quote }}\n";

/// What the operator asks of ConfigMaps, in order: method and name.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<(Method, String)>>>);

impl Requests {
    /// A world whose operator is heard through a proxy.
    async fn world(&self, test: &str, names: &[&str]) -> World {
        let heard = self.clone();
        let proxy = Proxy::start(move |parts| {
            if let Some((_, name)) = parts.uri.path().split_once("/configmaps/") {
                heard.0.lock().unwrap().push((parts.method.clone(), name.to_owned()));
            }
            Fate::Passes
        })
        .await;
        World::on(Client::try_default().await.unwrap(), test, names, &[], Some(proxy.kubeconfig)).await
    }

    /// What was asked of one since it was last asked here.
    fn take(&self, name: &str) -> Vec<Method> {
        self.0.lock().unwrap().extract_if(.., |(_, asked)| asked == name).map(|(method, _)| method).collect()
    }
}

async fn theirs(world: &World, name: &str, data: Value) -> ConfigMap {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    world.config_maps().patch(name, &PatchParams::apply("somebody"), &Patch::Apply(&object)).await.unwrap()
}

/// Waits until just these objects fail; the message of each.
async fn failures(world: &World, resource: &str, names: &[&str]) -> Vec<String> {
    let wanted: Vec<String> = names.iter().map(|name| format!("ConfigMap {}/{name}", world.namespace.name())).collect();
    eventually(&format!("{names:?} fail"), PATIENCE, async || {
        let status = world.get(resource).await["status"].clone();
        let mut failures: Vec<_> = status["failures"].as_array()?.clone();
        failures.sort_by_key(|failure| failure["object"].as_str().map(str::to_owned));
        let objects: Vec<_> = failures.iter().filter_map(|failure| failure["object"].as_str()).collect();
        let message =
            |failure: &Value| format!("{}: {}", failure["reason"].as_str()?, failure["message"].as_str()?).into();
        (objects == wanted).then(|| failures.iter().filter_map(message).collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_row_meets_unseen_is_shared_refused_or_left_alone() {
    let requests = Requests::default();
    let mut world = requests.world("unseen", &["a"]).await;
    world.run_sql("CREATE TABLE s AS SELECT 'b' AS name, 'one' AS v").await;
    let never = |query: &str, policy: &str| json!({"pollInterval": "1h", "query": query, "conflictPolicy": policy});
    world.create("other", never("SELECT 'owned' AS name, 'others' AS v", "Protect")).await;
    world.create("strict", never("SELECT name, v FROM s", "Fail")).await;
    let mut spec = notified(json!({"mode": "Notify"}));
    spec["resourceTemplate"] = json!(TEMPLATE);
    world.create("q", spec).await;
    for name in ["other", "strict", "q"] {
        world.ready(name).await;
    }
    // The process that made the other resource's object would know of it without having met it.
    world.restart();
    for name in ["other", "strict", "q"] {
        world.another_pass(name).await;
    }
    world.listening("q").await;

    let shared = json!({"theirs": "t"});
    theirs(&world, "shared", shared.clone()).await;
    let mut before = Vec::new();
    for name in ["held", "once", "strict"] {
        before.push(theirs(&world, name, json!({"v": "CANARY"})).await);
    }
    before.push(world.config_maps().get("owned").await.unwrap());
    for (name, v) in [("shared", "one"), ("held", "one"), ("owned", "one"), ("once", "once")] {
        requests.take(name);
        world.run_sql(&format!("INSERT INTO t VALUES ('{name}', '{v}')")).await;
    }
    world.until_value("shared", Some("one")).await;
    let told = failures(&world, "q", &["held", "owned"]).await;
    assert_eq!(told[0], "Conflict: others manage its fields: .data.v (somebody)");
    let owner = format!("{}/other", world.namespace.name());
    assert_eq!(told[1], format!("Conflict: the object belongs to the DatabaseQueryResource {owner}"));
    assert_eq!(requests.take("shared"), [Method::PATCH, Method::GET, Method::PATCH]);
    for name in ["held", "owned"] {
        assert_eq!(requests.take(name)[..2], [Method::PATCH, Method::GET], "{name}");
    }
    world.run_sql("INSERT INTO s VALUES ('strict', 'one')").await;
    world.another_pass("strict").await;
    assert!(failures(&world, "strict", &["strict"]).await[0].contains("conflictPolicy Fail leaves it as it is"));
    assert_eq!(requests.take("strict")[..2], [Method::PATCH, Method::GET]);
    assert!(requests.take("once").iter().all(|method| *method == Method::GET), "it is there most of the time");
    let object = world.config_maps().get("shared").await.unwrap();
    assert_eq!(json!(object.data), json!({"theirs": "t", "v": "one"}));
    assert_eq!(object.metadata.annotations.unwrap()["konnektr.io/adopted"], "true");
    assert!(object.metadata.owner_references.is_none());

    // Whoever fails waits, and is created once the name is free; the rest goes with its row, and only that.
    world.config_maps().delete("held", &DeleteParams::default()).await.unwrap();
    world.until_value("held", Some("one")).await;
    world.run_sql("DELETE FROM t WHERE name <> 'a'").await;
    world.run_sql("DELETE FROM s WHERE name = 'strict'").await;
    world.until_value("held", None).await;
    world.until_value("shared", None).await;
    world.another_pass("strict").await;
    world.another_pass("q").await;
    world.ready("q").await;
    assert_eq!(json!(world.config_maps().get("shared").await.unwrap().data), shared);
    for object in &before[1..] {
        let name = object.metadata.name.as_deref().unwrap();
        assert_eq!(&world.config_maps().get(name).await.unwrap(), object, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_ours_without_its_label_is_met_unseen_and_put_right() {
    let requests = Requests::default();
    let mut world = requests.world("unseen-ours", &["a", "b"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    let before = world.uids().await;
    for is_away in [false, true] {
        if is_away {
            world.operator.terminate();
        }
        requests.take("a");
        let unlabelled = Patch::Merge(json!({"metadata": {"labels": {"konnektr.io/managed-by": null}}}));
        world.config_maps().patch("a", &PatchParams::default(), &unlabelled).await.unwrap();
        if is_away {
            world.restart();
        }
        eventually("it has its label", PATIENCE, async || (world.uids().await == before).then_some(())).await;
        assert_eq!(requests.take("a"), [Method::PATCH, Method::GET, Method::PATCH]);
        world.another_pass("q").await;
        assert!(world.config_maps().get("a").await.unwrap().metadata.owner_references.is_some());
    }
    world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    world.another_pass("q").await;
    assert_eq!(world.managed().await, ["b"]);
    world.until_value("a", None).await;
}
