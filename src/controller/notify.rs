//! Has a resource notified of changes of its tables, where that can be had.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Error;
use super::listen::{Endpoint, Interest, Keyed};
use super::memory::Memory;
use super::notified::Notified;
use super::pass::{Pass, limits};
use crate::crd::ChangeDetectionMode;
use crate::logic::detect::{Detection, Fingerprint};
use crate::logic::keyed::Whole;
use crate::logic::outcome;
use crate::logic::triggers::{Wanted, Watched};
use crate::logic::validate::Validated;
use crate::postgres::{self, Lease, Pool, Unwatched};

/// How long the first read waits for the listener, so that it need not be repeated.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there are no notifications.
enum Hindrance {
    /// It is known.
    Known(String),
    /// The database did not say.
    Unknown(postgres::Error),
}

impl From<String> for Hindrance {
    fn from(why: String) -> Self {
        Self::Known(why)
    }
}

impl From<postgres::Error> for Hindrance {
    fn from(error: postgres::Error) -> Self {
        if error.tells_nothing() { Self::Unknown(error) } else { Self::Known(error.to_string()) }
    }
}

impl Pass<'_> {
    /// Listens for changes of the tables that were found, unless it does so already. What stands against it is no error:
    /// changes are looked for then. It is one not to find that out: nothing might ask again for as long as the query rests.
    pub(super) async fn listen(
        &self,
        memory: &mut Memory,
        valid: &Validated,
        pool: &Arc<Pool>,
        print: Option<&Fingerprint>,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let (Some(detection), Some(print)) = (&valid.detection, print) else {
            memory.notified.subscription = None;
            return Ok(());
        };
        if valid.mode == ChangeDetectionMode::Poll {
            memory.notified.subscription = None;
            return Ok(());
        }
        let notified = &mut memory.notified;
        // Now and then also where all is well: a view or function may be another one by now, and nothing tells.
        if notified.is_due(now) {
            notified.tried = Some(now);
            match self.try_to_listen(notified, valid, detection, pool, print).await {
                Ok(()) => notified.why_not = None,
                Err(Hindrance::Unknown(error)) => return Err(Error::Query(error)),
                Err(Hindrance::Known(why)) => {
                    notified.subscription = None;
                    notified.keyed = None;
                    notified.why_not = Some(why);
                }
            }
        }
        if let Some(subscription) = &mut notified.subscription {
            subscription.settled(PATIENCE).await;
        }
        if notified.is_heard() {
            notified.had = Some(detection.clone());
        }
        Ok(())
    }

    async fn try_to_listen(
        &self,
        notified: &mut Notified,
        valid: &Validated,
        detection: &Detection,
        pool: &Arc<Pool>,
        print: &Fingerprint,
    ) -> Result<(), Hindrance> {
        if let Err(why) = print.can_notify(detection, valid.mode) {
            return Err(Hindrance::Known(why + &self.mend(valid, pool, print).await?));
        }
        let mut lease = pool.lease().await?;
        let mut plan = lease.session.may_read_keyed(&valid.query, &limits(valid), &detection.tables).await?;
        let (mut tables, mut keyed) = (Vec::new(), Vec::new());
        for (index, (watched, mark)) in detection.tables.iter().zip(print.tables()).enumerate() {
            let oid = mark.oid as u32;
            let by = plan.tables.get(index).and_then(|table| table.as_ref().ok()).filter(|table| table.oid == oid);
            let key = by.map_or(&[][..], |table| &table.key);
            let keys = key.iter().map(|column| column.as_str().to_owned()).collect();
            // How many operators may listen is not for one of them to say.
            let mut wanted = Wanted { oid, keys: Some(keys), slots: None };
            let ensured = self.ensure_watched(&mut lease, valid, &mut wanted, index > 0).await;
            if wanted.columns().len() < key.len() {
                plan.tables[index] = Err(Whole::not_sent(key));
            }
            let found = ensured.map_err(|why| match why {
                Unwatched::Failed(error) if error.tells_nothing() => Hindrance::Unknown(error),
                why => Hindrance::Known(format!("{}: {why}", watched.table_field())),
            })?;
            if let Some(columns) = wanted.keys.filter(|columns| !columns.is_empty()) {
                keyed.push(Keyed { table: oid, columns, is_first: index == 0 });
            }
            self.tell_of_made(&found).await;
            tables.push((mark.oid, i32::from(found.slots)));
        }
        lease.give_back();
        let settings = valid.notify_settings.as_ref().unwrap_or(&valid.settings).clone();
        let interest = Interest { settings, tables, keyed };
        notified.keyed = Some(Arc::new(plan));
        if notified.subscription.as_ref().is_none_or(|subscription| *subscription.interest() != interest) {
            let subscription = self.ctx.listeners.subscribe(interest, notified.wakes.clone());
            notified.subscription = Some(subscription?);
        }
        Ok(())
    }

    /// Makes triggers anew that a table got before a foreign table became part of it: as they are, statements that reach
    /// that one fail. What to say where it cannot be done.
    async fn mend(&self, valid: &Validated, pool: &Arc<Pool>, print: &Fingerprint) -> Result<String, postgres::Error> {
        let foreign = print.tables().iter().filter(|mark| mark.signals.partly_foreign);
        let oids: Vec<u32> = foreign.map(|mark| mark.oid as u32).collect();
        let mut unfit = String::new();
        if oids.is_empty() {
            return Ok(unfit);
        }
        let mut lease = pool.lease().await?;
        for watch in lease.session.triggers(&oids, &limits(valid)).await? {
            if watch.sends.is_none() || watch.missing.is_empty() {
                continue;
            }
            let wanted = Wanted { oid: watch.oid, keys: Some(Vec::new()), slots: None };
            match self.ensure_made(&mut lease, valid, &wanted).await {
                Ok(made) => self.tell_of_made(&made).await,
                Err(why) => unfit += &format!("; its triggers let statements fail that reach them: {why}"),
            }
        }
        lease.give_back();
        Ok(unfit)
    }

    /// Tells the user what was made in the database.
    async fn tell_of_made(&self, watched: &Watched) {
        for created in &watched.created {
            let notice = outcome::installed(created);
            tracing::info!(dbqr = %self.owner, "{}", notice.note);
            self.ctx.cluster.publish(&self.dbqr.metadata, &notice).await;
        }
    }

    /// Sees to it that the changes of a table are sent; where it cannot be had as wanted and `may_lack_keys`, without
    /// keys: what is wanted has none any more then.
    async fn ensure_watched(
        &self,
        lease: &mut Lease,
        valid: &Validated,
        wanted: &mut Wanted,
        may_lack_keys: bool,
    ) -> Result<Watched, Unwatched> {
        let ensured = self.ensure_made(lease, valid, wanted).await;
        if !matches!(ensured, Err(Unwatched::Missing(_))) || !may_lack_keys || wanted.columns().is_empty() {
            return ensured;
        }
        let keyless = Wanted { keys: Some(Vec::new()), ..wanted.clone() };
        match lease.session.ensure_watched(&keyless, false, &limits(valid)).await {
            Err(Unwatched::Missing(_)) => ensured,
            keyless_too => {
                *wanted = keyless;
                keyless_too
            }
        }
    }

    /// Sees to it that the changes of a table are sent, and makes what is missing for that when its turn has come: where
    /// somebody has tried in vain lately, that is what is wrong.
    async fn ensure_made(&self, lease: &mut Lease, valid: &Validated, wanted: &Wanted) -> Result<Watched, Unwatched> {
        let (turns, table) = (&self.ctx.turns, (Endpoint::of(&valid.settings), wanted.oid));
        let (mut turn, mut is_too_early) = (None, false);
        let may_make = async |lacks: bool| {
            if !self.ctx.installs_triggers {
                return false;
            }
            // What is there may be of an older edition, which locks no table.
            if !lacks {
                return !turns.has_failed(&table);
            }
            turn = turns.take(table.clone()).await;
            is_too_early = turn.is_none();
            turn.is_some()
        };
        let ensured = lease.session.ensure_watched_if(wanted, may_make, &limits(valid)).await;
        if let Some(turn) = turn {
            turn.end(&ensured);
        }
        match ensured {
            Err(Unwatched::Missing(missing)) if is_too_early => Err(Unwatched::Missing(missing.too_early())),
            ensured => ensured,
        }
    }
}
