//! Once a table is armed, nothing is missed of those who began before, and what was read before is not written again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kube::Client;
use serde_json::json;

use crate::support::listening::{notified, until_armed};
use crate::support::proxy::{Fate, Proxy, is_write};
use crate::support::world::World;

#[tokio::test]
async fn a_writer_whose_snapshot_is_older_than_the_triggers_is_heard() {
    let world = World::new("old-snapshot", &["a", "b", "c"]).await;
    let mut earlier = Vec::new();
    for (level, name) in [("REPEATABLE READ", "b"), ("SERIALIZABLE", "c")] {
        let sql = world.database.client().await;
        sql.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT FROM t")).await.unwrap();
        earlier.push((sql, name));
    }
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    until_armed(&world.sql, 1).await;
    world.hears(&world.sql, "later").await;
    for (sql, name) in earlier {
        let seen: &str = &sql.query_one("SELECT v FROM t WHERE name = 'a'", &[]).await.unwrap().get::<_, String>(0);
        assert_eq!(seen, "one", "its snapshot is from before all of it");
        let heard = world.looks("q", "notification").await;
        sql.execute("UPDATE t SET v = 'early' WHERE name = $1", &[&name]).await.unwrap();
        assert_eq!(world.value(name).await.as_deref(), Some("one"), "it is not committed");
        sql.batch_execute("COMMIT").await.unwrap();
        world.until_value(name, Some("early")).await;
        assert!(world.looks("q", "notification").await > heard, "that it was found otherwise is not enough");
        world.hears(&world.sql, &format!("after {name}")).await;
    }
    let names = ["a", "b", "c"];
    let before = world.versions("q", &names).await.split_off(1);
    world.another_pass("q").await;
    assert_eq!(world.versions("q", &names).await.split_off(1), before, "a full read finds nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_read_that_ends_a_time_of_quiet_writes_nothing_again() {
    let writes = Arc::<AtomicUsize>::default();
    let counted = writes.clone();
    let proxy = Proxy::start(move |parts| {
        let is_one = is_write(parts) && parts.uri.path().contains("/configmaps");
        counted.fetch_add(usize::from(is_one), Ordering::Relaxed);
        Fate::Passes
    })
    .await;
    let world =
        World::on(Client::try_default().await.unwrap(), "quiet-ends", &["a", "b"], &[], Some(proxy.kubeconfig)).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    for _ in 0..3 {
        until_armed(&world.sql, 1).await;
        let loud = Arc::new(AtomicBool::new(true));
        let (sql, goes_on) = (world.database.client().await, loud.clone());
        let writing = tokio::spawn(async move {
            let mut last = 0_u64;
            while goes_on.load(Ordering::Relaxed) {
                last += 1;
                sql.execute("UPDATE t SET v = $1 WHERE name = 'b'", &[&last.to_string()]).await.unwrap();
            }
            last.to_string()
        });
        until_armed(&world.sql, 0).await;
        loud.store(false, Ordering::Relaxed);
        let last = writing.await.unwrap();
        world.until_value("b", Some(&last)).await;
        let settled = writes.load(Ordering::Relaxed);
        until_armed(&world.sql, 1).await;
        // The read that follows is over, or this one is it.
        world.another_pass("q").await;
        assert_eq!(writes.load(Ordering::Relaxed), settled, "what was read before was written once");
        world.hears(&world.sql, &format!("after {last}")).await;
    }
    // What the last of them wrote is told when its pass is over.
    world.another_pass("q").await;
    let told = [r#",operation="created""#, r#",operation="updated""#];
    let mut all = 0;
    for operation in told {
        all += world.count("q", "dbqr_object_writes_total", operation).await;
    }
    assert_eq!(all, writes.load(Ordering::Relaxed), "and the figures tell of no other writes");
}
