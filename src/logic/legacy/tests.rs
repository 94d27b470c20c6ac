use super::*;
use crate::logic::object::{PREDECESSOR, is_our_apply};
use std::time::Duration;

fn id(kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
    ObjectId { kind: GroupKind::parse(kind).into(), namespace: namespace.map(Into::into), name: name.into() }
}

fn list(entries: &[&str]) -> Arc<[String]> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn anything(_: &ObjectId) -> Result<(), Forbidden> {
    Ok(())
}

#[test]
fn an_entry_is_read_as_the_go_operator_writes_it_and_nothing_else_is() {
    assert_eq!(parse("/v1/ConfigMap/ns/name"), Some(id("ConfigMap", Some("ns"), "name")));
    assert_eq!(parse("/v1/Namespace//name"), Some(id("Namespace", None, "name")));
    assert_eq!(parse("apps/v1/Deployment/ns/name"), Some(id("Deployment.apps", Some("ns"), "name")));
    for entry in [
        "",
        " /v1/ConfigMap/ns/name",
        "v1/ConfigMap/ns/name",
        "/v1/ConfigMap/ns/name/",
        "/v1//ns/name",
        "/v1/ConfigMap/ns/",
        "//ConfigMap/a/b",
    ] {
        assert_eq!(parse(entry), None, "{entry}");
    }
}

