//! Which DatabaseQueryResources there are: watches them, their Secrets and accounts, and keeps one task for each.

mod versions;

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::Event;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::versions::Versions;
use super::jitter::jitter;
use super::seen::Seen;
use super::{Context, actor};
use crate::admin::Gate;
use crate::cluster::WatchError;
use crate::crd::Dbqr;
use crate::logic::account::Account;
use crate::logic::schedule;
use crate::logic::secrets::SecretNames;

/// Longest time that passes under way get to end when the process stops.
const GRACE: Duration = Duration::from_secs(20);

/// How long to wait for the first listing of Secrets; where it is not to be had, resources are worked on all the same.
const FIRST_LISTING: Duration = Duration::from_secs(10);

const NO_DEFINITION: &str = "the server does not serve them: install the CustomResourceDefinition, for example with \
                             `dbqo crd | kubectl apply --server-side -f -`";

/// Namespace and name.
type Key = (String, String);

type AccountEvent = Result<Event<PartialObjectMeta<ServiceAccount>>, WatchError>;

struct Handle {
    uid: Option<String>,
    secrets: Option<SecretNames>,
    account: Option<Arc<Account>>,
    seen: watch::Sender<Seen>,
    task: JoinHandle<()>,
}

struct Registry {
    ctx: Arc<Context>,
    handles: HashMap<Key, Handle>,
    /// Keys seen since the watch began to list anew.
    listing: HashSet<Key>,
    /// Those of them that have no task yet: how long each waits depends on how many they are.
    arriving: Vec<Dbqr>,
    secrets: Versions,
    /// Watched from the first resource on that names one; nobody else needs a rule for that.
    accounts: Option<BoxStream<'static, AccountEvent>>,
    /// Which accounts there are, each with its uid: what else changes of one makes no difference.
    known_accounts: Versions,
}

/// How the passes ended that were under way when the process was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All came to an end.
    All,
    /// Some did not in time.
    CutOff,
}

/// Works on all resources until the process is asked to stop; then lets the passes under way end.
pub async fn run(ctx: Arc<Context>) -> Drained {
    let mut secrets = Box::pin(ctx.cluster.watch_secrets(ctx.secrets_namespace()));
    let mut stopping = ctx.stopping.clone();
    let mut registry = Registry {
        ctx: ctx.clone(),
        handles: HashMap::new(),
        listing: HashSet::new(),
        arriving: Vec::new(),
        secrets: Versions::default(),
        accounts: None,
        known_accounts: Versions::default(),
    };
    // First the Secrets: then every change of one after a task has read it is seen.
    let first_listing = async {
        while !registry.secrets.listed {
            let Some(event) = secrets.next().await else { return };
            if let Some(event) = ctx.noted(Gate::Secrets, event) {
                registry.secrets.see(event, version);
            }
        }
    };
    tokio::select! {
        listed = tokio::time::timeout(FIRST_LISTING, first_listing) => if listed.is_err() {
            tracing::warn!("Secrets cannot be listed; a changed Secret is seen only when the database refuses the old one");
        },
        _ = stopping.wait_for(|stopping| *stopping) => return Drained::All,
    }
    let mut resources = Box::pin(ctx.cluster.watch_resources(ctx.watch_namespace.as_deref()));
    loop {
        tokio::select! {
            Some(event) = resources.next() => if let Some(event) = ctx.noted(Gate::Resources, event) {
                registry.resource(event);
            },
            Some(event) = secrets.next() => if let Some(event) = ctx.noted(Gate::Secrets, event)
                && let Some(secret) = registry.secrets.see(event, version)
            {
                registry.wake(&secret);
            },
            event = next_account(&mut registry.accounts) => registry.account(event),
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    let tasks = registry.handles.into_values().map(|handle| handle.task);
    if tokio::time::timeout(GRACE, futures::future::join_all(tasks)).await.is_err() {
        tracing::warn!("some passes did not end in time; the next start completes them");
        return Drained::CutOff;
    }
    Drained::All
}

fn version(secret: &PartialObjectMeta<Secret>) -> Option<String> {
    secret.metadata.resource_version.clone()
}

/// What is seen next of accounts; never, where they are not watched.
async fn next_account(accounts: &mut Option<BoxStream<'static, AccountEvent>>) -> AccountEvent {
    match accounts {
        Some(accounts) => match accounts.next().await {
            Some(event) => event,
            None => pending().await,
        },
        None => pending().await,
    }
}

impl Context {
    /// Where Secrets may be: one namespace, or all.
    fn secrets_namespace(&self) -> Option<&str> {
        self.watch_namespace.as_deref().filter(|_| self.rights.secret_namespaces.is_empty())
    }

    /// Notes how a watch fares, and hands on what it saw.
    fn noted<K>(&self, gate: Gate, event: Result<Event<K>, WatchError>) -> Option<Event<K>> {
        let what = match gate {
            Gate::Resources => "DatabaseQueryResources",
            _ => "Secrets",
        };
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init | Event::InitApply(_)) {
                    self.health.has(gate, "listed");
                }
                Some(event)
            }
            Err(error) => {
                let why = match gate {
                    Gate::Resources if error.is_unserved() => NO_DEFINITION.to_owned(),
                    _ => error.to_string(),
                };
                tracing::warn!("watch of {what}: {why}");
                if error.is_lost() {
                    self.health.waits(gate, &why);
                }
                None
            }
        }
    }
}

