//! What it costs to have nothing to do: requests, statements, CPU time and log of a minute in which all objects are
//! as they should be. Run it with `make bench`; figures and conditions are in `benches/README.md`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use support::world::World;

const OBJECTS: usize = 1_000;
/// Of a resource that is notified.
const MANY: usize = 10_000;
/// Longest time for a first sync.
const PATIENCE: Duration = Duration::from_secs(300);
const WATCHED: Duration = Duration::from_secs(60);
/// Until what the first sync left behind is done: its status is written, its connections are idle.
const SETTLED: Duration = Duration::from_secs(15);
/// `utime` and `stime` of /proc count hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this flag; there is nothing to test here.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    println!(
        "| for {} s | objects | API requests | of these writes | SQL statements | CPU | log | memory |",
        WATCHED.as_secs()
    );
    println!("|---|---|---|---|---|---|---|---|");
    let detection = json!({"enabled": true, "tableName": "t", "timestampColumn": "at", "mode": "Poll"});
    let notify = json!({"enabled": true, "tableName": "t", "mode": "Notify"});
    for (name, what, objects, spec) in [
        ("idle-default", "`pollInterval: 1m` (the default)", OBJECTS, json!({"pollInterval": "1m"})),
        ("idle-query", "`pollInterval: 10s`", OBJECTS, json!({"pollInterval": "10s"})),
        (
            "idle-detect",
            "`pollInterval: 10s` with `changeDetection`",
            OBJECTS,
            json!({"pollInterval": "10s", "changeDetection": detection}),
        ),
        ("idle-notify", "notified", MANY, json!({"changeDetection": notify})),
    ] {
        measure(name, what, objects, spec).await;
    }
}

async fn measure(name: &str, what: &str, objects: usize, spec: Value) {
    let world = World::new(name, &[]).await;
    world.run_sql(&format!("INSERT INTO t SELECT 'object-' || n, 'text' FROM generate_series(1, {objects}) n")).await;
    world.run_sql(&format!(r#"ALTER DATABASE "{}" SET log_statement = 'all'"#, world.database.name())).await;
    world.create("q", spec).await;
    world.condition_within(PATIENCE, "q", "Ready", "True", None).await;
    tokio::time::sleep(SETTLED).await;
    let before = Count::of(&world).await;
    tokio::time::sleep(WATCHED).await;
    let after = Count::of(&world).await;
    let requests = |writes: bool| {
        let of = |count: &Count| -> f64 {
            let counted = |(method, _): &(&String, &f64)| !writes || !matches!(method.as_str(), "GET" | "WATCH");
            count.requests.iter().filter(counted).map(|(_, number)| number).sum()
        };
        of(&after) - of(&before)
    };
    println!(
        "| {what} | {objects} | {} | {} | {} | {} ms | {} bytes | {:.0} MiB |",
        requests(false),
        requests(true),
        after.statements - before.statements,
        (after.cpu - before.cpu).as_millis(),
        after.log - before.log,
        after.memory_mib,
    );
}

/// Everything that only grows, at one moment; and the memory.
struct Count {
    /// By method, as the operator counts them.
    requests: BTreeMap<String, f64>,
    /// As PostgreSQL logs them.
    statements: usize,
    cpu: Duration,
    log: usize,
    memory_mib: f64,
}

impl Count {
    async fn of(world: &World) -> Self {
        let proc = PathBuf::from(format!("/proc/{}", world.operator.id()));
        let stat = fs::read_to_string(proc.join("stat")).unwrap();
        // The name of the program, in brackets, may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u32>().unwrap();
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = resident.split_whitespace().next().unwrap().parse().unwrap();
        let server_log = fs::read(PathBuf::from(support::env("DIR")).join("postgres.log")).unwrap();
        let server_log = String::from_utf8_lossy(&server_log);
        let statement = |line: &&str| line.contains("LOG:  statement: ") || line.contains("LOG:  execute ");
        let mut requests = BTreeMap::new();
        let (_, metrics) = world.operator.get("/metrics").await;
        for line in metrics.lines().filter_map(|line| line.strip_prefix(r#"dbqo_api_requests_total{method=""#)) {
            let (method, rest) = line.split_once('"').unwrap();
            *requests.entry(method.to_owned()).or_default() += rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        }
        Self {
            requests,
            statements: server_log.lines().filter(statement).count(),
            cpu: TICK * (ticks(11) + ticks(12)),
            log: world.operator.logs().len(),
            memory_mib: kib / 1024.0,
        }
    }
}