#[test]
fn what_was_refused_stays_and_rests_and_is_told_by_name_while_the_others_are_settled() {
    let (mut legacy, now) = (Legacy::default(), Instant::now());
    let stored = list(&["/v1/Namespace//a", "/v1/Namespace//b", "/v1/ConfigMap/n/c", "nonsense"]);
    assert_eq!(legacy.read(&stored, anything).len(), 1);
    assert_eq!(legacy.due(now).values().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    let (a, b, c) = (id("Namespace", None, "a"), id("Namespace", None, "b"), id("ConfigMap", Some("n"), "c"));
    legacy.settled(&c);
    assert!(!legacy.awaits(&c) && legacy.awaits(&a) && legacy.trouble().is_none());
    legacy.refused(&a, "Forbidden", "not allowed to patch namespaces", now);
    legacy.refused(&b, "Forbidden", "not allowed to patch namespaces", now);
    let trouble = legacy.trouble().unwrap();
    assert!(trouble.ends_with(": Namespace a, Namespace b: not allowed to patch namespaces"), "{trouble}");
    assert_eq!((legacy.news(), legacy.news()), (Some(trouble), None));
    assert!(legacy.due(now).is_empty() && legacy.is_open());
    assert_eq!(legacy.due(now + Duration::from_secs(60)).len(), 1);
    legacy.settled(&a);
    legacy.settled(&b);
    assert!(!legacy.is_open() && legacy.trouble().is_none());
}

#[test]
fn a_list_is_looked_at_once_and_again_where_it_is_another_or_all_is_asked_for_anew() {
    let (mut legacy, now) = (Legacy::default(), Instant::now());
    let stored = list(&["/v1/Namespace//a"]);
    legacy.read(&stored, anything);
    legacy.settled(&id("Namespace", None, "a"));
    legacy.read(&stored, anything);
    assert!(legacy.due(now).is_empty(), "what was seen may be older than what was done");
    legacy.read(&list(&["/v1/Namespace//b"]), anything);
    assert!(legacy.awaits(&id("Namespace", None, "b")));
    legacy.forget();
    legacy.read(&stored, anything);
    assert!(legacy.awaits(&id("Namespace", None, "a")));
    legacy.read(&list(&[]), anything);
    assert!(!legacy.is_open(), "a count is there by now");
}

#[test]
fn what_may_not_be_touched_stays_listed_and_the_notice_names_it_and_the_flag() {
    let mut legacy = Legacy::default();
    let entries: Vec<String> = (10..30).map(|number| format!("/v1/Namespace//{}{number}", "x".repeat(50))).collect();
    let may_touch = |id: &ObjectId| match &id.namespace {
        Some(_) => Ok(()),
        None => Err(Forbidden::ClusterScoped((*id.kind).clone())),
    };
    let entries: Arc<[String]> = entries.into_iter().chain(["/v1/ConfigMap/n/c".into()]).collect();
    let notice = legacy.read(&entries, may_touch).remove(0);
    let named = ["20 of the", "--allow-cluster-scoped=Namespace", "Namespace xx", "x19 and 10 more"];
    assert!(named.iter().all(|part| notice.note.contains(part)), "{}", notice.note);
    assert!(notice.note.len() < 1024 && notice.warning);
    legacy.settled(&id("ConfigMap", Some("n"), "c"));
    assert!(legacy.due(Instant::now()).is_empty() && legacy.is_open() && legacy.trouble().is_none());
    assert_eq!(legacy.read(&entries, may_touch), [], "it is told once");
}

#[test]
fn what_cannot_be_read_or_is_of_no_kind_is_named_once_and_nothing_waits_for_it() {
    let (mut legacy, now) = (Legacy::default(), Instant::now());
    let stored = list(&[" /v1/ConfigMap/n/a", "x\n", "extensions/v1beta1/Thing/n/b", "/v1/ConfigMap/n/c"]);
    let notices = legacy.read(&stored, anything);
    let [Notice { warning: true, reason, note }] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(reason, "NotTakenOver");
    assert!(note.ends_with(r#"are not group/version/kind/namespace/name: " /v1/ConfigMap/n/a", "x\n""#), "{note}");
    let unserved = [id("Thing.extensions", Some("n"), "b")];
    let Notice { warning, reason, note } = legacy.unserved(&unserved).unwrap();
    assert_eq!((warning, &*reason), (true, "NotTakenOver"));
    assert!(note.ends_with("the API server has no such kind in any version: Thing.extensions n/b"), "{note}");
    assert_eq!(legacy.due(now).len(), 1);
    legacy.settled(&id("ConfigMap", Some("n"), "c"));
    assert!(!legacy.is_open() && legacy.trouble().is_none());
    legacy.forget();
    assert_eq!(legacy.read(&stored, anything), []);
    assert_eq!((legacy.unserved(&unserved), legacy.unserved(&[])), (None, None));
}

fn entry(manager: &str, operation: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

fn inherited_of(entries: Value) -> Value {
    let entries: Vec<ManagedFieldsEntry> = serde_json::from_value(entries).unwrap();
    json!(inherited(entries, false))
}

#[test]
fn the_go_operators_entry_becomes_ours_with_the_marks_and_nothing_of_anybody_elses_is_changed() {
    let theirs = entry("kubectl", "Update", json!({"f:data": {"f:theirs": {}}}));
    let go = json!({"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {".": {}, (format!("f:{LABEL_NAME}")): {}}}});
    let marks = json!({"f:metadata": {
        "f:annotations": {".": {}, (format!("f:{OWNER_UID}")): {}},
        "f:labels": {(format!("f:{LABEL_NAMESPACE}")): {}},
    }});
    let entries =
        inherited_of(json!([entry(PREDECESSOR, "Apply", go), theirs, entry(FIELD_MANAGER, "Update", marks.clone())]));
    let ours = json!({
        "f:data": {"f:k": {}},
        "f:metadata": {
            "f:labels": {".": {}, (format!("f:{LABEL_NAME}")): {}, (format!("f:{LABEL_NAMESPACE}")): {}},
            "f:annotations": {(format!("f:{OWNER_UID}")): {}},
        },
    });
    assert_eq!(entries, json!([entry(FIELD_MANAGER, "Apply", ours), theirs]));

    let mut more = marks;
    more["f:metadata"]["f:annotations"]["f:konnektr.io/adopted"] = json!({});
    let left = inherited_of(json!([entry(FIELD_MANAGER, "Update", more)]));
    let left: Vec<ManagedFieldsEntry> = serde_json::from_value(left).unwrap();
    let annotations = json!({".": {}, "f:konnektr.io/adopted": {}});
    assert_eq!(left[0].fields_v1.as_ref().unwrap().0, json!({"f:metadata": {"f:annotations": annotations}}));
    assert!(!is_our_apply(&left[0]));
}

#[test]
fn what_both_applied_is_one_entry_of_ours_and_loses_no_field() {
    let apply = |manager: &str, version: &str, fields: Value| {
        let mut entry = entry(manager, "Apply", fields);
        entry["apiVersion"] = json!(version);
        entry
    };
    let label = || json!({(format!("f:{LABEL_NAME}")): {}});
    let ours = json!({
        "f:data": {"f:both": {}, "f:ours": {}},
        "f:spec": {"f:bare": {}, "f:filled": {".": {}, "f:x": {}}, "f:map": {"f:x": {}}},
        "f:metadata": {
            "f:annotations": {(format!("f:{OWNER_UID}")): {}}, "f:labels": {(format!("f:{LABEL_NAMESPACE}")): {}},
        },
    });
    let go = json!({
        "f:data": {"f:both": {}, "f:theirs": {}}, "f:metadata": {"f:labels": label()},
        "f:spec": {"f:bare": {"f:y": {}}, "f:filled": {}, "f:map": {"f:y": {}}},
    });
    let theirs = entry("kubectl", "Apply", json!({"f:data": {"f:k": {}}}));
    let entries = inherited_of(json!([apply(FIELD_MANAGER, "v1", ours), theirs, apply(PREDECESSOR, "v2", go)]));
    let both = json!({
        "f:data": {"f:both": {}, "f:theirs": {}, "f:ours": {}},
        "f:metadata": {
            "f:labels": {(format!("f:{LABEL_NAME}")): {}, (format!("f:{LABEL_NAMESPACE}")): {}},
            "f:annotations": {(format!("f:{OWNER_UID}")): {}},
        },
        "f:spec": {
            "f:bare": {".": {}, "f:y": {}}, "f:filled": {".": {}, "f:x": {}}, "f:map": {"f:x": {}, "f:y": {}},
        },
    });
    assert_eq!(entries, json!([theirs, apply(FIELD_MANAGER, "v2", both)]));
}
