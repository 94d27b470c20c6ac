//! What the condition `ChangeDetection` and the mode say while nothing is read, and of whom they tell that keeps changes
//! from being noticed at once.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::listening::{LISTENING, backend, notified, until_armed};
use crate::support::server::{PASSWORD, Server};
use crate::support::world::{PATIENCE, World, condition};

/// What is told only of what goes on for long.
const LONG: Duration = Duration::from_secs(120);

impl World {
    /// Waits until it is told that no change is noticed for this reason, which is that of `Ready` as well.
    async fn blind(&self, reason: &str) {
        let resource = self.condition_within(LONG, "q", "ChangeDetection", "False", Some(reason)).await;
        let (ready, noticed) =
            (condition(&resource, "Ready").unwrap(), condition(&resource, "ChangeDetection").unwrap());
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!(reason)));
        let (why, message) = (ready["message"].as_str().unwrap(), noticed["message"].as_str().unwrap());
        assert!(message.contains(why), "{message}");
        assert_eq!(resource["status"]["mode"], "Poll");
    }

    /// Waits until it listens again, which it did not keep telling.
    async fn sees_again(&self) {
        let resource = self.listening("q").await;
        assert_eq!(resource["status"]["mode"], "Notify");
    }

    /// Waits for a message that has, or has not, this part.
    pub async fn until_told(&self, part: &str, has: bool) -> String {
        let what = format!("the condition tells of {part:?}: {has}");
        eventually(&what, LONG, async || {
            let resource = self.get("q").await;
            let message = condition(&resource, "ChangeDetection")?["message"].as_str()?.to_owned();
            (message.contains(part) == has).then_some(message)
        })
        .await
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    async fn password(&self, password: &str) {
        let patch = Patch::Merge(json!({"stringData": {"password": password}}));
        self.secrets().patch("own", &PatchParams::default(), &patch).await.unwrap();
    }
}

fn on_own(mut spec: Value) -> Value {
    spec["database"] = json!({"connectionSecretRef": {"name": "own"}, "statementTimeout": "5s"});
    spec
}

async fn own_world(test: &str) -> (World, Server) {
    let server = Server::start(test).await;
    let sql = "CREATE TABLE t (name text PRIMARY KEY, v text); INSERT INTO t VALUES ('a', 'one')";
    server.admin().await.batch_execute(sql).await.unwrap();
    let world = World::new(test, &[]).await;
    world.add_secret(&server.secret("own")).await;
    world.create("q", on_own(notified(json!({})))).await;
    world.listening("q").await;
    (world, server)
}

#[tokio::test]
async fn while_the_database_cannot_be_read_no_change_is_noticed() {
    let (world, mut server) = own_world("blind-database").await;
    server.crash("INT");
    world.blind("DatabaseUnreachable").await;
    server.start_again().await;
    world.sees_again().await;
    let sql = server.admin().await;
    world.applies(&sql, "after the server was away").await;
    world.password("wrong").await;
    world.blind("LoginRefused").await;
    world.password(PASSWORD).await;
    world.sees_again().await;
    world.applies(&sql, "after the login was refused").await;
    sql.batch_execute("ALTER TABLE t RENAME COLUMN v TO w").await.unwrap();
    world.blind("QueryFailed").await;
    sql.batch_execute("ALTER TABLE t RENAME COLUMN w TO v").await.unwrap();
    world.sees_again().await;
    world.applies(&sql, "after the query failed").await;
}

#[tokio::test]
async fn while_secret_account_or_spec_keep_rows_from_being_read_no_change_is_noticed() {
    let (world, server) = own_world("blind-spec").await;
    let sql = server.admin().await;
    world.secrets().delete("own", &DeleteParams::default()).await.unwrap();
    world.blind("SecretNotFound").await;
    world.add_secret(&server.secret("own")).await;
    world.sees_again().await;
    world.applies(&sql, "after the Secret was gone").await;
    world.patch("q", json!({"spec": {"serviceAccountName": "nobody"}})).await;
    world.blind("ServiceAccountNotFound").await;
    world.patch("q", json!({"spec": {"serviceAccountName": null}})).await;
    world.sees_again().await;
    world.applies(&sql, "after the account was missing").await;
    let template = world.get("q").await["spec"]["resourceTemplate"].clone();
    world.patch("q", json!({"spec": {"resourceTemplate": "kind: {{ row. }}"}})).await;
    world.blind("InvalidSpec").await;
    world.patch("q", json!({"spec": {"resourceTemplate": template}})).await;
    world.sees_again().await;
    world.applies(&sql, "after the spec made no sense").await;
}

#[tokio::test]
async fn a_first_sync_that_cannot_begin_does_not_claim_to_notice_changes() {
    let world = World::new("blind-first", &["a"]).await;
    world.create("q", on_own(json!({}))).await;
    world.blind("SecretNotFound").await;
    world.create_secret("own").await;
    let resource = world.condition("q", "ChangeDetection", "True", Some("Polling")).await;
    assert_eq!(resource["status"]["mode"], "Poll");
}

#[tokio::test]
async fn a_suspended_resource_neither_is_notified_nor_polls_and_says_so() {
    let world = World::new("noticing-suspended", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    let resource = world.condition("q", "ChangeDetection", "Unknown", Some("Suspended")).await;
    assert!(resource["status"].get("mode").is_none(), "{}", resource["status"]);
    assert_eq!(condition(&resource, "Ready").unwrap()["status"], "True", "what is known of its rows stays");
    eventually("nobody listens", PATIENCE, async || {
        world.sql.query(LISTENING, &[]).await.unwrap().is_empty().then_some(())
    })
    .await;
    world.run_sql("UPDATE t SET v = 'meanwhile'").await;
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    world.sees_again().await;
    world.until_value("a", Some("meanwhile")).await;
}

#[tokio::test]
async fn a_table_that_changes_all_the_time_is_named_until_it_is_calm() {
    let world = World::new("noticing-busy", &["a"]).await;
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let sql = world.database.client().await;
    let writing = tokio::spawn(async move {
        for n in 0_u64.. {
            sql.execute("UPDATE t SET v = $1", &[&n.to_string()]).await.unwrap();
        }
    });
    let message = world.until_told("changes so often", true).await;
    assert!(message.contains("but t, for over half a minute") && !message.contains("--max-waiting"), "{message}");
    let resource = world.get("q").await;
    assert_eq!(resource["status"]["mode"], "Notify");
    assert_eq!(condition(&resource, "ChangeDetection").unwrap()["status"], "True");
    writing.abort();
    world.until_told("changes so often", false).await;
    world.applies(&world.sql, "heard").await;
}

#[tokio::test]
async fn a_hung_session_of_before_that_keeps_the_lock_of_a_table_is_told_of_with_its_process() {
    let world = World::new("noticing-hung", &["a"]).await;
    let hung = world.database.client().await;
    // As a listener arms a table: exclusively, for the first slot.
    hung.batch_execute("SELECT pg_advisory_lock(1684173168, 't'::regclass::oid::int4)").await.unwrap();
    let pid: i32 = hung.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    world.create("q", notified(json!({}))).await;
    world.listening("q").await;
    let message = world.until_told("hung session of an operator's own", true).await;
    assert!(message.contains(&format!("server process {pid},")) && message.contains("the lock of t"), "{message}");
    world.applies(&world.sql, "meanwhile").await;
    world.run_sql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    world.until_told("hung session", false).await;
    until_armed(&world.sql, 1).await;
    backend(&world.sql, LISTENING).await;
    world.applies(&world.sql, "afterwards").await;
}
