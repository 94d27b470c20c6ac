//! Deletes an object, after reading from the live one that it is ours and may go.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::Cluster;
use super::failure::{Failure, Finding};
use super::request::{Call, METADATA, asked, object_path};
use crate::logic::object::{Kind, ObjectId, Owner, Ownership, is_protected};

/// An object that keeps changing while we look is tried again so often.
const TRIES: u32 = 4;

/// What became of an object that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is deleted, or being deleted and waiting for finalizers.
    Deleted,
    /// It did not exist any more; there may be another of its name.
    AlreadyGone,
    /// It is not ours, and was not touched.
    NotOurs(Ownership),
    /// The user protected it, and it was not touched.
    Protected,
}

impl Cluster {
    /// Deletes the object of this uid if it is the owner's and not protected. What is deleted is exactly the object that
    /// was looked at: its uid and version are preconditions.
    pub async fn delete_owned(&self, kind: &Kind, id: &ObjectId, uid: &str, owner: &Owner) -> Result<Deleted, Failure> {
        let mut tries = 1;
        loop {
            let Some(meta) = self.metadata(kind, id).await? else { return Ok(Deleted::AlreadyGone) };
            if meta.uid.as_deref() != Some(uid) {
                return Ok(Deleted::AlreadyGone);
            }
            match self.ownership(&meta, owner) {
                Ownership::Ours if is_protected(&meta) => return Ok(Deleted::Protected),
                Ownership::Ours if meta.deletion_timestamp.is_some() => return Ok(Deleted::Deleted),
                Ownership::Ours => {}
                other => {
                    self.release_leftover(kind, id, &meta, owner).await;
                    return Ok(Deleted::NotOurs(other));
                }
            }
            let options = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
                "preconditions": {"uid": meta.uid, "resourceVersion": meta.resource_version},
            });
            let call = Call {
                method: Method::DELETE,
                body: Bytes::from(options.to_string()),
                accept: METADATA,
                ..Call::get(object_path(kind, id), asked("delete", kind, id.namespace.as_deref()))
            };
            match self.call(call).await {
                Ok(_) => return Ok(Deleted::Deleted),
                Err(failure) if failure.is_not_found() && failure.finding() != Finding::NoKind => {
                    return Ok(Deleted::AlreadyGone);
                }
                Err(failure) if failure.code() == Some(409) && tries < TRIES => tries += 1,
                Err(failure) => return Err(failure),
            }
        }
    }
}
