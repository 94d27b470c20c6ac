//! Several watched tables: rows that have to do with a row of another table than the first are found by its key, of every
//! shape of query that the rule allows, and a change of it touches no others.

use std::collections::{BTreeMap, BTreeSet};

use dbqo::logic::keyed::{KeyedPlan, KeyedTable};
use dbqo::logic::row::{Key, Row};
use dbqo::logic::sql::{Identifier, MOST_KEYS, identifier};
use dbqo::postgres::Session;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use super::keyed::{Case, Dice, Groups, SCHEMA, change, grouped};
use super::{LIMITS, collect, session};
use crate::support::TestDatabase;

/// The second table, its key columns where they are not its primary key, and queries whose rows are called by the key of
/// the first, which is `s`, unless something is said against that.
const RIGHT: &[(&str, &[&str], &str)] = &[
    ("t", &[], "SELECT s.id, t.id AS tid, t.v FROM s JOIN t ON t.id = s.t_id"),
    ("t", &[], "SELECT s.id, t.id AS tid, t.v FROM s JOIN t ON t.id = s.t_id WHERE t.v > 2 AND t.zone IS NOT NULL"),
    ("t", &[], "SELECT t.v AS tv, t.id AS tid, s.* FROM t JOIN s ON s.zone = t.zone ORDER BY t.v, t.tags"),
    ("t", &[], "SELECT s.id, t.id AS tid, u.v FROM s JOIN t ON t.id = s.t_id LEFT JOIN u ON u.id = t.v"),
    ("t", &[], "SELECT s.id, t.id AS tid FROM s CROSS JOIN t WHERE t.v = s.v OR t.v = 0"),
    ("t", &[], "SELECT s.id, t.id AS tid, s.v FROM t LEFT JOIN s ON s.t_id = t.id"),
    ("t", &["zone"], "SELECT s.id, t.zone AS z, t.v FROM s JOIN t ON t.id = s.t_id"),
    ("t", &["zone", "id"], "SELECT s.id, t.id AS tid, t.zone AS z, t.v FROM s JOIN t ON t.id = s.t_id"),
    ("t", &[], "SELECT s.id, t.id AS tid, e.value FROM s JOIN t ON t.id = s.t_id, jsonb_array_elements(t.tags) e"),
    ("t", &[], "WITH w AS (SELECT * FROM t WHERE v > 1) SELECT s.id, w.id AS wid, w.v FROM s JOIN w ON w.id = s.t_id"),
    ("t", &[], "SELECT s.id, p.id AS pid, p.v FROM s JOIN plain p ON p.id = s.t_id"),
    (
        "t",
        &[],
        "SELECT s.id, t.id AS tid, t.v FROM s JOIN t ON t.id = s.t_id WHERE EXISTS (SELECT FROM u WHERE u.id = t.v)",
    ),
    ("pair", &[], "SELECT s.id, p.zone AS z, p.id AS pid, p.v FROM s JOIN pair p ON p.zone = s.zone"),
    ("loose", &["id"], "SELECT s.id, l.id AS lid, l.v FROM s JOIN loose l ON l.id = s.t_id"),
    ("ranged", &[], "SELECT s.id, r.id AS rid, r.v FROM s JOIN ranged r ON r.id = s.t_id"),
    ("listed", &[], "SELECT s.id, l.id AS lid, l.zone AS z, l.v FROM s JOIN listed l ON l.id = s.t_id"),
    ("mother", &["id"], "SELECT s.id, m.id AS mid, m.v FROM s JOIN mother m ON m.id = s.t_id"),
];

