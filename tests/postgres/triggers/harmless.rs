//! No statement of a user fails because of us, and none waits longer than it has to.

use std::time::Duration;

use dbqo::logic::triggers::Why;
use serde_json::json;
use tokio_postgres::error::SqlState;

use super::{oid, problem, role, sql, wanted, watched, why};
use crate::support::{TestDatabase, eventually};
use crate::{LIMITS, session};

const PATIENCE: Duration = Duration::from_secs(20);
const TABLE: &str = "CREATE TABLE t (id int, v int)";

#[tokio::test]
async fn a_key_column_that_is_dropped_or_renamed_makes_every_change_one_of_everything() {
    for change in ["ALTER TABLE t DROP COLUMN id", "ALTER TABLE t RENAME COLUMN id TO other"] {
        for table in
            [TABLE, "CREATE TABLE t (id int, v int) PARTITION BY LIST (v); CREATE TABLE t1 PARTITION OF t DEFAULT"]
        {
            let (database, client, mut listener) = watched("harmless column", table, "t", &["id"]).await;
            client.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
            assert_eq!(listener.keys().await, [json!([["1"]])]);
            client.batch_execute(change).await.unwrap();
            client.batch_execute("UPDATE t SET v = 2").await.unwrap();
            assert_eq!(listener.keys().await, [json!(null)], "{change}");
            let (said, statement) = problem(&client, "t").await;
            assert!(said.unwrap().contains("no key column id any more"), "{change}");
            sql(&database, statement.unwrap().trim_end_matches(';')).await.unwrap();
            assert_eq!(problem(&client, "t").await, (None, None));
        }
    }
}

#[tokio::test]
async fn a_key_columns_type_may_change() {
    let (database, client, mut listener) = watched("harmless type", TABLE, "t", &["id"]).await;
    client.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
    let change = "ALTER TABLE t ALTER id TYPE timestamptz USING '2024-01-01 00:00Z'; SET TimeZone = 'Asia/Tokyo'";
    client.batch_execute(change).await.unwrap();
    assert!(problem(&client, "t").await.0.unwrap().contains("not as this version makes it"), "it needs settings now");
    sql(&database, "SELECT dbqo.watch('t')").await.unwrap();
    listener.heard().await;
    client.batch_execute("UPDATE t SET v = 2").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["2024-01-01 00:00:00+00"]])]);
}

/// Puts a function of the server's aside in this database, and another one in its place.
fn instead(name: &str, arguments: &str, function: &str) -> String {
    format!(
        "ALTER FUNCTION pg_catalog.{name}({arguments}) RENAME TO {name}_aside; CREATE FUNCTION pg_catalog.{name}({arguments}) {function}"
    )
}

#[tokio::test]
async fn whatever_the_server_refuses_us_is_not_the_writers_fault() {
    let fails =
        |state: &str| format!("LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$");
    for (broken, told) in [
        // Out of shared memory: no room for one more lock.
        (instead("pg_try_advisory_xact_lock_shared", "int, int", &format!("RETURNS bool {}", fails("53200"))), true),
        (instead("pg_notification_queue_usage", "", &format!("RETURNS float8 {}", fails("53200"))), false),
        (instead("pg_notify", "text, text", &format!("RETURNS void {}", fails("22023"))), false),
        (instead("set_config", "text, text, bool", &format!("RETURNS text {}", fails("42501"))), true),
        // Nearly full: a listener does not read.
        (instead("pg_notification_queue_usage", "", "RETURNS float8 LANGUAGE sql AS 'SELECT 0.26::float8'"), false),
        (instead("pg_notification_queue_usage", "", "RETURNS float8 LANGUAGE sql AS 'SELECT 0.24::float8'"), true),
    ] {
        for slots in [0, 1] {
            let (database, client, mut listener) = watched("harmless refused", TABLE, "t", &["id"]).await;
            let t = oid(&client, "t").await;
            session(&database).await.ensure_watched(&wanted(t, &["id"], slots), true, &LIMITS).await.unwrap();
            let operator = database.client().await;
            operator.batch_execute(&format!("SELECT pg_advisory_lock(1684173168, {t})")).await.unwrap();
            client.batch_execute(&broken).await.unwrap();
            client
                .batch_execute("INSERT INTO t VALUES (1); UPDATE t SET v = 2; DELETE FROM t; TRUNCATE t")
                .await
                .unwrap();
            assert_eq!(!listener.heard().await.is_empty(), told, "{broken}");
        }
    }
}

