//! The servers that the other tests stand on do what those take for granted.

mod support;

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use support::{TestDatabase, TestNamespace, eventually, kube_client};

const PATIENCE: Duration = Duration::from_secs(30);

async fn config_map(client: &Client, namespace: &TestNamespace, name: &str, owner: Option<&ConfigMap>) -> ConfigMap {
    let owners: Vec<_> = owner
        .iter()
        .map(|owner| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid()}))
        .collect();
    let object = serde_json::from_value(json!({"metadata": {"name": name, "ownerReferences": owners}})).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace.name());
    api.create(&PostParams::default(), &object).await.unwrap()
}

#[tokio::test]
async fn the_database_is_reachable_and_empty() {
    let database = TestDatabase::create("reachable").await;
    let client = database.client().await;
    let sql = "SELECT current_database()::text, count(c.oid) FROM pg_namespace n \
               LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = 'public'";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), database.name());
    assert_eq!(row.get::<_, i64>(1), 0);
}

#[tokio::test]
async fn a_database_goes_with_its_test_in_spite_of_open_connections() {
    let other = TestDatabase::create("stays").await;
    let database = TestDatabase::create("goes").await;
    let name = database.name().to_owned();
    let _open = database.client().await;
    drop(database);
    let found = other.client().await.query("SELECT FROM pg_database WHERE datname = $1", &[&name]).await.unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let database = TestDatabase::create("password").await;
    let mut config = tokio_postgres::Config::new();
    config.host(database.host()).port(database.port()).user(database.user()).password("wrong").dbname(database.name());
    let error = config.connect(tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
}

#[tokio::test]
async fn a_deployment_gets_a_replica_set() {
    let client = kube_client().await;
    let namespace = TestNamespace::create(&client, "deployment").await;
    let deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "example.com/web"}]},
            },
        },
    }))
    .unwrap();
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace.name());
    api.create(&PostParams::default(), &deployment).await.unwrap();
    let replica_sets: Api<ReplicaSet> = Api::namespaced(client, namespace.name());
    eventually("the Deployment has a ReplicaSet", PATIENCE, async || {
        let found = replica_sets.list(&ListParams::default()).await.unwrap();
        (!found.items.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_owner_takes_its_dependents_along() {
    let client = kube_client().await;
    let namespace = TestNamespace::create(&client, "owner").await;
    let owner = config_map(&client, &namespace, "owner", None).await;
    config_map(&client, &namespace, "dependent", Some(&owner)).await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace.name());
    api.delete("owner", &DeleteParams::background()).await.unwrap();
    eventually("the dependent is gone", PATIENCE, async || {
        api.get_opt("dependent").await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_namespace_is_emptied() {
    let client = kube_client().await;
    let namespace = TestNamespace::create(&client, "emptied").await;
    config_map(&client, &namespace, "inside", None).await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace.name());
    drop(namespace);
    eventually("the ConfigMap is gone", PATIENCE, async || {
        api.get_opt("inside").await.unwrap().is_none().then_some(())
    })
    .await;
}
