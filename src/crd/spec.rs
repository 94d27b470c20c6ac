//! The spec: what a user asks for. The field docs are the user reference (`kubectl explain dbqr.spec`). Pure.

// Printer columns share types, which clippy takes for repeated attributes.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChangeDetection, ConnectionSecretRef, Database, Duration, Status, defaults};

/// Objects of the cluster, kept in step with the rows of a PostgreSQL query.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "konnektr.io",
    version = "v1alpha1",
    kind = "DatabaseQueryResource",
    plural = "databasequeryresources",
    shortname = "dbqr",
    namespaced,
    status = "Status",
    doc = "Keeps objects of the cluster in step with the rows of a PostgreSQL query.",
    derive = "PartialEq",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows"),
    printcolumn(name = "Objects", type_ = "integer", json_path = ".status.managedResources"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failedRows"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastReconcile"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceTemplate) != has(self.template)").message("set exactly one of resourceTemplate and template (two names of the same field)"),
    validation = Rule::new("!(has(self.statusUpdateQuery) && has(self.statusUpdateQueryTemplate))").message("set only one of statusUpdateQuery and statusUpdateQueryTemplate (two names of the same field)")
)]
pub struct DatabaseQueryResourceSpec {
    /// How often to look without being told, such as `30s` or `5m`. At least `1s`.
    #[serde(default = "defaults::poll_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("pollInterval must be at least 1s"))]
    pub poll_interval: Duration,

    /// Stops everything but deletion while true. What exists stays.
    #[serde(default)]
    pub suspend: bool,

    /// The database and how to reach it.
    pub database: Database,

    /// One or more SQL statements; the last one returns the rows. Those before it run first, in order,
    /// each its own transaction, on the same connection, also before a look for changes. Transaction control is
    /// refused.
    #[schemars(length(min = 1, max = 131072))]
    pub query: String,

    /// Fills in rendered documents that omit `apiVersion` and `kind`; must agree with those that have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gvk: Option<Gvk>,

    /// Template of one or more YAML documents per row. Jinja: `{{ row.column }}`; Go: `{{ .Row.column }}`. Values
    /// of the row are bound, never spliced: they cannot become YAML. An empty render means: no object for this row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub resource_template: Option<String>,

    /// The same as `resourceTemplate`; set one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub template: Option<String>,

    /// Language of all templates of this resource. `Auto` finds out: `{{ .field }}`, `{{ $variable }}`, Go's keywords and
    /// what only Go parses are Go, all else is Jinja. Templates that look like both are refused.
    #[serde(default)]
    pub template_language: TemplateLanguage,

    /// SQL run when a managed object changes. Values are bound as parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub status_update_query: Option<String>,

    /// The same as `statusUpdateQuery`; set at most one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub status_update_query_template: Option<String>,

    /// More SQL run when objects go or rows fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_back: Option<WriteBack>,

    /// How changes in the database are noticed. Unset: the query runs every `pollInterval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_detection: Option<ChangeDetection>,

    /// Whether objects whose row went away are deleted.
    #[serde(default = "defaults::yes")]
    pub prune: bool,

    /// Holds back suspiciously many deletions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_guard: Option<PruneGuard>,

    /// What becomes of the objects when this resource is deleted. Objects that existed before it are never deleted, only
    /// released: they keep what others set and lose what we did.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// What to do where somebody else has an object or field that a row asks for.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,

    /// JSON pointers of fields that are set when an object is created and left to others afterwards,
    /// such as `/spec/replicas` under a HorizontalPodAutoscaler. They cannot lead into a list.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schemars(length(max = 64), inner(length(max = 512), regex(pattern = r"^(/[^/]*)+$")))]
    pub ignore_fields: Vec<String>,

    /// Read, apply and delete as this ServiceAccount of the resource's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,
}

/// Group, version and kind.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Gvk {
    /// API group; empty for the core group.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub group: String,
    /// API version, such as `v1`.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// Kind, such as `ConfigMap`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

/// SQL run when objects go or rows fail.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBack {
    /// SQL run when a managed object is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub deleted: Option<String>,
    /// SQL run when a row could not be rendered or applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub failed: Option<String>,
    /// Connection for writing; the main one where unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_secret_ref: Option<ConnectionSecretRef>,
    /// How many rows a statement must change: a least number, or `any`. Default: at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 : self == 'any'").message("expectRows must be a number or any"))]
    pub expect_rows: Option<IntOrString>,
    /// Keep a deleted object until its deletion was written back (bounded in time).
    #[serde(default)]
    pub confirm_deletes: bool,
}

/// Language of templates.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateLanguage {
    /// Found out from the templates.
    #[default]
    Auto,
    /// Jinja (minijinja).
    Jinja,
    /// Go text/template with Sprig.
    Go,
}

/// Holds back suspiciously many deletions. Counted in objects.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PruneGuard {
    /// Most deletions at a time: a share of the objects (`20%`), or a number.
    #[serde(default = "defaults::max_deletions")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')").message("pruneGuard.maxDeletions must be a number or a percentage from 0% to 100%"))]
    pub max_deletions: IntOrString,
    /// Fewer deletions than this never trip a percentage.
    #[serde(default = "defaults::minimum")]
    #[schemars(range(min = 0))]
    pub minimum: i32,
    /// Whether a deletion may leave nothing at all.
    #[serde(default)]
    pub allow_empty: bool,
    /// Deletions within this time are counted together.
    #[serde(default = "defaults::window")]
    pub window: Duration,
}

impl Default for PruneGuard {
    fn default() -> Self {
        Self {
            max_deletions: defaults::max_deletions(),
            minimum: defaults::minimum(),
            allow_empty: false,
            window: defaults::window(),
        }
    }
}

/// What becomes of the objects when the resource is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They are deleted.
    #[default]
    Delete,
    /// They stay, and a resource of the same name finds them again.
    Orphan,
}

/// What to do where somebody else has an object or field.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Share objects that exist already, leave others' fields alone and report the conflict.
    #[default]
    Protect,
    /// Share objects that exist already, and take the fields.
    Force,
    /// Refuse objects that exist already.
    Fail,
}
