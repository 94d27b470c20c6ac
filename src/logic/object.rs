//! What a managed object is: its identity, its kind, the marks we put on it, and how to tell from
//! its metadata whether it is ours. Pure.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fields::Fields;
use super::json::Json;
use super::row::RowName;

/// Our field manager for server-side apply.
pub const FIELD_MANAGER: &str = "db-query-operator";
/// Our second field manager, of fields that are set at creation and left to others afterwards.
pub const INITIAL_MANAGER: &str = "db-query-operator-initial";
/// The Go operator's field manager.
pub const PREDECESSOR: &str = "databasequeryresource-controller";
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
    /// Ours, and not marked as such yet: the Go operator made it for the same DatabaseQueryResource.
    Inherited,
    /// Another DatabaseQueryResource's.
    OtherOwner {
        /// `namespace/name`, as its labels say.
        owner: String,
    },
    /// A DatabaseQueryResource's that does not exist any more, and is not an earlier one of ours.
    Abandoned,
    /// Not managed by this operator. A copied label or annotation is not ownership.
    Foreign,
}

/// Reads from an object's metadata whose it is.
pub fn ownership(meta: &ObjectMeta, owner: &Owner) -> Ownership {
    let Some(uid) = annotation(meta, OWNER_UID) else {
        return if is_inherited(meta, owner) { Ownership::Inherited } else { Ownership::Foreign };
    };
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

/// Whether the Go operator made the object for this owner: it labels with the name alone, which is unique only together
/// with the reference. An entry of ours is one of its that was renamed.
fn is_inherited(meta: &ObjectMeta, owner: &Owner) -> bool {
    let labelled = |entry: &ManagedFieldsEntry| {
        (is_predecessor(entry) || is_our_apply(entry)) && names(entry, "f:labels", LABEL_NAME)
    };
    label(meta, LABEL_NAME) == Some(&owner.name)
        && meta.owner_references.iter().flatten().any(|reference| reference.uid == owner.uid)
        && meta.managed_fields.iter().flatten().any(labelled)
}

/// Whether this is the entry of the Go operator.
pub fn is_predecessor(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(PREDECESSOR) && entry.operation.as_deref() == Some("Apply")
}

/// The name and namespace of the owner, as an object's labels have them.
pub fn owner_labels(meta: &ObjectMeta) -> (Option<&str>, Option<&str>) {
    (label(meta, LABEL_NAME), label(meta, LABEL_NAMESPACE))
}

/// Whether the user protected this object from deletion.
pub fn is_protected(meta: &ObjectMeta) -> bool {
    annotation(meta, PRUNE) == Some("disabled")
}

/// Whether the object existed before us: it is released, never deleted.
pub fn is_adopted(meta: &ObjectMeta) -> bool {
    annotation(meta, ADOPTED).is_some()
}

/// Whether we created the object and later left it to itself, as only then the mark of that was not applied.
pub fn is_orphaned(meta: &ObjectMeta) -> bool {
    let written = |entry: &ManagedFieldsEntry| {
        is_us(entry) && entry.operation.as_deref() == Some("Update") && names(entry, "f:annotations", ADOPTED)
    };
    meta.managed_fields.iter().flatten().any(written)
}

/// Whether a controller other than a DatabaseQueryResource has the object.
fn is_controlled(meta: &ObjectMeta) -> bool {
    let mut references = meta.owner_references.iter().flatten();
    references.any(|reference| reference.controller == Some(true) && reference.kind != "DatabaseQueryResource")
}

/// How we have an object that is ours.
pub fn hold(meta: &ObjectMeta) -> Hold {
    match (is_adopted(meta), is_controlled(meta)) {
        (true, _) => Hold::Adopted,
        (false, true) => Hold::Controlled,
        (false, false) => Hold::Created,
    }
}

/// Whether anyone but us has written to this object (status and the like aside).
///
/// A first apply that met an existing object shows the others here: who made it has an entry, and
/// for an object without entries the API server adds one (`before-first-apply`). Only our entry
/// means that we made it, by a request whose answer was lost.
pub fn written_by_others(meta: &ObjectMeta) -> bool {
    meta.managed_fields
        .iter()
        .flatten()
        .any(|entry| !is_us(entry) && entry.subresource.as_deref().unwrap_or("").is_empty())
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

/// Whether this is the entry of our second manager.
pub fn is_initial(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(INITIAL_MANAGER) && entry.subresource.as_deref().unwrap_or("").is_empty()
}

/// Whether this is an entry of ours, by whatever operation.
pub fn is_us(entry: &ManagedFieldsEntry) -> bool {
    matches!(entry.manager.as_deref(), Some(FIELD_MANAGER | INITIAL_MANAGER))
        && entry.subresource.as_deref().unwrap_or("").is_empty()
}

/// Whether the entry is ours and owns a label or annotation.
fn owns(entry: &ManagedFieldsEntry, part: &str, key: &str) -> bool {
    is_our_apply(entry) && names(entry, part, key)
}

fn names(entry: &ManagedFieldsEntry, part: &str, key: &str) -> bool {
    let names = |fields: &FieldsV1| !fields.0["f:metadata"][part][format!("f:{key}")].is_null();
    entry.fields_v1.as_ref().is_some_and(names)
}

/// How we have an object; what is sent of it follows from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// We created it, or are about to.
    #[default]
    Created,
    /// We created it, and a controller has it by now: it cannot have two, so we are none.
    Controlled,
    /// It existed before us, or was left to itself: it has no reference to us, and is never deleted.
    Adopted,
}

/// What the user wants of an object beside its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Never deleted by us.
    pub protected: bool,
    /// Created where there is none, and never touched otherwise.
    pub create_only: bool,
    /// Deleted and created anew where it cannot be updated.
    pub recreate: bool,
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
    /// What the user wants beside.
    pub wishes: Wishes,
    /// `"ownerReferences":[…]`, where the object is to have one.
    reference: Option<Box<str>>,
    /// JSON after `{"metadata":{`, our marks included. None where the object is known to be so already.
    body: Option<Box<str>>,
    /// The same with the fields that are set at creation alone, where it has any. Its hash is another one: an object that
    /// was only created is not yet as it should be.
    first: Option<Box<str>>,
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
            wishes: Wishes::default(),
            reference: None,
            body: body.and_then(|body| body.strip_prefix(BODY_START)).map(Into::into),
            first: None,
        }
    }

    /// The same with a body, and perhaps another one to begin with.
    pub fn with(self, body: &str, first: Option<&str>) -> Self {
        let cut = |body: &str| body.strip_prefix(BODY_START).map(Into::into);
        Self { body: cut(body), first: first.and_then(cut), ..self }
    }

    /// Whether it is created otherwise than it should be in the end.
    pub fn begins_otherwise(&self) -> bool {
        self.first.is_some()
    }

    /// The same with these wishes.
    pub fn wishing(self, wishes: Wishes) -> Self {
        Self { wishes, ..self }
    }

    /// The same with a reference to its owner, `"ownerReferences":[…]`, as long as we have it alone.
    pub fn referring(self, reference: Option<String>) -> Self {
        Self { reference: reference.map(Into::into), ..self }
    }

    /// The JSON to create it with.
    pub fn first_body(&self) -> Option<Vec<u8>> {
        self.assemble(self.first.as_deref().or(self.body.as_deref())?, Hold::Created, None)
    }

    /// Whether there is something to send: the object was not found to be as it should be.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The JSON to apply. With a uid the server refuses to touch any other object of that name.
    pub fn body(&self, hold: Hold, uid: Option<&str>) -> Option<Vec<u8>> {
        self.assemble(self.body.as_deref()?, hold, uid)
    }

    fn assemble(&self, rest: &str, hold: Hold, uid: Option<&str>) -> Option<Vec<u8>> {
        let uid = uid.map(|uid| format!(r#""uid":"{uid}","#)).unwrap_or_default();
        if hold == Hold::Adopted {
            // Next to another mark of ours, whose text occurs nowhere else.
            let (before, mark) = rest.split_at(rest.find(&format!(r#""{APPLIED_HASH}":"{}""#, self.hash.0))?);
            return Some([BODY_START, &uid, before, r#""konnektr.io/adopted":"true","#, mark].concat().into_bytes());
        }
        let reference = self.reference.as_ref().filter(|_| hold == Hold::Created);
        let reference = reference.map(|reference| format!("{reference},")).unwrap_or_default();
        Some([BODY_START, &uid, &reference, rest].concat().into_bytes())
    }

    /// Whether it has a reference to its owner, held so.
    pub fn refers(&self, hold: Hold) -> bool {
        hold == Hold::Created && self.reference.is_some()
    }

    /// What is known of the object once it was applied, and we own these fields.
    pub fn known(&self, uid: Arc<str>, hold: Hold, fields: Option<Fields>) -> Known {
        Known {
            uid,
            hash: Some(self.hash.clone()),
            row_key: self.row.key.clone(),
            protected: self.wishes.protected,
            deleting: false,
            hold,
            referring: self.refers(hold),
            applied: fields.clone().filter(|_| hold == Hold::Adopted),
            fields,
            verified: true,
        }
    }
}

/// An object of ours as the cluster was last seen to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// How we have it.
    pub hold: Hold,
    /// Whether it has a reference to its owner.
    pub referring: bool,
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
        !self.deleting && self.hash.as_ref() == Some(hash)
    }

    /// Whether we still own all that is to be applied: `object`, our marks and the reference to the owner.
    pub fn has_all(&self, desired: &Desired, object: &Json) -> bool {
        let Some(fields) = &self.fields else { return false };
        let is_marked = self.hold != Hold::Adopted || fields.have_adopted();
        is_marked && self.referring == desired.refers(self.hold) && fields.cover(object)
    }

    /// Whether what is seen of the object now is the same.
    pub fn is_like(&self, seen: &Self) -> bool {
        *self == Self { verified: self.verified, applied: self.applied.clone(), ..seen.clone() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn owner() -> Owner {
        Owner { name: "q".into(), namespace: "n".into(), uid: "u1".into() }
    }

    /// An object with our marks and these entries of managedFields, overlaid with `more`.
    fn meta(entries: Value, more: Value) -> ObjectMeta {
        let mut meta = json!({
            "labels": {LABEL_NAME: "q", LABEL_NAMESPACE: "n"},
            "annotations": {OWNER_UID: "u1"},
            "managedFields": entries,
        });
        for (key, value) in more.as_object().unwrap() {
            meta[key] = value.clone();
        }
        serde_json::from_value(meta).unwrap()
    }

    fn entry(manager: &str, operation: &str, labels: &[&str], annotations: &[&str]) -> Value {
        let fields = |keys: &[&str]| keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect::<Value>();
        json!({"manager": manager, "operation": operation, "fieldsV1": {"f:metadata": {
            "f:labels": fields(labels), "f:annotations": fields(annotations),
        }}})
    }

    fn ours() -> Value {
        entry(FIELD_MANAGER, "Apply", &OUR_LABELS, &[OWNER_UID])
    }

    #[test]
    fn ours_is_what_our_entry_says_and_copied_marks_say_nothing() {
        let whose = |entries, more| ownership(&meta(entries, more), &owner());
        assert_eq!(whose(json!([ours()]), json!({})), Ownership::Ours);
        let copied = json!([entry("kubectl", "Apply", &OUR_LABELS, &[OWNER_UID])]);
        assert_eq!(whose(copied, json!({})), Ownership::Foreign);
        let earlier = json!({"annotations": {OWNER_UID: "an earlier one"}});
        assert_eq!(whose(json!([ours()]), earlier.clone()), Ownership::Ours);
        let relabelled = json!([entry(FIELD_MANAGER, "Apply", &[], &[OWNER_UID])]);
        assert_eq!(whose(relabelled, earlier), Ownership::OtherOwner { owner: "n/q".into() });
    }

    #[test]
    fn what_the_go_operator_made_is_told_by_its_entry_and_the_reference_together() {
        let reference = |uid: &str| {
            let reference = json!({"apiVersion": "v", "kind": "DatabaseQueryResource", "name": "q", "uid": uid});
            json!({"annotations": {}, "ownerReferences": [reference]})
        };
        let whose = |manager, uid| {
            ownership(&meta(json!([entry(manager, "Apply", &[LABEL_NAME], &[])]), reference(uid)), &owner())
        };
        assert_eq!(whose(PREDECESSOR, "u1"), Ownership::Inherited);
        assert_eq!(whose(FIELD_MANAGER, "u1"), Ownership::Inherited);
        assert_eq!(whose(PREDECESSOR, "u2"), Ownership::Foreign);
        assert_eq!(whose("kubectl", "u1"), Ownership::Foreign);
    }

    #[test]
    fn an_orphan_is_told_from_what_existed_before_us() {
        let adopted = json!({"annotations": {OWNER_UID: "u1", ADOPTED: "true"}});
        let applied = entry(FIELD_MANAGER, "Apply", &OUR_LABELS, &[OWNER_UID, ADOPTED]);
        let orphaned = meta(json!([applied, entry(FIELD_MANAGER, "Update", &[], &[ADOPTED])]), adopted.clone());
        let existed = meta(json!([applied, entry("kubectl", "Apply", &["team"], &[])]), adopted);
        assert!(is_orphaned(&orphaned) && !written_by_others(&orphaned));
        assert!(!is_orphaned(&existed) && written_by_others(&existed));
        assert_eq!((hold(&orphaned), hold(&existed)), (Hold::Adopted, Hold::Adopted));
    }

    #[test]
    fn an_object_with_another_controller_gets_no_second_one() {
        let with = |kind: &str, controller: bool| {
            let reference =
                json!({"apiVersion": "v", "kind": kind, "name": "x", "uid": "u9", "controller": controller});
            hold(&meta(json!([ours()]), json!({"ownerReferences": [reference]})))
        };
        assert_eq!(with("Deployment", true), Hold::Controlled);
        assert_eq!(with("Deployment", false), Hold::Created);
        assert_eq!(with("DatabaseQueryResource", true), Hold::Created);
    }
}
