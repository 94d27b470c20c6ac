//! The order of things: which DatabaseQueryResources there are, when each is looked at, and in which steps.
//! Decides nothing itself.

mod actor;
mod cleanup;
mod deep;
mod error;
mod memory;
mod reconcile;
mod registry;
mod report;
mod stop;

use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::logic::rights::Rights;
use crate::postgres::Pools;

pub use registry::run;

/// What every DatabaseQueryResource is worked on with.
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// Connections to databases.
    pub pools: Pools,
    /// What the flags allow.
    pub rights: Rights,
    /// Only resources of this namespace; all where None.
    pub watch_namespace: Option<String>,
    /// True once the process is asked to stop.
    pub stopping: watch::Receiver<bool>,
}
