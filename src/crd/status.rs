//! The status: what became of it. Its size does not depend on the number of rows. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Condition types.
pub mod condition {
    /// All rows are applied and nothing is wrong.
    pub const READY: &str = "Ready";
    /// Work is under way, or something failed and is tried again.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing more is tried until the spec, the template or the Secret changes.
    pub const STALLED: &str = "Stalled";
    /// The database answered the last time it was asked, and the query succeeded.
    pub const DATABASE_CONNECTED: &str = "DatabaseConnected";
    /// Changes are noticed as the spec asks; the message says which are not seen.
    pub const CHANGE_DETECTION: &str = "ChangeDetection";
    /// Deletions are held back by the prune guard.
    pub const PRUNE_BLOCKED: &str = "PruneBlocked";
}

/// What became of a DatabaseQueryResource.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `Ready`, `Reconciling`, `Stalled`, `DatabaseConnected`, `ChangeDetection`, `PruneBlocked`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that the status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last read that changed something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconcile: Option<Time>,
    /// How many objects are managed. (A list of names where the Go operator left it, until all of them were taken over.)
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(schema_with = "count_or_list")]
    pub managed_resources: Option<i64>,
    /// Rows of the last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Rows of the last read that could not be rendered or applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_rows: Option<i64>,
    /// The first of them, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<Failure>,
    /// Kinds that objects of this resource may have: where to look for them. `Kind` or `Kind.group`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub kinds: Vec<String>,
    /// The columns by whose values all objects are marked with their row. While some are marked otherwise, or not at
    /// all, it is not there, and a failed row keeps every deletion waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_columns: Option<Vec<String>>,
    /// The language the templates were found to be in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_language: Option<String>,
    /// Deletions held back by the prune guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_prune: Option<BlockedPrune>,
    /// The `konnektr.io/requestedAt` that was last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,
    /// How changes are noticed: `Notify` or `Poll`. Not there while the resource is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// A row that could not be rendered or applied.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The row's key, a JSON array of the values of its key columns; where it has none, its number in the result,
    /// from 1.
    pub row: String,
    /// The object, where it got that far: kind, namespace and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// One word for what went wrong.
    pub reason: String,
    /// What went wrong. Never a value of the row.
    pub message: String,
}

/// Deletions held back by the prune guard.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct BlockedPrune {
    /// How many objects would be deleted.
    pub count: i64,
    /// Name of this set of deletions: the annotation `konnektr.io/approve-prune` with it deletes exactly these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The Go operator stored a list of strings where we store a count; the schema takes both, so that an object
/// that was stored by it can still be read and written.
fn count_or_list(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "description": "How many objects are managed. (A list of names where the Go operator left it, until all of them were taken over.)",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true
    })
}

impl Status {
    /// Reads a stored status field by field: one that does not decode is as if it was not there, since
    /// everything in a status can be found out again.
    pub fn read(value: &serde_json::Value) -> Self {
        let mut kept = serde_json::Map::new();
        for (key, field) in value.as_object().into_iter().flatten() {
            let alone = serde_json::Value::Object([(key.clone(), field.clone())].into_iter().collect());
            if serde_json::from_value::<Status>(alone).is_ok() {
                kept.insert(key.clone(), field.clone());
            }
        }
        serde_json::from_value(kept.into()).unwrap_or_default()
    }

    /// The merge patch that turns `before` into this: only what differs, null for what went. None if nothing differs.
    pub fn patch_from(&self, before: &Self) -> Option<serde_json::Value> {
        let fields = |status: &Self| match serde_json::to_value(status) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (old, new) = (fields(before), fields(self));
        let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), serde_json::Value::Null));
        let changed = new
            .iter()
            .filter(|(key, value)| old.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()));
        let patch: serde_json::Map<_, _> = gone.chain(changed).collect();
        (!patch.is_empty()).then(|| serde_json::json!({ "status": patch }))
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_only_what_differs() {
        let before = Status { rows: Some(1), failed_rows: Some(2), mode: Some("Poll".into()), ..Status::default() };
        let after = Status { rows: Some(3), mode: Some("Poll".into()), ..Status::default() };
        assert_eq!(after.patch_from(&before), Some(serde_json::json!({"status": {"rows": 3, "failedRows": null}})));
        assert_eq!(after.patch_from(&after), None);
    }

    #[test]
    fn a_status_of_the_go_operator_is_read_without_its_list() {
        let status = Status::read(&serde_json::json!({
            "managedResources": ["v1/ConfigMap/a/b"], "observedGeneration": 4, "conditions": "nonsense"
        }));
        assert_eq!(status, Status { observed_generation: Some(4), ..Status::default() });
    }
}
