//! The splitter of statements, with the server as its judge. The extended protocol takes one statement: a text of
//! more is refused while it is parsed, in a place of the server's code of its own. Nothing is executed.

use dbqo::logic::sql::statements;
use futures::{StreamExt, stream};

use crate::support::TestDatabase;
use crate::support::random_sql::Random;

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

#[tokio::test]
async fn the_server_splits_random_texts_as_we_do() {
    let database = TestDatabase::create("splitter").await;
    let client = database.client().await;
    client.batch_execute("SET log_min_messages = panic; SET log_min_error_statement = panic").await.unwrap();
    let texts: Vec<String> = Random::default().take(CASES).collect();
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
