//! Columns of a watched table, or values of an enum in it, are called otherwise: no row is written for that.

use serde_json::{Value, json};

use crate::support::listening::{notified, until_armed};
use crate::support::world::World;

/// Sees that what rows have is applied, though only what they are called changes.
async fn is_seen(test: &str, spec: Value, is_notified: bool) {
    let world = World::new(test, &["a"]).await;
    let sql = "CREATE TYPE level AS ENUM ('low', 'high'); ALTER TABLE t ADD COLUMN w text DEFAULT 'other', \
               ADD COLUMN l level DEFAULT 'low'";
    world.run_sql(sql).await;
    world.create("q", spec).await;
    if is_notified {
        world.listening("q").await;
        until_armed(&world.sql, 1).await;
    }
    world.ready("q").await;
    world.until_value("a", Some("one low")).await;
    // Whatever is to be read for another reason is.
    world.another_pass("q").await;
    world.run_sql("BEGIN; ALTER TABLE t RENAME v TO former; ALTER TABLE t RENAME w TO v; COMMIT").await;
    world.until_value("a", Some("other low")).await;
    world.run_sql("ALTER TYPE level RENAME VALUE 'low' TO 'lower'").await;
    world.until_value("a", Some("other lower")).await;
    world.run_sql("ALTER TABLE t DROP COLUMN v").await;
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    world.run_sql("ALTER TABLE t RENAME former TO v").await;
    world.until_value("a", Some("one lower")).await;
    world.ready("q").await;
    if is_notified {
        world.listening("q").await;
        world.patch("q", json!({"spec": {"query": "SELECT name, v FROM t"}})).await;
        world.hears(&world.sql, "heard").await;
    }
}

fn with_level(mut spec: Value) -> Value {
    spec["query"] = json!("SELECT name, concat_ws(' ', v, l) AS v FROM t");
    spec
}

#[tokio::test]
async fn what_columns_are_called_is_noticed_while_changes_are_notified() {
    is_seen("renamed-notified", with_level(notified(json!({"mode": "Notify"}))), true).await;
}

#[tokio::test]
async fn what_columns_are_called_is_noticed_while_they_are_looked_for() {
    let mut spec = with_level(notified(json!({"mode": "Poll"})));
    spec["pollInterval"] = json!("1s");
    is_seen("renamed-polled", spec, false).await;
}
