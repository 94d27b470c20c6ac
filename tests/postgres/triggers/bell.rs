//! The bell: who is told, and whom an operator that comes for its lock waits for.

use dbqo::logic::connection::Settings;
use dbqo::logic::detect::Keeper;
use dbqo::logic::triggers::Why;
use dbqo::postgres::{Arms, Holder, Vigilant};
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Listener, oid, wanted, why};
use crate::support::server::{Server, send};
use crate::support::{TestDatabase, eventually};
use crate::{LIMITS, session, settings};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A table that is watched, with these slots, and nobody armed.
async fn table(test: &str, slots: u16) -> (TestDatabase, Client, Listener, u32) {
    let database = TestDatabase::create(test).await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int)").await.unwrap();
    let t = oid(&client, "t").await;
    session(&database).await.ensure_watched(&wanted(t, &["id"], slots), true, &LIMITS).await.unwrap();
    let listener = Listener::new(&database).await;
    (database, client, listener, t)
}

/// The call of a function on the lock by which a slot is armed.
fn lock(function: &str, slot: i32, table: u32) -> String {
    format!("SELECT {function}({}, {table})", 1_684_173_167 + 2 * slot + 1)
}

async fn arm(client: &Client, slot: i32, table: u32) {
    client.batch_execute(&lock("pg_advisory_lock", slot, table)).await.unwrap();
}

async fn disarm(client: &Client, slot: i32, table: u32) {
    client.batch_execute(&lock("pg_advisory_unlock", slot, table)).await.unwrap();
}

/// Whether the lock can be had at once.
async fn may_arm(client: &Client, slot: i32, table: u32) -> bool {
    let armed: bool = client.query_one(&lock("pg_try_advisory_lock", slot, table), &[]).await.unwrap().get(0);
    if armed {
        disarm(client, slot, table).await;
    }
    armed
}

#[tokio::test]
async fn nobody_is_told_unless_somebody_is_armed() {
    let (database, client, mut listener, t) = table("bell armed", 1).await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new());
    let operator = database.client().await;
    arm(&operator, 0, t).await;
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["2"]])]);
    disarm(&operator, 0, t).await;
    client.batch_execute("INSERT INTO t VALUES (3); TRUNCATE t").await.unwrap();
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new());
    // Another table's lock is not this one's.
    arm(&operator, 0, t + 1).await;
    client.batch_execute("INSERT INTO t VALUES (4)").await.unwrap();
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn whoever_arms_waits_for_those_that_told_nobody_and_is_told_of_all_others_meanwhile() {
    let (database, client, mut listener, t) = table("bell waits", 1).await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let operator = database.client().await;
    let waiting = tokio::spawn(async move {
        arm(&operator, 0, t).await;
        operator
    });
    let other = database.client().await;
    eventually("the operator waits", PATIENCE, async || {
        let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        (other.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    other.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["2"]])], "to wait is to be armed");
    // Whoever has told nobody so far has no need to begin with it: the operator waits for the end.
    client.batch_execute("INSERT INTO t VALUES (3)").await.unwrap();
    assert!(!waiting.is_finished());
    client.batch_execute("COMMIT").await.unwrap();
    let operator = waiting.await.unwrap();
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new());
    client.batch_execute("INSERT INTO t VALUES (4)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["4"]])]);
    drop(operator);
}

