//! What needs a server of a test's own: a role belongs to all databases of one, and a publisher is set up when it starts.

use dbqo::logic::triggers::files;
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::{Listener, oid, problem};
use crate::support::eventually;
use crate::support::server::{ADMIN, PASSWORD, Server};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn config(server: &Server, database: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.port).user(ADMIN).password(PASSWORD).dbname(database);
    config
}

pub async fn client(server: &Server, database: &str) -> Client {
    let (client, connection) = config(server, database).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What there is of us.
pub async fn left(client: &Client) -> Vec<String> {
    let sql = "SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'dbqo%' UNION ALL SELECT nspname::text FROM pg_namespace \
               WHERE nspname LIKE 'dbqo%' UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'dbqo%' ORDER BY 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn to_uninstall_leaves_nothing_but_what_another_database_needs() {
    let server = Server::start("servers uninstall").await;
    let first = client(&server, "postgres").await;
    first.batch_execute("CREATE DATABASE other").await.unwrap();
    let second = client(&server, "other").await;
    for client in [&first, &second] {
        client.batch_execute(files::INSTALL).await.unwrap();
        let tables = "CREATE TABLE t (id int); CREATE TABLE child () INHERITS (t); SELECT dbqo.watch('t', '{id}');
            CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT; SELECT dbqo.watch('p')";
        client.batch_execute(tables).await.unwrap();
    }
    first.batch_execute("SELECT dbqo.uninstall()").await.unwrap();
    assert_eq!(left(&first).await, ["dbqo_owner"]);
    first.batch_execute("INSERT INTO t VALUES (1); INSERT INTO p VALUES (1)").await.unwrap();
    let dsn = format!("host=127.0.0.1 port={} user={ADMIN} password={PASSWORD} dbname=other", server.port);
    let mut uninstall = Command::new(env!("CARGO_BIN_EXE_dbqo"));
    let said = uninstall.args(["sql", "uninstall", "--dsn", &dsn]).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.status.success() && text.contains("removed trigger dbqo_") && text.contains("removed role dbqo_owner"),
        "{text}"
    );
    assert_eq!(left(&second).await, Vec::<String>::new());
}

#[tokio::test]
async fn to_uninstall_where_a_table_is_in_use_removes_nothing_and_lets_those_who_waited_go_on() {
    let server = Server::start("servers busy").await;
    let (look, uninstalls) = (client(&server, "postgres").await, client(&server, "postgres").await);
    let (busy, one, two) =
        (client(&server, "postgres").await, client(&server, "postgres").await, client(&server, "postgres").await);
    look.batch_execute(files::INSTALL).await.unwrap();
    // The one that nobody uses comes first: its triggers are dropped already when the lock of the other is waited for.
    let tables = "CREATE TABLE free (id int); SELECT dbqo.watch('free', '{id}');
        CREATE TABLE used (id int); SELECT dbqo.watch('used', '{id}')";
    look.batch_execute(tables).await.unwrap();
    let all = left(&look).await;
    busy.batch_execute("BEGIN; INSERT INTO used VALUES (1)").await.unwrap();
    let uninstalling = tokio::spawn(async move { uninstalls.batch_execute("SELECT dbqo.uninstall()").await });
    eventually("it waits for the lock", PATIENCE, async || {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'used'::regclass";
        let waits = look.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0;
        (waits || uninstalling.is_finished()).then_some(())
    })
    .await;
    let (one, two) =
        (one.batch_execute("INSERT INTO free VALUES (2)"), two.batch_execute("INSERT INTO used VALUES (2)"));
    let (one, two) = tokio::time::timeout(PATIENCE, async { tokio::join!(one, two) }).await.expect("both get through");
    one.unwrap();
    two.unwrap();
    let refused = uninstalling.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{refused}");
    assert_eq!(left(&look).await, all, "all or nothing");
    busy.batch_execute("COMMIT").await.unwrap();
    look.batch_execute("SELECT dbqo.uninstall()").await.unwrap();
    assert_eq!(left(&look).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_logical_subscription_writes_is_seen() {
    let server = Server::configured("servers subscription", "wal_level = logical").await;
    let source = client(&server, "postgres").await;
    source.batch_execute("CREATE DATABASE target").await.unwrap();
    let target = client(&server, "target").await;
    let table = "CREATE TABLE t (id int PRIMARY KEY, v int)";
    source
        .batch_execute(&format!("{table}; INSERT INTO t VALUES (1, 1); CREATE PUBLICATION p FOR TABLE t"))
        .await
        .unwrap();
    target.batch_execute(&format!("{table}; {}; SELECT dbqo.watch('t', '{{id}}', 0)", files::INSTALL)).await.unwrap();
    source.batch_execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')").await.unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port={} user={ADMIN} password={PASSWORD} dbname=postgres' \
         PUBLICATION p WITH (create_slot = false, slot_name = 's')",
        server.port
    );
    target.batch_execute(&subscribe).await.unwrap();
    eventually("the rows have been copied", PATIENCE, async || {
        let sql = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'";
        (target.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let (said, statement) = problem(&target, "t").await;
    assert!(
        said.unwrap().contains("is missing or not as it has to be"),
        "triggers for each statement hear nothing of it"
    );
    let t = oid(&target, "t").await;

    // By somebody who may make triggers and does not own the table.
    target.batch_execute("CREATE ROLE maker; GRANT TRIGGER ON t TO maker; SET ROLE maker").await.unwrap();
    let watch: String = statement.unwrap().lines().next().unwrap().to_owned();
    target.batch_execute(&watch).await.unwrap();
    target.batch_execute("RESET ROLE").await.unwrap();
    let (said, always) = problem(&target, "t").await;
    assert!(said.unwrap().contains("not enabled always"));
    target.batch_execute(&always.unwrap()).await.unwrap();
    assert_eq!(problem(&target, "t").await, (None, None));
    let triggers: i64 = target
        .query_one("SELECT count(*) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal", &[&t])
        .await
        .unwrap()
        .get(0);
    assert_eq!(triggers, 4, "none of the former kind is left");

    let mut listener = Listener::at(&config(&server, "target")).await;
    for (statement, keys) in [
        ("INSERT INTO t VALUES (2, 1)", json!([["2"]])),
        ("UPDATE t SET id = 3 WHERE id = 2", json!([["3"], ["2"]])),
        ("DELETE FROM t WHERE id = 3", json!([["3"]])),
        ("TRUNCATE t", json!(null)),
    ] {
        source.batch_execute(statement).await.unwrap();
        let mut sent = Vec::new();
        eventually(statement, PATIENCE, async || {
            sent.extend(listener.keys().await);
            (!sent.is_empty()).then_some(())
        })
        .await;
        // The copy at the start may be among the first.
        assert!(sent.contains(&keys), "{statement}: {sent:?}");
    }
    target.batch_execute("INSERT INTO t VALUES (9, 1)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["9"]])], "what is written here is seen, too");

    // Its owner has it as it has to be at once, and an update of the function keeps it so.
    target
        .batch_execute("SELECT dbqo.unwatch('t'); SELECT dbqo.watch('t', '{id}', 0); SELECT dbqo.watch('t', '{v}', 1)")
        .await
        .unwrap();
    assert_eq!(problem(&target, "t").await, (None, None));
    target
        .batch_execute("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s")
        .await
        .unwrap();
    assert!(problem(&target, "t").await.0.is_some(), "and now that nobody subscribes, the other kind will do");
    target.batch_execute("SELECT dbqo.watch('t'); INSERT INTO t VALUES (10, 1)").await.unwrap();
    assert_eq!(problem(&target, "t").await, (None, None));
}
