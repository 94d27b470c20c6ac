//! What is wrong with a template, and where, without any value of a row.

use std::fmt;

/// What went wrong, and where in the template. Never holds a value of the row, in Debug neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateError {
    reason: String,
    line: Option<usize>,
    column: Option<usize>,
    expression: Option<String>,
    path: String,
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

    /// The expression that failed, as the user wrote it.
    pub(super) fn in_expression(mut self, expression: &str) -> Self {
        self.expression = Some(shorten(expression));
        self
    }

    pub(super) fn at_column(mut self, column: Option<usize>) -> Self {
        self.column = column;
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
