//! What may go when rows are read by their keys, and passes are interrupted.

use super::super::{Judgement, Read, Recorded, Refusal, State, Terms};
use super::desired;
use crate::crd::{ConflictPolicy, PruneGuard};
use crate::logic::failures::RowFailure;
use crate::logic::guard::Guard;
use crate::logic::inventory::Sight;
use crate::logic::memo::RowHash;
use crate::logic::object::{AppliedHash, Desired, Known, ObjectId, Ownership, Wishes};
use crate::logic::render::Rendered;
use crate::logic::row::{Row, RowName};
use crate::logic::rows::{Entangled, Keys};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::time::Instant;

fn made(name: &str, key: &str, number: u64) -> Desired {
    let Desired { id, kind, .. } = desired(name);
    let row = RowName { number, key: Some(key.into()) };
    Desired::new(id, kind, AppliedHash(format!("{name} {key}")), row, None)
}

pub(super) fn rendered(rows: &[(&str, &str)], grouped: bool) -> Rendered {
    let mut out = Rendered { is_grouped: grouped, ..Rendered::default() };
    for (key, name) in rows {
        out.rows += 1;
        let one = made(name, key, out.rows);
        if grouped {
            let group = out.groups.entry((*key).into()).or_default();
            group.rows.push(RowHash::of(&Row {
                json: format!("{key} {name}"),
                key: Some((*key).into()),
                others: Vec::new(),
            }));
            group.objects.push(one.id.clone());
        }
        if let Some(first) = out.claims.insert(one.id.clone(), one.row.clone()) {
            out.disputed.insert(one.id.clone());
            for row in [first, one.row.clone()] {
                out.failures.push(RowFailure { row, object: None, reason: "DuplicateObject", message: String::new() });
            }
        } else {
            out.desired.push(one);
        }
    }
    let disputed = out.disputed.clone();
    out.desired.retain(|one| !disputed.contains(&one.id));
    out
}

/// An object as it was applied for a row of this key.
pub(super) fn there(name: &str, key: &str) -> (ObjectId, Known) {
    let one = made(name, key, 1);
    (one.id.clone(), one.applied(Known { uid: name.into(), ..Known::default() }))
}

pub(super) fn state(objects: &[(&str, &str)], now: Instant) -> State {
    let mut state = State::new(Recorded { marked_by: Some(vec!["id".into()]), ..Recorded::default() });
    state.listed(objects.iter().map(|(key, name)| there(name, key)), now);
    state
}

fn guard() -> Guard {
    Guard::new(&PruneGuard { max_deletions: IntOrString::String("20%".into()), ..PruneGuard::default() }).unwrap()
}

fn prune(state: &mut State, read: &Read, now: Instant) -> (usize, Option<usize>) {
    let guard = guard();
    let terms = Terms { prune: true, guard: &guard, approved: None, nonce: 0, awaited: &Keys::new() };
    let believed = state.judge(read, terms, now).verdict.believed;
    for stale in &believed {
        state.known_mut().unwrap().delete(&stale.0);
        state.deleted(stale, true, true, now);
    }
    (believed.len(), state.held().map(|held| held.count + held.waiting))
}

fn meet_all(state: &mut State, read: &mut Read) {
    for one in read.unmet().into_iter().flatten() {
        state.meet(one, None, ConflictPolicy::Protect);
    }
}

fn rename_all(per_pass: usize) -> (usize, Option<usize>) {
    let now = Instant::now();
    let keys: Vec<String> = (0..1000).map(|n| format!("[\"{n}\"]")).collect();
    let old: Vec<String> = (0..1000).map(|n| format!("old{n}")).collect();
    let new: Vec<String> = (0..1000).map(|n| format!("new{n}")).collect();
    let olds: Vec<(&str, &str)> = keys.iter().zip(&old).map(|(k, n)| (k.as_str(), n.as_str())).collect();
    let news: Vec<(&str, &str)> = keys.iter().zip(&new).map(|(k, n)| (k.as_str(), n.as_str())).collect();
    let mut state = state(&olds, now);
    let mut read = state.absorb(rendered(&news, true), vec!["id".into()], now);
    let mut deleted = 0;
    loop {
        meet_all(&mut state, &mut read);
        for _ in 0..per_pass {
            let Some(work) = state.next(now) else { break };
            let known = work.desired.applied(Known { uid: work.desired.id.name.clone().into(), ..Known::default() });
            state.landed(work.desired, Ok(known), now);
        }
        deleted += prune(&mut state, &read, now).0;
        if state.unfinished() == 0 {
            break;
        }
        // Interrupted: a row nobody knew of was told of.
        let keys: Keys = ["[\"x\"]".into()].into();
        read = state.absorb_keys(&keys, rendered(&[], true), now).unwrap();
    }
    (deleted, state.held().map(|held| held.count + held.waiting))
}

