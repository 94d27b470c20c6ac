//! Of several operators one works: this one stands by until it holds the Lease, works while it holds it, and ends when
//! it holds it no longer. To come back from a loss is to start anew: nothing that was begun before may go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use tokio::time::{sleep, sleep_until, timeout};

use super::jitter::jitter;
use super::registry::{self, Drained};
use super::{Context, start};
use crate::admin::Gate;
use crate::cluster::{Cluster, Error, Moment};
use crate::logic::kubernetes::TooOld;
use crate::logic::lease::{Election, Holder, Seen, Times, Verdict};

/// Longest time to let go of the Lease when the process stops; it runs out by itself otherwise.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);
/// Another writer of the same Lease is tried against so often meanwhile.
const RELEASE_TRIES: u32 = 3;

/// Why the controller ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The API server is too old.
    #[error("{0}")]
    TooOld(#[from] TooOld),
    /// The Lease was lost.
    #[error("leadership lost, so this process ends: {0}")]
    Lost(#[from] Lost),
}

/// How a Lease is lost.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It was not renewed in time. While the process was stopped it could not even fail.
    #[error("the lease was not renewed within {within:?} ({})", .trouble.as_ref().map_or("this process was held up".into(), Error::to_string))]
    NotRenewed {
        /// The renew deadline.
        within: Duration,
        /// What the last attempt failed of.
        trouble: Option<Error>,
    },
    /// Another process has it.
    #[error("the lease is held by {0}")]
    Taken(Holder),
}

/// Which Lease, and who wants it.
pub struct Candidate {
    namespace: String,
    name: String,
    election: Election,
    /// The Lease as we wrote it last, until an attempt to write it again.
    written: Option<Lease>,
}

/// What came of one attempt to get or to keep the Lease.
enum Attempt {
    Leads,
    Held(Holder),
    /// Somebody else wrote at the same moment.
    Outrun,
}

/// Works on all resources until the process is asked to stop; with a candidate, only while that holds its Lease.
pub async fn run(ctx: Arc<Context>, candidate: Option<Candidate>) -> Result<(), Ended> {
    if start::wait_for_server(&ctx).await?.is_stopped() {
        return Ok(());
    }
    let Some(mut candidate) = candidate else {
        ctx.health.has(Gate::Lease, "none is needed (--leader-elect=false)");
        ctx.metrics.leads(true);
        registry::run(ctx).await;
        return Ok(());
    };
    if !candidate.win(&ctx).await {
        return Ok(());
    }
    candidate.uid().into_iter().for_each(|uid| ctx.listeners.lead(uid));
    let ended = tokio::select! {
        // First what decides whether there may be a second.
        biased;
        lost = candidate.hold(&ctx) => Err(lost),
        drained = registry::run(ctx.clone()) => Ok(drained),
    };
    // From here on nothing of ours may be begun, whoever still tries.
    ctx.cluster.term().end();
    ctx.metrics.leads(false);
    match ended {
        Err(lost) => {
            tracing::error!(lease = %candidate.place(), "leadership lost: {lost}");
            ctx.health.waits(Gate::Lease, &format!("lost: {lost}"));
            Err(lost.into())
        }
        Ok(Drained::All) => {
            candidate.release(&ctx.cluster).await;
            Ok(())
        }
        // What they asked for last may still come to pass: the next waits until that is over.
        Ok(Drained::CutOff) => {
            tracing::warn!(lease = %candidate.place(), "the lease is not released, since passes were cut off");
            Ok(())
        }
    }
}

impl Candidate {
    /// A candidate for the Lease of this namespace and name. The identity must be no other process's, past or present.
    pub fn new(namespace: String, name: String, identity: String, times: Times) -> Self {
        Self { namespace, name, election: Election::new(identity, times), written: None }
    }

    /// The uid of the Lease that was won.
    fn uid(&self) -> Option<&str> {
        self.written.as_ref()?.metadata.uid.as_deref()
    }

    fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Waits until the Lease is ours; false if the process is asked to stop before.
    async fn win(&mut self, ctx: &Context) -> bool {
        let (mut stopping, lease) = (ctx.stopping.clone(), self.place());
        let mut told = String::new();
        loop {
            let news = match self.attempt(ctx).await {
                Ok(Attempt::Leads) => break,
                Ok(Attempt::Held(holder)) => Ok(format!("standing by: {lease} is held by {holder}")),
                Ok(Attempt::Outrun) => Ok(format!("standing by: {lease} was just written by another process")),
                Err(failure) => Err(format!("{lease}: {failure}")),
            };
            // A standby that can take over is as ready as it has to be: what else it needs it will get then.
            match &news {
                Ok(standing_by) => {
                    ctx.health.has(Gate::Lease, standing_by);
                    ctx.health.has(Gate::Secrets, "left to the leader");
                    ctx.health.has(Gate::Resources, "left to the leader");
                }
                Err(failure) => ctx.health.waits(Gate::Lease, failure),
            }
            let (Ok(text) | Err(text)) = &news;
            if *text != told {
                match &news {
                    Ok(standing_by) => tracing::info!("{standing_by}"),
                    Err(failure) => tracing::warn!("waiting for the lease {failure}"),
                }
                told.clone_from(text);
            }
            tokio::select! {
                () = sleep(self.election.times().next_look(jitter())) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return false,
            }
        }
        let me = self.election.identity();
        tracing::info!(lease, holder = me, "leading");
        ctx.health.has(Gate::Lease, &format!("{lease} is held by this process, {me}"));
        ctx.health.waits(Gate::Secrets, "not asked yet");
        ctx.health.waits(Gate::Resources, "not asked yet");
        ctx.metrics.leads(true);
        true
    }

    /// Renews the Lease until that fails for too long.
    async fn hold(&mut self, ctx: &Context) -> Lost {
        let times = *self.election.times();
        let mut trouble = None;
        let mut next = Instant::now() + times.retry_period();
        loop {
            let until = self.election.until().unwrap_or(next);
            sleep_until(next.min(until).into()).await;
            next = Instant::now() + times.retry_period();
            // Before all else: a process that was stopped wakes up here, or inside of an attempt.
            if self.election.is_over(Instant::now()) || !ctx.cluster.term().is_running() {
                return Lost::NotRenewed { within: times.renew_deadline(), trouble };
            }
            match self.attempt(ctx).await {
                Ok(Attempt::Leads) => trouble = None,
                Ok(Attempt::Held(holder)) => return Lost::Taken(holder),
                Ok(Attempt::Outrun) => {}
                Err(failure) => {
                    tracing::warn!(lease = %self.place(), "the lease could not be renewed: {failure}");
                    trouble = Some(failure);
                }
            }
        }
    }

    async fn attempt(&mut self, ctx: &Context) -> Result<Attempt, Error> {
        let within = self.election.attempt_within(Instant::now());
        timeout(within, self.try_to_lead(ctx)).await.unwrap_or(Err(Error::Timeout))
    }

    async fn try_to_lead(&mut self, ctx: &Context) -> Result<Attempt, Error> {
        let cluster = &ctx.cluster;
        // Whatever comes of it: the next attempt has to read, unless this one succeeds.
        if let Some(written) = self.written.take()
            && self.write(cluster, Some(&written)).await?
        {
            return Ok(Attempt::Leads);
        }
        let read = cluster.lease(&self.namespace, &self.name).await?;
        let seen = read.as_ref().map(Seen::of);
        let led = self.election.wonders(seen.as_ref()) && cluster.has_been_led(ctx.watch_namespace.as_deref()).await?;
        match self.election.see(seen, led, Instant::now()) {
            Verdict::Held(holder) => Ok(Attempt::Held(holder)),
            Verdict::Claim if self.write(cluster, read.as_ref()).await? => Ok(Attempt::Leads),
            Verdict::Claim => Ok(Attempt::Outrun),
        }
    }

    /// Claims the Lease; false if somebody was faster.
    async fn write(&mut self, cluster: &Cluster, before: Option<&Lease>) -> Result<bool, Error> {
        let sent = Moment::now();
        let claim = self.election.claim(before, Timestamp::now());
        let Some(stored) = cluster.write_lease(&self.namespace, &self.name, &claim).await? else { return Ok(false) };
        self.election.claimed(sent.0);
        cluster.term().lasts(self.election.times().renew_deadline(), sent);
        self.written = Some(stored);
        Ok(true)
    }

    /// Lets go of the Lease, so that the next need not wait until it runs out.
    async fn release(&mut self, cluster: &Cluster) {
        match timeout(RELEASE_WITHIN, self.try_to_release(cluster)).await.unwrap_or(Err(Error::Timeout)) {
            Ok(()) => tracing::info!(lease = %self.place(), "the lease is released"),
            Err(failure) => tracing::warn!(lease = %self.place(), "the lease could not be released: {failure}"),
        }
    }

    async fn try_to_release(&mut self, cluster: &Cluster) -> Result<(), Error> {
        for _ in 0..RELEASE_TRIES {
            let held = match self.written.take() {
                Some(written) => Some(written),
                None => cluster.lease(&self.namespace, &self.name).await?,
            };
            let Some(free) = held.and_then(|held| self.election.release(&held, Timestamp::now())) else {
                return Ok(());
            };
            if cluster.write_lease(&self.namespace, &self.name, &free).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::Timeout)
    }
}
