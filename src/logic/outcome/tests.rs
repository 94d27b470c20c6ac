use super::*;
use crate::logic::detect::{Mode, Told};
use crate::logic::failures::RowFailure;
use crate::logic::guard::Blocked;
use crate::logic::object::GroupKind;
use crate::logic::row::RowName;
use k8s_openapi::jiff::Timestamp;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn after(before: &Status, outcome: Outcome, second: i64) -> Status {
    status(before, &outcome, Some(1), None, at(second))
}

fn says(status: &Status, kind: &str) -> Option<(String, String)> {
    status.condition(kind).map(|c| (c.status.clone(), c.reason.clone()))
}

fn failed(stalled: bool, database: Option<bool>) -> Outcome {
    Outcome::Failed(Failed { reason: "Reason", message: "why".into(), stalled, database, blind: true })
}

#[test]
fn all_applied_is_ready_and_nothing_else() {
    let status = after(&Status::default(), Outcome::Done(Box::new(Done { rows: 3, objects: 3, ..Done::default() })), 1);
    assert_eq!(says(&status, condition::READY), Some(("True".into(), "Synced".into())));
    assert_eq!(says(&status, condition::RECONCILING), None);
    assert_eq!(says(&status, condition::STALLED), None);
    assert_eq!((status.rows, status.managed_resources, status.failed_rows), (Some(3), Some(3), Some(0)));
}

#[test]
fn failed_rows_are_not_ready_and_reconciling_and_at_most_ten_are_listed() {
    let mut failures = Failures::default();
    for row in 1..=25 {
        failures.push(RowFailure { row: row.into(), object: None, reason: "RenderFailed", message: "m".into() });
    }
    let status = after(&Status::default(), Outcome::Done(Box::new(Done { rows: 30, failures, ..Done::default() })), 1);
    assert_eq!(says(&status, condition::READY), Some(("False".into(), "PartiallyFailed".into())));
    assert_eq!(says(&status, condition::RECONCILING).unwrap().0, "True");
    assert_eq!((status.failures.len(), status.failed_rows), (10, Some(25)));
}

