//! One pass over one DatabaseQueryResource: what every step of it works with.

use std::sync::Arc;

use super::Context;
use super::error::Error;
use super::stop::Stop;
use crate::crd::{DatabaseQueryResourceSpec as Spec, Dbqr};
use crate::logic::object::Owner;
use crate::logic::validate::Validated;
use crate::postgres::Limits;

/// One pass over one DatabaseQueryResource.
pub struct Pass<'a> {
    /// What everything is done with.
    pub ctx: &'a Context,
    /// The resource.
    pub dbqr: &'a Arc<Dbqr>,
    /// Its spec.
    pub spec: &'a Spec,
    /// On whose behalf objects are written.
    pub owner: Arc<Owner>,
    /// When to give up.
    pub stop: &'a Stop,
}

impl Pass<'_> {
    /// Waits for the database only as long as there is a point in it. A session that is given up is canceled.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            result = work => result,
            () = self.stop.wait() => Err(Error::Stopped),
        }
    }
}

/// The bounds of whatever is asked of the database.
pub fn limits(valid: &Validated) -> Limits {
    Limits { statement_timeout: valid.statement_timeout, max_rows: valid.max_rows, read_only: valid.read_only }
}
