//! Open connections, kept for the next read: one pool for all resources of a namespace that connect in the same way,
//! and a bound on the connections to one server, over all pools.

mod server;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use self::server::{Name, Server};
use super::error::Busy;
use super::{Error, Session};
use crate::logic::connection::Settings;
use crate::logic::pool::Bounds;

/// How often to look for connections that nobody used for too long.
const TICK: Duration = Duration::from_secs(1);

/// All pools, and all servers that they lead to.
pub struct Pools {
    shared: Arc<Shared>,
    ticker: JoinHandle<()>,
}

struct Shared {
    per_server: usize,
    patience: Duration,
    pools: Mutex<Vec<Weak<Pool>>>,
    servers: Mutex<HashMap<Name, Weak<Server>>>,
}

/// Connections made in one way for one namespace. Closed when nobody has it any more.
pub struct Pool {
    shared: Arc<Shared>,
    namespace: String,
    settings: Settings,
    bounds: Bounds,
    /// Those that a connection may go to, each once and always in the same order: else two could wait for each other.
    servers: Vec<Arc<Server>>,
    places: Arc<Semaphore>,
    most: usize,
    /// The one that was used last comes last.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    session: Session,
    since: Instant,
}

/// A connection for as long as somebody uses it. Dropped without being given back, as when something failed or was
/// given up, it is canceled and closed.
pub struct Lease {
    /// The connection.
    pub session: Session,
    pool: Arc<Pool>,
}

/// What a connection counts by; given back when it is closed.
#[derive(Default)]
pub(super) struct Held {
    /// In its pool, while somebody uses it.
    place: Option<OwnedSemaphorePermit>,
    /// On its server; on each that it may come to go to, while it is opened.
    slots: Vec<(Name, OwnedSemaphorePermit)>,
}

impl Pools {
    /// How long the operator waits for a connection to become free.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// At most `per_server` connections go to one server; nobody waits for one longer than `patience`. Needs a Tokio
    /// runtime.
    pub fn new(per_server: usize, patience: Duration) -> Self {
        let (pools, servers) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { per_server: per_server.max(1), patience, pools, servers });
        let ticking = shared.clone();
        let ticker = tokio::spawn(async move {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                ticking.pools().iter().for_each(|pool| pool.close_what_is_over(Instant::now()));
            }
        });
        Self { shared, ticker }
    }

    /// The pool for this namespace, these settings and these bounds: the one that others have, if any do.
    pub fn pool(&self, namespace: &str, settings: &Settings, bounds: Bounds) -> Arc<Pool> {
        let mut pools = lock(&self.shared.pools);
        let is_it =
            |pool: &Arc<Pool>| pool.namespace == namespace && pool.bounds == bounds && pool.settings == *settings;
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(is_it) {
            return pool;
        }
        let most = bounds.most_open(self.shared.per_server);
        let pool = Arc::new(Pool {
            shared: self.shared.clone(),
            namespace: namespace.to_owned(),
            settings: settings.clone(),
            bounds,
            servers: self.shared.servers(settings),
            places: Arc::new(Semaphore::new(most)),
            most,
            idle: Mutex::default(),
        });
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        pool
    }
}

impl Pools {
    /// Connections that are open, or being opened, to all servers.
    pub fn open_connections(&self) -> usize {
        lock(&self.shared.servers).values().filter_map(Weak::upgrade).map(|server| server.taken()).sum()
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Shared {
    fn pools(&self) -> Vec<Arc<Pool>> {
        lock(&self.pools).iter().filter_map(Weak::upgrade).collect()
    }

    fn servers(&self, settings: &Settings) -> Vec<Arc<Server>> {
        let mut servers = lock(&self.servers);
        servers.retain(|_, server| server.strong_count() > 0);
        let mut names: Vec<Name> =
            settings.hosts.iter().map(|host| server::name(&(host.name.clone(), host.port))).collect();
        names.sort();
        names.dedup();
        let mut find = |name: Name| {
            servers.get(&name).and_then(Weak::upgrade).unwrap_or_else(|| {
                let server = Arc::new(Server::new(name.clone(), self.per_server));
                servers.insert(name, Arc::downgrade(&server));
                server
            })
        };
        names.into_iter().map(&mut find).collect()
    }

    /// Makes room on a server: of the connections to it that nobody uses, closes the one that was so for the longest.
    fn close_longest_idle(&self, server: &Name) {
        let pools = self.pools();
        let longest =
            pools.iter().filter_map(|pool| Some((pool.longest_idle(server)?, pool))).min_by_key(|(at, _)| *at);
        if let Some((since, pool)) = longest {
            lock(&pool.idle).retain(|idle| idle.since != since);
        }
    }
}

impl Pool {
    /// A connection that is ready for use: one that nobody uses, else a new one once there may be one more. Waits its
    /// turn, and not for ever.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let deadline = Instant::now() + self.shared.patience;
        let busy = |busy| Error::Busy { busy, waited: self.shared.patience };
        let place = server::by(deadline, self.places.clone()).await.ok_or(busy(Busy::Pool(self.most)))?;
        let mut session = match self.take_idle(Instant::now()) {
            Some(session) => session,
            None => {
                let mut slots = Vec::new();
                for server in &self.servers {
                    let slot = server.slot(deadline, || self.shared.close_longest_idle(&server.name)).await;
                    slots.push((server.name.clone(), slot.ok_or(busy(Busy::Server(self.shared.per_server)))?));
                }
                let mut session = Session::connect(&self.settings).await?;
                let name = server::name(&session.server);
                slots.retain(|(of, _)| *of == name);
                session.held.slots = slots;
                session
            }
        };
        session.held.place = Some(place);
        Ok(Lease { session, pool: self.clone() })
    }

    fn take_idle(&self, now: Instant) -> Option<Session> {
        let mut idle = lock(&self.idle);
        while let Some(Idle { session, since }) = idle.pop() {
            if !session.is_closed() && !self.bounds.is_over(session.opened, since, now) {
                return Some(session);
            }
        }
        None
    }

    fn close_what_is_over(&self, now: Instant) {
        let is_over =
            |Idle { session, since }: &Idle| session.is_closed() || self.bounds.is_over(session.opened, *since, now);
        lock(&self.idle).retain(|idle| !is_over(idle));
    }

    /// Since when the one is idle that is for the longest, of those that lead to `server`.
    fn longest_idle(&self, server: &Name) -> Option<Instant> {
        let idle = lock(&self.idle);
        idle.iter().filter(|idle| server::name(&idle.session.server) == *server).map(|idle| idle.since).min()
    }
}

impl Lease {
    /// Gives the connection back for others to use. It is closed instead if it is of no use any more, there are enough
    /// of them, or somebody waits for a connection to its server.
    pub fn give_back(self) {
        let Self { mut session, pool } = self;
        let now = Instant::now();
        let place = session.held.place.take();
        let mut idle = lock(&pool.idle);
        // Asked under the lock: who comes to wait after that finds the connection here and closes it.
        let is_wanted = pool.servers.iter().any(|server| server.is_waited_for());
        if !session.is_closed()
            && !session.is_stopgap
            && !is_wanted
            && pool.bounds.keeps(session.opened, idle.len(), now)
        {
            idle.push(Idle { session, since: now });
            drop(idle);
            drop(place);
        } else {
            session.held.place = place;
        }
    }
}

/// A panic elsewhere leaves our plain lists in order.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
