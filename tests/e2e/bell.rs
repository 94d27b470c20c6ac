//! Slots and locks: several operators on one database, a leader that takes over, transactions that began before, and
//! that writers neither wait nor pay.

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::support::listening::{
    Ear, LISTENING, LOCKING, armed, backend, notified, notified_or_polled, on_own, replaced, until_armed,
    until_armed_within,
};
use crate::support::server::Server;
use crate::support::world::{PATIENCE, World, condition};
use crate::support::{Operator, connect, eventually, secret_for};

const TIMES: [&str; 3] = ["--lease-duration=5s", "--lease-renew-deadline=3s", "--lease-retry-period=500ms"];

/// Backends that have the lock of a table, or wait for it, and have no slot.
const WAITING: &str = "SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.objid <> 0 \
    AND l.mode = 'ExclusiveLock' \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND NOT EXISTS (SELECT FROM pg_locks s WHERE s.pid = l.pid AND s.locktype = 'advisory' AND s.objid = 0)";

#[tokio::test]
async fn of_two_operators_on_one_database_each_needs_a_slot_of_its_own() {
    let first = World::new("slots", &["a"]).await;
    first.create("q", notified(json!({}))).await;
    first.listening("q").await;
    // A world of its own on the same database.
    let mut second = World::new("slots-too", &[]).await;
    second.add_secret(&secret_for(&first.database, "shared")).await;
    let mut spec = notified_or_polled(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "shared"}});
    second.create("q", spec).await;
    let message = second.polling("q", "1 operators listen to this database already").await;
    assert!(message.contains("dbqo.watch(…, slots => 2)"), "{message}");
    first.run_sql("UPDATE t SET v = 'two'").await;
    first.until_value("a", Some("two")).await;
    second.until_value("a", Some("two")).await;

    first.run_sql("SELECT dbqo.watch('t', slots => 2)").await;
    second.listening("q").await;
    first.listening("q").await;
    until_armed(&first.sql, 2).await;
    second.patch("q", json!({"spec": {"pollInterval": "1h"}})).await;
    second.another_pass("q").await;
    second.listening("q").await;
    first.run_sql("UPDATE t SET v = 'three'").await;
    first.until_value("a", Some("three")).await;
    second.until_value("a", Some("three")).await;
    second.operator.kill();
}

