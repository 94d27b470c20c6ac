//! What names the rows of a query.

use dbqo::crd::ChangeDetection;
use dbqo::logic::sql::{Query, RowKey, parse_query};
use dbqo::postgres::Error;
use serde_json::{Value, json};

use super::{LIMITS, Limits, read_rows, session};
use crate::support::TestDatabase;

fn keyed(sql: &str, changes: Value) -> Query {
    let changes: ChangeDetection = serde_json::from_value(changes).unwrap();
    let mut query = parse_query(sql, false).unwrap();
    query.key = RowKey::of(Some(&changes)).unwrap();
    query
}

/// The keys of all rows.
async fn keys(database: &TestDatabase, sql: &str, changes: Value) -> Result<Vec<Option<String>>, Error> {
    let limits = Limits { read_only: false, ..LIMITS };
    let rows = read_rows(&mut session(database).await, &keyed(sql, changes), &limits).await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

async fn tenants(test: &str) -> TestDatabase {
    let database = TestDatabase::create(test).await;
    let sql =
        "CREATE SCHEMA app; CREATE TABLE app.tenants (zone text, id int, v text, PRIMARY KEY (id, zone) INCLUDE (v));
               CREATE TABLE bare (id int);
               INSERT INTO app.tenants VALUES ('north', 1, 'x'), ('so\"uth', 2, 'y')";
    database.client().await.batch_execute(sql).await.unwrap();
    database
}

#[tokio::test]
async fn a_key_is_an_array_of_texts_in_order() {
    let database = TestDatabase::create("keys").await;
    let sql = "SELECT 1 AS id, 'a\"b' AS \"Name\", NULL::int AS none, true AS b, 12.50 AS n, '\\x01ff'::bytea AS bytes,
               timestamptz '2024-01-15 10:30:00+02' AS at, '{1,2}'::int[] AS list, '{\"a\": 1}'::jsonb AS j";
    let columns = json!(["b", "ID", "\"Name\"", "none", "n", "bytes", "at", "list", "j"]);
    let key = keys(&database, sql, json!({ "keyColumns": columns })).await.unwrap().remove(0).unwrap();
    let expected = r#"["true","1","a\"b",null,"12.50","\\x01ff","2024-01-15 08:30:00+00","{1,2}","{\"a\": 1}"]"#;
    assert_eq!(key, expected);
}

#[tokio::test]
async fn rows_without_a_value_and_rows_of_equal_value_have_keys_too() {
    let database = TestDatabase::create("equal keys").await;
    let sql = "SELECT * FROM (VALUES (1, NULL), (1, NULL), (NULL, 'x')) v(a, b)";
    let found = keys(&database, sql, json!({"keyColumns": ["a", "b"]})).await.unwrap();
    let expected = [r#"["1",null]"#, r#"["1",null]"#, r#"[null,"x"]"#].map(|key| Some(key.to_owned()));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_primary_key_names_rows_where_all_of_it_is_there() {
    let database = tenants("primary key").await;
    let all = "SELECT v, zone, id FROM app.tenants ORDER BY id";
    let named = [r#"["1","north"]"#, r#"["2","so\"uth"]"#].map(|key| Some(key.to_owned()));
    let unnamed = [None, None];
    for (sql, changes, expected) in [
        (all, json!({"tableName": "app.tenants"}), &named),
        (all, json!({"tables": [{"tableName": "App.Tenants"}, {"tableName": "bare"}]}), &named),
        ("SET search_path = app; SELECT v, zone, id FROM tenants ORDER BY id", json!({"tableName": "tenants"}), &named),
        ("SELECT id, zone AS area FROM app.tenants ORDER BY id", json!({"tableName": "app.tenants"}), &unnamed),
        (all, json!({"tableName": "bare"}), &unnamed),
        (all, json!({"tableName": "nothing_like_it"}), &unnamed),
        (all, json!({}), &unnamed),
    ] {
        assert_eq!(keys(&database, sql, changes.clone()).await.unwrap(), expected, "{sql} {changes}");
    }
}

#[tokio::test]
async fn a_key_column_that_the_query_does_not_return_is_an_error_that_names_it() {
    let database = tenants("missing key").await;
    for sql in [
        "SELECT id FROM app.tenants",
        "SELECT id FROM app.tenants WHERE false",
        "UPDATE app.tenants SET v = 'z' RETURNING id",
    ] {
        let error = keys(&database, sql, json!({"keyColumns": ["id", "\"Gone\""]})).await.unwrap_err();
        let expected = "changeDetection.keyColumns[1]: the query has no column named \"Gone\"";
        assert_eq!((error.to_string().as_str(), error.reason()), (expected, "QueryFailed"), "{sql}");
    }
    let sql = "SELECT count(*) FROM app.tenants WHERE v = 'z'";
    let changed: i64 = database.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(changed, 0, "the update was undone");
    let error = keys(&database, "SELECT id, nope FROM app.tenants", json!({"keyColumns": ["id"]})).await.unwrap_err();
    assert!(error.to_string().contains("at line 1, column 12: nope"), "{error}");
}

#[tokio::test]
async fn what_changes_data_has_the_key_that_is_given() {
    let database = tenants("returning key").await;
    let sql = "UPDATE app.tenants SET v = 'z' WHERE id = 1 RETURNING id, zone";
    let given = keys(&database, sql, json!({"keyColumns": ["zone"]})).await.unwrap();
    assert_eq!(given, [Some(r#"["north"]"#.to_owned())]);
    let primary = keys(&database, sql, json!({"tableName": "app.tenants"})).await.unwrap();
    assert_eq!(primary, [None], "its columns are not known beforehand");
}
