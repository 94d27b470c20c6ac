//! The splitter of statements, with the server as its judge. The extended protocol takes one statement: a text of
//! more is refused while it is parsed, in a place of the server's code of its own. Nothing is executed.

use dbqo::logic::sql::statements;
use futures::{StreamExt, stream};

use crate::support::TestDatabase;

/// So many texts.
const CASES: usize = 30_000;
/// On their way at a time.
const AT_ONCE: usize = 64;

/// What the server makes of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// More than one statement.
    Several,
    /// One statement or none, whether or not its names and types make sense.
    AtMostOne,
    /// It is not SQL.
    NoSql,
}

async fn verdict(client: &tokio_postgres::Client, sql: &str) -> Verdict {
    let Err(error) = client.prepare(sql).await else { return Verdict::AtMostOne };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql:?}: {error}"));
    match (error.code().code(), error.routine()) {
        ("42601", Some("exec_parse_message")) => Verdict::Several,
        // Of lexer and parser, and of a few that look at a whole statement later: nothing is lost without those.
        ("42601" | "0A000" | "22021" | "22025" | "22P06", _) => Verdict::NoSql,
        _ => Verdict::AtMostOne,
    }
}

/// What a random text is made of: statements that are whole wherever they end, and what may hide a semicolon.
const WHOLE: [&str; 12] = [
    "select 1",
    "select 'x'",
    "table t",
    "values (1)",
    "select e'\\''",
    "select $$;$$",
    "create rule r as on insert to t do also (select 1; select 2)",
    "create function f() returns int begin atomic select 1; select case when true then 1 end; end",
    "create function f() returns int language sql as $f$ select 1; $f$",
    "set a.b = ';'",
    "do $x$ begin end; $x$",
    "",
];
const NASTY: [&str; 42] = [
    "'",
    "''",
    "\\",
    "\\'",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "B'",
    "x'",
    "N'",
    "$",
    "$$",
    "$a$",
    "$A$",
    "$é$",
    "$1",
    "a$a$",
    "\"",
    "\"\"",
    "--",
    "/*",
    "*/",
    "/*/",
    "\n",
    "\r",
    " ",
    "\t",
    ";",
    ";;",
    "(",
    ")",
    "[",
    "]",
    "-",
    "*/ ;",
    "' ;",
    "\n'",
    "as x",
    "é",
    "begin atomic",
    "end",
];

/// A small generator with a fixed start: every run tries the same texts.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for statement in 0..=self.below(3) {
            if statement > 0 {
                text += ";";
            }
            // Most of what is wholly random is no SQL, of which nothing can be learnt.
            let (whole, nasty) = (self.pick(&WHOLE), self.nasty());
            text += &match self.below(8) {
                0 => format!("select '{nasty}'"),
                1 => format!("select e'{nasty}' as a"),
                2 => format!("select $${nasty}$$"),
                3 => format!("select $a${nasty}$a$, 1"),
                4 => format!("select \"x{nasty}\" from t"),
                5 => format!("{whole} /*{nasty}*/"),
                6 => format!("{whole} --{nasty}\n"),
                _ => format!("{whole} {nasty}"),
            };
        }
        text
    }

    fn nasty(&mut self) -> String {
        (0..self.below(4)).map(|_| self.pick(&NASTY)).collect()
    }
}

#[tokio::test]
async fn the_server_splits_random_texts_as_we_do() {
    let database = TestDatabase::create("splitter").await;
    let client = database.client().await;
    client.batch_execute("SET log_min_messages = panic; SET log_min_error_statement = panic").await.unwrap();
    let mut random = Random(88_172_645_463_325_252);
    let texts: Vec<String> = (0..CASES).map(|_| random.text()).collect();
    let judged: Vec<(&String, Verdict)> =
        stream::iter(&texts).map(async |text| (text, verdict(&client, text).await)).buffered(AT_ONCE).collect().await;
    let mut parts = Vec::new();
    for (text, verdict) in &judged {
        let split = statements(text);
        match verdict {
            Verdict::NoSql => {}
            Verdict::AtMostOne => {
                assert!(split.as_ref().is_ok_and(|s| s.len() <= 1), "one for the server: {text:?}: {split:?}")
            }
            Verdict::Several => {
                let split = split.unwrap_or_else(|error| panic!("several for the server: {text:?}: {error}"));
                assert!(split.len() > 1, "several for the server: {text:?}: {split:?}");
                parts.extend(split);
            }
        }
    }
    // Where they are split: each part is one statement.
    parts.sort_unstable();
    parts.dedup();
    let judged_parts: Vec<(&str, Verdict)> =
        stream::iter(parts).map(async |part| (part, verdict(&client, part).await)).buffered(AT_ONCE).collect().await;
    for (part, verdict) in &judged_parts {
        assert_eq!(*verdict, Verdict::AtMostOne, "a part of ours: {part:?}");
    }
    let count = |wanted| judged.iter().filter(|(_, verdict)| *verdict == wanted).count();
    let (several, one) = (count(Verdict::Several), count(Verdict::AtMostOne));
    println!("{several} several, {one} one, {} no SQL, {} parts", count(Verdict::NoSql), judged_parts.len());
    assert!(several > CASES / 10 && one > CASES / 10 && judged_parts.len() > CASES / 20, "too few could be judged");
}
