//! From COMMIT until a watch sees the object: of the operator, and of the barest program that could do it. Run it with
//! `make bench-latency`; figures and conditions are in `benches/README.md`.

#[path = "../tests/support/mod.rs"]
mod support;

mod bare;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bare::Bare;
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;
use support::world::World;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{AsyncMessage, NoTls};

/// Rows with an object each; `DBQO_SIZES` names others.
const SIZES: &str = "100,10000,100000";
/// Changes of each kind.
const CHANGES: usize = 200;
/// Applies in flight of one resource.
const AT_ONCE: usize = 32;
/// Longest time for a first sync.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Until what a first sync left behind is done.
const SETTLED: Duration = Duration::from_secs(5);
/// Between two changes: they come one by one.
const PAUSE: Duration = Duration::from_millis(20);
const TEMPLATE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: row-{{ row.id }}\ndata:\n  v: {{ row.v | quote }}\n";

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this flag; there is nothing to test here.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    println!("| rows | change | bare p50 | bare p99 | operator p50 | operator p99 | ratio p50 | ratio p99 |");
    println!("|---|---|---|---|---|---|---|---|");
    let sizes = std::env::var("DBQO_SIZES").unwrap_or_else(|_| SIZES.to_owned());
    for size in sizes.split(',') {
        measure(size.parse().unwrap()).await;
    }
    burst().await;
}

async fn measure(size: usize) {
    let world = World::new("latency", &[]).await;
    world
        .run_sql(&format!(
            "CREATE TABLE rows (id int PRIMARY KEY, v text NOT NULL);
             INSERT INTO rows SELECT n, '0' FROM generate_series(1, {size}) n;
             CREATE TABLE bare (id int PRIMARY KEY, v text NOT NULL);
             INSERT INTO bare SELECT n, '0' FROM generate_series(1, {size}) n;
             ANALYZE;
             CREATE FUNCTION bare() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
                 PERFORM pg_notify('bare', coalesce(NEW.id, OLD.id)::text); RETURN NULL; END$$;
             CREATE TRIGGER bare AFTER INSERT OR UPDATE OR DELETE ON bare FOR EACH ROW EXECUTE FUNCTION bare()"
        ))
        .await;
    world.create("q", spec("rows")).await;
    world.condition_within(PATIENCE, "q", "Ready", "True", None).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    tokio::time::sleep(SETTLED).await;
    let world = Arc::new(world);
    let (ready, listens) = oneshot::channel();
    let bare = tokio::spawn(bare(world.clone(), ready));
    listens.await.unwrap();
    let mut seen = Seen::new(&world).await;
    let id = size / 2;
    type Change = (&'static str, fn(usize, usize) -> (String, Option<String>, usize));
    // What is run of a table in place of `{}`, and what the object has then.
    let changes: [Change; 3] = [
        ("UPDATE", |n, id| (format!("UPDATE {{}} SET v = '{n}' WHERE id = {id}"), Some(n.to_string()), id)),
        ("INSERT", |n, _| {
            (format!("INSERT INTO {{}} VALUES ({}, '{n}')", 1_000_000 + n), Some(n.to_string()), 1_000_000 + n)
        }),
        ("DELETE", |n, _| (format!("DELETE FROM {{}} WHERE id = {}", 1_000_000 + n), None, 1_000_000 + n)),
    ];
    for (what, change) in changes {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for n in 1..=CHANGES {
            let (sql, value, id) = change(n, id);
            for (table, took) in [("bare", &mut theirs), ("rows", &mut ours)] {
                tokio::time::sleep(PAUSE).await;
                let name = if table == "bare" { format!("bare-{id}") } else { format!("row-{id}") };
                world.sql.batch_execute(&sql.replace("{}", table)).await.unwrap();
                let committed = Instant::now();
                seen.until(&name, value.as_deref()).await;
                took.push(committed.elapsed());
            }
        }
        let (theirs, ours) = (Took::of(theirs), Took::of(ours));
        println!(
            "| {size} | {what} | {} | {} | {} | {} | {:.2} | {:.2} |",
            ms(theirs.p50),
            ms(theirs.p99),
            ms(ours.p50),
            ms(ours.p99),
            ours.p50.as_secs_f64() / theirs.p50.as_secs_f64(),
            ours.p99.as_secs_f64() / theirs.p99.as_secs_f64(),
        );
    }
    bare.abort();
}

/// One UPDATE of 10,000 rows.
async fn burst() {
    const ROWS: usize = 10_000;
    let world = World::new("burst", &[]).await;
    world
        .run_sql(&format!(
            "CREATE TABLE rows (id int PRIMARY KEY, v text NOT NULL);
             INSERT INTO rows SELECT n, '0' FROM generate_series(1, {ROWS}) n;
             CREATE TABLE plain AS TABLE rows; ANALYZE"
        ))
        .await;
    world.create("q", spec("rows")).await;
    world.condition_within(PATIENCE, "q", "Ready", "True", None).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    let bare = Bare::new(world.config_maps()).await.unwrap();
    apply_all(&world, &bare).await;
    tokio::time::sleep(SETTLED).await;
    let mut seen = Seen::new(&world).await;
    println!(
        "\n| one UPDATE of {ROWS} rows | without trigger | with | bare client: until all are applied | operator | ratio |"
    );
    println!("|---|---|---|---|---|---|");
    for round in 1..=3 {
        let value = round.to_string();
        let update = async |table: &str| {
            let begin = Instant::now();
            world.run_sql(&format!("UPDATE {table} SET v = '{value}'")).await;
            (begin.elapsed(), Instant::now())
        };
        let (without, begin) = update("plain").await;
        let ((), ()) = tokio::join!(apply_all(&world, &bare), seen.until_all("bare-", &value, ROWS));
        let theirs = begin.elapsed();
        tokio::time::sleep(SETTLED).await;
        let (with, begin) = update("rows").await;
        seen.until_all("row-", &value, ROWS).await;
        let ours = begin.elapsed();
        tokio::time::sleep(SETTLED).await;
        println!(
            "| {round} | {} | {} | {:.1} s | {:.1} s | {:.2} |",
            ms(without),
            ms(with),
            theirs.as_secs_f64(),
            ours.as_secs_f64(),
            ours.as_secs_f64() / theirs.as_secs_f64()
        );
    }
}

/// One SELECT, and as many applies at once as the operator has for one resource.
async fn apply_all(world: &World, bare: &Bare) {
    let rows = world.sql.query("SELECT id, v FROM plain", &[]).await.unwrap();
    let apply = async |row: &tokio_postgres::Row| {
        let (id, value): (i32, String) = (row.get(0), row.get(1));
        bare.apply(&format!("bare-{id}"), &json!({"v": value})).await.unwrap();
    };
    stream::iter(&rows).map(apply).buffer_unordered(AT_ONCE).collect::<()>().await;
}

fn spec(table: &str) -> serde_json::Value {
    json!({
        "pollInterval": "1h",
        "query": format!("SELECT id, v FROM {table}"),
        "resourceTemplate": TEMPLATE,
        "changeDetection": {"enabled": true, "tableName": table, "mode": "Notify", "resyncInterval": "1h"},
        "pruneGuard": {"maxDeletions": "100%"},
    })
}

/// The barest program: a connection that listens, one SELECT, one server-side apply or deletion.
async fn bare(world: Arc<World>, ready: oneshot::Sender<()>) {
    let config = format!(
        "host={} port={} user={} password={} dbname={}",
        world.database.host(),
        world.database.port(),
        world.database.user(),
        world.database.password(),
        world.database.name()
    );
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let (sender, mut ids) = mpsc::unbounded_channel::<i32>();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                sender.send(notification.payload().parse().unwrap()).unwrap();
            }
        }
    });
    client.batch_execute("LISTEN bare").await.unwrap();
    let select = world.database.client().await;
    let statement = select.prepare("SELECT v FROM bare WHERE id = $1").await.unwrap();
    let maps = world.config_maps();
    let objects = Bare::new(maps.clone()).await.unwrap();
    ready.send(()).unwrap();
    while let Some(id) = ids.recv().await {
        let name = format!("bare-{id}");
        match select.query_opt(&statement, &[&id]).await.unwrap() {
            Some(row) => {
                let value: String = row.get(0);
                objects.apply(&name, &json!({"v": value})).await.unwrap();
            }
            None => drop(maps.delete(&name, &DeleteParams::default()).await.unwrap()),
        }
    }
}

