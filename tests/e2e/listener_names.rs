//! Tables and columns whose names need every care are notified of, and read by their keys, like any others.

use serde_json::{Value, json};

use crate::support::listening::{Ear, notified, until_armed};
use crate::support::world::{World, condition};

/// A table as SQL has it.
struct Odd {
    schema: &'static str,
    table: &'static str,
    /// The columns of its key.
    key: &'static [&'static str],
    is_partitioned: bool,
}

const TABLES: [Odd; 6] = [
    Odd {
        schema: r#""Ünï ""code"" schema""#,
        table: r#""Upper Case, 'quoted'""#,
        key: &[r#""The ""Key"", it's""#],
        is_partitioned: false,
    },
    // As long as names can be.
    Odd {
        schema: "\"ñññññññññññññññññññññññññññññññx\"",
        table: "\"ñññññññññññññññññññññññññññññññx\"",
        key: &["\"ééééééééééééééééééééééééééééééék\""],
        is_partitioned: false,
    },
    // Written without quotes: the server folds no other letters than these.
    Odd { schema: "Folded", table: "Größe_X", key: &["Schlüssel$1"], is_partitioned: false },
    // What the body of the triggers' function has of its own.
    Odd {
        schema: "\"select\"",
        table: "\"user\"",
        key: &["keys", "\"NEW\"", "tg_op", "payload"],
        is_partitioned: false,
    },
    Odd { schema: "\"a.b\"", table: TRAP, key: &TRAPS, is_partitioned: false },
    // Each row by itself, which is another body.
    Odd { schema: "\"a.b\"", table: "\"%s parts\"", key: &TRAPS, is_partitioned: true },
];

const TRAP: &str = r#""t""; DROP TABLE public.t; --""#;
/// Names that end a text, a comment or a function's body and go on with SQL of their own, wherever they are put as they are.
const TRAPS: [&str; 7] = [
    r#""a$body$; DROP TABLE public.t; --""#,
    r#""b$b$ $f$ $$; DROP TABLE public.t; --""#,
    r#""c'; DROP TABLE public.t; --""#,
    r#""d""); DROP TABLE public.t; --""#,
    r#""e */ DROP TABLE public.t; /*""#,
    "\"f\nEND; DROP TABLE public.t; --\"",
    r#""g %I %1$s %% \' {{ row.v }}""#,
];

impl Odd {
    fn name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// Makes it with one row, called `object`.
    async fn make(&self, world: &World, object: &str) {
        let (name, key) = (self.name(), self.key.join(", "));
        let columns: String = self.key.iter().map(|column| format!("{column} text, ")).collect();
        let parts = format!(
            "PARTITION BY HASH ({}); CREATE TABLE {}.\"a part of it\" PARTITION OF {name} \
             FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            self.key[0], self.schema
        );
        let values = self.key.iter().map(|_| r#"'it''s "1"\ ü, '"#).collect::<Vec<_>>().join(", ");
        world
            .run_sql(&format!(
                "CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE {name} ({columns}name text, v text, PRIMARY KEY ({key})) {}; \
                 INSERT INTO {name} VALUES ({values}, '{object}', 'one')",
                self.schema,
                if self.is_partitioned { &parts } else { "" }
            ))
            .await;
    }

    fn spec(&self) -> Value {
        let mut spec = notified(json!({"tableName": self.name()}));
        spec["query"] = json!(format!("SELECT {}, name, v FROM {}", self.key.join(", "), self.name()));
        spec
    }
}

#[tokio::test]
async fn whatever_they_are_called_changes_of_tables_are_heard_by_key() {
    let world = World::new("odd-names", &["a"]).await;
    let named: Vec<(String, &Odd)> = TABLES.iter().enumerate().map(|(n, odd)| (format!("odd{n}"), odd)).collect();
    for (object, odd) in &named {
        odd.make(&world, object).await;
        world.create(object, odd.spec()).await;
    }
    for (object, odd) in &named {
        let resource = world.listening(object).await;
        let message = condition(&resource, "ChangeDetection").unwrap()["message"].as_str().unwrap();
        assert!(message.contains("rows that change are read by their keys"), "{}: {message}", odd.name());
    }
    until_armed(&world.sql, named.len() as i64).await;
    let ear = Ear::on(&world.database).await;
    for (object, odd) in &named {
        world.hears_of(&odd.name(), object, &world.sql, "heard").await;
        let heard = ear.heard().await;
        assert!(heard.iter().all(|payload| key_columns(payload) == Some(odd.key.len())), "{}: {heard:?}", odd.name());
    }
    let problems = "SELECT FROM dbqo.check() WHERE problem IS NOT NULL";
    assert!(world.sql.query(problems, &[]).await.unwrap().is_empty());
    assert_eq!(
        world.sql.query("SELECT FROM public.t", &[]).await.unwrap().len(),
        1,
        "nothing was run but what is ours"
    );
}

/// Of how many columns the one key is that it tells of.
fn key_columns(payload: &str) -> Option<usize> {
    let payload: Value = serde_json::from_str(payload).unwrap();
    let keys = payload["k"].as_array().filter(|keys| keys.len() == 1)?;
    Some(keys[0].as_array()?.len())
}
