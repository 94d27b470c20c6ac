//! Parsed skeletons by their marked text: most rows of a table give the same, with other values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::logic::yaml::{Skeleton, YamlError};

/// Skeletons kept for each template: one for each way through its conditions and loops.
pub(super) const MAX_KEPT: usize = 64;
/// Their texts together, in bytes; the trees take up to thirty times as much. Longer text is parsed anew each time.
const MAX_BYTES: usize = 256 << 10;

/// The skeletons of one template.
#[derive(Default)]
pub(super) struct Skeletons(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_text: HashMap<String, Arc<Skeleton>>,
    bytes: usize,
}

impl Skeletons {
    /// The skeleton of a text.
    pub(super) fn of(&self, marked: &str) -> Result<Arc<Skeleton>, YamlError> {
        // A poisoned cache is as good as any: entries are complete when they are put in.
        if let Some(found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).by_text.get(marked) {
            return Ok(found.clone());
        }
        let parsed = Arc::new(Skeleton::parse(marked)?);
        if marked.len() <= MAX_BYTES {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.by_text.len() >= MAX_KEPT || kept.bytes + marked.len() > MAX_BYTES {
                *kept = Kept::default();
            }
            if kept.by_text.insert(marked.to_owned(), parsed.clone()).is_none() {
                kept.bytes += marked.len();
            }
        }
        Ok(parsed)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_text.len()
    }
}
