//! Texts that thousands of objects have alike, each kept once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::lock;

/// Texts that nobody holds any more are looked for when there are so many, and at each doubling.
const SWEEP_AT: usize = 1024;

#[derive(Default)]
pub(super) struct Texts(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    texts: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Texts {
    /// The one that is kept of this text.
    pub fn shared(&self, text: &str) -> Arc<str> {
        let mut kept = lock(&self.0);
        if let Some(text) = kept.texts.get(text) {
            return text.clone();
        }
        if kept.texts.len() >= kept.sweep_at.max(SWEEP_AT) {
            kept.texts.retain(|text| Arc::strong_count(text) > 1);
            kept.sweep_at = 2 * kept.texts.len();
        }
        let text: Arc<str> = text.into();
        kept.texts.insert(text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once_and_only_while_somebody_has_them() {
        let texts = Texts::default();
        let one = texts.shared("one");
        assert!(Arc::ptr_eq(&one, &texts.shared("one")));
        for number in 0..10 * SWEEP_AT {
            texts.shared(&number.to_string());
        }
        assert!(lock(&texts.0).texts.len() <= SWEEP_AT);
        assert!(Arc::ptr_eq(&one, &texts.shared("one")));
    }
}
