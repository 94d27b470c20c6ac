//! ServiceAccounts and what they may do.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

/// All that an account needs for objects of a kind.
pub const VERBS: [&str; 5] = ["get", "list", "create", "patch", "delete"];

pub async fn create_account(client: &Client, namespace: &str, name: &str) {
    let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::<ServiceAccount>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
}

pub async fn delete_account(client: &Client, namespace: &str, name: &str) {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

/// By which somebody logs in as an account.
pub async fn token(client: &Client, namespace: &str, name: &str) -> String {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let request = api.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    request.status.unwrap().token
}

/// Allows an account to make objects that refer to their DatabaseQueryResource: the control plane of the tests has the
/// admission plugin that asks for it.
pub async fn allow_references(client: &Client, account: (&str, &str)) {
    let resource = "databasequeryresources/finalizers";
    allow_in_group(client, account, account.0, ("konnektr.io", resource), &["update"]).await;
}

/// Allows an account (`namespace`, `name`) these verbs on resources of the core group in the namespace `place`.
pub async fn allow(client: &Client, account: (&str, &str), place: &str, resource: &str, verbs: &[&str]) {
    let (namespace, name) = account;
    let subject = json!({"kind": "ServiceAccount", "namespace": namespace, "name": name});
    allow_subject(client, subject, place, resource, verbs).await;
}

/// The same for resources of another group: group and resource.
pub async fn allow_in_group(
    client: &Client,
    (namespace, name): (&str, &str),
    place: &str,
    resource: (&str, &str),
    verbs: &[&str],
) {
    let subject = json!({"kind": "ServiceAccount", "namespace": namespace, "name": name});
    bind(client, subject, place, resource, verbs).await;
}

/// The same for whoever it is.
pub async fn allow_subject(client: &Client, subject: Value, place: &str, resource: &str, verbs: &[&str]) {
    bind(client, subject, place, ("", resource), verbs).await;
}

async fn bind(client: &Client, subject: Value, place: &str, (group, resource): (&str, &str), verbs: &[&str]) {
    let name = resource.replace('/', ".");
    let role = json!({
        "metadata": {"name": name},
        "rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs}],
    });
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [subject],
    });
    let (role, binding) = (serde_json::from_value(role).unwrap(), serde_json::from_value(binding).unwrap());
    Api::<Role>::namespaced(client.clone(), place).create(&PostParams::default(), &role).await.unwrap();
    Api::<RoleBinding>::namespaced(client.clone(), place).create(&PostParams::default(), &binding).await.unwrap();
}

/// Takes back what [`allow`] allowed.
pub async fn disallow(client: &Client, place: &str, resource: &str) {
    let params = DeleteParams::default();
    Api::<RoleBinding>::namespaced(client.clone(), place).delete(resource, &params).await.unwrap();
    Api::<Role>::namespaced(client.clone(), place).delete(resource, &params).await.unwrap();
}

/// Allows an account all it needs for a cluster-scoped resource of the core group.
pub async fn allow_everywhere(client: &Client, (namespace, name): (&str, &str), resource: &str) {
    let rule = format!("{namespace}-{resource}");
    let role = json!({
        "metadata": {"name": rule},
        "rules": [{"apiGroups": [""], "resources": [resource], "verbs": VERBS}],
    });
    let binding = json!({
        "metadata": {"name": rule},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": rule},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
    });
    let (role, binding) = (serde_json::from_value(role).unwrap(), serde_json::from_value(binding).unwrap());
    Api::<ClusterRole>::all(client.clone()).create(&PostParams::default(), &role).await.unwrap();
    Api::<ClusterRoleBinding>::all(client.clone()).create(&PostParams::default(), &binding).await.unwrap();
}
