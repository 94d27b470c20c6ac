//! Admission that says no, in one namespace.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use super::before_leaving;
use super::world::World;

/// Refuses some ConfigMaps until it is lifted.
pub struct Refusal {
    client: Client,
    name: String,
}

impl Refusal {
    /// What is not so of a ConfigMap is refused, in words that tell its value.
    pub async fn unless(world: &World, expression: &str) -> Self {
        let name = world.namespace.name().to_owned();
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
        let policy = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
                "validations": [{"expression": expression, "messageExpression": "'no ' + object.data.v"}]}
        }))
        .unwrap();
        policies.create(&PostParams::default(), &policy).await.unwrap();
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.client.clone());
        let binding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}
        }))
        .unwrap();
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        Self { client: world.client.clone(), name }
    }

    /// A webhook that must be asked about every ConfigMap, and whose endpoint is dead.
    pub async fn dead_webhook(world: &World) -> Self {
        let name = world.namespace.name().to_owned();
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(world.client.clone());
        let webhook = serde_json::from_value(json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": "dead.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "failurePolicy": "Fail", "timeoutSeconds": 1, "clientConfig": {"url": "https://127.0.0.1:1/"},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                    "operations": ["CREATE", "UPDATE", "DELETE"]}],
            }],
        }))
        .unwrap();
        webhooks.create(&PostParams::default(), &webhook).await.unwrap();
        Self { client: world.client.clone(), name }
    }

    /// Waits until a new ConfigMap of this name is refused: the API server takes a moment to heed it.
    pub async fn heeded(&self, world: &World, name: &str) {
        let probe = serde_json::from_value(json!({"metadata": {"name": name}, "data": {"v": "x"}})).unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        super::eventually("the refusal is heeded", super::world::PATIENCE, async || {
            world.config_maps().create(&dry, &probe).await.is_err().then_some(())
        })
        .await;
    }

    pub async fn lift(self) {
        lift(&self.client, &self.name).await;
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        let name = self.name.clone();
        before_leaving(async move {
            if let Ok(client) = Client::try_default().await {
                lift(&client, &name).await;
            }
        });
    }
}

/// Takes off whatever of this name decides on what is written.
pub(super) async fn lift(client: &Client, name: &str) {
    let now = DeleteParams::default();
    let _ = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone()).delete(name, &now).await;
    let _ = Api::<ValidatingAdmissionPolicy>::all(client.clone()).delete(name, &now).await;
    let _ = Api::<ValidatingWebhookConfiguration>::all(client.clone()).delete(name, &now).await;
    let _ = Api::<MutatingWebhookConfiguration>::all(client.clone()).delete(name, &now).await;
}
