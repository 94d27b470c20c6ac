//! What a managed object is: its identity, its kind, the marks we put on it, and how to tell from
//! its metadata whether it is ours. Pure.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fields::Fields;
use super::row::RowName;

/// Our field manager for server-side apply.
pub const FIELD_MANAGER: &str = "db-query-operator";
/// Keeps a DatabaseQueryResource until its objects were cleaned up.
pub const FINALIZER: &str = "konnektr.io/dbqr-finalizer";
/// Label: name of the DatabaseQueryResource, or a hash of it where it is no label value.
pub const LABEL_NAME: &str = "konnektr.io/managed-by";
/// Label: namespace of the DatabaseQueryResource.
pub const LABEL_NAMESPACE: &str = "konnektr.io/managed-by-namespace";
/// Annotation: uid of the DatabaseQueryResource. Owning this field is what makes an object ours.
pub const OWNER_UID: &str = "konnektr.io/owner-uid";
/// Annotation: hash of what was applied last.
pub const APPLIED_HASH: &str = "konnektr.io/applied-hash";
/// Every label that is ours to set and to take off again.
pub const OUR_LABELS: [&str; 2] = [LABEL_NAME, LABEL_NAMESPACE];
/// Every annotation that is ours to set and to take off again.
pub const OUR_ANNOTATIONS: [&str; 4] = [OWNER_UID, APPLIED_HASH, ROW_KEY, "konnektr.io/adopted"];
/// Annotation by the user, on a DatabaseQueryResource: the digest of held back deletions that are right.
pub const APPROVE_PRUNE: &str = "konnektr.io/approve-prune";
/// Annotation: the key of the row that the object was made from, a JSON array.
pub const ROW_KEY: &str = "konnektr.io/row-key";
/// Annotation by the user: `disabled` keeps an object from ever being deleted by us.
pub const PRUNE: &str = "konnektr.io/prune";

/// Group and kind, without a version: the part of a kind that is identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind, such as `ConfigMap`.
    pub kind: String,
}

impl GroupKind {
    /// Reads what [`fmt::Display`] writes: `ConfigMap`, `Deployment.apps`.
    pub fn parse(text: &str) -> Self {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        Self { group: group.into(), kind: kind.into() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.kind) } else { write!(f, "{}.{}", self.kind, self.group) }
    }
}

/// A kind as the server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Group and kind; shared with the identities of its objects.
    pub group_kind: Arc<GroupKind>,
    /// The version the template asked for, such as `v1`.
    pub version: String,
    /// Plural resource name in URLs, such as `configmaps`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group_kind.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group_kind.group, self.version)
        }
    }
}

/// Identity of an object: version-free, so that a new apiVersion is the same object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Group and kind; shared, as thousands of objects have the same.
    pub kind: Arc<GroupKind>,
    /// None for cluster-scoped objects.
    pub namespace: Option<Arc<str>>,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Hash of an object as applied, 128 bits in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedHash(pub String);

impl AppliedHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hexadecimal(&Sha256::digest(bytes)[..16]))
    }
}

/// Bytes of the longest label.
pub const MAX_LABEL: usize = 63;

/// Whether a text is an RFC 1123 label: small letters, digits and dashes, with a letter or digit at either end.
pub fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Two digits for each byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    text
}

/// The DatabaseQueryResource on whose behalf we act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Uid.
    pub uid: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Owner {
    /// Value of [`LABEL_NAME`]: the name, or a hash of it where it is longer than 63 characters.
    pub fn label(&self) -> String {
        if self.name.len() <= MAX_LABEL { self.name.clone() } else { AppliedHash::of(self.name.as_bytes()).0 }
    }

    /// Label selector of everything that carries our labels.
    pub fn selector(&self) -> String {
        format!("{LABEL_NAME}={},{LABEL_NAMESPACE}={}", self.label(), self.namespace)
    }
}

/// Whose an existing object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours: our manager owns the owner-uid annotation, and it holds our uid, or the uid of an
    /// earlier DatabaseQueryResource of the same namespace and name.
    Ours,
    /// Another DatabaseQueryResource's.
    OtherOwner {
        /// `namespace/name`, as its labels say.
        owner: String,
    },
    /// Not managed by this operator. A copied label or annotation is not ownership.
    Foreign,
}

