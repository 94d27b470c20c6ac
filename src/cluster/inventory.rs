//! What is there under an owner's labels: paged metadata LISTs, of which only the few words are kept that the
//! inventory needs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use serde::Deserialize;

use super::Cluster;
use super::failure::Failure;
use super::request::{Answer, Call, METADATA_LIST, Metadata, asked, encoded, list_path};
use crate::logic::fields::Fields;
use crate::logic::object;
use crate::logic::object::{
    APPLIED_HASH, AppliedHash, Kind, Known, ObjectId, Owner, Ownership, Version, annotation, hold, is_predecessors_too,
    is_protected, ownership, refers,
};

/// Objects of one answer.
const PAGE: usize = 500;
/// Listings begun anew where the server forgot the place to continue from.
const BEGINNINGS: u32 = 3;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    All,
    /// In one namespace.
    Namespace(String),
}

/// An object that carries an owner's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Which.
    pub id: ObjectId,
    /// What is known of it.
    pub known: Known,
    /// Whose it really is; labels can be copied.
    pub ownership: Ownership,
}

impl Owned {
    /// Whether it is ours, and known to be.
    pub fn is_ours(&self) -> bool {
        self.ownership == Ownership::Ours
    }

    /// Whether the Go operator has left it, or has applied what is ours.
    pub fn is_to_be_taken(&self) -> bool {
        match self.ownership {
            Ownership::Inherited | Ownership::Left => !self.known.deleting,
            Ownership::Ours => self.known.is_predecessors && !self.known.deleting,
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    /// An empty list of metadata comes as null.
    items: Option<Vec<Metadata>>,
}

/// One page of metadata and how to go on.
pub(super) struct Listed {
    pub items: Vec<Metadata>,
    pub next: Option<String>,
    pub remaining: Option<i64>,
}

/// Asks for one page of the metadata of a kind's objects.
pub(super) fn list_page(kind: &Kind, namespace: Option<&str>, selector: Option<&str>, next: Option<&str>) -> Call {
    let mut path = format!("{}?limit={PAGE}", list_path(kind, namespace));
    for (name, value) in [("labelSelector", selector), ("continue", next)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    Call { accept: METADATA_LIST, compressed: true, ..Call::get(path, asked("list", kind, namespace)) }
}

impl Listed {
    pub fn read(answer: &Answer) -> Result<Self, Failure> {
        let page: Page = answer.read()?;
        let next = page.metadata.continue_.filter(|next| !next.is_empty());
        Ok(Self { items: page.items.unwrap_or_default(), next, remaining: page.metadata.remaining_item_count })
    }
}

impl Cluster {
    /// All objects of this kind that this label selector selects, and what they are to the owner.
    pub async fn list_labelled(
        &self,
        kind: &Kind,
        owner: &Owner,
        scope: &Scope,
        selector: &str,
    ) -> Result<Vec<Owned>, Failure> {
        let namespace = match scope {
            Scope::Namespace(namespace) if kind.namespaced => Some(namespace.as_str()),
            _ => None,
        };
        for last in (0..BEGINNINGS).map(|beginning| beginning + 1 == BEGINNINGS) {
            let mut owned = Vec::new();
            let mut next = None;
            loop {
                let page = match self.page(kind, namespace, Some(selector), next).await {
                    // 410: the listing took so long that the server forgot it.
                    Err(failure) if failure.code() == Some(410) && !last => break,
                    page => page?,
                };
                for item in page.items {
                    owned.push(self.owned(kind, &item.metadata, owner));
                }
                match page.next {
                    Some(more) => next = Some(more),
                    None => return Ok(owned),
                }
            }
        }
        Err(Failure::Timeout)
    }

    /// What is known of an object by its metadata.
    pub fn owned(&self, kind: &Kind, meta: &ObjectMeta, owner: &Owner) -> Owned {
        let id = ObjectId {
            kind: kind.group_kind.clone(),
            namespace: meta.namespace.as_deref().map(|name| self.shared.texts.shared(name)),
            name: meta.name.clone().unwrap_or_default(),
        };
        Owned { id, known: self.noted(meta, owner), ownership: ownership(meta, owner) }
    }

    /// One page of the metadata of a kind's objects.
    pub(super) async fn page(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: Option<&str>,
        next: Option<String>,
    ) -> Result<Listed, Failure> {
        let call = list_page(kind, namespace, selector, next.as_deref());
        let answer = self.call(call).await.inspect_err(|failure| self.shared.kinds.forget_if_gone(failure, kind))?;
        Listed::read(&answer)
    }

    /// What the inventory keeps of an object.
    pub(super) fn noted(&self, meta: &ObjectMeta, owner: &Owner) -> Known {
        Known {
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            version: Version::of(meta),
            hash: annotation(meta, APPLIED_HASH).map(|hash| AppliedHash::read(hash).0),
            row_key: object::row_key(meta, owner).map(Into::into),
            protected: is_protected(meta),
            deleting: meta.deletion_timestamp.is_some(),
            hold: hold(meta),
            is_predecessors: is_predecessors_too(meta),
            referring: refers(meta, owner),
            fields: self.fields(meta),
            applied: None,
            verified: false,
        }
    }

    /// What we own of an object.
    pub(super) fn fields(&self, meta: &ObjectMeta) -> Option<Fields> {
        Fields::of(meta).map(|text| Fields(self.shared.texts.shared(&text)))
    }
}
