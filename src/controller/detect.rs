//! Whether anything may have changed in the database since it was last read, and which rows it may be.

use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use super::memory::Memory;
use super::pass::{Pass, limits};
use crate::logic::detect::Fingerprint;
use crate::logic::keyed::KeyedPlan;
use crate::logic::schedule::Look;
use crate::logic::validate::Validated;
use crate::logic::wake::Touched;
use crate::postgres::Pool;

/// The fingerprint of the watched tables; None where changes are not looked for. Take it before the read it is to
/// stand for: what changes in between then differs from it. `before` is the last one that was remembered.
pub async fn look(
    pool: &Arc<Pool>,
    valid: &Validated,
    before: Option<&Fingerprint>,
) -> Result<Option<Fingerprint>, Error> {
    let Some(detection) = &valid.detection else { return Ok(None) };
    let mut lease = pool.lease().await.map_err(Error::Query)?;
    let looked = lease.session.probe(&valid.query, &limits(valid), detection, before).await.map_err(Error::Query)?;
    lease.give_back();
    Ok(Some(looked))
}

/// What is to be read.
pub enum Sought {
    /// Nothing: all is as it was.
    Nothing,
    /// All rows; the fingerprint of the watched tables from before.
    All(Option<Fingerprint>),
    /// What these keys are about.
    Keys(Arc<KeyedPlan>, Touched),
}

impl Pass<'_> {
    /// What is to be read, given why one looks. Whatever was notified by now is heeded with it.
    pub(super) async fn seek(
        &self,
        memory: &mut Memory,
        valid: &Validated,
        pool: &Arc<Pool>,
        why: Look,
    ) -> Result<Sought, Error> {
        let is_due = memory.notified.is_due(Instant::now());
        if why == Look::Woken
            && !is_due
            && let Some(keys) = memory.keys_that_woke()
        {
            return Ok(keys);
        }
        let print = self.unless_stopped(look(pool, valid, memory.fingerprint.as_ref())).await?;
        if memory.notified.wakes.is_redefined() {
            memory.notified.found_wrong();
        }
        let before = memory.notified.keyed().filter(|_| why == Look::Woken && is_due).cloned();
        if why == Look::Probe && print.is_some() && print == memory.fingerprint && !memory.notified.wakes.is_some() {
            if memory.notified.again().is_some_and(|at| Instant::now() >= at) {
                self.listen(memory, valid, pool, print.as_ref()).await?;
            }
            // From when on all is notified, nobody says to who comes late: what came before is read as a whole.
            if !memory.notified.is_heard() {
                return Ok(Sought::Nothing);
            }
        }
        self.listen(memory, valid, pool, print.as_ref()).await?;
        // A view, a function or a policy may be another one since somebody asked last, and nothing tells.
        if before.is_some()
            && memory.notified.keyed() == before.as_ref()
            && let Some(keys) = memory.keys_that_woke()
        {
            return Ok(keys);
        }
        let since = memory.notified.heed().map(|pending| pending.since);
        memory.heed(since);
        Ok(Sought::All(print))
    }
}

impl Memory {
    /// What came then is read now; what was read before and not applied is older.
    fn heed(&mut self, since: Option<Instant>) {
        self.since = [self.since, since].into_iter().flatten().min();
    }

    /// The keys that were notified, where it is enough to read their rows.
    fn keys_that_woke(&mut self) -> Option<Sought> {
        let plan = self.notified.keyed().filter(|_| self.state.is_certain())?.clone();
        let (keys, since) = self.notified.wakes.take_keys()?;
        self.heed(Some(since));
        Some(Sought::Keys(plan, keys))
    }
}
