//! How long a change of a small resource takes alone, and beside one of 10,000 rows at work: from COMMIT, with a
//! request to look now, until a watch sees the object. Run it with `make bench-fair`; figures and conditions are in
//! `benches/README.md`.

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
use support::world::World;

const HUGE: usize = 10_000;
/// Changes of the small one, alone.
const CHANGES: usize = 300;
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
    world.create("small", json!({"pollInterval": "1h"})).await;
    world.ready("small").await;
    let world = Arc::new(world);
    let mut small = Small::new(world.clone());

    println!("| a small resource of 10 rows | changes | p50 | p99 | longest |");
    println!("|---|---|---|---|---|");
    let mut alone = Vec::new();
    while alone.len() < CHANGES {
        alone.push(small.change().await);
    }
    tell("alone", alone);
    let spec = json!({"pollInterval": "1h", "query": "SELECT n, v FROM huge", "resourceTemplate": TEMPLATE});
    world.create("huge", spec).await;
    let first_sync = world.condition_within(PATIENCE, "huge", "Ready", "True", None);
    tell("beside the first sync of 10,000 rows", small.beside(first_sync).await);
    let updates = async {
        for round in 1..=2 {
            world.sql.execute("UPDATE huge SET v = $1", &[&round]).await.unwrap();
            ask(&world, "huge", round).await;
            let asked = round.to_string();
            let is_through = async || (world.get("huge").await["status"]["lastHandledRequest"] == *asked).then_some(());
            support::eventually("all rows are through", PATIENCE, is_through).await;
        }
    };
    tell("beside updates of 10,000 rows", small.beside(updates).await);
}

/// Asks for a look now.
async fn ask(world: &World, name: &str, number: i32) {
    let stamp = json!({"metadata": {"annotations": {"konnektr.io/requestedAt": number.to_string()}}});
    world.dbqrs().patch(name, &PatchParams::default(), &Patch::Merge(stamp)).await.unwrap();
}

struct Small {
    world: Arc<World>,
    /// What a watch sees of one of its objects.
    seen: Pin<Box<dyn Stream<Item = watcher::Result<Event<ConfigMap>>> + Send>>,
    changes: i32,
}

impl Small {
    fn new(world: Arc<World>) -> Self {
        let one = watcher::Config::default().fields("metadata.name=small-1");
        Self { seen: Box::pin(watcher(world.config_maps(), one)), world, changes: 0 }
    }

    /// Changes a row until `work` is through; how long it takes each time.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Vec<Duration> {
        let (mut took, mut work) = (Vec::new(), pin!(work));
        loop {
            tokio::select! {
                once = self.change() => took.push(once),
                _ = &mut work => return took,
            }
        }
    }

    async fn change(&mut self) -> Duration {
        self.changes += 1;
        let value = self.changes.to_string();
        self.world.sql.execute("UPDATE t SET v = $1 WHERE name = 'small-1'", &[&value]).await.unwrap();
        let committed = Instant::now();
        ask(&self.world, "small", self.changes).await;
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

fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let share = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_millis();
    println!("| {what} | {} | {} ms | {} ms | {} ms |", took.len(), share(50), share(99), share(100));
}
