//! One object as it should be, ready to send. Pure.

use std::sync::Arc;

use super::{ADOPTED, APPLIED_HASH, AppliedHash, Hold, Kind, Known, ObjectId};
use crate::logic::row::RowName;

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
/// What makes an apply create and never touch what is there: a version that an object cannot have, as the store had it
/// before its first write.
const NOTHING_THERE: &str = r#""resourceVersion":"1","#;

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

    /// The JSON to create it with. The server refuses to touch what there is of that name.
    pub fn first_body(&self) -> Option<Vec<u8>> {
        self.assemble(self.first.as_deref().or(self.body.as_deref())?, Hold::Created, NOTHING_THERE)
    }

    /// Whether there is something to send: the object was not found to be as it should be.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The JSON to apply. With a uid the server refuses to touch any other object of that name.
    pub fn body(&self, hold: Hold, uid: Option<&str>) -> Option<Vec<u8>> {
        let uid = uid.map(|uid| format!(r#""uid":"{uid}","#)).unwrap_or_default();
        self.assemble(self.body.as_deref()?, hold, &uid)
    }

    fn assemble(&self, rest: &str, hold: Hold, condition: &str) -> Option<Vec<u8>> {
        if hold == Hold::Adopted {
            // Its text occurs nowhere else.
            let (before, after) = rest.split_once(&format!(r#""{APPLIED_HASH}":"{}""#, self.hash.0))?;
            let marks = format!(r#""{ADOPTED}":"true","{APPLIED_HASH}":"{}""#, self.hash.of_adopted());
            return Some([BODY_START, condition, before, &marks, after].concat().into_bytes());
        }
        let reference = self.reference.as_ref().filter(|_| hold == Hold::Created);
        let reference = reference.map(|reference| format!("{reference},")).unwrap_or_default();
        Some([BODY_START, condition, &reference, rest].concat().into_bytes())
    }

    /// Whether it has a reference to its owner, held so.
    pub fn refers(&self, hold: Hold) -> bool {
        hold == Hold::Created && self.reference.is_some()
    }

    /// What is known of the object once it was applied: what was seen of it then, and that it is as it should be.
    pub fn applied(&self, known: Known) -> Known {
        Known {
            hash: Some(self.hash.clone()),
            row_key: self.row.key.clone(),
            applied: known.fields.clone().filter(|_| known.hold == Hold::Adopted),
            verified: true,
            ..known
        }
    }
}
