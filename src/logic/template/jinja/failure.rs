//! Errors of minijinja's. Its own messages are never shown after compiling, as many quote values; ours are chosen by
//! the kind of error.

use std::fmt;

use minijinja::{Error, ErrorKind};

use super::TemplateError;
use super::operands::{as_written, is_added};

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

/// A syntax error. No row was involved, so minijinja's words may be shown.
pub(super) fn syntax(error: &Error, source: &str) -> TemplateError {
    let detail = error.detail().unwrap_or("cannot be parsed");
    placed(TemplateError::new(format!("not a valid template: {}", as_written(detail))), error, source)
}

/// An error while rendering.
pub(super) fn render(error: &Error, source: &str) -> TemplateError {
    let mut chain = vec![error];
    let mut reason = None;
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        chain.extend(cause.downcast_ref::<Error>());
        reason = reason.or(cause.downcast_ref::<Reason>().map(|reason| reason.0));
        next = cause.source();
    }
    let place = chain.iter().rev().find(|e| e.line().is_some());
    let innermost = chain.last().map_or(error.kind(), |e| e.kind());
    placed(TemplateError::new(reason.unwrap_or_else(|| describe(innermost))), place.unwrap_or(&error), source)
}

fn placed(mut failed: TemplateError, error: &Error, source: &str) -> TemplateError {
    failed = failed.at_line(error.line());
    let Some(range) = error.range().filter(|range| !range.is_empty()) else { return failed };
    let line_start = source.get(..range.start).map(|before| before.rfind('\n').map_or(0, |newline| newline + 1));
    let before = line_start.and_then(|start| source.get(start..range.start));
    failed = failed.at_column(before.map(|before| as_written(before).chars().count() + 1));
    match source.get(range).filter(|text| !is_added(text)) {
        Some(text) => failed.in_expression(&as_written(text)),
        None => failed,
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
