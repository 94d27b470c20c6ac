//! A query: setup statements and the one that returns the rows. Pure.

use super::lexer::{Kind, Token};
use super::split::{Part, split};
use super::{RowKey, SqlError};

/// A query that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Statements that run first, in order.
    pub setup: Vec<Statement>,
    /// The statement that returns the rows.
    pub last: Statement,
    /// What names the rows that it returns.
    pub key: RowKey,
    /// Whether the last statement changes data and returns rows by RETURNING.
    pub(super) changes_data: bool,
}

/// One statement as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the semicolon.
    pub text: String,
    /// Line of the query that it begins on, from 1.
    pub line: usize,
    /// Column of that line that it begins in, in characters, from 1.
    pub column: usize,
}

/// The longest name that an error repeats, in characters: PostgreSQL cuts names at 63 bytes.
const LONGEST_NAME: usize = 70;

impl Query {
    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.setup.len() + 1
    }

    /// Never: there is always a last statement.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether the last statement changes data.
    pub fn changes_data(&self) -> bool {
        self.changes_data
    }

    /// The first setup statement that does more than set something for the session, by its number from 1: what others
    /// make may be made of any table.
    pub fn first_that_makes(&self) -> Option<usize> {
        let sets = |statement: &Statement| {
            let parts = split(&statement.text).unwrap_or_default();
            let words = parts.first().map_or(Vec::new(), |part| words(part, &statement.text));
            let word = |index: usize| words.get(index).map_or("", |word| word.text.as_str());
            matches!((word(0), word(1)), ("SET" | "RESET" | "LOAD", _) | ("CREATE", "EXTENSION"))
        };
        self.setup.iter().position(|statement| !sets(statement)).map(|index| index + 1)
    }

    /// How a sentence about statement `number` (from 1) begins.
    pub fn which(&self, number: usize) -> String {
        format!("statement {number} of {}", self.len())
    }
}

impl Statement {
    /// Line and column of the whole query, of a character position (from 1) of this statement.
    pub fn place(&self, position: usize) -> (usize, usize) {
        let before: String = self.text.chars().take(position.saturating_sub(1)).collect();
        match before.rsplit_once('\n') {
            // Other statements may stand before it on its first line.
            None => (self.line, self.column + before.chars().count()),
            Some((_, line)) => (self.line + before.matches('\n').count(), line.chars().count() + 1),
        }
    }

    /// The name or keyword at a character position, if one stands there: never a literal.
    pub fn word_at(&self, position: usize) -> Option<&str> {
        let (at, _) = self.text.char_indices().nth(position.checked_sub(1)?)?;
        let part = split(&self.text).ok()?.into_iter().next()?;
        let token = part.tokens.into_iter().find(|token| token.start == at)?;
        let name = matches!(token.kind, Kind::Word | Kind::QuotedName).then(|| &self.text[token.start..token.end]);
        name.filter(|name| name.chars().count() <= LONGEST_NAME)
    }
}

/// Reads a query. Where `read_only`, the last statement must not change data.
pub fn parse_query(text: &str, read_only: bool) -> Result<Query, SqlError> {
    if text.contains('\0') {
        return Err(SqlError("a NUL byte cannot be part of SQL".into()));
    }
    let mut parts = split(text)?;
    let count = parts.len();
    for (index, part) in parts.iter().enumerate() {
        refuse_anywhere(&words(part, text), index + 1, count)?;
    }
    let last = parts.pop().ok_or_else(|| SqlError("there is no statement in it".into()))?;
    refuse_what_leaves_the_wrapping(&last, text, count)?;
    let changes_data = check_last(&words(&last, text), count, read_only)?;
    let statement = |part: &Part| {
        let before = &text[..part.range.start];
        Statement {
            text: text[part.range.clone()].to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
        }
    };
    Ok(Query {
        setup: parts.iter().map(statement).collect(),
        last: statement(&last),
        key: RowKey::default(),
        changes_data,
    })
}

/// A word of a statement in upper case, and how deep in parentheses it stands.
struct Word {
    text: String,
    depth: usize,
}

fn words(part: &Part, text: &str) -> Vec<Word> {
    let mut depth = 0usize;
    let mut words = Vec::new();
    for Token { kind, start, end } in &part.tokens {
        match kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word => words.push(Word { text: text[*start..*end].to_ascii_uppercase(), depth }),
            _ => {}
        }
    }
    words
}

