//! What the Go operator left: a list of its objects in the status, of which each is to be looked at and, where it is what
//! the list says, made ours. Its label names a resource without its namespace; only the list tells whose they are. Pure:
//! the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::iter;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value, json};

use super::few::{counted, few};
use super::object::{
    ADOPTED, FIELD_MANAGER, GroupKind, LABEL_NAME, LABEL_NAMESPACE, OWNER_UID, ObjectId, is_our_apply, is_predecessor,
    is_us,
};
use super::outcome::Notice;
use super::rest::Resting;
use super::rights::Forbidden;

/// So many objects are named; an event has room for 1024 bytes.
const NAMED: usize = 10;

/// Reads one of the list: `group/version/kind/namespace/name`, with nothing in place of the core group and of the
/// namespace of what has none.
pub fn parse(entry: &str) -> Option<ObjectId> {
    let parts: Vec<&str> = entry.split('/').collect();
    let &[group, version, kind, namespace, name] = parts.as_slice() else { return None };
    if [version, kind, name].iter().any(|part| part.is_empty()) || ![group, version, kind].into_iter().all(is_plain) {
        return None;
    }
    let kind = GroupKind { group: group.into(), kind: kind.into() };
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
    Some(ObjectId { kind: kind.into(), namespace: namespace.map(Into::into), name: name.into() })
}

/// Whether this may be part of a kind: with a blank in it, it would be taken for one that there is no more.
fn is_plain(part: &str) -> bool {
    part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-'))
}

/// What is left of the list.
#[derive(Debug, Default)]
pub struct Legacy {
    /// The list as it was read.
    list: Arc<[String]>,
    /// What was not looked at to the end yet.
    left: BTreeSet<ObjectId>,
    /// What may not be touched. It stays listed: somebody may allow it yet.
    forbidden: BTreeMap<ObjectId, Forbidden>,
    /// What was refused, and is left alone for a while.
    refused: Resting,
    /// What was told of that last.
    told: Option<String>,
    /// What was told of what is left alone, which is told once.
    noted: BTreeSet<String>,
}

impl Legacy {
    /// Takes the list in, where it is another than before; what is to be told of it.
    pub fn read(
        &mut self,
        list: &Arc<[String]>,
        may_touch: impl Fn(&ObjectId) -> Result<(), Forbidden>,
    ) -> Vec<Notice> {
        if self.list == *list {
            return Vec::new();
        }
        self.forget();
        self.list = list.clone();
        let mut unreadable = Vec::new();
        for entry in list.iter() {
            match parse(entry).map(|id| (may_touch(&id), id)) {
                Some((Ok(()), id)) => drop(self.left.insert(id)),
                Some((Err(forbidden), id)) => drop(self.forbidden.insert(id, forbidden)),
                None => unreadable.push(format!("{entry:?}")),
            }
        }
        let unreadable = left_alone("they are not group/version/kind/namespace/name", unreadable);
        let notices = [self.untouchable(), unreadable].into_iter().flatten();
        notices.filter(|notice| self.noted.insert(notice.note.clone())).collect()
    }

    /// All is looked at once more, and at once.
    pub fn forget(&mut self) {
        *self = Self { noted: std::mem::take(&mut self.noted), ..Self::default() };
    }

    /// What is to be looked at now, by kind.
    pub fn due(&self, now: Instant) -> BTreeMap<Arc<GroupKind>, Vec<ObjectId>> {
        let mut due: BTreeMap<_, Vec<ObjectId>> = BTreeMap::new();
        for id in self.left.iter().filter(|id| self.refused.still(id, "", now).is_none()) {
            due.entry(id.kind.clone()).or_default().push(id.clone());
        }
        due
    }

    /// An object is ours now, or was none of those that are to be.
    pub fn settled(&mut self, id: &ObjectId) {
        self.left.remove(id);
        self.refused.done(id);
    }

    /// The API server has no such kinds in whatever version, and so no such objects. Should it have them some day, nothing
    /// tells of these any more: that is told.
    pub fn unserved(&mut self, ids: &[ObjectId]) -> Option<Notice> {
        ids.iter().for_each(|id| self.settled(id));
        let notice = left_alone("the API server has no such kind in any version", ids)?;
        self.noted.insert(notice.note.clone()).then_some(notice)
    }

    /// An object could not be looked at, or made ours.
    pub fn refused(&mut self, id: &ObjectId, reason: &'static str, message: &str, now: Instant) {
        self.refused.failed(id, "", reason, message, now);
    }

    /// Whether the object is still to be made ours.
    pub fn awaits(&self, id: &ObjectId) -> bool {
        self.left.contains(id)
    }

    /// Whether the list is still needed.
    pub fn is_open(&self) -> bool {
        !self.left.is_empty() || !self.forbidden.is_empty()
    }

    /// What could not be made ours, by name, and why.
    pub fn trouble(&self) -> Option<String> {
        let (first, why) = self.refused.first()?;
        let all = iter::once(first).chain(self.left.iter().filter(|id| *id != first));
        Some(format!("could not be taken over from the Go operator: {}: {why}", few(all, NAMED)))
    }