#[test]
fn many_deletions_are_many_however_few_can_be_done_at_a_time() {
    let whole = rename_all(2000);
    let pieces = rename_all(16);
    assert_eq!(whole.0, 0);
    assert_eq!(pieces.0, 0, "deleted before the guard trips");
}

#[test]
fn rows_of_which_nobody_knows_the_keys_are_not_read_by_key() {
    let now = Instant::now();
    let mut state = state(&[("[\"3\"]", "o3")], now);
    state.absorb(rendered(&[("[\"3\"]", "o3")], false), vec!["id".into()], now);
    let keys: Keys = ["[\"3\"]".into()].into();
    assert_eq!(state.absorb_keys(&keys, rendered(&[], true), now).unwrap_err(), Entangled::AtOdds);
}

#[test]
fn what_is_about_to_be_read_again_is_not_deleted() {
    let now = Instant::now();
    let rows: Vec<(String, String)> = (0..20).map(|n| (format!("[\"{n}\"]"), format!("o{n}"))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(k, n)| (k.as_str(), n.as_str())).collect();
    let mut state = state(&rows, now);
    let read = state.absorb(rendered(&rows[2..], true), vec!["id".into()], now);
    let (guard, awaited) = (guard(), ["[\"1\"]".into()].into());
    let terms = Terms { prune: true, guard: &guard, approved: None, nonce: 0, awaited: &awaited };
    let believed = state.judge(&read, terms, now).verdict.believed;
    assert_eq!(believed.iter().map(|(id, _)| id.name.as_str()).collect::<Vec<_>>(), ["o0"]);
}

#[test]
fn what_another_row_disputes_is_not_deleted_with_a_group_that_was_not_asked_for() {
    let now = Instant::now();
    let mut all: Vec<(String, String)> = (0..20).map(|n| (format!("[\"{n}\"]"), format!("o{n}"))).collect();
    all.push(("[\"A\"]".into(), "y".into()));
    all.push(("[\"a\"]".into(), "x".into()));
    let was: Vec<(&str, &str)> = all.iter().map(|(k, n)| (k.as_str(), n.as_str())).collect();
    let mut state = state(&was, now);
    let mut with = was.clone();
    with.push(("[\"b\"]", "x"));
    let read = state.absorb(rendered(&with, true), vec!["id".into()], now);
    assert_eq!(prune(&mut state, &read, now), (0, None));
    let keys: Keys = ["[\"A\"]".into()].into();
    let read = state.absorb_keys(&keys, rendered(&[("[\"A\"]", "y"), ("[\"a\"]", "z")], true), now);
    let Ok(mut read) = read else { return };
    meet_all(&mut state, &mut read);
    while let Some(work) = state.next(now) {
        let known = work.desired.applied(Known { uid: "z".into(), ..Known::default() });
        state.landed(work.desired, Ok(known), now);
    }
    assert_eq!(prune(&mut state, &read, now).0, 0, "x is wanted by row b");
}