#[tokio::test]
async fn a_new_leader_takes_the_slot_over_from_one_that_hangs() {
    let world = World::with_flags("takes-over", &["a"], &TIMES).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let (listening, locking) = (backend(&world.sql, LISTENING).await, backend(&world.sql, LOCKING).await);
    let standby = Operator::start(world.namespace.name(), &TIMES);
    eventually("the other stands by", PATIENCE, async || {
        standby.get("/readyz").await.1.contains("standing by").then_some(())
    })
    .await;
    world.operator.signal("STOP");
    world.run_sql("UPDATE t SET v = 'meanwhile'").await;
    world.until_value("a", Some("meanwhile")).await;
    // Neither what held the locks nor what pins the queue of notifications is left.
    eventually("the sessions of the old leader are ended", PATIENCE, async || {
        let pids = [listening.cast_signed(), locking.cast_signed()];
        let left = world.sql.query("SELECT FROM pg_stat_activity WHERE pid = ANY ($1)", &[&&pids[..]]).await.unwrap();
        left.is_empty().then_some(())
    })
    .await;
    eventually("the new leader listens", PATIENCE, async || {
        (standby.figure(r#"dbqo_listeners{state="listening"}"#).await == Some(1.0)).then_some(())
    })
    .await;
    world.hears(&world.sql, "heard").await;
    world.operator.signal("KILL");
}

/// A transaction that wrote to `b` while nobody listened, and is open still when `q` does.
async fn writing_since_before(world: &World) -> tokio_postgres::Client {
    world.create("first", notified(json!({}))).await;
    world.listening("first").await;
    world.delete("first").await;
    world.until_gone("first").await;
    until_armed(&world.sql, 0).await;
    let earlier = world.database.client().await;
    earlier.batch_execute("BEGIN; UPDATE t SET v = 'early' WHERE name = 'b'").await.unwrap();
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    earlier
}

#[tokio::test]
async fn what_a_transaction_wrote_that_began_before_is_applied_when_it_commits() {
    let world = World::new("began-before", &["a", "b"]).await;
    let earlier = writing_since_before(&world).await;
    // The lock is waited for, on a connection of its own, and meanwhile it is as good as had.
    until_armed(&world.sql, 1).await;
    world.applies(&world.sql, "late").await;
    assert_eq!(world.value("b").await.as_deref(), Some("one"));
    let pid: i32 = earlier.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let message = world.until_told("that go on for over half a minute", true).await;
    assert!(message.contains(&format!("(server process {pid})")) && message.contains("changed in t "), "{message}");
    assert!(!message.contains("hung") && !message.contains("--max-waiting"), "{message}");
    earlier.batch_execute("COMMIT").await.unwrap();
    world.until_value("b", Some("early")).await;
    world.until_told("half a minute", false).await;
    world.hears(&world.sql, "later").await;
}

#[tokio::test]
async fn a_place_to_wait_for_a_lock_is_free_again_once_that_is_had() {
    let world = World::with_flags("place-again", &["a", "b"], &["--max-waiting-per-listener=1"]).await;
    world.run_sql("CREATE TABLE u (name text PRIMARY KEY, v text); INSERT INTO u VALUES ('u', 'one')").await;
    world.create("before", on_u()).await;
    world.listening("before").await;
    world.delete("before").await;
    world.until_gone("before").await;
    let earlier = writing_since_before(&world).await;
    let waits = backend(&world.sql, WAITING).await;
    earlier.batch_execute("COMMIT").await.unwrap();
    world.until_value("b", Some("early")).await;
    until_armed(&world.sql, 1).await;
    eventually("it does not wait any more", PATIENCE, async || {
        world.sql.query(WAITING, &[]).await.unwrap().is_empty().then_some(())
    })
    .await;
    world.hears(&world.sql, "heard").await;
    let another = world.database.client().await;
    another.batch_execute("BEGIN; UPDATE u SET v = 'early'").await.unwrap();
    world.create("r", on_u()).await;
    world.listening("r").await;
    assert_ne!(backend(&world.sql, WAITING).await, waits, "it is for another table");
    world.hears(&world.sql, "heard meanwhile").await;
    another.batch_execute("COMMIT").await.unwrap();
    world.until_value("u", Some("early")).await;
    until_armed(&world.sql, 2).await;
    world.hears_of("u", "u", &world.sql, "heard too").await;
}

#[tokio::test]
async fn however_many_locks_are_kept_others_are_heard_and_a_lost_connection_is_noticed() {
    const TABLES: usize = 150;
    let world = World::with_flags("kept", &["a", "b"], &["--max-waiting-per-listener=1"]).await;
    world.run_sql(include_str!("../../sql/install.sql")).await;
    let each = format!(
        "DO $$BEGIN FOR n IN 1..{TABLES} LOOP \
             EXECUTE format('CREATE TABLE k%s (name text PRIMARY KEY, v text)', n); \
             PERFORM dbqo.watch(format('k%s', n)::regclass, '{{name}}'); \
         END LOOP; END$$"
    );
    world.run_sql(&each).await;
    let names: Vec<String> = (1..=TABLES).map(|n| format!("k{n}")).collect();
    let kept = world.database.client().await;
    let writes: Vec<String> = names.iter().map(|name| format!("INSERT INTO {name} VALUES ('k', 'kept')")).collect();
    kept.batch_execute(&format!("BEGIN; {}", writes.join("; "))).await.unwrap();
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    for (number, names) in names.chunks(15).enumerate() {
        let tables: Vec<Value> = names.iter().map(|name| json!({"tableName": name})).collect();
        let mut spec = notified(json!({}));
        spec["query"] = json!(format!("SELECT '{0}' AS name, v FROM {0}", names[0]));
        spec["changeDetection"] = json!({"enabled": true, "tables": tables, "resyncInterval": "1h"});
        world.create(&format!("many-{number}"), spec).await;
        world.listening(&format!("many-{number}")).await;
    }
    world.hears(&world.sql, "heard").await;
    replaced(&world.sql, LISTENING).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard again").await;
    kept.batch_execute("COMMIT").await.unwrap();
    until_armed_within(4 * PATIENCE, &world.sql, 1 + TABLES as i64).await;
    world.until_value("k1", Some("kept")).await;
}

#[tokio::test]
async fn a_transaction_can_be_prepared_while_its_table_is_too_loud_to_notify() {
    let server = Server::configured("loud-prepared", "max_prepared_transactions = 5").await;
    let sql = server.admin().await;
    let table = "CREATE TABLE t (name text PRIMARY KEY, v text); \
                 INSERT INTO t SELECT n, 'one' FROM unnest('{a,b,c,d}'::text[]) n";
    sql.batch_execute(table).await.unwrap();
    let world = World::new("loud-prepared", &[]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", on_own(notified(json!({"mode": "Notify"})))).await;
    world.listening("q").await;
    let writers: Vec<_> = ["c", "d"].map(|name| (name, connect(server.config()))).into_iter().map(write_on).collect();
    let prepare = "BEGIN; UPDATE t SET v = 'prepared' WHERE name = 'a'; PREPARE TRANSACTION 'p'";
    // Until it is quiet it is refused.
    eventually("the transaction is prepared", PATIENCE, async || match sql.batch_execute(prepare).await {
        Ok(()) => Some(()),
        Err(error) => {
            assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{error:?}");
            None
        }
    })
    .await;
    writers.iter().for_each(JoinHandle::abort);
    // It has no session any more, and is waited for all the same; meanwhile others are heard.
    until_armed(&sql, 1).await;
    sql.batch_execute("UPDATE t SET v = 'heard' WHERE name = 'b'").await.unwrap();
    world.until_value("b", Some("heard")).await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    sql.batch_execute("COMMIT PREPARED 'p'").await.unwrap();
    world.until_value("a", Some("prepared")).await;
}

/// Changes one row without end.
fn write_on(
    (name, client): (&'static str, impl Future<Output = Result<Client, tokio_postgres::Error>> + Send + 'static),
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let client = client.await.unwrap();
        for n in 0.. {
            client.execute("UPDATE t SET v = $1 WHERE name = $2", &[&format!("loud {n}"), &name]).await.unwrap();
        }
    })
}

#[tokio::test]
async fn without_a_connection_to_wait_on_the_table_is_read_from_time_to_time() {
    let world = World::with_flags("no-place", &["a", "b"], &["--max-waiting-per-listener=0"]).await;
    let earlier = writing_since_before(&world).await;
    for value in ["two", "three", "four"] {
        world.applies(&world.sql, value).await;
    }
    let message = world.until_told("--max-waiting-per-listener", true).await;
    assert!(message.contains("but t, for over half a minute"), "{message}");
    earlier.batch_execute("COMMIT").await.unwrap();
    world.until_value("b", Some("early")).await;
    until_armed(&world.sql, 1).await;
    eventually("it is told of no more", 4 * PATIENCE, async || {
        let message = told(&world).await;
        assert!(!message.contains("hung"), "by now the lock is ours: {message}");
        (!message.contains("--max-waiting-per-listener")).then_some(())
    })
    .await;
    world.hears(&world.sql, "heard").await;
}

async fn told(world: &World) -> String {
    let resource = world.get("q").await;
    condition(&resource, "ChangeDetection").unwrap()["message"].as_str().unwrap().to_owned()
}

/// A login that listens, and may have so many connections; the spec by which it does.
async fn listens_as(world: &World, role: &str, connections: i32) -> Value {
    world
        .run_sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'CANARY' CONNECTION LIMIT {connections}; GRANT SELECT ON t TO {role}"
        ))
        .await;
    let mut secret = secret_for(&world.database, "listens");
    let login = [("username".to_owned(), role.to_owned()), ("password".to_owned(), "CANARY".to_owned())];
    secret.string_data.as_mut().unwrap().extend(login);
    world.add_secret(&secret).await;
    let mut spec = notified(json!({}));
    spec["database"] = json!({"connectionSecretRef": {"name": "db"}, "notifyConnectionSecretRef": {"name": "listens"}});
    spec
}

