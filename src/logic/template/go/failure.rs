//! Why a Go template fails. What gotmpl says after compiling is never shown as it is, as it may quote values.

use std::borrow::Cow;

use gotmpl::TemplateError as GoError;

use super::functions;
use super::source::place;
use crate::logic::template::TemplateError;

/// Why a function fails. Holds no value of a row, in Debug neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason(Cow<'static, str>);

impl Reason {
    /// What is put together of names and words that stand in the template.
    pub(super) fn of(words: String) -> Self {
        Self(words.into())
    }

    pub(super) fn into_error(self) -> TemplateError {
        TemplateError::new(self.0)
    }
}

impl From<&'static str> for Reason {
    fn from(words: &'static str) -> Self {
        Self(words.into())
    }
}

impl From<functions::Reason> for Reason {
    fn from(reason: functions::Reason) -> Self {
        Self(reason.to_string().into())
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What nobody defined, or no row has.
pub(super) const UNDEFINED: &str = "undefined value";

/// A syntax error. No row was involved, so gotmpl's words may be shown.
pub(super) fn syntax(error: GoError, source: &str) -> TemplateError {
    match error {
        GoError::Parse { line, col, message, .. } | GoError::Lex { line, col, message, .. } => {
            let error = TemplateError::new(format!("not a valid template: {message}"));
            if line == 0 || col == 0 {
                return error;
            }
            // gotmpl's place of closing braces is behind them, and of what never ends behind the end.
            let text = source.lines().nth(line - 1).unwrap_or_default();
            let before: String = text.chars().take(col - 1).collect();
            let col = if before.ends_with("}}") { col - 2 } else { col };
            error.at_line(Some(line)).at_column(Some(col).filter(|col| *col <= text.chars().count()))
        }
        _ => TemplateError::new("not a valid template"),
    }
}

/// An error at a place of the template, in bytes.
pub(super) fn at(error: TemplateError, source: &str, offset: usize) -> TemplateError {
    let (line, column) = place(source, offset);
    error.at_line(Some(line)).at_column(Some(column)).in_expression(expression(source, offset))
}

/// The rest of the action that a place is in.
fn expression(source: &str, offset: usize) -> &str {
    let rest = source.get(offset..).unwrap_or_default();
    let action = rest.get(..super::source::action_len(rest)).unwrap_or_default().trim_end();
    action.strip_suffix('-').unwrap_or(action).trim_end()
}

/// What gotmpl's executor found, in words without values.
pub(super) fn reason(error: &GoError) -> Reason {
    match error {
        GoError::Exec(words) => executor(words),
        GoError::NotIterable(kind) => Reason::of(format!("range cannot go over {}", with_article(kind))),
        GoError::UndefinedTemplate(name) => Reason::of(format!("there is no template {name:?}")),
        GoError::UndefinedVariable(name) => Reason::of(format!("undefined variable {name}")),
        GoError::RecursionLimit => "templates are nested too deeply, or call themselves without end".into(),
        GoError::RangeIterLimit => "the template does too much work".into(),
        GoError::Write => "the rendered text is longer than 4 MiB".into(),
        GoError::ArgCount { name, .. } => Reason::of(format!("{name} needs an argument")),
        _ => OTHER.into(),
    }
}

const OTHER: &str = "the operation is not possible with these values";

/// The executor's sentences that hold names of the template and types alone.
fn executor(words: &str) -> Reason {
    if let Some((field, kind)) =
        words.strip_prefix("can't evaluate field ").and_then(|rest| rest.split_once(" in type "))
    {
        return Reason::of(format!("{} has no field {field}", with_article(kind)));
    }
    if words.starts_with("can't give argument to non-function") {
        return "an argument is given to what is no function".into();
    }
    if words.starts_with("nil is not a command") {
        return "nil stands where a value is needed".into();
    }
    if words.starts_with("can't use ") {
        return "range over a number has one variable".into();
    }
    if words.ends_with("overflows int") {
        return "a number of the template is too large".into();
    }
    OTHER.into()
}

fn with_article(kind: &str) -> &str {
    match kind {
        "nil" => "nothing",
        "bool" => "a boolean",
        "int" | "uint" | "float64" => "a number",
        "string" => "text",
        "list" => "a list",
        "map" => "a map",
        _ => "this value",
    }
}
