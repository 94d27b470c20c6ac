//! Deletes what has no row any more, after all else was done.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::deletion::delete;
use super::memory::Memory;
use super::pass::Pass;
use crate::cluster::Deleted;
use crate::logic::object::APPROVE_PRUNE;
use crate::logic::prune::Stale;
use crate::logic::sql::MOST_KEYS;
use crate::logic::state::{Read, Terms};
use crate::logic::validate::Validated;
use crate::logic::wake::Touched;

/// For so long deletions are begun whatever else there is to do.
const LONG: Duration = Duration::from_secs(2);

/// What became of what had no row.
#[derive(Default)]
pub(super) struct Pruned {
    /// Whether nothing was deleted, since it cannot be told which objects are those of failed rows.
    pub all_kept: bool,
    /// Deletions that the server refused.
    pub undeleted: Option<String>,
    /// The approval that fits nothing that is held back.
    pub misapproved: Option<String>,
}

impl Pass<'_> {
    /// Deletes what exists, is ours and has no row, if the guard believes it or a person approved it. Rows that failed
    /// keep their objects, and all objects where it cannot be told which are theirs.
    pub(super) async fn prune(&self, memory: &mut Memory, valid: &Validated, read: &Read) -> Pruned {
        let unseen = if valid.prune { self.look_after(memory).await } else { None };
        let approved = self.dbqr.annotation(APPROVE_PRUNE);
        let nonce = Timestamp::now().as_nanosecond().unsigned_abs();
        let Touched { rows: mut awaited, others } = memory.notified.wakes.keys();
        awaited.append(&mut memory.state.rows().showing(&others, MOST_KEYS));
        let terms = Terms { prune: valid.prune, guard: &valid.guard, approved, nonce, awaited: &awaited };
        let judgement = memory.state.judge(read, terms, Instant::now());
        let mut pruned = Pruned { all_kept: judgement.all_kept, ..Pruned::default() };
        let (begin, wakes) = (Instant::now(), memory.notified.wakes.clone());
        let interval = if memory.notified.is_heard() { valid.schedule.notified() } else { valid.schedule }.shortest();
        // The pass waits for those that have begun. Were many of them slow, as webhooks may make them, what changes
        // meanwhile would wait for all.
        let has_time = || begin.elapsed() < LONG || !wakes.is_some() && begin.elapsed() < interval;
        self.delete(memory, judgement.verdict.approved, false, &has_time).await;
        self.delete(memory, judgement.verdict.believed, true, &has_time).await;
        let undeletable = memory.state.undeletable().filter(|_| !judgement.all_kept);
        let undeleted = undeletable.map(|(id, why)| format!("{id} could not be deleted: {why}"));
        pruned.undeleted = undeleted.or(unseen);
        let fits = |digest: &str| memory.state.held().is_none_or(|held| held.digest == digest);
        pruned.misapproved =
            approved.filter(|digest| valid.prune && !judgement.all_kept && !fits(digest)).map(Into::into);
        pruned
    }

    /// Deletes objects: those that the guard believed, or those that were approved. The next pass goes on where there is
    /// no time for all.
    async fn delete(
        &self,
        memory: &mut Memory,
        objects: Vec<Stale>,
        are_believed: bool,
        has_time: &(dyn Fn() -> bool + Send + Sync),
    ) {
        let inventory = memory.state.listing();
        let objects = objects.into_iter().map(|stale| {
            let seen = inventory.deletable(&stale);
            (stale, seen)
        });
        let objects: Vec<_> = objects.collect();
        drop(inventory);
        let all = objects.len();
        let results = delete(self.ctx, &self.owner, objects, &|| self.stop.go_on() && has_time()).await;
        memory.outdated |= results.len() < all;
        for (stale, result) in results {
            let now = Instant::now();
            let deleted = match result {
                Ok(deleted) => deleted,
                Err(error) => {
                    memory.state.undeleted(&stale, error.reason(), &error.to_string(), now);
                    if error.may_be_done() {
                        memory.state.unanswered(stale, are_believed);
                    }
                    continue;
                }
            };
            let by_us = matches!(deleted, Deleted::Deleted | Deleted::Released);
            memory.changed.deleted += usize::from(deleted == Deleted::Deleted);
            memory.changed.released += usize::from(deleted == Deleted::Released);
            if let Some(inventory) = memory.state.known_mut() {
                match deleted {
                    Deleted::Protected => inventory.protect(&stale.0),
                    Deleted::Deleted | Deleted::AlreadyGone => inventory.delete(&stale.0),
                    Deleted::Released | Deleted::NotOurs(_) => inventory.remove(&stale.0),
                }
            }
            let is_gone = by_us || deleted == Deleted::AlreadyGone;
            memory.state.deleted(&stale, by_us && are_believed, is_gone, now);
        }
    }
}
