//! What becomes of objects that others change again and again.

use std::time::Instant;

use super::super::{Read, State};
use super::guarded::{rendered, state, there};
use crate::crd::ConflictPolicy;
use crate::logic::inventory::Sight;
use crate::logic::object::{AppliedHash, Known};

#[test]
fn what_others_change_again_and_again_is_left_to_them_for_a_while_unless_its_row_changes() {
    let now = Instant::now();
    let mut state = state(&[("[\"1\"]", "a")], now);
    let look = |state: &mut State, hash: Option<&str>, now| {
        let mut rows = rendered(&[("[\"1\"]", "a")], true);
        if let Some(hash) = hash {
            rows.desired[0].hash = AppliedHash(hash.into());
        }
        state.absorb(rows, vec!["id".into()], now);
        let work = state.next(now)?;
        let applied = work.desired.applied(Known { uid: "a".into(), ..Known::default() });
        state.landed(work.desired, Ok(applied), now);
        Some(())
    };
    let strike = |state: &mut State| {
        let (id, known) = there("a", "[\"1\"]");
        let edited = Known { hash: None, ..known };
        assert!(state.see(&id, Sight { uid: edited.uid.clone(), version: edited.version, known: Some(edited) }));
        state.contests().changed(&id, now).at
    };
    for _ in 0..3 {
        assert_eq!(strike(&mut state), now);
        assert!(look(&mut state, None, now).is_some());
    }
    let due = strike(&mut state);
    assert!(due > now && look(&mut state, None, now).is_none());
    assert!(look(&mut state, None, due).is_some());
    strike(&mut state);
    assert!(look(&mut state, Some("another"), now).is_some(), "a row that changes waits for nobody");
    strike(&mut state);
    assert!(look(&mut state, Some("another"), now).is_none());
    state.forget();
    assert!(look(&mut state, Some("another"), now).is_some());
}

#[test]
fn what_others_delete_again_and_again_is_not_made_anew_before_its_time() {
    let now = Instant::now();
    let mut state = state(&[("[\"1\"]", "a")], now);
    let look =
        |state: &mut State, now| state.absorb(rendered(&[("[\"1\"]", "a")], true), vec!["id".into()], now).unmet();
    let (id, known) = there("a", "[\"1\"]");
    for strike in 1..=4 {
        assert!(state.see(&id, Sight { uid: known.uid.clone(), version: known.version, known: None }));
        let at = state.contests().changed(&id, now).at;
        assert_eq!(look(&mut state, now).is_empty(), strike == 4);
        let desired = look(&mut state, at).pop().and_then(|mut desired| desired.pop()).unwrap();
        let applied = desired.applied(known.clone());
        assert!(!state.landed(desired, Ok(applied), now).failed);
    }
}

/// An object that others fought for, and that waits.
fn contested(now: Instant) -> State {
    let mut state = state(&[("[\"1\"]", "a")], now);
    look(&mut state, &[("[\"1\"]", "a")], now);
    for _ in 0..4 {
        let (id, known) = there("a", "[\"1\"]");
        assert!(state.see(&id, Sight { uid: known.uid.clone(), version: known.version, known: None }));
        state.contests().changed(&id, now);
        look(&mut state, &[("[\"1\"]", "a")], now);
    }
    state
}

/// Reads these rows, and applies what there is to apply: that.
fn look(state: &mut State, rows: &[(&str, &str)], now: Instant) -> Vec<String> {
    let read = state.absorb(rendered(rows, true), vec!["id".into()], now);
    land(state, read, now)
}

fn land(state: &mut State, mut read: Read, now: Instant) -> Vec<String> {
    for desired in read.unmet().into_iter().flatten() {
        state.meet(desired, None, ConflictPolicy::Protect);
    }
    let mut applied = Vec::new();
    while let Some(work) = state.next(now) {
        applied.push(work.desired.id.name.clone());
        let known = work.desired.applied(Known { uid: (*work.desired.id.name).into(), ..Known::default() });
        state.landed(work.desired, Ok(known), now);
    }
    applied
}

#[test]
fn what_others_fought_for_is_made_at_once_where_its_row_was_gone_in_between() {
    let now = Instant::now();
    for is_keyed in [false, true] {
        let mut state = contested(now);
        let mut look = |rows: &[(&str, &str)]| {
            if is_keyed {
                let read = state.absorb_keys(&["[\"1\"]".into()].into(), rendered(rows, true), now).unwrap();
                land(&mut state, read, now)
            } else {
                self::look(&mut state, rows, now)
            }
        };
        assert!(look(&[("[\"1\"]", "a")]).is_empty());
        assert_eq!(look(&[("[\"1\"]", "b")]), ["b"]);
        assert_eq!(look(&[("[\"1\"]", "a")]), ["a"], "else the row would have neither");
    }
}

#[test]
fn what_others_fight_for_is_looked_at_again_where_its_row_is_as_before_while_it_is_applied_otherwise() {
    let now = Instant::now();
    let mut state = contested(now);
    let mut rows = rendered(&[("[\"1\"]", "a")], true);
    rows.desired[0].hash = AppliedHash("another".into());
    for desired in state.absorb(rows, vec!["id".into()], now).unmet().into_iter().flatten() {
        state.meet(desired, None, ConflictPolicy::Protect);
    }
    let work = state.next(now).unwrap();
    assert!(look(&mut state, &[("[\"1\"]", "a")], now).is_empty());
    let applied = work.desired.applied(Known { uid: "a".into(), ..Known::default() });
    assert!(state.landed(work.desired, Ok(applied), now).outdated);
    assert_eq!(look(&mut state, &[("[\"1\"]", "a")], now), ["a"]);
}
