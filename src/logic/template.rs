//! Templates: one row to the objects it asks for.
//!
//! Values are bound, never spliced. While a template is rendered a marker is written in a value's
//! place; the marked text is parsed as YAML, once for each text, and the values are put into the
//! parsed tree. What a row holds is never parsed.
//!
//! Each template language is an engine of its own, which renders to marked text; what becomes
//! of that is the same for all.

mod dns_label;
mod engine;
mod error;
mod go;
mod jinja;
mod language;
mod marked;
mod skeletons;

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

pub use error::TemplateError;
pub use language::Language;

use crate::logic::json::Json;
use crate::logic::yaml::slot::has_reserved;
use engine::{Engine, Marked, Rendering};
use skeletons::Skeletons;

/// Longer templates are refused.
pub const MAX_SOURCE: usize = 64 << 10;
/// Longer marked text is refused.
pub const MAX_OUTPUT: usize = 4 << 20;
/// A compiled template. Compile it once for a generation of the spec.
pub struct Template {
    language: Language,
    engine: Box<dyn Engine>,
    skeletons: Skeletons,
}

impl Template {
    /// Compiles a template of that language. Needs up to 32 MiB of stack for 64 KiB of source, as long chains of
    /// operators recurse: call it, and [`Renderer::render`], on a thread that has it.
    pub fn compile(source: &str, language: Language) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::new("the template is longer than 64 KiB"));
        }
        if has_reserved(source) {
            return Err(TemplateError::new("the characters U+E000 to U+E003 are reserved"));
        }
        let engine: Box<dyn Engine> = match language {
            Language::Jinja => Box::new(jinja::Jinja::compile(source)?),
            Language::Go => Box::new(go::Go::compile(source)?),
        };
        Ok(Self { language, engine, skeletons: Skeletons::default() })
    }

    /// Whether a row gives the same whenever it is rendered.
    pub fn is_timeless(&self) -> bool {
        self.engine.is_timeless()
    }

    /// The language it is written in.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The template at work on the rows of one read of a DatabaseQueryResource, which happened `now`.
    pub fn renderer(&self, dbqr: &Json, now: Timestamp) -> Renderer<'_> {
        Renderer { template: self, rendering: self.engine.rendering(dbqr, now) }
    }
}

/// A template together with the DatabaseQueryResource it is rendered for.
pub struct Renderer<'a> {
    template: &'a Template,
    rendering: Box<dyn Rendering + 'a>,
}

impl Renderer<'_> {
    /// Renders one row: its YAML documents in order, without those that are empty or null. See
    /// [`Template::compile`] for the stack it needs.
    pub fn render(&self, row: Json) -> Result<Vec<Json>, TemplateError> {
        let row = &Arc::new(row);
        let Marked { text, slots } = self.rendering.render(row)?;
        if text.len() > MAX_OUTPUT {
            return Err(TemplateError::new("the rendered text is longer than 4 MiB"));
        }
        let filled = self.template.skeletons.of(&text).and_then(|skeleton| skeleton.fill(slots.all()));
        filled.map_err(|e| {
            let line = line_start(&text, e.line).and_then(|at| self.rendering.line_of(row, at));
            TemplateError::new(e.reason).at_path(e.path).at_line(line)
        })
    }
}

/// Where the text of a line begins, after its spaces. What is amiss at the end is so from the last line on.
fn line_start(text: &str, line: usize) -> Option<usize> {
    let mut start = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        if number + 1 == line {
            return Some(start + content.len() - content.trim_start_matches(' ').len());
        }
        start += content.len();
    }
    (line > 0).then(|| text.trim_end().char_indices().next_back().map(|(at, _)| at)).flatten()
}

#[cfg(test)]
mod tests;
