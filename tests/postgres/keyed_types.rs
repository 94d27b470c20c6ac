//! Keys of all types, and their texts.

use dbqo::logic::row::Key;

use super::keyed::{Case, Dice};
use super::{read_rows, session};
use crate::support::TestDatabase;

/// Types, and values of them in which one could err.
const TYPES: &[(&str, &[&str])] = &[
    ("int8", &["0", "-1", "9223372036854775807", "42"]),
    (
        "text",
        &[
            "''",
            "'a\"b'",
            "'a''b'",
            "E'\\\\'",
            "E'\\n\\t\\x01'",
            "'NULL'",
            "'null'",
            "'{a,b}'",
            "' a '",
            "'ü€😀'",
            "'\u{2028}'",
            "'$1'",
        ],
    ),
    ("varchar(5)", &["'a'", "'A'", "'a '", "''"]),
    ("char(5)", &["'a'", "'a  '", "'ab'", "''"]),
    ("name", &["'a'", "'A b'"]),
    ("\"char\"", &["'a'", "'\"'", "'\\'"]),
    ("citext", &["'a'", "'A'", "'b'"]),
    ("loosely", &["'a'", "'A'", "'á'", "'b'"]),
    ("uuid", &["'00000000-0000-0000-0000-000000000000'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"]),
    ("bool", &["true", "false"]),
    ("date", &["'2024-01-02'", "'infinity'", "'0001-01-01 BC'"]),
    ("timestamptz", &["'2024-01-02 03:04:05.678901+05'", "'-infinity'", "'2024-07-01 00:00:00+00'"]),
    ("timestamp", &["'2024-01-02 03:04:05.6'", "'2024-01-02'"]),
    ("interval", &["'1 month'", "'30 days'", "'720 hours'", "'-1 day +2 hours'"]),
    ("numeric", &["1", "1.0", "1.00", "'NaN'", "-0.0", "0", "1e30", "'Infinity'"]),
    ("float8", &["0.1", "0.1::float8 + 0.2", "'-0'", "0", "'NaN'", "1e300"]),
    ("float4", &["0.1", "16777217", "'-infinity'"]),
    ("bytea", &["''", "'\\x00ff5c22'", "'\\x5c'"]),
    ("inet", &["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"]),
    ("jsonb", &["'{\"a\": [1, null]}'", "'\"x\"'", "'null'", "'1.0'", "'1'"]),
    ("mood", &["'sad'", "'so \"so\"'", "'NULL'"]),
    ("small", &["1", "5"]),
    ("word", &["'a\"'", "'b'"]),
    ("oid", &["1", "4294967295"]),
    ("int4range", &["'[1,5)'", "'empty'", "'(,3]'"]),
    ("bit(3)", &["B'101'", "B'000'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("money", &["1.5", "-1"]),
    ("tsvector", &["'a b'", "'a:1 b''c'"]),
];

async fn with_types(test: &str) -> TestDatabase {
    let database = TestDatabase::create(test).await;
    let sql = "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'so \"so\"', 'NULL');
               CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE DOMAIN word AS text NOT NULL;
               CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
               CREATE TABLE t (a int); CREATE DOMAIN loosely AS text COLLATE ci";
    database.client().await.batch_execute(sql).await.unwrap();
    database
}

#[tokio::test]
async fn keys_of_every_type_that_can_be_looked_for_are_read_whole() {
    let database = with_types("key types").await;
    let client = database.client().await;
    let mut judge = session(&database).await;
    for (number, (kind, values)) in TYPES.iter().enumerate() {
        let table = format!("typed_{number}");
        client.batch_execute(&format!("CREATE TABLE {table} (id {kind}, part int, v int)")).await.unwrap();
        let values: Vec<String> = values.iter().map(|value| format!("CAST({value} AS {kind})")).collect();
        let change = |dice: &mut Dice| {
            let (one, other, v) = (&values[dice.below(values.len())], &values[dice.below(values.len())], dice.below(4));
            let null = if *kind == "word" { one.as_str() } else { "NULL" };
            match dice.below(8) {
                0..3 => format!("INSERT INTO {table} VALUES ({one}, {v}, {v})"),
                3 => format!("INSERT INTO {table} VALUES ({null}, {v}, {v})"),
                4 => format!("UPDATE {table} SET v = {v} WHERE id = {one}"),
                5 => format!("UPDATE {table} SET id = {one} WHERE id = {other}"),
                6 => format!("DELETE FROM {table} WHERE id::text = {one}::text AND v = {v}"),
                _ => format!("DELETE FROM {table} WHERE id IS NULL OR v = {v} AND part = {v}"),
            }
        };
        for key in [vec!["id"], vec!["id", "part"]] {
            let case = Case::new(&table, Some(&key), &format!("SELECT id, part, v FROM {table}"));
            let plan = case.judge(&mut judge).await.unwrap_or_else(|whole| panic!("{kind}: {whole}"));
            case.holds(&database, &plan, 20, change).await.unwrap_or_else(|why| panic!("{kind}: {why}"));
        }
    }
}

#[tokio::test]
async fn types_without_equality_mean_full_reads() {
    let database = with_types("no equality").await;
    let client = database.client().await;
    for (number, kind) in ["json", "point", "xml", "int[]"].into_iter().enumerate() {
        let table = format!("odd_{number}");
        client.batch_execute(&format!("CREATE TABLE {table} (id {kind}, v int)")).await.unwrap();
        let case = Case::new(&table, Some(&["id"]), &format!("SELECT id, v FROM {table}"));
        let mut judge = session(&database).await;
        let whole = case.judge(&mut judge).await.unwrap_err().to_string();
        assert_eq!(whole, "full reads: PostgreSQL cannot look for values of the key columns' types", "{kind}");
        assert!(!judge.is_closed());
        assert!(case.all(&mut judge).await.is_empty(), "the session is of use still");
    }
}

#[tokio::test]
async fn a_key_has_one_text_whoever_writes_it() {
    let database = TestDatabase::create("key texts").await;
    let client = database.client().await;
    let sql = "CREATE TABLE k (a text, b text);
               INSERT INTO k SELECT chr(n), 'x' || chr(n) || chr(n) FROM generate_series(1, 1200) n;
               INSERT INTO k SELECT chr(n), NULL FROM unnest(ARRAY[8232, 8233, 55295, 57344, 65279, 65533, 65535, 65536, 128512, 1114111]) n;
               INSERT INTO k VALUES ('', ''), ('\\u0041', '\\\\'), ('</script>', '\"'), (' , ', '[\"a\", null]'), ('null', 'NULL')";
    client.batch_execute(sql).await.unwrap();
    let spellings = "SELECT array_to_json(ARRAY[a, b])::text, json_build_array(a, b)::text, jsonb_build_array(a, b)::text, \
                     json_agg(x ORDER BY n)::text FROM k, unnest(ARRAY[a, b]) WITH ORDINALITY u(x, n) GROUP BY a, b, ctid";
    let rows = client.query(spellings, &[]).await.unwrap();
    assert_eq!(rows.len(), 1215);
    for row in &rows {
        let text: String = row.get(0);
        for spelling in 0..4 {
            let written: String = row.get(spelling);
            assert_eq!(Key::parse(&written).map(|key| key.text()).as_deref(), Some(text.as_str()), "{written}");
        }
    }
    let case = Case::new("k", Some(&["a", "b"]), "SELECT a, b FROM k");
    let read = read_rows(&mut session(&database).await, &case.query, &super::LIMITS).await.unwrap();
    let texts: std::collections::HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(read.iter().all(|row| texts.contains(row.key.as_ref().unwrap())));
}
