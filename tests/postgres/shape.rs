//! A look for changes, and the one of whoever listens, see that columns are other ones, though no row was written.

use dbqo::postgres::Listener;
use serde_json::json;

use super::probe::{Looker, write};
use super::settings;
use super::triggers::oid;
use crate::support::TestDatabase;

const TABLES: &str = "
    CREATE TYPE level AS ENUM ('low', 'high'); CREATE TYPE sign AS ENUM ('plus', 'minus');
    CREATE TYPE size AS ENUM ('s', 'l'); CREATE DOMAIN sizes AS size[];
    CREATE TYPE pair AS (a int, s sign);
    CREATE TABLE t (id int PRIMARY KEY, v text, w text, l level, p pair, s sizes) PARTITION BY RANGE (id);
    CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (10);
    CREATE TABLE plain (id int PRIMARY KEY, v text, w text, l level, p pair, s sizes);
    INSERT INTO t VALUES (1, 'v', 'w', 'low', '(1,plus)', '{s,l}'); INSERT INTO plain TABLE t";

/// What makes other rows of a table that nobody writes to.
fn changes(table: &str) -> [String; 7] {
    [
        format!("ALTER TABLE {table} RENAME v TO x"),
        format!(
            "BEGIN; ALTER TABLE {table} RENAME x TO y; ALTER TABLE {table} RENAME w TO x; \
             ALTER TABLE {table} RENAME y TO w; COMMIT"
        ),
        format!("ALTER TABLE {table} DROP COLUMN w"),
        "ALTER TYPE level RENAME VALUE 'low' TO 'lower'".into(),
        "ALTER TYPE pair RENAME ATTRIBUTE a TO b".into(),
        "ALTER TYPE sign RENAME VALUE 'plus' TO 'positive'".into(),
        "ALTER TYPE size RENAME VALUE 's' TO 'small'".into(),
    ]
}

/// What leaves all rows as they are, and rewrites or tidies up what is read.
const HARMLESS: [&str; 3] = [
    "ANALYZE",
    "VACUUM (FREEZE, ANALYZE)",
    "VACUUM (FREEZE) pg_catalog.pg_attribute, pg_catalog.pg_enum, pg_catalog.pg_class, pg_catalog.pg_type",
];

#[tokio::test]
async fn a_column_that_is_renamed_swapped_or_dropped_is_seen_by_a_look_and_so_is_an_enums_value() {
    for table in ["plain", "t"] {
        let database = TestDatabase::create("shape probe").await;
        write(&database, TABLES).await;
        let mut looker = Looker::new(&database, json!({"tableName": table})).await;
        looker.try_look().await.unwrap();
        for sql in changes(table) {
            for harmless in HARMLESS {
                write(&database, harmless).await;
                assert!(!looker.changed().await, "{harmless}");
            }
            write(&database, &sql).await;
            assert!(looker.changed().await, "{sql}");
        }
    }
}

#[tokio::test]
async fn whoever_listens_sees_that_a_column_or_an_enums_value_is_called_otherwise() {
    for table in ["plain", "t"] {
        let database = TestDatabase::create("shape listener").await;
        write(&database, TABLES).await;
        let tables = [i64::from(oid(&database.client().await, table).await)];
        let listener = Listener::start(&settings(&database), |_| ()).await.unwrap();
        let definition = async || listener.ping(&tables).await.unwrap().tables[&tables[0]].definition;
        let mut before = definition().await;
        for sql in changes(table) {
            for harmless in HARMLESS {
                write(&database, harmless).await;
                assert_eq!(definition().await, before, "{harmless}");
            }
            write(&database, &sql).await;
            let now = definition().await;
            assert_ne!(now, before, "{sql}");
            before = now;
        }
    }
}
