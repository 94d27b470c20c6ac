//! What there has to be in the database for notifications, who makes it, and what is told where it is not to be had.

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::support::listening::{LISTENING, armed, backend, notified, notified_or_polled, on_own, until_armed};
use crate::support::server::Server;
use crate::support::world::{PATIENCE, World, condition};
use crate::support::{eventually, secret_for};

impl World {
    /// A login that has these rights alone, and its Secret `role`.
    async fn role(&self, rights: &str) {
        let role = self.namespace.name().replace('-', "_");
        self.run_sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'CANARY'; GRANT {rights} ON t TO {role}")).await;
        let mut secret = secret_for(&self.database, "role");
        let fields = [("username".to_owned(), role), ("password".to_owned(), "CANARY".to_owned())];
        secret.string_data.as_mut().unwrap().extend(fields);
        self.add_secret(&secret).await;
    }

    /// What a DBA does.
    async fn install(&self) {
        self.run_sql(include_str!("../../sql/install.sql")).await;
    }

    /// The events that tell what was made.
    async fn installations(&self) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), self.namespace.name());
        let mut events = events.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.reason.as_deref() == Some("TriggersInstalled"));
        events
    }

    /// What they say.
    async fn installed(&self) -> Vec<String> {
        self.installations().await.into_iter().filter_map(|event| event.message).collect()
    }
}

fn as_role(mut spec: Value) -> Value {
    spec["database"] = json!({"connectionSecretRef": {"name": "role"}});
    spec
}

const WATCH: &str = "SELECT dbqo.watch('public.t', '{name}')";