/// What a watch sees.
struct Seen(Pin<Box<dyn Stream<Item = watcher::Result<Event<ConfigMap>>> + Send>>);

impl Seen {
    /// From now on: what was there before is no change.
    async fn new(world: &World) -> Self {
        let mut events = watcher(world.config_maps(), watcher::Config::default()).boxed();
        while !matches!(events.next().await.unwrap().unwrap(), Event::InitDone) {}
        Self(events)
    }

    async fn until(&mut self, name: &str, value: Option<&str>) {
        while let Some(event) = self.0.next().await {
            let is_it = |map: &ConfigMap| map.metadata.name.as_deref() == Some(name);
            match event.unwrap() {
                Event::Apply(map) if is_it(&map) && value.is_some() && v(&map) == value => return,
                Event::Delete(map) if is_it(&map) && value.is_none() => return,
                _ => {}
            }
        }
    }

    /// All of so many objects, whose names begin so, have this value.
    async fn until_all(&mut self, prefix: &str, value: &str, count: usize) {
        let mut there = HashSet::new();
        while there.len() < count {
            match self.0.next().await.unwrap().unwrap() {
                Event::Apply(map) if v(&map) == Some(value) => {
                    there.extend(map.metadata.name.filter(|name| name.starts_with(prefix)));
                }
                _ => {}
            }
        }
    }
}

fn v(map: &ConfigMap) -> Option<&str> {
    map.data.as_ref()?.get("v").map(String::as_str)
}

struct Took {
    p50: Duration,
    p99: Duration,
}

impl Took {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort();
        let share = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
        Self { p50: share(50), p99: share(99) }
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
