//! Takes over an object of the Go operator: its entry becomes ours, so that the next apply removes what is no longer
//! wanted, and takes nothing from anybody else.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::Cluster;
use super::apply::{Applied, ApplyError, Terms};
use super::failure::Failure;
use super::overtaken::{TRIES, unless_overtaken};
use crate::logic::legacy;
use crate::logic::object::{
    ADOPTED, APPLIED_HASH, Desired, Kind, Known, LABEL_NAME, LABEL_NAMESPACE, OWNER_UID, ObjectId, Owner, annotation,
    is_adopted, is_predecessor, owner_labels,
};

impl Cluster {
    /// Makes the object with this uid ours, and applies it.
    pub async fn inherit(
        &self,
        owner: &Arc<Owner>,
        desired: &Desired,
        known: &Known,
        terms: &Terms,
    ) -> Result<Applied, ApplyError> {
        let taken = self.take_over(&desired.kind, &desired.id, owner).await.map_err(ApplyError::from)?;
        if taken.is_none_or(|meta| meta.uid.as_deref() != Some(&*known.uid)) {
            return Err(ApplyError::Replaced);
        }
        self.update(owner, desired, known, terms).await
    }

    /// Makes an object of the Go operator ours by its metadata alone, for which the caller has to know that it made it for
    /// this very owner; or one of ours that it has applied since ours alone. None where there is nothing to take over: it is
    /// gone, on its way out, somebody else's, or ours alone.
    pub async fn take_over(&self, kind: &Kind, id: &ObjectId, owner: &Owner) -> Result<Option<ObjectMeta>, Failure> {
        unless_overtaken(TRIES, || async {
            let Some(meta) = self.metadata(kind, id).await? else { return Ok(None) };
            if !self.owned(kind, &meta, owner).is_to_be_taken() {
                return Ok(None);
            }
            match self.mark(kind, id, owner, &meta).await {
                Err(failure) if failure.is_no_object() => Ok(None),
                marked => marked.map(Some),
            }
        })
        .await
    }

    /// Puts our marks on, and then renames the entry. The API server gives what one request writes to an entry of that
    /// request alone, so that it takes a second one to have the marks in the entry of our applies. Until then the object is
    /// the Go operator's. The hash of an apply of ours before goes: whoever finds the object has to apply it. As it may be all
    /// that tells that the object existed before us, the mark of that is put on in its place.
    pub(super) async fn mark(
        &self,
        kind: &Kind,
        id: &ObjectId,
        owner: &Owner,
        meta: &ObjectMeta,
    ) -> Result<ObjectMeta, Failure> {
        let is_adopted = is_adopted(meta);
        let mut marks = json!({"metadata": {
            "uid": meta.uid, "resourceVersion": meta.resource_version,
            "labels": {LABEL_NAME: owner.label(), LABEL_NAMESPACE: owner.namespace},
            "annotations": {OWNER_UID: owner.uid, APPLIED_HASH: null},
        }});
        if is_adopted {
            marks["metadata"]["annotations"][ADOPTED] = json!("true");
        }
        let is_marked = owner_labels(meta) == (Some(&owner.label()), Some(&owner.namespace))
            && annotation(meta, OWNER_UID) == Some(&owner.uid)
            && annotation(meta, APPLIED_HASH).is_none()
            && (!is_adopted || annotation(meta, ADOPTED).is_some());
        // Where an answer takes long it is half done each time.
        let marked = if is_marked { meta.clone() } else { self.merged(kind, id, marks).await? };
        let mut entries = marked.managed_fields.unwrap_or_default();
        if !entries.iter().any(is_predecessor) {
            let dropped = meta.managed_fields.iter().flatten().find(|entry| is_predecessor(entry));
            entries.extend(dropped.map(|entry| legacy::in_version(entry, kind.api_version())));
        }
        let entries = legacy::inherited(entries, is_adopted);
        let entries: Vec<Value> = entries.iter().map(|entry| json!(entry)).collect();
        let renamed = json!({"metadata": {
            "uid": meta.uid, "resourceVersion": marked.resource_version, "managedFields": entries,
        }});
        self.merged(kind, id, renamed).await
    }
}
