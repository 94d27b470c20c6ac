//! Many write at once, in every way there is, while the listener is cut off, the server dies and the operator is killed.
//! After each round the cluster is as the query has it. Within the hour nobody tells of what was committed but
//! notifications, the reads that follow a reconnect, and the listener's own look every ten seconds. As that look would find
//! all in the end, figures have to show that notifications do where there is no trouble.
//!
//! `DBQO_SEED=n` repeats what is done, if not in which order the server does it. `DBQO_SOAK=n` (`make soak`) goes on for
//! n times 200 rounds.

#[path = "storm/writing.rs"]
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use self::writing::{Dice, MEND, TABLES, Writer};
use crate::support::eventually_right;
use crate::support::listening::until_armed_within;
use crate::support::server::Server;
use crate::support::world::{World, condition};

const WRITERS: u64 = 8;
/// Without `DBQO_SOAK`: each trouble once.
const ROUNDS: usize = TROUBLES.len();
/// How long is written in each round.
const ROUND: Duration = Duration::from_secs(2);
/// It bounds a failure, and measures nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many tables are watched.
const WATCHED: i64 = 4;

/// What happens in a round besides.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Nothing.
    Nothing,
    /// The connection that listens is cut.
    Listener,
    /// That with the locks is.
    Locks,
    /// All that read are.
    Reads,
    /// The server dies, by this signal.
    Server(&'static str),
    /// The operator does.
    Operator,
}

const TROUBLES: [Trouble; 8] = [
    Trouble::Listener,
    Trouble::Nothing,
    Trouble::Server("KILL"),
    Trouble::Locks,
    Trouble::Operator,
    Trouble::Reads,
    Trouble::Server("INT"),
    Trouble::Nothing,
];

/// By key; as a whole; by key, with rows that fail or are at odds, of an ordinary table and of a partitioned one; and of
/// two tables. With the tables that are watched.
const RESOURCES: [(&str, &[&str], &str); 5] = [
    ("keyed", &["w"], "SELECT id, name, v FROM w"),
    ("whole", &["w"], "SELECT id, name, v FROM w ORDER BY id LIMIT 10000"),
    ("wild", &["d"], "SELECT id, name, v FROM d"),
    ("parted", &["p"], "SELECT id, name, v FROM p"),
    (
        "joined",
        &["w", "s"],
        "SELECT w.id, w.name, w.v || s.v AS v, s.id AS shade FROM w JOIN s ON s.id = w.id / 10 % 7",
    ),
];
/// What made all of them look by now, and how often they have read.
#[derive(Clone, Copy, Default)]
struct Looks {
    notified: usize,
    by_listener: usize,
    reads: usize,
}

/// A neighbour whose query never works.
const BROKEN: &str = "broken";

struct Storm {
    world: World,
    server: Server,
    seed: u64,
    commits: Arc<AtomicUsize>,
    /// Uids of the objects of rows that nobody touches.
    still: BTreeMap<String, String>,
}

impl Storm {
    async fn new() -> Self {
        let seed = std::env::var("DBQO_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_secs());
        println!("DBQO_SEED={seed}");
        let server = Server::start("storm").await;
        server.admin().await.batch_execute(TABLES).await.unwrap();
        let client = kube::Client::try_default().await.unwrap();
        let world = World::on(client, "storm", &[], &["--leader-elect=false"], None).await;
        world.add_secret(&server.secret("own")).await;
        let broken: (_, &[&str], _) = (BROKEN, &["w", "p"], "SELECT id, name, (1 / (id - id))::text AS v FROM w");
        for (name, tables, query) in RESOURCES.into_iter().chain([broken]) {
            let tables: Vec<_> = tables.iter().map(|table| json!({"tableName": table})).collect();
            let changes = json!({"enabled": true, "mode": "Notify", "tables": tables, "resyncInterval": "1h"});
            let template = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-{{{{ row.name }}}}\ndata:\n  \
                 v: {{{{ row.v | required('v') }}}}\n  id: {{{{ row.id | string }}}}\n"
            );
            let spec = json!({
                "query": query, "resourceTemplate": template, "changeDetection": changes, "pollInterval": "1h",
                "database": {"connectionSecretRef": {"name": "own"}},
                "pruneGuard": {"maxDeletions": 1_000_000_000, "allowEmpty": true},
            });
            world.create(name, spec).await;
        }
        for (name, ..) in RESOURCES {
            let resource = world.condition(name, "ChangeDetection", "True", Some("Listening")).await;
            let message = condition(&resource, "ChangeDetection").unwrap()["message"].as_str().unwrap().to_owned();
            assert_eq!(message.contains("full reads"), name == "whole", "{name}: {message}");
        }
        let mut storm = Self { world, server, seed, commits: Arc::default(), still: BTreeMap::new() };
        storm.settle("the beginning").await;
        storm.still = storm.untouched().await;
        assert_eq!(storm.still.len(), 10 * RESOURCES.len());
        storm
    }

