//! What a watch has shown of objects that resources refer to, to tell a change from a listing of what was known.

use std::collections::HashMap;

use kube::api::PartialObjectMeta;
use kube::runtime::watcher::Event;

use super::Key;

/// One word for each object, by its name: what may differ where it changed.
#[derive(Default)]
pub(super) struct Versions {
    words: HashMap<Key, Option<String>>,
    /// Whether the first listing is complete.
    pub listed: bool,
}

impl Versions {
    /// Takes note; returns which object it is if it changed. `word` reads what counts as a change.
    pub fn see<K>(
        &mut self,
        event: Event<PartialObjectMeta<K>>,
        word: impl Fn(&PartialObjectMeta<K>) -> Option<String>,
    ) -> Option<Key> {
        let (object, word) = match event {
            Event::Init => return None,
            Event::InitDone => {
                self.listed = true;
                return None;
            }
            Event::InitApply(object) | Event::Apply(object) => {
                let word = word(&object);
                (object, Some(word))
            }
            Event::Delete(object) => (object, None),
        };
        let key = (object.metadata.namespace?, object.metadata.name?);
        let before = match &word {
            Some(word) => self.words.insert(key.clone(), word.clone()),
            None => self.words.remove(&key),
        };
        (self.listed && before != word).then_some(key)
    }
}
