//! Several watched tables, whose changes are read by their own keys.

use serde_json::{Value, json};

use super::keyed::{listening, spec, until};
use crate::support::eventually;
use crate::support::world::{PATIENCE, World};

/// `p` is a second table, some of whose rows several of `k` have. `w` is not watched: what rows have of it is from when
/// they were read last.
const QUERY: &str =
    "SELECT k.id, k.name, k.v || p.v || w.v AS v, p.id AS plan FROM k JOIN p ON p.id = k.plan CROSS JOIN w";

/// Rows n1 and n2 have plan a, n3 and n4 plan b.
const TABLES: &str = "\
    CREATE TABLE k (id int PRIMARY KEY, name text, v text, plan text); CREATE TABLE p (id text PRIMARY KEY, v text); \
    CREATE TABLE w (v text); INSERT INTO w VALUES ('0'); INSERT INTO p VALUES ('a', 'A'), ('b', 'B'), ('c', 'C'); \
    INSERT INTO k SELECT n, 'n' || n, 'x', CASE WHEN n < 3 THEN 'a' ELSE 'b' END FROM generate_series(1, 4) n";

fn two_tables(query: &str) -> Value {
    let tables = json!([{"tableName": "k"}, {"tableName": "p"}]);
    let changes = json!({"enabled": true, "mode": "Notify", "resyncInterval": "1h", "tables": tables});
    spec(json!({"query": query, "changeDetection": changes}))
}

/// What rows have of `w` from now on.
async fn stamp(world: &World, stamp: &str) {
    world.run_sql(&format!("UPDATE w SET v = '{stamp}'")).await;
}

/// Waits until the read is over that follows the begin of listening.
async fn calm(world: &World) {
    world.run_sql("UPDATE p SET v = v; UPDATE k SET v = 'y'").await;
    until(world, &[("n1", "yA0"), ("n2", "yA0"), ("n3", "yB0"), ("n4", "yB0")]).await;
    world.run_sql("UPDATE k SET v = 'x'").await;
    until(world, &[("n1", "xA0"), ("n2", "xA0"), ("n3", "xB0"), ("n4", "xB0")]).await;
}

#[tokio::test]
async fn a_change_of_a_second_table_moves_what_has_to_do_with_its_row_and_nothing_else() {
    let world = World::new("tables", &[]).await;
    world.run_sql(TABLES).await;
    world.create("q", two_tables(QUERY)).await;
    let message = listening(&world).await;
    assert!(message.contains("k, p: changes are notified; rows that change are read by their keys; "), "{message}");
    calm(&world).await;
    let uids = world.uids().await;
    stamp(&world, "1").await;
    world.run_sql("UPDATE p SET v = 'A2' WHERE id = 'a'").await;
    until(&world, &[("n1", "xA21"), ("n2", "xA21"), ("n3", "xB0"), ("n4", "xB0")]).await;
    stamp(&world, "2").await;
    world.run_sql("UPDATE k SET plan = 'b' WHERE id = 1").await;
    until(&world, &[("n1", "xB2"), ("n2", "xA21"), ("n3", "xB0"), ("n4", "xB0")]).await;
    stamp(&world, "3").await;
    // Those that a keyed read has brought to it are found, too.
    world.run_sql("UPDATE p SET v = 'B2' WHERE id = 'b'").await;
    until(&world, &[("n1", "xB23"), ("n2", "xA21"), ("n3", "xB23"), ("n4", "xB23")]).await;
    assert_eq!(world.uids().await, uids, "none was deleted meanwhile");
    stamp(&world, "4").await;
    // Rows lose the old key, and others get the new one.
    world.run_sql("UPDATE k SET plan = 'z' WHERE id = 2").await;
    until(&world, &[("n1", "xB23"), ("n3", "xB23"), ("n4", "xB23")]).await;
    world.run_sql("UPDATE p SET id = 'z' WHERE id = 'b'").await;
    until(&world, &[("n2", "xB24")]).await;
    stamp(&world, "5").await;
    world.run_sql("INSERT INTO p VALUES ('b', 'B3')").await;
    until(&world, &[("n1", "xB35"), ("n2", "xB24"), ("n3", "xB35"), ("n4", "xB35")]).await;
    stamp(&world, "6").await;
    world.run_sql("DELETE FROM p WHERE id = 'z'; UPDATE p SET v = 'none has it' WHERE id = 'a'").await;
    until(&world, &[("n1", "xB35"), ("n3", "xB35"), ("n4", "xB35")]).await;
    // So that all of them have the same of what is not watched.
    world.run_sql("UPDATE p SET v = 'B4' WHERE id = 'b'").await;
    until(&world, &[("n1", "xB46"), ("n3", "xB46"), ("n4", "xB46")]).await;
    let versions = async || world.versions("q", &["n1", "n3", "n4"]).await.split_off(1);
    let before = versions().await;
    world.another_pass("q").await;
    world.ready("q").await;
    assert_eq!(versions().await, before, "a full read finds nothing to do");
}