/// The same, and what of the reason shows why all rows are read after changes of the second table.
const REFUSED: &[(&str, &[&str], &str, &str)] = &[
    (
        "t",
        &[],
        "SELECT s.id, t.id AS tid, t.v FROM s LEFT JOIN t ON t.id = s.t_id",
        "t is on the optional side of a join",
    ),
    (
        "t",
        &[],
        "SELECT s.id, s.t_id, t.v FROM s JOIN t ON t.id = s.t_id",
        "no column of the query is t's own column id",
    ),
    ("t", &["parent_id"], "SELECT s.id, t.id AS tid FROM s JOIN t ON t.id = s.t_id", "t's own column parent_id"),
    ("t", &[], "SELECT s.id, t.id + 0 AS tid FROM s JOIN t ON t.id = s.t_id", "t's own column id"),
    ("t", &[], "SELECT s.id, s.v FROM s WHERE EXISTS (SELECT FROM t WHERE t.v = s.v)", "it has GROUP BY, DISTINCT"),
    (
        "t",
        &[],
        "SELECT s.id, a.id AS aid, b.v FROM s JOIN t a ON a.id = s.t_id JOIN t b ON b.id = a.v",
        "more than once",
    ),
    ("t", &[], "SELECT s.id, s.v FROM s", "it does not read t itself"),
    ("loose", &[], "SELECT s.id, l.id AS lid FROM s JOIN loose l ON l.id = s.t_id", "no columns name its rows"),
    ("plain", &["id"], "SELECT s.id, p.id AS pid FROM s JOIN plain p ON p.id = s.t_id", "plain is a view"),
    ("odd", &["p"], "SELECT s.id, o.p FROM s JOIN odd o ON o.id = s.t_id", "PostgreSQL cannot look for values"),
    ("missing", &[], "SELECT s.id, s.v FROM s", "there is no table missing"),
];

fn case(table: &str, key: &[&str], sql: &str) -> Case {
    let mut second = json!({ "tableName": table });
    if !key.is_empty() {
        second["keyColumns"] = json!(key);
    }
    let changes = json!({"enabled": true, "tables": [{"tableName": "s", "keyColumns": ["id"]}, second]});
    Case::of(changes, "s", sql)
}

async fn prepared(test: &str) -> TestDatabase {
    let database = TestDatabase::create(test).await;
    database.client().await.batch_execute(&format!("{SCHEMA} CREATE TABLE odd (id int, p point);")).await.unwrap();
    database
}

/// What is known of rows: by their keys, and by their keys the keys of rows of another table that they show.
#[derive(Debug, Default, PartialEq)]
struct Known {
    groups: Groups,
    shown: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    fn of(rows: Vec<Row>) -> Self {
        let mut shown = BTreeMap::<String, BTreeSet<String>>::new();
        for row in &rows {
            assert_eq!(row.others.len(), 1);
            shown.entry(row.key.clone().unwrap()).or_default().insert(row.others[0].clone());
        }
        Self { groups: grouped(rows), shown }
    }

    async fn all(case: &Case, plan: &KeyedPlan, session: &mut Session) -> Self {
        let others: Vec<KeyedTable> = plan.others().cloned().collect();
        Self::of(rows(case, &others, session).await)
    }

    /// What was read of these keys takes the place of what was known.
    fn replace(&mut self, keys: &BTreeSet<String>, read: Self) {
        for key in keys.iter().chain(read.groups.keys()) {
            self.groups.remove(key);
            self.shown.remove(key);
        }
        self.groups.extend(read.groups);
        self.shown.extend(read.shown);
    }
}

async fn rows(case: &Case, others: &[KeyedTable], session: &mut Session) -> Vec<Row> {
    let (rows, batches) = mpsc::channel(4);
    let (read, all) = tokio::join!(session.read(&case.query, &LIMITS, others, rows), collect(batches));
    read.unwrap();
    all
}

/// The rows of a table, with their keys.
async fn contents(client: &Client, table: &str, key: &[Identifier]) -> BTreeMap<(String, String), i64> {
    let key: Vec<String> = key.iter().map(|column| format!("x.{column}::text")).collect();
    let sql = format!(
        "SELECT array_to_json(ARRAY[{}])::text, x::text, count(*) FROM {table} x GROUP BY 1, 2",
        key.join(", ")
    );
    client.query(&sql, &[]).await.unwrap().iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
}

/// A random change of the first table.
fn change_first(dice: &mut Dice) -> String {
    let (id, other, v) = (1 + dice.below(20), 1 + dice.below(9), dice.below(6));
    match dice.below(5) {
        0 => format!("INSERT INTO s VALUES ({id}, {other}, 'b', {v}) ON CONFLICT DO NOTHING"),
        1 => format!("DELETE FROM s WHERE id = {id}"),
        2 => format!("UPDATE s SET id = {other} WHERE id = {id} AND NOT EXISTS (SELECT FROM s WHERE id = {other})"),
        3 => format!("UPDATE s SET v = {v} WHERE id = {id}"),
        _ => format!("UPDATE s SET t_id = {other} WHERE id IN ({id}, {other})"),
    }
}

