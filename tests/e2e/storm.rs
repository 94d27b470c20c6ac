//! Many write at once, in every way there is, while the listener is cut off, the server dies and the operator is killed.
//! Nothing is looked at by time: whatever was committed is known from notifications, or from what follows a reconnect.
//! After each round the cluster is as the query has it.
//!
//! `DBQO_SEED=n` repeats what is done, if not in which order the server does it. `DBQO_SOAK=n` (`make soak`) goes on for
//! n times 200 rounds.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use futures::SinkExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, Error};

use crate::support::connect;
use crate::support::server::Server;
use crate::support::world::{World, condition};

const WRITERS: u64 = 8;
/// Without `DBQO_SOAK`: each trouble once.
const ROUNDS: usize = TROUBLES.len();
/// How long is written in each round.
const ROUND: Duration = Duration::from_secs(2);
/// It bounds a failure, and measures nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// Rows with numbers from 0 to 9 stay as they are. In `w` names are unique when a transaction ends, and all rows can be
/// rendered, so that nothing is ever read again because something failed. In `d` and `p` anything goes. Rows of `w` show one
/// of `s`: those that stay as they are number 0.
const TABLES: &str = "
    CREATE TABLE w (id int PRIMARY KEY, name text UNIQUE DEFERRABLE INITIALLY DEFERRED, v text);
    CREATE TABLE d (id int PRIMARY KEY, name text, v text);
    INSERT INTO w SELECT n, 'still-' || n, 'still' FROM generate_series(0, 9) n;
    INSERT INTO d TABLE w;
    CREATE TABLE p (id int PRIMARY KEY, name text, v text) PARTITION BY RANGE (id);
    CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (120);
    CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (120) TO (200);
    CREATE TABLE p_rest PARTITION OF p DEFAULT;
    INSERT INTO p TABLE w;
    CREATE TABLE s (id int PRIMARY KEY, v text NOT NULL);
    INSERT INTO s SELECT n, 's' FROM generate_series(0, 6) n;";
/// What makes all of `d` and `p` fit to be rendered.
const MEND: &str = "
    UPDATE d SET v = 'mended' WHERE v IS NULL;
    DELETE FROM d a USING d b WHERE a.name = b.name AND a.id > b.id;
    UPDATE p SET v = 'mended' WHERE v IS NULL;
    DELETE FROM p a USING p b WHERE a.name = b.name AND a.id > b.id";

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

/// Random numbers that can be had again.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// One of the rows that come and go.
    fn id(&mut self) -> u64 {
        100 + self.below(40)
    }
}

/// One of those who write.
struct Writer {
    config: Config,
    dice: Dice,
    /// Whether all its transactions change one row each and follow each other at once.
    is_fast: bool,
    /// Whether some of its transactions stay open while others come and go.
    is_long: bool,
    has_merge: bool,
    commits: Arc<AtomicUsize>,
}

