//! Before anything else: an API server that answers and is not too old.

use std::time::Instant;

use super::Context;
use super::jitter::jitter;
use crate::admin::Gate;
use crate::logic::kubernetes::TooOld;
use crate::logic::retry::Retry;

/// How the wait ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The server is there.
    Found,
    /// The process is asked to stop.
    Stopped,
}

impl Waited {
    /// Whether there is nothing more to do.
    pub fn is_stopped(self) -> bool {
        self == Self::Stopped
    }
}

/// Asks for the version until there is an answer.
pub async fn wait_for_server(ctx: &Context) -> Result<Waited, TooOld> {
    let mut stopping = ctx.stopping.clone();
    tokio::select! {
        found = found(ctx) => found.map(|()| Waited::Found),
        _ = stopping.wait_for(|stopping| *stopping) => Ok(Waited::Stopped),
    }
}

async fn found(ctx: &Context) -> Result<(), TooOld> {
    let mut retry = Retry::new(Instant::now());
    let reported = loop {
        match ctx.cluster.version().await {
            Ok(reported) => break reported,
            Err(failure) => {
                let wait = retry.next(jitter());
                tracing::warn!("waiting for the API server: {failure}; next try in {:.1} s", wait.as_secs_f64());
                ctx.health.waits(Gate::ApiServer, &failure.to_string());
                tokio::time::sleep(wait).await;
            }
        }
    };
    let version = reported.supported().inspect_err(|old| ctx.health.waits(Gate::ApiServer, &old.to_string()))?;
    match version {
        Some(version) => {
            tracing::info!(kubernetes = %version, "the API server answers");
            ctx.health.has(Gate::ApiServer, &format!("Kubernetes {version}"));
        }
        None => {
            tracing::warn!("the API server answers, but its version cannot be read: it may be too old");
            ctx.health.has(Gate::ApiServer, "Kubernetes of an unknown version");
        }
    }
    Ok(())
}
