//! Whether anything may have changed in the database since it was last read, and how one would know.

use std::sync::Arc;

use super::error::Error;
use super::reconcile::limits;
use crate::logic::detect::{self, Fingerprint};
use crate::logic::validate::Validated;
use crate::postgres::Pool;

/// The fingerprint of the watched tables; None where changes are not looked for. Take it before the read it is to
/// stand for: what changes in between then differs from it. `before` is the last one that was remembered.
pub async fn look(
    pool: &Arc<Pool>,
    valid: &Validated,
    before: Option<&Fingerprint>,
) -> Result<Option<Fingerprint>, Error> {
    let Some(detection) = &valid.detection else { return Ok(None) };
    let mut lease = pool.lease().await.map_err(Error::Query)?;
    let looked = lease.session.probe(&valid.query, &limits(valid), detection, before).await.map_err(Error::Query)?;
    lease.give_back();
    Ok(Some(looked))
}

/// How changes are noticed, and which are not.
pub fn told(valid: &Validated, fingerprint: Option<&Fingerprint>) -> String {
    detect::message(&valid.schedule, valid.detection.as_ref().zip(fingerprint))
}
