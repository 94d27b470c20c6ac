//! The operator is killed at one of its writes, on both sides of it, in every phase of a resource's life. Whatever was
//! done by then, the next one ends with an object for each row and none without, and touched nothing else.
//!
//! `DBQO_SOAK=n` (`make soak`) kills it at every write there is, n times over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::eventually;
use crate::support::proxy::{Fate, Proxy, is_write};
use crate::support::world::{PATIENCE, World, condition};

/// Two objects of two kinds for each row.
const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: {{ row.v }}\n---\n\
                        apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: {{ row.name }}\n\
                        spec:\n  holderIdentity: {{ row.v }}\n";
/// Without `DBQO_SOAK`. Every phase has a dozen writes and more.
const POINTS: [usize; 6] = [1, 2, 3, 5, 8, 13];
/// Nothing of ours is written for so long: a phase is over.
const QUIET: Duration = Duration::from_millis(1500);

/// Kind and name.
type Name = (&'static str, String);

/// Lets writes through up to one, and nothing any more from then on: what a kill leaves behind that comes at this write.
#[derive(Default)]
struct Trap {
    /// How many writes there were, and at which it springs, and what becomes of that.
    state: Mutex<(usize, Option<(usize, Fate)>)>,
    sprung: Notify,
}

impl Trap {
    fn set(&self, at: Option<(usize, Fate)>) {
        *self.state.lock().unwrap() = (0, at);
    }

    fn decide(&self, parts: &Parts) -> Fate {
        let (writes, at) = &mut *self.state.lock().unwrap();
        *writes += usize::from(is_write(parts));
        match *at {
            Some((point, fate)) if *writes == point && is_write(parts) => {
                self.sprung.notify_one();
                fate
            }
            Some((point, _)) if *writes >= point => Fate::Lost,
            _ => Fate::Passes,
        }
    }

    async fn quiet(&self) {
        let count = || self.state.lock().unwrap().0;
        loop {
            let before = count();
            tokio::time::sleep(QUIET).await;
            if count() == before {
                return;
            }
        }
    }
}

struct Crash {
    world: World,
    /// Of the spec, how changes are noticed.
    changes: Value,
    trap: Arc<Trap>,
    /// Objects that are none of ours: uid and version.
    bystanders: BTreeMap<Name, [Option<String>; 2]>,
    kills: AtomicUsize,
}

impl Crash {
    async fn new(test: &str, changes: Value) -> Self {
        let trap = Arc::<Trap>::default();
        let springs = trap.clone();
        let proxy = Proxy::start(move |parts| springs.decide(parts)).await;
        let client = Client::try_default().await.unwrap();
        // One that is started again is not to wait for a Lease to run out.
        let flags = ["--leader-elect=false"];
        let world = World::on(client, test, &[], &flags, Some(proxy.kubeconfig)).await;
        let is_furnished = async || world.config_maps().get_opt("kube-root-ca.crt").await.unwrap().map(|_| ());
        eventually("the namespace is furnished", PATIENCE, is_furnished).await;
        Self { world, changes, trap, bystanders: BTreeMap::new(), kills: AtomicUsize::new(0) }
    }

    /// Six rows: three that stay from round to round with another value each time, and three that come and go.
    async fn rows(&self, round: usize) {
        let stay = format!("SELECT 'stays-' || n, 'v{round}' FROM generate_series(1, 3) n");
        let go = format!("SELECT 'goes-{round}-' || n, 'v' FROM generate_series(1, 3) n");
        self.world.run_sql(&format!("BEGIN; DELETE FROM t; INSERT INTO t {stay} UNION ALL {go}; COMMIT")).await;
    }

    async fn create(&mut self) {
        // With the guard as it is, ten renamed objects would be a suspicious shrink.
        let guard = json!({"maxDeletions": 1000});
        let mut spec = json!({"resourceTemplate": TEMPLATE, "pruneGuard": guard});
        spec.as_object_mut().unwrap().extend(self.changes.as_object().unwrap().clone());
        self.world.create("q", spec).await;
        let uid = self.world.get("q").await["metadata"]["uid"].as_str().unwrap().to_owned();
        self.stand_by(&uid).await;
    }

    /// Objects that carry our marks and are not ours, beside the others.
    async fn stand_by(&mut self, uid: &str) {
        let metadata = json!({
            "name": format!("bystander-{uid}"),
            "labels": {"konnektr.io/managed-by": "q", "konnektr.io/managed-by-namespace": self.world.namespace.name()},
            "annotations": {"konnektr.io/owner-uid": uid, "konnektr.io/applied-hash": "0".repeat(32)},
        });
        let create = PostParams { field_manager: Some("kubectl".into()), ..PostParams::default() };
        let config_map = serde_json::from_value(json!({"metadata": metadata, "data": {"v": "theirs"}})).unwrap();
        self.world.config_maps().create(&create, &config_map).await.unwrap();
        let lease =
            serde_json::from_value(json!({"metadata": metadata, "spec": {"holderIdentity": "theirs"}})).unwrap();
        self.leases().create(&create, &lease).await.unwrap();
        let others = self.all().await.into_iter().filter(|((_, name), _)| is_bystander(name));
        self.bystanders = others.map(|(name, (meta, _))| (name, [meta.uid, meta.resource_version])).collect();
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.world.client.clone(), self.world.namespace.name())
    }

    /// Every object in the namespace that could be one of ours, with its value.
    async fn all(&self) -> BTreeMap<Name, (ObjectMeta, Option<String>)> {
        let list = ListParams::default();
        let config_maps = self.world.config_maps().list(&list).await.unwrap().items.into_iter();
        let leases = self.leases().list(&list).await.unwrap().items.into_iter();
        let config_map = |it: ConfigMap| ("ConfigMap", it.metadata, it.data.and_then(|mut data| data.remove("v")));
        let lease = |it: Lease| ("Lease", it.metadata, it.spec.and_then(|spec| spec.holder_identity));
        let all = config_maps.map(config_map).chain(leases.map(lease));
        all.map(|(kind, meta, value)| ((kind, meta.name.clone().unwrap()), (meta, value))).collect()
    }

    /// Those of ours, with their uids.
    async fn ours(&self) -> BTreeMap<Name, (String, Option<String>)> {
        let ours = self.all().await.into_iter().filter(|((_, name), _)| !is_bystander(name));
        ours.map(|(name, (meta, value))| (name, (meta.uid.unwrap(), value))).collect()
    }

    /// What the rows want, if there is anybody who wants it.
    async fn wanted(&self) -> BTreeMap<Name, Option<String>> {
        if self.world.dbqrs().get_opt("q").await.unwrap().is_none() {
            return BTreeMap::new();
        }
        let rows = self.world.sql.query("SELECT name, v FROM t", &[]).await.unwrap();
        let objects = |row: &tokio_postgres::Row| ["ConfigMap", "Lease"].map(|kind| ((kind, row.get(0)), row.get(1)));
        rows.iter().flat_map(objects).collect()
    }

    /// Whether everything is as the rows want it, and the resource says so or is gone.
    async fn is_settled(&self, goes: bool) -> bool {
        let ready = match self.world.dbqrs().get_opt("q").await.unwrap() {
            None => goes,
            Some(resource) => {
                let resource = serde_json::to_value(resource).unwrap();
                !goes && condition(&resource, "Ready").is_some_and(|ready| ready["status"] == "True")
            }
        };
        let (ours, wanted) = (self.ours().await, self.wanted().await);
        ready && ours.into_iter().map(|(name, (_, value))| (name, value)).eq(wanted)
    }

    async fn settle(&self, goes: bool) {
        eventually("it has settled", PATIENCE, async || self.is_settled(goes).await.then_some(())).await;
    }

    /// Begins something, kills the operator at this write of it, starts another, and looks at what came of it. False if
    /// all was done before.
    async fn kill_at(&mut self, point: usize, fate: Fate, goes: bool, begin: impl AsyncFnOnce(&mut Self)) -> bool {
        let before = self.ours().await;
        self.trap.set(Some((point, fate)));
        begin(self).await;
        let over = async {
            self.settle(goes).await;
            self.trap.quiet().await;
        };
        let killed = tokio::select! {
            () = self.trap.sprung.notified() => true,
            () = over => false,
        };
        self.kills.fetch_add(usize::from(killed), Ordering::Relaxed);
        self.world.operator.kill();
        self.trap.set(None);
        // What the killed one made last may have lost its row already.
        self.world.run_sql("DELETE FROM t WHERE name LIKE 'goes-%-1'").await;
        self.world.restart();
        self.settle(goes).await;
        if !goes {
            self.world.another_pass("q").await;
        }
        let what = format!("killed at write {point}, which was {fate:?}");
        assert!(self.is_settled(goes).await, "{what}: it does not stay as it is");
        for (name, (uid, _)) in self.ours().await {
            let same = before.get(&name).is_none_or(|(before, _)| *before == uid);
            assert!(same, "{what}: {name:?} was deleted and made anew");
        }
        let now = self.all().await;
        for (name, versions) in &self.bystanders {
            let now = now.get(name).map(|(meta, _)| [meta.uid.clone(), meta.resource_version.clone()]);
            assert_eq!(now.as_ref(), Some(versions), "{what}: {name:?} is none of ours");
        }
        killed
    }

    /// The points and sides that a phase is tried at; what `round` says of each is whether there is a later one.
    async fn every_point(&mut self, phase: &str, mut round: impl AsyncFnMut(&mut Self, usize, usize, Fate) -> bool) {
        let sides = [Fate::Lost, Fate::Unanswered];
        let mut rounds = 0;
        match std::env::var("DBQO_SOAK") {
            Err(_) => {
                for (point, fate) in POINTS.into_iter().zip(sides.into_iter().cycle()) {
                    rounds += 1;
                    round(self, rounds, point, fate).await;
                }
            }
            Ok(times) => {
                for fate in (0..times.parse().unwrap()).flat_map(|_: usize| sides) {
                    for point in 1.. {
                        rounds += 1;
                        if !round(self, rounds, point, fate).await {
                            break;
                        }
                    }
                }
            }
        }
        let kills = self.kills.load(Ordering::Relaxed);
        assert!(kills >= POINTS.len() - 1, "only {kills} of {rounds} rounds had such a write");
        println!("{phase}: killed {kills} times in {rounds} rounds; objects lost: 0, wrong deletions: 0");
    }
}

