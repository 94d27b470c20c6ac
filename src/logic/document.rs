//! One rendered document becomes one desired object: named, placed, allowed, marked and hashed. Pure.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::json::{self, Json, Map};
use super::object::{self, AppliedHash, Desired, Kind, ObjectId, Owner, Wishes};
use super::pointer::{self, Pointer};
use super::rights::{Forbidden, Rights};
use super::row::RowName;
use crate::crd::{DeletionPolicy, Gvk};

/// What a document needs to become an object.
pub struct Frame<'a> {
    /// On whose behalf.
    pub owner: &'a Owner,
    /// What it may touch.
    pub rights: &'a Rights,
    /// Fills in apiVersion and kind.
    pub gvk: Option<&'a Gvk>,
    /// Delete: objects get an ownerReference.
    pub deletion_policy: DeletionPolicy,
    /// Fields that are set at creation alone.
    pub ignored: &'a [Pointer],
}

/// Why a document cannot become an object. Names fields, never their values, except names and kinds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not a mapping.
    #[error("the document is not a mapping")]
    NotAMapping,
    /// A field that must be there, and a non-empty string.
    #[error("{0} must be a non-empty string")]
    Missing(&'static str),
    /// A name that the API has no path for.
    #[error("{0} is not a valid name")]
    BadName(&'static str),
    /// apiVersion or kind differ from the spec's gvk.
    #[error("{0} does not agree with spec.gvk")]
    Disagrees(&'static str),
    /// Something that is ours or the server's to set.
    #[error("a template may not set {0}")]
    Reserved(String),
    /// A label or annotation that is no string.
    #[error("{0} must be a string: quote it")]
    NotAString(String),
    /// An annotation of ours for users, with a value that says nothing.
    #[error("metadata.annotations[{0}] must be {1}")]
    NoSuchWish(&'static str, &'static str),
    /// A field to ignore that is not at a lasting place.
    #[error("ignoreFields: {0} leads into a list, where places move; only whole lists can be ignored")]
    IntoList(String),
    /// A Secret's value that is no base64. The key may come from the row, so it is not named.
    #[error("every value of a Secret's data must be base64: use b64encode (b64enc in Go), or stringData")]
    NotBase64,
    /// A namespace on an object that has none.
    #[error("{0} is cluster-scoped and cannot have metadata.namespace")]
    NoNamespace(String),
    /// The kind is not known to the server, or could not be looked up.
    #[error("{0}")]
    Kind(String),
    /// The flags do not allow it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl DocumentError {
    /// One word for it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kind(_) => "UnknownKind",
            Self::Forbidden(_) => "Forbidden",
            _ => "InvalidObject",
        }
    }
}

/// Fields of metadata that are the server's or ours.
const RESERVED: [&str; 9] = [
    "ownerReferences",
    "finalizers",
    "uid",
    "resourceVersion",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "generateName",
];

/// Looks a kind up by apiVersion and kind; the error is a sentence.
pub type FindKind<'a> = dyn Fn(&str, &str) -> Result<Arc<Kind>, String> + 'a;

/// Makes the object of one document of row `row`. Its body is left out where `is_applied` says that
/// the cluster has it so already.
pub fn desired(
    document: Json,
    row: impl Into<RowName>,
    frame: &Frame<'_>,
    find_kind: &FindKind<'_>,
    is_applied: impl Fn(&Desired, &Json) -> bool,
) -> Result<Desired, DocumentError> {
    let Json::Object(mut document) = document else { return Err(DocumentError::NotAMapping) };
    let kind = kind(&mut document, frame.gvk, find_kind)?;
    let first = pointer::split(&mut document, frame.ignored).map_err(|error| DocumentError::IntoList(error.0))?;
    let row = row.into();
    let Marked { id, wishes, object, body, hash, reference } = marked(document, &kind, frame, &row)?;
    let desired = Desired::new(id, kind.clone(), hash, row, None).wishing(wishes).referring(reference);
    if is_applied(&desired, &object) {
        return Ok(desired);
    }
    let first = first.map(|document| marked(document, &kind, frame, &desired.row)).transpose()?;
    Ok(desired.with(&body, first.map(|first| first.body).as_deref()))
}

/// A document with all that we add.
struct Marked {
    id: ObjectId,
    wishes: Wishes,
    object: Json,
    body: String,
    hash: AppliedHash,
    reference: Option<String>,
}

