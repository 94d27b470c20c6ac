//! What becomes of notifications when connections, servers and paths fail: what was missed is applied afterwards, and
//! later changes are notified again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::listening::{LISTENING, LOCKING, Path, backend, notified, notified_or_polled, replaced};
use crate::support::pgbouncer::PgBouncer;
use crate::support::secret_for;
use crate::support::server::{ADMIN, PASSWORD, Server, send};
use crate::support::world::{PATIENCE, World, condition};

const TABLE: &str = "CREATE TABLE t (name text PRIMARY KEY, v text); INSERT INTO t VALUES ('a', 'one')";

/// A world that reads a server of its own.
async fn on_server(test: &str, spec: Value) -> (World, Server) {
    let server = Server::start(test).await;
    server.admin().await.batch_execute(TABLE).await.unwrap();
    let world = World::new(test, &[]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", with_secret(spec, "own")).await;
    world.listening("q").await;
    (world, server)
}

/// Creates a resource that reads what a URI leads to, and waits until it listens there.
async fn listen_at(world: &World, uri: &str) {
    let secret = json!({"metadata": {"name": "uri"}, "stringData": {"uri": uri}});
    world.add_secret(&serde_json::from_value(secret).unwrap()).await;
    let mut spec = notified(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "uri", "uriKey": "uri"}});
    world.create("q", spec).await;
    world.listening("q").await;
}

fn with_secret(mut spec: Value, name: &str) -> Value {
    spec["database"] = json!({"connectionSecretRef": {"name": name}, "statementTimeout": "5s"});
    spec
}

/// A second connection to the world's database, by another port.
async fn secret_by(world: &World, name: &str, port: u16) {
    let mut secret = secret_for(&world.database, name);
    secret.string_data.as_mut().unwrap().insert("port".into(), port.to_string());
    world.add_secret(&secret).await;
}

async fn lost(world: &World) {
    world.condition("q", "ChangeDetection", "False", Some("NotificationsLost")).await;
}

#[tokio::test]
async fn a_connection_that_is_ended_is_made_anew_and_nothing_is_missed() {
    let world = World::new("ended", &["a", "b"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    for (round, which) in [LISTENING, LOCKING, LISTENING].into_iter().enumerate() {
        // Made at the same moment: whether it is notified or found by the first read after, it is applied.
        world.run_sql(&format!("UPDATE t SET v = 'before {round}' WHERE name = 'b'")).await;
        replaced(&world.sql, which).await;
        world.until_value("b", Some(&format!("before {round}"))).await;
        world.listening("q").await;
        world.hears(&world.sql, &format!("after {round}")).await;
    }
}

#[tokio::test]
async fn what_changes_while_nobody_can_listen_is_applied_afterwards() {
    let world = World::new("refused", &["a"]).await;
    world
        .run_sql("CREATE ROLE refused_reader LOGIN PASSWORD 'CANARY'; GRANT SELECT, TRIGGER ON t TO refused_reader")
        .await;
    let mut secret = secret_for(&world.database, "reader");
    secret
        .string_data
        .as_mut()
        .unwrap()
        .extend([("username".to_owned(), "refused_reader".to_owned()), ("password".to_owned(), "CANARY".to_owned())]);
    world.add_secret(&secret).await;
    let mut spec = notified(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "db"}, "notifyConnectionSecretRef": {"name": "reader"}});
    world.create("q", spec).await;
    world.listening("q").await;
    world.run_sql("ALTER ROLE refused_reader NOLOGIN").await;
    let pid = backend(&world.sql, LISTENING).await;
    world.run_sql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    lost(&world).await;
    world.run_sql("UPDATE t SET v = 'unheard' WHERE name = 'a'").await;
    world.run_sql("ALTER ROLE refused_reader LOGIN").await;
    world.until_value("a", Some("unheard")).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    assert!(!world.operator.logs().contains("CANARY"));
}

#[tokio::test]
async fn a_server_that_is_started_again_is_listened_to_again() {
    let (world, mut server) = on_server("restarted", notified(json!({}))).await;
    for (round, signal) in ["INT", "KILL"].into_iter().enumerate() {
        server.admin().await.batch_execute(&format!("UPDATE t SET v = 'before {round}'")).await.unwrap();
        server.crash(signal);
        server.start_again().await;
        let sql = server.admin().await;
        let missed = format!("missed {round}");
        sql.execute("UPDATE t SET v = $1", &[&missed]).await.unwrap();
        world.until_value("a", Some(&missed)).await;
        backend(&sql, LISTENING).await;
        world.listening("q").await;
        world.hears(&sql, &format!("heard {round}")).await;
    }
}

