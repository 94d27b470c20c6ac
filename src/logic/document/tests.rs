use serde_json::{Value, json};

use super::*;
use crate::logic::object::GroupKind;

fn owner() -> Owner {
    Owner { name: "tenants".into(), namespace: "team".into(), uid: "uid-1".into() }
}

fn find(api_version: &str, kind: &str) -> Result<Arc<Kind>, String> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if kind == "Nothing" {
        return Err("the server does not know Nothing".into());
    }
    Ok(Arc::new(Kind {
        group_kind: GroupKind { group: group.into(), kind: kind.into() }.into(),
        version: version.into(),
        plural: format!("{}s", kind.to_lowercase()),
        namespaced: kind != "Namespace",
    }))
}

fn make(document: Value) -> Result<Desired, DocumentError> {
    let owner = owner();
    let frame = Frame { owner: &owner, rights: &Rights::default(), gvk: None, deletion_policy: DeletionPolicy::Delete };
    desired(document.into(), 1, &frame, &find, |_, _, _| false)
}

fn config_map(metadata: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
}

#[test]
fn an_object_gets_our_marks_its_namespace_and_a_reference_to_its_owner() {
    let desired = make(config_map(json!({"name": "a", "labels": {"app": "x"}}))).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(None).unwrap()).unwrap();
    assert_eq!(body["metadata"]["namespace"], "team");
    assert_eq!(
        body["metadata"]["labels"],
        json!({"app": "x", "konnektr.io/managed-by": "tenants", "konnektr.io/managed-by-namespace": "team"})
    );
    assert_eq!(body["metadata"]["annotations"]["konnektr.io/owner-uid"], "uid-1");
    assert_eq!(body["metadata"]["annotations"]["konnektr.io/applied-hash"], desired.hash.0.as_str());
    assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    assert_eq!(body["data"]["a"], "b");
}

#[test]
fn a_uid_can_be_put_into_the_body_as_it_is_sent() {
    let desired = make(config_map(json!({"name": "a"}))).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(Some("u-9")).unwrap()).unwrap();
    assert_eq!((&body["metadata"]["uid"], &body["metadata"]["name"]), (&json!("u-9"), &json!("a")));
}

#[test]
fn a_hash_look_alike_in_the_data_is_left_alone() {
    let mut document = config_map(json!({"name": "a"}));
    document["data"] = json!({"konnektr.io/applied-hash": NO_HASH});
    let desired = make(document).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(None).unwrap()).unwrap();
    assert_eq!(body["data"]["konnektr.io/applied-hash"], NO_HASH);
    assert_eq!(body["metadata"]["annotations"]["konnektr.io/applied-hash"], desired.hash.0.as_str());
}

#[test]
fn the_hash_follows_the_content_and_nothing_else() {
    let hash = |document| make(document).unwrap().hash;
    assert_eq!(hash(config_map(json!({"name": "a"}))), hash(config_map(json!({"name": "a"}))));
    assert_ne!(hash(config_map(json!({"name": "a"}))), hash(config_map(json!({"name": "a", "labels": {"x": "y"}}))));
}

#[test]
fn a_protected_object_has_no_reference_that_would_let_it_be_collected() {
    let desired = make(config_map(json!({"name": "a", "annotations": {"konnektr.io/prune": "disabled"}}))).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(None).unwrap()).unwrap();
    assert!(body["metadata"].get("ownerReferences").is_none());
}

#[test]
fn what_is_not_the_templates_to_set_is_refused_by_name() {
    for metadata in [
        json!({"name": "a", "ownerReferences": []}),
        json!({"name": "a", "finalizers": ["x/y"]}),
        json!({"name": "a", "labels": {"konnektr.io/managed-by": "me"}}),
        json!({"name": "a", "annotations": {"konnektr.io/owner-uid": "me"}}),
        json!({"name": "a", "generateName": "b"}),
    ] {
        assert!(matches!(make(config_map(metadata.clone())), Err(DocumentError::Reserved(_))), "{metadata}");
    }
}

#[test]
fn bad_documents_are_refused_with_the_field() {
    let message = |document| make(document).unwrap_err().to_string();
    assert_eq!(message(json!(["a"])), "the document is not a mapping");
    assert_eq!(message(json!({"kind": "ConfigMap"})), "apiVersion must be a non-empty string");
    assert_eq!(message(json!({"apiVersion": "v1", "kind": "ConfigMap"})), "metadata.name must be a non-empty string");
    assert_eq!(message(config_map(json!({"name": 5}))), "metadata.name must be a non-empty string");
    for name in ["a/b", "..", "a%2fb", "a\nb"] {
        assert_eq!(message(config_map(json!({"name": name}))), "metadata.name is not a valid name");
    }
    assert_eq!(
        message(config_map(json!({"name": "a", "namespace": "../x"}))),
        "metadata.namespace is not a valid name"
    );
    assert_eq!(
        message(config_map(json!({"name": "a", "labels": {"n": 5}}))),
        "every value of metadata.labels must be a string: quote it"
    );
    assert_eq!(message(json!({"apiVersion": "v1", "kind": "Nothing"})), "the server does not know Nothing");
    assert_eq!(
        message(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}})),
        "Namespace is cluster-scoped and cannot have metadata.namespace"
    );
}

#[test]
fn other_namespaces_and_cluster_scoped_kinds_need_a_flag() {
    assert!(matches!(make(config_map(json!({"name": "a", "namespace": "other"}))), Err(DocumentError::Forbidden(_))));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    assert!(matches!(make(namespace), Err(DocumentError::Forbidden(Forbidden::ClusterScoped(_)))));
}

#[test]
fn a_gvk_fills_what_is_missing_and_must_agree_with_what_is_there() {
    let owner = owner();
    let gvk = Gvk { group: "apps".into(), version: "v1".into(), kind: "Deployment".into() };
    let frame =
        Frame { owner: &owner, rights: &Rights::default(), gvk: Some(&gvk), deletion_policy: DeletionPolicy::Delete };
    let made = desired(json!({"metadata": {"name": "a"}}).into(), 1, &frame, &find, |_, _, _| false).unwrap();
    assert_eq!(made.id.to_string(), "Deployment.apps team/a");
    let other = json!({"apiVersion": "v1", "metadata": {"name": "a"}});
    assert_eq!(
        desired(other.into(), 1, &frame, &find, |_, _, _| false).unwrap_err(),
        DocumentError::Disagrees("apiVersion")
    );
}

#[test]
fn what_is_applied_already_needs_no_body() {
    let owner = owner();
    let frame = Frame { owner: &owner, rights: &Rights::default(), gvk: None, deletion_policy: DeletionPolicy::Delete };
    assert!(
        desired(config_map(json!({"name": "a"})).into(), 1, &frame, &find, |_, _, _| true)
            .unwrap()
            .body(None)
            .is_none()
    );
}

#[test]
fn a_secret_with_text_that_is_no_base64_is_refused_before_the_server_fails_of_it() {
    let secret = |value: Value| {
        make(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"k": value}}))
    };
    assert!(secret(json!("YWI=")).is_ok());
    assert!(secret(json!("YW\nI=\n")).is_ok());
    assert!(secret(json!(null)).is_ok());
    for value in ["a!", "YWI", "plain text"] {
        assert_eq!(secret(json!(value)).unwrap_err(), DocumentError::NotBase64, "{value}");
    }
}
