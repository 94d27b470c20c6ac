//! The spec: what a user asks for. The field docs are the user reference (`kubectl explain dbqr.spec`). Pure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Status};

/// Objects of the cluster, kept in step with the rows of a PostgreSQL query.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "konnektr.io",
    version = "v1alpha1",
    kind = "DatabaseQueryResource",
    plural = "databasequeryresources",
    shortname = "dbqr",
    namespaced,
    status = "Status",
    doc = "Keeps objects of the cluster in step with the rows of a PostgreSQL query.",
    derive = "PartialEq",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows"),
    printcolumn(name = "Objects", type_ = "integer", json_path = ".status.managedResources"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failedRows"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastReconcile"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceTemplate) != has(self.template)").message("set exactly one of resourceTemplate and template (two names of the same field)"),
    validation = Rule::new("!(has(self.statusUpdateQuery) && has(self.statusUpdateQueryTemplate))").message("set only one of statusUpdateQuery and statusUpdateQueryTemplate (two names of the same field)")
)]
pub struct DatabaseQueryResourceSpec {
    /// How often to look without being told, such as `30s` or `5m`. At least `1s`.
    #[serde(default = "defaults::poll_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("pollInterval must be at least 1s"))]
    pub poll_interval: Duration,

    /// Stops everything but deletion while true. What exists stays.
    #[serde(default)]
    pub suspend: bool,

    /// The database and how to reach it.
    pub database: Database,

    /// One or more SQL statements; the last one returns the rows. Those before it run first, in order,
    /// each its own transaction, on the same connection. Transaction control is refused.
    #[schemars(length(min = 1, max = 131072))]
    pub query: String,

    /// Fills in rendered documents that omit `apiVersion` and `kind`; must agree with those that have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gvk: Option<Gvk>,

    /// Template of one or more YAML documents per row. Jinja: `{{ row.column }}`. Values of the row are
    /// bound, never spliced: they cannot become YAML. An empty render means: no object for this row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub resource_template: Option<String>,

    /// The same as `resourceTemplate`; set one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub template: Option<String>,

    /// Language of all templates of this resource. `Auto` finds out.
    #[serde(default)]
    pub template_language: TemplateLanguage,

    /// SQL run when a managed object changes. Values are bound as parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub status_update_query: Option<String>,

    /// The same as `statusUpdateQuery`; set at most one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub status_update_query_template: Option<String>,

    /// More SQL run when objects go or rows fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_back: Option<WriteBack>,

    /// How changes in the database are noticed. Unset: the query runs every `pollInterval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_detection: Option<ChangeDetection>,

    /// Whether objects whose row went away are deleted.
    #[serde(default = "defaults::yes")]
    pub prune: bool,

    /// Holds back suspiciously many deletions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_guard: Option<PruneGuard>,

    /// What becomes of the objects when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// What to do where somebody else has an object or field that a row asks for.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,

    /// JSON pointers of fields that are set when an object is created and left to others afterwards,
    /// such as `/spec/replicas` under a HorizontalPodAutoscaler.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schemars(length(max = 64), inner(length(max = 512), regex(pattern = r"^(/[^/]*)+$")))]
    pub ignore_fields: Vec<String>,

    /// Read, apply and delete as this ServiceAccount of the resource's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,
}

/// The database and how to reach it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Kind of database.
    #[serde(default, rename = "type")]
    pub kind: DatabaseType,

    /// The Secret that says how to connect.
    pub connection_secret_ref: ConnectionSecretRef,

    /// A direct connection for LISTEN, where the main one goes through a pooler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_connection_secret_ref: Option<ConnectionSecretRef>,

    /// CA certificates (PEM) to verify the server with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_cert_secret_ref: Option<SecretKeyRef>,

    /// Client certificate (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_cert_secret_ref: Option<SecretKeyRef>,

    /// Key of the client certificate (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_secret_ref: Option<SecretKeyRef>,

    /// Bounds of the connection pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,

    /// Longest time a statement may take; a `SET statement_timeout` of the query can only shorten it.
    #[serde(default = "defaults::statement_timeout")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('100ms')").message("statementTimeout must be at least 100ms"))]
    pub statement_timeout: Duration,

    /// A query that returns more rows is an error, and changes nothing.
    #[serde(default = "defaults::max_rows")]
    #[schemars(range(min = 1, max = 10000000))]
    pub max_rows: i64,

    /// Whether the last statement runs in a read-only transaction.
    #[serde(default = "defaults::yes")]
    pub read_only: bool,
}