#[tokio::test]
async fn what_nobody_heard_is_applied_though_a_transaction_of_that_time_goes_on() {
    let world = World::new("goes-on", &["a", "b"]).await;
    let spec = listens_as(&world, "goes_on", -1).await;
    world.create("q", spec).await;
    world.listening("q").await;
    world.run_sql("ALTER ROLE goes_on NOLOGIN").await;
    let pid = backend(&world.sql, LISTENING).await;
    world.run_sql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    world.condition("q", "ChangeDetection", "False", Some("NotificationsLost")).await;
    until_armed(&world.sql, 0).await;
    let earlier = world.database.client().await;
    earlier.batch_execute("BEGIN; UPDATE t SET v = 'early' WHERE name = 'b'").await.unwrap();
    world.run_sql("UPDATE t SET v = 'unheard' WHERE name = 'a'").await;
    world.run_sql("ALTER ROLE goes_on LOGIN").await;
    until_armed(&world.sql, 1).await;
    world.until_value("a", Some("unheard")).await;
    assert_eq!(world.value("b").await.as_deref(), Some("one"));
    earlier.batch_execute("COMMIT").await.unwrap();
    world.until_value("b", Some("early")).await;
}

#[tokio::test]
async fn where_no_connection_to_wait_on_is_to_be_had_the_others_stay() {
    let world = World::new("no-connection", &["a", "b"]).await;
    world.run_sql(include_str!("../../sql/install.sql")).await;
    world.run_sql("SELECT dbqo.watch('t', '{name}')").await;
    let earlier = world.database.client().await;
    earlier.batch_execute("BEGIN; UPDATE t SET v = 'early' WHERE name = 'b'").await.unwrap();
    let spec = listens_as(&world, "no_connection", 2).await;
    world.create("q", spec).await;
    world.listening("q").await;
    for value in ["two", "three", "four"] {
        world.applies(&world.sql, value).await;
    }
    assert!(!world.operator.logs().contains("notifications are not heard"), "{}", world.operator.logs());
    earlier.batch_execute("COMMIT").await.unwrap();
    world.until_value("b", Some("early")).await;
    until_armed(&world.sql, 1).await;
}

