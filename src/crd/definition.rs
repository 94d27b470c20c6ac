//! The CustomResourceDefinition as YAML: what `dbqo crd` prints and `crds/` holds. Pure.

use kube::CustomResourceExt;

use super::DatabaseQueryResource;

/// The CustomResourceDefinition, ready for `kubectl apply -f -`.
pub fn definition_yaml() -> Result<String, String> {
    let definition = DatabaseQueryResource::crd();
    serde_saphyr::to_string(&definition).map_err(|error| error.to_string())
}