/// Which database.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseType {
    /// PostgreSQL 14 or newer.
    #[default]
    Postgres,
}

/// A Secret with the parts of a connection, or a whole URI.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the Secret; the resource's own where unset. Another one only where the operator
    /// runs with `--allow-secret-namespaces`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Key of a whole connection URI (`postgresql://user:password@host:port/dbname?sslmode=…`). Where set,
    /// the other keys are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub uri_key: Option<String>,
    /// Key of the host.
    #[serde(default = "defaults::host_key")]
    #[schemars(length(max = 253))]
    pub host_key: String,
    /// Key of the host of a read-only replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub readonly_host_key: Option<String>,
    /// Key of the port; 5432 where the Secret has no such key.
    #[serde(default = "defaults::port_key")]
    #[schemars(length(max = 253))]
    pub port_key: String,
    /// Key of the user name.
    #[serde(default = "defaults::user_key")]
    #[schemars(length(max = 253))]
    pub user_key: String,
    /// Key of the password.
    #[serde(default = "defaults::password_key")]
    #[schemars(length(max = 253))]
    pub password_key: String,
    /// Key of the database name.
    #[serde(default = "defaults::db_name_key", rename = "dbNameKey")]
    #[schemars(length(max = 253))]
    pub db_name_key: String,
    /// Key of the sslmode; `prefer` where the Secret has no such key.
    #[serde(default = "defaults::ssl_mode_key", rename = "sslModeKey")]
    #[schemars(length(max = 253))]
    pub ssl_mode_key: String,
}

/// One key of a Secret of the resource's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Bounds of the connection pool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionPool {
    /// Most connections at a time.
    #[serde(default = "defaults::max_open_conns")]
    #[schemars(range(min = 1, max = 100))]
    pub max_open_conns: i32,
    /// Most connections kept while idle.
    #[serde(default = "defaults::max_idle_conns")]
    #[schemars(range(min = 0, max = 100))]
    pub max_idle_conns: i32,
    /// A connection is replaced when it is older; unlimited where unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_max_lifetime: Option<Duration>,
    /// A connection is closed when it was idle for longer; unlimited where unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_max_idle_time: Option<Duration>,
}

/// Group, version and kind.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Gvk {
    /// API group; empty for the core group.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub group: String,
    /// API version, such as `v1`.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// Kind, such as `ConfigMap`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

/// How changes in the database are noticed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.enabled || has(self.tableName) || (has(self.tables) && size(self.tables) > 0)").message("changeDetection.enabled needs tableName or tables"),
    validation = Rule::new("!(has(self.tableName) && has(self.tables))").message("set only one of changeDetection.tableName and changeDetection.tables"),
    validation = Rule::new("!has(self.timestampColumn) || has(self.tableName)").message("changeDetection.timestampColumn needs changeDetection.tableName")
)]
pub struct ChangeDetection {
    /// Whether to look for changes before running the query.
    #[serde(default)]
    pub enabled: bool,
    /// `Auto`: be notified where that can be had, else poll. `Notify`: the same, and having to poll is a
    /// fault to report. `Poll`: only poll.
    #[serde(default)]
    pub mode: ChangeDetectionMode,
    /// The table to watch, as an SQL name (`schema.table`; folded to lower case unless quoted).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub table_name: Option<String>,
    /// Its column that grows with every change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 130))]
    pub timestamp_column: Option<String>,
    /// Its columns that identify a row of the query; the primary key where unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 130)))]
    pub key_columns: Option<Vec<String>>,
    /// Several tables instead of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub tables: Option<Vec<WatchedTable>>,
    /// Set: look for changes at this interval and run the query every `pollInterval` regardless. Unset: look
    /// every `pollInterval`, and run the query only on a change. At least `1s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("changePollInterval must be at least 1s"))]
    pub change_poll_interval: Option<Duration>,
    /// Run the query this often regardless: what the look cannot see (deletions, results that change by time
    /// alone) is seen by this. At least `1s`.
    #[serde(default = "defaults::resync_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("resyncInterval must be at least 1s"))]
    pub resync_interval: Duration,
}

