//! Tables that are made of others, and where their changes are seen.

use serde_json::json;

use super::{oid, problem, sql, wanted, watched, why};
use crate::{LIMITS, session};
use dbqo::logic::triggers::Why;

const PARTITIONED: &str = "CREATE TABLE t (id int, k int, v int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
    CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
    CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2) PARTITION BY LIST (id);
    CREATE TABLE t2a PARTITION OF t2 DEFAULT";

#[tokio::test]
async fn changes_of_a_partitioned_table_are_seen_wherever_they_are_made() {
    let (database, client, mut listener) = watched("shapes partitions", PARTITIONED, "t", &["id"]).await;
    let t = oid(&client, "t").await;
    for (statement, keys) in [
        ("INSERT INTO t VALUES (1, 1, 0), (2, 2, 0)", vec![json!([["1"]]), json!([["2"]])]),
        ("INSERT INTO t1 VALUES (3, 1, 0)", vec![json!([["3"]])]),
        ("UPDATE t2a SET v = 1", vec![json!([["2"]])]),
        ("UPDATE t SET k = 2 WHERE id = 1", vec![json!([["1"]])]),
        ("UPDATE t1 SET id = 4 WHERE id = 3", vec![json!([["4"], ["3"]])]),
        ("UPDATE t SET v = 1 WHERE id = 99", vec![]),
        ("DELETE FROM t2 WHERE id = 1", vec![json!([["1"]])]),
        ("TRUNCATE t1", vec![json!(null)]),
        ("TRUNCATE t", vec![json!(null)]),
    ] {
        client.batch_execute(statement).await.unwrap();
        let heard = listener.heard().await;
        assert!(heard.iter().all(|sent| sent["t"] == t), "{statement}: the table is the one that is watched");
        assert_eq!(heard.into_iter().map(|sent| sent["k"].clone()).collect::<Vec<_>>(), keys, "{statement}");
    }

    let later =
        "CREATE TABLE t3 (v int, k int NOT NULL, id int NOT NULL); ALTER TABLE t ATTACH PARTITION t3 FOR VALUES IN (3)";
    client.batch_execute(later).await.unwrap();
    client.batch_execute("INSERT INTO t3 VALUES (0, 3, 9)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["9"]])], "its triggers came with it");
    let session = session(&database).await;
    assert!(session.triggers(&[t], &LIMITS).await.unwrap()[0].serves(&wanted(t, &["id"], 1)).is_ok());
    let (said, statement) = problem(&client, "t").await;
    assert!(said.unwrap().contains("_trunc on public.t3"), "all but that for TRUNCATE");
    assert_eq!(sql(&database, statement.unwrap().trim_end_matches(';')).await.unwrap().len(), 1);
    client.batch_execute("TRUNCATE t3").await.unwrap();
    assert_eq!(listener.keys().await, [json!(null)]);
    assert_eq!(problem(&client, "t").await, (None, None));

    client.batch_execute("ALTER TABLE t DETACH PARTITION t1; INSERT INTO t1 VALUES (5, 1, 0)").await.unwrap();
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new(), "what is no part of it any more is not told");
}

#[tokio::test]
async fn many_rows_of_a_partitioned_table_are_told_a_hundred_times_and_once_more() {
    let (_database, client, mut listener) = watched("shapes many", PARTITIONED, "t", &["id"]).await;
    client.batch_execute("INSERT INTO t SELECT n, 1 + n % 2, 0 FROM generate_series(1, 5000) n").await.unwrap();
    let sent = listener.keys().await;
    assert_eq!((sent.len(), sent.last()), (101, Some(&json!(null))));
}

#[tokio::test]
async fn a_partition_can_be_watched_beside_its_table() {
    let (database, client, mut listener) = watched("shapes partition", PARTITIONED, "t1", &["id"]).await;
    sql(&database, "SELECT dbqo.watch('t', '{id}', 0)").await.unwrap();
    let (t, t1) = (oid(&client, "t").await, oid(&client, "t1").await);
    client.batch_execute("INSERT INTO t VALUES (1, 1, 0)").await.unwrap();
    let mut tables: Vec<_> = listener.heard().await.into_iter().map(|sent| sent["t"].as_u64().unwrap()).collect();
    tables.sort_unstable();
    let mut both = vec![u64::from(t), u64::from(t1)];
    both.sort_unstable();
    assert_eq!(tables, both);
    for table in ["t", "t1"] {
        assert_eq!(problem(&client, table).await, (None, None));
    }
}