#[tokio::test]
async fn a_backend_that_hangs_is_noticed_and_replaced() {
    let (world, server) = on_server("backend-hangs", notified(json!({}))).await;
    let sql = server.admin().await;
    for which in [LISTENING, LOCKING] {
        let hung = backend(&sql, which).await;
        send("STOP", &[hung]);
        sql.execute("UPDATE t SET v = $1", &[&format!("unheard {hung}")]).await.unwrap();
        lost_in_log(&world).await;
        if which == LISTENING {
            // Another one listens meanwhile.
            world.until_value("a", Some(&format!("unheard {hung}"))).await;
        } else {
            // It cannot even be ended.
            let message = world.polling("q", &format!("pg_terminate_backend of server process {hung} ")).await;
            assert!(message.contains("hung session of this operator's own"), "{message}");
            lost(&world).await;
        }
        send("CONT", &[hung]);
        world.until_value("a", Some(&format!("unheard {hung}"))).await;
        world.listening("q").await;
        eventually("the old one has ended", PATIENCE, async || {
            let there = sql.query("SELECT FROM pg_stat_activity WHERE pid = $1", &[&hung.cast_signed()]).await.unwrap();
            there.is_empty().then_some(())
        })
        .await;
        world.hears(&sql, &format!("heard {hung}")).await;
    }
}

