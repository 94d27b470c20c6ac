//! Those who write in a storm, and what they write to.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::SinkExt;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, Error};

use crate::support::connect;

/// Rows with numbers from 0 to 9 stay as they are. In `w` names are unique when a transaction ends, and all rows can be
/// rendered, so that nothing is ever read again because something failed. In `d` and `p` anything goes. Rows of `w` show one
/// of `s`: those that stay as they are number 0.
pub const TABLES: &str = "
    CREATE TABLE w (id int PRIMARY KEY, name text UNIQUE DEFERRABLE INITIALLY DEFERRED, v text);
    CREATE TABLE d (id int PRIMARY KEY, name text, v text);
    INSERT INTO w SELECT n, 'still-' || n, 'still' FROM generate_series(0, 9) n;
    INSERT INTO d TABLE w;
    CREATE TABLE p (id int PRIMARY KEY, name text, v text) PARTITION BY RANGE (id);
    CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (120);
    CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (120) TO (200);
    CREATE TABLE p_rest PARTITION OF p DEFAULT;
    INSERT INTO p TABLE w;
    CREATE TABLE s (id int PRIMARY KEY, v text NOT NULL);
    INSERT INTO s SELECT n, 's' FROM generate_series(0, 6) n;";
/// What makes all of `d` and `p` fit to be rendered.
pub const MEND: &str = "
    UPDATE d SET v = 'mended' WHERE v IS NULL;
    DELETE FROM d a USING d b WHERE a.name = b.name AND a.id > b.id;
    UPDATE p SET v = 'mended' WHERE v IS NULL;
    DELETE FROM p a USING p b WHERE a.name = b.name AND a.id > b.id";

/// Random numbers that can be had again.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    pub fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// One of the rows that come and go.
    fn id(&mut self) -> u64 {
        100 + self.below(40)
    }
}

/// One of those who write.
pub struct Writer {
    pub config: Config,
    pub dice: Dice,
    /// Whether all its transactions change one row each and follow each other at once.
    pub is_fast: bool,
    /// Whether some of its transactions stay open while others come and go.
    pub is_long: bool,
    pub has_merge: bool,
    pub commits: Arc<AtomicUsize>,
}

