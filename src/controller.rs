//! The order of things: which DatabaseQueryResources there are, when each is looked at, and in which steps.
//! Decides nothing itself.

mod actor;
mod applies;
mod apply;
mod cleanup;
mod deep;
mod deletion;
mod detect;
mod drift;
mod error;
mod fetch;
mod follow;
mod jitter;
mod leader;
mod listen;
mod listing;
mod lock;
mod memory;
mod missed;
mod notified;
mod notify;
mod observe;
mod pass;
mod prune;
mod read;
mod recall;
mod reconcile;
mod registry;
mod report;
mod search;
mod seen;
mod start;
mod stop;
mod takeover;
mod turns;
mod wakes;

use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::Health;
use crate::cluster::Cluster;
use crate::logic::account::Account;
use crate::logic::rights::Rights;
use crate::metrics::Metrics;
use crate::postgres::Pools;

pub use deep::Deep;
pub use drift::Drift;
pub use leader::{Candidate, Ended, Lost, run};
pub use listen::{Bounds, Listeners};
pub use turns::Turns;

/// What every DatabaseQueryResource is worked on with. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// Connections to databases.
    pub pools: Arc<Pools>,
    /// What the flags allow.
    pub rights: Rights,
    /// Only resources of this namespace; all where None.
    pub watch_namespace: Option<String>,
    /// Where it is told what is waited for.
    pub health: Arc<Health>,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// What others do to objects of ours.
    pub drift: Arc<Drift>,
    /// Where templates are worked with.
    pub deep: Arc<Deep>,
    /// Connections that listen for notifications.
    pub listeners: Arc<Listeners>,
    /// Whether triggers are installed where a role may.
    pub installs_triggers: bool,
    /// Who makes those of which table.
    pub turns: Arc<Turns>,
    /// True once the process is asked to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Context {
    /// The same for a resource that names this account: objects are read and written in its name, wherever it may.
    fn in_name_of(&self, account: Option<Arc<Account>>) -> Self {
        match account {
            Some(account) => {
                let (cluster, rights) = (self.cluster.as_account(account), self.rights.of_account());
                Self { cluster, rights, ..self.clone() }
            }
            None => self.clone(),
        }
    }
}
