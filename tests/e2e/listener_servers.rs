//! Servers on which it takes more to be notified: whose queue is full, that replicate, or with more databases than may be
//! listened to.

use serde_json::json;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::support::listening::{notified, notified_or_polled, on_own};
use crate::support::server::{ADMIN, PASSWORD, Server};
use crate::support::world::{PATIENCE, World};
use crate::support::{TestDatabase, connect, eventually, secret_for};

const TABLE: &str = "CREATE TABLE t (name text PRIMARY KEY, v text);";

/// What the triggers ask, and the operator: it lies from now on. So full the triggers notify still.
const NEARLY_FULL: &str = "ALTER FUNCTION pg_catalog.pg_notification_queue_usage() RENAME TO queue_usage_aside; \
    CREATE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS float8 LANGUAGE sql AS 'SELECT 0.21::float8'";
const FULL: &str = "CREATE OR REPLACE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS float8 LANGUAGE sql \
    AS 'SELECT 0.26::float8'";
const NOT_FULL: &str = "DROP FUNCTION pg_catalog.pg_notification_queue_usage(); \
    ALTER FUNCTION pg_catalog.queue_usage_aside() RENAME TO pg_notification_queue_usage";

/// Sees what becomes of the resource `q` and of writers while the queue is full, and once it is not.
async fn is_polled_while_full(world: &World, log_in: impl AsyncFn() -> Client, empty: impl Future<Output = ()>) {
    world.polling("q", "more than a fifth full").await;
    world.condition("q", "ChangeDetection", "False", Some("NotificationsLost")).await;
    eventually("it is seen to be full", PATIENCE, async || {
        (world.operator.figure("dbqo_notification_queue_usage").await > Some(0.25)).then_some(())
    })
    .await;
    let heard = world.looks("q", "notification").await;
    // In a session of before, triggers would call the function that was put aside.
    let sql = log_in().await;
    for value in ["two", "three", "four"] {
        world.applies(&sql, value).await;
    }
    let all =
        "BEGIN; INSERT INTO t VALUES ('c', 'new'); UPDATE t SET v = 'all'; DELETE FROM t WHERE name = 'b'; COMMIT";
    sql.batch_execute(all).await.unwrap();
    world.until_value("b", None).await;
    world.until_value("c", Some("all")).await;
    assert_eq!(world.looks("q", "notification").await, heard, "nothing is sent");
    empty.await;
    world.listening("q").await;
    assert!(world.operator.figure("dbqo_notification_queue_usage").await < Some(0.25));
    world.hears(&log_in().await, "heard again").await;
}

#[tokio::test]
async fn while_the_queue_of_notifications_is_full_changes_are_polled() {
    let world = World::new("queue", &["a", "b"]).await;
    world.create("q", notified_or_polled(json!({}))).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    world.run_sql(NEARLY_FULL).await;
    world.polling("q", "more than a fifth full").await;
    world.run_sql(FULL).await;
    is_polled_while_full(&world, async || world.database.client().await, world.run_sql(NOT_FULL)).await;
}

