//! What is sent: which keys, as which text, and how much of it.

use dbqo::postgres::Session;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use super::{Listener, oid, problem, sql, wanted, watched};
use crate::support::TestDatabase;
use crate::{LIMITS, read, session};

#[tokio::test]
async fn each_kind_of_change_sends_its_keys_and_one_that_changes_nothing_sends_nothing() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE VIEW w AS SELECT * FROM t;
        CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
        CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE);
        INSERT INTO child VALUES (7, 1)";
    let (database, client, mut listener) = watched("sent kinds", table, "t", &["id"]).await;
    sql(&database, "SELECT dbqo.watch('child', '{id}', 0)").await.unwrap();
    let merge = "MERGE INTO t USING (VALUES (2, 7), (9, 9)) s(id, v) ON t.id = s.id \
        WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)";
    for (statement, keys) in [
        ("INSERT INTO t VALUES (1, 0), (2, 0)", json!([[["1"], ["2"]]])),
        ("UPDATE t SET v = 1 WHERE id = 1", json!([[["1"]]])),
        ("UPDATE t SET id = 3 WHERE id = 1", json!([[["1"], ["3"]]])),
        ("UPDATE t SET v = 1 WHERE id = 99", json!([])),
        ("DELETE FROM t WHERE id = 99", json!([])),
        ("INSERT INTO t SELECT 1, 1 WHERE false", json!([])),
        ("INSERT INTO t VALUES (2, 0) ON CONFLICT DO NOTHING", json!([])),
        ("INSERT INTO t VALUES (2, 0), (4, 0) ON CONFLICT (id) DO UPDATE SET v = 5", json!([[["2"]], [["4"]]])),
        ("UPDATE w SET v = 6 WHERE id = 2", json!([[["2"]]])),
        ("WITH gone AS (DELETE FROM t WHERE id = 4 RETURNING id) SELECT count(*) FROM gone", json!([[["4"]]])),
        ("COPY t FROM PROGRAM 'echo 5,0' (FORMAT csv)", json!([[["5"]]])),
        (merge, json!([[["2"]], [["9"]]])),
        ("BEGIN; INSERT INTO t VALUES (77, 0); ROLLBACK", json!([])),
        ("DELETE FROM parent", json!([[["7"]]])),
        ("TRUNCATE t", json!([null])),
    ] {
        let version: String = client.query_one("SHOW server_version_num", &[]).await.unwrap().get(0);
        if statement == merge && version.parse::<u32>().unwrap() < 150_000 {
            continue;
        }
        client.batch_execute(statement).await.unwrap();
        let mut sent = listener.keys().await;
        // Of one statement's keys, and of one transaction's statements, nobody minds the order.
        sent.iter_mut().filter_map(Value::as_array_mut).for_each(|keys| keys.sort_by_key(Value::to_string));
        sent.sort_by_key(Value::to_string);
        assert_eq!(Value::Array(sent), keys, "{statement}");
    }
}

#[tokio::test]
async fn keys_of_several_columns_are_sent_once_each_and_null_stays_null() {
    let table = "CREATE TABLE t (a text, b int, c int)";
    let (_database, client, mut listener) = watched("sent composite", table, "t", &["b", "a"]).await;
    client.batch_execute("INSERT INTO t VALUES ('x\"y\\z', 1, 1), ('x\"y\\z', 1, 2), (NULL, 2, 3)").await.unwrap();
    let heard = listener.heard().await;
    assert_eq!(heard[0]["c"], json!(["a", "b"]));
    let mut keys = heard[0]["k"].as_array().unwrap().clone();
    keys.sort_by_key(Value::to_string);
    assert_eq!(keys, [json!(["x\"y\\z", "1"]), json!([null, "2"])]);
}

#[tokio::test]
async fn more_than_a_hundred_keys_or_seven_thousand_bytes_are_everything() {
    let table = "CREATE TABLE t (id text PRIMARY KEY, g int)";
    let (_database, client, mut listener) = watched("sent many", table, "t", &["id"]).await;
    let mut keys_of = async |statement: &str| {
        client.batch_execute(statement).await.unwrap();
        let sent = listener.keys().await;
        assert_eq!(sent.len(), 1, "{statement}");
        sent[0].as_array().map(Vec::len)
    };
    assert_eq!(keys_of("INSERT INTO t SELECT n FROM generate_series(1, 100) n").await, Some(100));
    assert_eq!(keys_of("INSERT INTO t SELECT n FROM generate_series(101, 201) n").await, None);
    assert_eq!(keys_of("UPDATE t SET g = 1 WHERE id::int <= 100").await, Some(100), "old and new keys are the same");
    assert_eq!(keys_of("UPDATE t SET id = 'x' || id WHERE id::int <= 51").await, None, "old and new keys are 102");
    assert_eq!(keys_of("INSERT INTO t VALUES (repeat('y', 6900))").await, Some(1));
    assert_eq!(keys_of("INSERT INTO t VALUES (repeat('z', 7000)), ('ž')").await, None);
    assert_eq!(keys_of("DELETE FROM t").await, None);
}

