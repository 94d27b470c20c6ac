//! What a look for changes sees, and what it asks for.

use std::time::Duration;

use dbqo::crd::ChangeDetection;
use dbqo::logic::detect::{Ask, Detection, Fingerprint, Kind, Mark};
use dbqo::logic::sql::Query;
use dbqo::postgres::{Error, Session};
use serde_json::{Value, json};

use super::{LIMITS, query, session, settings};
use crate::support::{TestDatabase, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

/// Looks as the operator does: knows the look before.
pub struct Looker {
    session: Session,
    query: Query,
    detection: Detection,
    last: Option<Fingerprint>,
}

impl Looker {
    pub async fn new(database: &TestDatabase, changes: Value) -> Self {
        Self::with(session(database).await, "SELECT 1 AS a", changes)
    }

    pub fn with(session: Session, sql: &str, mut changes: Value) -> Self {
        changes["enabled"] = json!(true);
        let changes: ChangeDetection = serde_json::from_value(changes).unwrap();
        let detection = Detection::of(Some(&changes)).unwrap().unwrap();
        Self { session, query: query(sql), detection, last: None }
    }

    /// Goes on over another connection.
    pub fn resume(&mut self, session: Session) {
        self.session = session;
    }

    pub async fn try_look(&mut self) -> Result<(), Error> {
        let looked = self.session.probe(&self.query, &LIMITS, &self.detection, self.last.as_ref()).await?;
        self.last = Some(looked);
        Ok(())
    }

    /// Looks, and whether anything differs from the look before.
    pub async fn changed(&mut self) -> bool {
        let before = self.last.clone();
        self.try_look().await.unwrap();
        before != self.last
    }

    pub async fn until_changed(&mut self, what: &str) {
        eventually(what, PATIENCE, async || self.changed().await.then_some(())).await;
    }

    /// What the last look found of a table.
    pub fn mark(&self, table: usize) -> &Mark {
        &self.last.as_ref().unwrap().tables()[table]
    }

    /// What the last look found of the first table with SQL alone.
    fn newest_and_count(&self) -> (Option<String>, Option<i64>) {
        (self.mark(0).newest.clone(), self.mark(0).count)
    }

    async fn refused(&mut self) -> String {
        self.try_look().await.unwrap_err().to_string()
    }
}

/// Writes over a connection of its own and waits until that has ended, since a server's process tells its counters at
/// the latest when it ends.
pub async fn write(database: &TestDatabase, sql: &str) {
    let writer = database.client().await;
    let pid: i32 = writer.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    writer.batch_execute(sql).await.unwrap();
    drop(writer);
    let admin = database.client().await;
    let gone = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        (admin.query_one(sql, &[&pid]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    };
    eventually("the writer is gone", PATIENCE, gone).await;
}

/// `t` with a timestamp column and two rows, of which `b` is the newer.
const TABLE: &str = "CREATE TABLE t (name text PRIMARY KEY, v int, at timestamptz NOT NULL);
    INSERT INTO t VALUES ('a', 1, '2024-01-01Z'), ('b', 1, '2024-01-02Z')";
/// As if it had been large when it was analysed last: nobody counts its rows.
const LARGE: &str = "UPDATE pg_class SET reltuples = 1000000, relpages = 5000 WHERE relname = 't'";

async fn table(test: &str) -> TestDatabase {
    let database = TestDatabase::create(test).await;
    write(&database, TABLE).await;
    database
}

fn watch_t() -> Value {
    json!({"tableName": "t", "timestampColumn": "at"})
}

#[tokio::test]
async fn nothing_changes_while_nobody_writes() {
    let database = table("probe quiet").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    assert!(looker.changed().await, "the first look");
    assert_eq!(looker.newest_and_count(), (Some("2024-01-02 00:00:00+00".into()), Some(2)));
    assert!(!looker.changed().await);
    write(&database, "SELECT * FROM t; ANALYZE t").await;
    write(&database, "VACUUM t").await;
    assert!(!looker.changed().await, "neither reading nor tidying up is a change");
}

#[tokio::test]
async fn a_deleted_row_is_seen() {
    for (large, count) in [(false, Some(2)), (true, None)] {
        let database = table("probe delete").await;
        if large {
            write(&database, LARGE).await;
        }
        let mut looker = Looker::new(&database, watch_t()).await;
        looker.try_look().await.unwrap();
        assert_eq!(looker.mark(0).count, count, "it is counted where it is small");
        write(&database, "DELETE FROM t WHERE name = 'a'").await;
        looker.until_changed("a deletion below the newest row").await;
        assert_eq!(looker.mark(0).newest.as_deref(), Some("2024-01-02 00:00:00+00"));
    }
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_seen() {
    let database = table("probe late").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    let mut early = database.client().await;
    let transaction = early.transaction().await.unwrap();
    transaction.batch_execute("UPDATE t SET v = 2, at = '2024-02-01Z' WHERE name = 'a'").await.unwrap();
    write(&database, "UPDATE t SET v = 2, at = '2024-02-02Z' WHERE name = 'b'").await;
    looker.until_changed("what was committed first, with a later time").await;
    assert!(!looker.changed().await, "the other one is still under way");
    let before = looker.newest_and_count();
    transaction.commit().await.unwrap();
    drop(early);
    looker.until_changed("what was committed late").await;
    assert_eq!(looker.newest_and_count(), before, "neither of these shows it");
}

#[tokio::test]
async fn a_truncated_table_is_seen_even_if_it_is_filled_as_before() {
    let database = table("probe truncate").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    let before = looker.newest_and_count();
    let refill = "BEGIN; CREATE TEMP TABLE kept AS TABLE t; TRUNCATE t; INSERT INTO t SELECT * FROM kept; COMMIT";
    write(&database, refill).await;
    looker.until_changed("TRUNCATE").await;
    assert_eq!(looker.newest_and_count(), before);
    write(&database, "TRUNCATE t").await;
    looker.until_changed("TRUNCATE alone").await;
    assert_eq!(looker.newest_and_count(), (None, Some(0)));
}

#[tokio::test]
async fn a_truncated_table_is_seen_by_its_file_alone() {
    let database = table("probe file").await;
    // Truncation is not counted, and the column is not looked at.
    write(&database, LARGE).await;
    let mut looker = Looker::new(&database, json!({"tableName": "t"})).await;
    looker.try_look().await.unwrap();
    assert_eq!(looker.newest_and_count(), (None, None));
    let state = looker.mark(0).state;
    write(&database, "TRUNCATE t").await;
    looker.until_changed("TRUNCATE").await;
    assert_ne!(looker.mark(0).state, state);
}

#[tokio::test]
async fn an_update_that_leaves_the_timestamp_alone_is_seen() {
    let database = table("probe update").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    let before = looker.newest_and_count();
    write(&database, "UPDATE t SET v = 7 WHERE name = 'a'").await;
    looker.until_changed("the update").await;
    assert_eq!(looker.newest_and_count(), before);
}

#[tokio::test]
async fn a_column_that_is_added_with_a_value_is_seen() {
    let database = table("probe definition").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    write(&database, "ALTER TABLE t ADD COLUMN w int NOT NULL DEFAULT 5").await;
    looker.until_changed("every row looks different, though none was written").await;
}

#[tokio::test]
async fn partitions_that_come_go_and_are_written_behind_the_tables_back_are_seen() {
    let database = TestDatabase::create("probe partitions").await;
    write(
        &database,
        "CREATE TABLE t (id int, v int) PARTITION BY RANGE (id);
         CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (10);
         CREATE TABLE deep PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
         CREATE TABLE deep0 PARTITION OF deep FOR VALUES FROM (10) TO (15);
         INSERT INTO t VALUES (1, 1), (11, 1);
         CREATE TABLE t2 (id int, v int); INSERT INTO t2 VALUES (21, 1);
         UPDATE pg_class SET reltuples = 1000000 WHERE relname IN ('t0', 't2')",
    )
    .await;
    let mut looker = Looker::new(&database, json!({"tableName": "t"})).await;
    looker.try_look().await.unwrap();
    assert_eq!(looker.mark(0).count, None, "large partitions make a large table");
    for sql in [
        "UPDATE t SET v = 2 WHERE id = 1",
        "UPDATE t0 SET v = 3",
        "UPDATE deep0 SET v = 3",
        "TRUNCATE deep0",
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (20) TO (30)",
        "UPDATE t2 SET v = 3",
        "ALTER TABLE t DETACH PARTITION t2",
    ] {
        assert!(!looker.changed().await, "before {sql}");
        write(&database, sql).await;
        looker.until_changed(sql).await;
    }
    write(&database, "UPDATE t2 SET v = 4").await;
    assert!(!looker.changed().await, "it does not belong to the table any more");
}

#[tokio::test]
async fn children_by_inheritance_are_seen() {
    let database = table("probe children").await;
    write(&database, "CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES ('c', 1, '2024-01-01Z')").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    write(&database, "UPDATE child SET v = 2").await;
    looker.until_changed("an update of the child").await;
}

#[tokio::test]
async fn another_table_of_the_same_name_is_seen() {
    let database = table("probe swap").await;
    write(&database, "CREATE TABLE next (LIKE t); INSERT INTO next SELECT name, v + 1, at FROM t").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    let (before, oid) = (looker.newest_and_count(), looker.mark(0).oid);
    write(&database, "BEGIN; ALTER TABLE t RENAME TO old; ALTER TABLE next RENAME TO t; COMMIT").await;
    looker.until_changed("the swap").await;
    assert_eq!(looker.newest_and_count(), before);
    assert_ne!(looker.mark(0).oid, oid);
    write(&database, "UPDATE t SET v = 0").await;
    looker.until_changed("an update of the table that has the name now").await;
}

#[tokio::test]
async fn counters_that_begin_anew_are_a_change() {
    let database = table("probe reset").await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    write(&database, "SELECT pg_stat_reset()").await;
    looker.until_changed("counters that go backwards").await;
}

#[tokio::test]
async fn a_view_tells_by_its_newest_row_alone() {
    let database = table("probe view").await;
    write(&database, "CREATE VIEW w AS SELECT name, at FROM t").await;
    let mut looker = Looker::new(&database, json!({"tableName": "w", "timestampColumn": "at"})).await;
    looker.try_look().await.unwrap();
    let signals = looker.mark(0).signals;
    assert_eq!((signals.kind, signals.counters, signals.ask), (Kind::View, false, Ask { newest: true, count: false }));
    write(&database, "DELETE FROM t WHERE name = 'a'").await;
    assert!(!looker.changed().await, "that is what the condition says");
    write(&database, "UPDATE t SET at = '2024-02-01Z'").await;
    looker.until_changed("a newer row").await;
    let message =
        Looker::new(&database, json!({"tables": [{"tableName": "t"}, {"tableName": "w"}]})).await.refused().await;
    assert!(message.starts_with("changeDetection.tables[1].timestampColumn: w is a view"), "{message}");
}

#[tokio::test]
async fn a_foreign_table_tells_by_its_newest_row_alone() {
    let database = table("probe foreign").await;
    let link = database.foreign_server()
        + "
         CREATE FOREIGN TABLE f (name text, at timestamptz) SERVER self OPTIONS (table_name 't');
         CREATE TABLE parted (name text, at timestamptz) PARTITION BY LIST (name);
         CREATE TABLE part PARTITION OF parted FOR VALUES IN ('x');
         CREATE FOREIGN TABLE remote PARTITION OF parted FOR VALUES IN ('a', 'b') SERVER self OPTIONS (table_name 't')";
    write(&database, &link).await;
    let mut foreign = Looker::new(&database, json!({"tableName": "f", "timestampColumn": "at"})).await;
    let mut partly = Looker::new(&database, json!({"tableName": "parted", "timestampColumn": "at"})).await;
    foreign.try_look().await.unwrap();
    partly.try_look().await.unwrap();
    assert_eq!(foreign.newest_and_count(), (Some("2024-01-02 00:00:00+00".into()), None));
    assert_eq!(foreign.mark(0).signals.kind, Kind::ForeignTable);
    assert!(partly.mark(0).signals.partly_foreign && partly.mark(0).signals.counters);
    write(&database, "UPDATE t SET at = '2024-02-01Z'").await;
    foreign.until_changed("a newer row").await;
    partly.until_changed("a newer row of the foreign partition").await;
    write(&database, "INSERT INTO part VALUES ('x', '2023-01-01Z')").await;
    partly.until_changed("an older row of the local partition").await;
    let message = Looker::new(&database, json!({"tableName": "f"})).await.refused().await;
    assert!(message.starts_with("changeDetection.timestampColumn: f is a foreign table"), "{message}");
}

#[tokio::test]
async fn a_refreshed_materialized_view_is_seen() {
    let database = table("probe matview").await;
    write(&database, "CREATE MATERIALIZED VIEW m AS SELECT name, v FROM t; CREATE UNIQUE INDEX ON m (name)").await;
    let mut looker = Looker::new(&database, json!({"tableName": "m"})).await;
    looker.try_look().await.unwrap();
    assert_eq!(looker.mark(0).signals.kind, Kind::MaterializedView);
    write(&database, "UPDATE t SET v = 2 WHERE name = 'a'").await;
    assert!(!looker.changed().await, "it is as it was");
    write(&database, "REFRESH MATERIALIZED VIEW m").await;
    looker.until_changed("the refresh").await;
    write(&database, "UPDATE t SET v = 3 WHERE name = 'a'; REFRESH MATERIALIZED VIEW CONCURRENTLY m").await;
    looker.until_changed("the refresh of the rows that differ").await;
}

#[tokio::test]
async fn where_changes_are_not_counted_rows_are() {
    let database = table("probe uncounted").await;
    write(&database, LARGE).await;
    let off = format!("ALTER DATABASE \"{}\" SET track_counts = off", database.name());
    write(&database, &off).await;
    let mut looker = Looker::new(&database, watch_t()).await;
    looker.try_look().await.unwrap();
    let signals = looker.mark(0).signals;
    assert_eq!((signals.counters, signals.ask), (false, Ask { newest: true, count: true }));
    write(&database, "UPDATE t SET v = 2 WHERE name = 'a'").await;
    assert!(!looker.changed().await, "that is what the condition says");
    write(&database, "DELETE FROM t WHERE name = 'a'").await;
    looker.until_changed("one row less").await;
}

#[tokio::test]
async fn counters_need_no_right_to_read_the_table() {
    let database = table("probe rights").await;
    write(
        &database,
        "CREATE SCHEMA closed; CREATE TABLE closed.c (id int, at timestamptz); CREATE ROLE probe_reader LOGIN PASSWORD 'x';
         GRANT SELECT (v) ON t TO probe_reader",
    )
    .await;
    let as_reader = |sql: &str, changes: Value| {
        let settings = dbqo::logic::connection::Settings {
            user: "probe_reader".into(),
            password: Some("x".into()),
            ..settings(&database)
        };
        let sql = sql.to_owned();
        async move { Looker::with(Session::connect(&settings).await.unwrap(), &sql, changes) }
    };
    let mut looker =
        as_reader("SELECT 1 AS a", json!({"tables": [{"tableName": "closed.c"}, {"tableName": "t"}]})).await;
    looker.try_look().await.unwrap();
    assert_eq!((looker.mark(0).count, looker.mark(1).count), (None, Some(2)), "one column is enough to count");
    write(&database, "INSERT INTO closed.c VALUES (1)").await;
    looker.until_changed("a row in a table that the role may not read").await;
    for (changes, message) in [
        (
            json!({"tables": [{"tableName": "t"}, {"tableName": "closed.c", "timestampColumn": "at"}]}),
            "changeDetection.tables[1].timestampColumn: permission denied: this role may not select at of closed.c",
        ),
        (watch_t(), "changeDetection.timestampColumn: permission denied: this role may not select at of t"),
    ] {
        assert_eq!(as_reader("SELECT 1 AS a", changes).await.refused().await, message);
    }
    drop(looker);
    write(&database, "DROP OWNED BY probe_reader; DROP ROLE probe_reader").await;
}

#[tokio::test]
async fn what_is_missing_is_told_with_field_and_table_whenever_it_goes() {
    let database = table("probe missing").await;
    write(&database, "CREATE TABLE u (id int, at timestamptz, j json)").await;
    let both = || json!({"tables": [{"tableName": "t"}, {"tableName": "u", "timestampColumn": "at"}]});
    for (changes, message) in [
        (json!({"tableName": "Nothing"}), "changeDetection.tableName: there is no table nothing"),
        (json!({"tableName": "other.t"}), "changeDetection.tableName: there is no table other.t"),
        (
            json!({"tables": [{"tableName": "t"}, {"tableName": "u", "timestampColumn": "\"At\""}]}),
            "changeDetection.tables[1].timestampColumn: u has no column \"At\"",
        ),
        (json!({"tableName": "t_pkey"}), "changeDetection.tableName: t_pkey is no table or view"),
    ] {
        assert_eq!(Looker::new(&database, changes).await.refused().await, message);
    }
    let json =
        json!({"tables": [{"tableName": "t", "timestampColumn": "at"}, {"tableName": "u", "timestampColumn": "j"}]});
    let message = Looker::new(&database, json).await.refused().await;
    let expected =
        "changeDetection.tables[1].timestampColumn: MAX of j of u: no such function or operator (SQLSTATE 42883)";
    assert_eq!(message, expected);
    for (sql, expected) in [
        ("ALTER TABLE u DROP COLUMN at", "changeDetection.tables[1].timestampColumn: u has no column at"),
        ("DROP TABLE u", "changeDetection.tables[1].tableName: there is no table u"),
    ] {
        let mut looker = Looker::new(&database, both()).await;
        looker.try_look().await.unwrap();
        write(&database, sql).await;
        assert_eq!(looker.refused().await, expected, "after a look that knew it");
        write(&database, "DROP TABLE IF EXISTS u; CREATE TABLE u (id int, at timestamptz)").await;
    }
}

#[tokio::test]
async fn tables_are_found_where_the_setup_statements_say_and_by_their_exact_names() {
    let database = TestDatabase::create("probe names").await;
    write(
        &database,
        "CREATE SCHEMA \"Odd one\"; CREATE TABLE \"Odd one\".\"T\" (\"At\" timestamptz); CREATE TABLE public.\"T\" (x int);
         CREATE SCHEMA app; CREATE TABLE app.plain (v int); INSERT INTO app.plain VALUES (3), (20)",
    )
    .await;
    let setup = "SET search_path = \"Odd one\"; SELECT 1 AS a";
    let odd = json!({"tables": [{"tableName": "\"T\"", "timestampColumn": "\"At\""}, {"tableName": "APP.Plain", "timestampColumn": "V"}]});
    let mut looker = Looker::with(session(&database).await, setup, odd);
    looker.try_look().await.unwrap();
    assert_eq!((looker.mark(0).newest.as_deref(), looker.mark(0).count), (None, Some(0)));
    assert_eq!(looker.mark(1).newest.as_deref(), Some("20"), "the largest value, not the largest text");
    write(&database, "INSERT INTO \"Odd one\".\"T\" VALUES ('2024-01-15 10:30Z')").await;
    looker.until_changed("a first row").await;
    assert_eq!(looker.mark(0).newest.as_deref(), Some("2024-01-15 10:30:00+00"));
}

#[tokio::test]
async fn a_table_that_was_never_analysed_is_counted_while_its_file_is_small() {
    let database = TestDatabase::create("probe unanalysed").await;
    let fill =
        "CREATE TABLE t (id int) WITH (autovacuum_enabled = off); INSERT INTO t SELECT generate_series(1, 90000)";
    write(&database, fill).await;
    let mut looker = Looker::new(&database, json!({"tableName": "t"})).await;
    looker.try_look().await.unwrap();
    assert_eq!(looker.mark(0).count, Some(90_000));
    write(&database, "INSERT INTO t SELECT generate_series(1, 20000)").await;
    looker.until_changed("the rows").await;
    assert_eq!(looker.mark(0).count, None);
}

#[tokio::test]
async fn a_look_writes_nothing_and_leaves_nothing_behind() {
    let database = table("probe harmless").await;
    write(
        &database,
        "CREATE FUNCTION sly() RETURNS timestamptz LANGUAGE sql AS 'DELETE FROM t RETURNING at';
         CREATE VIEW w AS SELECT sly() AS at",
    )
    .await;
    let message = Looker::new(&database, json!({"tableName": "w", "timestampColumn": "at"})).await.refused().await;
    assert!(message.contains("25006"), "{message}");
    let mut looker = Looker::with(
        session(&database).await,
        "SET search_path = pg_catalog; SELECT 1 AS a",
        json!({"tableName": "public.t"}),
    );
    looker.try_look().await.unwrap();
    let path = super::read(&mut looker.session, "SELECT current_setting('search_path') AS p").await.unwrap();
    assert_eq!(path, [r#"{"p":"\"$user\", public"}"#]);
}
