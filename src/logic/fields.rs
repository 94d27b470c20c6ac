//! What we own of an object, as its managedFields say, and whether that is all that we apply. Pure.
//!
//! A field that somebody else edits or removes leaves our entry, and its values stay with whoever wrote them. So an
//! object is as we applied it where our entry still covers what we would apply: it takes no look at values. What a
//! subresource took, as a HorizontalPodAutoscaler does through `scale`, is yielded, and counts as if it were ours.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use super::json::Json;
use super::object::{ADOPTED, is_our_apply};

/// The fields of our entry, as the server writes them. Objects of one template share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fields(pub Arc<str>);

impl Fields {
    /// What we own of an object, or yield. None where we own nothing.
    pub fn of(meta: &ObjectMeta) -> Option<String> {
        let entries = || meta.managed_fields.iter().flatten();
        let ours = entries().find(|entry| is_our_apply(entry))?.fields_v1.as_ref()?;
        let mut yielded = entries()
            .filter(|entry| !matches!(entry.subresource.as_deref(), None | Some("" | "status")))
            .filter_map(|entry| entry.fields_v1.as_ref())
            .peekable();
        if yielded.peek().is_none() {
            return Some(ours.0.to_string());
        }
        let mut all = ours.0.clone();
        yielded.for_each(|fields| add(&mut all, &fields.0));
        Some(all.to_string())
    }

    /// Whether the field at this path, as a conflict writes it (`.spec.ports[port=80].name`), is among them.
    pub fn have(&self, path: &str) -> bool {
        let mut names = |name: &str| name == path;
        serde_json::from_str(&self.0).is_ok_and(|tree| any(&tree, &mut String::new(), &mut names))
    }

    /// Whether we own the mark of an object that existed before us.
    pub fn have_adopted(&self) -> bool {
        self.0.contains(&format!("\"f:{ADOPTED}\""))
    }

    /// Whether all of `body` but what names the object is ours.
    pub fn cover(&self, body: &Json) -> bool {
        let (Ok(Value::Object(fields)), Json::Object(body)) = (serde_json::from_str(&self.0), body) else {
            return false;
        };
        body.iter().all(|(name, value)| match name.as_str() {
            "apiVersion" | "kind" => true,
            "metadata" => is_covered_but(value, field(&fields, "metadata"), &["name", "namespace", "uid"]),
            name => is_covered(value, field(&fields, name)),
        })
    }
}

/// Puts the fields of another entry to those of one.
fn add(all: &mut Value, more: &Value) {
    let (Value::Object(all), Value::Object(more)) = (all, more) else { return };
    // Nothing below: it is owned as a whole.
    if all.is_empty() {
        return;
    }
    for (step, below) in more {
        match all.get_mut(step) {
            Some(all) => add(all, below),
            None => drop(all.insert(step.clone(), below.clone())),
        }
    }
}

/// Whether the path of any field is meant.
fn any(tree: &Map<String, Value>, path: &mut String, is_meant: &mut dyn FnMut(&str) -> bool) -> bool {
    let length = path.len();
    for (step, below) in tree {
        match step.split_once(':') {
            Some(("f", name)) => path.extend([".", name]),
            Some(("i", index)) => path.extend(["[", index, "]"]),
            Some(("v", value)) => path.extend(["[=", value, "]"]),
            Some(("k", key)) => {
                let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let mut parts: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                parts.sort();
                path.extend(["[", &parts.join(","), "]"]);
            }
            // A dot: the thing itself.
            _ => {}
        }
        let found = match below.as_object().filter(|below| !below.is_empty()) {
            Some(below) => any(below, path, is_meant),
            None => is_meant(path),
        };
        if found {
            return true;
        }
        path.truncate(length);
    }
    false
}

/// Who wrote to an object last, besides us; what writes its status does not count.
pub fn last_other(meta: &ObjectMeta) -> Option<&str> {
    let others = meta.managed_fields.iter().flatten().filter(|entry| !is_our_apply(entry));
    let others = others.filter(|entry| entry.subresource.as_deref().is_none_or(|part| part != "status"));
    others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.as_deref()
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    fields.get(&format!("f:{name}"))?.as_object()
}

/// Whether a value is ours. An empty one may not be told of, and null is none.
fn is_covered(value: &Json, fields: Option<&Map<String, Value>>) -> bool {
    match value {
        Json::Null => true,
        Json::Object(map) => map.is_empty() || is_covered_but(value, fields, &[]),
        Json::Array(items) => items.is_empty() || fields.is_some_and(|fields| are_covered(items, fields)),
        _ => fields.is_some(),
    }
}

fn is_covered_but(value: &Json, fields: Option<&Map<String, Value>>, but: &[&str]) -> bool {
    let (Json::Object(map), Some(fields)) = (value, fields) else { return false };
    // Owned as a whole, like a selector.
    fields.is_empty()
        || map.iter().all(|(name, value)| but.contains(&name.as_str()) || is_covered(value, field(fields, name)))
}

/// Whether the items of a list are ours: each has an entry by its key (`k:`) or its value (`v:`), or the list is owned
/// as a whole.
fn are_covered(items: &[Json], fields: &Map<String, Value>) -> bool {
    let entries: Vec<_> = fields.iter().filter(|(name, _)| name.starts_with("k:") || name.starts_with("v:")).collect();
    if entries.is_empty() {
        return true;
    }
    entries.len() >= items.len() && items.iter().all(|item| is_item_covered(item, &entries))
}

