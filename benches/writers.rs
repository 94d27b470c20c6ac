//! What notifications cost those who write: the throughput of 8 clients on a watched table. Run it with
//! `make bench-latency`; figures and conditions are in `benches/README.md`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use support::world::World;
use tokio::process::Command;

const ROWS: usize = 10_000;
const CLIENTS: &str = "8";
/// Seconds of each run.
const SECONDS: &str = "10";
const ROUNDS: usize = 3;
/// How long a flush of the log takes at least, in microseconds, as `commit_delay` has it wait: as fast as the disk is, and
/// as a disk of a data centre is that says so only when nothing can be lost any more.
const FLUSHES: [&str; 2] = ["0", "1000"];
/// Longest time for a first sync, and for catching up.
const PATIENCE: Duration = Duration::from_secs(600);
/// In the order of the columns.
const TABLES: [&str; 5] = ["none", "nothing", "plain", "unheard", "heard"];
/// What any trigger costs: the same ones, with the same transition tables.
const NOTHING: &str = "\
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
    CREATE TRIGGER ins AFTER INSERT ON nothing REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION nothing();
    CREATE TRIGGER upd AFTER UPDATE ON nothing REFERENCING NEW TABLE AS new OLD TABLE AS old
        FOR EACH STATEMENT EXECUTE FUNCTION nothing();
    CREATE TRIGGER del AFTER DELETE ON nothing REFERENCING OLD TABLE AS old FOR EACH STATEMENT EXECUTE FUNCTION nothing();
    CREATE TRIGGER trunc AFTER TRUNCATE ON nothing FOR EACH STATEMENT EXECUTE FUNCTION nothing()";
const TEMPLATE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.id }}-row\ndata:\n  v: {{ row.v | quote }}\n";

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this flag; there is nothing to test here.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let world = World::new("writers", &[]).await;
    for table in TABLES {
        let columns = "id int PRIMARY KEY, v text NOT NULL, other int NOT NULL";
        let rows = format!("SELECT n, '0', 0 FROM generate_series(1, {ROWS}) n");
        world.run_sql(&format!(r#"CREATE TABLE "{table}" ({columns}); INSERT INTO "{table}" {rows}"#)).await;
    }
    world.run_sql("ANALYZE").await;
    world.create("q", spec()).await;
    world.condition_within(PATIENCE, "q", "Ready", "True", None).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    // The same trigger where nobody listens, and one that asks nobody before it notifies.
    world.run_sql("SELECT dbqo.watch('unheard', '{id}', 1); SELECT dbqo.watch('plain', '{id}', 0)").await;
    world.run_sql(NOTHING).await;
    println!(
        "| transactions/s of {CLIENTS} clients | flush | no trigger | a trigger that does nothing | plain NOTIFY \
         | ours, nobody listens | ours, heard |"
    );
    println!("|---|---|---|---|---|---|---|");
    for flush in FLUSHES {
        for round in 1..=ROUNDS {
            let mut rates = Vec::new();
            for table in TABLES {
                rates.push(write(&world, table, "other = other + 1", flush).await);
            }
            let ratios: Vec<String> =
                rates.iter().skip(1).map(|rate| format!("{rate:.0} ({:.2})", rate / rates[0])).collect();
            println!("| {round} | {flush} µs | {:.0} | {} |", rates[0], ratios.join(" | "));
        }
    }
    println!(
        "\n| a column that the query reads | no trigger | ours, heard | the cluster is behind when the load ends by |"
    );
    println!("|---|---|---|---|");
    for round in 1..=ROUNDS {
        let none = write(&world, "none", "v = v::int + 1", FLUSHES[0]).await;
        let heard = write(&world, "heard", "v = v::int + 1", FLUSHES[0]).await;
        let behind = catch_up(&world).await;
        println!("| {round} | {none:.0} | {heard:.0} ({:.2}) | {:.1} s |", heard / none, behind.as_secs_f64());
    }
}

fn spec() -> serde_json::Value {
    json!({
        "pollInterval": "1h",
        "query": "SELECT id, v FROM heard",
        "resourceTemplate": TEMPLATE,
        "changeDetection": {"enabled": true, "tableName": "heard", "mode": "Notify", "resyncInterval": "1h"},
    })
}

/// Transactions per second, as pgbench counts them.
async fn write(world: &World, table: &str, change: &str, flush: &str) -> f64 {
    let script = std::env::temp_dir().join(format!("dbqo-writers-{}.sql", std::process::id()));
    let sql = format!("\\set id random(1, {ROWS})\nUPDATE \"{table}\" SET {change} WHERE id = :id;\n");
    std::fs::write(&script, sql).unwrap();
    let output = Command::new(PathBuf::from(support::env("PG_BIN")).join("pgbench"))
        .args(["-n", "-M", "prepared", "-c", CLIENTS, "-j", "2", "-T", SECONDS, "-f"])
        .arg(&script)
        .args(["-h", world.database.host(), "-p", &world.database.port().to_string(), "-U", world.database.user()])
        .arg(world.database.name())
        .env("PGPASSWORD", world.database.password())
        .env("PGOPTIONS", format!("-c commit_delay={flush} -c commit_siblings=0"))
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    std::fs::remove_file(&script).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// How long it takes until every object is as its row is.
async fn catch_up(world: &World) -> Duration {
    let begin = Instant::now();
    let rows = world.sql.query("SELECT id, v FROM heard", &[]).await.unwrap();
    let all = kube::api::ListParams::default().labels("konnektr.io/managed-by=q");
    support::eventually("the cluster is as the table is", PATIENCE, async || {
        let list = world.config_maps().list(&all).await.unwrap();
        let values: std::collections::HashMap<String, String> = list
            .into_iter()
            .map(|mut map| (map.metadata.name.unwrap(), map.data.as_mut().unwrap().remove("v").unwrap()))
            .collect();
        let is_there = |row: &tokio_postgres::Row| {
            values.get(&format!("{}-row", row.get::<_, i32>(0))).is_some_and(|value| *value == row.get::<_, String>(1))
        };
        rows.iter().all(is_there).then_some(())
    })
    .await;
    begin.elapsed()
}