#[tokio::test]
async fn changes_of_inheritance_children_are_seen_as_their_parents() {
    let tables = "CREATE TABLE t (id int, v int); CREATE TABLE child (more text) INHERITS (t);
        CREATE TABLE grandchild () INHERITS (child)";
    let (database, client, mut listener) = watched("shapes inheritance", tables, "t", &["id"]).await;
    let t = oid(&client, "t").await;
    for (statement, keys) in [
        ("INSERT INTO child VALUES (1)", json!([["1"]])),
        ("INSERT INTO grandchild VALUES (2)", json!([["2"]])),
        ("UPDATE t SET v = 1 WHERE id = 1", json!([["1"]])),
        ("UPDATE child SET id = 3 WHERE id = 2", json!([["2"], ["3"]])),
        ("DELETE FROM child WHERE id = 1", json!([["1"]])),
        ("TRUNCATE grandchild", json!(null)),
    ] {
        client.batch_execute(statement).await.unwrap();
        let mut heard = listener.heard().await;
        assert_eq!((heard.len(), &heard[0]["t"]), (1, &json!(t)), "{statement}");
        if let Some(keys) = heard[0]["k"].as_array_mut() {
            keys.sort_by_key(ToString::to_string);
        }
        assert_eq!(heard[0]["k"], keys, "{statement}");
    }

    client.batch_execute("CREATE TABLE late () INHERITS (t)").await.unwrap();
    let mut session = session(&database).await;
    let (refused, statement) = why(session.ensure_watched(&wanted(t, &["id"], 0), false, &LIMITS).await.unwrap_err());
    assert!(matches!(&refused, Why::Missing(triggers) if triggers.len() == 4), "{refused}");
    assert_eq!(statement.as_deref(), Some("SELECT dbqo.watch('public.t', '{id}', 0);"));
    assert!(problem(&client, "t").await.0.unwrap().contains("on public.late is missing"));
    session.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    client.batch_execute("INSERT INTO late VALUES (8)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["8"]])]);
}

#[tokio::test]
async fn a_child_is_seen_through_its_parent() {
    let tables =
        "CREATE TABLE parent (id int, v int); CREATE TABLE t () INHERITS (parent); INSERT INTO t VALUES (1, 0)";
    let (_database, client, mut listener) = watched("shapes child", tables, "t", &["id"]).await;
    client.batch_execute("UPDATE parent SET v = 1; INSERT INTO parent VALUES (2, 0)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["1"]])]);
}

#[tokio::test]
async fn a_statement_that_reaches_a_foreign_child_does_not_fail() {
    let tables = "CREATE TABLE t (id int, v int); CREATE TABLE far (id int, v int); INSERT INTO far VALUES (7, 0);
        INSERT INTO t VALUES (1, 0)";
    let (database, client, mut listener) = watched("shapes foreign", tables, "t", &["id"]).await;
    let child = "CREATE FOREIGN TABLE child () INHERITS (t) SERVER self OPTIONS (table_name 'far')";
    let foreign = database.foreign_server() + child;
    client.batch_execute(&foreign).await.unwrap();
    // Triggers for each statement will not do any more.
    let t = oid(&client, "t").await;
    let mut session = session(&database).await;
    let before = session.triggers(&[t], &LIMITS).await.unwrap().remove(0);
    assert_eq!(before.missing.len(), 3);
    session.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    client.batch_execute("UPDATE t SET v = 1").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["1"]])]);
    let (said, statement) = problem(&client, "t").await;
    assert!(
        said.unwrap().contains("foreign tables that are part of it are not seen: public.child") && statement.is_none()
    );
}

#[tokio::test]
async fn what_has_no_rows_of_its_own_cannot_be_watched() {
    let database = crate::support::TestDatabase::create("shapes none").await;
    let client = database.client().await;
    let tables =
        "CREATE VIEW v AS SELECT 1 AS id; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE TABLE t (id int)";
    client.batch_execute(tables).await.unwrap();
    let mut session = session(&database).await;
    for (name, keys, expected) in [
        ("v", &["id"][..], Why::NotATable),
        ("m", &["id"], Why::NotATable),
        ("pg_catalog.pg_class", &[], Why::NotATable),
        ("t", &["id", "nope"], Why::NoKeyColumn),
        ("t", &["ctid"], Why::NoKeyColumn),
    ] {
        let wanted = wanted(oid(&client, name).await, keys, 1);
        let (refused, _) = why(session.ensure_watched(&wanted, true, &LIMITS).await.unwrap_err());
        assert_eq!(refused, expected, "{name}");
    }
    let (refused, _) = why(session.ensure_watched(&wanted(1, &[], 1), true, &LIMITS).await.unwrap_err());
    assert_eq!(refused, Why::NoTable);
}
