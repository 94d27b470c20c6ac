//! Takes over an object of the Go operator: its entry becomes ours, so that the next apply removes what is no longer
//! wanted, and takes nothing from anybody else.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Cluster;
use super::apply::{Applied, ApplyError, Terms};
use crate::logic::object::{Desired, FIELD_MANAGER, Known, Owner, Ownership, is_our_apply, is_predecessor, ownership};

impl Cluster {
    /// Makes the object with this uid ours, and applies it.
    pub async fn inherit(
        &self,
        owner: &Arc<Owner>,
        desired: &Desired,
        known: &Known,
        terms: &Terms,
    ) -> Result<Applied, ApplyError> {
        let (kind, id) = (&desired.kind, &desired.id);
        let meta = self.metadata(kind, id).await.map_err(ApplyError::from)?;
        let meta = meta.filter(|meta| meta.uid.as_deref() == Some(&*known.uid)).ok_or(ApplyError::Replaced)?;
        if ownership(&meta, owner) != Ownership::Inherited {
            return Err(ApplyError::Replaced);
        }
        let mut entries = meta.managed_fields.unwrap_or_default();
        if !entries.iter().any(is_our_apply) {
            for entry in entries.iter_mut().filter(|entry| is_predecessor(entry)) {
                entry.manager = Some(FIELD_MANAGER.into());
            }
            let entries: Vec<Value> = entries.iter().map(|entry| json!(entry)).collect();
            let patch = json!({"metadata": {"resourceVersion": meta.resource_version, "managedFields": entries}});
            self.merge(kind, id, patch).await.map_err(ApplyError::from)?;
        }
        self.update(owner, desired, known, terms).await
    }
}