async fn lost_in_log(world: &World) {
    let before = world.operator.logs().matches("notifications are not heard").count();
    eventually("the ping notices", PATIENCE, async || {
        (world.operator.logs().matches("notifications are not heard").count() > before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_hangs_as_a_whole_is_listened_to_again_when_it_goes_on() {
    let (world, server) = on_server("server-hangs", notified(json!({}))).await;
    let sql = server.admin().await;
    let processes = server.processes().await;
    send("STOP", &processes);
    lost_in_log(&world).await;
    send("CONT", &processes);
    sql.execute("UPDATE t SET v = 'meanwhile'", &[]).await.unwrap();
    world.until_value("a", Some("meanwhile")).await;
    world.listening("q").await;
    world.hears(&sql, "heard").await;
}

#[tokio::test]
async fn where_the_path_swallows_everything_changes_are_looked_for_until_it_is_back() {
    let world = World::new("swallowed", &["a"]).await;
    let path = Path::to(world.database.port()).await;
    secret_by(&world, "by-path", path.port).await;
    let mut spec = notified_or_polled(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "db"}, "notifyConnectionSecretRef": {"name": "by-path"}});
    world.create("q", spec).await;
    world.listening("q").await;
    path.cut();
    lost(&world).await;
    world.applies(&world.sql, "polled").await;
    world.another_pass("q").await;
    let resource = world.get("q").await;
    assert_eq!(condition(&resource, "ChangeDetection").unwrap()["reason"], "NotificationsLost", "whoever looks again");
    path.mend();
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    eventually("no session of before is left", PATIENCE, async || {
        let sql = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'db-query-operator %' \
                   AND datname = current_database()";
        (world.sql.query(sql, &[]).await.unwrap().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_on_a_way_that_is_gone_and_that_may_not_be_ended_is_told_of_with_its_process() {
    let world = World::new("left-behind", &["a"]).await;
    let path = Path::to(world.database.port()).await;
    secret_by(&world, "by-path", path.port).await;
    world.run_sql("CREATE ROLE left_behind LOGIN PASSWORD 'CANARY'; GRANT SELECT, TRIGGER ON t TO left_behind").await;
    let mut secret = secret_for(&world.database, "role");
    let login = [("username".to_owned(), "left_behind".to_owned()), ("password".to_owned(), "CANARY".to_owned())];
    secret.string_data.as_mut().unwrap().extend(login);
    world.add_secret(&secret).await;
    let by =
        |secret: &str| json!({"connectionSecretRef": {"name": "db"}, "notifyConnectionSecretRef": {"name": secret}});
    let mut spec = notified_or_polled(json!({}));
    spec["database"] = by("by-path");
    world.create("q", spec).await;
    world.listening("q").await;
    let hung = backend(&world.sql, LOCKING).await;
    path.cut();
    world.patch("q", json!({"spec": {"database": by("role")}})).await;
    world.polling("q", &format!("pg_terminate_backend of server process {hung} ")).await;
    world.applies(&world.sql, "polled").await;
    world.run_sql(&format!("SELECT pg_terminate_backend({hung}, 5000)")).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
}

#[tokio::test]
async fn a_session_on_a_way_that_is_gone_is_ended_when_another_way_is_named() {
    let world = World::new("other-way", &["a"]).await;
    let path = Path::to(world.database.port()).await;
    secret_by(&world, "by-path", path.port).await;
    let mut spec = notified(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "db"}, "notifyConnectionSecretRef": {"name": "by-path"}});
    world.create("q", spec).await;
    world.listening("q").await;
    let before = backend(&world.sql, LOCKING).await;
    path.cut();
    world.patch("q", json!({"spec": {"database": {"notifyConnectionSecretRef": {"name": "db"}}}})).await;
    eventually("another session has the slot", PATIENCE, async || {
        (backend(&world.sql, LOCKING).await != before).then_some(())
    })
    .await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
}

#[tokio::test]
async fn behind_a_pooler_it_polls_and_a_direct_connection_for_notifications_mends_it() {
    let world = World::new("pooled", &["a"]).await;
    let bouncer = PgBouncer::start(&world.database, &["pool_mode = transaction"]).await;
    secret_by(&world, "pooled", bouncer.port()).await;
    let mut spec = notified_or_polled(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "pooled"}});
    world.create("q", spec).await;
    let message = world.polling("q", "pooler").await;
    assert!(message.contains("database.notifyConnectionSecretRef"), "{message}");
    world.condition("q", "ChangeDetection", "True", Some("Polling")).await;
    world.applies(&world.sql, "polled").await;
    let direct = json!({"notifyConnectionSecretRef": {"name": "db"}});
    world.patch("q", json!({"spec": {"database": direct, "pollInterval": "1h"}})).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
}

#[tokio::test]
async fn a_standby_is_polled_and_the_condition_says_why() {
    let server = Server::standby("notify-standby").await;
    let world = World::new("notify-standby", &[]).await;
    world.add_secret(&server.secret("own")).await;
    let mut spec = notified(json!({"tableName": "pg_database"}));
    spec["query"] = json!("SELECT 'a' AS name, 'one' AS v FROM pg_database LIMIT 1");
    world.create("q", with_secret(spec, "own")).await;
    world.polling("q", "the server is a standby").await;
    world.ready("q").await;
}

#[tokio::test]
async fn after_a_failover_the_new_primary_is_listened_to() {
    let mut primary = Server::start("failover").await;
    primary.admin().await.batch_execute(TABLE).await.unwrap();
    let replica = primary.follower("failover-replica", "").await;
    let world = World::new("failover", &[]).await;
    let uri = format!(
        "postgres://{ADMIN}:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port, replica.port
    );
    listen_at(&world, &uri).await;
    let sql = primary.admin().await;
    world.applies(&sql, "on the old one").await;
    let there = replica.admin().await;
    let same = async || {
        let row = there.query_one("SELECT v FROM t", &[]).await.unwrap();
        (row.get::<_, String>(0) == "on the old one").then_some(())
    };
    eventually("the replica has it", PATIENCE, same).await;
    primary.crash("KILL");
    there.batch_execute("SELECT pg_promote()").await.unwrap();
    there.execute("UPDATE t SET v = 'missed'", &[]).await.unwrap();
    world.until_value("a", Some("missed")).await;
    backend(&there, LISTENING).await;
    world.listening("q").await;
    world.hears(&there, "on the new one").await;
}

#[tokio::test]
async fn of_several_hosts_the_primary_is_listened_to_and_read_wherever_it_stands() {
    let primary = Server::start("several").await;
    primary.admin().await.batch_execute(TABLE).await.unwrap();
    let replica = primary.follower("several-replica", "").await;
    let world = World::new("several", &[]).await;
    let uri = format!("postgres://{ADMIN}:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/postgres", replica.port, primary.port);
    listen_at(&world, &uri).await;
    let sql = primary.admin().await;
    backend(&sql, LISTENING).await;
    world.hears(&sql, "heard").await;
    let there = replica.admin().await;
    let ours = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'db-query-operator%'";
    eventually("nothing is read where it may be older", PATIENCE, async || {
        there.query(ours, &[]).await.unwrap().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_notify_connection_to_another_database_is_no_connection_to_listen_on() {
    let world = World::new("elsewhere", &["a"]).await;
    let mut secret = secret_for(&world.database, "elsewhere");
    secret.string_data.as_mut().unwrap().insert("dbname".into(), "postgres".into());
    world.add_secret(&secret).await;
    let mut spec = notified_or_polled(json!({"mode": "Notify"}));
    spec["database"] =
        json!({"connectionSecretRef": {"name": "db"}, "notifyConnectionSecretRef": {"name": "elsewhere"}});
    world.create("q", spec).await;
    world.polling("q", "in the database that is listened to").await;
    world.condition_within(Duration::from_secs(30), "q", "ChangeDetection", "False", Some("NotifyUnavailable")).await;
    world.applies(&world.sql, "polled").await;
}
