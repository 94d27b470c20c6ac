//! Compares how our splitter and PostgreSQL's scanner and parser see random texts; says so and fails at the first
//! difference.

#![allow(dead_code)]

#[path = "../../../src/logic/sql/lexer.rs"]
mod lexer;
#[path = "../../support/random_sql.rs"]
mod random_sql;
#[path = "../../../src/logic/sql/split.rs"]
mod split;

use std::process::ExitCode;

/// As the operator's own modules have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SqlError(pub String);

const CASES: usize = 300_000;

fn main() -> ExitCode {
    let (mut scanned, mut parsed) = (0, 0);
    for text in random_sql::Random::default().take(CASES) {
        // Where the scanner takes a text, its semicolons are ours.
        if let Ok(theirs) = pg_query::scan(&text) {
            let theirs: Vec<usize> =
                theirs.tokens.iter().filter(|t| t.token == i32::from(b';')).map(|t| t.start as usize).collect();
            let ours = lexer::tokens(&text).map(|tokens| {
                let semicolons = tokens.iter().filter(|token| token.kind == lexer::Kind::Semicolon);
                semicolons.map(|token| token.start).collect::<Vec<_>>()
            });
            if ours.as_ref() != Ok(&theirs) {
                eprintln!("semicolons of {text:?}: ours {ours:?}, theirs {theirs:?}");
                return ExitCode::FAILURE;
            }
            scanned += 1;
        }
        // Where the parser does, its statements are.
        if let Ok(theirs) = pg_query::split_with_parser(&text) {
            let ours =
                split::split(&text).map(|parts| parts.into_iter().map(|part| &text[part.range]).collect::<Vec<_>>());
            let same = ours.as_ref().is_ok_and(|ours| {
                // Theirs keep the comments around them.
                ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(ours, theirs)| theirs.contains(ours))
            });
            if !same {
                eprintln!("statements of {text:?}: ours {ours:?}, theirs {theirs:?}");
                return ExitCode::FAILURE;
            }
            parsed += 1;
        }
    }
    println!("{CASES} texts: {scanned} scanned alike, {parsed} split alike");
    ExitCode::SUCCESS
}