/// A watched table with columns of its own.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WatchedTable {
    /// The table, as an SQL name.
    #[schemars(length(min = 1, max = 255))]
    pub table_name: String,
    /// Its column that grows with every change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 130))]
    pub timestamp_column: Option<String>,
    /// Its columns that identify a row of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 130)))]
    pub key_columns: Option<Vec<String>>,
}

/// How changes are noticed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeDetectionMode {
    /// Notify where it can be had, else Poll.
    #[default]
    Auto,
    /// Notify; having to poll is a fault.
    Notify,
    /// Poll.
    Poll,
}

/// SQL run when objects go or rows fail.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBack {
    /// SQL run when a managed object is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub deleted: Option<String>,
    /// SQL run when a row could not be rendered or applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub failed: Option<String>,
    /// Connection for writing; the main one where unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_secret_ref: Option<ConnectionSecretRef>,
    /// How many rows a statement must change: a least number, or `any`. Default: at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 : self == 'any'").message("expectRows must be a number or any"))]
    pub expect_rows: Option<IntOrString>,
    /// Keep a deleted object until its deletion was written back (bounded in time).
    #[serde(default)]
    pub confirm_deletes: bool,
}

/// Language of templates.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateLanguage {
    /// Found out from the templates.
    #[default]
    Auto,
    /// Jinja (minijinja).
    Jinja,
    /// Go text/template with Sprig.
    Go,
}

/// Holds back suspiciously many deletions. Counted in objects.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PruneGuard {
    /// Most deletions at a time: a share of the objects (`20%`), or a number.
    #[serde(default = "defaults::max_deletions")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')").message("pruneGuard.maxDeletions must be a number or a percentage from 0% to 100%"))]
    pub max_deletions: IntOrString,
    /// Fewer deletions than this never trip a percentage.
    #[serde(default = "defaults::minimum")]
    #[schemars(range(min = 0))]
    pub minimum: i32,
    /// Whether a deletion may leave nothing at all.
    #[serde(default)]
    pub allow_empty: bool,
    /// Deletions within this time are counted together.
    #[serde(default = "defaults::window")]
    pub window: Duration,
}

impl Default for PruneGuard {
    fn default() -> Self {
        Self { max_deletions: defaults::max_deletions(), minimum: defaults::minimum(), allow_empty: false, window: defaults::window() }
    }
}

/// What becomes of the objects when the resource is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They are deleted.
    #[default]
    Delete,
    /// They stay.
    Orphan,
}

/// What to do where somebody else has an object or field.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Leave others' fields alone and report the conflict.
    #[default]
    Protect,
    /// Take the fields.
    Force,
    /// Refuse objects that exist already.
    Fail,
}

/// Defaults of fields; in the schema too, so that the API server fills them in.
pub mod defaults {
    use super::{Duration, IntOrString};

    /// Of `pollInterval`.
    pub fn poll_interval() -> Duration {
        Duration::from_secs(60)
    }
    /// Of `database.statementTimeout`.
    pub fn statement_timeout() -> Duration {
        Duration::from_secs(30)
    }
    /// Of `changeDetection.resyncInterval`.
    pub fn resync_interval() -> Duration {
        Duration::from_secs(600)
    }
    /// Of `pruneGuard.window`.
    pub fn window() -> Duration {
        Duration::from_secs(600)
    }
    /// Of `pruneGuard.maxDeletions`.
    pub fn max_deletions() -> IntOrString {
        IntOrString::String("20%".into())
    }
    /// Of `pruneGuard.minimum`.
    pub fn minimum() -> i32 {
        10
    }
    /// Of `database.maxRows`.
    pub fn max_rows() -> i64 {
        200_000
    }
    /// Of `connectionPool.maxOpenConns`.
    pub fn max_open_conns() -> i32 {
        4
    }
    /// Of `connectionPool.maxIdleConns`.
    pub fn max_idle_conns() -> i32 {
        2
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn host_key() -> String {
        "host".into()
    }
    pub(super) fn port_key() -> String {
        "port".into()
    }
    pub(super) fn user_key() -> String {
        "username".into()
    }
    pub(super) fn password_key() -> String {
        "password".into()
    }
    pub(super) fn db_name_key() -> String {
        "dbname".into()
    }
    pub(super) fn ssl_mode_key() -> String {
        "sslmode".into()
    }
}