#[tokio::test]
async fn what_was_rolled_back_is_not_waited_for() {
    let (database, client, mut listener, t) = table("bell savepoint", 1).await;
    let operator = database.client().await;
    client.batch_execute("BEGIN; SAVEPOINT s; INSERT INTO t VALUES (1)").await.unwrap();
    assert!(!may_arm(&operator, 0, t).await);
    client.batch_execute("ROLLBACK TO s").await.unwrap();
    assert!(may_arm(&operator, 0, t).await);
    // Told within a savepoint, and then not.
    arm(&operator, 0, t).await;
    client.batch_execute("SAVEPOINT u; INSERT INTO t VALUES (2)").await.unwrap();
    disarm(&operator, 0, t).await;
    client.batch_execute("ROLLBACK TO u; INSERT INTO t VALUES (3)").await.unwrap();
    assert!(!may_arm(&operator, 0, t).await, "of the second row nobody was told");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn each_slot_is_told_and_waited_for_by_itself() {
    let (database, client, mut listener, t) = table("bell slots", 2).await;
    let (first, second) = (database.client().await, database.client().await);
    arm(&second, 1, t).await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    assert!(!may_arm(&first, 0, t).await, "though the other one is told");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["1"]])]);
    arm(&first, 0, t).await;
    disarm(&second, 1, t).await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (2)").await.unwrap();
    assert!(!may_arm(&second, 1, t).await, "the first one being armed is no reason not to try the second lock");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["2"]])]);
}

#[tokio::test]
async fn one_more_slot_waits_for_those_that_do_not_know_of_it() {
    let (database, client, _listener, t) = table("bell more", 1).await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let mut session = session(&database).await;
    let (refused, statement) = why(session.ensure_watched(&wanted(t, &["id"], 2), true, &LIMITS).await.unwrap_err());
    assert_eq!((refused, statement.as_deref()), (Why::Busy, Some("SELECT dbqo.watch('public.t', '{id}', 2);")));
    client.batch_execute("COMMIT").await.unwrap();
    let watched = session.ensure_watched(&wanted(t, &["id"], 2), true, &LIMITS).await.unwrap();
    assert_eq!(watched.slots, 2);
    let fewer = session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap();
    assert_eq!((fewer.slots, fewer.created.len()), (2, 0), "nobody's slot is taken away");
}

#[tokio::test]
async fn a_writer_that_prepares_its_transaction_is_waited_for_or_is_refused() {
    let server = Server::configured("bell prepared", "max_prepared_transactions = 5").await;
    let (client, operator) = (server.admin().await, server.admin().await);
    client.batch_execute(dbqo::logic::triggers::files::INSTALL).await.unwrap();
    client.batch_execute("CREATE TABLE t (id int); SELECT dbqo.watch('t', '{id}')").await.unwrap();
    let t = oid(&client, "t").await;
    let sql = "SELECT problem FROM dbqo.check() WHERE watched IS NULL";
    let said: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(said.contains("max_prepared_transactions"), "{said}");

    client.batch_execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'one'").await.unwrap();
    assert!(!may_arm(&operator, 0, t).await, "as long as it is neither committed nor rolled back");
    client.batch_execute("COMMIT PREPARED 'one'").await.unwrap();
    arm(&operator, 0, t).await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (2)").await.unwrap();
    let refused = client.batch_execute("PREPARE TRANSACTION 'two'").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "PostgreSQL cannot keep a notification");
}

#[tokio::test]
async fn who_has_all_slots_is_found_with_process_and_name_by_any_role() {
    let (database, client, _listener, _) = table("bell taken", 1).await;
    let mut named = settings(&database);
    named.application_name = Some("somebody".into());
    let first = Arms::claim(&named, 1).await.unwrap().unwrap();
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'somebody' AND datname = current_database()";
    let pid: i32 = client.query_one(sql, &[]).await.unwrap().get(0);
    let taken = Arms::claim(&settings(&database), 1).await.unwrap().err().unwrap();
    assert_eq!(taken.holders, [Holder { pid, name: Some("somebody".into()) }]);
    client.batch_execute("CREATE ROLE bell_taken LOGIN PASSWORD 'CANARY'").await.unwrap();
    let stranger = Settings { user: "bell_taken".into(), password: Some("CANARY".into()), ..settings(&database) };
    let taken = Arms::claim(&stranger, 1).await.unwrap().err().unwrap();
    assert_eq!(taken.holders, [Holder { pid, name: Some("somebody".into()) }]);
    drop(first);
}

