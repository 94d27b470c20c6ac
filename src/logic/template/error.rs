//! What is wrong with a template, without any value of a row. minijinja's own messages are never
//! shown after compiling, as many quote values; ours are chosen by the kind of error.

use std::fmt;

use minijinja::{Error, ErrorKind};

use super::concat::as_written;

/// What went wrong, and where in the template. Never holds a value of the row, in Debug neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateError {
    reason: String,
    line: Option<usize>,
    column: Option<usize>,
    expression: Option<String>,
    path: String,
}

/// A reason that holds no value. Travels inside a minijinja error as its source.
#[derive(Debug)]
pub(super) struct Reason(pub(super) &'static str);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Reason {}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Error::new(ErrorKind::InvalidOperation, reason.0).with_source(reason)
    }
}

/// Longer expressions are cut in messages.
const MAX_EXPRESSION: usize = 80;

impl TemplateError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    pub(super) fn at_line(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    pub(super) fn at_path(mut self, path: String) -> Self {
        self.path = path;
        self
    }

    /// A syntax error. No row was involved, so minijinja's words may be shown.
    pub(super) fn syntax(error: &Error, source: &str) -> Self {
        let detail = error.detail().unwrap_or("cannot be parsed");
        Self::new(format!("not a valid template: {}", as_written(detail))).with_place(error, source)
    }

    /// An error while rendering.
    pub(super) fn render(error: &Error, source: &str) -> Self {
        let mut chain = vec![error];
        let mut reason = None;
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            chain.extend(cause.downcast_ref::<Error>());
            reason = reason.or(cause.downcast_ref::<Reason>().map(|reason| reason.0));
            next = cause.source();
        }
        let placed = chain.iter().rev().find(|e| e.line().is_some());
        let innermost = chain.last().map_or(error.kind(), |e| e.kind());
        Self::new(reason.unwrap_or_else(|| describe(innermost))).with_place(placed.unwrap_or(&error), source)
    }

    fn with_place(mut self, error: &Error, source: &str) -> Self {
        self.line = error.line();
        if let Some(range) = error.range().filter(|range| !range.is_empty()) {
            let line_start =
                source.get(..range.start).map(|before| before.rfind('\n').map_or(0, |newline| newline + 1));
            self.column = line_start
                .and_then(|start| source.get(start..range.start))
                .map(|before| as_written(before).chars().count() + 1);
            self.expression = source.get(range).map(|text| shorten(&as_written(text)));
        }
        self
    }

    /// Line of the template, from 1, where known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// Column of the template in characters, from 1, where known.
    pub fn column(&self) -> Option<usize> {
        self.column
    }
}

fn shorten(expression: &str) -> String {
    let words = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MAX_EXPRESSION) {
        Some((cut, _)) => format!("{}…", words.get(..cut).unwrap_or_default()),
        None => words,
    }
}

fn describe(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UndefinedError => "undefined value",
        ErrorKind::UnknownFilter => "unknown filter",
        ErrorKind::UnknownTest => "unknown test",
        ErrorKind::UnknownFunction => "unknown function",
        ErrorKind::UnknownMethod => "unknown method (strings have none; use a filter)",
        ErrorKind::TooManyArguments => "too many arguments",
        ErrorKind::MissingArgument => "an argument is missing",
        ErrorKind::OutOfFuel => "the template does too much work",
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => "there are no other templates to use",
        ErrorKind::CannotUnpack => "a value cannot be unpacked into these names",
        ErrorKind::BadSerialization => "a value cannot be written as JSON",
        ErrorKind::NonKey | ErrorKind::NonPrimitive => "a value is not of a type that can be used here",
        ErrorKind::SyntaxError => "not a valid template",
        _ => "the operation is not possible with these values",
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(column) = self.column {
                write!(f, ", column {column}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)?;
        if let Some(expression) = &self.expression {
            write!(f, " in `{expression}`")?;
        }
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        Ok(())
    }
}

impl std::error::Error for TemplateError {}
