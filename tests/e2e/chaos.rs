//! Dozens of resources at once to which anything happens: rows, templates, objects and others' objects change, requests
//! fail, the operator is killed. In the end every row has its object, no object is without a row, and nothing else was
//! touched. The same is done thousands of times without servers in `src/logic/state/tests.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::support::eventually_right;
use crate::support::proxy::{Fate, Proxy, is_watch};
use crate::support::world::{PATIENCE, World};

const RESOURCES: usize = 24;
const ROUNDS: usize = 5;

#[derive(Clone, Debug)]
enum Op {
    SetRow {
        key: u8,
        name: u8,
        value: u8,
    },
    BreakRow {
        key: u8,
    },
    DropRow {
        key: u8,
    },
    /// Objects get other names.
    Rename {
        prefix: u8,
    },
    Prune {
        on: bool,
    },
    Edit {
        name: u8,
    },
    Remove {
        name: u8,
    },
    /// Somebody makes an object under a name that a row may want.
    Make {
        name: u8,
    },
    /// Somebody takes our label off.
    Unlabel {
        name: u8,
    },
    /// A person approves what is held back.
    Approve,
}

fn op() -> impl Strategy<Value = Op> {
    let (key, name, value) = (0..5u8, 0..5u8, 0..5u8);
    prop_oneof![
        5 => (key.clone(), name.clone(), value).prop_map(|(key, name, value)| Op::SetRow { key, name, value }),
        1 => key.clone().prop_map(|key| Op::BreakRow { key }),
        2 => key.prop_map(|key| Op::DropRow { key }),
        1 => (0..2u8).prop_map(|prefix| Op::Rename { prefix }),
        1 => any::<bool>().prop_map(|on| Op::Prune { on }),
        2 => name.clone().prop_map(|name| Op::Edit { name }),
        1 => name.clone().prop_map(|name| Op::Remove { name }),
        1 => name.clone().prop_map(|name| Op::Make { name }),
        1 => name.prop_map(|name| Op::Unlabel { name }),
        1 => Just(Op::Approve),
    ]
}

/// One resource, its table and what others made of the names it may use.
struct Case {
    number: usize,
    prefix: u8,
    theirs: BTreeSet<String>,
    ops: Vec<Vec<Op>>,
}

impl Case {
    fn resource(&self) -> String {
        format!("q{}", self.number)
    }

    fn object(&self, name: u8) -> String {
        format!("q{}-{}-n{name}", self.number, self.prefix)
    }

    fn template(&self) -> String {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: q{}-{}-{{{{ row.name }}}}\ndata:\n  \
             v: {{{{ row.v | required('v') | quote }}}}\n",
            self.number, self.prefix
        )
    }

    /// Whether more than one deletion at a time waits for a person.
    fn is_guarded(&self) -> bool {
        self.number % 3 == 1
    }

    /// Approves what is held back, if anything is.
    async fn approve(&self, world: &World) {
        let resource = world.get(&self.resource()).await;
        let digest = resource["status"]["blockedPrune"]["digest"].as_str();
        if digest.is_some() && digest != resource["metadata"]["annotations"]["konnektr.io/approve-prune"].as_str() {
            let annotations = json!({"konnektr.io/approve-prune": digest});
            world.patch(&self.resource(), json!({"metadata": {"annotations": annotations}})).await;
        }
    }

    async fn begin(&self, world: &World) {
        world.run_sql(&format!("CREATE TABLE t{} (key int PRIMARY KEY, name text, v text)", self.number)).await;
        let mut spec = json!({
            "query": format!("SELECT key, name, v FROM t{}", self.number),
            "resourceTemplate": self.template(),
            "pruneGuard": {"maxDeletions": "100%", "allowEmpty": true},
        });
        if self.is_guarded() {
            spec["pruneGuard"] = json!({"maxDeletions": 1, "window": "3s"});
        }
        if self.number.is_multiple_of(2) {
            spec["changeDetection"] = json!({"keyColumns": ["key"]});
        }
        world.create(&self.resource(), spec).await;
    }

    async fn run(&mut self, world: &World, round: usize) {
        for op in self.ops[round].clone() {
            let table = self.number;
            match op {
                Op::SetRow { key, name, value } => {
                    world
                        .run_sql(&format!(
                            "INSERT INTO t{table} VALUES ({key}, 'n{name}', 'v{value}') \
                             ON CONFLICT (key) DO UPDATE SET name = excluded.name, v = excluded.v"
                        ))
                        .await;
                }
                Op::BreakRow { key } => world.run_sql(&format!("UPDATE t{table} SET v = NULL WHERE key = {key}")).await,
                Op::DropRow { key } => world.run_sql(&format!("DELETE FROM t{table} WHERE key = {key}")).await,
                Op::Rename { prefix } => {
                    self.prefix = prefix;
                    world.patch(&self.resource(), json!({"spec": {"resourceTemplate": self.template()}})).await;
                }
                Op::Prune { on } => world.patch(&self.resource(), json!({"spec": {"prune": on}})).await,
                // What somebody else holds of an object of theirs is not ours to take.
                Op::Edit { name } if self.theirs.contains(&self.object(name)) => {}
                Op::Edit { name } => {
                    let edit = Patch::Merge(json!({"data": {"v": "edited"}}));
                    let _ = world.config_maps().patch(&self.object(name), &PatchParams::default(), &edit).await;
                }
                Op::Remove { name } => {
                    let name = self.object(name);
                    let _ = world.config_maps().delete(&name, &DeleteParams::default()).await;
                    self.theirs.remove(&name);
                }
                Op::Unlabel { name } => {
                    let edit = Patch::Merge(json!({"metadata": {"labels": {"konnektr.io/managed-by": null}}}));
                    let _ = world.config_maps().patch(&self.object(name), &PatchParams::default(), &edit).await;
                }
                Op::Approve => self.approve(world).await,
                Op::Make { name } => {
                    let name = self.object(name);
                    let object = json!({"metadata": {"name": name}, "data": {"theirs": "yes"}});
                    let object = serde_json::from_value(object).unwrap();
                    if world.config_maps().create(&PostParams::default(), &object).await.is_ok() {
                        self.theirs.insert(name);
                    }
                }
            }
        }
    }

    /// Nothing is broken any more, and no two rows want the same.
    async fn mend(&self, world: &World) {
        let table = self.number;
        world
            .run_sql(&format!(
                "UPDATE t{table} SET v = 'mended' WHERE v IS NULL; \
                 DELETE FROM t{table} a USING t{table} b WHERE a.name = b.name AND a.key > b.key"
            ))
            .await;
        world.patch(&self.resource(), json!({"spec": {"prune": true}})).await;
    }

    /// What is not yet as the rows want it, or not as others left it.
    async fn wrong(&self, world: &World, all: &BTreeMap<String, ConfigMap>) -> Option<String> {
        let rows = world.sql.query(&format!("SELECT name, v FROM t{}", self.number), &[]).await.unwrap();
        let name = |row: &tokio_postgres::Row| format!("q{}-{}-{}", self.number, self.prefix, row.get::<_, &str>(0));
        let wanted: BTreeMap<String, String> = rows.iter().map(|row| (name(row), row.get(1))).collect();
        let label = |map: &ConfigMap| map.metadata.labels.as_ref()?.get("konnektr.io/managed-by").cloned();
        let ours = all.iter().filter(|(_, map)| label(map) == Some(self.resource()));
        let value = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("v").cloned()).unwrap_or_default();
        let ours: BTreeMap<String, String> = ours.map(|(name, map)| (name.clone(), value(map))).collect();
        if ours != wanted {
            return Some(format!("{} has {ours:?} and wants {wanted:?}", self.resource()));
        }
        let has = |name: &&String| {
            all.get(*name).is_some_and(|map| map.data.as_ref().is_some_and(|data| data.contains_key("theirs")))
        };
        self.theirs.iter().find(|name| !has(name)).map(|name| format!("{name} is not as it was left"))
    }
}

