//! First contact: what to do with an object that exists under the name of a desired one and is not known to be ours.
//! Pure.

use super::object::{Desired, Known, Ownership};
use crate::crd::ConflictPolicy;

/// What to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Ours, and only to be there.
    Keep,
    /// Ours, and perhaps different.
    Update,
    /// Made for us by the Go operator: take over what it holds.
    Inherit,
    /// Nobody's whom we know: share it, and mark it as one that existed.
    Adopt,
    /// Not to be touched, and that is no fault.
    LeaveAlone,
    /// Not to be touched: why, in a word and in a sentence.
    Refuse(&'static str, String),
}

/// Judges an object that exists.
pub fn judge(desired: &Desired, known: &Known, whose: &Ownership, policy: ConflictPolicy) -> Contact {
    let create_only = desired.wishes.create_only;
    match whose {
        Ownership::Ours if create_only && !known.deleting => Contact::Keep,
        // Also where its hash is that of what is desired: it was not known, so somebody took our label off.
        Ownership::Ours | Ownership::Disowned if !create_only => Contact::Update,
        _ if known.deleting => Contact::Refuse("BeingDeleted", "the object is being deleted".into()),
        _ if create_only => Contact::LeaveAlone,
        Ownership::Inherited => Contact::Inherit,
        Ownership::OtherOwner { owner } => {
            Contact::Refuse("Conflict", format!("the object belongs to the DatabaseQueryResource {owner}"))
        }
        _ if policy == ConflictPolicy::Fail => {
            let message =
                "the object exists and is not managed by this resource; conflictPolicy Fail leaves it as it is";
            Contact::Refuse("Conflict", message.into())
        }
        _ => Contact::Adopt,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logic::object::{AppliedHash, GroupKind, Kind, ObjectId, Wishes};

    fn desired(create_only: bool) -> Desired {
        let group_kind = Arc::new(GroupKind { group: String::new(), kind: "ConfigMap".into() });
        let id = ObjectId { kind: group_kind.clone(), namespace: Some("n".into()), name: "a".into() };
        let kind = Kind { group_kind, version: "v1".into(), plural: "configmaps".into(), namespaced: true };
        let desired = Desired::new(id, Arc::new(kind), AppliedHash("1".into()), 1, None);
        desired.wishing(Wishes { create_only, ..Wishes::default() })
    }

    fn known(hash: &str, deleting: bool) -> Known {
        Known { hash: Some(AppliedHash(hash.into())), deleting, ..Known::default() }
    }

    fn other() -> Ownership {
        Ownership::OtherOwner { owner: "n/other".into() }
    }

    #[test]
    fn a_foreign_object_is_adopted_unless_that_is_not_wanted() {
        let contact = |whose, policy| judge(&desired(false), &known("0", false), &whose, policy);
        for policy in [ConflictPolicy::Protect, ConflictPolicy::Force] {
            assert_eq!(contact(Ownership::Foreign, policy), Contact::Adopt);
            assert_eq!(contact(Ownership::Abandoned, policy), Contact::Adopt);
        }
        assert!(matches!(contact(Ownership::Foreign, ConflictPolicy::Fail), Contact::Refuse("Conflict", _)));
        assert_eq!(contact(Ownership::Ours, ConflictPolicy::Fail), Contact::Update);
        let unlabelled = judge(&desired(false), &known("1", false), &Ownership::Ours, ConflictPolicy::Protect);
        assert_eq!(unlabelled, Contact::Update);
        assert_eq!(contact(Ownership::Inherited, ConflictPolicy::Fail), Contact::Inherit);
    }

    #[test]
    fn what_somebody_disowned_is_put_right_unless_it_is_only_to_be_there() {
        for policy in [ConflictPolicy::Protect, ConflictPolicy::Force, ConflictPolicy::Fail] {
            let contact = |create_only| judge(&desired(create_only), &known("1", false), &Ownership::Disowned, policy);
            assert_eq!(contact(false), Contact::Update);
            assert_eq!(contact(true), Contact::LeaveAlone, "kept, it would be deleted with its row");
        }
    }

    #[test]
    fn another_living_resources_object_is_refused_whatever_the_policy() {
        for policy in [ConflictPolicy::Protect, ConflictPolicy::Force, ConflictPolicy::Fail] {
            let contact = judge(&desired(false), &known("0", false), &other(), policy);
            assert!(matches!(contact, Contact::Refuse("Conflict", message) if message.ends_with("n/other")));
        }
    }

    #[test]
    fn what_is_only_to_be_created_is_left_alone_whoever_has_it() {
        for whose in [Ownership::Foreign, Ownership::Inherited, other()] {
            let contact = judge(&desired(true), &known("0", false), &whose, ConflictPolicy::Fail);
            assert_eq!(contact, Contact::LeaveAlone);
        }
        let ours = |known| judge(&desired(true), &known, &Ownership::Ours, ConflictPolicy::Protect);
        assert_eq!(ours(known("0", false)), Contact::Keep);
        assert!(matches!(ours(known("1", true)), Contact::Refuse("BeingDeleted", _)));
    }

    #[test]
    fn what_is_on_its_way_out_is_waited_for() {
        let contact = |whose| judge(&desired(false), &known("1", true), &whose, ConflictPolicy::Force);
        assert!(matches!(contact(Ownership::Foreign), Contact::Refuse("BeingDeleted", _)));
        assert_eq!(contact(Ownership::Ours), Contact::Update);
    }
}
