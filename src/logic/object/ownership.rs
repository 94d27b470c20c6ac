//! Whose an object is and how it is had, as its metadata tell. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference};

use super::{
    ADOPTED, APPLIED_HASH, AppliedHash, FIELD_MANAGER, INITIAL_MANAGER, LABEL_NAME, LABEL_NAMESPACE, OWNER_UID, Owner,
    PREDECESSOR, PRUNE, ROW_KEY,
};

/// Whose an existing object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours: our manager owns the owner-uid annotation, and it holds our uid, or the uid of an
    /// earlier DatabaseQueryResource of the same namespace and name.
    Ours,
    /// Ours, and not marked as such yet: the Go operator made it for the same DatabaseQueryResource.
    Inherited,
    /// Ours by all that we still own of it, but the owner-uid annotation, which somebody wrote or took off. To be put right
    /// where a row wants it, and nobody's to delete before.
    Disowned,
    /// The Go operator made it for a DatabaseQueryResource of the same name, of whatever namespace, and no reference says
    /// which: only the list of it that it left tells.
    Left,
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
    let (name, namespace) = (label(meta, LABEL_NAME).unwrap_or("?"), label(meta, LABEL_NAMESPACE).unwrap_or("?"));
    let is_named = name == owner.label() && namespace == owner.namespace;
    // Labels are anyone's to edit. Those that we still own were written together with the uid, by an earlier
    // resource of that name, since there is only one at a time.
    let written_by_us = |entry| [LABEL_NAME, LABEL_NAMESPACE].iter().all(|key| owns(entry, "f:labels", key));
    let other = || Ownership::OtherOwner { owner: format!("{namespace}/{name}") };
    let mut entries = meta.managed_fields.iter().flatten().filter(|entry| is_our_apply(entry));
    match (owner_uid(meta), entries.find(|entry| written_by_us(entry))) {
        (Some(uid), _) if uid == owner.uid => Ownership::Ours,
        (Some(_), Some(_)) if is_named => Ownership::Ours,
        (Some(_), _) => other(),
        (None, Some(entry)) if is_named && tells_hold(meta, entry, owner) => Ownership::Disowned,
        // As we own the labels still, they were taken off on the way in: they never were there for others to edit.
        (None, Some(_)) if owner_labels(meta) == (None, None) && refers(meta, owner) => Ownership::Disowned,
        (None, Some(_)) if !is_named => other(),
        (None, _) => of_predecessor(meta, owner),
    }
}

/// The uid of the DatabaseQueryResource that an object is marked with, if it was us who marked it.
pub fn owner_uid(meta: &ObjectMeta) -> Option<&str> {
    let by_us = meta.managed_fields.iter().flatten().any(|entry| owns(entry, "f:annotations", OWNER_UID));
    annotation(meta, OWNER_UID).filter(|_| by_us)
}

/// Whether it can still be told for sure that we created the object, or that we did not: where this entry of ours has the
/// hash, that says so, and a reference to the owner has only what we created.
fn tells_hold(meta: &ObjectMeta, entry: &ManagedFieldsEntry, owner: &Owner) -> bool {
    owns(entry, "f:annotations", APPLIED_HASH) || refers(meta, owner)
}

/// Whether an object refers to this very owner.
pub fn refers(meta: &ObjectMeta, owner: &Owner) -> bool {
    meta.owner_references.iter().flatten().any(|reference| reference.uid == owner.uid)
}

/// Whose an object is that is not marked as ours. The Go operator labels with the name alone, which is unique only together
/// with the reference, and it has references within a namespace alone.
fn of_predecessor(meta: &ObjectMeta, owner: &Owner) -> Ownership {
    let entries = || meta.managed_fields.iter().flatten();
    let is_labelled = label(meta, LABEL_NAME) == Some(&owner.name)
        && entries().any(|entry| is_predecessor(entry) && names(entry, "f:labels", LABEL_NAME));
    if !is_labelled || entries().any(is_our_apply) {
        Ownership::Foreign
    } else if refers(meta, owner) {
        Ownership::Inherited
    } else if meta.owner_references.iter().flatten().any(|reference| is_anothers(reference, meta, owner)) {
        Ownership::Foreign
    } else {
        Ownership::Left
    }
}

/// Whether a reference is to another DatabaseQueryResource that may exist: not to an earlier one of the same namespace and
/// name.
fn is_anothers(reference: &OwnerReference, meta: &ObjectMeta, owner: &Owner) -> bool {
    let is_earlier = reference.name == owner.name && meta.namespace.as_deref() == Some(&owner.namespace);
    reference.kind == "DatabaseQueryResource" && !is_earlier
}

