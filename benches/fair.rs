//! How long a change of a small resource takes alone, and beside others that hang, are slow or are huge: from COMMIT until
//! a watch sees the object. One small one is notified, of the other a look is asked for. Run it with `make bench-fair`;
//! figures and conditions are in `benches/README.md`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;
use support::listening::{notified, on_own};
use support::server::{Server, send};
use support::world::World;

const HUGE: usize = 10_000;
/// Changes of each small one where nothing ends by itself.
const CHANGES: usize = 200;
/// Until what is to be in the way is.
const SETTLED: Duration = Duration::from_secs(5);
/// Longest time that the huge one takes for anything.
const PATIENCE: Duration = Duration::from_secs(300);
const TEMPLATE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: huge-{{ row.n }}\ndata:\n  v: {{ row.v | quote }}\n";

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this flag; there is nothing to test here.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let names: Vec<String> = (0..10).map(|n| format!("small-{n}")).collect();
    let world = World::new("fair", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.run_sql(&format!("CREATE TABLE huge AS SELECT n, 0 AS v FROM generate_series(1, {HUGE}) n")).await;
    world
        .run_sql("CREATE TABLE polled (LIKE t INCLUDING ALL); INSERT INTO polled SELECT 'polled-' || name, v FROM t")
        .await;
    world.create("polled", json!({"pollInterval": "1h", "query": "SELECT name, v FROM polled"})).await;
    world.create("notified", notified(json!({}))).await;
    world.ready("polled").await;
    world.listening("notified").await;
    let world = Arc::new(world);
    let mut small =
        [Small::new(&world, "t", "small-1", None), Small::new(&world, "polled", "polled-small-1", Some("polled"))];

    println!("| two small resources of 10 rows | changes | notified p50 | p99 | longest | asked p50 | p99 | longest |");
    println!("|---|---|---|---|---|---|---|---|");
    tell("alone", &changes(&mut small, CHANGES).await);

    let slow = json!({"connectionSecretRef": {"name": "db"}, "statementTimeout": "2m"});
    let query = "SELECT name, v, pg_sleep(60)::text FROM t";
    world.create("slow", json!({"database": slow, "query": query, "resourceTemplate": TEMPLATE})).await;
    World::until_resting(&world.sql, "*").await;
    tell("beside a query that takes a minute", &changes(&mut small, CHANGES).await);
    assert_eq!(World::resting(&world.sql, "*").await, 1, "it has ended before");
    world.delete("slow").await;

    let server = Server::start("fair").await;
    server.admin().await.batch_execute("CREATE TABLE t AS SELECT 'hung' AS name, 'one' AS v").await.unwrap();
    world.add_secret(&server.secret("own")).await;
    world.create("hung", on_own(json!({"pollInterval": "1s"}))).await;
    world.ready("hung").await;
    let processes = server.processes().await;
    send("STOP", &processes);
    tokio::time::sleep(SETTLED).await;
    tell("beside a database that hangs", &changes(&mut small, CHANGES).await);
    send("CONT", &processes);
    world.delete("hung").await;

    let spec = json!({"pollInterval": "1h", "query": "SELECT n, v FROM huge", "resourceTemplate": TEMPLATE});
    world.create("huge", spec).await;
    let first_sync = world.condition_within(PATIENCE, "huge", "Ready", "True", None);
    tell("beside the first sync of 10,000 rows", &beside(&mut small, first_sync).await);
    let updates = async {
        for round in 1..=2 {
            world.sql.execute("UPDATE huge SET v = $1", &[&round]).await.unwrap();
            ask(&world, "huge", round).await;
            let asked = round.to_string();
            let is_through = async || (world.get("huge").await["status"]["lastHandledRequest"] == *asked).then_some(());
            support::eventually("all rows are through", PATIENCE, is_through).await;
        }
    };
    tell("beside updates of 10,000 rows", &beside(&mut small, updates).await);
}

/// How long each of so many changes takes, of each of the small ones in turn.
async fn changes(small: &mut [Small; 2], number: usize) -> [Vec<Duration>; 2] {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..number {
        for (small, took) in small.iter_mut().zip(&mut took) {
            took.push(small.change().await);
        }
    }
    took
}

/// The same until `work` is through.
async fn beside<T>(small: &mut [Small; 2], work: impl Future<Output = T>) -> [Vec<Duration>; 2] {
    let (mut took, mut work) = ([Vec::new(), Vec::new()], pin!(work));
    loop {
        tokio::select! {
            once = changes(small, 1) => took.iter_mut().zip(once).for_each(|(all, once)| all.extend(once)),
            _ = &mut work => return took,
        }
    }
}

/// Asks for a look now.
async fn ask(world: &World, name: &str, number: i32) {
    let stamp = json!({"metadata": {"annotations": {"konnektr.io/requestedAt": number.to_string()}}});
    world.dbqrs().patch(name, &PatchParams::default(), &Patch::Merge(stamp)).await.unwrap();
}

struct Small {
    world: Arc<World>,
    table: &'static str,
    object: &'static str,
    /// Of which resource a look is asked for, if it is not notified.
    asked: Option<&'static str>,
    /// What a watch sees of the object.
    seen: Pin<Box<dyn Stream<Item = watcher::Result<Event<ConfigMap>>> + Send>>,
    changes: i32,
}

impl Small {
    fn new(world: &Arc<World>, table: &'static str, object: &'static str, asked: Option<&'static str>) -> Self {
        let one = watcher::Config::default().fields(&format!("metadata.name={object}"));
        let seen = Box::pin(watcher(world.config_maps(), one));
        Self { world: world.clone(), table, object, asked, seen, changes: 0 }
    }

    /// Changes a row; how long it takes until the object has changed.
    async fn change(&mut self) -> Duration {
        self.changes += 1;
        let value = self.changes.to_string();
        let sql = format!("UPDATE {} SET v = $1 WHERE name = $2", self.table);
        self.world.sql.execute(&sql, &[&value, &self.object]).await.unwrap();
        let committed = Instant::now();
        if let Some(name) = self.asked {
            ask(&self.world, name, self.changes).await;
        }
        while let Some(event) = self.seen.next().await {
            if let Ok(Event::Apply(object) | Event::InitApply(object)) = event
                && object.data.is_some_and(|data| data["v"] == value)
            {
                break;
            }
        }
        committed.elapsed()
    }
}

fn tell(what: &str, took: &[Vec<Duration>; 2]) {
    let figures = took.clone().map(|mut took| {
        took.sort();
        let share = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1000.0;
        format!("{:.0} ms | {:.0} ms | {:.0} ms", share(50), share(99), share(100))
    });
    println!("| {what} | {} | {} |", took[0].len(), figures.join(" | "));
}