#[test]
fn what_is_held_back_stays_so_while_its_row_is_being_applied() {
    let now = Instant::now();
    let all: Vec<[String; 3]> =
        (0..100).map(|n| [format!("[\"{n}\"]"), format!("old{n}"), format!("new{n}")]).collect();
    let olds: Vec<(&str, &str)> = all.iter().map(|r| (r[0].as_str(), r[1].as_str())).collect();
    let news: Vec<(&str, &str)> = all.iter().map(|r| (r[0].as_str(), r[2].as_str())).collect();
    let mut state = state(&olds, now);
    let mut read = state.absorb(rendered(&news, true), vec!["id".into()], now);
    meet_all(&mut state, &mut read);
    while let Some(work) = state.next(now) {
        let known = work.desired.applied(Known { uid: work.desired.id.name.clone().into(), ..Known::default() });
        state.landed(work.desired, Ok(known), now);
    }
    assert_eq!(prune(&mut state, &read, now), (0, Some(100)));
    let mut deleted = 0;
    // Ten rows change; their applies outlast the pass (slow, interrupted or refused once).
    for [key, _, new] in all.iter().take(10) {
        let mut changed = rendered(&[(key.as_str(), new.as_str())], true);
        changed.desired[0].hash = AppliedHash("changed".into());
        let keys: Keys = [key.as_str().into()].into();
        let read = state.absorb_keys(&keys, changed, now).unwrap();
        let work = state.next(now).unwrap();
        deleted += prune(&mut state, &read, now).0;
        let known = work.desired.applied(Known { uid: work.desired.id.name.clone().into(), ..Known::default() });
        state.landed(work.desired, Ok(known), now);
        let read = state.absorb_keys(&["[\"none\"]".into()].into(), rendered(&[], true), now).unwrap();
        deleted += prune(&mut state, &read, now).0;
    }
    assert_eq!((deleted, state.held().map(|held| held.count)), (0, Some(100)));
}

/// The same with rows of these keys that cannot be rendered.
fn with_broken(rendered: Rendered, keys: &[&str]) -> Rendered {
    let mut rendered = rendered;
    for key in keys {
        rendered.rows += 1;
        let row = RowName { number: rendered.rows, key: Some((*key).into()) };
        rendered.failures.push(RowFailure { row, object: None, reason: "RenderFailed", message: String::new() });
        rendered.groups.entry((*key).into()).or_default();
    }
    rendered
}

fn refuse_all(state: &mut State, now: Instant) {
    while let Some(work) = state.next(now) {
        let refusal = Refusal { reason: "Refused", message: String::new(), replaced: false, unanswered: false };
        state.landed(work.desired, Err(refusal), now);
    }
}

/// Row A made `x` and leaves it to row B, whose apply is refused: it is still marked with A's key.
fn handed_over(now: Instant) -> State {
    let columns = || vec!["id".to_owned()];
    let mut state = state(&[("[\"A\"]", "x"), ("[\"A\"]", "y"), ("[\"B\"]", "z")], now);
    state.absorb(rendered(&[("[\"A\"]", "x"), ("[\"B\"]", "z")], true), columns(), now);
    let mut read = state.absorb(rendered(&[("[\"A\"]", "y"), ("[\"B\"]", "x")], true), columns(), now);
    meet_all(&mut state, &mut read);
    refuse_all(&mut state, now);
    state
}

fn names(judged: Judgement) -> Vec<String> {
    judged.verdict.believed.into_iter().map(|(id, _)| id.name).collect()
}

fn judged(state: &mut State, read: &Read, now: Instant) -> Judgement {
    let guard = guard();
    let terms = Terms { prune: true, guard: &guard, approved: None, nonce: 0, awaited: &Keys::new() };
    state.judge(read, terms, now)
}

#[test]
fn what_a_failing_row_wanted_stays_although_another_row_made_it() {
    let now = Instant::now();
    let mut state = handed_over(now);
    let broken = || with_broken(rendered(&[("[\"A\"]", "y")], true), &["[\"B\"]"]);
    let read = state.absorb(broken(), vec!["id".into()], now);
    assert!(names(judged(&mut state, &read, now)).is_empty(), "x and z may be row B's");
    let read = state.absorb(broken(), vec!["id".into()], now);
    assert!(names(judged(&mut state, &read, now)).is_empty(), "and stay so as long as it fails");
    let read = state.absorb(rendered(&[("[\"A\"]", "y")], true), vec!["id".into()], now);
    assert_eq!(names(judged(&mut state, &read, now)), ["x", "z"], "until its row is gone");
}

