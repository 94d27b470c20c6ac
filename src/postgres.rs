//! What is asked of PostgreSQL, and in which sessions. The only user of tokio-postgres; knows nothing of Kubernetes.

mod batch;
mod error;
mod open;
mod phrase;
mod query;
mod session;

use std::time::Duration;

pub use error::Error;
pub use open::open_connections;
pub use session::Session;

/// Bounds of one read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time for one statement.
    pub statement_timeout: Duration,
    /// More rows are an error.
    pub max_rows: u64,
    /// Whether the last statement runs in a read-only transaction.
    pub read_only: bool,
}
