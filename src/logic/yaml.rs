//! YAML with holes: text that carries markers instead of values is parsed into a skeleton, and the
//! values are put into the parsed tree. So a value is never read as YAML, whatever it holds.
//!
//! The steps, each its own module:
//! * [`slot`]: what a marker stands for, and what it looks like as text;
//! * `splice`: makes lines that consist of a tree's marker parse at the place they stand;
//! * `skeleton`: marked text to tree, once per text;
//! * `fill`: tree and values to JSON, once per row;
//! * `scalar`: one scalar of it, with its holes;
//! * `schema`: what an unquoted word of the template means;
//! * `emit`: JSON to YAML text, where a tree is wanted as text.

mod emit;
mod fill;
mod scalar;
mod schema;
mod skeleton;
pub mod slot;
mod splice;

use std::fmt;

use crate::logic::json::Json;

pub use emit::to_yaml;
pub use skeleton::Skeleton;

/// More documents than this in one text are refused.
pub const MAX_DOCUMENTS: usize = 100;
/// More keys, values and brackets than this in one text are refused: no object that large could be stored.
pub const MAX_NODES: usize = 300_000;
/// Deeper nesting than this is refused, in the text as well as in what values put into it.
pub const MAX_DEPTH: usize = 64;

/// What is wrong with the YAML. Holds nothing but text of the template: no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Line of the marked text, from 1.
    pub line: usize,
    /// Path of the node, such as `spec.template.labels`; empty where unknown or at the top.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl YamlError {
    fn at(line: usize, reason: impl Into<String>) -> Self {
        Self { line, path: String::new(), reason: reason.into() }
    }

    /// Adds what stands above the node, as the error travels up the tree.
    fn below(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        Ok(())
    }
}

impl std::error::Error for YamlError {}

/// Parses YAML that has no markers: the documents that are not null, as JSON.
pub fn parse(text: &str) -> Result<Vec<Json>, YamlError> {
    if slot::has_reserved(text) {
        return Err(YamlError::at(1, "the characters U+E000 to U+E003 are reserved"));
    }
    Skeleton::parse(text)?.fill(&[])
}

#[cfg(test)]
mod tests;