/// Whether this is the entry of the Go operator.
pub fn is_predecessor(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(PREDECESSOR) && entry.operation.as_deref() == Some("Apply") && is_of_object(entry)
}

/// Whether the Go operator has applied an object that we made, with the name of its resource as well. What existed before us
/// keeps what it has: that may have been put there for somebody else.
pub fn is_predecessors_too(meta: &ObjectMeta) -> bool {
    let mut entries = meta.managed_fields.iter().flatten();
    !is_adopted(meta) && entries.any(|entry| is_predecessor(entry) && names(entry, "f:labels", LABEL_NAME))
}

/// The name and namespace of the owner, as an object's labels have them.
pub fn owner_labels(meta: &ObjectMeta) -> (Option<&str>, Option<&str>) {
    (label(meta, LABEL_NAME), label(meta, LABEL_NAMESPACE))
}

/// Which of our marks an object lacks that has just been applied with all of them: those that something on the way in took
/// off or changed. By them it is found again, and is known to be ours.
pub fn marks_lost(meta: &ObjectMeta, owner: &Owner) -> Vec<&'static str> {
    let marks = [
        (LABEL_NAME, label(meta, LABEL_NAME) == Some(&owner.label())),
        (LABEL_NAMESPACE, label(meta, LABEL_NAMESPACE) == Some(&owner.namespace)),
        (OWNER_UID, annotation(meta, OWNER_UID) == Some(&owner.uid)),
        (APPLIED_HASH, annotation(meta, APPLIED_HASH).is_some()),
    ];
    marks.into_iter().filter(|(_, is_there)| !is_there).map(|(mark, _)| mark).collect()
}

/// Whether the user protected this object from deletion.
pub fn is_protected(meta: &ObjectMeta) -> bool {
    annotation(meta, PRUNE) == Some("disabled")
}

/// Whether the object existed before us: it is released, never deleted. Two marks say so, as either may be taken off; and
/// where both were on the way in, the entry of our apply says what we sent.
pub fn is_adopted(meta: &ObjectMeta) -> bool {
    let was_sent = || meta.managed_fields.iter().flatten().any(|entry| owns(entry, "f:annotations", ADOPTED));
    annotation(meta, ADOPTED).is_some()
        || annotation(meta, APPLIED_HASH).is_some_and(|hash| AppliedHash::read(hash).1)
        || was_sent()
}

/// Whether we created the object and later left it to itself, as only then the mark of that was not applied.
pub fn is_orphaned(meta: &ObjectMeta) -> bool {
    let written = |entry: &ManagedFieldsEntry| {
        is_us(entry) && entry.operation.as_deref() == Some("Update") && names(entry, "f:annotations", ADOPTED)
    };
    meta.managed_fields.iter().flatten().any(written)
}

/// The key of the row that the object was made from. What an earlier resource of that name wrote there may be values of
/// other columns.
pub fn row_key<'a>(meta: &'a ObjectMeta, owner: &Owner) -> Option<&'a str> {
    annotation(meta, ROW_KEY).filter(|_| annotation(meta, OWNER_UID) == Some(&owner.uid))
}

/// Whether a controller other than a DatabaseQueryResource has the object.
fn is_controlled(meta: &ObjectMeta) -> bool {
    let mut references = meta.owner_references.iter().flatten();
    references.any(|reference| reference.controller == Some(true) && reference.kind != "DatabaseQueryResource")
}

/// How we have an object that is ours.
pub fn hold(meta: &ObjectMeta) -> Hold {
    match (is_adopted(meta), is_controlled(meta) || is_protected(meta)) {
        (true, _) => Hold::Adopted,
        (false, true) => Hold::Independent,
        (false, false) => Hold::Created,
    }
}

/// Whether anyone but us has written to this object (status and the like aside).
///
/// Who made it has an entry, and for an object without entries the API server adds one (`before-first-apply`) at the
/// first apply, unless all its fields were taken.
pub fn written_by_others(meta: &ObjectMeta) -> bool {
    meta.managed_fields.iter().flatten().any(|entry| !is_us(entry) && is_of_object(entry))
}

/// How we have an object; what is sent of it follows from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// We created it, or are about to.
    #[default]
    Created,
    /// We created it, and it has no reference to us: a controller has it by now, and it cannot have two; or the user
    /// protects it, and the garbage collector would not ask.
    Independent,
    /// It existed before us, or was left to itself: it has no reference to us, and is never deleted.
    Adopted,
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
        && is_of_object(entry)
}

