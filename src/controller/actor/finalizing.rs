//! What an actor does when its resource is being deleted: it cleans up, then lets the resource go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::{Actor, Again, Seen, now};
use crate::cluster::AccountError;
use crate::controller::cleanup::{self, Manner};
use crate::controller::error::Error;
use crate::controller::jitter::jitter;
use crate::controller::search::search;
use crate::controller::takeover;
use crate::crd::{Dbqr, DeletionPolicy, Status};
use crate::logic::account::Account;
use crate::logic::inventory::Inventory;
use crate::logic::object::{FINALIZER, GroupKind};
use crate::logic::outcome::{self, Outcome, Undone};

impl Actor {
    /// Cleans up, and lets the resource go where that is done.
    pub(super) async fn finalize(&mut self, seen: &Seen) {
        let dbqr = &seen.dbqr;
        self.drain().await;
        match self.clean_up(seen).await {
            Ok(()) => {
                tracing::info!(dbqr = %self.owner, "cleaned up");
                self.again = None;
                self.finalized = true;
            }
            Err(Error::Stopped) => {
                tracing::warn!(dbqr = %self.owner, "not cleaned up to the end: its finalizer was taken off meanwhile");
                self.finalized = true;
            }
            Err(error) => {
                tracing::warn!(dbqr = %self.owner, reason = error.reason(), "{error}");
                self.series.failed(error.reason());
                let outcome = Outcome::Failed(error.failed());
                self.plan_retry(&outcome);
                let status = outcome::status(self.report.latest(), &outcome, dbqr.metadata.generation, None, now());
                self.report.set(status);
            }
        }
    }

    /// Makes sure that the resource does not go without us.
    pub(super) async fn guard(&mut self, dbqr: &Dbqr) -> Result<(), Error> {
        if dbqr.has_finalizer(FINALIZER) {
            return Ok(());
        }
        self.ctx.cluster.add_finalizer(&dbqr.metadata).await.map_err(Error::Guard)?;
        let latest = self.report.latest();
        if latest.kinds.is_empty() && dbqr.listed.is_empty() {
            // Nothing was made for it yet: should the process end before it tells more, nobody has to search for objects.
            self.report.set(Status { managed_resources: Some(0), ..latest.clone() });
        }
        Ok(())
    }

    /// The same where nothing else is done for it.
    pub(super) async fn hold(&mut self, dbqr: &Dbqr) {
        let now = Instant::now();
        if !dbqr.has_finalizer(FINALIZER) && self.again.is_some_and(|again| now < again.at) {
            return;
        }
        self.again = match self.guard(dbqr).await {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(dbqr = %self.owner, reason = error.reason(), "{error}");
                self.series.failed(error.reason());
                Some(Again { at: now + self.retry.next(jitter()), holds: true })
            }
        };
    }

    /// Waits for what is under way: what it creates has to be found afterwards.
    pub(super) async fn drain(&mut self) {
        while !self.memory.applies.is_empty() {
            let landed = self.memory.applies.next().await;
            self.memory.land(&self.owner, landed, None);
        }
    }

    async fn clean_up(&mut self, seen: &Seen) -> Result<(), Error> {
        let dbqr = &seen.dbqr;
        let keep = seen.orphaned || dbqr.deletion_policy == DeletionPolicy::Orphan;
        let account = Account::of(dbqr);
        let lost = self.lost(account.as_ref()).await;
        let ctx = self.ctx.in_name_of(account);
        // Once it is gone there may be another of its name, whose objects have the same labels.
        let watched = self.seen.clone();
        let is_there = move || watched.has_changed().is_ok();
        let (mut untaken, mut in_the_way) = (Vec::new(), None);
        self.memory.state.legacy.forget();
        takeover::read(&ctx, dbqr, &self.owner, &mut self.memory, keep).await;
        let refused = takeover::take_over(&ctx, dbqr, &self.owner, &mut self.memory, keep, &is_there).await;
        for (id, error) in refused.map_err(Error::Track)? {
            if keep || lost.is_none() || !error.lacks_rule() {
                in_the_way = Some(format!("{id} could not be taken over from the Go operator: {error}"));
            } else {
                untaken.push(Undone::Object(id));
            }
        }
        if self.memory.kinds_lost {
            let found = search(&ctx, dbqr, &self.owner).await;
            let found = found.map_err(|error| Error::CleanUp(format!("could not search all kinds: {error}")))?;
            self.memory.state.record(self.memory.with(found));
            self.memory.kinds_lost = false;
        }
        // What is stored counts as well: it was written by whoever worked on the resource before.
        let stored = dbqr.status.kinds.iter().map(|kind| GroupKind::parse(kind));
        let kinds =
            self.memory.state.recorded().kinds.iter().cloned().chain(stored).collect::<BTreeSet<_>>().into_iter();
        let manner = Manner { keep, unattended: seen.unattended, account_is_gone: lost.is_some() };
        let known = self.memory.state.known().into_iter().flat_map(Inventory::all).cloned().collect();
        let mut undone = cleanup::clean_up(&ctx, dbqr, &self.owner, kinds, known, manner, &is_there).await?;
        // The others need not wait for it.
        if let Some(why) = in_the_way {
            return Err(Error::CleanUp(why));
        }
        undone.extend(untaken);
        if let Some(account) = lost.filter(|_| !undone.is_empty()) {
            let notice = outcome::left_behind(&account, &undone);
            tracing::warn!(dbqr = %self.owner, reason = notice.reason, "{}", notice.note);
            self.ctx.cluster.publish(&dbqr.metadata, &notice).await;
        }
        self.let_go(dbqr).await
    }

    /// The account, if it is certain that it does not exist.
    async fn lost(&self, account: Option<&Arc<Account>>) -> Option<Arc<Account>> {
        match self.ctx.cluster.find_account(account?).await {
            Err(AccountError::NotFound(account)) => Some(account),
            _ => None,
        }
    }

    async fn let_go(&self, dbqr: &Dbqr) -> Result<(), Error> {
        let removed = self.ctx.cluster.remove_finalizers(&dbqr.metadata).await;
        removed.map_err(|error| Error::CleanUp(error.to_string()))
    }
}