fn is_bystander(name: &str) -> bool {
    name == "kube-root-ca.crt" || name.starts_with("bystander-")
}

async fn delete(crash: &mut Crash) {
    crash.world.delete("q").await;
    crash.settle(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_of_a_first_sync_leaves_nothing_missing_and_nothing_untracked() {
    let mut crash = Crash::new("crash-first", json!({})).await;
    crash
        .every_point("first sync", async |crash, round, point, fate| {
            crash.rows(round).await;
            let killed = crash.kill_at(point, fate, false, Crash::create).await;
            // Whatever was made before the kill goes with its resource: nothing of it was forgotten.
            delete(crash).await;
            killed
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_of_an_update_leaves_every_object_new_and_the_same() {
    let mut crash = Crash::new("crash-update", json!({})).await;
    crash.rows(0).await;
    crash.create().await;
    crash.settle(false).await;
    crash
        .every_point("update", async |crash, round, point, fate| {
            let update = format!("UPDATE t SET v = 'u{round}'");
            crash.kill_at(point, fate, false, async |crash| crash.world.run_sql(&update).await).await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_while_rows_come_and_go_loses_and_leaves_nothing() {
    let mut crash = Crash::new("crash-prune", json!({})).await;
    crash.rows(0).await;
    crash.create().await;
    crash.settle(false).await;
    crash
        .every_point("prune", async |crash, round, point, fate| {
            // Six writes make what is new, six change what stays, six delete what goes.
            crash.kill_at(point + 5, fate, false, async |crash| crash.rows(round).await).await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_after_changes_that_were_notified_loses_and_leaves_nothing() {
    let changes = json!({"enabled": true, "tableName": "t", "mode": "Notify", "keyColumns": ["name"]});
    let mut crash = Crash::new("crash-notified", json!({"changeDetection": changes, "pollInterval": "1h"})).await;
    crash.rows(0).await;
    crash.create().await;
    crash.settle(false).await;
    crash
        .every_point("notified", async |crash, round, point, fate| {
            // Else it would be a full read after a start that finds what changed.
            crash.world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
            crash.trap.quiet().await;
            crash.kill_at(point + 5, fate, false, async |crash| crash.rows(round).await).await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_of_a_deletion_leaves_nothing_of_ours() {
    let mut crash = Crash::new("crash-delete", json!({})).await;
    crash
        .every_point("deletion", async |crash, round, point, fate| {
            crash.rows(round).await;
            crash.create().await;
            crash.settle(false).await;
            crash.kill_at(point, fate, true, async |crash| crash.world.delete("q").await).await
        })
        .await;
}