impl Registry {
    fn resource(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Init => {
                self.listing.clear();
                self.arriving.clear();
            }
            Event::InitApply(object) => {
                let dbqr = Dbqr::read(&object);
                self.listing.insert(key(&dbqr));
                if self.handles.contains_key(&key(&dbqr)) {
                    self.applied(dbqr, Duration::ZERO, Sight::Listed);
                } else {
                    self.arriving.push(dbqr);
                }
            }
            Event::InitDone => {
                let listing = std::mem::take(&mut self.listing);
                self.handles.retain(|key, _| listing.contains(key));
                let arriving = std::mem::take(&mut self.arriving);
                let count = arriving.len();
                for dbqr in arriving {
                    self.applied(dbqr, schedule::first_delay(count, jitter()), Sight::Listed);
                }
            }
            Event::Apply(object) => self.applied(Dbqr::read(&object), Duration::ZERO, Sight::Watched),
            Event::Delete(object) => {
                self.handles.remove(&key(&Dbqr::read(&object)));
            }
        }
    }

    /// A resource is there: its task is told, or started with this delay.
    fn applied(&mut self, dbqr: Dbqr, delay: Duration, sight: Sight) {
        let dbqr = Arc::new(dbqr);
        let (key, uid, secrets) = (key(&dbqr), dbqr.metadata.uid.clone(), secrets(&dbqr));
        let account = Account::of(&dbqr);
        if account.is_some() && self.accounts.is_none() {
            self.accounts = Some(self.ctx.cluster.watch_accounts(self.ctx.watch_namespace.as_deref()).boxed());
        }
        if let Some(handle) =
            self.handles.get_mut(&key).filter(|handle| handle.uid == uid && !handle.task.is_finished())
        {
            handle.secrets = secrets;
            handle.account = account;
            handle.seen.send_modify(|seen| {
                seen.orphaned |= is_orphaned(&dbqr);
                seen.unattended |= sight == Sight::Listed && dbqr.is_deleting() && !seen.dbqr.is_deleting();
                seen.dbqr = dbqr;
            });
            return;
        }
        let (orphaned, unattended) = (is_orphaned(&dbqr), dbqr.is_deleting());
        let (seen, receiver) = watch::channel(Seen { orphaned, unattended, dbqr, needs_changed: 0 });
        let (work, term) = (actor::run(self.ctx.clone(), receiver, delay), self.ctx.cluster.term().clone());
        // Step by step: whatever the pass is about to do, it does only while this process may.
        let task = tokio::spawn(async move { term.bound(work).await.unwrap_or_default() });
        self.handles.insert(key, Handle { uid, secrets, account, seen, task });
    }

    /// A Secret changed.
    fn wake(&self, (namespace, name): &Key) {
        self.wake_those(|handle| handle.secrets.as_ref().is_some_and(|secrets| secrets.contains(namespace, name)));
    }

    /// Something was seen of an account: where one came or went, those who name it look again. What came before the
    /// first listing was complete, the retry of the resource finds.
    fn account(&mut self, event: AccountEvent) {
        match event {
            Ok(event) => {
                if let Some((namespace, name)) = self.known_accounts.see(event, |account| account.metadata.uid.clone())
                {
                    let changed = Some(Account { namespace, name });
                    self.wake_those(|handle| handle.account.as_deref() == changed.as_ref());
                }
            }
            Err(error) => tracing::warn!("watch of ServiceAccounts: {error}"),
        }
    }

    fn wake_those(&self, needs: impl Fn(&Handle) -> bool) {
        for handle in self.handles.values().filter(|handle| needs(handle)) {
            handle.seen.send_modify(|seen| seen.needs_changed += 1);
        }
    }
}

/// How a resource was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// In a listing: what became of it before, nobody saw.
    Listed,
    /// As it changed.
    Watched,
}

/// Whether it is being deleted with `--cascade=orphan`.
fn is_orphaned(dbqr: &Dbqr) -> bool {
    dbqr.has_finalizer("orphan")
}

fn key(dbqr: &Dbqr) -> Key {
    let (name, namespace) = dbqr.name();
    (namespace.to_owned(), name.to_owned())
}

fn secrets(dbqr: &Dbqr) -> Option<SecretNames> {
    dbqr.spec.as_ref().ok().map(|spec| SecretNames::of(&spec.database, dbqr.name().1))
}