/// Transactions are ours to open and close; COPY and LISTEN would use the connection for something else.
fn refuse_anywhere(words: &[Word], number: usize, count: usize) -> Result<(), SqlError> {
    let word = |index: usize| words.get(index).map_or("", |word| word.text.as_str());
    let what = match (word(0), word(1)) {
        ("BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE", _) => word(0).to_owned(),
        ("START" | "PREPARE" | "SET", "TRANSACTION") => format!("{} TRANSACTION", word(0)),
        ("SET", "SESSION" | "LOCAL") if word(2) == "TRANSACTION" => format!("SET {} TRANSACTION", word(1)),
        ("SET", "SESSION") if word(2) == "CHARACTERISTICS" => "SET SESSION CHARACTERISTICS".to_owned(),
        ("COPY" | "LISTEN" | "UNLISTEN" | "NOTIFY", _) => {
            return Err(SqlError(format!("statement {number} of {count}: {} cannot be used in a query", word(0))));
        }
        _ => return Ok(()),
    };
    Err(SqlError(format!("statement {number} of {count}: {what}: a query cannot control transactions")))
}

/// The last statement stands between parentheses of ours and gets no parameters: what closes more parentheses than it
/// opens would be half inside and half outside of them.
fn refuse_what_leaves_the_wrapping(part: &Part, text: &str, count: usize) -> Result<(), SqlError> {
    let refused = |why: &str| Err(SqlError(format!("statement {count} of {count}: {why}")));
    let mut depth = 0i32;
    for token in &part.tokens {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            Kind::Other if token.end - token.start > 1 && text[token.start..token.end].starts_with('$') => {
                return refused(&format!("{} is a parameter; a query has none", &text[token.start..token.end]));
            }
            _ => {}
        }
        if depth < 0 {
            return refused("a parenthesis closes that none opened");
        }
    }
    if depth == 0 { Ok(()) } else { refused("a parenthesis opens that none closes") }
}

/// Whether the last statement changes data; an error if it cannot return rows.
fn check_last(words: &[Word], count: usize, read_only: bool) -> Result<bool, SqlError> {
    let refused = |why: String| Err(SqlError(format!("statement {count} of {count}: {why}")));
    let first = words.first().map_or("", |word| word.text.as_str());
    let changing = |text: &str| matches!(text, "INSERT" | "UPDATE" | "DELETE" | "MERGE");
    match first {
        "SELECT" | "VALUES" | "TABLE" => Ok(false),
        "WITH" if changes_inside(words) => {
            refused("WITH that changes data cannot return the rows; put it into a statement before".into())
        }
        "WITH" => Ok(false),
        _ if changing(first) && read_only => refused(format!("{first} needs database.readOnly: false")),
        _ if changing(first) && words.iter().any(|word| word.depth == 0 && word.text == "RETURNING") => Ok(true),
        _ if changing(first) => refused(format!("{first} returns no rows without RETURNING")),
        "SHOW" | "EXPLAIN" => refused(format!("{first} cannot return the rows; the last statement must be a SELECT")),
        // A parenthesised SELECT has its first word one level down.
        _ if words.first().is_some_and(|word| word.depth > 0 && !changing(&word.text)) => Ok(false),
        "" => refused("it must be a SELECT that returns the rows".into()),
        _ => refused(format!("{first} returns no rows; the last statement must be a SELECT")),
    }
}

