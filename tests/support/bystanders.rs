//! Objects that must come through a test as they were: foreign ones of the same kinds, and another resource's.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::world::World;

const THEIRS: &str = "theirs";

pub struct Bystanders(Vec<(String, Option<String>, Option<String>)>);

impl Bystanders {
    /// A ConfigMap and a Secret of somebody else, and the resource `other` with an object of its own.
    pub async fn new(world: &World) -> Self {
        for kind in ["ConfigMap", "Secret"] {
            let object = json!({
                "apiVersion": "v1", "kind": kind, "metadata": {"name": THEIRS, "labels": {"app": "x"}}, "data": {"v": "eA=="},
            });
            match kind {
                "Secret" => apply(&secrets(world), &object).await,
                _ => apply(&world.config_maps(), &object).await,
            }
        }
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n---\napiVersion: v1\nkind: Secret\n\
                        metadata:\n  name: other\n";
        world.create("other", json!({"query": "SELECT 1 AS x", "resourceTemplate": template})).await;
        world.ready("other").await;
        Self(seen(world).await)
    }

    /// Nobody wrote to any of them.
    pub async fn are_untouched(&self, world: &World) {
        assert_eq!(seen(world).await, self.0);
    }
}

pub fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), world.namespace.name())
}

async fn apply<K>(api: &Api<K>, object: &Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.patch(THEIRS, &PatchParams::apply("somebody"), &Patch::Apply(object)).await.unwrap();
}

async fn seen(world: &World) -> Vec<(String, Option<String>, Option<String>)> {
    fn marks<K: Resource>(object: &K) -> (String, Option<String>, Option<String>) {
        let meta = object.meta();
        (meta.name.clone().unwrap_or_default(), meta.uid.clone(), meta.resource_version.clone())
    }
    let mut seen = Vec::new();
    for name in [THEIRS, "other"] {
        seen.push(marks::<ConfigMap>(&world.config_maps().get(name).await.unwrap()));
        seen.push(marks::<Secret>(&secrets(world).get(name).await.unwrap()));
    }
    seen
}
