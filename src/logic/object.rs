//! What a managed object is: its identity, its kind and the marks we put on it. Pure.

mod desired;
mod known;
mod ownership;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use desired::{Desired, Wishes};
pub use known::{Known, Version};
pub use ownership::{
    Hold, Ownership, annotation, hold, is_adopted, is_initial, is_orphaned, is_our_apply, is_predecessor,
    is_predecessors_too, is_protected, is_us, marks_lost, owner_labels, owner_uid, ownership, refers, row_key,
    written_by_others,
};

/// Our field manager for server-side apply.
pub const FIELD_MANAGER: &str = "db-query-operator";
/// Our second field manager, of fields that are set at creation and left to others afterwards.
pub const INITIAL_MANAGER: &str = "db-query-operator-initial";
/// The Go operator's field manager.
pub const PREDECESSOR: &str = "databasequeryresource-controller";
/// Keeps a DatabaseQueryResource until its objects were cleaned up.
pub const FINALIZER: &str = "konnektr.io/dbqr-finalizer";
/// The finalizers that are ours to take off: also the one by which users of the Go operator ask that objects are deleted.
pub const OUR_FINALIZERS: [&str; 2] = [FINALIZER, "konnektr.io/databasequeryresource-finalizer"];
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
pub const OUR_ANNOTATIONS: [&str; 4] = [OWNER_UID, APPLIED_HASH, ROW_KEY, ADOPTED];
/// Annotation: the object existed before us, or was left to itself: it is never deleted, only released.
pub const ADOPTED: &str = "konnektr.io/adopted";
/// Annotation by the user: `IfNotPresent` creates an object and never touches one that exists.
pub const SSA: &str = "konnektr.io/ssa";
/// Annotation by the user: `true` lets us delete and create anew what cannot be updated.
pub const RECREATE: &str = "konnektr.io/recreate";
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

/// What follows the hash on an object that existed before us.
const OF_ADOPTED: &str = "-adopted";

impl AppliedHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hexadecimal(&Sha256::digest(bytes)[..16]))
    }

    /// The value of [`APPLIED_HASH`] on an object that existed before us: it says so a second time, should somebody take
    /// [`ADOPTED`] off.
    pub fn of_adopted(&self) -> String {
        format!("{}{OF_ADOPTED}", self.0)
    }

    /// Reads the value of [`APPLIED_HASH`], and whether it is on an object that existed before us.
    pub fn read(value: &str) -> (Self, bool) {
        let hash = value.strip_suffix(OF_ADOPTED);
        (Self(hash.unwrap_or(value).to_owned()), hash.is_some())
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

    /// Label selector of what the Go operator made for a resource of this name, of whatever namespace.
    pub fn predecessors_selector(&self) -> String {
        format!("{LABEL_NAME}={}", self.label())
    }

    /// Label selector of everything that carries our labels.
    pub fn selector(&self) -> String {
        format!("{LABEL_NAME}={},{LABEL_NAMESPACE}={}", self.label(), self.namespace)
    }
}

/// Whether objects of this kind go before all others, as others may need them.
pub fn goes_first(kind: &GroupKind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// The order in which objects are deleted, each part once all of the one before is: what [goes first](goes_first) goes
/// last, since it takes others along.
pub fn deletion_order<T>(objects: Vec<T>, id: impl Fn(&T) -> &ObjectId) -> [Vec<T>; 2] {
    let (last, first) = objects.into_iter().partition(|object| goes_first(&id(object).kind));
    [first, last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_definitions_are_deleted_last() {
        let kinds =
            ["Namespace", "ConfigMap", "CustomResourceDefinition.apiextensions.k8s.io", "Namespace.example.com"];
        let ids = kinds.map(|kind| ObjectId { kind: GroupKind::parse(kind).into(), namespace: None, name: "a".into() });
        let parts = deletion_order(ids.to_vec(), |id| id);
        let [first, last] = parts.map(|part| part.iter().map(|id| id.kind.to_string()).collect::<Vec<_>>());
        assert_eq!(first, [kinds[1], kinds[3]]);
        assert_eq!(last, [kinds[0], kinds[2]]);
    }
}
