//! Writes to the DatabaseQueryResource itself: its status, and our finalizer among those of others.

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::Cluster;
use super::failure::Failure;
use super::overtaken::{TRIES, unless_overtaken};
use super::request::{Call, MERGE, METADATA, Metadata, asked, object_path};
use crate::logic::object::{FIELD_MANAGER, FINALIZER, GroupKind, Kind, OUR_FINALIZERS, ObjectId};

pub(super) fn resource() -> Kind {
    let group_kind = GroupKind { group: "konnektr.io".into(), kind: "DatabaseQueryResource".into() };
    Kind {
        group_kind: group_kind.into(),
        version: "v1alpha1".into(),
        plural: "databasequeryresources".into(),
        namespaced: true,
    }
}

fn id(namespace: &str, name: &str) -> ObjectId {
    ObjectId { kind: resource().group_kind, namespace: Some(namespace.into()), name: name.into() }
}

impl Cluster {
    /// Merges into the status: `{"status": {…}}`.
    pub async fn patch_status(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), Failure> {
        let path =
            format!("{}/status?fieldManager={FIELD_MANAGER}-status", object_path(&resource(), &id(namespace, name)));
        let mut asked = asked("patch", &resource(), Some(namespace));
        asked.resource.insert_str("databasequeryresources".len(), "/status");
        let call = Call { accept: METADATA, ..Call::patch(path, MERGE, patch.to_string(), asked) };
        self.call_as_operator(call).await.map(|_| ())
    }

    /// Puts our finalizer on. An object of that name with another uid, or one being deleted, is `not found`.
    pub async fn add_finalizer(&self, metadata: &ObjectMeta) -> Result<(), Failure> {
        let add = |finalizers: &mut Vec<String>, deleting: bool| {
            let missing = !deleting && !finalizers.iter().any(|finalizer| finalizer == FINALIZER);
            if missing {
                finalizers.push(FINALIZER.into());
            }
            missing
        };
        self.change_finalizers(metadata, add).await
    }

    /// Takes the finalizers off that are ours to take off. Done if the object is gone.
    pub async fn remove_finalizers(&self, metadata: &ObjectMeta) -> Result<(), Failure> {
        let remove = |finalizers: &mut Vec<String>, _| {
            let before = finalizers.len();
            finalizers.retain(|finalizer| !OUR_FINALIZERS.contains(&finalizer.as_str()));
            finalizers.len() != before
        };
        match self.change_finalizers(metadata, remove).await {
            Err(failure) if failure.is_no_object() => Ok(()),
            result => result,
        }
    }

    /// Changes the live list, and only as it was read: the version is a precondition, so that what others add or
    /// remove at the same time is never lost.
    async fn change_finalizers(
        &self,
        metadata: &ObjectMeta,
        change: impl Fn(&mut Vec<String>, bool) -> bool,
    ) -> Result<(), Failure> {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let id = id(namespace, metadata.name.as_deref().unwrap_or_default());
        unless_overtaken(TRIES, || async {
            let asked = || asked("patch", &resource(), Some(namespace));
            let live = self.call_as_operator(Call::metadata(&resource(), &id)).await?.read::<Metadata>()?.metadata;
            if live.uid != metadata.uid {
                return Err(not_found(asked()));
            }
            let mut finalizers = live.finalizers.unwrap_or_default();
            if !change(&mut finalizers, live.deletion_timestamp.is_some()) {
                return Ok(());
            }
            let patch = json!({"metadata": {"resourceVersion": live.resource_version, "finalizers": finalizers}});
            let path = format!("{}?fieldManager={FIELD_MANAGER}", object_path(&resource(), &id));
            let call = Call {
                accept: METADATA,
                method: Method::PATCH,
                ..Call::patch(path, MERGE, patch.to_string(), asked())
            };
            self.call_as_operator(call).await.map(|_| ())
        })
        .await
    }
}

fn not_found(asked: super::Asked) -> Failure {
    Failure::Refused(Box::new(super::Refused { code: 404, reason: "NotFound", asked, ..Default::default() }))
}
