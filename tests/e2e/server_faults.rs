//! What an API server may do to requests: refuse them for now, fail, be slow, break off, die. Afterwards, and mostly
//! meanwhile, every row has its object, and nothing else was touched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::support::admission::Refusal;
use crate::support::control_plane::OwnControlPlane;
use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy, is_watch};
use crate::support::world::{CONFIG_MAP, PATIENCE, World, condition};

/// What the rows want, by name.
async fn wanted(world: &World) -> BTreeMap<String, String> {
    let rows = world.sql.query("SELECT name, v FROM t", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What there is.
async fn values(world: &World) -> BTreeMap<String, String> {
    let ours = ListParams::default().labels("konnektr.io/managed-by");
    let read = |it: ConfigMap| Some((it.metadata.name?, it.data?.remove("v")?));
    world.config_maps().list(&ours).await.unwrap().items.into_iter().filter_map(read).collect()
}

async fn until_as_wanted(world: &World) {
    eventually("all is as the rows want it", 3 * PATIENCE, async || {
        (values(world).await == wanted(world).await).then_some(())
    })
    .await;
}

/// Those that still exist are the ones that were there before.
async fn none_was_made_anew(world: &World, before: &BTreeMap<String, String>) {
    for (name, uid) in world.uids().await {
        assert!(before.get(&name).is_none_or(|before| *before == uid), "{name} was deleted and made anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_errors_broken_and_slow_answers_lose_nothing() {
    let (faulty, faults) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (is_faulty, counted, requests) = (faulty.clone(), faults.clone(), AtomicUsize::new(0));
    let proxy = Proxy::start(move |parts| {
        if is_watch(parts) || !is_faulty.load(Ordering::Relaxed) {
            return Fate::Passes;
        }
        let fate = match requests.fetch_add(1, Ordering::Relaxed) % 13 {
            2 => Fate::Refused(429),
            4 => Fate::Refused(500),
            6 => Fate::Refused(503),
            8 => Fate::Waits(Duration::from_millis(700)),
            10 => Fate::CutOff,
            _ => return Fate::Passes,
        };
        counted.fetch_add(1, Ordering::Relaxed);
        fate
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "faulty", &[], &["--leader-elect=false"], Some(proxy.kubeconfig)).await;
    world.run_sql("INSERT INTO t SELECT 'n' || n, 'one' FROM generate_series(100, 139) n").await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": 1000}})).await;
    until_as_wanted(&world).await;
    let before = world.uids().await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    until_as_wanted(&world).await;
    none_was_made_anew(&world, &before).await;
    world
        .run_sql("DELETE FROM t WHERE name > 'n120'; INSERT INTO t SELECT 'm' || n, 'one' FROM generate_series(1, 9) n")
        .await;
    until_as_wanted(&world).await;
    none_was_made_anew(&world, &before).await;
    faulty.store(false, Ordering::Relaxed);
    world.ready("q").await;
    faulty.store(true, Ordering::Relaxed);
    world.delete("q").await;
    world.until_gone("q").await;
    eventually("nothing is left", PATIENCE, async || world.uids().await.is_empty().then_some(())).await;
    println!("{} requests went wrong; objects lost: 0, wrong deletions: 0", faults.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_renamed_row_whose_new_object_is_refused_keeps_the_old_one_until_it_is_not() {
    let world = World::new("refused", &[]).await;
    world.run_sql("ALTER TABLE t ADD id int; INSERT INTO t SELECT 'n' || n, 'CANARY', now(), n FROM generate_series(1, 100) n").await;
    let refusal = Refusal::unless(&world, "object.metadata.name != 'n57-renamed'").await;
    refusal.heeded(&world, "n57-renamed").await;
    let (keys, guard) = (json!({"keyColumns": ["id"]}), json!({"maxDeletions": 1000}));
    let query = "SELECT id, name, v FROM t";
    world.create("q", json!({"query": query, "changeDetection": keys, "pruneGuard": guard})).await;
    world.ready("q").await;
    let before = world.uids().await;
    assert_eq!(before.len(), 100);
    world
        .run_sql("BEGIN; UPDATE t SET name = name || '-renamed' WHERE id > 50; DELETE FROM t WHERE id = 1; COMMIT")
        .await;
    eventually("all but one is as wanted", PATIENCE, async || {
        let (mut wanted, values) = (wanted(&world).await, values(&world).await);
        wanted.remove("n57-renamed");
        wanted.insert("n57".into(), "CANARY".into());
        (values == wanted).then_some(())
    })
    .await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let failures = resource["status"]["failures"].as_array().unwrap();
    assert!(failures.len() == 1 && failures[0]["object"].as_str().unwrap().ends_with("/n57-renamed"), "{failures:?}");
    assert!(failures[0]["message"].as_str().unwrap().contains("admission policy"), "{failures:?}");
    assert!(!resource.to_string().contains("CANARY"), "an admission policy's message is the value's own");
    refusal.lift().await;
    until_as_wanted(&world).await;
    world.ready("q").await;
    none_was_made_anew(&world, &before).await;
}

#[tokio::test]
async fn a_dead_webhook_is_named_deletes_nothing_and_is_outlived() {
    let world = World::new("webhook", &["a", "b"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let before = world.uids().await;
    let refusal = Refusal::dead_webhook(&world).await;
    refusal.heeded(&world, "probe").await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    let ready = eventually("the deletion is seen to fail", PATIENCE, async || {
        let ready = condition(&world.get("q").await, "Ready")?["message"].as_str()?.to_owned();
        ready.contains("could not be deleted").then_some(ready)
    })
    .await;
    assert!(ready.contains("the admission webhook dead.example.com cannot be reached"), "{ready}");
    world.run_sql("UPDATE t SET v = 'two'").await;
    let resource = eventually("the update is seen to fail", PATIENCE, async || {
        let resource = world.get("q").await;
        (resource["status"]["failedRows"] == 1).then_some(resource)
    })
    .await;
    let failure: &Value = &resource["status"]["failures"][0];
    assert!(
        failure["message"].as_str().unwrap().contains("the admission webhook dead.example.com cannot be reached"),
        "{failure}"
    );
    assert_eq!(world.uids().await, before);
    refusal.lift().await;
    until_as_wanted(&world).await;
    world.ready("q").await;
    none_was_made_anew(&world, &before).await;
}

/// A world on a control plane of its own, with so many rows. It does not need a Lease, which a long outage would cost.
async fn world_of_its_own(servers: &OwnControlPlane, test: &str, rows: usize) -> World {
    let (client, kubeconfig) = (servers.client().await, Some(servers.kubeconfig.clone()));
    let world = World::on(client, test, &[], &["--leader-elect=false"], kubeconfig).await;
    world.run_sql(&format!("INSERT INTO t SELECT 'n' || n, 'one' FROM generate_series(1001, {}) n", 1000 + rows)).await;
    world.create("q", json!({"pruneGuard": {"maxDeletions": 1000}})).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_cannot_be_looked_up_fails_its_own_rows_alone() {
    let is_away = Arc::new(AtomicBool::new(true));
    let away = is_away.clone();
    let proxy = Proxy::start(move |parts| {
        let is_asked = parts.uri.path().contains("/serviceaccounts") && away.load(Ordering::Relaxed);
        if is_asked { Fate::Refused(500) } else { Fate::Passes }
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "kind-away", &["a", "account"], &[], Some(proxy.kubeconfig)).await;
    let template = format!(
        "{{% if row.name == 'account' %}}\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: made\n{{% else %}}\n{CONFIG_MAP}{{% endif %}}"
    );
    world.create("q", json!({"resourceTemplate": template})).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 1);
    let object = resource["status"]["failures"][0]["object"].as_str().unwrap();
    assert!(object.starts_with("ServiceAccount "), "{object}");
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    is_away.store(false, Ordering::Relaxed);
    world.ready("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_dies_in_the_middle_of_applies_and_deletions_loses_nothing() {
    const ROWS: usize = 400;
    let mut servers = OwnControlPlane::start().await;
    let world = world_of_its_own(&servers, "server-dies", ROWS).await;
    let in_the_middle = async |is_so: fn(usize) -> bool| {
        let look = async || Some(world.uids().await.len()).filter(|objects| is_so(*objects));
        let objects = eventually("it is in the middle", PATIENCE, look).await;
        println!("the API server is killed with {objects} objects there");
        objects
    };
    let objects = in_the_middle(|objects| objects > 40).await;
    let down = servers.kill("kube-apiserver").await;
    assert!(objects < ROWS, "it was too fast to be interrupted");
    world.run_sql("UPDATE t SET v = 'two' WHERE name < 'n1100'").await;
    servers.start_again(&down, None);
    servers.ready(&world.client).await;
    let before = world.uids().await;
    until_as_wanted(&world).await;
    none_was_made_anew(&world, &before).await;

    let before = world.uids().await;
    world.run_sql("DELETE FROM t WHERE name > 'n1050'; UPDATE t SET v = 'three'").await;
    let objects = in_the_middle(|objects| objects < ROWS).await;
    let down = servers.kill("kube-apiserver").await;
    assert!(objects > 50, "it was too fast to be interrupted");
    servers.start_again(&down, None);
    servers.ready(&world.client).await;
    until_as_wanted(&world).await;
    none_was_made_anew(&world, &before).await;
    world.ready("q").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_costs_nothing_and_all_goes_on_when_there_is_room_again() {
    let mut servers = OwnControlPlane::start().await;
    let world = world_of_its_own(&servers, "full", 3).await;
    world.ready("q").await;
    let before = world.uids().await;
    let down = servers.kill("etcd").await;
    servers.start_again(&down, Some(("--quota-backend-bytes", (8 << 20).to_string())));
    servers.ready(&world.client).await;
    let ballast: Api<ConfigMap> = Api::namespaced(world.client.clone(), "default");
    for number in 0.. {
        let name = format!("ballast-{number}");
        let object = json!({"metadata": {"name": name}, "data": {"x": "x".repeat(900_000)}});
        match ballast.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await {
            Ok(_) => {}
            Err(error) if error.to_string().contains("database space exceeded") => break,
            Err(error) => panic!("{error}"),
        }
    }
    world
        .run_sql("UPDATE t SET v = 'two'; DELETE FROM t WHERE name = 'n1003'; INSERT INTO t VALUES ('new', 'one')")
        .await;
    eventually("the operator meets it", PATIENCE, async || {
        world.operator.logs().contains("the cluster's storage is full").then_some(())
    })
    .await;
    assert_eq!(world.uids().await, before);
    // What an administrator does: makes room, and says so.
    ballast.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let revision = servers.etcd("maintenance/status", &json!({}))["header"]["revision"].clone();
    servers.etcd("kv/compaction", &json!({"revision": revision, "physical": true}));
    servers.etcd("maintenance/defragment", &json!({}));
    let alarm = servers.etcd("maintenance/alarm", &json!({"action": "GET"}))["alarms"][0].clone();
    assert_eq!(alarm["alarm"], "NOSPACE");
    let off = json!({"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": "NOSPACE"});
    servers.etcd("maintenance/alarm", &off);
    until_as_wanted(&world).await;
    none_was_made_anew(&world, &before).await;
    world.ready("q").await;
}
