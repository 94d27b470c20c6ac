//! What a template language has to be able to do.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::TemplateError;
use crate::logic::json::Json;
use crate::logic::yaml::slot::Slots;

/// A template compiled by one language.
pub(super) trait Engine: Send + Sync {
    /// Whether the time of the read has no say.
    fn is_timeless(&self) -> bool;

    /// The template at work for one DatabaseQueryResource and one read, which happened `now`.
    fn rendering<'a>(&'a self, dbqr: &Json, now: Timestamp) -> Box<dyn Rendering + 'a>;
}

/// Renders rows for one DatabaseQueryResource.
pub(super) trait Rendering {
    /// One row's text, with markers in the places of its values.
    fn render(&self, row: &Arc<Json>) -> Result<Marked, TemplateError>;

    /// The template's line that writes this place (in bytes) of the row's marked text, if that can be told.
    /// Asked only after an error, so it may take its time.
    fn line_of(&self, row: &Arc<Json>, at: usize) -> Option<usize>;
}

/// Text with markers, and the values they stand for.
pub(super) struct Marked {
    pub(super) text: String,
    pub(super) slots: Slots,
}
