//! Talks to the Kubernetes API server: finds kinds, lists, applies and deletes objects, reports. It decides
//! nothing, knows no database, and what it hands on of a failure holds none of the server's words.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::layer::layer_fn;

use crate::logic::account::Account;

mod account;
mod answers;
mod apply;
mod claims;
mod events;
mod failure;
mod fence;
mod fetch;
mod inherit;
mod initial;
mod inventory;
mod kinds;
mod lease;
mod lookup;
mod overtaken;
mod prune;
mod refusal;
mod release;
mod request;
mod slots;
mod status;
mod term;
mod texts;
mod version;
mod watch;

pub use account::AccountError;
pub use answers::OnAnswer;
pub use apply::{Applied, ApplyError, Change, Conflict, Terms};
pub use failure::{Asked, Cause, Failure, Finding, Form, Refused};
pub use fetch::FetchError;
pub use inventory::{Owned, Scope};
pub use kinds::{AllKinds, KindError};
pub use lookup::Onlooker;
pub use prune::Deleted;
pub use queue::CarriedOut;
pub use term::{Moment, Term};
pub use watch::WatchError;

mod queue;

/// What a request to the API server failed of.
pub type Error = Failure;

/// No answer within this time means that none will come.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How much is asked of the API server at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Applies in flight, all owners together.
    pub applies_in_flight: usize,
    /// Applies in flight for each owner, so that none starves another.
    pub per_owner: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { applies_in_flight: 64, per_owner: 32 }
    }
}

/// The cluster. Cheap to clone; all clones share connections, limits and what is known of kinds.
#[derive(Clone)]
pub struct Cluster {
    /// Requests: answers are due soon, and we retry ourselves.
    requests: Client,
    /// Watches: silent for long, retried by whoever watches.
    watches: Client,
    /// What is asked also by a process that does not work: for the Lease, and which server it is.
    aside: Client,
    term: Term,
    /// In whose name objects are read and written; None: the operator's own.
    account: Option<Arc<Account>>,
    shared: Arc<Shared>,
}

struct Shared {
    slots: slots::Slots,
    kinds: kinds::Kinds,
    claims: claims::Claims,
    texts: texts::Texts,
}

impl Cluster {
    /// Clients for this cluster; connects when first asked for something. Needs a Tokio runtime.
    pub fn new(config: Config, limits: Limits) -> Result<Self, Error> {
        let nobody: OnAnswer = Arc::new(|_, _| ());
        Self::bound(config, limits, Term::endless(), &nobody)
    }

    /// The same, and tells of every answer. Outside of the term nothing goes out but watches and what concerns the
    /// Lease; a request that is waiting when it ends is broken off.
    pub fn bound(config: Config, limits: Limits, term: Term, on_answer: &OnAnswer) -> Result<Self, Error> {
        let mut aside = config.clone();
        aside.read_timeout = Some(ANSWER_WITHIN);
        // Else the time a connection lay idle counts as well.
        aside.reset_reader_on_write = true;
        aside.default_retry = false;
        let senseless = |_| Failure::Unreachable("its address or credentials make no sense");
        let client = |config| {
            let told = layer_fn(|service| answers::Told { service, on_answer: on_answer.clone() });
            Ok(ClientBuilder::try_from(config).map_err(senseless)?.with_layer(&told).build())
        };
        let shared = Shared {
            slots: slots::Slots::new(limits),
            kinds: kinds::Kinds::default(),
            claims: claims::Claims::default(),
            texts: texts::Texts::default(),
        };
        Ok(Self {
            requests: fence::client(&config, term.clone(), on_answer).map_err(senseless)?,
            watches: client(config)?,
            aside: client(aside)?,
            term,
            account: None,
            shared: Arc::new(shared),
        })
    }

    /// The same, but objects are read and written in the name of this account. All else (kinds, Secrets, accounts,
    /// events, watches, the Lease and DatabaseQueryResources themselves) is asked for by the operator all the same.
    pub fn as_account(&self, account: Arc<Account>) -> Self {
        Self { account: Some(account), ..self.clone() }
    }

    /// In whose name objects are read and written; None: the operator's own.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// The same in the operator's own name.
    pub fn as_operator(&self) -> Self {
        Self { account: None, ..self.clone() }
    }

    /// For requests that are answered at once.
    pub fn client(&self) -> &Client {
        &self.requests
    }

    /// For watches.
    pub fn watch_client(&self) -> &Client {
        &self.watches
    }

    /// Until when this process may act.
    pub fn term(&self) -> &Term {
        &self.term
    }
}

/// A panic elsewhere leaves our plain maps in order.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
