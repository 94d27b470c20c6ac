//! Templates: one row to the objects it asks for.
//!
//! Values are bound, never spliced. While a template is rendered a marker is written in a value's
//! place; the marked text is parsed as YAML, once for each text, and the values are put into the
//! parsed tree. What a row holds is never parsed.
//!
//! The template language is Jinja as minijinja has it, with these rules:
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
mod concat;
mod convert;
mod dialect;
mod engine;
mod error;
mod filters;
mod marks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::{Environment, Value};
use serde_json::Value as Json;

pub use error::TemplateError;

use crate::logic::yaml::slot::{Slots, has_reserved};
use crate::logic::yaml::{Skeleton, YamlError};
use convert::{Names, from_json};
use engine::{NAME, Setup};
use marks::{Marks, Mode};

/// Longer templates are refused.
pub const MAX_SOURCE: usize = 64 << 10;
/// Longer expressions are refused: minijinja compiles a chain of operators in quadratic time.
const MAX_TAG: usize = 4 << 10;
/// Longer marked text is refused.
pub const MAX_OUTPUT: usize = 4 << 20;
/// Skeletons kept for each template: one for each way through its conditions and loops.
const MAX_SKELETONS: usize = 64;
/// Longer marked text is parsed anew each time.
const MAX_KEPT: usize = 256 << 10;

/// A compiled template. Compile it once for a generation of the spec.
pub struct Template {
    /// As minijinja has it, with [`mod@concat`]'s additions.
    source: Arc<str>,
    env: Environment<'static>,
    /// The same template writing plain text, where operators can meet text with markers.
    plain: Option<Environment<'static>>,
    skeletons: Mutex<HashMap<String, Arc<Skeleton>>>,
}

impl Template {
    /// Compiles a template. Needs up to 32 MiB of stack for 64 KiB of source, as long chains of
    /// operators recurse: call it, and [`render`](Self::render), on a thread that has it.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::new("the template is longer than 64 KiB"));
        }
        if has_reserved(source) {
            return Err(TemplateError::new("the characters U+E000 to U+E003 are reserved"));
        }
        if let Some(line) = dialect::long_tag(source, MAX_TAG) {
            return Err(TemplateError::new("an expression is longer than 4 KiB").at_line(Some(line)));
        }
        if let Some(line) = dialect::go_action(source) {
            return Err(TemplateError::new("Go templates are not supported yet").at_line(Some(line)));
        }
        let deep = dialect::may_hold_text(source);
        let source = &*concat::with_text_operands(source);
        let environment =
            |mode| engine::environment(Setup { mode, deep }, source).map_err(|e| TemplateError::syntax(&e, source));
        Ok(Self {
            env: environment(Mode::Marked)?,
            plain: deep.then(|| environment(Mode::Text)).transpose()?,
            source: source.into(),
            skeletons: Mutex::default(),
        })
    }

    /// Renders one row: its YAML documents in order, without those that are empty or null. See
    /// [`compile`](Self::compile) for the stack it needs.
    pub fn render(&self, row: &Json, dbqr: &Json) -> Result<Vec<Json>, TemplateError> {
        self.renderer(dbqr).render(row)
    }

    /// Renders many rows of one DatabaseQueryResource, which is converted once.
    pub fn renderer(&self, dbqr: &Json) -> Renderer<'_> {
        Renderer { template: self, dbqr: from_json(dbqr) }
    }

    fn skeleton(&self, marked: &str) -> Result<Arc<Skeleton>, YamlError> {
        // A poisoned cache is as good as any: entries are complete when they are put in.
        if let Some(found) = self.skeletons.lock().unwrap_or_else(PoisonError::into_inner).get(marked) {
            return Ok(found.clone());
        }
        let parsed = Arc::new(Skeleton::parse(marked)?);
        if marked.len() <= MAX_KEPT {
            let mut skeletons = self.skeletons.lock().unwrap_or_else(PoisonError::into_inner);
            if skeletons.len() >= MAX_SKELETONS {
                skeletons.clear();
            }
            skeletons.insert(marked.to_owned(), parsed.clone());
        }
        Ok(parsed)
    }
}

/// A template together with the DatabaseQueryResource it is rendered for.
pub struct Renderer<'a> {
    template: &'a Template,
    dbqr: Value,
}

impl Renderer<'_> {
    /// Renders one row, as [`Template::render`].
    pub fn render(&self, row: &Json) -> Result<Vec<Json>, TemplateError> {
        self.bound(from_json(row))
    }

    /// Renders one row from its JSON text, which is parsed straight into what templates compute
    /// with.
    pub fn render_text(&self, row: &str) -> Result<Vec<Json>, TemplateError> {
        let row = serde_json::from_str(row).map_err(|_| TemplateError::new("the row is not JSON"))?;
        self.bound(row)
    }

    fn bound(&self, row: Value) -> Result<Vec<Json>, TemplateError> {
        let names = Value::from_object(Names { row, dbqr: self.dbqr.clone() });
        let source = &self.template.source;
        let failed = |e: minijinja::Error| TemplateError::render(&e, source);
        let rendered = self.template.env.get_template(NAME).and_then(|t| t.render_captured(names.clone()));
        let rendered = rendered.map_err(failed)?;
        let marked = rendered.output();
        if marked.len() > MAX_OUTPUT {
            return Err(TemplateError::new("the rendered text is longer than 4 MiB"));
        }
        let none = Slots::default();
        let slots = rendered.state().get_extension::<Marks>().map_or(&none, |marks| &marks.0);
        if let Some(plain) = &self.template.plain {
            self.compare(plain, &names, marked, slots)?;
        }
        let filled = self.template.skeleton(marked).and_then(|skeleton| skeleton.fill(slots.all()));
        filled.map_err(|e| {
            let line = line_start(marked, e.line).and_then(|at| self.locate(&self.template.env, &names, at));
            TemplateError::new(e.reason).at_path(e.path).at_line(line)
        })
    }

    /// Holds the marked text against what plain text would have been. They differ if an operator
    /// compared, cut or repeated a marker instead of the text it stands for.
    fn compare(&self, plain: &Environment, names: &Value, marked: &str, slots: &Slots) -> Result<(), TemplateError> {
        let failed = |e: minijinja::Error| TemplateError::render(&e, &self.template.source);
        let text = plain.get_template(NAME).and_then(|t| t.render(names.clone())).map_err(failed)?;
        let resolved = slots.resolve(marked).unwrap_or_default();
        if resolved == text {
            return Ok(());
        }
        let differs = resolved.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        Err(TemplateError::new(
            "an operator (such as ==, [:] or if) works on captured text, a macro's result or a marked \
             value; turn it into a value with `| string` first",
        )
        .at_line(self.locate(plain, names, differs)))
    }

    /// The template's line that wrote a place of the output: rendered once more, with spans.
    fn locate(&self, env: &Environment, names: &Value, at: usize) -> Option<usize> {
        let template = env.get_template(NAME).ok()?;
        let (output, spans) = template.render_with_spans(names.clone()).ok()?;
        let span = spans.iter().rev().find(|span| span.output_range().start <= at)?;
        let raw = span.kind() == minijinja::OutputSpanKind::Raw;
        let within = output.get(span.output_range().start..at).filter(|_| raw).unwrap_or_default();
        Some(span.line() + within.matches('\n').count())
    }
}

/// Where the text of a line begins, after its spaces.
fn line_start(text: &str, line: usize) -> Option<usize> {
    let mut start = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        if number + 1 == line {
            return Some(start + content.len() - content.trim_start_matches(' ').len());
        }
        start += content.len();
    }
    None
}

#[cfg(test)]
mod tests;