/// Changes the second table, and where the plan allows it the first, reads what has to do with that and compares all that
/// is known then with a full read. What differs is told.
async fn holds(
    database: &TestDatabase,
    case: &Case,
    plan: &KeyedPlan,
    table: &str,
    rounds: usize,
) -> Result<(), String> {
    let client = database.client().await;
    let second = plan.others().next().unwrap();
    let (mut reader, mut keyed, mut dice) = (session(database).await, session(database).await, Dice::new());
    let mut known = Known::all(case, plan, &mut reader).await;
    let (mut most, mut moved) = (0, 0);
    for round in 0..rounds {
        let first_is_changed = plan.has_first() && dice.below(3) == 0;
        let sides = [("s", plan.columns.as_slice()), (table, second.key.as_slice())];
        let mut before = Vec::new();
        for (table, key) in sides {
            before.push(contents(&client, table, key).await);
        }
        let mut done = vec![change(table, &mut dice), change(table, &mut dice)];
        done.extend(first_is_changed.then(|| change_first(&mut dice)));
        client.batch_execute(&done.join(";")).await.unwrap_or_else(|error| panic!("{done:?}: {error:?}"));
        let mut touched = Vec::new();
        for ((table, key), before) in sides.into_iter().zip(&before) {
            let after = contents(&client, table, key).await;
            let is_new = |row: &&(String, String)| before.get(*row) != after.get(*row);
            let keys = before.keys().chain(after.keys()).filter(is_new).map(|(key, _)| key.clone());
            touched.push(keys.collect::<BTreeSet<String>>());
        }
        let [mut keys, of_second] = touched.try_into().unwrap();
        let shows = |shown: &BTreeSet<String>| shown.iter().any(|one| of_second.contains(one));
        keys.extend(known.shown.iter().filter(|(_, shown)| shows(shown)).map(|(key, _)| key.clone()));
        let of_second: Vec<Key> = of_second.iter().map(|key| Key::parse(key).unwrap()).collect();
        let found = keyed.keys_showing(&case.query, &LIMITS, plan, second, &of_second).await;
        keys.extend(found.map_err(|error| error.to_string())?);
        let parsed: Vec<Key> = keys.iter().map(|key| Key::parse(key).unwrap()).collect();
        let (rows, batches) = mpsc::channel(4);
        let (read, rows) = tokio::join!(keyed.read_keys(&case.query, &LIMITS, plan, &parsed, rows), collect(batches));
        read.map_err(|error| error.to_string())?;
        let former = known.groups.clone();
        known.replace(&keys, Known::of(rows));
        moved += usize::from(known.groups != former);
        most = most.max(known.groups.len());
        let all = Known::all(case, plan, &mut reader).await;
        if known != all {
            return Err(format!("round {round}, {done:?}: {known:?} and not {all:?}"));
        }
    }
    assert!(most > 1 && moved > rounds / 10, "{}: there was nothing to compare", case.query.last.text);
    Ok(())
}

async fn all_hold(database: &TestDatabase, cases: &[(&str, &[&str], &str)]) {
    let mut judge = session(database).await;
    for (table, key, sql) in cases {
        let case = case(table, key, sql);
        let plan = case.plan(&mut judge).await;
        assert!(plan.others().count() == 1, "{sql}: {plan:?}");
        holds(database, &case, &plan, table, 50).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    }
}

#[tokio::test]
async fn what_a_row_of_another_table_has_to_do_with_is_found_by_its_key() {
    let (first, second) = RIGHT.split_at(RIGHT.len() / 2);
    let (one, other) = (prepared("tables one").await, prepared("tables other").await);
    tokio::join!(all_hold(&one, first), all_hold(&other, second));
}

