//! In whose name the API server is asked.

use std::sync::Arc;

use dbqo::cluster::{
    AccountError, ApplyError, Change, Cluster, Deleted, FetchError, Finding, Limits, Onlooker, Scope, Terms,
};
use dbqo::logic::account::Account;
use dbqo::logic::object::Ownership;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::support::rules::{VERBS, allow, allow_subject, create_account, delete_account, token};
use crate::support::{eventually, kubeconfig, world::PATIENCE};
use crate::{World, owner};

/// An account of the world's namespace, and the cluster in its name.
async fn account(world: &World, name: &str) -> (Arc<Account>, Cluster) {
    create_account(&world.client, world.namespace.name(), name).await;
    let account = Arc::new(Account { namespace: world.namespace.name().into(), name: name.into() });
    (account.clone(), world.cluster.as_account(account))
}

#[tokio::test]
async fn an_account_does_what_its_rules_allow_and_else_the_missing_rule_is_named() {
    let world = World::new("account").await;
    let (maps, secrets) = (world.kind("v1", "ConfigMap").await, world.kind("v1", "Secret").await);
    let namespace = world.namespace.name();
    let (_, writer) = account(&world, "writer").await;
    allow(&world.client, (namespace, "writer"), namespace, "configmaps", &VERBS).await;
    let desired = world.desired(&maps, "a", json!({"data": {"k": "v"}}));
    let created =
        eventually("the rule counts", PATIENCE, async || writer.create(&world.owner, &desired).await.ok()).await;
    assert_eq!(created.change, Change::Created);
    let changed = world.desired(&maps, "a", json!({"data": {"k": "w"}}));
    let known = desired.applied(created.known.clone());
    writer.update(&world.owner, &changed, &known, &Terms::default()).await.unwrap();
    let own = Scope::Namespace(namespace.into());
    assert_eq!(writer.list_labelled(&maps, &world.owner, &own, &world.owner.selector()).await.unwrap().len(), 1);
    assert_eq!(writer.look_up(&maps, &[&desired.id], &Onlooker::of(&world.owner)).await.unwrap().len(), 1);

    let who = format!("the ServiceAccount {namespace}/writer is not allowed to");
    let error = writer.create(&world.owner, &world.desired(&secrets, "s", json!({}))).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{who} patch secrets in namespace {namespace}"));
    let error = writer.list_labelled(&maps, &world.owner, &Scope::All, &world.owner.selector()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{who} list configmaps"));
    let error = writer.delete_owned(&secrets, &world.id(&secrets, "s"), "u", None, &world.owner).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{who} get secrets in namespace {namespace}"));
    assert!(error.lacks_rule());
    let deleted = writer.delete_owned(&maps, &desired.id, &created.known.uid, None, &world.owner).await.unwrap();
    assert_eq!(deleted, Deleted::Deleted);
}

#[tokio::test]
async fn a_creation_that_may_patch_but_not_create_names_the_verb_create() {
    let world = World::new("create-verb").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let namespace = world.namespace.name();
    let (_, patcher) = account(&world, "patcher").await;
    allow(&world.client, (namespace, "patcher"), namespace, "configmaps", &["patch"]).await;
    let expected =
        format!("the ServiceAccount {namespace}/patcher is not allowed to create configmaps in namespace {namespace}");
    eventually("the verb is named", PATIENCE, async || {
        let error = patcher.create(&world.owner, &world.desired(&maps, "a", json!({}))).await.unwrap_err();
        assert!(matches!(&error, ApplyError::Failed(failure) if failure.lacks_rule()), "{error}");
        (error.to_string() == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_account_is_in_the_groups_of_accounts() {
    let world = World::new("groups").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let namespace = world.namespace.name();
    let (_, member) = account(&world, "member").await;
    let group = json!({
        "kind": "Group", "apiGroup": "rbac.authorization.k8s.io",
        "name": format!("system:serviceaccounts:{namespace}"),
    });
    allow_subject(&world.client, group, namespace, "configmaps", &VERBS).await;
    let desired = world.desired(&maps, "a", json!({}));
    eventually("the group's rule counts", PATIENCE, async || member.create(&world.owner, &desired).await.ok()).await;
}

#[tokio::test]
async fn what_is_not_an_object_is_asked_for_by_the_operator_whatever_the_account() {
    let world = World::new("bookkeeping").await;
    crate::support::install_crd(&world.client).await;
    let namespace = world.namespace.name();
    let (_, powerless) = account(&world, "powerless").await;
    let secret: Secret = serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})).unwrap();
    let api: Api<Secret> = Api::namespaced(world.client.clone(), namespace);
    api.create(&PostParams::default(), &secret).await.unwrap();
    assert_eq!(powerless.secret(namespace, "s").await.unwrap()["k"].0, b"v");
    assert!(matches!(powerless.secret(namespace, "none").await, Err(FetchError::NotFound(_))));
    let error = powerless.patch_status(namespace, "none", &json!({})).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    powerless.kind("apps/v1", "Deployment").await.unwrap();
    // In the name of the operator again.
    let maps = world.kind("v1", "ConfigMap").await;
    powerless.as_operator().list_labelled(&maps, &world.owner, &Scope::All, &world.owner.selector()).await.unwrap();
}

#[tokio::test]
async fn an_account_takes_over_what_belonged_to_a_resource_that_it_may_not_know_of() {
    let world = World::new("abandoned").await;
    crate::support::install_crd(&world.client).await;
    let maps = world.kind("v1", "ConfigMap").await;
    let namespace = world.namespace.name();
    let (_, writer) = account(&world, "writer").await;
    allow(&world.client, (namespace, "writer"), namespace, "configmaps", &VERBS).await;
    let earlier = owner(namespace, "earlier", "99999999-0000-0000-0000-000000000009");
    let desired = world.desired_of(&earlier, &maps, "a", json!({}));
    world.cluster.create(&earlier, &desired).await.unwrap();
    let found = eventually("the rule counts", PATIENCE, async || {
        writer.look_up(&maps, &[&desired.id], &Onlooker::of(&world.owner)).await.ok()
    })
    .await;
    assert_eq!(found[&desired.id].1, Ownership::Abandoned);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_missed() {
    let world = World::new("missed").await;
    let (writer, in_its_name) = account(&world, "writer").await;
    in_its_name.find_account(&writer).await.unwrap();
    delete_account(&world.client, world.namespace.name(), "writer").await;
    let error = in_its_name.find_account(&writer).await.unwrap_err();
    assert_eq!(error, AccountError::NotFound(writer.clone()));
    assert_eq!(error.to_string(), format!("the ServiceAccount {}/writer does not exist", world.namespace.name()));
}

#[tokio::test]
async fn an_operator_that_may_not_impersonate_says_so() {
    let world = World::new("impersonate").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let namespace = world.namespace.name();
    let (writer, _) = account(&world, "writer").await;
    create_account(&world.client, namespace, "operator").await;
    let token = token(&world.client, namespace, "operator").await;
    let file = Kubeconfig::read_from(kubeconfig("impersonate", None, Some(&token))).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let cluster = Cluster::new(config, Limits::default()).unwrap().as_account(writer);
    let error = cluster.list_labelled(&maps, &world.owner, &Scope::All, &world.owner.selector()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the operator is not allowed to impersonate the ServiceAccount {namespace}/writer")
    );
    assert_eq!((error.finding(), error.lacks_rule()), (Finding::Impersonation, false));
}