/// Reads from an object's metadata whose it is.
pub fn ownership(meta: &ObjectMeta, owner: &Owner) -> Ownership {
    let Some(uid) = annotation(meta, OWNER_UID) else { return Ownership::Foreign };
    let Some(entry) = meta.managed_fields.iter().flatten().find(|entry| owns(entry, "f:annotations", OWNER_UID)) else {
        return Ownership::Foreign;
    };
    let (name, namespace) = (label(meta, LABEL_NAME).unwrap_or("?"), label(meta, LABEL_NAMESPACE).unwrap_or("?"));
    // Labels are anyone's to edit. Those that we still own were written together with the uid, by an earlier
    // resource of that name, since there is only one at a time.
    let written_by_us = [LABEL_NAME, LABEL_NAMESPACE].iter().all(|key| owns(entry, "f:labels", key));
    if uid == owner.uid || (written_by_us && name == owner.label() && namespace == owner.namespace) {
        Ownership::Ours
    } else {
        Ownership::OtherOwner { owner: format!("{namespace}/{name}") }
    }
}

/// The name and namespace of the owner, as an object's labels have them.
pub fn owner_labels(meta: &ObjectMeta) -> (Option<&str>, Option<&str>) {
    (label(meta, LABEL_NAME), label(meta, LABEL_NAMESPACE))
}

/// Whether the user protected this object from deletion.
pub fn is_protected(meta: &ObjectMeta) -> bool {
    annotation(meta, PRUNE) == Some("disabled")
}

/// Whether anyone but our apply has written to this object (status and the like aside).
///
/// A first apply that met an existing object shows the others here: who made it has an entry, and
/// for an object without entries the API server adds one (`before-first-apply`). Only our entry
/// means that we made it, by a request whose answer was lost.
pub fn written_by_others(meta: &ObjectMeta) -> bool {
    meta.managed_fields
        .iter()
        .flatten()
        .any(|entry| !is_our_apply(entry) && entry.subresource.as_deref().unwrap_or("").is_empty())
}

/// Whether objects of this kind go before all others, as others may need them.
pub fn goes_first(kind: &GroupKind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// An annotation's value.
pub fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// Whether this is the entry of our server-side apply.
pub fn is_our_apply(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or("").is_empty()
}

/// Whether the entry is ours and owns a label or annotation.
fn owns(entry: &ManagedFieldsEntry, part: &str, key: &str) -> bool {
    let owns = |fields: &FieldsV1| !fields.0["f:metadata"][part][format!("f:{key}")].is_null();
    is_our_apply(entry) && entry.fields_v1.as_ref().is_some_and(owns)
}

/// One object as it should be, ready to send.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which object.
    pub id: ObjectId,
    /// Its kind, as the template's apiVersion asks for it.
    pub kind: Arc<Kind>,
    /// Hash of the body without this hash.
    pub hash: AppliedHash,
    /// The row it came from.
    pub row: RowName,
    /// Whether the user protected it from deletion.
    pub protected: bool,
    /// JSON after `{"metadata":{`, our marks included. None where the object is known to be so already.
    body: Option<Box<str>>,
}

const BODY_START: &str = r#"{"metadata":{"#;

impl Desired {
    /// From a whole body that begins with its (non-empty) metadata.
    pub fn new(id: ObjectId, kind: Arc<Kind>, hash: AppliedHash, row: impl Into<RowName>, body: Option<&str>) -> Self {
        Self {
            id,
            kind,
            hash,
            row: row.into(),
            protected: false,
            body: body.and_then(|body| body.strip_prefix(BODY_START)).map(Into::into),
        }
    }

    /// The same, protected from deletion or not.
    pub fn protected(self, protected: bool) -> Self {
        Self { protected, ..self }
    }

    /// Whether there is something to send: the object was not found to be as it should be.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The JSON to apply. With a uid the server refuses to touch any other object of that name.
    pub fn body(&self, uid: Option<&str>) -> Option<Vec<u8>> {
        let rest = self.body.as_deref()?;
        let uid = uid.map(|uid| format!(r#""uid":"{uid}","#)).unwrap_or_default();
        Some([BODY_START, &uid, rest].concat().into_bytes())
    }
}

/// An object of ours as the cluster was last seen to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The object's uid.
    pub uid: Arc<str>,
    /// Its applied-hash annotation.
    pub hash: Option<AppliedHash>,
    /// The key of the row that it was made from; None where the row had none.
    pub row_key: Option<Arc<str>>,
    /// Whether the user protected it from deletion.
    pub protected: bool,
    /// Whether it is on its way out, waiting for finalizers: whatever it is now, it has to be made anew.
    pub deleting: bool,
    /// What we own of it; None where that is nothing.
    pub fields: Option<Fields>,
    /// Whether these fields are known to be all that was applied. While they are not, they have to be compared with it.
    pub verified: bool,
}

impl Known {
    /// Whether the object is as it should be, if all that was applied is still ours.
    pub fn is_applied(&self, hash: &AppliedHash) -> bool {
        !self.deleting && self.hash.as_ref() == Some(hash)
    }

    /// Whether what is known is the same, however it became known.
    pub fn is_like(&self, other: &Self) -> bool {
        *self == Self { verified: self.verified, ..other.clone() }
    }
}
