//! What to make of a resource that lost something on which its clean-up rests: the kinds in its status, or the references
//! of its objects. Pure.

use std::collections::BTreeSet;

use super::few::{counted, few};
use super::object::{FINALIZER, GroupKind, Hold, Known, OWNER_UID, ObjectId, Owner};
use super::outcome::Notice;
use crate::crd::Dbqr;

/// So many are named in an event, which has room for 1024 bytes.
const NAMED: usize = 20;

/// Whether the status does not say any more of which kinds there are objects: we worked on the resource before, and it
/// has neither kinds nor our word that there is nothing.
pub fn has_lost_kinds(dbqr: &Dbqr) -> bool {
    dbqr.has_finalizer(FINALIZER) && dbqr.status.kinds.is_empty() && dbqr.status.managed_resources != Some(0)
}

/// What a look at every kind came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Kinds that there are objects of.
    pub found: BTreeSet<GroupKind>,
    /// Where there may be some all the same: kinds that may not be listed, and versions of an API that does not answer.
    pub unseen: Vec<String>,
}

impl Search {
    /// That there was a search, and where it could not look.
    pub fn notice(&self) -> Notice {
        let found = match self.found.is_empty() {
            true => "nothing was found".into(),
            false => format!("found {}", few(&self.found, NAMED)),
        };
        let note = match self.unseen.as_slice() {
            [] => format!("status.kinds was lost, so every kind was searched for objects: {found}"),
            unseen => format!(
                "status.kinds was lost, so every kind was searched for objects: {found}; {} could not be listed, and what \
                 there is of them is left alone: {}",
                unseen.len(),
                few(unseen, NAMED)
            ),
        };
        Notice { warning: !self.unseen.is_empty(), reason: "KindsSearched".into(), note }
    }
}

/// Whether the garbage collector has orphaned the objects of a resource that is to take them along: of those that would
/// refer to it none does. Its mark on the resource, by which an orphaning deletion is told, does not wait for us.
pub fn were_orphaned<'a>(objects: impl Iterator<Item = (&'a ObjectId, &'a Known)>, owner: &Owner) -> bool {
    let mut would_refer = objects
        .filter(|(id, known)| {
            id.namespace.as_deref() == Some(&owner.namespace) && known.hold == Hold::Created && !known.protected
        })
        .peekable();
    would_refer.peek().is_some() && would_refer.all(|(_, known)| !known.referring)
}

/// That objects stay for that reason.
pub fn kept(number: usize) -> Notice {
    let note = format!(
        "kept {}: none refers to the resource any more, as after a deletion with --cascade=orphan",
        counted(number, "object")
    );
    Notice { warning: false, reason: "ObjectsKept".into(), note }
}

/// That objects with its labels stay where a resource goes with all that is its own.
pub fn not_its_own(ids: &[ObjectId]) -> Notice {
    let note = format!(
        "{} stay: they have the labels of the resource, and an annotation {OWNER_UID} that it did not write: {}",
        ids.len(),
        few(ids, NAMED)
    );
    Notice { warning: true, reason: "ObjectsKept".into(), note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::api::{ApiResource, DynamicObject};
    use serde_json::{Value, json};

    fn is_lost(finalizer: &str, status: Value) -> bool {
        let kind = ApiResource::erase::<crate::crd::DatabaseQueryResource>(&());
        let mut object = DynamicObject::new("q", &kind).within("team");
        object.metadata.finalizers = Some(vec![finalizer.into()]);
        object.data = json!({"status": status});
        has_lost_kinds(&Dbqr::read(&object))
    }

    #[test]
    fn kinds_are_lost_where_we_worked_before_and_the_status_does_not_say_that_there_is_nothing() {
        assert!(is_lost(FINALIZER, Value::Null));
        assert!(is_lost(FINALIZER, json!({"kinds": [], "managedResources": 2})));
        assert!(is_lost(FINALIZER, json!({"managedResources": ["v1/ConfigMap/a/b"]})), "as the Go operator stored it");
        assert!(!is_lost(FINALIZER, json!({"managedResources": 0})));
        assert!(!is_lost(FINALIZER, json!({"kinds": ["ConfigMap"], "managedResources": 2})));
        assert!(!is_lost("example.com/other", Value::Null), "nothing was made for it yet");
    }

    #[test]
    fn the_notice_says_where_nobody_could_look_in_few_words() {
        let mut search = Search::default();
        assert!(!search.notice().warning && search.notice().note.ends_with("nothing was found"));
        search.found = [GroupKind::parse("ConfigMap"), GroupKind::parse("Deployment.apps")].into();
        search.unseen = (0..40).map(|number| format!("Kind{number}.{}", "x".repeat(20))).collect();
        let Notice { warning, note, .. } = search.notice();
        assert!(warning && note.contains("found ConfigMap, Deployment.apps; 40 could not be listed"), "{note}");
        assert!(note.ends_with(" and 20 more") && note.len() < 1024, "{note}");
    }

    #[test]
    fn objects_were_orphaned_where_none_refers_that_would() {
        let owner = Owner { name: "q".into(), namespace: "team".into(), uid: "u".into() };
        let object = |namespace: &str, known: Known| {
            let kind = GroupKind::parse("ConfigMap").into();
            (ObjectId { kind, namespace: Some(namespace.into()), name: "a".into() }, known)
        };
        let were = |objects: &[(ObjectId, Known)]| were_orphaned(objects.iter().map(|(id, known)| (id, known)), &owner);
        let free = object("team", Known::default());
        let bound = object("team", Known { referring: true, ..Known::default() });
        let never = [
            object("other", Known::default()),
            object("team", Known { hold: Hold::Adopted, ..Known::default() }),
            object("team", Known { protected: true, ..Known::default() }),
        ];
        assert!(were(std::slice::from_ref(&free)));
        assert!(were(&[never.as_slice(), std::slice::from_ref(&free)].concat()));
        assert!(!were(&[free, bound]));
        assert!(!were(&never), "these say nothing");
        assert!(!were(&[]));
    }
}
