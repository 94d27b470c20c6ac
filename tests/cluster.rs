//! How the operator treats objects, on a real API server. Needs the control plane of `tests/local/with-servers`.

mod support;

#[path = "cluster/accounts.rs"]
mod accounts;
#[path = "cluster/adopting.rs"]
mod adopting;
#[path = "cluster/applying.rs"]
mod applying;
#[path = "cluster/deleting.rs"]
mod deleting;
#[path = "cluster/foreign.rs"]
mod foreign;
#[path = "cluster/ignoring.rs"]
mod ignoring;
#[path = "cluster/leasing.rs"]
mod leasing;
#[path = "cluster/looking.rs"]
mod looking;
#[path = "cluster/refusing.rs"]
mod refusing;
#[path = "cluster/reporting.rs"]
mod reporting;
#[path = "cluster/secrecy.rs"]
mod secrecy;

use std::sync::Arc;

use dbqo::cluster::{ApplyError, Change, Cluster, Deleted, Failure, Limits, Terms};
use dbqo::logic::object::{
    APPLIED_HASH, AppliedHash, Desired, Kind, Known, LABEL_NAME, LABEL_NAMESPACE, OWNER_UID, ObjectId, Owner,
};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use support::TestNamespace;

/// A namespace, the cluster as the operator sees it, and a DatabaseQueryResource to act for.
struct World {
    namespace: TestNamespace,
    client: kube::Client,
    cluster: Cluster,
    owner: Arc<Owner>,
}

impl World {
    async fn new(test: &str) -> Self {
        let client = support::kube_client().await;
        let namespace = TestNamespace::create(&client, test).await;
        let cluster = Cluster::new(kube::Config::infer().await.unwrap(), Limits::default()).unwrap();
        let owner = owner(namespace.name(), "shop", "11111111-0000-0000-0000-000000000001");
        Self { namespace, client, cluster, owner }
    }

    async fn kind(&self, api_version: &str, kind: &str) -> Arc<Kind> {
        self.cluster.kind(api_version, kind).await.unwrap()
    }

    fn id(&self, kind: &Kind, name: &str) -> ObjectId {
        let namespace = kind.namespaced.then(|| self.namespace.name().into());
        ObjectId { kind: kind.group_kind.clone(), namespace, name: name.into() }
    }

    /// As the renderer would make it: `object` with our marks.
    fn desired(&self, kind: &Arc<Kind>, name: &str, object: Value) -> Desired {
        self.desired_of(&self.owner, kind, name, object)
    }

    fn desired_of(&self, owner: &Owner, kind: &Arc<Kind>, name: &str, object: Value) -> Desired {
        let (hash, body) = self.body_of(owner, kind, name, object);
        Desired::new(self.id(kind, name), kind.clone(), hash, 1, Some(&body))
    }

    fn body_of(&self, owner: &Owner, kind: &Kind, name: &str, object: Value) -> (AppliedHash, String) {
        let id = self.id(kind, name);
        let hash = AppliedHash::of(object.to_string().as_bytes());
        let mut metadata = json!({
            "name": name,
            "labels": {LABEL_NAME: owner.label(), LABEL_NAMESPACE: owner.namespace},
            "annotations": {OWNER_UID: owner.uid, APPLIED_HASH: hash.0},
        });
        if let Some(namespace) = &id.namespace {
            metadata["namespace"] = json!(**namespace);
            metadata["ownerReferences"] = json!([]);
        }
        let mut body = json!({"metadata": metadata, "apiVersion": kind.api_version(), "kind": kind.group_kind.kind});
        merge(&mut body, object);
        (hash, body.to_string())
    }

    fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        let group_kind = &kind.group_kind;
        let gvk = GroupVersionKind::gvk(&group_kind.group, &kind.version, &group_kind.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &kind.plural);
        if kind.namespaced {
            Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    /// Somebody else applies an object.
    async fn foreign(&self, kind: &Kind, name: &str, object: Value) -> DynamicObject {
        let mut body =
            json!({"metadata": {"name": name}, "apiVersion": kind.api_version(), "kind": kind.group_kind.kind});
        merge(&mut body, object);
        let params = PatchParams::apply("somebody-else");
        self.api(kind).patch(name, &params, &Patch::Apply(&body)).await.unwrap()
    }

    /// Updates an object that we created.
    async fn update(&self, desired: &Desired, uid: &str) -> Result<(Change, Arc<str>), ApplyError> {
        let known = Known { uid: uid.into(), ..Known::default() };
        let applied = self.cluster.update(&self.owner, desired, &known, &Terms::default()).await?;
        Ok((applied.change, applied.known.uid))
    }

    /// Deletes the object that there is now.
    async fn delete(&self, kind: &Kind, name: &str) -> Result<Deleted, Failure> {
        let uid = self.api(kind).get_opt(name).await.unwrap().and_then(|object| object.metadata.uid);
        self.cluster.delete_owned(kind, &self.id(kind, name), &uid.unwrap_or_default(), None, &self.owner).await
    }

    async fn get(&self, kind: &Kind, name: &str) -> DynamicObject {
        self.api(kind).get(name).await.unwrap()
    }
}

fn owner(namespace: &str, name: &str, uid: &str) -> Arc<Owner> {
    Arc::new(Owner { name: name.into(), namespace: namespace.into(), uid: uid.into() })
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

/// Everything of an object but its version: what somebody would notice.
fn visible(object: &DynamicObject) -> Value {
    let mut object = serde_json::to_value(object).unwrap();
    object["metadata"]["resourceVersion"] = Value::Null;
    for entry in object["metadata"]["managedFields"].as_array_mut().unwrap() {
        entry["time"] = Value::Null;
    }
    object
}

fn deployment(image: &str) -> Value {
    json!({"spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": image}]},
        },
    }})
}