#[test]
fn what_a_failing_row_wanted_stays_where_its_row_alone_is_read() {
    let now = Instant::now();
    let mut state = handed_over(now);
    let keys: Keys = ["[\"B\"]".into()].into();
    let read = state.absorb_keys(&keys, with_broken(rendered(&[], true), &["[\"B\"]"]), now).unwrap();
    assert!(names(judged(&mut state, &read, now)).is_empty());
    let read = state.absorb_keys(&keys, rendered(&[], true), now).unwrap();
    assert_eq!(names(judged(&mut state, &read, now)), ["x", "z"]);
}

#[test]
fn where_objects_of_an_earlier_resource_are_met_no_mark_tells_whose_they_are() {
    let now = Instant::now();
    let mut state = state(&[("[\"1\"]", "a")], now);
    let two = rendered(&[("[\"1\"]", "a"), ("[\"2\"]", "b")], true);
    let mut read = state.absorb(two, vec!["id".into()], now);
    assert!(state.to_record().unwrap().marked_by.is_some());
    for desired in read.unmet().into_iter().flatten() {
        let known = Known { uid: "b".into(), row_key: Some("[\"other\"]".into()), ..Known::default() };
        state.meet(desired, Some((known, Ownership::Abandoned)), ConflictPolicy::Protect);
    }
    let recorded = state.to_record().unwrap();
    assert_eq!(recorded.marked_by, None);
    state.record(recorded);
    let read = state.absorb(with_broken(rendered(&[], true), &["[\"2\"]"]), vec!["id".into()], now);
    assert!(judged(&mut state, &read, now).all_kept);
}

#[test]
fn fifty_thousand_deletions_one_after_the_other_trip_the_guard() {
    const ROWS: usize = 50_000;
    let now = Instant::now();
    let rows: Vec<(String, String)> = (0..ROWS).map(|n| (format!("[\"{n}\"]"), format!("o{n}"))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, name)| (key.as_str(), name.as_str())).collect();
    let mut state = state(&rows, now);
    state.absorb(rendered(&rows, true), vec!["id".into()], now);
    let mut deleted = 0;
    for (key, _) in &rows[..ROWS / 5 + 50] {
        let read = state.absorb_keys(&[(*key).into()].into(), rendered(&[], true), now).unwrap();
        deleted += prune(&mut state, &read, now).0;
    }
    assert_eq!((deleted, state.held().map(|held| held.count + held.waiting)), (ROWS / 5, Some(50)));
    let read = state.absorb(rendered(&[], true), vec!["id".into()], now);
    let (more, held) = prune(&mut state, &read, now);
    assert_eq!((more, held), (0, Some(ROWS - deleted)));
}

#[test]
fn what_a_failing_row_wanted_stays_although_the_spec_has_changed() {
    let now = Instant::now();
    let mut state = handed_over(now);
    state.forget();
    let objects = [("[\"A\"]", "x"), ("[\"A\"]", "y"), ("[\"B\"]", "z")].map(|(key, name)| there(name, key));
    state.listed(objects, now);
    let broken = with_broken(rendered(&[("[\"A\"]", "y")], true), &["[\"B\"]"]);
    let read = state.absorb(broken, vec!["id".into()], now);
    assert!(names(judged(&mut state, &read, now)).is_empty(), "x and z may be row B's");
}

#[test]
fn what_lost_its_label_and_its_row_is_applied_anew_when_the_row_is_back() {
    let now = Instant::now();
    let one = [("[\"A\"]", "x")];
    let mut state = state(&one, now);
    state.absorb(rendered(&one, true), vec!["id".into()], now);
    let (id, known) = there("x", "[\"A\"]");
    assert!(state.see(&id, Sight { uid: known.uid.clone(), version: known.version, known: None }));
    state.absorb(rendered(&[], true), vec!["id".into()], now);
    assert_eq!(state.missed(), std::slice::from_ref(&id));
    state.look_after(id, Some(known));
    assert!(state.missed().is_empty());
    let read = state.absorb(rendered(&one, true), vec!["id".into()], now);
    assert!(read.unmet.is_empty(), "it is known");
    assert!(state.next(now).is_some(), "its label has to be put back");
}

