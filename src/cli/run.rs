//! `dbqo run`: puts the parts together and runs them until a signal.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::{ArgAction, Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinError;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use super::election;
use crate::admin::{self, Health};
use crate::cluster::{self, Cluster, OnAnswer, Term};
use crate::controller::{self, Context, Ended, Listeners};
use crate::logic::denied::DeniedHost;
use crate::logic::rights::Rights;
use crate::metrics::{self, Metrics};
use crate::postgres::Pools;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Flags of `dbqo run`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Work only on the DatabaseQueryResources of this namespace; all namespaces where unset
    #[arg(long, env = "DBQO_WATCH_NAMESPACE", value_name = "NAMESPACE")]
    watch_namespace: Option<String>,

    /// Other namespaces that objects may be written to, besides each resource's own, where a resource names no
    /// `serviceAccountName`; `*` allows all
    #[arg(long, env = "DBQO_ALLOW_NAMESPACES", value_name = "NAMESPACES", value_delimiter = ',')]
    allow_namespaces: Vec<String>,

    /// Cluster-scoped kinds that may be written where a resource names no `serviceAccountName`, such as `Namespace` or
    /// `ClusterRole.rbac.authorization.k8s.io`; `*` allows all
    #[arg(long, env = "DBQO_ALLOW_CLUSTER_SCOPED", value_name = "KINDS", value_delimiter = ',')]
    allow_cluster_scoped: Vec<String>,

    /// Other namespaces that connection Secrets, and certificates beside them, may be read from; `*` allows all
    #[arg(long, env = "DBQO_ALLOW_SECRET_NAMESPACES", value_name = "NAMESPACES", value_delimiter = ',')]
    allow_secret_namespaces: Vec<String>,

    /// Refuse every DatabaseQueryResource without `serviceAccountName`, so that objects are written only in the names of
    /// accounts, within the rules (RBAC) of those
    #[arg(long, env = "DBQO_REQUIRE_SERVICE_ACCOUNT", value_name = "BOOL", action = ArgAction::Set,
          default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_service_account: bool,

    /// Hosts that no database may be on: addresses, ranges of them such as `169.254.0.0/16`, and names.
    /// What counts is the address that a connection would go to, whatever name leads there
    #[arg(long, env = "DBQO_DENY_DATABASE_HOSTS", value_name = "HOSTS", value_delimiter = ',')]
    deny_database_hosts: Vec<DeniedHost>,

    /// Most applies in flight at a time, over all resources
    #[arg(long, env = "DBQO_MAX_APPLIES", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    max_applies: u16,

    /// Most applies in flight at a time for one resource
    #[arg(long, env = "DBQO_MAX_APPLIES_PER_RESOURCE", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    max_applies_per_resource: u16,

    /// Most connections to one database server (host and port) at a time, over all resources. One pool of connections
    /// gets at most half of them
    #[arg(long, env = "DBQO_MAX_CONNECTIONS_PER_SERVER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10000))]
    max_connections_per_server: u16,

    /// Whether to create what notifications of a watched table need, where a resource's database role may: a schema, a
    /// function and triggers. `never` leaves that to you (`dbqo sql`)
    #[arg(long, env = "DBQO_INSTALL_TRIGGERS", value_enum, default_value_t = InstallTriggers::Auto)]
    install_triggers: InstallTriggers,

    /// Most databases of one server (host and port) to listen to; resources of further ones poll. Each takes two
    /// connections, besides those of --max-connections-per-server
    #[arg(long, env = "DBQO_MAX_LISTENERS_PER_SERVER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=1000))]
    max_listeners_per_server: u16,

    /// Most further connections of one listener, each of which waits for transactions that began before it listened
    #[arg(long, env = "DBQO_MAX_WAITING_PER_LISTENER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=1000))]
    max_waiting_per_listener: u16,

    #[command(flatten)]
    election: election::Flags,

    /// Address and port that /metrics, /livez and /readyz are served on; `off` or nothing serves none
    #[arg(long, env = "DBQO_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080", value_parser = listen)]
    listen: Listen,

    /// How log lines look
    #[arg(long, env = "DBQO_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// Which log lines: those of this level and above
    #[arg(long, env = "DBQO_LOG", value_enum, default_value_t = LogLevel::Info)]
    log: LogLevel,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Listen {
    On(SocketAddr),
    Off,
}