fn is_item_covered(item: &Json, entries: &[(&String, &Value)]) -> bool {
    let Json::Object(map) = item else { return true };
    let mut its_own = entries.iter().filter(|(name, _)| {
        let key = name.strip_prefix("k:").and_then(|key| serde_json::from_str::<Map<String, Value>>(key).ok());
        // What the server fills in, such as a port's protocol, is part of the key and not of what we apply.
        key.is_some_and(|key| {
            key.iter().all(|(name, value)| map.get(name).is_none_or(|own| *own == Json::from(value.clone())))
        })
    });
    match (its_own.next(), its_own.next()) {
        (Some((_, fields)), None) => is_covered_but(item, fields.as_object(), &[]),
        // More than one it may be.
        (Some(_), Some(_)) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cover(fields: Value, body: Value) -> bool {
        Fields(fields.to_string().into()).cover(&Json::from(body))
    }

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "namespace": "b", "labels": {"x": "y"}},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"a": "b"}},
                "template": {"spec": {"containers": [
                    {"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 81}], "args": ["x"]},
                    {"name": "d", "image": "i", "emptyDir": {}},
                ]}},
            },
        })
    }

    /// As a server writes it.
    fn fields() -> Value {
        json!({
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:spec": {
                "f:replicas": {}, "f:selector": {},
                "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"c\"}": {
                        ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                        "f:ports": {
                            "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                            "k:{\"containerPort\":81,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                        },
                    },
                    "k:{\"name\":\"d\"}": {".": {}, "f:name": {}, "f:image": {}},
                }}},
            },
        })
    }

    #[test]
    fn all_that_is_applied_is_covered() {
        assert!(cover(fields(), deployment()));
    }

    #[test]
    fn whatever_leaves_our_entry_is_noticed() {
        let paths = [
            "/f:metadata",
            "/f:metadata/f:labels",
            "/f:metadata/f:labels/f:x",
            "/f:spec/f:replicas",
            "/f:spec/f:selector",
            "/f:spec/f:template",
            "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"d\"}",
            "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"c\"}/f:image",
            "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"c\"}/f:args",
            "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"c\"}/f:ports/k:{\"containerPort\":81,\"protocol\":\"TCP\"}",
        ];
        for path in paths {
            let mut fields = fields();
            let (parent, name) = path.rsplit_once('/').unwrap();
            // A node that is empty means something else than one that is not there: leave a stranger in it.
            let parent = fields.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.shift_remove(name).unwrap();
            parent.insert("f:stranger".into(), json!({}));
            assert!(!cover(fields, deployment()), "{path}");
        }
    }

    #[test]
    fn items_of_a_set_are_counted() {
        let body = |items: Value| json!({"metadata": {"name": "a"}, "spec": {"tags": items}});
        let fields = json!({"f:metadata": {}, "f:spec": {"f:tags": {"v:\"a\"": {}, "v:\"b\"": {}}}});
        assert!(cover(fields.clone(), body(json!(["a", "b"]))));
        assert!(!cover(fields, body(json!(["a", "b", "c"]))));
    }

    #[test]
    fn what_is_empty_or_null_may_be_missing_and_names_always_are() {
        let body = json!({"metadata": {"name": "a"}, "data": {}, "spec": {"a": null, "list": [], "b": 1}});
        assert!(cover(json!({"f:metadata": {}, "f:spec": {"f:b": {}}}), body.clone()));
        assert!(!cover(json!({"f:metadata": {}}), body));
    }

    #[test]
    fn our_fields_are_named_as_a_conflict_names_them() {
        let fields = Fields(json!({
            "f:data": {"f:a.b": {}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}, "f:args": {"v:\"x\"": {}}},
        }).to_string().into());
        for path in [
            ".data.a.b",
            ".spec.ports[port=80,protocol=\"TCP\"]",
            ".spec.ports[port=80,protocol=\"TCP\"].name",
            ".spec.args[=\"x\"]",
        ] {
            assert!(fields.have(path), "{path}");
        }
        assert!(!fields.have(".data") && !fields.have(".spec.replicas"));
    }

    #[test]
    fn what_a_subresource_took_is_yielded_and_what_writes_the_status_takes_nothing() {
        let entry = |manager: &str, operation: &str, subresource: &str, fields: Value| json!({"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields});
        let replicas = || json!({"f:spec": {"f:replicas": {}}});
        let ours = entry("db-query-operator", "Apply", "", json!({"f:spec": {"f:paused": {}}}));
        let covers = |other: Value| {
            let meta = serde_json::from_value(json!({"managedFields": [ours, other]})).unwrap();
            let fields = Fields(Fields::of(&meta).unwrap().into());
            fields.cover(&Json::from(json!({"spec": {"paused": true, "replicas": 2}})))
        };
        assert!(covers(entry("hpa", "Update", "scale", replicas())));
        assert!(!covers(entry("hpa", "Update", "status", replicas())));
        assert!(!covers(entry("kubectl", "Update", "", replicas())));
    }
}