#[tokio::test]
#[ignore = "writes 2 GiB"]
async fn while_a_stranger_lets_the_queue_of_notifications_fill_up_no_statement_fails() {
    let server = Server::start("queue-full").await;
    let sql = server.admin().await;
    sql.batch_execute(&format!("{TABLE} INSERT INTO t VALUES ('a', 'one'), ('b', 'one')")).await.unwrap();
    let world = World::new("queue-full", &[]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", on_own(notified_or_polled(json!({})))).await;
    world.listening("q").await;
    world.hears(&sql, "heard").await;
    let stranger = server.admin().await;
    stranger.batch_execute("LISTEN strange").await.unwrap();
    stranger.batch_execute("BEGIN").await.unwrap();
    // No two fit onto one page, so that half as much has to be sent as there is room for.
    let fill = "SELECT count(pg_notify('strange', repeat('x', 4200) || n)) FROM generate_series(1, 20000) n";
    let usage = "SELECT pg_notification_queue_usage()";
    while sql.query_one(usage, &[]).await.unwrap().get::<_, f64>(0) <= 0.25 {
        sql.batch_execute(fill).await.unwrap();
    }
    is_polled_while_full(&world, async || server.admin().await, async { drop(stranger) }).await;
}

/// A server on which the commit of a change of the row `b` hangs, which was notified: it waits for a standby that is away.
struct Stuck {
    server: Server,
    /// Of a writer that waits for no standby, as all but the one that hangs.
    sql: Client,
    world: World,
    /// The server process that hangs.
    process: i32,
    hangs: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Stuck {
    async fn new(test: &str) -> Self {
        let server = Server::configured(test, "synchronous_standby_names = 'away'").await;
        let sql = server.admin().await;
        sql.batch_execute("SET synchronous_commit = local").await.unwrap();
        let rows = "INSERT INTO t VALUES ('a', 'one'), ('b', 'one'), ('c', 'one')";
        sql.batch_execute(&format!("{TABLE} {rows}")).await.unwrap();
        // The operator waits for no standby either when it installs.
        sql.batch_execute("ALTER DATABASE postgres SET synchronous_commit = local").await.unwrap();
        let world = World::new(test, &[]).await;
        world.add_secret(&server.secret("own")).await;
        world.create("q", on_own(notified_or_polled(json!({})))).await;
        world.listening("q").await;
        world.hears(&sql, "heard").await;
        let hangs = server.admin().await;
        let process = hangs.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let hangs = tokio::spawn(async move {
            hangs.batch_execute("SET synchronous_commit = on; UPDATE t SET v = 'hung' WHERE name = 'b'").await
        });
        eventually("its commit waits for the standby", PATIENCE, async || {
            let waiting = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'";
            (sql.query(waiting, &[&process]).await.unwrap().len() == 1).then_some(())
        })
        .await;
        Self { server, sql, world, process, hangs }
    }

    /// Sees that whoever writes is silent, and that its changes are looked for.
    async fn is_polled(&self) {
        self.world.polling("q", "wait for another one to commit").await;
        for value in ["two", "three", "four"] {
            self.world.applies(&self.sql, value).await;
        }
        assert!(!self.hangs.is_finished());
    }

    /// Lets the commit come to its end, and sees that changes are heard again.
    async fn end(&mut self) {
        self.sql.execute("SELECT pg_cancel_backend($1)", &[&self.process]).await.unwrap();
        (&mut self.hangs).await.unwrap().unwrap();
        self.world.until_value("b", Some("hung")).await;
        self.world.listening("q").await;
        self.world.hears(&self.sql, "heard again").await;
    }
}

#[tokio::test]
async fn while_a_commit_hangs_whoever_writes_to_watched_tables_does_not_wait_for_it_for_long() {
    let mut stuck = Stuck::new("stuck").await;
    let waits = stuck.server.admin().await;
    let waits = tokio::spawn(async move { waits.batch_execute("UPDATE t SET v = 'waited' WHERE name = 'c'").await });
    stuck.is_polled().await;
    stuck.end().await;
    waits.await.unwrap().unwrap();
    stuck.world.until_value("c", Some("waited")).await;
}

#[tokio::test]
async fn while_a_commit_hangs_statements_that_wait_for_no_lock_for_long_fail_for_no_longer_than_it_is_unnoticed() {
    let mut stuck = Stuck::new("stuck-fails").await;
    let sql = &stuck.sql;
    sql.batch_execute("SET lock_timeout = '500ms'").await.unwrap();
    eventually("statements fail that would wait for it", PATIENCE, async || {
        sql.batch_execute("UPDATE t SET v = 'fails' WHERE name = 'a'").await.is_err().then_some(())
    })
    .await;
    // Nobody waits for long, so that it is told by who is about to commit, twice.
    eventually("they do not fail any more", 2 * PATIENCE, async || {
        sql.batch_execute("UPDATE t SET v = 'silent' WHERE name = 'a'").await.ok()
    })
    .await;
    stuck.is_polled().await;
    stuck.end().await;
}

#[tokio::test]
async fn what_a_subscription_writes_is_heard_also_if_it_begins_later() {
    let server = Server::configured("subscriber", "wal_level = logical").await;
    let target = server.admin().await;
    target.batch_execute("CREATE DATABASE source").await.unwrap();
    target.batch_execute(TABLE).await.unwrap();
    let source = connect(server.config().dbname("source").clone()).await.unwrap();
    let publish = "INSERT INTO t VALUES ('a', 'one'); CREATE PUBLICATION p FOR TABLE t";
    source.batch_execute(&format!("{TABLE} {publish}")).await.unwrap();
    source.batch_execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')").await.unwrap();

    let world = World::new("subscriber", &[]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", on_own(notified(json!({})))).await;
    world.listening("q").await;
    let subscribe = format!(
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port={} user={ADMIN} password={PASSWORD} dbname=source' \
         PUBLICATION p WITH (create_slot = false, slot_name = 's')",
        server.port
    );
    target.batch_execute(&subscribe).await.unwrap();
    // Which fires no trigger that there is by now: it is seen by the counters.
    world.until_value("a", Some("one")).await;
    // Found out anew now and then, or when somebody asks.
    world.another_pass("q").await;
    eventually("its triggers are for each row, and fire always", PATIENCE, async || {
        let sql = "SELECT FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname LIKE 'dbqo%' AND tgenabled = 'A' \
                   AND (tgtype & 1 = 1 OR tgname LIKE '%trunc')";
        (target.query(sql, &[]).await.unwrap().len() == 4).then_some(())
    })
    .await;
    world.hears(&source, "replicated").await;
    world.hears(&target, "written here").await;
    world.hears(&source, "replicated again").await;
    source.batch_execute("INSERT INTO t VALUES ('b', 'new')").await.unwrap();
    world.until_value("b", Some("new")).await;
    source.batch_execute("TRUNCATE t; INSERT INTO t VALUES ('b', 'anew')").await.unwrap();
    world.until_value("b", Some("anew")).await;
    world.until_value("a", None).await;
}

#[tokio::test]
async fn where_one_database_of_a_server_may_be_listened_to_the_next_is_when_that_is_not_any_more() {
    let world = World::with_flags("one-listener", &["a"], &["--max-listeners-per-server=1"]).await;
    let second = TestDatabase::create("one-listener-too").await;
    let sql = second.client().await;
    sql.batch_execute(&format!("{TABLE} INSERT INTO t VALUES ('b', 'one')")).await.unwrap();
    world.add_secret(&secret_for(&second, "second")).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let mut spec = notified_or_polled(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "second"}});
    world.create("r", spec).await;
    let message = world.polling("r", "--max-listeners-per-server").await;
    assert!(message.contains("listens to 1 databases of this server"), "{message}");
    sql.batch_execute("UPDATE t SET v = 'polled'").await.unwrap();
    world.until_value("b", Some("polled")).await;
    world.hears(&world.sql, "heard").await;
    world.delete("q").await;
    world.until_gone("q").await;
    // It tries again after a minute.
    world.listening("r").await;
    world.patch("r", json!({"spec": {"pollInterval": "1h"}})).await;
    world.listening("r").await;
    world.hears_of("t", "b", &sql, "heard").await;
}
