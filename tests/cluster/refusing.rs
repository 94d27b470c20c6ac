//! Servers that refuse: for want of rights, or for want of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dbqo::cluster::{ApplyError, Cluster, Deleted, FetchError, Limits, Scope, Terms};
use dbqo::logic::object::{GroupKind, Kind, Known, ObjectId, Version};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{World, owner};

#[tokio::test]
async fn a_missing_right_is_named() {
    let world = World::new("rights").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({}));
    let mut config = kube::Config::infer().await.unwrap();
    config.auth_info.impersonate = Some("nobody-in-particular".into());
    let weak = Cluster::new(config, Limits::default()).unwrap();
    let namespace = world.namespace.name();
    let error = weak.create(&world.owner, &desired).await.unwrap_err();
    assert_eq!(error.to_string(), format!("not allowed to patch configmaps in namespace {namespace}"));
    let error = weak.list_labelled(&maps, &world.owner, &Scope::All, &world.owner.selector()).await.unwrap_err();
    assert_eq!(error.to_string(), "not allowed to list configmaps");
    let error = weak.delete_owned(&maps, &desired.id, "u", None, &world.owner).await.unwrap_err();
    assert_eq!(error.to_string(), format!("not allowed to get configmaps in namespace {namespace}"));
    let error = weak.secret(namespace, "s").await.unwrap_err();
    assert_eq!(error, FetchError::Forbidden(format!("{namespace}/s")));
    let error = weak.patch_status(namespace, "x", &json!({})).await.unwrap_err();
    let resource = "databasequeryresources/status.konnektr.io";
    assert_eq!(error.to_string(), format!("not allowed to patch {resource} in namespace {namespace}"));
}

#[tokio::test]
async fn a_value_that_the_server_cannot_decode_is_told_by_what_it_should_be() {
    let world = World::new("malformed").await;
    for (kind, more, told) in [
        ("LimitRange", json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "CANARY"}}]}}), "a quantity"),
        ("Secret", json!({"data": {"k": "CANARY?"}}), "not base64"),
        ("ConfigMap", json!({"binaryData": {"k": "CANARY?"}}), "not base64"),
    ] {
        let kind = world.kind("v1", kind).await;
        let error = world.cluster.create(&world.owner, &world.desired(&kind, "a", more)).await.unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.starts_with("500 error (the server could not decode the object: ") && shown.contains(told),
            "{shown}"
        );
        assert!(!error.is_retryable() && !format!("{error:?}").contains("CANARY"), "{error:?}");
    }
}

/// A server that gives these answers, one for each request, the last one for ever.
async fn answering(answers: &'static [&'static str]) -> (Cluster, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 16384];
            let _ = connection.read(&mut request).await;
            let answer = answers[seen.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    (Cluster::new(config, Limits::default()).unwrap(), count)
}

const BUSY: &str = "HTTP/1.1 429 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const AWAY: &str = "HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const MADE: &str =
    "HTTP/1.1 201 Made\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"metadata\":{\"uid\":\"abcd\"}}";

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let world = World::new("busyserver").await;
    let desired = world.desired(&world.kind("v1", "ConfigMap").await, "a", json!({}));
    let (cluster, count) = answering(&[BUSY, MADE]).await;
    let begin = Instant::now();
    let created = cluster.create(&world.owner, &desired).await;
    // It was made, and what answers here knows nothing of our marks.
    assert!(matches!(created, Err(ApplyError::Unmarked(_))), "{created:?}");
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_may_have_happened_is_not_simply_repeated() {
    let world = World::new("ambiguous").await;
    let desired = world.desired(&world.kind("v1", "ConfigMap").await, "a", json!({}));
    let (cluster, count) = answering(&[AWAY]).await;
    let error = cluster.create(&world.owner, &desired).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let known = Known { uid: "uid".into(), ..Known::default() };
    assert!(cluster.update(&world.owner, &desired, &known, &Terms::default()).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

const NONE: &str =
    "HTTP/1.1 404 None\r\nContent-Length: 34\r\nConnection: close\r\n\r\n{\"details\":{\"kind\":\"configmaps\"}}\n";

/// Else it would be taken to be gone without our doing.
#[tokio::test]
async fn a_deletion_that_may_have_happened_is_not_simply_repeated() {
    let kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
    let id = ObjectId { kind: kind.into(), namespace: Some("n".into()), name: "a".into() };
    let kind =
        Kind { group_kind: id.kind.clone(), version: "v1".into(), plural: "configmaps".into(), namespaced: true };
    let version = Version::of(&serde_json::from_value(json!({"resourceVersion": "7"})).unwrap());
    let owner = owner("n", "shop", "11111111-0000-0000-0000-000000000001");
    let (cluster, count) = answering(&[AWAY, NONE]).await;
    let error = cluster.delete_owned(&kind, &id, "uid", Some(version), &owner).await.unwrap_err();
    assert!(error.may_be_done(), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let gone = cluster.delete_owned(&kind, &id, "uid", Some(version), &owner).await;
    assert_eq!(gone, Ok(Deleted::AlreadyGone));
}
