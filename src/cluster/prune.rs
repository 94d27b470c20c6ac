//! Deletes an object, or releases it where it was adopted, after reading from the live one that it is ours and may go.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::Cluster;
use super::failure::Failure;
use super::overtaken::unless_overtaken;
use super::request::{Call, METADATA, asked, object_path};
use crate::logic::object::{Kind, ObjectId, Owner, Ownership, Version, is_adopted, is_protected, ownership};

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
    /// It existed before us, so it stays, without our fields and marks.
    Released,
}

impl Cluster {
    /// Deletes the object of this uid if it is the owner's and not protected, or releases it where it was adopted. What
    /// is deleted is exactly the object that was looked at: its uid and version are preconditions. Where it was seen to be
    /// deletable in some version ([`Known::deletable`]) and still has that, it is not looked at once more.
    ///
    /// [`Known::deletable`]: crate::logic::object::Known::deletable
    pub async fn delete_owned(
        &self,
        kind: &Kind,
        id: &ObjectId,
        uid: &str,
        seen: Option<Version>,
        owner: &Owner,
    ) -> Result<Deleted, Failure> {
        if let Some(version) = seen.and_then(Version::text) {
            match self.delete_exactly(kind, id, uid, &version).await {
                // It is another one, or otherwise, by now.
                Err(failure) if failure.code() == Some(409) => {}
                deleted => return deleted,
            }
        }
        match self.delete_created(kind, id, uid, owner).await? {
            Some(deleted) => Ok(deleted),
            None => self.let_go(kind, id, uid, owner).await.map(|()| Deleted::Released),
        }
    }

    /// The same, but what was adopted is not touched: None.
    pub(super) async fn delete_created(
        &self,
        kind: &Kind,
        id: &ObjectId,
        uid: &str,
        owner: &Owner,
    ) -> Result<Option<Deleted>, Failure> {
        let done = |deleted| Ok(Some(deleted));
        unless_overtaken(TRIES, || async {
            let Some(meta) = self.metadata(kind, id).await? else { return done(Deleted::AlreadyGone) };
            if meta.uid.as_deref() != Some(uid) {
                return done(Deleted::AlreadyGone);
            }
            match ownership(&meta, owner) {
                Ownership::Ours if is_protected(&meta) => return done(Deleted::Protected),
                Ownership::Ours if is_adopted(&meta) => return Ok(None),
                Ownership::Ours if meta.deletion_timestamp.is_some() => return done(Deleted::Deleted),
                Ownership::Ours => {}
                other => return done(Deleted::NotOurs(other)),
            }
            let version = meta.resource_version.unwrap_or_default();
            self.delete_exactly(kind, id, uid, &version).await.map(Some)
        })
        .await
    }

    /// Deletes the object of this uid in this version; 409 where it is another one.
    async fn delete_exactly(&self, kind: &Kind, id: &ObjectId, uid: &str, version: &str) -> Result<Deleted, Failure> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": version},
        });
        let call = Call {
            method: Method::DELETE,
            body: Bytes::from(options.to_string()),
            accept: METADATA,
            // Asked twice, it would find nothing, and nobody could tell that it was us who deleted it.
            repeatable: false,
            ..Call::get(object_path(kind, id), asked("delete", kind, id.namespace.as_deref()))
        };
        match self.call(call).await {
            Ok(_) => Ok(Deleted::Deleted),
            Err(failure) if failure.is_no_object() => Ok(Deleted::AlreadyGone),
            Err(failure) => Err(failure),
        }
    }
}
