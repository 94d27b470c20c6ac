//! One object of ours as the cluster was last seen to have it. Pure.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{AppliedHash, Desired, Hold};
use crate::logic::fields::Fields;
use crate::logic::json::Json;

/// A resourceVersion that can be compared, as those of all servers over etcd can: 0 where it cannot, and nothing is
/// before that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version(u64);

impl Version {
    /// Of an object.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self(meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default())
    }

    /// As the server writes it; None where it could not be read.
    pub fn text(self) -> Option<String> {
        (self.0 != 0).then(|| self.0.to_string())
    }

    /// The later one.
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// Whether it is certain that this came first.
    pub fn is_before(self, other: Self) -> bool {
        self.0 != 0 && self.0 < other.0
    }
}

/// An object of ours as the cluster was last seen to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The object's uid.
    pub uid: Arc<str>,
    /// Its version.
    pub version: Version,
    /// Its applied-hash annotation.
    pub hash: Option<AppliedHash>,
    /// The key of the row that it was made from; None where the row had none.
    pub row_key: Option<Arc<str>>,
    /// Whether the user protected it from deletion.
    pub protected: bool,
    /// Whether it is on its way out, waiting for finalizers: whatever it is now, it has to be made anew.
    pub deleting: bool,
    /// How we have it.
    pub hold: Hold,
    /// Whether it has a reference to its owner.
    pub referring: bool,
    /// Whether the Go operator has applied it as well. What that holds alone, no apply of ours would ever remove.
    pub is_predecessors: bool,
    /// What we own of it; None where that is nothing.
    pub fields: Option<Fields>,
    /// What we owned when we applied it last, which is ours to take back; of adopted objects alone, as of others all is.
    /// None after a start.
    pub applied: Option<Fields>,
    /// Whether these fields are known to be all that was applied. While they are not, they have to be compared with it.
    pub verified: bool,
}

impl Known {
    /// Whether the object is as it should be, if all that was applied is still ours.
    pub fn is_applied(&self, hash: &AppliedHash) -> bool {
        !self.deleting && !self.is_predecessors && self.hash.as_ref() == Some(hash)
    }

    /// Whether we still own all that is to be applied: `object`, our marks and the reference to the owner.
    pub fn has_all(&self, desired: &Desired, object: &Json) -> bool {
        let Some(fields) = &self.fields else { return false };
        let is_marked = self.hold != Hold::Adopted || fields.have_adopted();
        is_marked && self.referring == desired.refers(self.hold) && fields.cover(object)
    }

    /// The version in which it is known to be nobody else's, and to be deleted rather than released or kept. That very
    /// version needs no second look.
    pub fn deletable(&self) -> Option<Version> {
        let may_go = !self.protected && !self.deleting && self.hold != Hold::Adopted;
        Some(self.version).filter(|version| may_go && version.0 != 0)
    }

    /// Whether what is seen of the object now is the same.
    pub fn is_like(&self, seen: &Self) -> bool {
        *self == Self { version: self.version, verified: self.verified, applied: self.applied.clone(), ..seen.clone() }
    }

    /// What is seen of the object now, with what cannot be seen: that we found it to be as it was applied, what we owned
    /// then, and that it existed before us, should somebody have taken our mark of that off.
    pub fn remembering(self, before: &Self) -> Self {
        if self.uid != before.uid {
            return self;
        }
        let verified = self.verified || (before.verified && before.is_like(&self));
        let hold = if before.hold == Hold::Adopted { Hold::Adopted } else { self.hold };
        Self { verified, hold, applied: before.applied.clone().or(self.applied), ..self }
    }
}
