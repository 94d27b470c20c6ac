//! Every metric: its name, what it tells and its labels. The labels are words of our own, and the namespace and name
//! of a DatabaseQueryResource for as long as it is there; never a message, a row, an object or a value.

mod labels;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use self::labels::{Error, Listener, Request, Resource, Wake, Write};

/// Media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In seconds: from a look at one row to a first sync of thousands.
const RECONCILIATION: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 100.0, 300.0];
/// In seconds: from an index look-up to the longest statement that most settings allow.
const QUERY: [f64; 11] = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 100.0];

/// In seconds: from one small row to a first read of a large table after a long time of silence.
const LAG: [f64; 12] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// What made the operator look at a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The resource is new or was changed, or asks for it.
    Resource,
    /// A Secret that it refers to was changed, or its account came or went.
    Secret,
    /// It was time.
    Poll,
    /// What failed before is tried again.
    Retry,
    /// Somebody changed an object of it.
    Drift,
    /// A watched table has notified.
    Notification,
    /// The listener has all rows read: it begins to listen, a table is too loud to be heard, or has changed without a word.
    Listener,
}

impl Source {
    const ALL: [Self; 7] =
        [Self::Resource, Self::Secret, Self::Poll, Self::Retry, Self::Drift, Self::Notification, Self::Listener];

    fn word(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Secret => "secret",
            Self::Poll => "poll",
            Self::Retry => "retry",
            Self::Drift => "drift",
            Self::Notification => "notification",
            Self::Listener => "listener",
        }
    }
}

/// What a look found and did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sync {
    /// Rows that the query returned.
    pub rows: u64,
    /// Rows that could not be rendered or applied.
    pub failed_rows: usize,
    /// Objects there are now.
    pub objects: usize,
    /// Deletions held back.
    pub blocked: usize,
    /// Objects created.
    pub created: usize,
    /// Objects updated.
    pub updated: usize,
    /// Objects deleted.
    pub deleted: usize,
}

type Histograms = Family<Resource, Histogram, fn() -> Histogram>;
type Gauges = Family<Resource, Gauge>;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    reconciliations: Histograms,
    queries: Histograms,
    lags: Histograms,
    objects: Gauges,
    errors: Family<Error, Counter>,
    wakes: Family<Wake, Counter>,
    rows: Gauges,
    failed_rows: Gauges,
    blocked: Gauges,
    writes: Family<Write, Counter>,
    ready: Gauges,
    suspended: Gauges,
    success: Family<Resource, Gauge<f64, AtomicU64>>,
    leader: Gauge,
    connections: Gauge,
    listeners: Family<Listener, Gauge>,
    usage: Gauge<f64, AtomicU64>,
    requests: Family<Request, Counter>,
    live: Mutex<HashMap<Resource, Live>>,
}

/// What has to be known of a resource's series to remove them.
#[derive(Default)]
struct Live {
    handles: usize,
    reasons: BTreeSet<&'static str>,
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new(version: &'static str) -> Arc<Self> {
        let mut registry = Registry::default();
        let r = &mut registry;
        let reconciliations: fn() -> Histogram = || Histogram::new(RECONCILIATION);
        let queries: fn() -> Histogram = || Histogram::new(QUERY);
        let lags: fn() -> Histogram = || Histogram::new(LAG);
        r.register("dbqo_build", "The version that runs", Info::new([("version", version)]));
        Arc::new(Self {
            // The four names of the documentation. A counter gets its `_total` by itself.
            reconciliations: add(
                r,
                "dbqr_reconciliation_duration_seconds",
                "Time of looks at a resource in which its query was due, failed ones included",
                Family::new_with_constructor(reconciliations),
            ),
            queries: add(
                r,
                "dbqr_query_duration_seconds",
                "Time until the query had returned all its rows, setup statements included",
                Family::new_with_constructor(queries),
            ),
            objects: new(r, "dbqr_resources_managed_total", "Objects that exist because of this resource's rows"),
            errors: new(
                r,
                "dbqr_errors",
                "Looks and clean-ups that did not go well, by the reason that Ready has then",
            ),
            // And more.
            lags: add(
                r,
                "dbqr_notification_lag_seconds",
                "Time from the first notification that a look heeded until all that it found was applied",
                Family::new_with_constructor(lags),
            ),
            wakes: new(r, "dbqr_wakes", "Looks at a resource, by what made the operator look"),
            rows: new(r, "dbqr_rows", "Rows that the query returned last"),
            failed_rows: new(r, "dbqr_failed_rows", "Rows among them that could not be rendered or applied"),
            blocked: new(r, "dbqr_prune_blocked", "Deletions that the prune guard holds back"),
            writes: new(r, "dbqr_object_writes", "Objects created, updated and deleted for this resource's rows"),
            ready: new(r, "dbqr_ready", "Whether Ready is True (1) or not (0)"),
            suspended: new(r, "dbqr_suspended", "Whether the resource is suspended (1) or not (0)"),
            success: new(
                r,
                "dbqr_last_success_timestamp_seconds",
                "When a look last found or left all as it should be, in seconds since 1970",
            ),
            leader: new(r, "dbqo_leader", "Whether this process is the one that works (1) or stands by (0)"),
            connections: new(r, "dbqo_database_connections", "Open connections to PostgreSQL"),
            listeners: new(
                r,
                "dbqo_listeners",
                "Databases that are listened to (listening), or are to be and cannot be at the moment (connecting)",
            ),
            usage: new(
                r,
                "dbqo_notification_queue_usage",
                "How full PostgreSQL's queue of notifications is, 0 to 1, where it is fullest; above 0.25 nothing is notified",
            ),
            requests: new(
                r,
                "dbqo_api_requests",
                "Requests to the API server by method (WATCH is a GET that stays) and status; 0 is no answer",
            ),
            live: Mutex::default(),
            registry,
        })
    }

