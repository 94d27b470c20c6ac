//! Objects that were seen to go: one that only lost our label looks the same to a watch and to a listing by label. Where a
//! row wants it, it is met like any other; where none does, it is looked up here, so that it does not stay behind.

use std::collections::BTreeMap;

use super::listing::look_up;
use super::memory::Memory;
use super::pass::Pass;

impl Pass<'_> {
    /// Looks up what was seen to go and no row wants. What cannot be looked up, and why, waits for the next time.
    pub(super) async fn look_after(&self, memory: &mut Memory) -> Option<String> {
        let mut failed = None;
        for (ids, found) in look_up(self.ctx, &self.owner, memory.state.missed()).await {
            match found {
                Err(error) => failed = ids.first().map(|id| format!("{id} could not be looked up: {error}")),
                Ok(found) => {
                    let mut found: BTreeMap<_, _> =
                        found.into_iter().map(|(_, owned)| (owned.id, owned.known)).collect();
                    for id in ids {
                        let known = found.remove(&id);
                        memory.state.look_after(id, known);
                    }
                }
            }
        }
        failed
    }
}