fn marked(mut document: Map, kind: &Kind, frame: &Frame<'_>, row: &RowName) -> Result<Marked, DocumentError> {
    let mut metadata = match document.shift_remove("metadata") {
        Some(Json::Object(metadata)) => metadata,
        _ => return Err(DocumentError::Missing("metadata.name")),
    };
    let id = place(&mut metadata, kind, frame)?;
    if id.kind.group.is_empty() && id.kind.kind == "Secret" {
        check_secret(&document)?;
    }
    let wishes = mark(&mut metadata, frame.owner, row.key.as_deref())?;
    let in_own_namespace = id.namespace.as_deref() == Some(frame.owner.namespace.as_str());
    let referring = in_own_namespace && frame.deletion_policy == DeletionPolicy::Delete && !wishes.protected;
    let reference = referring.then(|| owner_reference(frame.owner));
    let metadata = Json::Object(metadata);
    let (body, hash) = body(&metadata, &document, reference.as_deref().unwrap_or_default());
    document.insert("metadata".into(), metadata);
    Ok(Marked { id, wishes, object: Json::Object(document), body, hash, reference })
}

fn kind(document: &mut Map, gvk: Option<&Gvk>, find_kind: &FindKind<'_>) -> Result<Arc<Kind>, DocumentError> {
    if let Some(gvk) = gvk {
        let api_version =
            if gvk.group.is_empty() { gvk.version.clone() } else { format!("{}/{}", gvk.group, gvk.version) };
        for (field, wanted) in [("apiVersion", api_version), ("kind", gvk.kind.clone())] {
            let wanted = Json::from(wanted);
            if document.entry(field.into()).or_insert_with(|| wanted.clone()) != &wanted {
                return Err(DocumentError::Disagrees(field));
            }
        }
    }
    let api_version = text(document, "apiVersion").ok_or(DocumentError::Missing("apiVersion"))?;
    let kind = text(document, "kind").ok_or(DocumentError::Missing("kind"))?;
    find_kind(api_version, kind).map_err(DocumentError::Kind)
}

fn place(metadata: &mut Map, kind: &Kind, frame: &Frame<'_>) -> Result<ObjectId, DocumentError> {
    if let Some(field) = RESERVED.iter().find(|field| metadata.contains_key(**field)) {
        return Err(DocumentError::Reserved(format!("metadata.{field}")));
    }
    let name = text(metadata, "name").ok_or(DocumentError::Missing("metadata.name"))?;
    if !is_path_segment(name) || name.len() > 253 {
        return Err(DocumentError::BadName("metadata.name"));
    }
    let name = name.to_owned();
    let namespace = match metadata.get("namespace") {
        None | Some(Json::Null) => kind.namespaced.then(|| frame.owner.namespace.clone()),
        Some(_) if !kind.namespaced => return Err(DocumentError::NoNamespace(kind.group_kind.to_string())),
        Some(Json::String(namespace)) if object::is_label(namespace) => Some(namespace.clone()),
        Some(_) => return Err(DocumentError::BadName("metadata.namespace")),
    };
    frame.rights.place(&kind.group_kind, namespace.as_deref(), frame.owner)?;
    if let Some(namespace) = &namespace {
        metadata.insert("namespace".into(), namespace.as_str().into());
    }
    Ok(ObjectId { kind: kind.group_kind.clone(), namespace: namespace.map(Into::into), name })
}

/// Puts our marks on and says what the user wants of the object.
fn mark(metadata: &mut Map, owner: &Owner, row_key: Option<&str>) -> Result<Wishes, DocumentError> {
    let labels = strings(metadata, "labels")?;
    refuse_ours(labels, "labels", &[object::LABEL_NAME, object::LABEL_NAMESPACE])?;
    labels.insert(object::LABEL_NAME.into(), owner.label().into());
    labels.insert(object::LABEL_NAMESPACE.into(), owner.namespace.as_str().into());
    let annotations = strings(metadata, "annotations")?;
    refuse_ours(annotations, "annotations", &object::OUR_ANNOTATIONS)?;
    let wishes = wishes(annotations)?;
    annotations.insert(object::OWNER_UID.into(), owner.uid.as_str().into());
    annotations.insert(object::APPLIED_HASH.into(), NO_HASH.into());
    if let Some(key) = row_key {
        annotations.insert(object::ROW_KEY.into(), key.into());
    }
    Ok(wishes)
}

