use serde_json::{Value, json};

use super::*;
use crate::logic::object::{GroupKind, Hold};

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

fn frame<'a>(owner: &'a Owner, rights: &'a Rights) -> Frame<'a> {
    Frame { owner, rights, gvk: None, deletion_policy: DeletionPolicy::Delete, ignored: &[] }
}

fn make(document: Value) -> Result<Desired, DocumentError> {
    let owner = owner();
    let rights = Rights::default();
    let frame = frame(&owner, &rights);
    desired(document.into(), 1, &frame, &find, |_, _| false)
}

fn config_map(metadata: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
}

#[test]
fn an_object_gets_our_marks_its_namespace_and_a_reference_to_its_owner() {
    let desired = make(config_map(json!({"name": "a", "labels": {"app": "x"}}))).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(Hold::Created, None).unwrap()).unwrap();
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
    let body: Value = serde_json::from_slice(&desired.body(Hold::Created, Some("u-9")).unwrap()).unwrap();
    assert_eq!((&body["metadata"]["uid"], &body["metadata"]["name"]), (&json!("u-9"), &json!("a")));
}

#[test]
fn a_hash_look_alike_in_the_data_is_left_alone() {
    let mut document = config_map(json!({"name": "a"}));
    document["data"] = json!({"konnektr.io/applied-hash": NO_HASH});
    let desired = make(document).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(Hold::Created, None).unwrap()).unwrap();
    assert_eq!(body["data"]["konnektr.io/applied-hash"], NO_HASH);
    assert_eq!(body["metadata"]["annotations"]["konnektr.io/applied-hash"], desired.hash.0.as_str());
}

#[test]
fn what_existed_before_says_so_twice() {
    let desired = make(config_map(json!({"name": "a"}))).unwrap();
    let body: Value = serde_json::from_slice(&desired.body(Hold::Adopted, Some("u-9")).unwrap()).unwrap();
    let annotations = &body["metadata"]["annotations"];
    assert_eq!(annotations["konnektr.io/adopted"], "true");
    assert_eq!(annotations["konnektr.io/applied-hash"], desired.hash.of_adopted());
    assert_eq!((&body["metadata"]["uid"], &body["metadata"]["ownerReferences"]), (&json!("u-9"), &Value::Null));
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
    let body: Value = serde_json::from_slice(&desired.body(Hold::Created, None).unwrap()).unwrap();
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
    let rights = Rights::default();
    let frame = Frame { gvk: Some(&gvk), ..frame(&owner, &rights) };
    let made = desired(json!({"metadata": {"name": "a"}}).into(), 1, &frame, &find, |_, _| false).unwrap();
    assert_eq!(made.id.to_string(), "Deployment.apps team/a");
    let other = json!({"apiVersion": "v1", "metadata": {"name": "a"}});
    assert_eq!(
        desired(other.into(), 1, &frame, &find, |_, _| false).unwrap_err(),
        DocumentError::Disagrees("apiVersion")
    );
}

#[test]
fn what_is_applied_already_needs_no_body() {
    let owner = owner();
    let rights = Rights::default();
    let frame = frame(&owner, &rights);
    assert!(
        desired(config_map(json!({"name": "a"})).into(), 1, &frame, &find, |_, _| true)
            .unwrap()
            .body(Hold::Created, None)
            .is_none()
    );
}

#[test]
fn an_adopted_object_is_marked_so_and_refers_to_nobody() {
    let desired = make(config_map(json!({"name": "a"}))).unwrap();
    let body = |hold| serde_json::from_slice::<Value>(&desired.body(hold, Some("u-9")).unwrap()).unwrap();
    let adopted = body(Hold::Adopted);
    assert_eq!(adopted["metadata"]["annotations"]["konnektr.io/adopted"], "true");
    assert_eq!(adopted["metadata"]["uid"], "u-9");
    let mut created = body(Hold::Created);
    assert!(created["metadata"]["annotations"].get("konnektr.io/adopted").is_none());
    for object in [&adopted, &body(Hold::Independent)] {
        assert!(object["metadata"].get("ownerReferences").is_none());
    }
    created["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    assert_eq!(body(Hold::Independent), created);
}

#[test]
fn a_reference_that_is_no_longer_wanted_changes_the_hash() {
    let owner = owner();
    let hash = |deletion_policy| {
        let rights = Rights::default();
        let frame = Frame { deletion_policy, ..frame(&owner, &rights) };
        desired(config_map(json!({"name": "a"})).into(), 1, &frame, &find, |_, _| false).unwrap().hash
    };
    assert_ne!(hash(DeletionPolicy::Delete), hash(DeletionPolicy::Orphan));
}

#[test]
fn annotations_for_users_are_read_and_nonsense_in_them_is_refused() {
    let wishes = |key: &str, value: &str| {
        make(config_map(json!({"name": "a", "annotations": {key: value}}))).map(|desired| desired.wishes)
    };
    assert!(wishes(object::SSA, "IfNotPresent").unwrap().create_only);
    assert!(wishes(object::RECREATE, "true").unwrap().recreate);
    assert_eq!(wishes(object::RECREATE, "false").unwrap(), Wishes::default());
    assert!(wishes(object::PRUNE, "disabled").unwrap().protected);
    let error = wishes(object::SSA, "CANARY").unwrap_err().to_string();
    assert_eq!(error, "metadata.annotations[konnektr.io/ssa] must be IfNotPresent");
    assert!(wishes(object::RECREATE, "yes").is_err());
    assert!(matches!(wishes(object::ADOPTED, "true"), Err(DocumentError::Reserved(_))));
}

#[test]
fn fields_to_ignore_are_only_in_the_body_that_creates() {
    let owner = owner();
    let ignored = Pointer::all(&["/data/a".into(), "/list/0".into()]).unwrap();
    let rights = Rights::default();
    let make = |document: Value, ignored| {
        let frame = Frame { ignored, ..frame(&owner, &rights) };
        desired(document.into(), 1, &frame, &find, |_, _| false)
    };
    let mut document = config_map(json!({"name": "a"}));
    document["data"] = json!({"a": "initial", "b": "lasting"});
    let read = |body: Option<Vec<u8>>| serde_json::from_slice::<Value>(&body.unwrap()).unwrap();
    let one = make(document.clone(), &ignored).unwrap();
    assert!(one.begins_otherwise());
    let (first, body) = (read(one.first_body()), read(one.body(Hold::Created, None)));
    assert_eq!((&first["data"], &body["data"]), (&document["data"], &json!({"b": "lasting"})));
    let hash = |body: &Value| body["metadata"]["annotations"]["konnektr.io/applied-hash"].clone();
    assert_eq!(hash(&body), json!(one.hash.0));
    assert_ne!(hash(&first), hash(&body), "what was only created is not yet as it should be");
    document["data"]["a"] = json!("another");
    assert_eq!(make(document.clone(), &ignored).unwrap().hash, one.hash);
    document["list"] = json!(["x"]);
    assert_eq!(make(document.clone(), &ignored).unwrap_err(), DocumentError::IntoList("/list/0".into()));
    assert!(!make(document, &[]).unwrap().begins_otherwise());
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