#[tokio::test]
async fn a_row_that_fails_is_found_by_what_it_showed_all_the_same() {
    let world = World::new("tables-fail", &[]).await;
    world.run_sql(TABLES).await;
    world.create("q", two_tables(QUERY)).await;
    listening(&world).await;
    calm(&world).await;
    world.run_sql("UPDATE p SET v = NULL WHERE id = 'a'").await;
    world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    until(&world, &[("n1", "xA0"), ("n2", "xA0"), ("n3", "xB0"), ("n4", "xB0")]).await;
    stamp(&world, "1").await;
    world.run_sql("DELETE FROM p WHERE id = 'a'").await;
    until(&world, &[("n3", "xB0"), ("n4", "xB0")]).await;
    world.ready("q").await;
    world.run_sql("INSERT INTO p VALUES ('a', 'again')").await;
    until(&world, &[("n1", "xagain1"), ("n2", "xagain1"), ("n3", "xB0"), ("n4", "xB0")]).await;
}

#[tokio::test]
async fn a_row_that_very_many_have_to_do_with_means_a_full_read() {
    let world = World::new("tables-many", &[]).await;
    let many = "INSERT INTO k SELECT n, 'n' || n, 'x', 'c' FROM generate_series(5, 304) n";
    world.run_sql(&format!("{TABLES}; {many}")).await;
    world.create("q", two_tables(QUERY)).await;
    listening(&world).await;
    world.until_value("n304", Some("xC0")).await;
    stamp(&world, "1").await;
    world.run_sql("UPDATE p SET v = 'C2' WHERE id = 'c'").await;
    eventually("all are changed", PATIENCE, async || {
        let list = world.config_maps().list(&Default::default()).await.unwrap().items;
        let changed =
            list.iter().filter(|it| it.data.as_ref().is_some_and(|data| data.get("v") == Some(&"xC21".into())));
        (changed.count() == 300).then_some(())
    })
    .await;
    // One that does not have to do with it was read as well.
    world.until_value("n1", Some("xA1")).await;
}

#[tokio::test]
async fn changes_that_mean_full_reads_are_told_by_table_with_the_reason() {
    let world = World::new("tables-whole", &[]).await;
    world.run_sql(TABLES).await;
    let query = QUERY.replace("JOIN p", "LEFT JOIN p").replace("p.v", "coalesce(p.v, '-')");
    world.create("q", two_tables(&query)).await;
    let message = listening(&world).await;
    let reads =
        "rows that change are read by their keys in k; full reads after changes of p: p is on the optional side";
    assert!(message.contains(reads), "{message}");
    world.run_sql("DELETE FROM p WHERE id = 'a'").await;
    until(&world, &[("n1", "x-0"), ("n2", "x-0"), ("n3", "xB0"), ("n4", "xB0")]).await;
    world.run_sql("INSERT INTO p VALUES ('a', 'A2')").await;
    until(&world, &[("n1", "xA20"), ("n2", "xA20"), ("n3", "xB0"), ("n4", "xB0")]).await;
}

#[tokio::test]
async fn triggers_of_a_second_table_that_send_no_keys_are_enough_for_full_reads() {
    let world = World::with_flags("tables-keyless", &[], &["--install-triggers=never"]).await;
    world.run_sql(TABLES).await;
    world.run_sql(include_str!("../../sql/install.sql")).await;
    world.run_sql("SELECT dbqo.watch('k', '{id}'); SELECT dbqo.watch('p', '{}')").await;
    world.create("q", two_tables(QUERY)).await;
    let message = listening(&world).await;
    assert!(message.contains("full reads after changes of p: its triggers do not send id"), "{message}");
    until(&world, &[("n1", "xA0"), ("n2", "xA0"), ("n3", "xB0"), ("n4", "xB0")]).await;
    world.run_sql("UPDATE p SET v = 'A2' WHERE id = 'a'").await;
    until(&world, &[("n1", "xA20"), ("n2", "xA20"), ("n3", "xB0"), ("n4", "xB0")]).await;
}
