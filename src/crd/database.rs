//! The part of the spec about the database. The field docs are the user reference. Pure.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, defaults};

/// The database and how to reach it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.sslCertSecretRef) == has(self.sslKeySecretRef)")
    .message("database.sslCertSecretRef and database.sslKeySecretRef belong together: set both or none"))]
pub struct Database {
    /// Kind of database.
    #[serde(default, rename = "type")]
    pub kind: DatabaseType,

    /// The Secret that says how to connect.
    pub connection_secret_ref: ConnectionSecretRef,

    /// A direct connection for LISTEN, where the main one goes through a pooler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_connection_secret_ref: Option<ConnectionSecretRef>,

    /// Certificates (PEM) that vouch for the server's: usually of a certificate authority, or the server's own. In a
    /// Secret of the connection Secret's namespace. Where the connection Secret names no sslmode, the mode is then
    /// `verify-full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_cert_secret_ref: Option<SecretKeyRef>,

    /// Client certificate (PEM), with what leads to its certificate authority. In a Secret of the connection Secret's
    /// namespace. Needs `sslKeySecretRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_cert_secret_ref: Option<SecretKeyRef>,

    /// Private key of the client certificate (PEM, not encrypted). In a Secret of the connection Secret's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_secret_ref: Option<SecretKeyRef>,

    /// Bounds of the connection pool. It is shared by the resources of the namespace whose Secret has the same data and
    /// whose bounds are the same.
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
    /// Key of a whole connection URI (`postgresql://user:password@host:port/dbname?sslmode=…`), or of a string of
    /// keywords and values. Where set, the other keys are not read, but for `readonlyHostKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub uri_key: Option<String>,
    /// Key of the host.
    #[serde(default = "defaults::host_key")]
    #[schemars(length(max = 253))]
    pub host_key: String,
    /// Key of the host of a replica, or of its host and port (`host:5433`; the port is the primary's where there is
    /// none). Where set, the query runs there whenever it has all that was committed on the primary, and else on the
    /// primary: nothing older than the last read is ever applied. All else is asked of the primary. User, password,
    /// database and TLS are the same for both.
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
    /// Key of the sslmode: `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`, as libpq has them.
    /// Where the Secret has no such key: `prefer`, or `verify-full` with `sslRootCertSecretRef`.
    #[serde(default = "defaults::ssl_mode_key", rename = "sslModeKey")]
    #[schemars(length(max = 253))]
    pub ssl_mode_key: String,
}

impl ConnectionSecretRef {
    /// The Secret's namespace, where `own` is the resource's.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(own)
    }
}

/// One key of a Secret.
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
    /// Most connections at a time; never more than half of the operator's `--max-connections-per-server`.
    #[serde(default = "defaults::max_open_conns")]
    #[schemars(range(min = 1, max = 100))]
    pub max_open_conns: i32,
    /// Most connections kept while idle.
    #[serde(default = "defaults::max_idle_conns")]
    #[schemars(range(min = 0, max = 100))]
    pub max_idle_conns: i32,
    /// A connection is not used again when it is older; unlimited where unset or 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_max_lifetime: Option<Duration>,
    /// A connection is closed when it was idle for longer; unlimited where unset or 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_max_idle_time: Option<Duration>,
}