impl Writer {
    async fn write(mut self, until: Instant) {
        while Instant::now() < until {
            // The server may be gone for now.
            let Ok(client) = connect(self.config.clone()).await else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let set = "SET deadlock_timeout = '50ms'; SET lock_timeout = '200ms'";
            let _ = client.batch_execute(set).await;
            while Instant::now() < until && !client.is_closed() {
                let ended = if self.is_fast { self.change(&client).await } else { self.transaction(&client).await };
                match ended {
                    Ok(()) => drop(self.commits.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => drop(client.batch_execute("ROLLBACK").await),
                }
            }
        }
    }

    async fn change(&mut self, client: &Client) -> Result<(), Error> {
        let (id, value) = (self.dice.id(), self.dice.below(1000));
        let sql = match self.dice.below(20) {
            0 => format!("DELETE FROM w WHERE id = {id}"),
            1..=3 => format!("INSERT INTO w VALUES ({id}, 'fast-{id}', 'v{value}') ON CONFLICT (id) DO NOTHING"),
            _ => format!("UPDATE w SET v = 'v{value}' WHERE id = {id}"),
        };
        client.batch_execute(&sql).await
    }

    async fn transaction(&mut self, client: &Client) -> Result<(), Error> {
        client.batch_execute("BEGIN").await?;
        for _ in 0..=self.dice.below(3) {
            self.statement(client).await?;
            if self.is_long && self.dice.one_in(3) {
                sleep(Duration::from_millis(self.dice.below(800))).await;
            }
            if self.dice.one_in(5) {
                client.batch_execute("SAVEPOINT s").await?;
                self.statement(client).await?;
                client.batch_execute("ROLLBACK TO s").await?;
            }
        }
        client.batch_execute(if self.dice.one_in(6) { "ROLLBACK" } else { "COMMIT" }).await
    }

    async fn statement(&mut self, client: &Client) -> Result<(), Error> {
        let dice = &mut self.dice;
        if dice.one_in(8) {
            let sql = shade(dice);
            return client.batch_execute(&sql).await;
        }
        let table = ["w", "w", "w", "d", "p"][dice.below(5) as usize];
        let (a, b, value) = (dice.id(), dice.id(), dice.below(1000));
        // Of d also what cannot be rendered, and names that another row has.
        let (name, v) = match (table, dice.below(8)) {
            ("d" | "p", 0) => (format!("{table}-{}", b % 4), "NULL".to_owned()),
            ("d" | "p", 1) => (format!("{table}-{}", b % 4), format!("'v{value}'")),
            _ => (format!("{table}-{a}-{}", value % 3), format!("'v{value}'")),
        };
        let sql = match dice.below(14) {
            0 | 1 => {
                format!("INSERT INTO {table} VALUES ({a}, '{name}', {v}) ON CONFLICT (id) DO UPDATE SET v = excluded.v")
            }
            2 => format!("INSERT INTO {table} VALUES ({a}, '{name}', {v}) ON CONFLICT (id) DO NOTHING"),
            3 => format!("UPDATE {table} SET v = {v} WHERE id = {a}"),
            4 => format!("UPDATE {table} SET v = {v} WHERE id BETWEEN {a} AND {a} + 4"),
            5 => format!("UPDATE {table} SET name = '{name}' WHERE id = {a}"),
            6 => format!(
                "UPDATE {table} x SET name = y.name FROM {table} y \
                 WHERE x.id IN ({a}, {b}) AND y.id IN ({a}, {b}) AND x.id <> y.id"
            ),
            7 => format!("UPDATE {table} SET id = {b} WHERE id = {a}"),
            8 => format!("DELETE FROM {table} WHERE id = {a}"),
            9 => format!("DELETE FROM {table} WHERE id BETWEEN {a} AND {a} + 2"),
            10 if self.has_merge => format!(
                "MERGE INTO {table} x USING (VALUES ({a}, '{name}', {v}), ({b}, '{table}-{b}-0', 'b')) y (id, name, v) \
                 ON x.id = y.id WHEN MATCHED AND x.id % 5 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = y.v \
                 WHEN NOT MATCHED THEN INSERT VALUES (y.id, y.name, y.v)"
            ),
            11 => {
                let rows =
                    (b..b + 3).map(|id| format!("{id}\t{table}-{id}-{}\tcopied\n", value % 3)).collect::<String>();
                client.batch_execute(&format!("DELETE FROM {table} WHERE id BETWEEN {b} AND {b} + 2")).await?;
                let sink = client.copy_in(&format!("COPY {table} FROM STDIN")).await?;
                futures::pin_mut!(sink);
                sink.send(Cursor::new(rows.into_bytes())).await?;
                return sink.finish().await.map(|_| ());
            }
            12 if dice.one_in(4) => format!(
                "TRUNCATE {table}; INSERT INTO {table} SELECT n, 'still-' || n, 'still' FROM generate_series(0, 9) n; \
                 INSERT INTO {table} VALUES ({a}, '{name}', {v})"
            ),
            _ => format!(
                "WITH gone AS (DELETE FROM {table} WHERE id = {a} RETURNING *) \
                 INSERT INTO {table} SELECT id + 100, name, v FROM gone"
            ),
        };
        client.batch_execute(&sql).await
    }
}

/// Changes what rows of `w` show of `s`.
fn shade(dice: &mut Dice) -> String {
    let (id, value) = (dice.below(7), dice.below(1000));
    match dice.below(4) {
        0 if id > 0 => format!("DELETE FROM s WHERE id = {id}"),
        1 => format!("UPDATE s SET v = 's{value}' WHERE id >= {id}"),
        _ => format!("INSERT INTO s VALUES ({id}, 's{value}') ON CONFLICT (id) DO UPDATE SET v = excluded.v"),
    }
}

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
        let writers = self.writers(&mut dice, is_fast).await;
        sleep(ROUND / 4 + ROUND.mul_f64(dice.below(50) as f64 / 100.0)).await;
        self.cause(trouble).await;
        for writer in writers {
            writer.await.unwrap();
        }
        self.server.admin().await.batch_execute(MEND).await.unwrap();
        let begin = Instant::now();
        self.settle(&what).await;
        println!("{what}: settled in {} ms, {} commits by now", begin.elapsed().as_millis(), self.commits());
        assert_eq!(self.untouched().await, self.still, "{what}: rows that nobody touched keep their objects");
    }

    fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
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

    async fn settle(&self, what: &str) {
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
    }

    /// What differs between the query and the cluster.
    async fn wrong(&self) -> Option<String> {
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
                return Some(format!("{resource}: wanted and there: {missing:?}; without a row: {surplus:?}"));
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
