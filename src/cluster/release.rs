//! Letting go of an object without harming it: one that was adopted, and one of ours that is to stay when its owner goes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::Cluster;
use super::failure::{Failure, Finding};
use super::overtaken::{TRIES, unless_overtaken};
use super::request::{APPLY, Call, MERGE, METADATA, Metadata, asked, object_path};
use crate::logic::object::{
    ADOPTED, FIELD_MANAGER, INITIAL_MANAGER, Kind, OUR_ANNOTATIONS, OUR_LABELS, ObjectId, Owner, Ownership, is_initial,
    is_orphaned, is_predecessor, is_us, ownership, refers, written_by_others,
};

impl Cluster {
    /// Releases an object of ours that existed before us.
    pub(super) async fn let_go(&self, kind: &Kind, id: &ObjectId, uid: &str, owner: &Owner) -> Result<(), Failure> {
        unless_overtaken(TRIES, || async {
            let Some(meta) = self.metadata(kind, id).await?.filter(|meta| meta.uid.as_deref() == Some(uid)) else {
                return Ok(());
            };
            if ownership(&meta, owner) != Ownership::Ours {
                return Ok(());
            }
            // What the Go operator put on for this very resource goes as well, above all its reference, by which the object
            // would be deleted. We put none on what existed before us.
            let is_predecessors = refers(&meta, owner) && meta.managed_fields.iter().flatten().any(is_predecessor);
            let meta = if is_predecessors { self.mark(kind, id, owner, &meta).await? } else { meta };
            // Without our fields, what we created ourselves would be an empty shell; so would what we took as a whole.
            if is_orphaned(&meta) || !written_by_others(&meta) {
                self.merge(kind, id, without_us(&meta, owner)).await
            } else {
                let both = meta.managed_fields.iter().flatten().any(is_initial);
                let managers = if both { &[INITIAL_MANAGER, FIELD_MANAGER][..] } else { &[FIELD_MANAGER][..] };
                self.give_up(kind, id, uid, owner, managers).await
            }
        })
        .await
    }

    /// Gives up all our fields and marks of the object with this uid. Done if it is gone.
    async fn give_up(
        &self,
        kind: &Kind,
        id: &ObjectId,
        uid: &str,
        owner: &Owner,
        managers: &[&str],
    ) -> Result<(), Failure> {
        // Applying nothing gives up every field of ours; what others hold as well stays as it is.
        let mut metadata = json!({"name": id.name, "uid": uid});
        if let Some(namespace) = &id.namespace {
            metadata["namespace"] = json!(**namespace);
        }
        let nothing = json!({"metadata": metadata, "apiVersion": kind.api_version(), "kind": kind.group_kind.kind});
        for manager in managers {
            let path = format!("{}?fieldManager={manager}&force=true", object_path(kind, id));
            let asked = asked("patch", kind, id.namespace.as_deref());
            match self.call(Call { accept: METADATA, ..Call::patch(path, APPLY, nothing.to_string(), asked) }).await {
                Ok(_) => {}
                Err(failure) if is_gone(&failure) => return Ok(()),
                // Without what we alone hold it would not be valid: leave the values and take off the marks.
                Err(failure)
                    if failure.code() == Some(422)
                        || matches!(failure.finding(), Finding::Webhook | Finding::Policy) =>
                {
                    return self.strip(kind, id, uid, owner).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn strip(&self, kind: &Kind, id: &ObjectId, uid: &str, owner: &Owner) -> Result<(), Failure> {
        match self.metadata(kind, id).await? {
            Some(meta) if meta.uid.as_deref() == Some(uid) => self.merge(kind, id, without_us(&meta, owner)).await,
            _ => Ok(()),
        }
    }

    /// Leaves an object of ours to itself: it keeps our marks, gets the one that says it must never be deleted by
    /// us, and loses the reference that would make the garbage collector delete it.
    pub async fn orphan(&self, kind: &Kind, id: &ObjectId, owner: &Owner) -> Result<(), Failure> {
        self.part(kind, id, owner, json!({ ADOPTED: "true" })).await
    }

    /// Takes from an object of ours the reference that would make the garbage collector delete it.
    pub async fn unrefer(&self, kind: &Kind, id: &ObjectId, owner: &Owner) -> Result<(), Failure> {
        self.part(kind, id, owner, json!({})).await
    }

    async fn part(&self, kind: &Kind, id: &ObjectId, owner: &Owner, annotations: Value) -> Result<(), Failure> {
        unless_overtaken(TRIES, || async {
            let Some(meta) = self.metadata(kind, id).await? else { return Ok(()) };
            if !matches!(ownership(&meta, owner), Ownership::Ours | Ownership::Disowned) {
                return Ok(());
            }
            let parted = json!({"metadata": {
                "resourceVersion": meta.resource_version,
                "annotations": annotations,
                "ownerReferences": other_owners(&meta, owner),
            }});
            self.merge(kind, id, parted).await
        })
        .await
    }

    /// A merge patch of metadata. The resourceVersion in it makes it a precondition.
    async fn merge(&self, kind: &Kind, id: &ObjectId, patch: Value) -> Result<(), Failure> {
        match self.merged(kind, id, patch).await {
            Err(failure) if is_gone(&failure) => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// The same, and what the metadata is then.
    pub(super) async fn merged(&self, kind: &Kind, id: &ObjectId, patch: Value) -> Result<ObjectMeta, Failure> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}", object_path(kind, id));
        let asked = asked("patch", kind, id.namespace.as_deref());
        let call = Call { accept: METADATA, ..Call::patch(path, MERGE, patch.to_string(), asked) };
        Ok(self.call(call).await?.read::<Metadata>()?.metadata)
    }
}

fn is_gone(failure: &Failure) -> bool {
    failure.is_not_found() || failure.finding() == Finding::OtherUid
}

fn other_owners(meta: &ObjectMeta, owner: &Owner) -> Value {
    json!(meta.owner_references.iter().flatten().filter(|reference| reference.uid != owner.uid).collect::<Vec<_>>())
}

/// The merge patch that takes our marks, our reference and our entries off, and leaves the rest.
fn without_us(meta: &ObjectMeta, owner: &Owner) -> Value {
    let nulls =
        |keys: &[&str]| Value::Object(keys.iter().map(|key| ((*key).to_owned(), Value::Null)).collect::<Map<_, _>>());
    let mut entries: Vec<Value> =
        meta.managed_fields.iter().flatten().filter(|entry| !is_us(entry)).map(|entry| json!(entry)).collect();
    if entries.is_empty() {
        // An empty list means "as before", a list of an empty entry means "none".
        entries.push(json!({}));
    }
    json!({"metadata": {
        "resourceVersion": meta.resource_version,
        "labels": nulls(&OUR_LABELS),
        "annotations": nulls(&OUR_ANNOTATIONS),
        "ownerReferences": other_owners(meta, owner),
        "managedFields": entries,
    }})
}