#[tokio::test]
async fn writers_need_no_rights_but_to_the_table() {
    let (database, client, mut listener) = watched("harmless rights", TABLE, "t", &["id"]).await;
    let writer = role(&database, &client, "writer").await;
    let revoke = format!(
        "GRANT INSERT ON t TO {}; REVOKE ALL ON SCHEMA dbqo FROM PUBLIC; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dbqo FROM PUBLIC;
         REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {0}",
        writer.user
    );
    client.batch_execute(&revoke).await.unwrap();
    client.batch_execute(&format!("SET ROLE {}; INSERT INTO t VALUES (1)", writer.user)).await.unwrap();
    assert_eq!(listener.keys().await, [json!([["1"]])]);
    // Not even to the functions that everybody else may call.
    client.batch_execute("RESET ROLE; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pg_catalog FROM PUBLIC").await.unwrap();
    client.batch_execute(&format!("SET ROLE {}; INSERT INTO t VALUES (2)", writer.user)).await.unwrap();
    assert_eq!(listener.keys().await, [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn nothing_is_looked_up_where_the_writers_search_path_says() {
    let traps = "CREATE SCHEMA trap; SET search_path = trap, pg_catalog, public;
        CREATE FUNCTION trap.boom() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
        CREATE FUNCTION trap.eq(text, text) RETURNS bool LANGUAGE sql AS 'SELECT trap.boom() IS NULL';
        CREATE FUNCTION trap.eq(int8, int4) RETURNS bool LANGUAGE sql AS 'SELECT trap.boom() IS NULL';
        CREATE FUNCTION trap.cat(text, text) RETURNS text LANGUAGE sql AS 'SELECT trap.boom()::text';
        CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = text, RIGHTARG = text);
        CREATE OPERATOR trap.<> (FUNCTION = trap.eq, LEFTARG = text, RIGHTARG = text);
        CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = int8, RIGHTARG = int4);
        CREATE OPERATOR trap.> (FUNCTION = trap.eq, LEFTARG = int8, RIGHTARG = int4);
        CREATE OPERATOR trap.|| (FUNCTION = trap.cat, LEFTARG = text, RIGHTARG = text);
        CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT trap.boom()';
        CREATE FUNCTION trap.count(int8) RETURNS int8 LANGUAGE sql AS 'SELECT 1::int8 WHERE trap.boom() IS NULL';
        CREATE FUNCTION trap.current_setting(text, bool) RETURNS text LANGUAGE sql AS 'SELECT trap.boom()::text';
        CREATE DOMAIN trap.bool AS pg_catalog.bool CHECK (false); CREATE DOMAIN trap.text AS pg_catalog.text CHECK (false);
        CREATE DOMAIN trap.int8 AS pg_catalog.int8 CHECK (false);
        CREATE TABLE trap.dbqo_new (id int); CREATE TEMP TABLE dbqo_old (id int)";
    for table in [
        "CREATE TABLE t (id text, v int)",
        "CREATE TABLE t (id text, v int) PARTITION BY LIST (v); CREATE TABLE t1 PARTITION OF t DEFAULT",
    ] {
        let (_database, client, mut listener) = watched("harmless path", table, "t", &["id"]).await;
        client.batch_execute(traps).await.unwrap();
        client.batch_execute("INSERT INTO t VALUES ('a', 1)").await.unwrap();
        client.batch_execute("UPDATE t SET v = 2").await.unwrap();
        client.batch_execute("DELETE FROM t").await.unwrap();
        assert_eq!(listener.keys().await, [json!([["a"]]), json!([["a"]]), json!([["a"]])]);
    }
}

#[tokio::test]
async fn writers_in_every_kind_of_session_go_on() {
    let (_database, client, mut listener) = watched("harmless sessions", TABLE, "t", &["id"]).await;
    for (sets, told) in [
        ("SET default_transaction_isolation = 'serializable'", true),
        ("SET standard_conforming_strings = off", true),
        ("SET plpgsql.extra_errors = 'all'; SET plpgsql.variable_conflict = 'use_variable'", true),
        ("SET dbqo.skip = on", false),
        ("SET session_replication_role = replica", false),
        ("SET dbqo.skip = 'anything else'", true),
    ] {
        client.batch_execute(&format!("RESET ALL; {sets}")).await.unwrap();
        client.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
        assert_eq!(listener.keys().await.len(), usize::from(told), "{sets}");
    }
    let t = oid(&client, "t").await;
    for value in ["nonsense", "-1", "99999999999999999999"] {
        client
            .batch_execute(&format!("RESET ALL; SET dbqo.sent_{t} = '{value}'; INSERT INTO t VALUES (1, 1)"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_listener_that_is_stuck_in_a_transaction_stops_nobody() {
    let (database, client, mut listener) = watched("harmless stuck", TABLE, "t", &["id"]).await;
    let stuck = database.client().await;
    stuck.batch_execute("LISTEN dbqo; BEGIN; SELECT 1").await.unwrap();
    for id in 0..200 {
        client.execute("INSERT INTO t VALUES ($1)", &[&id]).await.unwrap();
    }
    assert_eq!(listener.heard().await.len(), 200);
}

#[tokio::test]
async fn our_objects_can_be_dropped_at_any_time() {
    let (database, client, mut listener) = watched("harmless dropped", TABLE, "t", &["id"]).await;
    let t = oid(&client, "t").await;
    let refused = client.batch_execute(&format!("DROP FUNCTION dbqo.n_{t}()")).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST), "with triggers that call it");
    client.batch_execute("DROP SCHEMA dbqo CASCADE; INSERT INTO t VALUES (1, 1)").await.unwrap();
    assert!(listener.heard().await.is_empty());
    let mut session = session(&database).await;
    let (refused, _) = why(session.ensure_watched(&wanted(t, &["id"], 0), false, &LIMITS).await.unwrap_err());
    assert_eq!(refused, Why::NotInstalled);
    session.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (2, 1)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["2"]])]);
    client.batch_execute("DROP TABLE t").await.unwrap();
    assert_eq!(session.unwatch(t, &LIMITS).await.unwrap().len(), 1, "the function of a table that is gone");
}