#[tokio::test]
async fn many_rows_with_one_key_send_that_key() {
    let (_database, client, mut listener) = watched("sent one key", "CREATE TABLE t (g int)", "t", &["g"]).await;
    client.batch_execute("INSERT INTO t SELECT 1 FROM generate_series(1, 500)").await.unwrap();
    assert_eq!(listener.keys().await, [json!([["1"]])]);
}

#[tokio::test]
async fn a_transaction_sends_a_hundred_times_and_then_that_everything_changed() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, at timestamptz)";
    // The second key makes the function set settings of its own, which must not undo its count.
    for keys in [&["id"][..], &["id", "at"]] {
        let (_database, client, mut listener) = watched("sent often", table, "t", keys).await;
        let many = "DO $$ BEGIN FOR i IN 1..300 LOOP INSERT INTO t VALUES (i); END LOOP; END $$";
        client.batch_execute(many).await.unwrap();
        let sent = listener.keys().await;
        assert_eq!(sent.len(), 101);
        assert_eq!(sent.iter().filter(|keys| keys.is_null()).count(), 1);

        // What is rolled back takes the count with it.
        client.batch_execute("TRUNCATE t").await.unwrap();
        listener.heard().await;
        client
            .batch_execute(&format!(
                "BEGIN; SAVEPOINT s; {many}; ROLLBACK TO s; DELETE FROM t; INSERT INTO t VALUES (7); COMMIT"
            ))
            .await
            .unwrap();
        let sent = listener.keys().await;
        assert_eq!((sent.len(), sent[0][0][0].as_str()), (1, Some("7")));
        client.batch_execute("UPDATE t SET at = NULL").await.unwrap();
        assert_eq!(listener.keys().await[0][0][0], "7", "the next transaction counts anew");
    }
}

#[tokio::test]
async fn names_of_any_kind_are_watched() {
    let long = "l".repeat(63);
    let columns = [
        "id",
        "Id",
        "a b",
        "o'o",
        "q\"q",
        "Ключ",
        "$b$ $install$ $f$",
        "keys",
        "sent",
        "found",
        "new",
        "dbqo_new",
        "select",
        "%s %I %1$L",
        "back\\slash",
        "x'); DROP TABLE victim; --",
        "end\n$b$; RAISE EXCEPTION 'no'; --",
        &long,
    ];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let list: Vec<String> = columns.iter().map(|name| format!("{} text DEFAULT 'v'", quoted(name))).collect();
    for (schema, table) in [("S \"c'h", "T t"), ("public", long.as_str()), ("Größe", "данные$b$")] {
        let name = format!("{}.{}", quoted(schema), quoted(table));
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE victim (); CREATE TABLE {name} ({})",
            quoted(schema),
            list.join(", ")
        );
        let (_database, client, mut listener) = watched("sent names", &create, &name, &columns).await;
        client.batch_execute(&format!("INSERT INTO {name} ({}) VALUES ('k')", quoted("q\"q"))).await.unwrap();
        let heard = listener.heard().await;
        assert_eq!(heard[0]["c"], json!(columns), "{name}");
        let values: Vec<&str> = columns.iter().map(|name| if *name == "q\"q" { "k" } else { "v" }).collect();
        assert_eq!(heard[0]["k"], json!([values]), "{name}");
        client.batch_execute(&format!("UPDATE {name} SET {} = 'n'; DELETE FROM {name}", quoted("id"))).await.unwrap();
        assert!(listener.keys().await.iter().all(Value::is_array), "{name}");
        assert_eq!(problem(&client, &name).await, (None, None));
        client.batch_execute("SELECT * FROM victim").await.unwrap();
    }
}