/// Whether a WITH changes data, in one of its parts or at its end.
fn changes_inside(words: &[Word]) -> bool {
    let pairs = words.iter().zip(words.iter().skip(1).map(Some).chain([None]));
    pairs.into_iter().any(|(word, next)| match word.text.as_str() {
        // `FOR UPDATE` locks, and `DO UPDATE` belongs to an INSERT that is found by itself.
        "INSERT" | "MERGE" => next.is_some_and(|next| next.text == "INTO"),
        "DELETE" => next.is_some_and(|next| next.text == "FROM"),
        "UPDATE" => words.iter().any(|other| other.text == "SET" && other.depth == word.depth),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sql: &str, read_only: bool) -> String {
        parse_query(sql, read_only).unwrap_err().to_string()
    }

    #[test]
    fn setup_runs_first_and_the_last_returns_the_rows() {
        let query = parse_query("SET a = 1;\nSELECT 1 AS x -- one\n;", true).unwrap();
        assert_eq!(query.setup, [Statement { text: "SET a = 1".into(), line: 1, column: 1 }]);
        assert_eq!(query.last, Statement { text: "SELECT 1 AS x".into(), line: 2, column: 1 });
    }

    #[test]
    fn data_is_changed_only_where_allowed_and_returned() {
        assert!(parse_query("DELETE FROM t RETURNING id", false).unwrap().changes_data);
        assert!(refusal("DELETE FROM t RETURNING id", true).contains("database.readOnly: false"));
        assert!(refusal("DELETE FROM t", false).contains("RETURNING"));
        assert!(
            refusal("WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d", false).contains("WITH that changes data")
        );
        assert!(refusal("WITH d AS (SELECT 1) UPDATE t SET a = 1", false).contains("WITH that changes data"));
        assert!(parse_query("WITH d AS (SELECT 1) SELECT * FROM d FOR UPDATE", false).is_ok());
    }

    #[test]
    fn transactions_are_not_the_users_to_control() {
        for sql in [
            "BEGIN",
            "commit",
            "START TRANSACTION",
            "SAVEPOINT a",
            "PREPARE TRANSACTION 'x'",
            "SET TRANSACTION READ WRITE",
            "END",
            "ABORT",
        ] {
            let message = refusal(&format!("{sql}; SELECT 1"), true);
            assert!(message.starts_with("statement 1 of 2"), "{message}");
            assert!(message.contains("control transactions"), "{message}");
        }
        assert!(parse_query("PREPARE p AS SELECT 1; SELECT 1", true).is_ok());
    }

    #[test]
    fn what_returns_no_rows_cannot_be_last() {
        for (sql, word) in [
            ("SHOW all", "SHOW"),
            ("EXPLAIN SELECT 1", "EXPLAIN"),
            ("SET a = 1", "SET"),
            ("COPY t TO STDOUT", "COPY"),
            ("NOTIFY x", "NOTIFY"),
        ] {
            assert!(refusal(sql, true).contains(word), "{sql}");
        }
        assert!(refusal("", true).contains("no statement"));
        for sql in
            ["SELECT 1", "VALUES (1)", "TABLE t", "(SELECT 1) UNION (SELECT 2)", "WITH x AS (SELECT 1) SELECT * FROM x"]
        {
            assert!(parse_query(sql, true).is_ok(), "{sql}");
        }
    }

    #[test]
    fn a_statement_stays_within_what_is_put_around_it() {
        for sql in ["SELECT 1) q, (SELECT 2", "SELECT (1", "SELECT 1]", "SELECT (1; SELECT 2", "SELECT 1) q; --"] {
            assert!(refusal(sql, true).contains("parenthesis"), "{sql}");
        }
        assert!(refusal("SELECT * FROM t WHERE id = $1", true).contains("$1 is a parameter"));
        for sql in ["SELECT ')' AS a -- )", "SELECT $$)$$ AS a", "SELECT (array[1])[1] AS a", "SELECT a$1 FROM t"] {
            assert!(parse_query(sql, true).is_ok(), "{sql}");
        }
        assert!(parse_query("PREPARE p AS SELECT $1::int; SELECT 1 AS a", true).is_ok());
    }

    #[test]
    fn names_that_look_like_keywords_are_names() {
        for sql in [
            "SELECT \"update\", t.delete FROM t",
            "WITH w AS (SELECT 'INSERT INTO t' AS a) SELECT * FROM w",
            "WITH w AS (SELECT 1 AS a /* DELETE FROM t */) SELECT * FROM w",
            "SELECT begin, commit FROM t",
            "TABLE t",
        ] {
            assert!(parse_query(sql, true).is_ok(), "{sql}");
        }
    }

    #[test]
    fn a_position_of_the_server_is_found_in_what_the_user_wrote() {
        let query = parse_query("SET a = 1;\nSELECT id,\n  nmae FROM t", true).unwrap();
        let position = query.last.text.find("nmae").unwrap() + 1;
        assert_eq!(query.last.place(position), (3, 3));
        assert_eq!(query.last.word_at(position), Some("nmae"));
        let one_line = parse_query("SET a = 'ü'; SELECT nmae FROM t", true).unwrap();
        assert_eq!((one_line.last.place(8), one_line.last.word_at(8)), ((1, 21), Some("nmae")));
        let literal = parse_query("SELECT 'secret'::int", true).unwrap();
        assert_eq!(literal.last.word_at(8), None, "literals are not quoted");
    }
}