async fn config_maps(world: &World) -> BTreeMap<String, ConfigMap> {
    let list = world.config_maps().list(&ListParams::default()).await.unwrap();
    list.items.into_iter().filter_map(|map| Some((map.metadata.name.clone()?, map))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_cluster_ends_as_the_rows_want_and_nothing_else_is_touched() {
    let soak: usize = std::env::var("DBQO_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(0);
    for time in 0..(10 * soak).max(1) {
        history(time).await;
    }
}

async fn history(time: usize) {
    let (faulty, requests) = (Arc::new(AtomicBool::new(true)), AtomicUsize::new(0));
    let is_faulty = faulty.clone();
    let proxy = Proxy::start(move |parts| {
        if is_watch(parts) || !is_faulty.load(Ordering::Relaxed) {
            return Fate::Passes;
        }
        match requests.fetch_add(1, Ordering::Relaxed) % 29 {
            5 => Fate::Refused(429),
            11 => Fate::Refused(500),
            17 => Fate::CutOff,
            23 => Fate::Waits(Duration::from_millis(300)),
            _ => Fate::Passes,
        }
    })
    .await;
    let mut world = World::on(
        Client::try_default().await.unwrap(),
        &format!("chaos-{time}"),
        &[],
        &["--leader-elect=false"],
        Some(proxy.kubeconfig),
    )
    .await;
    let mut runner = TestRunner::default();
    let ops = prop::collection::vec(prop::collection::vec(op(), 1..5), ROUNDS);
    let mut cases: Vec<Case> = (0..RESOURCES)
        .map(|number| {
            let ops = ops.new_tree(&mut runner).unwrap().current();
            Case { number, prefix: 0, theirs: BTreeSet::new(), ops }
        })
        .collect();
    join_all(cases.iter().map(|case| case.begin(&world))).await;
    for round in 0..ROUNDS {
        join_all(cases.iter_mut().map(|case| case.run(&world, round))).await;
        if round % 2 == 1 {
            world.operator.kill();
            world.restart();
        }
        // So that it is in the middle of something.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    faulty.store(false, Ordering::Relaxed);
    join_all(cases.iter().map(|case| case.mend(&world))).await;
    for case in &cases {
        eventually_right(3 * PATIENCE, async || {
            if case.is_guarded() {
                case.approve(&world).await;
            }
            match case.wrong(&world, &config_maps(&world).await).await {
                None => Ok(()),
                Some(wrong) => Err(format!("{wrong} after {:?}", case.ops)),
            }
        })
        .await;
    }
    // And stays so.
    for case in &cases {
        world.another_pass(&case.resource()).await;
        assert_eq!(case.wrong(&world, &config_maps(&world).await).await, None, "{:?}", case.ops);
    }
}
