//! Statements told apart: at semicolons outside of strings, comments, parentheses and BEGIN ATOMIC bodies. Pure.

use std::ops::Range;

use super::SqlError;
use super::lexer::{Kind, Token, tokens};

/// One statement: where it stands, without the semicolon, and its tokens.
pub struct Part {
    /// Its bytes in the whole text.
    pub range: Range<usize>,
    /// Its tokens, placed in the whole text.
    pub tokens: Vec<Token>,
}

/// The statements of a text; empty ones are left out.
pub fn split(text: &str) -> Result<Vec<Part>, SqlError> {
    let mut parts = Vec::new();
    let mut current = Current::default();
    for token in tokens(text)? {
        if token.kind == Kind::Semicolon && current.depth <= 0 && !current.in_body {
            parts.extend(std::mem::take(&mut current).end());
        } else {
            current.push(token, &text[token.start..token.end]);
        }
    }
    if current.in_body {
        return Err(SqlError("a BEGIN ATOMIC body does not end".into()));
    }
    parts.extend(current.end());
    Ok(parts)
}

#[derive(Default)]
struct Current {
    tokens: Vec<Token>,
    depth: i32,
    /// Inside BEGIN ATOMIC … END.
    in_body: bool,
    /// The token before was a semicolon inside a body: END may close it only here.
    at_start: bool,
    after_begin: bool,
    /// CREATE … FUNCTION or PROCEDURE: only these have bodies.
    creates: bool,
    makes_routine: bool,
}

impl Current {
    fn push(&mut self, token: Token, text: &str) {
        let is = |word: &str| token.kind == Kind::Word && text.eq_ignore_ascii_case(word);
        let position = self.tokens.len();
        match token.kind {
            Kind::Open => self.depth += 1,
            Kind::Close => self.depth -= 1,
            _ => {}
        }
        self.creates |= position == 0 && is("create");
        self.makes_routine |= self.creates && position < 4 && (is("function") || is("procedure"));
        let begins_body = self.after_begin && is("atomic") && self.makes_routine && self.depth == 0 && !self.in_body;
        if self.in_body && self.at_start && self.depth == 0 && is("end") {
            self.in_body = false;
        } else if begins_body {
            self.in_body = true;
        }
        self.at_start = begins_body || (token.kind == Kind::Semicolon && self.depth == 0);
        self.after_begin = is("begin");
        self.tokens.push(token);
    }

    fn end(self) -> Option<Part> {
        let range = self.tokens.first()?.start..self.tokens.last()?.end;
        Some(Part { range, tokens: self.tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        crate::logic::sql::statements(sql).unwrap()
    }

    #[test]
    fn semicolons_in_strings_names_and_comments_do_not_split() {
        for first in [
            "select 'a;b'",
            "select ''';'",
            r"select E'a\';b'",
            r"select 'a\'",
            "select $$a;b$$",
            "select $t$ $$;$$ ;$t$",
            "select $a$ ; $A$ ; $a$",
            "select $é$;$é$",
            "select 1 as x$a$",
            "select 1 /* ; /* n ; */ ; */",
            "select 1 /*/ ; */",
            "select 1 -- ; c\n",
            "select 1 -- a;b\r",
            "/* -- */ select 1",
            r#"select "a;b" from (select 1 as "a;b") q"#,
            r#"select 1 as "a""b;c""#,
            r"select U&'d\0061t;a'",
            r#"select 1 as U&"x;y""#,
            "select B'1', X'1F', N'x;y'",
            "select 'a'\n ';b'",
            "select E'a'\n '\\';'",
            "select E'a' -- x\n '\\';'",
            "select $1+$2",
            "prepare p as select $1::int",
            "select 5 ---;\n1",
            "-- /* \nselect 1",
            "select 1 as y$a$ /* ; */",
            "select '{\"a\":1}'::jsonb ? 'a', '{}'::jsonb #>> '{a;b}'",
            "select * from t, lateral (select 1) x where a @> '{;}'",
            "merge into t using s on t.id=s.id when matched then update set v=s.v",
            "create procedure p() language plpgsql as $$ begin perform 1; end; $$",
            "create extension if not exists pg_trgm",
            "set work_mem='8MB'",
            "LOAD 'age'",
            "SELECT * FROM cypher('g', $$ MATCH (n) RETURN n; $$) as (n agtype)",
            "select 5 */* x;*/ 2",
            "select (array[1,2,3])[1:2]",
            "create rule r as on insert to t do also (delete from t; delete from t)",
            "do $x$ begin raise notice ';'; end $x$",
        ] {
            let sql = format!("{first}; select 2");
            let split = texts(&sql);
            assert_eq!(split.len(), 2, "{sql}: {split:?}");
            assert_eq!(split[1], "select 2", "{sql}");
        }
    }

    #[test]
    fn bodies_of_routines_stay_whole() {
        for body in [
            "select 1; select 2; end",
            "select case when a=1 then 1 else 2 end; end",
            "select t.end from t; end",
            "select 1 as end; end",
            "select t.\"end\" from (select 1 as \"end\") t; end",
            "values ((select 1; select 2)); end",
            "END",
        ] {
            let sql = format!("create function f(a int) returns int begin atomic {body}; select 3");
            assert_eq!(texts(&sql).len(), 2, "{sql}");
        }
        assert_eq!(texts("begin; select 1; end").len(), 3, "a transaction is no body");
    }

    #[test]
    fn empty_statements_are_none() {
        assert_eq!(texts(";;select 1;;"), ["select 1"]);
        assert_eq!(texts("select 1; -- done"), ["select 1"]);
        assert!(texts("-- x;\n/* ; */").is_empty());
    }

    #[test]
    fn the_examples_of_the_reference_split_as_promised() {
        let timeouts = "SET statement_timeout = '5s';\nSET lock_timeout = '3s';\n\nSELECT * FROM large_table WHERE indexed_column = 'value';";
        assert_eq!(texts(timeouts).len(), 3);
        let extension = "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\";\nSET search_path = public, extensions;\n\nSELECT uuid_generate_v4() as id, name FROM users;";
        assert_eq!(texts(extension)[2], "SELECT uuid_generate_v4() as id, name FROM users");
    }

    #[test]
    fn what_does_not_end_is_an_error() {
        for sql in [
            "select 'abc; select 2",
            "select 1 /* ; select 2",
            "select $a$ ; select 2",
            "select \"x",
            "select E'\\",
            "create function f() returns int begin atomic select 1;",
        ] {
            assert!(split(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn any_text_splits_or_fails_without_losing_its_place() {
        // A small fixed generator: every run tries the same texts.
        let pieces = [
            "'",
            "\"",
            "$",
            "$a$",
            ";",
            "--",
            "/*",
            "*/",
            "\n",
            "e'",
            "U&'",
            "\\",
            "(",
            ")",
            "begin atomic",
            "end",
            "é",
            "x",
            " ",
        ];
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut sql = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                sql.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            for part in split(&sql).into_iter().flatten() {
                assert!(sql.get(part.range).is_some_and(|text| !text.trim().is_empty()), "{sql:?}");
            }
        }
    }
}