/// What the annotations for users say.
fn wishes(annotations: &Map) -> Result<Wishes, DocumentError> {
    let one_of = |key: &'static str, values: &[&str], named| match annotations.get(key).and_then(Json::as_str) {
        Some(value) if !values.contains(&value) => Err(DocumentError::NoSuchWish(key, named)),
        value => Ok(value.is_some_and(|value| value == values[0])),
    };
    Ok(Wishes {
        protected: annotations.get(object::PRUNE).is_some_and(|value| value.as_str() == Some("disabled")),
        create_only: one_of(object::SSA, &["IfNotPresent"], "IfNotPresent")?,
        recreate: one_of(object::RECREATE, &["true", "false"], "true or false")?,
    })
}

fn strings<'a>(metadata: &'a mut Map, field: &str) -> Result<&'a mut Map, DocumentError> {
    let entry = metadata.entry(field.into()).or_insert_with(empty);
    if entry.is_null() {
        *entry = empty();
    }
    let Json::Object(map) = entry else { return Err(DocumentError::NotAString(format!("metadata.{field}"))) };
    match map.iter().find(|(_, value)| value.as_str().is_none()) {
        // The key may come from the row, so it is not named.
        Some(_) => Err(DocumentError::NotAString(format!("every value of metadata.{field}"))),
        None => Ok(map),
    }
}

fn empty() -> Json {
    Json::Object(Map::default())
}

fn refuse_ours(map: &Map, field: &str, ours: &[&str]) -> Result<(), DocumentError> {
    match ours.iter().find(|key| map.contains_key(**key)) {
        Some(key) => Err(DocumentError::Reserved(format!("metadata.{field}[{key}]"))),
        None => Ok(()),
    }
}

/// `"ownerReferences":[…]`.
fn owner_reference(owner: &Owner) -> String {
    let mut out = String::with_capacity(250);
    out.push_str(r#""ownerReferences":[{"apiVersion":"konnektr.io/v1alpha1","kind":"DatabaseQueryResource","name":"#);
    json::append_string(&mut out, &owner.name);
    out.push_str(r#","uid":"#);
    json::append_string(&mut out, &owner.uid);
    out.push_str(r#","controller":true,"blockOwnerDeletion":true}]"#);
    out
}

/// As long as a hash, so that the hash can be written over it.
const NO_HASH: &str = "00000000000000000000000000000000";
/// Most bodies are shorter.
const BODY: usize = 2 << 10;

/// The body with its hash annotation, which stands for the reference to the owner, too. Metadata comes first, so that
/// a uid can be put into it when sent, and so that the first hash annotation in the text is ours.
fn body(metadata: &Json, rest: &Map, reference: &str) -> (String, AppliedHash) {
    let mut body = String::with_capacity(BODY);
    body.push_str(r#"{"metadata":"#);
    json::append(&mut body, metadata);
    for (key, value) in rest {
        body.push(',');
        json::append_key(&mut body, key);
        json::append(&mut body, value);
    }
    body.push('}');
    let end = body.len();
    body.push_str(reference);
    let hash = AppliedHash::of(body.as_bytes());
    body.truncate(end);
    let annotation = format!(r#""{}":"{NO_HASH}""#, object::APPLIED_HASH);
    if let Some(end) = body.find(&annotation).map(|start| start + annotation.len() - 1) {
        body.replace_range(end - NO_HASH.len()..end, &hash.0);
    }
    (body, hash)
}

/// The server answers with an error that says nothing.
fn check_secret(document: &Map) -> Result<(), DocumentError> {
    let Some(Json::Object(data)) = document.get("data") else { return Ok(()) };
    let is_base64 =
        |value: &Json| value.as_str().is_none_or(|text| STANDARD.decode(text.replace(['\r', '\n'], "")).is_ok());
    if data.values().all(is_base64) { Ok(()) } else { Err(DocumentError::NotBase64) }
}

fn text<'a>(map: &'a Map, field: &str) -> Option<&'a str> {
    map.get(field).and_then(Json::as_str).filter(|text| !text.is_empty())
}

/// What may stand in a URL path; each kind's own rules are the server's to check.
fn is_path_segment(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '%']) && !name.chars().any(char::is_control)
}

#[cfg(test)]
#[path = "document/tests.rs"]
mod tests;
