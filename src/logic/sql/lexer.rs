//! The tokens of SQL, after PostgreSQL's scanner (src/backend/parser/scan.l) with standard_conforming_strings on:
//! only what telling statements apart needs. Pure.

use super::SqlError;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or unquoted name.
    Word,
    /// A quoted name.
    QuotedName,
    /// A string of any kind.
    Text,
    /// `;`
    Semicolon,
    /// `(` or `[`
    Open,
    /// `)` or `]`
    Close,
    /// Anything else: numbers, operators, `$1`.
    Other,
}

/// A token and its place, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// All tokens of a text, without white space and comments.
pub fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let start = lexer.at;
        let Some(first) = lexer.peek(0) else { return Ok(tokens) };
        let kind = lexer.token(first)?;
        tokens.push(Token { kind, start, end: lexer.at });
    }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn looking_at(&self, what: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(what)
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<(), SqlError> {
        loop {
            if self.peek(0).is_some_and(is_space) {
                self.at += 1;
            } else if self.looking_at(b"--") {
                self.skip_line_comment();
            } else if self.looking_at(b"/*") {
                self.skip_block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Such a comment ends at a carriage return, too.
    fn skip_line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| !matches!(c, b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Such comments nest.
    fn skip_block_comment(&mut self) -> Result<(), SqlError> {
        let mut depth = 0;
        loop {
            if self.looking_at(b"/*") {
                depth += 1;
                self.at += 2;
            } else if self.looking_at(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if self.peek(0).is_none() {
                return Err(SqlError("a /* comment does not end".into()));
            } else {
                self.at += 1;
            }
        }
    }

    fn token(&mut self, first: u8) -> Result<Kind, SqlError> {
        match (first, self.peek(1), self.peek(2)) {
            (b'\'', _, _) => self.string(0, false),
            (b'E' | b'e', Some(b'\''), _) => self.string(1, true),
            (b'B' | b'b' | b'X' | b'x' | b'N' | b'n', Some(b'\''), _) => self.string(1, false),
            (b'U' | b'u', Some(b'&'), Some(b'\'')) => self.string(2, false),
            (b'"', _, _) => self.quoted_name(0),
            (b'U' | b'u', Some(b'&'), Some(b'"')) => self.quoted_name(2),
            (b'$', _, _) => self.dollar(),
            (c, _, _) if is_name_start(c) => Ok(self.run(Kind::Word, is_name_part)),
            (c, _, _) if c.is_ascii_digit() => Ok(self.run(Kind::Other, |c| c.is_ascii_digit())),
            (c, _, _) => {
                self.at += 1;
                Ok(match c {
                    b';' => Kind::Semicolon,
                    b'(' | b'[' => Kind::Open,
                    b')' | b']' => Kind::Close,
                    _ => Kind::Other,
                })
            }
        }
    }

    fn run(&mut self, kind: Kind, part: fn(u8) -> bool) -> Kind {
        while self.peek(0).is_some_and(part) {
            self.at += 1;
        }
        kind
    }

    /// A string after a prefix of so many bytes; backslashes escape in `E''` alone.
    fn string(&mut self, prefix: usize, backslash: bool) -> Result<Kind, SqlError> {
        self.at += prefix + 1;
        loop {
            match self.peek(0) {
                None => return Err(SqlError("a quoted string does not end".into())),
                Some(b'\\') if backslash => self.at += 2,
                Some(b'\'') if self.peek(1) == Some(b'\'') => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    if !self.continues() {
                        return Ok(Kind::Text);
                    }
                }
                Some(_) => self.at += 1,
            }
            self.at = self.at.min(self.bytes.len());
        }
    }

    /// A string goes on behind its closing quote where white space with a newline and another quote follow.
    fn continues(&mut self) -> bool {
        let closed = self.at;
        let mut newline = false;
        loop {
            match self.peek(0) {
                Some(c) if is_space(c) => {
                    newline |= matches!(c, b'\n' | b'\r');
                    self.at += 1;
                }
                Some(b'-') if self.looking_at(b"--") => self.skip_line_comment(),
                Some(b'\'') if newline => {
                    self.at += 1;
                    return true;
                }
                _ => {
                    self.at = closed;
                    return false;
                }
            }
        }
    }

    fn quoted_name(&mut self, prefix: usize) -> Result<Kind, SqlError> {
        self.at += prefix + 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return Err(SqlError("a quoted name does not end".into())),
                (Some(b'"'), Some(b'"')) => self.at += 2,
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(Kind::QuotedName);
                }
                _ => self.at += 1,
            }
        }
    }

    /// `$1`, or a string between `$tag$` and `$tag$`.
    fn dollar(&mut self) -> Result<Kind, SqlError> {
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|c| c.is_ascii_digit()) {
            return Ok(self.run(Kind::Other, |c| c.is_ascii_digit()));
        }
        if self.peek(0).is_some_and(is_name_start) {
            self.run(Kind::Other, |c| is_name_start(c) || c.is_ascii_digit());
        }
        if self.peek(0) != Some(b'$') {
            self.at = start + 1;
            return Ok(Kind::Other);
        }
        self.at += 1;
        let (tag, body) = (&self.bytes[start..self.at], &self.bytes[self.at..]);
        let end = body.windows(tag.len()).position(|window| window == tag);
        let end = end.ok_or_else(|| SqlError("a dollar-quoted string does not end".into()))?;
        self.at += end + tag.len();
        Ok(Kind::Text)
    }
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_name_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || c == b'_' || c >= 0x80
}

fn is_name_part(c: u8) -> bool {
    is_name_start(c) || c.is_ascii_digit() || c == b'$'
}