/// Whether this is the entry of our second manager.
pub fn is_initial(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(INITIAL_MANAGER) && is_of_object(entry)
}

/// Whether this is an entry of ours, by whatever operation.
pub fn is_us(entry: &ManagedFieldsEntry) -> bool {
    matches!(entry.manager.as_deref(), Some(FIELD_MANAGER | INITIAL_MANAGER)) && is_of_object(entry)
}

/// Whether the entry is of the object itself, and of none of its subresources.
fn is_of_object(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.as_deref().unwrap_or("").is_empty()
}

/// Whether the entry is ours and owns a label or annotation.
fn owns(entry: &ManagedFieldsEntry, part: &str, key: &str) -> bool {
    is_our_apply(entry) && names(entry, part, key)
}

fn names(entry: &ManagedFieldsEntry, part: &str, key: &str) -> bool {
    let names = |fields: &FieldsV1| !fields.0["f:metadata"][part][format!("f:{key}")].is_null();
    entry.fields_v1.as_ref().is_some_and(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::OUR_LABELS;
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
    fn an_owner_uid_that_somebody_changed_leaves_what_is_ours_to_put_right_and_gives_nobody_elses_away() {
        let whose = |uid: Value, entries, more: Value| {
            let mut meta = meta(entries, more);
            let annotations = serde_json::from_value(json!({APPLIED_HASH: "1", OWNER_UID: uid})).ok();
            meta.annotations = annotations.or(Some([(APPLIED_HASH.into(), "1".into())].into()));
            ownership(&meta, &owner())
        };
        let left = |annotations: &[&str]| json!([entry(FIELD_MANAGER, "Apply", &OUR_LABELS, annotations)]);
        for uid in [json!("nonsense"), json!("u1"), Value::Null] {
            assert_eq!(whose(uid, left(&[APPLIED_HASH]), json!({})), Ownership::Disowned);
        }
        let reference = |uid: &str| {
            let reference = json!({"apiVersion": "v", "kind": "DatabaseQueryResource", "name": "q", "uid": uid});
            json!({"ownerReferences": [reference]})
        };
        assert_eq!(whose(json!("x"), left(&[]), reference("u1")), Ownership::Disowned);
        assert_eq!(whose(json!("x"), left(&[]), reference("u2")), Ownership::Foreign, "how we had it is not known");
        let unlabelled = json!([entry(FIELD_MANAGER, "Apply", &[LABEL_NAMESPACE], &[APPLIED_HASH])]);
        assert_eq!(whose(json!("x"), unlabelled, json!({})), Ownership::Foreign);
        let copied = json!([entry("kubectl", "Apply", &OUR_LABELS, &[APPLIED_HASH, OWNER_UID])]);
        assert_eq!(whose(json!("u1"), copied, reference("u1")), Ownership::Foreign);
        let others = json!({"labels": {LABEL_NAME: "other", LABEL_NAMESPACE: "n"}});
        let other = Ownership::OtherOwner { owner: "n/other".into() };
        assert_eq!(whose(json!("x"), left(&[APPLIED_HASH]), others), other);
        let bare = |uid: &str| {
            let mut bare = reference(uid);
            bare["labels"] = json!({});
            whose(json!("x"), left(&[APPLIED_HASH]), bare)
        };
        assert_eq!(bare("u1"), Ownership::Disowned, "labels that we own and that are not there");
        assert_eq!(bare("u2"), Ownership::OtherOwner { owner: "?/?".into() });
    }

    #[test]
    fn marks_that_did_not_get_in_are_told() {
        let mut applied = meta(json!([ours()]), json!({"annotations": {OWNER_UID: "u1", APPLIED_HASH: "1"}}));
        assert_eq!(marks_lost(&applied, &owner()), [""; 0]);
        applied.labels.as_mut().unwrap().insert(LABEL_NAME.into(), "other".into());
        applied.annotations = None;
        assert_eq!(marks_lost(&applied, &owner()), [LABEL_NAME, OWNER_UID, APPLIED_HASH]);
        applied.labels = None;
        assert_eq!(marks_lost(&applied, &owner())[..2], [LABEL_NAME, LABEL_NAMESPACE]);
    }

    #[test]
    fn what_the_go_operator_made_is_told_by_its_entry_and_for_whom_by_the_reference() {
        let reference = |uid: &str| {
            let reference = json!({"apiVersion": "v", "kind": "DatabaseQueryResource", "name": "q", "uid": uid});
            json!({"annotations": {}, "ownerReferences": [reference], "namespace": "n"})
        };
        let whose = |entries: Value, uid: &str| ownership(&meta(entries, reference(uid)), &owner());
        let entry_of = |manager: &str| entry(manager, "Apply", &[LABEL_NAME], &[]);
        assert_eq!(whose(json!([entry_of(PREDECESSOR)]), "u1"), Ownership::Inherited);
        assert_eq!(whose(json!([entry_of(PREDECESSOR)]), "u2"), Ownership::Left, "an earlier one's");
        let elsewhere = Owner { namespace: "n2".into(), ..owner() };
        let theirs = meta(json!([entry_of(PREDECESSOR)]), reference("u2"));
        assert_eq!(ownership(&theirs, &elsewhere), Ownership::Foreign, "of one of that name in another namespace");
        assert_eq!(whose(json!([entry_of("kubectl")]), "u1"), Ownership::Foreign);
        assert_eq!(whose(json!([entry(PREDECESSOR, "Update", &[LABEL_NAME], &[])]), "u1"), Ownership::Foreign);
        assert_eq!(whose(json!([entry(PREDECESSOR, "Apply", &["team"], &[])]), "u1"), Ownership::Foreign);
        assert_eq!(whose(json!([entry_of(PREDECESSOR), entry_of(FIELD_MANAGER)]), "u1"), Ownership::Foreign);
        let other = Owner { name: "other".into(), ..owner() };
        assert_eq!(ownership(&meta(json!([entry_of(PREDECESSOR)]), reference("u1")), &other), Ownership::Foreign);
    }

    #[test]
    fn marks_that_were_only_put_on_make_an_object_of_the_go_operator_nobody_elses() {
        let marked = json!([
            entry(PREDECESSOR, "Apply", &[LABEL_NAME], &[]),
            entry(FIELD_MANAGER, "Update", &[LABEL_NAMESPACE], &[OWNER_UID])
        ]);
        assert_eq!(ownership(&meta(marked, json!({})), &owner()), Ownership::Left);
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
    fn either_of_two_marks_and_our_entry_say_that_an_object_existed_before_us() {
        let with = |annotations: Value| hold(&meta(json!([ours()]), json!({ "annotations": annotations })));
        let hash = AppliedHash::of(b"x");
        assert_eq!(with(json!({APPLIED_HASH: hash.0})), Hold::Created);
        assert_eq!(with(json!({APPLIED_HASH: hash.0, ADOPTED: "true"})), Hold::Adopted, "as it was written before");
        assert_eq!(with(json!({APPLIED_HASH: hash.of_adopted()})), Hold::Adopted);
        let sent = json!([entry(FIELD_MANAGER, "Apply", &OUR_LABELS, &[APPLIED_HASH, ADOPTED])]);
        assert_eq!(hold(&meta(sent, json!({"annotations": {}}))), Hold::Adopted, "both were taken off on the way in");
        assert_eq!(AppliedHash::read(&hash.of_adopted()), (hash.clone(), true));
        assert_eq!(AppliedHash::read(&hash.0), (hash.clone(), false));
    }

    #[test]
    fn what_is_protected_has_no_reference_that_the_garbage_collector_would_follow() {
        let with = |value: &str| hold(&meta(json!([ours()]), json!({"annotations": {OWNER_UID: "u1", PRUNE: value}})));
        assert_eq!((with("disabled"), with("enabled")), (Hold::Independent, Hold::Created));
    }

    #[test]
    fn a_row_key_of_an_earlier_resource_tells_nothing() {
        let of = |uid: &str| {
            let annotations = json!({OWNER_UID: uid, ROW_KEY: "[\"1\"]"});
            row_key(&meta(json!([ours()]), json!({"annotations": annotations})), &owner()).map(str::to_owned)
        };
        assert_eq!((of("u1").as_deref(), of("an earlier one")), (Some("[\"1\"]"), None));
    }

    #[test]
    fn an_object_with_another_controller_gets_no_second_one() {
        let with = |kind: &str, controller: bool| {
            let reference =
                json!({"apiVersion": "v", "kind": kind, "name": "x", "uid": "u9", "controller": controller});
            hold(&meta(json!([ours()]), json!({"ownerReferences": [reference]})))
        };
        assert_eq!(with("Deployment", true), Hold::Independent);
        assert_eq!(with("Deployment", false), Hold::Created);
        assert_eq!(with("DatabaseQueryResource", true), Hold::Created);
    }
}
