//! A DatabaseQueryResource as it is stored, which may be one that does not decode: read leniently, so that
//! one bad object is that object's error and never everybody's. Pure.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{DatabaseQueryResourceSpec, DeletionPolicy, Status};

/// One stored DatabaseQueryResource.
#[derive(Clone, Debug)]
pub struct Dbqr {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec, or why it does not decode (naming the field).
    pub spec: Result<Box<DatabaseQueryResourceSpec>, String>,
    /// Its deletion policy, which counts even where the spec as a whole does not decode.
    pub deletion_policy: DeletionPolicy,
    /// The ServiceAccount in whose name objects are written, which counts there as well.
    pub service_account_name: Option<String>,
    /// Its status, as far as it decodes.
    pub status: Status,
    /// The objects that the Go operator listed where the status has a count by now: `group/version/kind/namespace/name`.
    pub listed: Arc<[String]>,
}

impl Dbqr {
    /// Reads a stored object.
    pub fn read(object: &DynamicObject) -> Self {
        Self {
            metadata: object.metadata.clone(),
            spec: serde_json::from_value(object.data["spec"].clone())
                .map(Box::new)
                .map_err(|error| format!("spec does not decode: {}", without_values(&error.to_string()))),
            deletion_policy: serde_json::from_value(object.data["spec"]["deletionPolicy"].clone()).unwrap_or_default(),
            service_account_name: object.data["spec"]["serviceAccountName"].as_str().map(Into::into),
            status: Status::read(&object.data["status"]),
            listed: listed(&object.data["status"]["managedResources"]),
        }
    }

    /// Name and namespace.
    pub fn name(&self) -> (&str, &str) {
        (self.metadata.name.as_deref().unwrap_or_default(), self.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// Whether it is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether it is told to do nothing.
    pub fn is_suspended(&self) -> bool {
        self.spec.as_ref().is_ok_and(|spec| spec.suspend)
    }

    /// Whether it waits for this finalizer.
    pub fn has_finalizer(&self, finalizer: &str) -> bool {
        self.metadata.finalizers.iter().flatten().any(|f| f == finalizer)
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// The texts of a list; nothing of anything else.
fn listed(field: &Value) -> Arc<[String]> {
    field.as_array().into_iter().flatten().filter_map(|entry| entry.as_str().map(Into::into)).collect()
}

/// A decoding error quotes the text that it found, which may be meant for a Secret: what stands before it and what
/// was expected is enough to act on.
fn without_values(message: &str) -> String {
    let Some((before, found)) = message.split_once('"') else { return message.to_owned() };
    let expected = found.rfind(", expected").map_or("", |at| &found[at..]);
    format!("{}{expected}", before.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::ApiResource;

    #[test]
    fn the_list_of_the_go_operator_is_read_and_a_count_is_none() {
        let kind = ApiResource::erase::<crate::crd::DatabaseQueryResource>(&());
        let mut object = DynamicObject::new("a", &kind);
        for (stored, listed) in [
            (serde_json::json!(["/v1/ConfigMap/a/b", 5, "x"]), vec!["/v1/ConfigMap/a/b", "x"]),
            (serde_json::json!(2), vec![]),
            (Value::Null, vec![]),
        ] {
            object.data = serde_json::json!({"status": {"managedResources": stored}});
            assert_eq!(*Dbqr::read(&object).listed, *listed);
        }
    }

    #[test]
    fn an_object_that_does_not_decode_is_read_with_the_reason_in_place_of_its_spec() {
        let kind = ApiResource::erase::<crate::crd::DatabaseQueryResource>(&());
        let mut object = DynamicObject::new("a", &kind);
        object.data = serde_json::json!({"spec": {"pollInterval": 5}});
        let error = Dbqr::read(&object).spec.unwrap_err();
        assert!(error.contains("expected"), "{error}");
        object.data =
            serde_json::json!({"spec": {"database": {"connectionSecretRef": "postgres://CANARY\", expected CANARY"}}});
        let error = Dbqr::read(&object).spec.unwrap_err();
        assert!(error.contains("ConnectionSecretRef") && !error.contains("CANARY"), "{error}");
    }
}
