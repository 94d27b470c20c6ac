//! Many resources watch one table that is in use: whoever writes to it does not wait for one after the other of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::listening::{notified, until_armed};
use crate::support::world::World;

const RESOURCES: usize = 20;

/// Who waits for a lock that all writers to the table wait behind, and since when.
const WAITING: &str = "SELECT pid, waitstart::text FROM pg_locks WHERE relation = 't'::regclass AND NOT granted \
    AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') AND waitstart IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn of_many_resources_on_one_table_in_use_one_at_a_time_tries_to_make_triggers_and_seldom() {
    let world = World::new("turns", &["a"]).await;
    // The schema is there: what is at stake is the table.
    world.run_sql(&std::fs::read_to_string("sql/install.sql").unwrap()).await;
    let writer = world.database.client().await;
    writer.batch_execute("BEGIN; UPDATE t SET v = 'two'").await.unwrap();
    let (watcher, goes_on) = (world.database.client().await, Arc::new(AtomicBool::new(true)));
    let until = goes_on.clone();
    let watching = tokio::spawn(async move {
        let mut attempts = BTreeSet::new();
        while until.load(Ordering::Relaxed) {
            let waiting = watcher.query(WAITING, &[]).await.unwrap();
            attempts.extend(waiting.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, String>(1))));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        attempts
    });
    let names: Vec<String> = (0..RESOURCES).map(|n| format!("q{n}")).collect();
    for name in &names {
        let mut spec = notified(json!({}));
        let object = "metadata:\n  name: {{ dbqr.name }}-{{ row.name }}\ndata:\n  v: {{ row.v | quote }}\n";
        spec["resourceTemplate"] = json!(format!("apiVersion: v1\nkind: ConfigMap\n{object}"));
        world.create(name, spec).await;
    }
    for name in &names {
        let message = world.polling(name, "in use for too long").await;
        assert!(message.contains("run: SELECT dbqo.watch('public.t', '{name}')"), "{message}");
        world.ready(name).await;
    }
    goes_on.store(false, Ordering::Relaxed);
    let attempts = watching.await.unwrap();
    assert_eq!(attempts.len(), 1, "one has tried for all of them: {attempts:?}");
    writer.batch_execute("COMMIT").await.unwrap();
    for name in &names {
        world.listening(name).await;
    }
    until_armed(&world.sql, 1).await;
    world.run_sql("UPDATE t SET v = 'heard'").await;
    for name in &names {
        world.until_value(&format!("{name}-a"), Some("heard")).await;
    }
}
