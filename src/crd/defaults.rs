//! Defaults of spec fields; in the schema too, so that the API server fills them in. Pure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Duration;

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
