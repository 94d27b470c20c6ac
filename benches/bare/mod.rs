//! What the barest client applies: objects as the operator's, for which the API server has as much to do, the owner
//! included, which the garbage collector minds.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Where such objects go, and whose they are.
pub struct Bare {
    api: Api<ConfigMap>,
    owner: String,
}

impl Bare {
    /// Creates the owner of all objects to come.
    pub async fn new(api: Api<ConfigMap>) -> kube::Result<Self> {
        let owner: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": "owner"}})).map_err(kube::Error::SerdeError)?;
        let owner = api.create(&PostParams::default(), &owner).await?.metadata.uid.unwrap_or_default();
        Ok(Self { api, owner })
    }

    /// One request.
    pub async fn apply(&self, name: &str, data: &Value) -> kube::Result<()> {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {"example.com/managed-by": "bench", "example.com/managed-by-namespace": "some-namespace"},
                "annotations": {
                    "example.com/owner-uid": "00000000-0000-0000-0000-000000000000",
                    "example.com/applied-hash": "0".repeat(32)
                },
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": self.owner,
                    "controller": true, "blockOwnerDeletion": true
                }]
            },
            "data": data
        });
        let params = PatchParams::apply("bench").validation_strict();
        self.api.patch(name, &params, &Patch::Apply(&object)).await.map(|_| ())
    }
}
