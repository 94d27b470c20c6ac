//! What is seen of one DatabaseQueryResource, and what of it is a reason to look.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crd::Dbqr;
use crate::metrics::Source;

/// What an actor sees of the world: always the latest, never a queue.
#[derive(Clone)]
pub struct Seen {
    /// The resource as it was seen last.
    pub dbqr: Arc<Dbqr>,
    /// Whether it was ever seen being deleted with `--cascade=orphan`. The garbage collector takes its mark of that off
    /// as soon as it has done its own part.
    pub orphaned: bool,
    /// Whether its deletion began while nobody looked, so that the mark may have been there and gone.
    pub unattended: bool,
    /// Grows when one of its Secrets, or its account, changes.
    pub needs_changed: u64,
}

/// The parts of [`Seen`] that are a reason to look; status and finalizers are not.
#[derive(PartialEq)]
pub struct Reason {
    generation: Option<i64>,
    deleting: bool,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    needs_changed: u64,
}

impl Reason {
    /// Of a resource as it was seen.
    pub fn of(seen: &Seen) -> Self {
        let metadata = &seen.dbqr.metadata;
        Self {
            generation: metadata.generation,
            deleting: seen.dbqr.is_deleting(),
            labels: metadata.labels.clone(),
            annotations: metadata.annotations.clone(),
            needs_changed: seen.needs_changed,
        }
    }

    /// What is different from before.
    pub fn source(&self, before: Option<&Self>) -> Source {
        match before {
            Some(before) if before.needs_changed != self.needs_changed => Source::Secret,
            _ => Source::Resource,
        }
    }
}