#[test]
fn a_failed_row_is_called_by_its_key_where_it_has_one() {
    let mut failures = Failures::default();
    let row = RowName { number: 7, key: Some(r#"["acme",null]"#.into()) };
    failures.push(RowFailure { row, object: None, reason: "RenderFailed", message: "why".into() });
    failures.push(RowFailure { row: 9.into(), object: None, reason: "RenderFailed", message: "why".into() });
    let status = after(&Status::default(), Outcome::Done(Box::new(Done { rows: 30, failures, ..Done::default() })), 1);
    assert_eq!((status.failures[0].row.as_str(), status.failures[1].row.as_str()), (r#"["acme",null]"#, "9"));
    let message = &status.condition(condition::READY).unwrap().message;
    assert!(message.contains(r#"2 of 30 rows failed"#) && message.contains(r#"row ["acme",null]: why"#), "{message}");
}

#[test]
fn a_blocked_deletion_stays_ready_and_says_how_to_approve_it() {
    let held = Held { count: 5, digest: "d1".into(), waiting: 2, why: Blocked::Empty { deletions: 5 } };
    let done = Done { held: Some(held.clone()), misapproved: Some("d0".into()), ..Done::default() };
    let first = after(&Status::default(), Outcome::Done(done.into()), 1);
    assert_eq!(says(&first, condition::READY).unwrap().0, "True");
    assert_eq!(says(&first, condition::PRUNE_BLOCKED).unwrap().0, "True");
    let message = &first.condition(condition::PRUNE_BLOCKED).unwrap().message;
    for part in ["exactly these 5", "konnektr.io/approve-prune=d1", "2 more wait", "\"d0\"", "pruneGuard.allowEmpty"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(first.blocked_prune, Some(BlockedPrune { count: 5, digest: Some("d1".into()) }));
    let fewer = Done { held: Some(Held { count: 3, ..held.clone() }), ..Done::default() };
    let fewer = after(&first, Outcome::Done(fewer.into()), 2);
    assert!(fewer.condition(condition::PRUNE_BLOCKED).unwrap().message.contains("; of these 3 still have none. To"));
    let next = Held { digest: "d2".into(), ..held };
    let second = after(&first, Outcome::Done(Box::new(Done { held: Some(next), ..Done::default() })), 2);
    let told = |before: &Status, after: &Status| {
        notices(before, after).iter().filter(|notice| notice.reason == "PruneBlocked").count()
    };
    assert_eq!(told(&Status::default(), &first), 1);
    assert_eq!(told(&first, &first), 0);
    assert_eq!(told(&first, &second), 1, "another set is told of");
}

#[test]
fn the_status_says_what_failed_rows_keep() {
    let message = |all_kept| {
        let mut failures = Failures::default();
        failures.push(RowFailure { row: 1.into(), object: None, reason: "RenderFailed", message: "no".into() });
        let status =
            after(&Status::default(), Outcome::Done(Box::new(Done { failures, all_kept, ..Done::default() })), 1);
        status.condition(condition::READY).unwrap().message.clone()
    };
    assert!(message(true).contains("nothing is pruned"));
    assert!(message(false).contains("their objects stay"));
}

#[test]
fn a_database_that_is_away_is_not_ready_reconciling_and_not_connected() {
    let status = after(&Status::default(), failed(false, Some(false)), 1);
    assert_eq!(says(&status, condition::READY).unwrap().0, "False");
    assert_eq!(says(&status, condition::RECONCILING).unwrap().0, "True");
    assert_eq!(says(&status, condition::DATABASE_CONNECTED).unwrap().0, "False");
}

#[test]
fn an_invalid_spec_is_stalled_until_it_is_mended() {
    let status = after(&Status::default(), failed(true, None), 1);
    assert_eq!(says(&status, condition::STALLED).unwrap().0, "True");
    assert_eq!(says(&status, condition::RECONCILING), None);
    let mended = after(&status, Outcome::Done(Box::default()), 2);
    assert_eq!(says(&mended, condition::STALLED), None);
}

#[test]
fn what_could_not_be_taken_over_is_told_and_the_list_stays_until_it_is() {
    let done = |untaken: Option<&str>, needs_list| {
        let untaken = untaken.map(Into::into);
        Outcome::Done(Box::new(Done { objects: 3, untaken, needs_list, ..Done::default() }))
    };
    let refused = done(Some("Namespace a could not be had"), true);
    assert_eq!(refused.trouble(), Some("TakeOverFailed"));
    let status = after(&Status::default(), refused, 1);
    assert_eq!(says(&status, condition::READY), Some(("False".into(), "TakeOverFailed".into())));
    let patch = status.patch_from(&Status::default()).unwrap();
    assert!(
        patch["status"].get("conditions").is_some() && patch["status"].get("managedResources").is_none(),
        "{patch}"
    );
    let mut failures = Failures::default();
    failures.push(RowFailure { row: 1.into(), object: None, reason: "RenderFailed", message: "m".into() });
    let untaken = Some("Namespace a could not be had".into());
    let both = after(&status, Outcome::Done(Box::new(Done { rows: 1, failures, untaken, ..Done::default() })), 2);
    assert!(both.condition(condition::READY).unwrap().message.ends_with("; Namespace a could not be had"));
    let forbidden = after(&status, done(None, true), 2);
    assert_eq!((says(&forbidden, condition::READY).unwrap().0, forbidden.managed_resources), ("True".into(), None));
    assert_eq!(after(&status, done(None, false), 2).managed_resources, Some(3));
}

#[test]
fn a_failed_look_keeps_what_is_known_of_rows_and_objects() {
    let status = after(
        &Status::default(),
        Outcome::Done(Box::new(Done {
            rows: 3,
            objects: 3,
            recorded: Recorded { kinds: [GroupKind::parse("ConfigMap")].into(), ..Recorded::default() },
            ..Done::default()
        })),
        1,
    );
    let failed = after(&status, failed(false, Some(false)), 2);
    assert_eq!((failed.rows, failed.kinds.clone()), (Some(3), vec!["ConfigMap".to_owned()]));
}

fn seen(mode: Mode) -> Told {
    Told { mode: Some(mode), is_well: Some(true), reason: "Seen", message: "seen".into() }
}

#[test]
fn while_rows_cannot_be_read_no_change_is_noticed_and_the_reason_is_that_of_ready() {
    let listening = after(&Status::default(), Outcome::Unchanged(seen(Mode::Notify)), 1);
    assert_eq!(listening.mode.as_deref(), Some("Notify"));
    assert_eq!(says(&listening, condition::CHANGE_DETECTION), Some(("True".into(), "Seen".into())));
    for (stalled, database) in [(false, Some(false)), (true, None)] {
        let blind = after(&listening, failed(stalled, database), 2);
        assert_eq!(says(&blind, condition::CHANGE_DETECTION), says(&blind, condition::READY));
        assert_eq!(says(&blind, condition::CHANGE_DETECTION).unwrap().0, "False");
        assert_eq!(blind.mode.as_deref(), Some("Poll"));
        assert!(blind.condition(condition::CHANGE_DETECTION).unwrap().message.contains("why"));
        let mended = after(&blind, Outcome::Done(Done { detection: seen(Mode::Notify), ..Done::default() }.into()), 3);
        assert_eq!(says(&mended, condition::CHANGE_DETECTION).unwrap().0, "True");
        assert_eq!(mended.mode.as_deref(), Some("Notify"));
    }
}

#[test]
fn what_fails_in_the_cluster_says_nothing_of_how_changes_are_noticed() {
    let listening = after(&Status::default(), Outcome::Unchanged(seen(Mode::Notify)), 1);
    let Outcome::Failed(failed) = failed(false, None) else { unreachable!() };
    let failed = after(&listening, Outcome::Failed(Failed { blind: false, ..failed }), 2);
    assert_eq!(failed.mode, listening.mode);
    assert_eq!(failed.condition(condition::CHANGE_DETECTION), listening.condition(condition::CHANGE_DETECTION));
}

#[test]
fn who_is_suspended_neither_is_notified_nor_looks_and_that_is_no_fault() {
    let ready =
        after(&Status::default(), Outcome::Done(Done { detection: seen(Mode::Poll), ..Done::default() }.into()), 1);
    let suspended = noticed(&ready, &Told::suspended(), at(2));
    assert_eq!((suspended.mode.as_deref(), says(&suspended, condition::READY)), (None, says(&ready, condition::READY)));
    assert_eq!(says(&suspended, condition::CHANGE_DETECTION), Some(("Unknown".into(), "Suspended".into())));
    assert_eq!(noticed(&suspended, &Told::suspended(), at(3)), suspended);
}

#[test]
fn nothing_differs_when_nothing_changed_but_time() {
    let done = || Outcome::Done(Box::new(Done { rows: 1, objects: 1, ..Done::default() }));
    let first = after(&Status::default(), done(), 1);
    assert_eq!(after(&first, done(), 99), first);
}

#[test]
fn only_what_became_different_is_told() {
    let done = || Outcome::Done(Box::new(Done { rows: 1, objects: 1, ..Done::default() }));
    let first = after(&Status::default(), done(), 1);
    assert_eq!(notices(&Status::default(), &first).len(), 1);
    let away = after(&first, failed(false, Some(false)), 2);
    assert!(notices(&first, &away)[0].warning);
    assert_eq!(notices(&away, &after(&away, failed(false, Some(false)), 3)), vec![]);
}

#[test]
fn what_went_wrong_is_counted_under_the_reason_that_ready_gets() {
    let mut failures = Failures::default();
    failures.push(RowFailure { row: 1.into(), object: None, reason: "RenderFailed", message: "m".into() });
    for outcome in [
        Outcome::Done(Box::new(Done { failures, ..Done::default() })),
        Outcome::Done(Box::new(Done { undeleted: Some("why".into()), ..Done::default() })),
        failed(true, None),
    ] {
        let status = after(&Status::default(), outcome.clone(), 1);
        assert_eq!(says(&status, condition::READY).unwrap().1, outcome.trouble().unwrap());
    }
    assert_eq!(Outcome::Done(Box::default()).trouble(), None);
    assert_eq!(Outcome::Unchanged(Told::default()).trouble(), None);
}

#[test]
fn what_an_account_that_is_gone_leaves_is_named_as_far_as_an_event_has_room() {
    let account = Account { namespace: "team".into(), name: "writer".into() };
    let kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
    let object = |number: usize| {
        Undone::Object(ObjectId { kind: kind.clone().into(), namespace: Some("b".into()), name: format!("n{number}") })
    };
    let notice = left_behind(&account, &[object(1), Undone::Kind(kind.clone())]);
    assert_eq!(
        (notice.warning, notice.note.as_str()),
        (
            true,
            "2 left behind, since the ServiceAccount team/writer is gone and no rule allows to clean up in its name: \
             ConfigMap b/n1, whatever there is of the kind ConfigMap"
        )
    );
    let many: Vec<Undone> = (0..12).map(object).collect();
    let note = left_behind(&account, &many).note;
    assert!(note.starts_with("12 left behind") && note.ends_with("b/n9 and others"), "{note}");
}