fn listen(text: &str) -> Result<Listen, String> {
    match text {
        "" | "off" => Ok(Listen::Off),
        address => address
            .parse()
            .map(Listen::On)
            .map_err(|_| "give an IP address and a port, such as 0.0.0.0:8080 or [::]:8080, or `off`".into()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InstallTriggers {
    Auto,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(flags: &Flags) -> Result<(), String> {
    start_logging(flags);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let ended = runtime.block_on(operate(flags));
    // One that lost the Lease is to be gone at once: nobody waits for a look-up of a name on its threads.
    runtime.shutdown_background();
    ended
}

/// Lines of our own alone: libraries log statements, addresses and whole answers of servers, which hold values.
fn start_logging(flags: &Flags) {
    let level = match flags.log {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Text => tracing_subscriber::registry().with(lines.with_ansi(false).with_filter(ours)).init(),
        LogFormat::Json => {
            tracing_subscriber::registry().with(lines.json().flatten_event(true).with_filter(ours)).init()
        }
    }
}

async fn operate(flags: &Flags) -> Result<(), String> {
    tracing::info!(version = VERSION, "db-query-operator starts");
    let times = flags.election.times()?;
    let (health, pulse) = Health::new();
    let (health, metrics) = (Arc::new(health), Metrics::new(VERSION));
    let pools = Arc::new(Pools::new(flags.max_connections_per_server.into(), Pools::PATIENCE));
    let bounds = controller::Bounds {
        per_server: flags.max_listeners_per_server.into(),
        waiting: flags.max_waiting_per_listener.into(),
    };
    let listeners = Arc::new(Listeners::new(bounds, election::identity()));
    if let Listen::On(address) = flags.listen {
        serve(address, &health, &metrics, &pools, &listeners).await?;
    }
    let config = kube::Config::infer().await.map_err(|error| format!("no cluster to work on: {error}"))?;
    let limits = cluster::Limits {
        applies_in_flight: flags.max_applies.into(),
        per_owner: flags.max_applies_per_resource.into(),
    };
    let candidate = flags.election.candidate(times, &config.default_namespace);
    let term = if flags.election.is_on() { Term::not_begun() } else { Term::endless() };
    let counted = metrics.clone();
    let on_answer: OnAnswer = Arc::new(move |method, code| counted.request(method, code));
    let cluster = Cluster::bound(config, limits, term, &on_answer);
    let cluster = cluster.map_err(|error| format!("no client for the cluster: {error}"))?;
    let (stop, stopping) = watch::channel(false);
    let rights = Rights {
        namespaces: flags.allow_namespaces.clone(),
        cluster_scoped: flags.allow_cluster_scoped.clone(),
        secret_namespaces: flags.allow_secret_namespaces.clone(),
        denied_database_hosts: flags.deny_database_hosts.clone().into(),
        require_account: flags.require_service_account,
    };
    let watch_namespace = flags.watch_namespace.clone();
    let context = Context {
        cluster,
        pools,
        rights,
        watch_namespace,
        health,
        metrics,
        drift: Arc::default(),
        deep: Arc::default(),
        listeners,
        installs_triggers: flags.install_triggers == InstallTriggers::Auto,
        turns: Arc::default(),
        stopping,
    };
    let mut controller = tokio::spawn(pulse.of(controller::run(Arc::new(context), candidate)));
    tokio::select! {
        signal = wait_for_signal() => signal?,
        ended = &mut controller => return well(ended).and(Err(UNEXPECTED.to_owned())),
    }
    tracing::info!("stopping: passes under way come to an end");
    stop.send_replace(true);
    well(controller.await)
}

const UNEXPECTED: &str = "the controller ended unexpectedly; see the log above";

/// How the controller ended, as a sentence.
fn well(ended: Result<Result<(), Ended>, JoinError>) -> Result<(), String> {
    ended.map_err(|_| UNEXPECTED.to_owned())?.map_err(|error| error.to_string())
}

/// Serves metrics and probes for as long as the process lives.
async fn serve(
    address: SocketAddr,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
    pools: &Arc<Pools>,
    listeners: &Arc<Listeners>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot listen on {address} (--listen): {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (health, metrics, pools, listeners) = (health.clone(), metrics.clone(), pools.clone(), listeners.clone());
    let scrape = move || {
        metrics.connections(pools.open_connections());
        metrics.listeners(listeners.census());
        Some((metrics::MEDIA_TYPE, metrics.text().ok()?))
    };
    tokio::spawn(admin::serve(listener, health, Arc::new(scrape)));
    tracing::info!(%address, "serving /metrics, /livez and /readyz");
    Ok(())
}

async fn wait_for_signal() -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("no signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_served_where_listening_is_off() {
        assert_eq!((listen("off"), listen("")), (Ok(Listen::Off), Ok(Listen::Off)));
        assert_eq!(listen("[::1]:80"), Ok(Listen::On("[::1]:80".parse().unwrap())));
        assert!(listen("localhost").unwrap_err().contains("0.0.0.0:8080"));
    }
}
