//! Fields of one object that somebody else holds as well: whose way prevails. Pure.

use std::collections::HashSet;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use super::json::{self, Json};
use super::object::is_our_apply;

/// A field as the API server writes it, such as `.spec.replicas`. The keys of a list are values of the object, so it is
/// never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldPath(String);

impl From<&str> for FieldPath {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldPath(…)")
    }
}

/// A field that another manager holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldField {
    /// Which.
    pub path: FieldPath,
    /// The same, as it may be shown.
    pub shown: String,
    /// Who.
    pub manager: String,
    /// Whether it was taken through a subresource, as a HorizontalPodAutoscaler does through `scale`.
    pub through_subresource: bool,
}

/// The fields that our entry of an object had.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OwnFields(HashSet<FieldPath>);

impl fmt::Debug for OwnFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnFields({})", self.0.len())
    }
}

impl OwnFields {
    /// Those that our entry has now.
    pub fn of(meta: &ObjectMeta) -> Self {
        let mut fields = HashSet::new();
        let ours = meta.managed_fields.iter().flatten().filter(|entry| is_our_apply(entry));
        for tree in ours.filter_map(|entry| entry.fields_v1.as_ref()?.0.as_object()) {
            collect(tree, &mut String::new(), &mut fields);
        }
        Self(fields)
    }

    /// Whether the field was among them.
    pub fn has(&self, path: &FieldPath) -> bool {
        self.0.contains(path)
    }
}

fn collect(tree: &Map<String, Value>, path: &mut String, fields: &mut HashSet<FieldPath>) {
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
            _ => {
                fields.insert(FieldPath(path.clone()));
                continue;
            }
        }
        match below.as_object().filter(|below| !below.is_empty()) {
            Some(below) => collect(below, path, fields),
            None => {
                fields.insert(FieldPath(path.clone()));
            }
        }
        path.truncate(length);
    }
}

/// Which fields are ours to take back.
#[derive(Clone, Copy, Debug)]
pub enum Claim<'a> {
    /// None: the object is met for the first time.
    None,
    /// Those that we had before.
    Earlier(&'a OwnFields),
    /// All.
    All,
}

impl Claim<'_> {
    fn covers(&self, path: &FieldPath) -> bool {
        match self {
            Self::None => false,
            Self::Earlier(fields) => fields.has(path),
            Self::All => true,
        }
    }
}

/// What to do about fields that others hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Apply again.
    Again {
        /// Without these fields, as they are yielded.
        without: Vec<HeldField>,
        /// Whether to take the others by force.
        force: bool,
    },
    /// Leave the object as it is, for the sake of these fields.
    Wait(Vec<HeldField>),
}

/// Judges an apply that was refused for the sake of these fields. One that a subresource has taken is yielded, since
/// taking it back would never end; of the others all have to be ours to take.
pub fn resolve(held: Vec<HeldField>, claim: Claim<'_>) -> Verdict {
    let met_before = !matches!(claim, Claim::None);
    let (without, contested): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|field| met_before && field.through_subresource);
    let force = !contested.is_empty();
    let others: Vec<_> = contested.into_iter().filter(|field| !claim.covers(&field.path)).collect();
    if others.is_empty() { Verdict::Again { without, force } } else { Verdict::Wait(others) }
}

/// A body without a field. None where it does not have the field, or has it in a list.
pub fn without(body: &[u8], field: &FieldPath) -> Option<Vec<u8>> {
    let mut body = json::parse(std::str::from_utf8(body).ok()?).ok()?;
    let mut left = String::new();
    remove(&mut body, &field.0).then(|| json::append(&mut left, &body))?;
    Some(left.into_bytes())
}

