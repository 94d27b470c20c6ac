//! The state against a model of a database and a cluster in which anything may happen.

mod contested;
mod guarded;
mod model;

use std::time::Instant;

use proptest::prelude::*;

use super::State;
use crate::crd::ConflictPolicy;
use crate::logic::object::{AppliedHash, Desired, GroupKind, Kind, Known, ObjectId, Ownership, Wishes};
use model::{Op, World};

fn op() -> impl Strategy<Value = Op> {
    let (key, name, value) = (0..4u8, 0..5u8, 0..3u8);
    prop_oneof![
        4 => (key.clone(), name.clone(), value).prop_map(|(key, name, value)| Op::SetRow { key, name, value }),
        2 => key.clone().prop_map(|key| Op::DropRow { key }),
        1 => key.prop_map(|key| Op::BreakRow { key }),
        1 => name.clone().prop_map(|name| Op::Refuse { name }),
        1 => name.clone().prop_map(|name| Op::Accept { name }),
        1 => name.clone().prop_map(|name| Op::MakeForeign { name }),
        2 => name.clone().prop_map(|name| Op::Edit { name }),
        1 => name.prop_map(|name| Op::Remove { name }),
        2 => (1..6usize).prop_map(|news| Op::Deliver { news }),
        1 => Just(Op::LoseNews),
        1 => Just(Op::Restart),
        1 => Just(Op::Relist),
        1 => Just(Op::Land),
        1 => Just(Op::FailToLook),
        6 => Just(Op::Look { slow: 0, crash: None }),
        2 => any::<u8>().prop_map(|slow| Op::Look { slow, crash: None }),
        1 => (any::<u8>(), 0..4usize).prop_map(|(slow, begun)| Op::Look { slow, crash: Some(begun) }),
        6 => Just(Op::LookAtChanged { slow: 0, crash: None }),
        3 => any::<u8>().prop_map(|slow| Op::LookAtChanged { slow, crash: None }),
        1 => (any::<u8>(), 0..4usize).prop_map(|(slow, begun)| Op::LookAtChanged { slow, crash: Some(begun) }),
        2 => (any::<bool>(), any::<u8>(), 0..4usize)
            .prop_map(|(whole, slow, begun)| Op::LookInterrupted { whole, slow, begun }),
        2 => (any::<bool>(), 0..4u8, prop::option::of(0..5u8))
            .prop_map(|(whole, key, name)| Op::LookMeanwhile { whole, key, name }),
        2 => (any::<bool>(), any::<u8>()).prop_map(|(whole, slow)| Op::LookAndLand { whole, slow }),
        1 => Just(Op::LoseChanges),
        1 => (0..5u8, any::<bool>()).prop_map(|(name, protected)| Op::Protect { name, protected }),
        1 => (0..5u8).prop_map(|name| Op::LoseLabel { name }),
        1 => any::<bool>().prop_map(Op::LoseAnswers),
        2 => prop_oneof![Just(0), any::<u8>()].prop_map(|objects| Op::LoseAnswersOf { objects }),
        1 => any::<bool>().prop_map(Op::Unseen),
        1 => Just(Op::Approve),
        1 => any::<bool>().prop_map(Op::Prune),
        1 => Just(Op::Forget),
        1 => (1..12u8).prop_map(|seconds| Op::Wait { seconds }),
    ]
}

proptest! {
    // Shrunk cases are printed; they are kept as tests of their own, not in files.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_innocent_is_deleted_and_in_the_end_the_cluster_is_as_the_rows_want(
        keyed in any::<bool>(),
        wishing in any::<bool>(),
        limit in prop::option::of(0..3usize),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let world = World::new(keyed, limit);
        let mut world = if wishing { world.wishing() } else { world };
        ops.into_iter().for_each(|op| world.run(op));
        world.settle();
    }
}

/// Row 0 leaves o0 to row 1 and does not get o1. What happens then, and row 1 goes.
fn handed_over_and(then: &[Op]) {
    let look = || Op::Look { slow: 0, crash: None };
    let set = |key, name| Op::SetRow { key, name, value: 0 };
    let mut world = World::new(true, None);
    let before = [set(0, 0), look(), Op::Refuse { name: 1 }, set(0, 1), set(1, 0)];
    let after = [Op::DropRow { key: 1 }, look()];
    before.iter().chain(then).chain(&after).for_each(|op| world.run(op.clone()));
    world.settle();
}