    async fn untouched(&self) -> BTreeMap<String, String> {
        let mut uids = self.world.uids().await;
        uids.retain(|name, _| name.contains("-still-"));
        uids
    }

    async fn round(&mut self, number: usize) {
        let mut dice = Dice(self.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let trouble = if number < ROUNDS { TROUBLES[number] } else { TROUBLES[dice.below(ROUNDS as u64) as usize] };
        let is_fast = number % 4 == 1 || (number >= ROUNDS && dice.one_in(4));
        let what = format!("round {number} of DBQO_SEED={}: {trouble:?}, fast: {is_fast}", self.seed);
        if matches!(trouble, Trouble::Nothing) {
            self.hear(&what).await;
        }
        let mut before = self.looks().await;
        let writers = self.writers(&mut dice, is_fast).await;
        sleep(ROUND / 4 + ROUND.mul_f64(dice.below(50) as f64 / 100.0)).await;
        self.cause(trouble).await;
        for writer in writers {
            writer.await.unwrap();
        }
        self.server.admin().await.batch_execute(MEND).await.unwrap();
        let begin = Instant::now();
        let last = self.settle(&what).await;
        let settled = begin.elapsed().as_millis();
        let now = self.looks().await;
        if matches!(trouble, Trouble::Operator) {
            before = [Looks::default(); RESOURCES.len()];
        }
        let sum = |of: fn(&Looks) -> usize| now.iter().map(of).sum::<usize>() - before.iter().map(of).sum::<usize>();
        println!(
            "{what}: settled in {settled} ms, {last}; {} commits by now; looks: {} notified, {} by the listener; {} reads",
            self.commits(),
            sum(|looks| looks.notified),
            sum(|looks| looks.by_listener),
            sum(|looks| looks.reads)
        );
        assert_eq!(self.untouched().await, self.still, "{what}: rows that nobody touched keep their objects");
    }

    fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    /// By resource, since the operator was started last.
    async fn looks(&self) -> [Looks; RESOURCES.len()] {
        let mut all = [Looks::default(); RESOURCES.len()];
        for ((name, ..), looks) in RESOURCES.iter().zip(&mut all) {
            looks.notified = self.world.looks(name, "notification").await;
            looks.by_listener = self.world.looks(name, "listener").await;
            looks.reads = self.world.reads(name).await;
        }
        all
    }

    /// Sees that all are heard while nobody else writes: that the listener finds out by itself counts for nothing. After a
    /// round that was loud, tables are quiet for a while.
    async fn hear(&self, what: &str) {
        let admin = self.server.admin().await;
        until_armed_within(PATIENCE, &admin, WATCHED).await;
        let (before, mut number) = (self.looks().await, 0);
        eventually_right(PATIENCE, async || {
            number += 1;
            for table in ["w", "d", "p"] {
                let change = format!("ON CONFLICT (id) DO UPDATE SET v = '{number}'");
                let sql = format!("INSERT INTO {table} VALUES (99, 'heard', '{number}') {change}");
                admin.batch_execute(&sql).await.unwrap();
            }
            let now = self.looks().await;
            match RESOURCES
                .iter()
                .zip(before.iter().zip(&now))
                .find(|(_, (before, now))| now.notified == before.notified)
            {
                Some(((name, ..), _)) => Err(format!("{what}: {name} hears")),
                None => Ok(()),
            }
        })
        .await;
    }

    async fn writers(&self, dice: &mut Dice, is_fast: bool) -> Vec<JoinHandle<()>> {
        let version =
            self.server.admin().await.query_one("SELECT current_setting('server_version_num')::int", &[]).await;
        let has_merge = version.unwrap().get::<_, i32>(0) >= 150_000;
        let until = Instant::now() + ROUND;
        let writer = |number| Writer {
            config: self.server.config(),
            dice: Dice(dice.0.wrapping_add(number << 32)),
            is_fast,
            is_long: number < 2,
            has_merge,
            commits: self.commits.clone(),
        };
        (0..WRITERS).map(writer).map(|writer| tokio::spawn(writer.write(until))).collect()
    }

    async fn cause(&mut self, trouble: Trouble) {
        const LOCKS: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'";
        let cut = match trouble {
            Trouble::Nothing => return,
            Trouble::Operator => {
                self.world.operator.kill();
                return self.world.restart();
            }
            Trouble::Server(signal) => {
                self.server.crash(signal);
                return self.server.start_again().await;
            }
            Trouble::Listener => format!("application_name LIKE 'db-query-operator %' AND pid NOT IN ({LOCKS})"),
            Trouble::Locks => format!("application_name LIKE 'db-query-operator %' AND pid IN ({LOCKS})"),
            Trouble::Reads => "application_name = 'db-query-operator'".to_owned(),
        };
        let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {cut}");
        self.server.admin().await.batch_execute(&sql).await.unwrap();
    }

    /// Waits until the cluster is as the query, and tells what was last to become so.
    async fn settle(&self, what: &str) -> String {
        let mut last = None;
        let settled = async {
            while let Some(wrong) = self.wrong().await {
                last = Some(wrong);
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(PATIENCE, settled).await.is_err() {
            panic!("{what}: {last:?}");
        }
        last.map_or("at once".to_owned(), |(resource, _)| format!("{resource} last"))
    }

    /// What differs between the query and the cluster.
    async fn wrong(&self) -> Option<(&'static str, String)> {
        let sql = self.server.admin().await;
        let all = self.world.config_maps().list(&ListParams::default()).await.unwrap().items;
        for (resource, _, query) in RESOURCES {
            let rows = sql.query(&format!("SELECT name, id::text, v FROM ({query}) q"), &[]).await.unwrap();
            let wanted: BTreeMap<String, (String, String)> = rows
                .iter()
                .map(|row| (format!("{resource}-{}", row.get::<_, &str>(0)), (row.get(1), row.get(2))))
                .collect();
            let ours = all.iter().filter(|map| label(map) == Some(resource)).map(|map| {
                let data = |key: &str| map.data.as_ref().and_then(|data| data.get(key).cloned()).unwrap_or_default();
                (map.metadata.name.clone().unwrap(), (data("id"), data("v")))
            });
            let ours: BTreeMap<_, _> = ours.collect();
            if ours != wanted {
                let differs = |(name, value): &(&String, &(String, String))| ours.get(*name) != Some(value);
                let missing: Vec<_> =
                    wanted.iter().filter(differs).map(|(name, value)| (name, value, ours.get(name))).collect();
                let surplus: Vec<_> = ours.iter().filter(|(name, _)| !wanted.contains_key(*name)).collect();
                return Some((resource, format!("wanted and there: {missing:?}; without a row: {surplus:?}")));
            }
        }
        None
    }
}

fn label(map: &ConfigMap) -> Option<&str> {
    map.metadata.labels.as_ref()?.get("konnektr.io/managed-by").map(String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_written_while_anything_dies_the_cluster_is_as_the_query_after_every_round() {
    let soak: usize = std::env::var("DBQO_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(0);
    let mut storm = Storm::new().await;
    for number in 0..(200 * soak).max(ROUNDS) {
        storm.round(number).await;
    }
    assert!(storm.commits() > 1000, "there was something to notice");
    for (name, ..) in RESOURCES {
        storm.world.another_pass(name).await;
    }
    storm.world.condition(BROKEN, "Ready", "False", Some("QueryFailed")).await;
    assert_eq!(storm.wrong().await, None, "and stays so");
    assert_eq!(storm.untouched().await, storm.still);
}