fn remove(json: &mut Json, path: &str) -> bool {
    let (Some(path), Json::Object(map)) = (path.strip_prefix('.'), json) else { return false };
    if map.shift_remove(path).is_some() {
        return true;
    }
    // Names may contain dots.
    map.iter_mut().any(|(name, value)| {
        path.strip_prefix(name.as_str()).is_some_and(|below| below.starts_with('.') && remove(value, below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn held(path: &str, through_subresource: bool) -> HeldField {
        HeldField { path: path.into(), shown: path.into(), manager: "m".into(), through_subresource }
    }

    fn fields(tree: Value) -> OwnFields {
        let entry = json!({"manager": "db-query-operator", "operation": "Apply", "fieldsV1": tree});
        OwnFields::of(&serde_json::from_value(json!({"managedFields": [entry]})).unwrap())
    }

    #[test]
    fn our_fields_are_named_as_a_conflict_names_them() {
        let fields = fields(json!({
            "f:data": {"f:a.b": {}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}, "f:args": {"v:\"x\"": {}}},
        }));
        for path in [
            ".data.a.b",
            ".spec.ports[port=80,protocol=\"TCP\"]",
            ".spec.ports[port=80,protocol=\"TCP\"].name",
            ".spec.args[=\"x\"]",
        ] {
            assert!(fields.has(&path.into()), "{path}");
        }
        assert!(!fields.has(&".data".into()) && !fields.has(&".spec.replicas".into()));
        assert!(!format!("{fields:?} {:?}", FieldPath::from("CANARY")).contains("CANARY"));
    }

    #[test]
    fn nothing_is_taken_at_first_contact() {
        for field in [held(".data.k", false), held(".spec.replicas", true)] {
            assert_eq!(resolve(vec![field.clone()], Claim::None), Verdict::Wait(vec![field]));
        }
    }

    #[test]
    fn what_we_had_before_is_taken_back_and_nothing_else() {
        let had = fields(json!({"f:data": {"f:a": {}}}));
        let (a, b) = (held(".data.a", false), held(".data.b", false));
        let back = Verdict::Again { without: Vec::new(), force: true };
        assert_eq!(resolve(vec![a.clone()], Claim::Earlier(&had)), back);
        assert_eq!(resolve(vec![a.clone(), b.clone()], Claim::Earlier(&had)), Verdict::Wait(vec![b.clone()]));
        assert_eq!(resolve(vec![a, b], Claim::All), back);
    }

    #[test]
    fn a_field_that_a_subresource_took_is_yielded() {
        let (scaled, other) = (held(".spec.replicas", true), held(".spec.paused", false));
        let yielded = |force| Verdict::Again { without: vec![scaled.clone()], force };
        assert_eq!(resolve(vec![scaled.clone()], Claim::All), yielded(false));
        assert_eq!(resolve(vec![other.clone(), scaled.clone()], Claim::All), yielded(true));
        let nothing = OwnFields::default();
        assert_eq!(resolve(vec![scaled, other.clone()], Claim::Earlier(&nothing)), Verdict::Wait(vec![other]));
    }

    #[test]
    fn a_field_can_be_left_out_of_a_body_unless_it_is_in_a_list() {
        let body = br#"{"spec":{"replicas":3,"a.b":{"c":1},"list":[{"name":"x"}]},"n":1.10}"#;
        let left = |path: &str| without(body, &path.into()).map(|body| String::from_utf8(body).unwrap());
        assert_eq!(left(".spec.replicas").unwrap(), r#"{"spec":{"a.b":{"c":1},"list":[{"name":"x"}]},"n":1.10}"#);
        assert_eq!(left(".spec.a.b.c").unwrap(), r#"{"spec":{"replicas":3,"a.b":{},"list":[{"name":"x"}]},"n":1.10}"#);
        let nel = without("{\"a\":1,\"b\":\"\u{85}\"}".as_bytes(), &".a".into()).unwrap();
        assert!(!String::from_utf8(nel).unwrap().contains('\u{85}'), "the server reads it as YAML");
        for path in [".spec.nothing", ".spec.list[name=\"x\"].name", "", "spec", ".spec.replicas.x"] {
            assert_eq!(left(path), None, "{path}");
        }
    }
}