#[test]
fn what_a_row_left_that_failed_before_a_spec_changed_is_its_own_until_it_is_known_not_to_fail() {
    let look = || Op::Look { slow: 0, crash: None };
    handed_over_and(&[look(), Op::Forget, look()]);
}

#[test]
fn what_a_row_left_that_is_still_being_applied_is_its_own_until_it_is_known_not_to_fail() {
    let look = |slow| Op::Look { slow, crash: None };
    handed_over_and(&[look(2), look(0), Op::Land]);
    handed_over_and(&[look(2), Op::Forget, look(0), Op::Land]);
}

#[test]
fn what_is_only_created_is_not_touched_by_what_its_row_wants_while_that_is_under_way() {
    let (mut state, now) = (State::default(), Instant::now());
    let create = |hash: &str| {
        let wishes = Wishes { create_only: true, ..Wishes::default() };
        let Desired { id, kind, .. } = desired("a");
        Desired::new(id, kind, AppliedHash(hash.into()), 1, None).wishing(wishes)
    };
    state.listed([], now);
    state.meet(create("1"), None, ConflictPolicy::Protect);
    let under_way = state.next(now).unwrap().desired;
    state.meet(create("2"), None, ConflictPolicy::Protect);
    let known = under_way.applied(Known { uid: "u".into(), ..Known::default() });
    assert!(!state.landed(under_way, Ok(known), now).failed);
    assert!(state.next(now).is_none());
}

#[test]
fn what_was_made_without_an_answer_and_lost_its_label_goes_with_its_row() {
    let mut world = World::new(false, None);
    let look = |slow| Op::Look { slow, crash: None };
    let ops = [
        Op::LoseAnswersOf { objects: 2 },
        Op::SetRow { key: 1, name: 1, value: 0 },
        look(2),
        Op::LoseLabel { name: 1 },
        Op::LoseNews,
        Op::DropRow { key: 1 },
        look(0),
    ];
    ops.into_iter().for_each(|op| world.run(op));
    world.settle();
}

#[test]
fn what_is_still_to_be_taken_over_is_not_shared_instead_and_what_is_gone_by_now_is_made() {
    let (mut state, now) = (State::default(), Instant::now());
    state.listed([], now);
    let list = ["/v1/Thing//a".to_owned(), "/v1/Thing//b".to_owned()];
    state.legacy.read(&list.into(), |_| Ok(()));
    let left = || Some((Known::default(), Ownership::Left));
    state.meet(desired("a"), left(), ConflictPolicy::Force);
    state.meet(desired("b"), None, ConflictPolicy::Force);
    state.meet(desired("c"), left(), ConflictPolicy::Force);
    let begun: Vec<_> = std::iter::from_fn(|| state.next(now)).map(|work| work.desired.id.name).collect();
    assert_eq!(begun, ["b", "c"]);
    let failures: Vec<_> = state.rows().failures.kept().iter().map(|failure| failure.reason).collect();
    assert_eq!(failures, ["NotTakenOver"]);
}

fn desired(name: &str) -> Desired {
    let group_kind = GroupKind { group: String::new(), kind: "Thing".into() };
    let id = ObjectId { kind: group_kind.into(), namespace: None, name: name.into() };
    let kind = Kind { group_kind: id.kind.clone(), version: "v1".into(), plural: "things".into(), namespaced: false };
    Desired::new(id, kind.into(), AppliedHash("1".into()), 1, None)
}

#[test]
fn when_many_applies_outlast_a_listing_one_more_is_enough_and_what_is_known_counts_until_then() {
    let (mut state, now) = (State::default(), Instant::now());
    state.listed([], now);
    for name in ["a", "b"] {
        state.meet(desired(name), None, ConflictPolicy::Protect);
        assert!(state.next(now).is_some());
    }
    state.listed([], now);
    let mut land = |name: &str| {
        let known = desired(name).applied(Known { uid: name.into(), ..Known::default() });
        let landing = state.landed(desired(name), Ok(known), now);
        (landing.outdated, state.inventory(now).is_some(), state.known().map(|inventory| inventory.len()))
    };
    assert_eq!(land("a"), (false, true, Some(1)));
    assert_eq!(land("b"), (true, false, Some(2)));
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}
