//! When the query runs: intervals, looks for changes, requests, suspension.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::world::{PATIENCE, World, condition};

/// Change detection with looks once a second that leaves a full read to changes alone.
fn watch(more: Value) -> Value {
    let mut changes = json!({"enabled": true, "mode": "Poll", "resyncInterval": "1h"});
    changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "changeDetection": changes })
}

/// Waits until the server tells of all that was written to `t` so far, so that it is not told late.
async fn counted(world: &World, changes: i64) {
    eventually("the counters are up to date", PATIENCE, async || {
        let sql = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 't'";
        (world.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == changes).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_newer_row_is_seen_long_before_the_query_is_due() {
    let world = World::new("newer", &["a", "b"]).await;
    world.create("q", watch(json!({"tableName": "t", "timestampColumn": "at"}))).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two', at = clock_timestamp() WHERE name = 'a'").await;
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn a_deleted_row_is_seen_long_before_the_query_is_due() {
    let world = World::new("deleted", &["a", "b"]).await;
    for (name, more) in [
        ("with-column", json!({"tableName": "t", "timestampColumn": "at"})),
        ("counters-alone", json!({"tables": [{"tableName": "t"}]})),
    ] {
        let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-{{{{ row.name }}}}\n");
        let mut spec = watch(more);
        spec["resourceTemplate"] = json!(template);
        spec["pruneGuard"] = json!({"maxDeletions": "100%"});
        world.create(name, spec).await;
        world.ready(name).await;
    }
    counted(&world, 2).await;
    world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    let left = ["counters-alone-b", "with-column-b"];
    eventually("its objects are gone", PATIENCE, async || (world.managed().await == left).then_some(())).await;
}

#[tokio::test]
async fn the_condition_says_how_changes_are_noticed_and_which_are_not() {
    let world = World::new("told", &["a"]).await;
    world.run_sql("CREATE VIEW w AS TABLE t").await;
    let tables = json!([{"tableName": "t"}, {"tableName": "W", "timestampColumn": "AT"}]);
    world.create("q", watch(json!({ "tables": tables }))).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["mode"], "Poll");
    let detection = condition(&resource, "ChangeDetection").unwrap();
    assert_eq!((&detection["status"], &detection["reason"]), (&json!("True"), &json!("Polling")));
    let message = detection["message"].as_str().unwrap();
    for part in ["t, w: looked at every 1s", "every 1h regardless", "change by time alone", "of w, told by MAX"] {
        assert!(message.contains(part), "{message}");
    }
    world.create("off", json!({"resourceTemplate": "{# nothing #}"})).await;
    let off = world.ready("off").await;
    assert_eq!(condition(&off, "ChangeDetection").unwrap()["message"], "the query runs every 1s");
}

#[tokio::test]
async fn what_a_look_cannot_see_is_seen_by_the_resync() {
    let world = World::new("resync", &["a", "b"]).await;
    world.run_sql("CREATE VIEW w AS TABLE t").await;
    let view = json!({"tableName": "w", "timestampColumn": "at", "resyncInterval": "3s"});
    world.create("q", watch(view)).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'unseen' WHERE name = 'a'").await;
    world.until_value("a", Some("unseen")).await;
}

#[tokio::test]
async fn looks_that_find_nothing_do_not_run_the_query() {
    let world = World::new("unchanged", &["a"]).await;
    // Every look runs the setup statements, so the sequence shows that looks go on.
    world.run_sql("CREATE SEQUENCE looks").await;
    counted(&world, 1).await;
    let mut spec = watch(json!({"tableName": "t", "timestampColumn": "at"}));
    spec["query"] = json!("SELECT nextval('looks'); SELECT name, v FROM t");
    world.create("q", spec).await;
    world.ready("q").await;
    let passes = || world.operator.logs().matches("reconciled").count();
    let looks = async || -> i64 { world.sql.query_one("SELECT last_value FROM looks", &[]).await.unwrap().get(0) };
    let (passes_before, looks_before) = (passes(), looks().await);
    eventually("three more looks", PATIENCE, async || (looks().await >= looks_before + 3).then_some(())).await;
    assert_eq!(passes(), passes_before, "the query did not run");
}

#[tokio::test]
async fn looks_may_come_more_often_than_the_query_runs() {
    let world = World::new("change-poll", &["a"]).await;
    let mut spec = watch(json!({"tableName": "t", "changePollInterval": "1s"}));
    spec["pollInterval"] = json!("1h");
    world.create("q", spec).await;
    world.ready("q").await;
    counted(&world, 1).await;
    world.run_sql("UPDATE t SET v = 'two' WHERE name = 'a'").await;
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn a_query_that_runs_regardless_is_not_kept_by_looks_that_find_nothing() {
    let world = World::new("regardless", &["a"]).await;
    world.run_sql("CREATE TABLE other (v text); INSERT INTO other VALUES ('one')").await;
    let mut spec = watch(json!({"tableName": "t", "changePollInterval": "1s"}));
    spec["pollInterval"] = json!("3s");
    spec["query"] = json!("SELECT name, other.v FROM t, other");
    world.create("q", spec).await;
    world.ready("q").await;
    world.run_sql("UPDATE other SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn a_change_during_a_read_that_failed_is_not_lost() {
    let world = World::new("failed-read", &["a"]).await;
    let mut spec = watch(json!({"tableName": "t"}));
    spec["query"] = json!("SELECT name, v FROM t WHERE 1 / (v <> 'bad')::int = 1");
    world.create("q", spec).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'bad'").await;
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    world.run_sql("UPDATE t SET v = 'good'").await;
    world.until_value("a", Some("good")).await;
    world.ready("q").await;
}

#[tokio::test]
async fn a_table_or_column_that_is_missing_is_told_by_field_and_heals() {
    let world = World::new("missing-table", &["a"]).await;
    let tables = json!([{"tableName": "t"}, {"tableName": "later", "timestampColumn": "at"}]);
    world.create("q", watch(json!({ "tables": tables }))).await;
    let says = async |expected: &str| {
        eventually(expected, PATIENCE, async || {
            let resource = world.get("q").await;
            (condition(&resource, "Ready")?["message"] == expected).then_some(())
        })
        .await;
    };
    says("changeDetection.tables[1].tableName: there is no table later").await;
    world.run_sql("CREATE TABLE later (id int)").await;
    says("changeDetection.tables[1].timestampColumn: later has no column at").await;
    world.run_sql("ALTER TABLE later ADD COLUMN at timestamptz").await;
    world.ready("q").await;
    world.until_value("a", Some("one")).await;
}

#[tokio::test]
async fn a_request_is_answered_at_once_and_recorded() {
    let world = World::new("requested", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_request_finds_what_somebody_deleted() {
    let world = World::new("request-finds", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    world.config_maps().delete("a", &Default::default()).await.unwrap();
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn for_what_was_suspended_from_the_start_nobody_searches() {
    let mut world = World::new("suspended-first", &["a"]).await;
    world.create("q", json!({"suspend": true})).await;
    world.condition("q", "ChangeDetection", "Unknown", Some("Suspended")).await;
    eventually("it does not go without us", PATIENCE, async || {
        (world.get("q").await["metadata"]["finalizers"] == json!(["konnektr.io/dbqr-finalizer"])).then_some(())
    })
    .await;
    eventually("nothing was made", PATIENCE, async || {
        (world.get("q").await["status"]["managedResources"] == 0).then_some(())
    })
    .await;
    world.restart();
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    world.ready("q").await;
    assert!(!world.operator.logs().contains("status.kinds was lost"), "{}", world.operator.logs());
}

#[tokio::test]
async fn of_what_is_suspended_nobody_says_that_it_is_tried_again() {
    let world = World::new("suspended-failing", &[]).await;
    world.create("q", json!({"query": "SELECT name, v FROM nowhere"})).await;
    world.condition("q", "Reconciling", "True", Some("QueryFailed")).await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    eventually("nothing is under way", PATIENCE, async || {
        condition(&world.get("q").await, "Reconciling").is_none().then_some(())
    })
    .await;
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    world.condition("q", "Reconciling", "True", Some("QueryFailed")).await;
}

#[tokio::test]
async fn a_finalizer_that_somebody_took_off_is_put_on_again() {
    let world = World::new("finalizer", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    world.patch("q", json!({"metadata": {"finalizers": null}})).await;
    eventually("it is there again", PATIENCE, async || {
        (world.get("q").await["metadata"]["finalizers"] == json!(["konnektr.io/dbqr-finalizer"])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_suspended_resource_does_nothing_but_be_deleted() {
    let world = World::new("suspended", &["a"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.create("other", json!({"resourceTemplate": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other-{{ row.name }}\ndata:\n  v: {{ row.v }}\n"})).await;
    world.ready("other").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("other-a", Some("two")).await;
    world.another_pass("other").await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    world.until_value("a", Some("two")).await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.delete("q").await;
    eventually("a is gone", PATIENCE, async || world.value("a").await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_changed_template_is_applied_at_once() {
    let world = World::new("changed", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: other {{ row.v }}\n";
    world.patch("q", json!({"spec": {"resourceTemplate": template}})).await;
    world.until_value("a", Some("other one")).await;
}