    /// The same, where it is another than the last time.
    pub fn news(&mut self) -> Option<String> {
        let trouble = self.trouble();
        let is_news = self.told != trouble;
        self.told.clone_from(&trouble);
        trouble.filter(|_| is_news)
    }

    /// That some objects stay with the Go operator, and what would change that.
    fn untouchable(&self) -> Option<Notice> {
        let (_, why) = self.forbidden.first_key_value()?;
        let (number, named) = (self.forbidden.len(), few(self.forbidden.keys(), NAMED));
        let note = format!("{number} of the Go operator's objects are left alone: {why} ({named})");
        Some(Notice { warning: true, reason: "NotTakenOver".into(), note })
    }
}

/// That these stay as they are, and nothing waits for them.
fn left_alone<T: Display>(why: &str, all: impl IntoIterator<Item = T>) -> Option<Notice> {
    let named = few(all, NAMED);
    let note = format!("not taken over from the Go operator, and not tried again, as {why}: {named}");
    (!named.is_empty()).then(|| Notice { warning: true, reason: "NotTakenOver".into(), note })
}

/// That so many objects are ours now.
pub fn taken(number: usize) -> Notice {
    let note = format!("taken over from the Go operator: {}", counted(number, "object"));
    Notice { warning: false, reason: "TakenOver".into(), note }
}

/// The entries of an object of the Go operator that carries our marks, which we have put on just now: its own becomes
/// ours, and with it the marks, and what we have applied before: an object has one entry of each who applies it. That is in
/// the version of the Go operator's, which was the last.
pub fn inherited(mut entries: Vec<ManagedFieldsEntry>, is_adopted: bool) -> Vec<ManagedFieldsEntry> {
    let mut marks = vec![("f:labels", LABEL_NAME), ("f:labels", LABEL_NAMESPACE), ("f:annotations", OWNER_UID)];
    if is_adopted {
        marks.push(("f:annotations", ADOPTED));
    }
    let is_theirs = entries.iter().any(is_predecessor);
    let earlier = entries.iter().position(is_our_apply).filter(|_| is_theirs).map(|at| entries.remove(at));
    let earlier = earlier.and_then(|entry| entry.fields_v1);
    let entries = entries.into_iter().filter_map(|mut entry| {
        if is_predecessor(&entry) {
            entry.manager = Some(FIELD_MANAGER.into());
            let fields = entry.fields_v1.get_or_insert_with(|| FieldsV1(json!({})));
            earlier.iter().for_each(|earlier| unite(&mut fields.0, &earlier.0));
            for (part, key) in &marks {
                let metadata = below(&mut fields.0, "f:metadata");
                below(metadata, part)[format!("f:{key}")] = json!({});
            }
        } else if is_us(&entry)
            && let Some(FieldsV1(fields)) = &mut entry.fields_v1
        {
            for (part, key) in &marks {
                without(fields, &["f:metadata", part, &format!("f:{key}")]);
            }
            if fields.as_object().is_some_and(Map::is_empty) {
                return None;
            }
        }
        Some(entry)
    });
    entries.collect()
}

/// The entry of the Go operator in another version of its kind, as the server drops it where there is no such version any
/// more. What there is of metadata is the same in all versions; of the rest nobody knows what it is there.
pub fn in_version(entry: &ManagedFieldsEntry, version: String) -> ManagedFieldsEntry {
    let metadata =
        entry.fields_v1.as_ref().map(|FieldsV1(fields)| FieldsV1(json!({"f:metadata": fields["f:metadata"]})));
    ManagedFieldsEntry { api_version: Some(version), fields_v1: metadata, ..entry.clone() }
}

/// What is below this, made where there is nothing.
fn below<'a>(fields: &'a mut Value, step: &str) -> &'a mut Value {
    let below = &mut fields[step];
    if !below.is_object() {
        *below = Value::Object(Map::new());
    }
    below
}

/// Puts other fields to these.
fn unite(fields: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else { return };
    for (step, more) in more {
        let Some(below) = fields.get_mut(step) else {
            fields.insert(step.clone(), more.clone());
            continue;
        };
        // Where there is nothing below, the thing itself is meant, which has to be said where there is something.
        let is_bare = |fields: &Value| fields.as_object().is_some_and(Map::is_empty);
        if is_bare(more) != is_bare(below) {
            below["."] = json!({});
        }
        unite(below, more);
    }
}

/// Takes a field out, and what it was in where that holds nothing else: an empty one would be a field of its own.
fn without(fields: &mut Value, path: &[&str]) {
    let (Value::Object(fields), [step, rest @ ..]) = (fields, path) else { return };
    let Some(below) = fields.get_mut(*step) else { return };
    without(below, rest);
    let holds_more = below.as_object().is_some_and(|below| below.keys().any(|step| step != "."));
    if rest.is_empty() || !holds_more {
        fields.shift_remove(*step);
    }
}

#[cfg(test)]
#[path = "legacy/tests.rs"]
mod tests;