#[tokio::test]
async fn what_was_made_in_the_database_is_told_by_events() {
    let world = World::new("told", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let parts = ["schema dbqo", "function dbqo.n_", "_ins on public.t", "_trunc on public.t"];
    eventually("there is an event for all of it", PATIENCE, async || {
        let told = world.installed().await.join("\n");
        parts.iter().all(|part| told.contains(part)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_role_with_select_and_trigger_makes_its_triggers_once_somebody_has_installed() {
    let world = World::new("may-trigger", &["a"]).await;
    world.role("SELECT, TRIGGER").await;
    world.create("q", as_role(notified(json!({})))).await;
    world.polling("q", "run: dbqo sql install (or psql -f sql/install.sql)").await;
    world.install().await;
    // What could not be had is tried again after a minute.
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
}

#[tokio::test]
async fn a_role_with_select_alone_needs_somebody_who_watches_the_table() {
    let world = World::new("may-select", &["a"]).await;
    world.role("SELECT").await;
    world.install().await;
    world.create("q", as_role(notified(json!({"mode": "Notify"})))).await;
    let message = world.polling("q", &format!("; run: {WATCH};")).await;
    let resource = world.condition("q", "ChangeDetection", "False", Some("NotifyUnavailable")).await;
    assert_eq!(condition(&resource, "Ready").unwrap()["status"], "True", "{message}");
    world.run_sql(WATCH).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard").await;
    assert!(world.installed().await.is_empty());
}

#[tokio::test]
async fn an_operator_that_must_not_install_says_what_to_run_and_makes_nothing() {
    let world = World::with_flags("never", &["a"], &["--install-triggers=never"]).await;
    world.create("q", notified_or_polled(json!({}))).await;
    world.polling("q", "run: dbqo sql install").await;
    world.applies(&world.sql, "polled").await;
    let there = world.sql.query("SELECT FROM pg_namespace WHERE nspname = 'dbqo'", &[]).await.unwrap();
    assert!(there.is_empty() && world.installed().await.is_empty());
    world.install().await;
    world.run_sql(WATCH).await;
    world.listening("q").await;
}

#[tokio::test]
async fn nobody_listens_for_who_wants_to_poll() {
    let world = World::new("wants-poll", &["a"]).await;
    let spec = notified_or_polled(json!({"mode": "Poll"}));
    world.create("q", spec).await;
    let resource = world.condition("q", "ChangeDetection", "True", Some("Polling")).await;
    assert_eq!(resource["status"]["mode"], "Poll");
    world.applies(&world.sql, "polled").await;
    assert!(world.sql.query(LISTENING, &[]).await.unwrap().is_empty());
    assert_eq!(armed(&world.sql).await, 0);
    world.patch("q", json!({"spec": {"changeDetection": {"mode": "Auto"}}})).await;
    world.listening("q").await;
    world.patch("q", json!({"spec": {"changeDetection": {"mode": "Poll"}}})).await;
    world.polling("q", "").await;
    eventually("nobody listens any more", PATIENCE, async || {
        world.sql.query(LISTENING, &[]).await.unwrap().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn triggers_that_somebody_broke_are_made_again_by_a_role_that_may() {
    let world = World::new("broken", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let sql = "SELECT oid::int8 FROM pg_class WHERE relname = 't'";
    let oid: i64 = world.sql.query_one(sql, &[]).await.unwrap().get(0);
    for (round, broken) in [
        format!("DROP TRIGGER dbqo_{oid}_upd ON t"),
        format!("DROP FUNCTION dbqo.n_{oid}() CASCADE"),
        format!(
            "CREATE OR REPLACE FUNCTION dbqo.n_{oid}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        ),
    ]
    .into_iter()
    .enumerate()
    {
        world.run_sql(&broken).await;
        let value = format!("unheard {round}");
        world.applies(&world.sql, &value).await;
        eventually(&format!("it is mended: {broken}"), PATIENCE, async || {
            let sql = format!(
                "SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
                 WHERE p.proname = 'n_{oid}' AND p.prosrc LIKE '%pg_notify%'"
            );
            (world.sql.query(&sql, &[]).await.unwrap().len() == 4).then_some(())
        })
        .await;
        world.listening("q").await;
        world.hears(&world.sql, &format!("heard {round}")).await;
    }
}

#[tokio::test]
async fn triggers_that_a_role_may_not_mend_are_missed_and_the_condition_has_the_statement() {
    let world = World::new("unmended", &["a"]).await;
    world.role("SELECT").await;
    world.install().await;
    world.run_sql(WATCH).await;
    world.create("q", as_role(notified_or_polled(json!({})))).await;
    world.listening("q").await;
    let sql = "SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'dbqo%upd'";
    let trigger: String = world.sql.query_one(sql, &[]).await.unwrap().get(0);
    for (broken, mended, part) in [
        (
            format!("ALTER TABLE t DISABLE TRIGGER {trigger}"),
            format!("ALTER TABLE t ENABLE TRIGGER {trigger}"),
            format!("ALTER TABLE public.t ENABLE TRIGGER {trigger};"),
        ),
        (format!("DROP TRIGGER {trigger} ON t"), WATCH.to_owned(), format!("{trigger} on public.t; run: {WATCH};")),
    ] {
        world.run_sql(&broken).await;
        world.polling("q", &part).await;
        world.condition("q", "ChangeDetection", "False", Some("NotificationsLost")).await;
        world.applies(&world.sql, &broken).await;
        world.run_sql(&mended).await;
        world.listening("q").await;
        world.hears(&world.sql, &mended).await;
    }
}

#[tokio::test]
async fn writes_that_fire_no_trigger_are_seen_by_the_counters() {
    let world = World::new("silent", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    for silent in ["SET session_replication_role = replica", "SET dbqo.skip = on"] {
        let sql = world.database.client().await;
        sql.batch_execute(silent).await.unwrap();
        world.applies(&sql, silent).await;
    }
}

#[tokio::test]
async fn writes_that_fire_no_trigger_are_seen_of_a_table_that_was_added_just_now() {
    let world = World::new("silent-too", &["a"]).await;
    world.run_sql("CREATE TABLE u (name text PRIMARY KEY, v text); INSERT INTO u VALUES ('u', 'one')").await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let mut spec = notified(json!({"tableName": "u"}));
    spec["query"] = json!("SELECT name, v FROM u");
    world.create("r", spec).await;
    world.listening("r").await;
    world.until_value("u", Some("one")).await;
    let sql = world.database.client().await;
    sql.batch_execute("SET dbqo.skip = on; UPDATE u SET v = 'silent'").await.unwrap();
    drop(sql);
    world.until_value("u", Some("silent")).await;
}

#[tokio::test]
async fn what_was_written_while_triggers_were_off_for_a_moment_is_seen() {
    let world = World::new("moment", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    // By this the counters are explained for a while.
    world.applies(&world.sql, "heard").await;
    let sql = world.database.client().await;
    let silent = "BEGIN; ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET v = 'unheard'; \
                  ALTER TABLE t ENABLE TRIGGER USER; COMMIT";
    sql.batch_execute(silent).await.unwrap();
    drop(sql);
    world.until_value("a", Some("unheard")).await;
    world.listening("q").await;
    world.hears(&world.sql, "heard again").await;
}

#[tokio::test]
async fn a_table_that_loses_a_partition_or_is_swapped_by_its_name_is_read_and_watched_anew() {
    let world = World::new("swapped", &[]).await;
    world
        .run_sql(
            "ALTER TABLE t RENAME TO plain; \
             CREATE TABLE t (name text PRIMARY KEY, v text) PARTITION BY LIST (name); \
             CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b'); \
             INSERT INTO t VALUES ('a', 'one'), ('b', 'one')",
        )
        .await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    world.run_sql("UPDATE t_b SET v = 'directly'").await;
    world.until_value("b", Some("directly")).await;
    world.run_sql("ALTER TABLE t DETACH PARTITION t_b").await;
    world.until_value("b", None).await;
    world.run_sql("ALTER TABLE t ATTACH PARTITION t_b FOR VALUES IN ('b')").await;
    world.until_value("b", Some("directly")).await;
    world
        .run_sql(
            "INSERT INTO plain VALUES ('a', 'another'); \
             BEGIN; ALTER TABLE t RENAME TO gone; ALTER TABLE plain RENAME TO t; COMMIT",
        )
        .await;
    world.until_value("a", Some("another")).await;
    world.until_value("b", None).await;
    eventually("the new one has triggers", PATIENCE, async || {
        let sql = "SELECT FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname LIKE 'dbqo%'";
        (world.sql.query(sql, &[]).await.unwrap().len() == 4).then_some(())
    })
    .await;
    world.listening("q").await;
    backend(&world.sql, LISTENING).await;
    world.hears(&world.sql, "heard").await;
}

#[tokio::test]
async fn where_transactions_can_be_prepared_notifications_must_be_asked_for() {
    let server = Server::configured("prepares", "max_prepared_transactions = 5").await;
    let sql = server.admin().await;
    sql.batch_execute("CREATE TABLE t (name text PRIMARY KEY, v text); INSERT INTO t VALUES ('a', 'one')")
        .await
        .unwrap();
    let mut world = World::with_flags("prepares", &[], &["--leader-elect=false"]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", on_own(notified(json!({})))).await;
    world.polling("q", "max_prepared_transactions is not 0").await;
    world.patch("q", json!({"spec": {"changeDetection": {"mode": "Notify"}}})).await;
    world.listening("q").await;
    world.hears(&sql, "heard").await;
    let prepare = |name: &str| format!("BEGIN; UPDATE t SET v = '{name}'; PREPARE TRANSACTION '{name}'");
    let refused = sql.batch_execute(&prepare("armed")).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "0A000", "a transaction that notified cannot be prepared");
    // With nobody there it can, and keeps its lock: who comes later is notified of others, and waits for this one.
    world.operator.kill();
    until_armed(&sql, 0).await;
    sql.batch_execute(&prepare("prepared")).await.unwrap();
    world.restart();
    // It waits.
    until_armed(&sql, 1).await;
    sql.batch_execute("INSERT INTO t VALUES ('b', 'notified')").await.unwrap();
    world.until_value("b", Some("notified")).await;
    assert_eq!(world.value("a").await.as_deref(), Some("heard"));
    sql.batch_execute("COMMIT PREPARED 'prepared'").await.unwrap();
    world.until_value("a", Some("prepared")).await;
}

#[tokio::test]
async fn a_foreign_table_that_becomes_a_child_lets_no_statement_fail_for_long() {
    let world = World::new("foreign-child", &["a"]).await;
    world.create("q", notified_or_polled(json!({}))).await;
    world.listening("q").await;
    let child = "CREATE TABLE far AS SELECT * FROM t; UPDATE far SET name = 'f'; \
                 CREATE FOREIGN TABLE child () INHERITS (t) SERVER self OPTIONS (table_name 'far')";
    let foreign = world.database.foreign_server() + child;
    world.run_sql(&foreign).await;
    eventually("statements that reach it work again", 2 * PATIENCE, async || {
        world.sql.batch_execute("UPDATE t SET v = 'z'").await.ok()
    })
    .await;
    world.until_value("a", Some("z")).await;
    world.until_value("f", Some("z")).await;
    world.polling("q", "foreign partitions").await;
    // The same was said when they were made first.
    eventually("that triggers were made anew is told", PATIENCE, async || {
        let repeated = |event: &Event| event.series.as_ref().and_then(|series| series.count) >= Some(2);
        let events = world.installations().await;
        let told = |event: &Event| event.message.as_ref().is_some_and(|told| told.contains("_upd on public.t"));
        events.iter().any(|event| told(event) && repeated(event)).then_some(())
    })
    .await;
}
