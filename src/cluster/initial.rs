//! Hands fields of ours over: to a second field manager, so that they keep their values when our apply leaves them out,
//! as a field that nobody holds is removed.

use http::StatusCode;

use super::Cluster;
use super::apply::ApplyError;
use super::failure::Failure;
use super::request::{APPLY, Call, METADATA, Metadata, asked, object_path};
use crate::logic::json::{self, Json, Map};
use crate::logic::object::{Desired, INITIAL_MANAGER, is_initial, is_our_apply};
use crate::logic::pointer::{Pointer, Share};

/// An object whose values change while we look is tried again so often.
const TRIES: u32 = 4;

impl Cluster {
    /// Makes the second manager hold, with the values they have now, those of these fields that we hold. Then our apply
    /// may leave them out.
    pub(super) async fn hand_over(&self, desired: &Desired, uid: &str, ignored: &[Pointer]) -> Result<(), ApplyError> {
        let (kind, id) = (&desired.kind, &desired.id);
        let asked = |verb| asked(verb, kind, id.namespace.as_deref());
        let mut tries = 1;
        loop {
            let answer = match self.call(Call::get(object_path(kind, id), asked("get"))).await {
                Err(failure) if failure.is_no_object() => {
                    return Err(ApplyError::Replaced);
                }
                answer => answer.map_err(ApplyError::from)?,
            };
            let meta = answer.read::<Metadata>().map_err(ApplyError::from)?.metadata;
            if meta.uid.as_deref() != Some(uid) {
                return Err(ApplyError::Replaced);
            }
            let entries = || meta.managed_fields.iter().flatten();
            let ours = |pointer: &Pointer| entries().find(|entry| is_our_apply(entry)).map(|ours| pointer.share(ours));
            if let Some(whole) = ignored.iter().find(|pointer| ours(pointer) == Some(Share::Whole)) {
                return Err(ApplyError::Whole(whole.to_string()));
            }
            if !ignored.iter().any(|pointer| ours(pointer) == Some(Share::Field)) {
                return Ok(());
            }
            // What the second manager held before it has to name again, or it would be removed.
            let held = |pointer: &Pointer| {
                entries()
                    .filter(|entry| is_our_apply(entry) || is_initial(entry))
                    .any(|entry| pointer.share(entry) == Share::Field)
            };
            let text = std::str::from_utf8(&answer.body).ok().and_then(|text| json::parse(text).ok());
            let Some(Json::Object(mut live)) = text else { return Err(ApplyError::Failed(Failure::Unreadable)) };
            let mut fields = Map::default();
            for pointer in ignored.iter().filter(|pointer| held(pointer)) {
                if let Some(value) = pointer.take(&mut live).ok().flatten() {
                    pointer.put(&mut fields, value);
                }
            }
            let path = format!("{}?fieldManager={INITIAL_MANAGER}&fieldValidation=Strict", object_path(kind, id));
            let call =
                Call { accept: METADATA, ..Call::patch(path, APPLY, identified(fields, desired, uid), asked("patch")) };
            match self.call(call).await {
                Ok(answer) if answer.status == StatusCode::CREATED => return Err(ApplyError::Replaced),
                // Somebody changed a value meanwhile: it is theirs to change.
                Err(Failure::Refused(refused)) if tries < TRIES && !refused.held_fields().is_empty() => tries += 1,
                result => return result.map(|_| ()).map_err(ApplyError::from),
            }
        }
    }
}

/// The body that applies these fields of an object and nothing else.
fn identified(mut fields: Map, desired: &Desired, uid: &str) -> String {
    let mut metadata = match fields.shift_remove("metadata") {
        Some(Json::Object(metadata)) => metadata,
        _ => Map::default(),
    };
    metadata.insert("name".into(), desired.id.name.as_str().into());
    if let Some(namespace) = &desired.id.namespace {
        metadata.insert("namespace".into(), (&**namespace).into());
    }
    metadata.insert("uid".into(), uid.into());
    fields.insert("metadata".into(), Json::Object(metadata));
    fields.insert("apiVersion".into(), desired.kind.api_version().into());
    fields.insert("kind".into(), desired.kind.group_kind.kind.as_str().into());
    let mut body = String::new();
    json::append(&mut body, &Json::Object(fields));
    body
}