#[tokio::test]
async fn a_table_with_a_bell_is_armed_though_the_one_that_was_listened_to_first_has_none() {
    let world = World::with_flags("bell-beside", &["a"], &["--install-triggers=never"]).await;
    world.run_sql(include_str!("../../sql/install.sql")).await;
    world.run_sql("CREATE TABLE u (name text PRIMARY KEY, v text); INSERT INTO u VALUES ('u', 'one')").await;
    world.run_sql("SELECT dbqo.watch('t', '{name}', 0), dbqo.watch('u', '{name}')").await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    assert_eq!(armed(&world.sql).await, 0, "there is nothing to arm");
    world.create("r", on_u()).await;
    until_armed(&world.sql, 2).await;
    world.listening("r").await;
    world.listening("q").await;
    world.run_sql("UPDATE u SET v = 'two'").await;
    world.until_value("u", Some("two")).await;
    world.hears(&world.sql, "two").await;
}

fn on_u() -> Value {
    let mut spec = notified(json!({"tableName": "u"}));
    spec["query"] = json!("SELECT name, v FROM u");
    spec
}

#[tokio::test]
async fn a_bell_that_somebody_took_away_stays_away() {
    let world = World::new("no-bell", &["a"]).await;
    world.run_sql(include_str!("../../sql/install.sql")).await;
    world.run_sql("SELECT dbqo.watch('t', '{name}', 0)").await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    let about = world.sql.query_one("SELECT dbqo.about('t'::regclass)->>'slots'", &[]).await.unwrap();
    assert_eq!((about.get::<_, &str>(0), armed(&world.sql).await), ("0", 0));
}

