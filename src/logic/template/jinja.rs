//! Jinja, as minijinja has it, with these rules:
//! * undefined names are errors; `row` and `dbqr` are defined;
//! * a plain scalar that is one expression keeps its value's type, so text stays a string;
//!   anything mixed or quoted is text: numbers and booleans as JSON writes them, null is empty,
//!   maps and lists are JSON;
//! * `toYaml` and `toJson` insert a tree: alone, or among the keys or items beside them;
//! * captured text (a macro's result, a `set` block, a call or filter block) keeps the types and
//!   the structure of what it holds where it is printed. A filter sees it as plain text. Operators
//!   cannot: where one would give something else than plain text gives, that is an error, and
//!   `| string` turns the text into a value that operators take.

mod builtins;
mod convert;
mod dialect;
mod environment;
mod exact;
mod failure;
mod filters;
mod lexer;
mod marks;
mod meter;
mod names;
mod operands;

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use minijinja::{Environment, Value};

use super::TemplateError;
use super::engine::{Engine, Marked, Rendering};
use crate::logic::json::Json;
use crate::logic::yaml::slot::Slots;
use convert::{Names, from_json, from_row};
use environment::{NAME, Setup};
use marks::{Marks, Mode};

/// Longer expressions are refused: minijinja compiles a chain of operators in quadratic time.
const MAX_TAG: usize = 4 << 10;

/// Whether an action, braces and all, parses as Jinja.
pub(super) fn parses(action: &str) -> bool {
    Environment::empty().template_from_str(action).is_ok()
}

/// A template in Jinja.
pub(super) struct Jinja {
    /// As minijinja has it, with `operands`'s additions.
    source: Arc<str>,
    env: Environment<'static>,
    /// The same template writing plain text, where operators can meet text with markers.
    plain: Option<Environment<'static>>,
}

impl Jinja {
    /// Compiles a template.
    pub(super) fn compile(source: &str) -> Result<Self, TemplateError> {
        if let Some(line) = dialect::long_tag(source, MAX_TAG) {
            return Err(TemplateError::new("an expression is longer than 4 KiB").at_line(Some(line)));
        }
        let deep = dialect::may_hold_text(source);
        let written = source;
        let source = &*operands::prepared(source).map_err(|line| {
            let most = operands::MAX_LINKS;
            let reason = format!("an expression has more than {most} operators, filters and the like in a row");
            TemplateError::new(reason).at_line(Some(line))
        })?;
        let environment =
            |mode| environment::environment(Setup { mode, deep }, source).map_err(|e| failure::syntax(&e, source));
        let env = environment(Mode::Marked)?;
        if let Some(error) = names::unknown(&env, written) {
            return Err(error);
        }
        Ok(Self { env, plain: deep.then(|| environment(Mode::Text)).transpose()?, source: source.into() })
    }
}

impl Engine for Jinja {
    /// There is no clock in it.
    fn is_timeless(&self) -> bool {
        true
    }

    fn rendering<'a>(&'a self, dbqr: &Json, _now: Timestamp) -> Box<dyn Rendering + 'a> {
        Box::new(AtWork { template: self, dbqr: from_json(dbqr) })
    }
}

/// A template together with the DatabaseQueryResource it is rendered for.
struct AtWork<'a> {
    template: &'a Jinja,
    dbqr: Value,
}

impl Rendering for AtWork<'_> {
    fn render(&self, row: &Arc<Json>) -> Result<Marked, TemplateError> {
        let names = self.names(row);
        let rendered = self.template.env.get_template(NAME).and_then(|t| t.render_captured(names.clone()));
        let mut rendered = rendered.map_err(|e| self.failed(&e))?;
        let slots = rendered
            .with_state_mut(|state| state.get_extension_mut::<Marks>().map(|marks| std::mem::take(&mut marks.0)));
        let marked = Marked { text: rendered.into_output(), slots: slots.unwrap_or_default() };
        if let Some(plain) = &self.template.plain {
            self.compare(plain, &names, &marked.text, &marked.slots)?;
        }
        Ok(marked)
    }

    fn line_of(&self, row: &Arc<Json>, at: usize) -> Option<usize> {
        locate(&self.template.env, &self.names(row), at)
    }
}

impl AtWork<'_> {
    fn names(&self, row: &Arc<Json>) -> Value {
        Value::from_object(Names { row: from_row(row), dbqr: self.dbqr.clone() })
    }

    fn failed(&self, error: &minijinja::Error) -> TemplateError {
        failure::render(error, &self.template.source)
    }

    /// Holds the marked text against what plain text would have been. They differ if an operator
    /// compared, cut or repeated a marker instead of the text it stands for.
    fn compare(&self, plain: &Environment, names: &Value, marked: &str, slots: &Slots) -> Result<(), TemplateError> {
        let text = plain.get_template(NAME).and_then(|t| t.render(names.clone())).map_err(|e| self.failed(&e))?;
        let resolved = slots.resolve(marked).unwrap_or_default();
        if resolved == text {
            return Ok(());
        }
        let differs = resolved.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        Err(TemplateError::new(
            "an operator (such as ==, [:] or if) works on captured text, a macro's result or a marked \
             value; turn it into a value with `| string` first",
        )
        .at_line(locate(plain, names, differs)))
    }
}

/// The template's line that wrote a place of the output: rendered once more, with spans.
fn locate(env: &Environment, names: &Value, at: usize) -> Option<usize> {
    let template = env.get_template(NAME).ok()?;
    let (output, spans) = template.render_with_spans(names.clone()).ok()?;
    let span = spans.iter().rev().find(|span| span.output_range().start <= at)?;
    let raw = span.kind() == minijinja::OutputSpanKind::Raw;
    let within = output.get(span.output_range().start..at).filter(|_| raw).unwrap_or_default();
    Some(span.line() + within.matches('\n').count())
}