#[tokio::test]
async fn who_keeps_the_lock_of_a_table_is_found_and_whether_it_is_a_listener() {
    let (database, client, _listener, t) = table("bell kept", 1).await;
    let arms = Arms::claim(&settings(&database), 1).await.unwrap().unwrap();
    let tables = [i64::from(t), i64::from(t) + 1];
    assert_eq!(arms.keepers(&tables).await.unwrap(), []);
    let writer = database.client().await;
    let pid = async |client: &Client| Some(client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0));
    writer.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let keeper = Keeper { pid: pid(&writer).await, is_listener: false };
    assert_eq!(arms.keepers(&tables).await.unwrap(), [(tables[0], keeper)]);
    writer.batch_execute("ROLLBACK").await.unwrap();
    arm(&client, 0, t + 1).await;
    let keeper = Keeper { pid: pid(&client).await, is_listener: true };
    assert_eq!(arms.keepers(&tables).await.unwrap(), [(tables[1], keeper)]);
    assert_eq!(arms.keepers(&tables[..1]).await.unwrap(), [], "nobody asks for the other one");
}

#[tokio::test]
async fn a_lock_that_is_had_when_the_time_for_it_is_over_is_had() {
    let (database, client, mut listener, t) = table("bell late", 1).await;
    let (arms, writer) = (Arms::claim(&settings(&database), 1).await.unwrap().unwrap(), database.client().await);
    writer.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let asking = tokio::spawn(async move { (arms.arm(t.into()).await.unwrap(), arms) });
    let waits = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted";
    let waiting: i32 =
        eventually("it waits", PATIENCE, async || client.query_opt(waits, &[&t]).await.unwrap().map(|row| row.get(0)))
            .await;
    // It gets no time of the processor until its own is over, and the lock is free.
    send("STOP", &[waiting.unsigned_abs()]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    writer.batch_execute("COMMIT").await.unwrap();
    send("CONT", &[waiting.unsigned_abs()]);
    let (had, arms) = asking.await.unwrap();
    assert_eq!(had, !may_arm(&client, 0, t).await, "what nobody knows of would be kept for ever");
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(listener.keys().await.len(), usize::from(had));
    if had {
        arms.disarm(t.into()).await.unwrap();
    }
    assert!(may_arm(&client, 0, t).await, "whoever was armed can be disarmed");
}

/// A lock that was waited for on a connection of its own and is had by now, and the process that has it.
async fn waited_for(database: &TestDatabase, client: &Client, t: u32) -> (Vigilant, u32) {
    let writer = database.client().await;
    writer.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let settings = settings(database);
    let waits = tokio::spawn(async move { Vigilant::wait(&settings, 0, t.into(), || ()).await.unwrap() });
    let sql = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted";
    let pid: i32 =
        eventually("it waits", PATIENCE, async || client.query_opt(sql, &[&t]).await.unwrap().map(|row| row.get(0)))
            .await;
    writer.batch_execute("COMMIT").await.unwrap();
    (waits.await.unwrap(), pid.unsigned_abs())
}

#[tokio::test]
async fn a_lock_is_passed_on_to_the_connection_that_keeps_all() {
    let (database, client, mut listener, t) = table("bell passed", 1).await;
    let arms = Arms::claim(&settings(&database), 1).await.unwrap().unwrap();
    let (vigilant, _) = waited_for(&database, &client, t).await;
    assert!(arms.take_over(vigilant).await.unwrap());
    assert_eq!(listener.keys().await, Vec::<serde_json::Value>::new());
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["2"]])]);
    arms.disarm(t.into()).await.unwrap();
    assert!(may_arm(&client, 0, t).await, "nobody else has it");
}

#[tokio::test]
async fn a_lock_whose_session_does_not_let_go_is_not_had() {
    let (database, client, _listener, t) = table("bell hung", 1).await;
    let arms = Arms::claim(&settings(&database), 1).await.unwrap().unwrap();
    let (vigilant, pid) = waited_for(&database, &client, t).await;
    send("STOP", &[pid]);
    let had = arms.take_over(vigilant).await;
    send("CONT", &[pid]);
    assert!(!had.unwrap());
    eventually("it is had", PATIENCE, async || arms.try_arm(t.into()).await.unwrap().then_some(())).await;
    assert!(!may_arm(&client, 0, t).await);
}