#[tokio::test]
async fn what_cannot_be_found_by_another_tables_key_says_why_and_the_first_is_as_it_was() {
    let database = prepared("tables whole").await;
    let mut judge = session(&database).await;
    for (table, key, sql, reason) in REFUSED {
        let plan = case(table, key, sql).plan(&mut judge).await;
        let told = plan.tables[1].as_ref().unwrap_err().to_string();
        assert!(told.starts_with("full reads: ") && told.contains(reason), "{sql}: {told}");
        assert!(plan.has_first() && plan.is_of_use(), "{sql}: {plan:?}");
        assert!(!judge.is_closed());
    }
    // What is wrong with the query is so whichever table changes.
    let limited = case("t", &[], "SELECT s.id, t.id AS tid FROM s JOIN t ON t.id = s.t_id ORDER BY s.id LIMIT 3");
    let plan = limited.plan(&mut judge).await;
    assert!(!plan.is_of_use() && plan.tables[0] == plan.tables[1], "{plan:?}");
    // The first may be what all is read after, and the second not.
    let filled_up =
        case("t", &[], "SELECT s.id, t.id AS tid, s.v FROM t LEFT JOIN s ON s.t_id = t.id").plan(&mut judge).await;
    assert!(!filled_up.has_first() && filled_up.is_of_use(), "{filled_up:?}");
}

/// Shows that what is right is told from what is not.
#[tokio::test]
async fn to_find_rows_by_the_key_of_a_table_on_the_optional_side_goes_wrong() {
    let database = prepared("tables wrong").await;
    for sql in [
        // A row that is left out had none to show before.
        "SELECT s.id, t.id AS tid, t.v FROM s LEFT JOIN t ON t.id = s.t_id WHERE t.v IS DISTINCT FROM 3",
        "SELECT s.id, min(t.id) AS tid, count(*) AS n FROM s JOIN t ON t.zone = s.zone GROUP BY s.id",
    ] {
        let case = case("t", &[], sql);
        let columns = |name: &str| vec![identifier(name).unwrap()];
        let second = KeyedTable { oid: 0, key: columns("id"), columns: columns("tid"), definition: 0 };
        let first = KeyedTable { columns: columns("id"), ..second.clone() };
        let plan = KeyedPlan { columns: columns("id"), tables: vec![Ok(first), Ok(second)], edition: 0 };
        assert!(holds(&database, &case, &plan, "t", 100).await.is_err(), "{sql}: nothing was found wrong with it");
    }
}

#[tokio::test]
async fn of_a_row_that_very_many_show_only_so_many_are_found_as_tell_that_they_are_too_many() {
    let database = prepared("tables many").await;
    let client = database.client().await;
    client
        .batch_execute(
            "INSERT INTO t (id) VALUES (1), (2); INSERT INTO s SELECT n, 1 FROM generate_series(100, 1099) n",
        )
        .await
        .unwrap();
    client.batch_execute("CREATE TABLE thrice (n int); INSERT INTO thrice VALUES (1), (2), (3)").await.unwrap();
    let case = case("t", &[], "SELECT s.id, t.id AS tid, x.n FROM s JOIN t ON t.id = s.t_id CROSS JOIN thrice x");
    let mut session = session(&database).await;
    let plan = case.plan(&mut session).await;
    let second = plan.others().next().unwrap();
    let key = |text: &str| [Key::parse(text).unwrap()];
    let found = session.keys_showing(&case.query, &LIMITS, &plan, second, &key(r#"["1"]"#)).await.unwrap();
    assert_eq!(found.len(), MOST_KEYS + 1);
    let mut found = session.keys_showing(&case.query, &LIMITS, &plan, second, &key(r#"["2"]"#)).await.unwrap();
    found.sort();
    assert_eq!(found, [r#"["16"]"#, r#"["2"]"#, r#"["9"]"#], "each once");
    let nonsense = session.keys_showing(&case.query, &LIMITS, &plan, second, &key(r#"["x"]"#)).await.unwrap_err();
    assert!(nonsense.is_of_keys(), "{nonsense}");
    assert!(!session.is_closed());
}

#[tokio::test]
async fn a_full_read_does_without_the_keys_of_others_where_their_columns_are_gone() {
    let database = prepared("tables gone").await;
    let case = case("u", &[], "SELECT s.*, u.id AS uid FROM s JOIN u ON u.id = s.v");
    let mut session = session(&database).await;
    let plan = case.plan(&mut session).await;
    let mut others: Vec<KeyedTable> = plan.others().cloned().collect();
    assert!(rows(&case, &others, &mut session).await.iter().all(|row| row.others.len() == 1));
    others[0].columns = vec![identifier("former").unwrap()];
    let without = rows(&case, &others, &mut session).await;
    assert!(!without.is_empty() && without.iter().all(|row| row.key.is_some() && row.others.is_empty()));
}