#[tokio::test]
async fn to_watch_a_table_that_is_in_use_gives_up_and_lets_those_who_waited_go_on() {
    let database = TestDatabase::create("harmless busy").await;
    let (client, busy, waits) = (database.client().await, database.client().await, database.client().await);
    client.batch_execute(TABLE).await.unwrap();
    let t = oid(&client, "t").await;
    let mut session = session(&database).await;
    session.install(&LIMITS).await.unwrap();
    busy.batch_execute("BEGIN; INSERT INTO t VALUES (1, 1)").await.unwrap();
    let watching =
        tokio::spawn(async move { (session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await, session) });
    eventually("it waits for the lock", PATIENCE, async || {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1";
        (client.query_one(sql, &[&t]).await.unwrap().get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    waits.batch_execute("INSERT INTO t VALUES (2, 1)").await.unwrap();
    let (refused, mut session) = watching.await.unwrap();
    assert_eq!(why(refused.unwrap_err()).0, Why::Busy);
    assert!(!session.is_closed(), "it is of use still");
    assert_eq!(session.triggers(&[t], &LIMITS).await.unwrap()[0].sends, None, "nothing is left half-made");
    busy.batch_execute("COMMIT").await.unwrap();
    session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap();

    busy.batch_execute("BEGIN; SELECT * FROM t").await.unwrap();
    assert!(session.unwatch(t, &LIMITS).await.is_err(), "to unwatch waits for readers, too");
    busy.batch_execute("COMMIT").await.unwrap();
    assert_eq!(session.unwatch(t, &LIMITS).await.unwrap().len(), 5);
}

#[tokio::test]
async fn to_watch_a_table_with_parts_ends_no_writer_that_waits_for_us_as_we_for_it() {
    let database = TestDatabase::create("harmless deadlock").await;
    let (client, first, second) = (database.client().await, database.client().await, database.client().await);
    let tables = "CREATE TABLE t (id int, v int); CREATE TABLE one () INHERITS (t); CREATE TABLE two () INHERITS (t)";
    client.batch_execute(tables).await.unwrap();
    let t = oid(&client, "t").await;
    let mut session = session(&database).await;
    session.install(&LIMITS).await.unwrap();
    first.batch_execute("BEGIN; INSERT INTO one VALUES (1, 1)").await.unwrap();
    second.batch_execute("BEGIN; INSERT INTO two VALUES (1, 1)").await.unwrap();
    let watching = tokio::spawn(async move { session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await });
    eventually("it waits for the first part", PATIENCE, async || {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'one'::regclass";
        (client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    // It has the lock of the whole already.
    let writing = tokio::spawn(async move { second.batch_execute("INSERT INTO t VALUES (2, 1); COMMIT").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.batch_execute("COMMIT").await.unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(why(watching.await.unwrap().unwrap_err()).0, Why::Busy);
}

#[tokio::test]
async fn what_is_as_it_should_be_is_neither_locked_nor_written() {
    let (database, client, _listener) = watched("harmless unchanged", TABLE, "t", &["id"]).await;
    let t = oid(&client, "t").await;
    let busy = database.client().await;
    busy.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut session = session(&database).await;
    let again = session.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    assert!(again.created.is_empty());
    busy.batch_execute("ROLLBACK").await.unwrap();

    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute(dbqo::logic::triggers::files::INSTALL).await.unwrap();
    client.batch_execute("SELECT dbqo.watch('t', '{id}', 0)").await.unwrap();
    let sql = "SELECT coalesce(string_agg(mode || ' on ' || locktype, ', '), ''), pg_current_xact_id_if_assigned()::text, \
               current_setting('search_path'), current_setting('lock_timeout') FROM pg_locks \
               WHERE pid = pg_backend_pid() AND mode <> 'AccessShareLock' AND locktype <> 'virtualxid'";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, String>(0).as_str(), row.get::<_, Option<String>>(1)), ("", None));
    assert_eq!((row.get(2), row.get(3)), ("\"$user\", public", "0"), "and the session is as it was");
}
