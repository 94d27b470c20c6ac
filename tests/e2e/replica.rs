//! Reads on a replica: only of what it has, and of nothing older than what was read before.

use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::server::{ADMIN, PASSWORD, Server};
use crate::support::world::{PATIENCE, World};

const TABLE: &str = "CREATE TABLE t (name text PRIMARY KEY, v text); INSERT INTO t VALUES ('a', '0')";
/// As it stands in the replica's log.
const QUERY: &str = "SELECT name, v /* of the resource */ FROM t";

/// A primary with this table.
async fn primary(test: &str) -> Server {
    let server = Server::start(test).await;
    server.admin().await.batch_execute(TABLE).await.unwrap();
    server
}

/// A resource that reads from the primary or, where it can, from the other one.
async fn world(test: &str, primary: &Server, replica: &Server) -> World {
    let world = World::new(test, &[]).await;
    let secret = json!({"metadata": {"name": "pair"}, "stringData": {
        "host": "127.0.0.1", "port": primary.port.to_string(), "ro": format!("127.0.0.1:{}", replica.port),
        "dbname": "postgres", "username": ADMIN, "password": PASSWORD,
    }});
    world.add_secret(&serde_json::from_value(secret).unwrap()).await;
    let changes = json!({"enabled": true, "tableName": "t", "mode": "Notify", "resyncInterval": "1h"});
    let spec = json!({
        "query": QUERY, "changeDetection": changes, "pollInterval": "1h",
        "database": {"connectionSecretRef": {"name": "pair", "readonlyHostKey": "ro"}},
        "pruneGuard": {"maxDeletions": "100%", "allowEmpty": true},
    });
    world.create("q", spec).await;
    world.condition("q", "ChangeDetection", "True", Some("Listening")).await;
    world.until_value("a", Some("0")).await;
    world
}

/// How often the query ran on this server.
fn reads(server: &Server) -> usize {
    server.log().matches("of the resource */").count()
}

/// Where the resource's object has a number, it never falls.
struct Growing(u64);

impl Growing {
    async fn look(&mut self, world: &World) -> u64 {
        let number = world.value("a").await.expect("it is never deleted").parse().unwrap();
        assert!(number >= self.0, "{number} is older than {}", self.0);
        self.0 = number;
        number
    }
}

#[tokio::test]
async fn a_change_that_the_replica_does_not_have_yet_is_read_from_the_primary_and_never_undone() {
    let primary = primary("lags").await;
    let replica = primary.follower("lags", "recovery_min_apply_delay = '5s'\nlog_statement = 'all'").await;
    let world = world("lags", &primary, &replica).await;
    let (sql, behind) = (primary.admin().await, replica.admin().await);
    let mut value = Growing(0);
    for number in 1..=10 {
        sql.execute("UPDATE t SET v = $1", &[&number.to_string()]).await.unwrap();
        let what = format!("{number} is applied");
        eventually(&what, PATIENCE, async || (value.look(&world).await == number).then_some(())).await;
        // By turns a read of all rows.
        if number % 3 == 0 {
            world.another_pass("q").await;
            assert_eq!(value.look(&world).await, number);
        }
    }
    let has = async || -> String { behind.query_one("SELECT v FROM t", &[]).await.unwrap().get(0) };
    assert_ne!(has().await, "10", "the replica is behind all the while");
    eventually("the replica has it", PATIENCE, async || {
        assert_eq!(value.look(&world).await, 10);
        (has().await == "10").then_some(())
    })
    .await;
    world.another_pass("q").await;
    assert_eq!(value.look(&world).await, 10);
}

#[tokio::test]
async fn a_replica_that_has_all_is_read_and_one_that_is_away_or_promoted_is_not() {
    let primary = primary("replica").await;
    let mut replica = primary.follower("replica", "log_statement = 'all'").await;
    let world = world("replica", &primary, &replica).await;
    let sql = primary.admin().await;
    let set = async |value: &str| {
        sql.execute("UPDATE t SET v = $1", &[&value]).await.unwrap();
        world.until_value("a", Some(value)).await;
    };
    set("1").await;
    eventually("it is read there", PATIENCE, async || {
        let before = reads(&replica);
        world.another_pass("q").await;
        (reads(&replica) > before).then_some(())
    })
    .await;

    replica.crash("QUIT");
    set("2").await;
    world.another_pass("q").await;
    world.ready("q").await;
    replica.start_again().await;
    eventually("it is read there again", PATIENCE, async || {
        let before = reads(&replica);
        world.another_pass("q").await;
        (reads(&replica) > before).then_some(())
    })
    .await;

    let promoted = replica.admin().await;
    promoted.batch_execute("SELECT pg_promote()").await.unwrap();
    promoted.batch_execute("UPDATE t SET v = 'its own'").await.unwrap();
    let before = reads(&replica);
    set("3").await;
    world.another_pass("q").await;
    assert_eq!(reads(&replica), before, "it goes its own way now");
    assert_eq!(world.value("a").await.as_deref(), Some("3"));
    world.ready("q").await;
}

#[tokio::test]
async fn what_is_no_replica_of_the_primary_is_not_read() {
    let (primary, other) = (primary("not-of").await, Server::stranger("other").await);
    other.admin().await.batch_execute(TABLE).await.unwrap();
    other
        .admin()
        .await
        .batch_execute("UPDATE t SET v = 'another'; INSERT INTO t VALUES ('b', 'another')")
        .await
        .unwrap();
    // A standby that far ahead that its position alone would do.
    let standby = other.follower("not-of", "log_statement = 'all'").await;
    other
        .admin()
        .await
        .batch_execute("CREATE TABLE much AS SELECT repeat('x', 1000) FROM generate_series(1, 30000)")
        .await
        .unwrap();
    let world = world("not-of", &primary, &standby).await;
    primary.admin().await.batch_execute("UPDATE t SET v = 'two'").await.unwrap();
    world.until_value("a", Some("two")).await;
    world.another_pass("q").await;
    let names: Vec<Value> = world
        .config_maps()
        .list(&ListParams::default().labels("konnektr.io/managed-by=q"))
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|map| json!(map.metadata.name))
        .collect();
    assert_eq!((names, reads(&standby)), (vec![json!("a")], 0));
}

/// After a failover that not everybody followed.
#[tokio::test]
async fn a_replica_of_a_primary_that_went_its_own_way_is_not_read() {
    let primary = primary("timeline").await;
    let promoted = primary.follower("promoted", "").await;
    promoted.admin().await.batch_execute("SELECT pg_promote()").await.unwrap();
    promoted.admin().await.batch_execute("CHECKPOINT").await.unwrap();
    let standby = promoted.follower("timeline", "log_statement = 'all'").await;
    let world = world("timeline", &primary, &standby).await;
    // Another value, that far ahead that its position alone would do.
    let much =
        "UPDATE t SET v = 'another'; CREATE TABLE much AS SELECT repeat('x', 1000) FROM generate_series(1, 30000)";
    promoted.admin().await.batch_execute(much).await.unwrap();
    primary.admin().await.batch_execute("UPDATE t SET v = 'two'").await.unwrap();
    world.until_value("a", Some("two")).await;
    world.another_pass("q").await;
    assert_eq!((world.value("a").await.as_deref(), reads(&standby)), (Some("two"), 0));
}