    /// Everything as OpenMetrics text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Whether this process is the one that works.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// How many connections to PostgreSQL are open.
    pub fn connections(&self, open: usize) {
        self.connections.set(gauge(open));
    }

    /// How many databases are listened to, how many are to be and are not, and how full the fullest queue is.
    pub fn listeners(&self, (listening, connecting, usage): (usize, usize, f64)) {
        for (state, count) in [("listening", listening), ("connecting", connecting)] {
            self.listeners.get_or_create(&Listener { state }).set(gauge(count));
        }
        self.usage.set(usage);
    }

    /// A request to the API server was answered with this status; None: it was not answered.
    pub fn request(&self, method: &'static str, code: Option<u16>) {
        self.requests.get_or_create(&Request { method, code: code.unwrap_or_default() }).inc();
    }

    /// What is told of one DatabaseQueryResource.
    pub fn series(self: &Arc<Self>, namespace: &str, name: &str) -> Series {
        let series = Series {
            metrics: self.clone(),
            resource: Resource { namespace: namespace.to_owned(), name: name.to_owned() },
        };
        self.live().entry(series.resource.clone()).or_default().handles += 1;
        // A counter that begins with its first increment hides it from `rate`.
        Source::ALL.into_iter().for_each(|source| _ = self.wakes.get_or_create(&series.wake(source)));
        OPERATIONS.into_iter().for_each(|operation| _ = self.writes.get_or_create(&series.write(operation)));
        series
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Resource, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const OPERATIONS: [&str; 3] = ["created", "updated", "deleted"];

/// The series of one DatabaseQueryResource: gone with the last handle of it.
pub struct Series {
    metrics: Arc<Metrics>,
    resource: Resource,
}

impl Series {
    /// There is a reason to look.
    pub fn woken(&self, source: Source) {
        self.metrics.wakes.get_or_create(&self.wake(source)).inc();
    }

    /// A look in which the query was due took so long.
    pub fn reconciled(&self, took: Duration) {
        self.metrics.reconciliations.get_or_create(&self.resource).observe(took.as_secs_f64());
    }

    /// The query returned all its rows after so long.
    pub fn queried(&self, took: Duration) {
        self.metrics.queries.get_or_create(&self.resource).observe(took.as_secs_f64());
    }

    /// What was notified is applied, so long after its arrival.
    pub fn caught_up(&self, took: Duration) {
        self.metrics.lags.get_or_create(&self.resource).observe(took.as_secs_f64());
    }

    /// The rows were worked through.
    pub fn synced(&self, sync: Sync) {
        let (metrics, resource) = (&self.metrics, &self.resource);
        metrics.rows.get_or_create(resource).set(i64::try_from(sync.rows).unwrap_or(i64::MAX));
        for (family, value) in [
            (&metrics.failed_rows, sync.failed_rows),
            (&metrics.objects, sync.objects),
            (&metrics.blocked, sync.blocked),
        ] {
            family.get_or_create(resource).set(gauge(value));
        }
        for (operation, count) in OPERATIONS.into_iter().zip([sync.created, sync.updated, sync.deleted]) {
            metrics.writes.get_or_create(&self.write(operation)).inc_by(count as u64);
        }
    }

    /// Something did not go well. The reason is one of a few words of ours.
    pub fn failed(&self, reason: &'static str) {
        if let Some(live) = self.metrics.live().get_mut(&self.resource) {
            live.reasons.insert(reason);
        }
        self.metrics.errors.get_or_create(&self.error(reason)).inc();
    }

    /// Whether all is as it should be, after a look.
    pub fn ready(&self, ready: bool) {
        self.metrics.ready.get_or_create(&self.resource).set(ready.into());
        if ready {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.metrics.success.get_or_create(&self.resource).set(now.as_secs_f64().round());
        }
    }

    /// Whether nothing is to be done for now.
    pub fn suspended(&self, suspended: bool) {
        self.metrics.suspended.get_or_create(&self.resource).set(suspended.into());
    }

    fn error(&self, reason: &'static str) -> Error {
        let Resource { namespace, name } = self.resource.clone();
        Error { namespace, name, reason }
    }

    fn wake(&self, source: Source) -> Wake {
        let Resource { namespace, name } = self.resource.clone();
        Wake { namespace, name, source: source.word() }
    }

    fn write(&self, operation: &'static str) -> Write {
        let Resource { namespace, name } = self.resource.clone();
        Write { namespace, name, operation }
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        let (metrics, resource) = (&self.metrics, &self.resource);
        let mut live = metrics.live();
        let Some(of_it) = live.get_mut(resource) else { return };
        of_it.handles -= 1;
        // A resource that was deleted and made again is told of by the new one already.
        if of_it.handles > 0 {
            return;
        }
        let reasons = std::mem::take(&mut of_it.reasons);
        live.remove(resource);
        for family in [
            &metrics.objects,
            &metrics.rows,
            &metrics.failed_rows,
            &metrics.blocked,
            &metrics.ready,
            &metrics.suspended,
        ] {
            family.remove(resource);
        }
        metrics.success.remove(resource);
        metrics.reconciliations.remove(resource);
        metrics.queries.remove(resource);
        metrics.lags.remove(resource);
        reasons.into_iter().for_each(|reason| _ = metrics.errors.remove(&self.error(reason)));
        Source::ALL.into_iter().for_each(|source| _ = metrics.wakes.remove(&self.wake(source)));
        OPERATIONS.into_iter().for_each(|operation| _ = metrics.writes.remove(&self.write(operation)));
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn new<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    add(registry, name, help, M::default())
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of everything there is to tell.
    fn told(metrics: &Arc<Metrics>) -> (Series, String) {
        let series = metrics.series("team", "shop");
        series.woken(Source::Poll);
        series.reconciled(Duration::from_millis(30));
        series.queried(Duration::from_millis(20));
        series.caught_up(Duration::from_millis(3));
        metrics.listeners((2, 1, 0.5));
        series.synced(Sync { rows: 5, failed_rows: 1, objects: 4, blocked: 2, created: 3, updated: 0, deleted: 1 });
        series.failed("PartiallyFailed");
        series.ready(true);
        series.suspended(false);
        (series, metrics.text().unwrap())
    }

    #[test]
    fn the_documented_names_are_exactly_these() {
        let (_series, text) = told(&Metrics::new("1.2.3"));
        let labels = r#"namespace="team",name="shop""#;
        for line in [
            format!("dbqr_reconciliation_duration_seconds_count{{{labels}}} 1"),
            format!("dbqr_query_duration_seconds_count{{{labels}}} 1"),
            format!("dbqr_resources_managed_total{{{labels}}} 4"),
            format!(r#"dbqr_errors_total{{{labels},reason="PartiallyFailed"}} 1"#),
            format!(r#"dbqr_wakes_total{{{labels},source="poll"}} 1"#),
            format!(r#"dbqr_object_writes_total{{{labels},operation="created"}} 3"#),
            format!("dbqr_prune_blocked{{{labels}}} 2"),
            format!("dbqr_notification_lag_seconds_count{{{labels}}} 1"),
            r#"dbqo_listeners{state="connecting"} 1"#.to_owned(),
            "dbqo_notification_queue_usage 0.5".to_owned(),
            "dbqo_leader 0".to_owned(),
            r#"dbqo_build_info{version="1.2.3"} 1"#.to_owned(),
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("# TYPE dbqr_resources_managed_total gauge\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn every_metric_says_what_it_is() {
        let (_series, text) = told(&Metrics::new("1"));
        let described = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
        let families: Vec<_> = text.lines().filter(|line| line.starts_with("# HELP")).map(described).collect();
        assert_eq!(families.len(), text.lines().filter(|line| line.starts_with("# TYPE")).count());
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(families.iter().any(|family| sample.starts_with(family.as_str())), "{sample}");
            assert!(sample.starts_with("dbqr_") || sample.starts_with("dbqo_"), "{sample}");
        }
    }

    #[test]
    fn the_series_of_a_resource_go_with_it_and_stay_while_another_of_its_name_is_there() {
        let metrics = Metrics::new("1");
        let other = metrics.series("team", "other");
        other.ready(true);
        let (old, _) = told(&metrics);
        let (new, _) = told(&metrics);
        drop(old);
        assert!(metrics.text().unwrap().contains(r#"name="shop""#));
        drop(new);
        let text = metrics.text().unwrap();
        assert!(!text.contains(r#"name="shop""#), "{text}");
        assert!(text.contains(r#"dbqr_ready{namespace="team",name="other"} 1"#));
    }
}