#[tokio::test]
async fn a_slot_that_a_table_does_not_have_is_none_to_arm_it_with() {
    let world = World::with_flags("fewer-slots", &["a"], &["--install-triggers=never"]).await;
    world.run_sql(include_str!("../../sql/install.sql")).await;
    world.run_sql("CREATE TABLE u (name text PRIMARY KEY, v text); INSERT INTO u VALUES ('u', 'one')").await;
    world.run_sql("SELECT dbqo.watch('t', '{name}', 2), dbqo.watch('u', '{name}')").await;
    let another = world.database.client().await;
    another.batch_execute("SELECT pg_advisory_lock(1684173167, 0)").await.unwrap();
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    world.create("r", on_u()).await;
    world.polling("r", "slots => 2").await;
    world.run_sql("SELECT dbqo.watch('u', slots => 2)").await;
    world.listening("r").await;
    world.listening("q").await;
    until_armed(&world.sql, 2).await;
    world.run_sql("UPDATE u SET v = 'two'").await;
    world.until_value("u", Some("two")).await;
}

#[tokio::test]
async fn one_that_cannot_read_a_table_keeps_no_other_from_being_told() {
    let world = World::new("cannot-read", &["a"]).await;
    world.run_sql("CREATE TABLE x (name text, v text)").await;
    world.create("q", notified(json!({}))).await;
    let mut spec = notified(json!({}));
    spec["query"] = json!("SELECT x.name, x.v FROM x JOIN t USING (name)");
    world.create("fails", spec).await;
    world.listening("q").await;
    world.listening("fails").await;
    world.run_sql("DROP TABLE x; UPDATE t SET v = 'two'").await;
    world.condition("fails", "Ready", "False", Some("QueryFailed")).await;
    // So often that it is read as a whole afterwards.
    for n in 0..500 {
        world.sql.execute("UPDATE t SET v = $1", &[&format!("loud {n}")]).await.unwrap();
    }
    world.until_value("a", Some("loud 499")).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    world.applies(&world.sql, "late").await;
}

#[tokio::test]
async fn more_databases_than_may_be_listened_to_are_polled() {
    let world = World::with_flags("no-listener", &["a"], &["--max-listeners-per-server=0"]).await;
    world.create("q", notified_or_polled(json!({}))).await;
    world.polling("q", "--max-listeners-per-server").await;
    world.applies(&world.sql, "polled").await;
    assert!(world.sql.query(LISTENING, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn writers_go_on_while_the_operator_hangs_and_do_not_notify_once_it_is_gone() {
    let mut world = World::with_flags("harmless", &["a"], &["--leader-elect=false"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let ear = Ear::on(&world.database).await;
    world.operator.signal("STOP");
    for n in 0..300 {
        world.sql.execute("UPDATE t SET v = $1", &[&format!("hung {n}")]).await.unwrap();
    }
    assert_eq!(ear.heard().await.len(), 300, "it is armed, though it takes nothing");
    world.operator.kill();
    until_armed(&world.sql, 0).await;
    for n in 0..100 {
        world.sql.execute("UPDATE t SET v = $1", &[&format!("alone {n}")]).await.unwrap();
    }
    assert_eq!(ear.heard().await.len(), 0, "nobody is armed");
    world.restart();
    world.until_value("a", Some("alone 99")).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    assert!(!ear.heard().await.is_empty(), "it is armed again");
}

#[tokio::test]
async fn figures_tell_of_listeners_the_queue_and_how_late_changes_are_applied() {
    let world = World::new("figures", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let figure = async |series: &str| world.operator.figure(series).await;
    assert_eq!(figure(r#"dbqo_listeners{state="listening"}"#).await, Some(1.0));
    assert_eq!(figure(r#"dbqo_listeners{state="connecting"}"#).await, Some(0.0));
    assert!((0.0..0.25).contains(&figure("dbqo_notification_queue_usage").await.unwrap()));
    let of_it = format!(r#"dbqr_notification_lag_seconds_count{{namespace="{}",name="q"}}"#, world.namespace.name());
    let before = figure(&of_it).await.unwrap_or_default();
    world.applies(&world.sql, "two").await;
    eventually("it was measured", PATIENCE, async || (figure(&of_it).await? > before).then_some(())).await;
    assert!(figure(&of_it.replace("_count", "_sum")).await.unwrap() > 0.0);
    world.delete("q").await;
    world.until_gone("q").await;
    eventually("nobody listens", PATIENCE, async || {
        (figure(r#"dbqo_listeners{state="listening"}"#).await == Some(0.0)).then_some(())
    })
    .await;
}
