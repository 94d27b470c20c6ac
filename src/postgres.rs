//! What is asked of PostgreSQL, and in which sessions. The only user of tokio-postgres; knows nothing of Kubernetes.

mod arms;
mod batch;
mod columns;
mod error;
mod hosts;
mod keyed;
mod listener;
mod login;
mod phrase;
mod pick;
mod pool;
mod pooler;
mod probe;
mod query;
mod replica;
mod session;
mod shape;
mod tls;
mod tree;
mod triggers;

use std::time::Duration;

pub use arms::{Arms, Holder, Taken, Vigilant};
pub use error::{Busy, Error, Pooled, Way};
pub use listener::{Deaf, Listener, Ping};
pub use pool::{Lease, Pool, Pools};
pub use query::Read;
pub use replica::Position;
pub use session::Session;
pub use tls::TlsFault;
pub use triggers::Unwatched;

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
