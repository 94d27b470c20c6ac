//! Events about a DatabaseQueryResource. kube's recorder repeats the first note for all of one reason, so each
//! note here is an Event of its own, and the same note again counts up.

use bytes::Bytes;
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::Cluster;
use super::failure::Failure;
use super::request::{Call, MERGE, asked, object_path};
use crate::logic::object::{AppliedHash, FIELD_MANAGER, GroupKind, Kind, ObjectId};
use crate::logic::outcome::Notice;

/// The API takes no longer notes, in bytes.
const LONGEST_NOTE: usize = 1024;

#[derive(Deserialize)]
struct Repeated {
    metadata: ObjectMeta,
    series: Option<Series>,
}

#[derive(Deserialize)]
struct Series {
    count: i32,
}

impl Cluster {
    /// Publishes an Event about this DatabaseQueryResource. A failure is logged and nothing else.
    pub async fn publish(&self, about: &ObjectMeta, notice: &Notice) {
        if let Err(failure) = self.publish_or_fail(about, notice).await {
            let name = about.name.as_deref().unwrap_or_default();
            tracing::warn!(dbqr = name, reason = notice.reason, "event not published: {failure}");
        }
    }

    async fn publish_or_fail(&self, about: &ObjectMeta, notice: &Notice) -> Result<(), Failure> {
        let namespace = about.namespace.as_deref().unwrap_or_default();
        let (owner, uid) = (about.name.as_deref().unwrap_or_default(), about.uid.as_deref().unwrap_or_default());
        let note = cut(&notice.note, LONGEST_NOTE);
        let hash = AppliedHash::of([uid, &notice.reason, note].join("\n").as_bytes()).0;
        let id =
            ObjectId { kind: events().group_kind, namespace: Some(namespace.into()), name: event_name(owner, &hash) };
        // The API wants microseconds.
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": id.name, "namespace": namespace},
            "eventTime": now, "reportingController": FIELD_MANAGER, "reportingInstance": FIELD_MANAGER,
            "type": if notice.warning { "Warning" } else { "Normal" },
            "reason": notice.reason, "action": "Reconcile", "note": note,
            "regarding": {
                "apiVersion": "konnektr.io/v1alpha1", "kind": "DatabaseQueryResource",
                "namespace": namespace, "name": owner, "uid": uid,
            },
        });
        let path = super::request::list_path(&events(), Some(namespace));
        let create = Call {
            method: Method::POST,
            body: Bytes::from(event.to_string()),
            repeatable: false,
            ..Call::get(path, asked("create", &events(), Some(namespace)))
        };
        match self.call_as_operator(create).await {
            Err(failure) if failure.code() == Some(409) => self.count_up(&id, &now).await,
            result => result.map(|_| ()),
        }
    }

    /// The same was said before.
    async fn count_up(&self, id: &ObjectId, now: &str) -> Result<(), Failure> {
        let path = object_path(&events(), id);
        let namespace = id.namespace.as_deref();
        let before: Repeated =
            self.call_as_operator(Call::get(path.clone(), asked("get", &events(), namespace))).await?.read()?;
        let patch = json!({
            "metadata": {"resourceVersion": before.metadata.resource_version},
            "series": {"count": before.series.map_or(1, |series| series.count).saturating_add(1), "lastObservedTime": now},
        });
        self.call_as_operator(Call::patch(path, MERGE, patch.to_string(), asked("patch", &events(), namespace)))
            .await
            .map(|_| ())
    }
}

/// A name has at most 253 characters, and each of its parts between dots ends with a letter or digit.
fn event_name(about: &str, hash: &str) -> String {
    format!("{}.{hash}", cut(about, 200).trim_end_matches(['.', '-']))
}

fn events() -> Kind {
    let group_kind = GroupKind { group: "events.k8s.io".into(), kind: "Event".into() };
    Kind { group_kind: group_kind.into(), version: "v1".into(), plural: "events".into(), namespaced: true }
}

/// At most so many bytes, and whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_name_wherever_that_of_its_resource_is_cut() {
        let long = |middle: &str| format!("{}{middle}{}", "a".repeat(199), "b".repeat(50));
        assert_eq!(event_name("q", "0f"), "q.0f");
        assert_eq!(event_name(&long("bb"), "0f"), format!("{}b.0f", "a".repeat(199)));
        for middle in [".b", "-b", "--", "-"] {
            assert_eq!(event_name(&long(middle), "0f"), format!("{}.0f", "a".repeat(199)));
        }
    }
}
