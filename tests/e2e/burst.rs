//! Much at once: few reads for many changes, and what was last comes first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::future::join_all;
use http::Method;
use kube::Client;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::proxy::{Fate, Gate, Proxy};
use crate::support::world::{PATIENCE, World};

const CLIENTS: usize = 8;
const COMMITS: usize = 10_000;
/// Notifications before a table is told to be quiet, as `logic/bell.rs` has it.
const LOUD: usize = 101;
/// Reads in a second while it is quiet, at most.
const QUIET: usize = 5;

fn notified(query: &str) -> Value {
    let changes = json!({"enabled": true, "tableName": "b", "mode": "Notify", "resyncInterval": "1h"});
    json!({ "query": query, "changeDetection": changes, "pollInterval": "1h" })
}

/// How often it has read so far, and how often it has looked because it was notified. The listener's own look, every ten
/// seconds, finds all that nobody hears of, and counts as no such look.
async fn figures(world: &World) -> [usize; 3] {
    [world.reads("q").await, world.looks("q", "notification").await, world.looks("q", "listener").await]
}

/// Waits until the ConfigMaps of `q` have the values that the query has.
async fn until_equal(world: &World, query: &str) {
    eventually("the cluster is as the query", 3 * PATIENCE, async || {
        let rows = world.sql.query(query, &[]).await.unwrap();
        let rows: BTreeMap<String, String> = rows.iter().map(|row| (row.get("name"), row.get("v"))).collect();
        let list = ListParams::default().labels("konnektr.io/managed-by=q");
        let maps = world.config_maps().list(&list).await.unwrap().items.into_iter();
        let maps = maps.map(|map| (map.metadata.name.unwrap(), map.data.unwrap().remove("v").unwrap()));
        (maps.collect::<BTreeMap<_, _>>() == rows).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_commits_cost_few_reads_and_end_right() {
    const QUERY: &str = "SELECT id, name, v FROM b";
    let world = World::new("burst-commits", &[]).await;
    world
        .run_sql(
            "CREATE TABLE b (id int PRIMARY KEY, name text, v text); \
             INSERT INTO b SELECT n, 'b' || n, 'one' FROM generate_series(1, 100) n",
        )
        .await;
    world.create("q", notified(QUERY)).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    until_equal(&world, QUERY).await;
    let (before, begin) = (figures(&world).await, Instant::now());
    let database = &world.database;
    join_all((0..CLIENTS).map(async |number| {
        let client = database.client().await;
        for commit in 0..COMMITS / CLIENTS {
            let id = 1 + (commit * CLIENTS + number) % 100;
            client
                .execute("UPDATE b SET v = $1 WHERE id = $2", &[&format!("{number}-{commit}"), &(id as i32)])
                .await
                .unwrap();
        }
    }))
    .await;
    let took = begin.elapsed();
    until_equal(&world, QUERY).await;
    let [reads, heard, _] = figures(&world).await;
    let (reads, heard, lasted) = (reads - before[0], heard - before[1], begin.elapsed());
    println!("{COMMITS} commits in {took:?}: {reads} reads, {heard} looks notified, all applied after {lasted:?}");
    assert!(heard > 0, "they are not heard");
    // Loud once, then quiet as long as reads find much; when they do not, it may be loud once more.
    let most = 2 * (LOUD + 2) + QUIET * (lasted.as_secs() as usize + 1);
    assert!(reads <= most, "{reads} reads of at most {most}");
}

#[tokio::test]
async fn one_statement_that_changes_ten_thousand_rows_costs_one_read() {
    // All rows are read and rendered; a hundred of them have objects.
    const WITH_OBJECT: &str = "SELECT id, 'b' || id AS name, v FROM b WHERE id % 100 = 0";
    let world = World::new("burst-statement", &[]).await;
    world
        .run_sql("CREATE TABLE b AS SELECT n AS id, 'one' AS v FROM generate_series(1, 10000) n; ALTER TABLE b ADD PRIMARY KEY (id)")
        .await;
    let mut spec = notified("SELECT id, v FROM b");
    spec["resourceTemplate"] = json!(
        "{% if row.id % 100 == 0 %}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b{{ row.id }}\ndata:\n  \
         v: {{ row.v | string }}\n{% endif %}"
    );
    world.create("q", spec).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    until_equal(&world, WITH_OBJECT).await;
    world.another_pass("q").await;
    let before = figures(&world).await;
    world.run_sql("UPDATE b SET v = 'v' || id").await;
    until_equal(&world, WITH_OBJECT).await;
    world.run_sql("DELETE FROM b WHERE id % 2 = 1").await;
    // Its row is the last one that is told of.
    world.run_sql("UPDATE b SET v = 'last' WHERE id = 100").await;
    until_equal(&world, WITH_OBJECT).await;
    let after = figures(&world).await;
    // Where the server is slow, it may be now that the table is read for the first time since it is listened for.
    let [reads, heard, by_listener] = std::array::from_fn(|n| after[n] - before[n]);
    assert!(reads <= 3 + by_listener, "{reads} reads for three notifications");
    assert!((1..=3).contains(&heard), "{heard} looks for three notifications");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_row_that_changes_twice_while_its_object_is_written_the_latest_is_written_next() {
    let (gate, writes) = (Gate::open(), Arc::<AtomicUsize>::default());
    let counted = writes.clone();
    let proxy = Proxy::start(move |parts| {
        let is_it = parts.method == Method::PATCH && parts.uri.path().ends_with("/configmaps/held");
        counted.fetch_add(usize::from(is_it), Ordering::Relaxed);
        if is_it { Fate::Gated(gate) } else { Fate::Passes }
    })
    .await;
    let client = Client::try_default().await.unwrap();
    let world = World::on(client, "burst-latest", &["held", "other"], &[], Some(proxy.kubeconfig)).await;
    let mut spec = notified("SELECT name, v FROM t");
    spec["changeDetection"]["tableName"] = json!("t");
    world.create("q", spec).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    world.until_value("held", Some("one")).await;
    let (before, [_, heard, _]) = (writes.load(Ordering::Relaxed), figures(&world).await);
    gate.shut();
    for value in ["1", "2", "3"] {
        world.run_sql(&format!("UPDATE t SET v = '{value}'")).await;
        world.until_value("other", Some(value)).await;
    }
    assert_eq!(writes.load(Ordering::Relaxed), before + 1, "one at a time");
    gate.reopen();
    world.until_value("held", Some("3")).await;
    world.another_pass("q").await;
    assert_eq!(writes.load(Ordering::Relaxed), before + 2, "and nothing in between");
    assert!(figures(&world).await[1] > heard, "they are not heard");
}