#[test]
fn what_a_row_had_stays_where_it_changed_again_before_its_new_object_was_refused() {
    let now = Instant::now();
    let rows: Vec<(String, String)> = (0..20).map(|n| (format!("[\"{n}\"]"), format!("o{n}"))).collect();
    let mut rows: Vec<(&str, &str)> = rows.iter().map(|(key, name)| (key.as_str(), name.as_str())).collect();
    let mut state = state(&rows, now);
    state.absorb(rendered(&rows, true), vec!["id".into()], now);
    rows[0].1 = "renamed";
    let mut read = state.absorb(rendered(&rows, true), vec!["id".into()], now);
    meet_all(&mut state, &mut read);
    let work = state.next(now).unwrap();
    assert!(names(judged(&mut state, &read, now)).is_empty(), "its new object is on its way");
    // It changes once more, and only then is the first attempt refused.
    let mut changed = rendered(&rows[..1], true);
    changed.desired[0].hash = AppliedHash("changed".into());
    let mut read = state.absorb_keys(&[rows[0].0.into()].into(), changed, now).unwrap();
    meet_all(&mut state, &mut read);
    let refusal = Refusal { reason: "Refused", message: String::new(), replaced: false, unanswered: false };
    assert!(state.landed(work.desired, Err(refusal), now).outdated);
    assert!(names(judged(&mut state, &read, now)).is_empty(), "o0 is all that its row has");
}

#[test]
fn what_is_never_touched_and_got_another_row_key_stays_when_its_row_fails_after_a_start() {
    let now = Instant::now();
    let only_created = |rows: &[(&str, &str)]| {
        let mut rendered = rendered(rows, true);
        let wishes = Wishes { create_only: true, ..Wishes::default() };
        rendered.desired = rendered.desired.into_iter().map(|one| one.wishing(wishes)).collect();
        rendered
    };
    let all = [("[\"1\"]", "a"), ("[\"2\"]", "b")];
    let columns = || vec!["id".to_owned()];
    let mut state = state(&all, now);
    state.absorb(only_created(&all), columns(), now);
    state.close();
    assert_eq!(state.to_record().unwrap().marked_by, Some(columns()), "each is marked with its row");
    // The first row gets another key. Its object is not touched, and keeps the mark.
    let read = state.absorb(only_created(&[("[\"3\"]", "a"), all[1]]), columns(), now);
    let recorded = state.to_record().unwrap_or(state.recorded().clone());
    state.record(recorded);
    assert!(names(judged(&mut state, &read, now)).is_empty());
    state.close();

    let mut state = State::new(state.recorded().clone());
    state.listed(all.map(|(key, name)| there(name, key)), now);
    let read = state.absorb(with_broken(only_created(&all[1..]), &["[\"3\"]"]), columns(), now);
    assert!(names(judged(&mut state, &read, now)).is_empty(), "a is the failing row's");
}

#[test]
fn deletions_that_nobody_could_look_up_yet_count_until_it_is_known_that_they_were_not_done() {
    let now = Instant::now();
    let rows: Vec<(String, String)> = (0..10).map(|n| (format!("[\"{n}\"]"), format!("o{n}"))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, name)| (key.as_str(), name.as_str())).collect();
    let mut state = state(&rows, now);
    state.absorb(rendered(&rows, true), vec!["id".into()], now);
    let two = PruneGuard { max_deletions: IntOrString::Int(2), ..PruneGuard::default() };
    let two = Guard::new(&two).unwrap();
    let judged = |state: &mut State, rows: &[(&str, &str)]| {
        let read = state.absorb(rendered(rows, true), vec!["id".into()], now);
        let terms = Terms { prune: true, guard: &two, approved: None, nonce: 0, awaited: &Keys::new() };
        state.judge(&read, terms, now).verdict.believed
    };
    let believed = judged(&mut state, &rows[2..]);
    assert_eq!(believed.len(), 2);
    believed.into_iter().for_each(|stale| state.unanswered(stale, true));
    assert_eq!(judged(&mut state, &rows[4..]).len(), 0, "there may have been two");
    for (key, name) in &rows[..2] {
        let (id, known) = there(name, key);
        state.look_after(id, Some(known));
    }
    // Neither was deleted; their rows are back, and so are two that could have been deleted instead.
    assert_eq!(judged(&mut state, &rows).len(), 0);
    assert_eq!(judged(&mut state, &rows[2..]).len(), 2);
}
