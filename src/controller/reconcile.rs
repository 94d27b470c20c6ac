//! The pipeline: what one look at one DatabaseQueryResource does, in order.

use super::detect::Sought;
use super::error::Error;
use super::memory::Memory;
use super::pass::Pass;
use super::prune::Pruned;
use super::read::Seen;
use crate::logic::inventory::Inventory;
use crate::logic::outcome::{Done, Outcome};
use crate::logic::schedule::Look;
use crate::logic::validate::Validated;

/// 1. take over what another operator left  cluster
/// 2. let go of what is to be orphaned      cluster
/// 3. fetch what it refers to, validate     cluster, pure
/// 4. see what may have changed             postgres
/// 5. recall what exists, and watch it      cluster
/// 6. query, render each row                postgres, pure
/// 7. look up what is new                   cluster
/// 8. track: record new kinds               cluster
/// 9. apply what differs, and watch it      cluster
/// 10. prune what has no row                pure, cluster
pub async fn reconcile(pass: &Pass<'_>, memory: &mut Memory, look: Look) -> Result<Outcome, Error> {
    pass.take_over(memory).await?;
    pass.unrefer(memory).await?;
    let (valid, pool) = pass.validated(memory).await?;
    let sought = pass.seek(memory, &valid, &pool, look).await?;
    if matches!(sought, Sought::Nothing) {
        return Ok(Outcome::Unchanged(memory.notified.told(&valid, memory.fingerprint.as_ref())));
    }
    pass.recall(memory).await?;
    pass.follow(memory).await;
    let (mut read, seen) = pass.read(memory, &valid, &pool, sought).await?;
    pass.meet(memory, &mut read).await?;
    pass.track(memory).await?;
    pass.join(memory).await;
    pass.apply(memory, &valid).await?;
    pass.follow(memory).await;
    // Also where others wait: were it left to a pass that nothing overtakes, rows that go would never be heeded while
    // others change all the time. What is not applied yet keeps what it has.
    let pruned = pass.prune(memory, &valid, &read).await;
    let done = pass.done(memory, &valid, seen, pruned).await;
    memory.look_for_heritage();
    Ok(Outcome::Done(done.into()))
}

impl Pass<'_> {
    /// What became of the read.
    async fn done(&self, memory: &mut Memory, valid: &Validated, seen: Seen, pruned: Pruned) -> Done {
        memory.state.close();
        if let Some(print) = seen.print {
            memory.fingerprint = print;
        }
        let Pruned { all_kept, undeleted, misapproved } = pruned;
        let rows = memory.state.rows();
        let mut done = Done {
            rows: rows.count,
            query_time: seen.query_time,
            objects: memory.state.known().map_or(0, Inventory::len),
            under_way: memory.state.unfinished(),
            changed: std::mem::take(&mut memory.changed),
            failures: rows.failures.clone(),
            held: memory.state.held(),
            misapproved,
            all_kept,
            undeleted,
            untaken: memory.state.legacy.trouble(),
            needs_list: memory.state.legacy.is_open(),
            detection: memory.notified.told(valid, memory.fingerprint.as_ref()),
            language: Some(valid.template.language()),
            recorded: memory.state.recorded().clone(),
            whole: seen.whole,
        };
        if seen.whole {
            done.recorded.kinds = self.kinds_left(memory, &done).await;
            memory.state.record(done.recorded.clone());
        }
        done
    }
}