impl Writer {
    pub async fn write(mut self, until: Instant) {
        while Instant::now() < until {
            // The server may be gone for now.
            let Ok(client) = connect(self.config.clone()).await else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let set = "SET deadlock_timeout = '50ms'; SET lock_timeout = '200ms'";
            let _ = client.batch_execute(set).await;
            while Instant::now() < until && !client.is_closed() {
                let ended = if self.is_fast { self.change(&client).await } else { self.transaction(&client).await };
                match ended {
                    Ok(()) => drop(self.commits.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => {
                        assert!(is_of_others(&error), "a statement failed because of us: {error:?}");
                        drop(client.batch_execute("ROLLBACK").await);
                    }
                }
            }
        }
    }

    async fn change(&mut self, client: &Client) -> Result<(), Error> {
        let (id, value) = (self.dice.id(), self.dice.below(1000));
        let sql = match self.dice.below(20) {
            0 => format!("DELETE FROM w WHERE id = {id}"),
            1..=3 => format!("INSERT INTO w VALUES ({id}, 'fast-{id}', 'v{value}') ON CONFLICT (id) DO NOTHING"),
            _ => format!("UPDATE w SET v = 'v{value}' WHERE id = {id}"),
        };
        client.batch_execute(&sql).await
    }

    async fn transaction(&mut self, client: &Client) -> Result<(), Error> {
        client.batch_execute("BEGIN").await?;
        for _ in 0..=self.dice.below(3) {
            self.statement(client).await?;
            if self.is_long && self.dice.one_in(3) {
                sleep(Duration::from_millis(self.dice.below(800))).await;
            }
            if self.dice.one_in(5) {
                client.batch_execute("SAVEPOINT s").await?;
                self.statement(client).await?;
                client.batch_execute("ROLLBACK TO s").await?;
            }
        }
        client.batch_execute(if self.dice.one_in(6) { "ROLLBACK" } else { "COMMIT" }).await
    }

    async fn statement(&mut self, client: &Client) -> Result<(), Error> {
        let dice = &mut self.dice;
        if dice.one_in(8) {
            let sql = shade(dice);
            return client.batch_execute(&sql).await;
        }
        let table = ["w", "w", "w", "d", "p"][dice.below(5) as usize];
        let (a, b, value) = (dice.id(), dice.id(), dice.below(1000));
        // Of d also what cannot be rendered, and names that another row has.
        let (name, v) = match (table, dice.below(8)) {
            ("d" | "p", 0) => (format!("{table}-{}", b % 4), "NULL".to_owned()),
            ("d" | "p", 1) => (format!("{table}-{}", b % 4), format!("'v{value}'")),
            _ => (format!("{table}-{a}-{}", value % 3), format!("'v{value}'")),
        };
        let sql = match dice.below(14) {
            0 | 1 => {
                format!("INSERT INTO {table} VALUES ({a}, '{name}', {v}) ON CONFLICT (id) DO UPDATE SET v = excluded.v")
            }
            2 => format!("INSERT INTO {table} VALUES ({a}, '{name}', {v}) ON CONFLICT (id) DO NOTHING"),
            3 => format!("UPDATE {table} SET v = {v} WHERE id = {a}"),
            4 => format!("UPDATE {table} SET v = {v} WHERE id BETWEEN {a} AND {a} + 4"),
            5 => format!("UPDATE {table} SET name = '{name}' WHERE id = {a}"),
            6 => format!(
                "UPDATE {table} x SET name = y.name FROM {table} y \
                 WHERE x.id IN ({a}, {b}) AND y.id IN ({a}, {b}) AND x.id <> y.id"
            ),
            7 => format!("UPDATE {table} SET id = {b} WHERE id = {a}"),
            8 => format!("DELETE FROM {table} WHERE id = {a}"),
            9 => format!("DELETE FROM {table} WHERE id BETWEEN {a} AND {a} + 2"),
            10 if self.has_merge => format!(
                "MERGE INTO {table} x USING (VALUES ({a}, '{name}', {v}), ({b}, '{table}-{b}-0', 'b')) y (id, name, v) \
                 ON x.id = y.id WHEN MATCHED AND x.id % 5 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = y.v \
                 WHEN NOT MATCHED THEN INSERT VALUES (y.id, y.name, y.v)"
            ),
            11 => {
                let rows =
                    (b..b + 3).map(|id| format!("{id}\t{table}-{id}-{}\tcopied\n", value % 3)).collect::<String>();
                client.batch_execute(&format!("DELETE FROM {table} WHERE id BETWEEN {b} AND {b} + 2")).await?;
                let sink = client.copy_in(&format!("COPY {table} FROM STDIN")).await?;
                futures::pin_mut!(sink);
                sink.send(Cursor::new(rows.into_bytes())).await?;
                return sink.finish().await.map(|_| ());
            }
            12 if dice.one_in(4) => format!(
                "TRUNCATE {table}; INSERT INTO {table} SELECT n, 'still-' || n, 'still' FROM generate_series(0, 9) n; \
                 INSERT INTO {table} VALUES ({a}, '{name}', {v})"
            ),
            _ => format!(
                "WITH gone AS (DELETE FROM {table} WHERE id = {a} RETURNING *) \
                 INSERT INTO {table} SELECT id + 100, name, v FROM gone"
            ),
        };
        client.batch_execute(&sql).await
    }
}

/// Whether a statement failed for what the writers do to each other, or since the server went away.
fn is_of_others(error: &Error) -> bool {
    // Constraints, two changes of one row (MERGE, and rows that move to another partition), deadlocks, TRUNCATE before the
    // check of a deferred constraint, locks that others have for long, and a server that ends.
    const CODES: [&str; 8] = ["21000", "40001", "40P01", "55006", "55P03", "57P01", "57P02", "57P03"];
    error.code().is_none_or(|code| code.code().starts_with("23") || CODES.contains(&code.code()))
}

/// Changes what rows of `w` show of `s`.
fn shade(dice: &mut Dice) -> String {
    let (id, value) = (dice.below(7), dice.below(1000));
    match dice.below(4) {
        0 if id > 0 => format!("DELETE FROM s WHERE id = {id}"),
        1 => format!("UPDATE s SET v = 's{value}' WHERE id >= {id}"),
        _ => format!("INSERT INTO s VALUES ({id}, 's{value}') ON CONFLICT (id) DO UPDATE SET v = excluded.v"),
    }
}