/// A value of each type, as SQL.
const VALUES: [(&str, &str); 20] = [
    ("timestamptz", "'2024-01-02 03:04:05.678+09'"),
    ("timestamp", "'2024-01-02 03:04:05'"),
    ("date", "'2024-02-01'"),
    ("interval", "'1 year 2 days 03:04:05'"),
    ("bytea", "'\\xDEAD'::bytea"),
    ("float8", "0.1::float8 + 0.2::float8"),
    ("float4", "1.1"),
    ("timestamptz[]", "ARRAY['2024-01-02 03:04:05+09'::timestamptz]"),
    ("tstzrange", "'[2024-01-02 03:04:05+09,)'"),
    ("moment", "'2024-01-02 03:04:05+09'"),
    ("pair", "ROW('2024-01-02 03:04:05+09', 1.5)"),
    ("mood", "'so so'"),
    ("bool", "true"),
    ("char(5)", "'ab'"),
    ("numeric", "1.500"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"),
    ("int8", "-9223372036854775808"),
    ("name", "'n'"),
    ("text[]", "ARRAY['a b', NULL]"),
    ("jsonb", "'{\"b\":1, \"a\":2}'"),
];

#[tokio::test]
async fn a_keys_text_is_what_our_own_session_reads_whatever_the_writer_has_set() {
    let database = TestDatabase::create("sent text").await;
    let client = database.client().await;
    let types = "CREATE DOMAIN moment AS timestamptz; CREATE TYPE mood AS ENUM ('so so');
        CREATE TYPE pair AS (at timestamptz, n float8)";
    client.batch_execute(types).await.unwrap();
    let mut session: Session = session(&database).await;
    let mut listener = Listener::new(&database).await;
    client
        .batch_execute(
            "SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard';
             SET bytea_output = 'escape'; SET extra_float_digits = -5",
        )
        .await
        .unwrap();
    for (index, (kind, value)) in VALUES.iter().enumerate() {
        client.batch_execute(&format!("CREATE TABLE t{index} (id {kind})")).await.unwrap();
        let wanted = wanted(oid(&client, &format!("t{index}")).await, &["id"], 0);
        session.ensure_watched(&wanted, true, &LIMITS).await.unwrap();
        client.batch_execute(&format!("INSERT INTO t{index} VALUES ({value})")).await.unwrap();
        let rows = read(&mut session, &format!("SELECT id::text FROM t{index}")).await.unwrap();
        let expected: Value = serde_json::from_str(&rows[0]).unwrap();
        assert_eq!(listener.keys().await, [json!([[expected["id"]]])], "{kind}");
    }
    let sql = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'n\\_%' AND proconfig IS NULL";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 9, "the others' settings would cost time");
}

#[tokio::test]
async fn characters_that_have_no_utf_8_are_not_sent() {
    let database = TestDatabase::create("sent encoding").await;
    let admin = database.client().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}-{encoding}", database.name());
        let create =
            format!("CREATE DATABASE \"{name}\" ENCODING {encoding} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
        admin.batch_execute(&create).await.unwrap();
        let mut config = tokio_postgres::Config::new();
        config.host(database.host()).port(database.port()).user(database.user()).password(database.password());
        config.dbname(&name);
        let mut listener = Listener::at(&config).await;
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(dbqo::logic::triggers::files::INSTALL).await.unwrap();
        client.batch_execute("CREATE TABLE t (id text, \"ä\" text); SELECT dbqo.watch('t', '{id}', 0)").await.unwrap();
        client.batch_execute("INSERT INTO t VALUES ('plain')").await.unwrap();
        client.batch_execute("INSERT INTO t VALUES ('ä')").await.unwrap();
        client
            .batch_execute("INSERT INTO t VALUES (convert_from('\\xff', current_setting('server_encoding')))")
            .await
            .unwrap();
        assert_eq!(listener.keys().await, [json!([["plain"]]), json!(null), json!(null)], "{encoding}");
        assert!(client.batch_execute("SELECT dbqo.watch('t', '{ä}', 0)").await.is_err());
        drop((client, listener));
        admin.batch_execute(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).await.unwrap();
    }
}

#[tokio::test]
async fn a_tables_number_fits_the_lock_however_large() {
    let database = TestDatabase::create("sent number").await;
    session(&database).await.install(&LIMITS).await.unwrap();
    let client = database.client().await;
    for (oid, number) in [(2_147_483_647_u32, "2147483647"), (2_147_483_648, "-2147483648"), (u32::MAX, "-1")] {
        let sql = "SELECT dbqo.body($1, '{}', 1)";
        let body: String = client.query_one(sql, &[&oid]).await.unwrap().get(0);
        assert!(body.contains(&format!("pg_try_advisory_xact_lock_shared(1684173168, {number})")), "{body}");
    }
}
