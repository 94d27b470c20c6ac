//! A kind of one test's own, whose definition comes and goes.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::{conditions, wait};
use serde_json::{Value, json};

use super::world::{PATIENCE, World};
use super::{before_leaving, eventually};

/// The kind `Gadget`, namespaced, in a group named after the test's namespace.
pub struct Gadgets {
    client: Client,
    namespace: String,
    pub group: String,
}

impl Gadgets {
    /// Served in v1 alone.
    pub async fn new(world: &World) -> Self {
        let namespace = world.namespace.name().to_owned();
        let gadgets = Self { client: world.client.clone(), group: format!("{namespace}.example.com"), namespace };
        gadgets.serve(&["v1"]).await;
        gadgets
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.client.clone())
    }

    fn name(&self) -> String {
        format!("gadgets.{}", self.group)
    }

    /// The name that `status.kinds` has.
    pub fn kind(&self) -> String {
        format!("Gadget.{}", self.group)
    }

    /// Serves these versions and no others; v2 is stored.
    pub async fn serve(&self, served: &[&str]) {
        self.define(&["v1", "v2"], served).await;
    }

    /// The same, and there are no other versions than these.
    pub async fn define(&self, versions: &[&str], served: &[&str]) {
        let version = |name: &str| {
            json!({"name": name, "served": served.contains(&name), "storage": name == "v2", "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
        };
        let definition: Value = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name()},
            "spec": {"group": self.group, "scope": "Namespaced", "versions": versions.iter().map(|name| version(name)).collect::<Value>(),
                "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}},
        });
        let params = PatchParams::apply("tests").force();
        self.definitions().patch(&self.name(), &params, &Patch::Apply(&definition)).await.unwrap();
        let name = self.name();
        let established = wait::await_condition(self.definitions(), &name, conditions::is_crd_established());
        tokio::time::timeout(PATIENCE, established).await.unwrap().unwrap();
        eventually("the API server serves gadgets", PATIENCE, async || {
            self.objects(served[served.len() - 1]).list(&Default::default()).await.ok()
        })
        .await;
    }

    /// Takes the definition away, and all gadgets with it.
    pub async fn remove(&self) {
        self.definitions().delete(&self.name(), &DeleteParams::default()).await.unwrap();
        eventually("the definition is gone", PATIENCE, async || {
            self.definitions().get_opt(&self.name()).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// The gadgets of the test's namespace in a version.
    pub fn objects(&self, version: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&self.group, version, "Gadget"), "gadgets");
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind)
    }
}

impl Drop for Gadgets {
    fn drop(&mut self) {
        let name = self.name();
        before_leaving(async move {
            if let Ok(client) = Client::try_default().await {
                let _ = Api::<CustomResourceDefinition>::all(client).delete(&name, &DeleteParams::default()).await;
            }
        });
    }
}
