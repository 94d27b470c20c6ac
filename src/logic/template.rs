//! Templates: one row to the objects it asks for.
//!
//! Values are bound, never spliced. While a template is rendered a marker is written in a value's
//! place; the marked text is parsed as YAML, once for each text, and the values are put into the
//! parsed tree. What a row holds is never parsed.
//!
//! Each template language is an engine of its own, which renders to marked text; what becomes
//! of that is the same for all.

mod engine;
mod error;
mod jinja;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use error::TemplateError;
use foldhash::fast::RandomState;

use crate::logic::json::Json;
use crate::logic::yaml::slot::has_reserved;
use crate::logic::yaml::{Skeleton, YamlError};
use engine::{Engine, Marked, Rendering};

/// Longer templates are refused.
pub const MAX_SOURCE: usize = 64 << 10;
/// Longer marked text is refused.
pub const MAX_OUTPUT: usize = 4 << 20;
/// Skeletons kept for each template: one for each way through its conditions and loops.
const MAX_SKELETONS: usize = 64;
/// Longer marked text is parsed anew each time.
const MAX_KEPT: usize = 256 << 10;

/// A compiled template. Compile it once for a generation of the spec.
pub struct Template {
    engine: Box<dyn Engine>,
    skeletons: Mutex<HashMap<String, Arc<Skeleton>, RandomState>>,
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
        Ok(Self { engine: Box::new(jinja::Jinja::compile(source)?), skeletons: Mutex::default() })
    }

    /// Renders one row: its YAML documents in order, without those that are empty or null. See
    /// [`compile`](Self::compile) for the stack it needs.
    pub fn render(&self, row: &Json, dbqr: &Json) -> Result<Vec<Json>, TemplateError> {
        self.renderer(dbqr).render(row.clone())
    }

    /// Renders many rows of one DatabaseQueryResource, which is converted once.
    pub fn renderer(&self, dbqr: &Json) -> Renderer<'_> {
        Renderer { template: self, rendering: self.engine.rendering(dbqr) }
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
    rendering: Box<dyn Rendering + 'a>,
}

impl Renderer<'_> {
    /// Renders one row, as [`Template::render`].
    pub fn render(&self, row: Json) -> Result<Vec<Json>, TemplateError> {
        let row = &Arc::new(row);
        let Marked { text, slots } = self.rendering.render(row)?;
        if text.len() > MAX_OUTPUT {
            return Err(TemplateError::new("the rendered text is longer than 4 MiB"));
        }
        let filled = self.template.skeleton(&text).and_then(|skeleton| skeleton.fill(slots.all()));
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
