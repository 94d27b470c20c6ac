//! Fields that are set when an object is created and left to others afterwards, as `ignoreFields` names them. Pure.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::json::{Json, Map};

/// A JSON pointer (RFC 6901) to a field of an object, but not into a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    first: String,
    rest: Vec<String>,
}

/// A pointer leads into a list, where places move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntoList(pub String);

/// What an entry of managedFields has of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nothing.
    None,
    /// The field, or parts of it.
    Field,
    /// Something around the field that is only ever set as a whole.
    Whole,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pointer {
    /// Reads `spec.ignoreFields`; the error names the one that is wrong.
    pub fn all(texts: &[String]) -> Result<Arc<[Self]>, String> {
        let wrong = |(index, text): (usize, &String)| {
            Self::parse(text).map_err(|why| format!("ignoreFields[{index}]: {text} {why}"))
        };
        texts.iter().enumerate().map(wrong).collect()
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let steps = text.strip_prefix('/').ok_or("must be a JSON pointer such as /spec/replicas")?;
        let steps: Vec<String> = steps.split('/').map(step).collect::<Result<_, _>>()?;
        match steps.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["apiVersion" | "kind", ..] => return Err("is part of what the object is"),
            ["metadata", "labels" | "annotations", key] if !key.starts_with("konnektr.io/") => {}
            ["metadata", ..] => {
                return Err("cannot be left to others: of metadata only single labels and annotations can");
            }
            _ => {}
        }
        let mut steps = steps.into_iter();
        let first = steps.next().unwrap_or_default();
        Ok(Self { text: text.to_owned(), first, rest: steps.collect() })
    }

    fn steps(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.rest).map(String::as_str)
    }

    /// Takes the field's value out of an object; None where it has none.
    pub fn take(&self, object: &mut Map) -> Result<Option<Json>, IntoList> {
        let Some((last, way)) = self.rest.split_last() else { return Ok(object.shift_remove(&self.first)) };
        let mut at = object.get_mut(&self.first);
        for step in way {
            at = match at {
                Some(Json::Object(map)) => map.get_mut(step),
                Some(Json::Array(_)) => return Err(IntoList(self.text.clone())),
                _ => return Ok(None),
            };
        }
        match at {
            Some(Json::Object(map)) => Ok(map.shift_remove(last)),
            Some(Json::Array(_)) => Err(IntoList(self.text.clone())),
            _ => Ok(None),
        }
    }

    /// Puts a value at the field's place, and whatever has to be around it.
    pub fn put(&self, object: &mut Map, value: Json) {
        let (mut map, mut step) = (object, &self.first);
        for next in &self.rest {
            let inner = map.entry(step.clone()).or_insert(Json::Null);
            if !matches!(inner, Json::Object(_)) {
                *inner = Json::Object(Map::default());
            }
            let Json::Object(inner) = inner else { return };
            (map, step) = (inner, next);
        }
        map.insert(step.clone(), value);
    }

    /// What an entry has of the field.
    pub fn share(&self, entry: &ManagedFieldsEntry) -> Share {
        let Some(mut fields) = entry.fields_v1.as_ref().map(|fields| &fields.0) else { return Share::None };
        for step in self.steps() {
            fields = match fields.get(format!("f:{step}")) {
                Some(inner) => inner,
                None if fields.as_object().is_some_and(serde_json::Map::is_empty) => return Share::Whole,
                None => return Share::None,
            };
        }
        if *fields == Value::Null { Share::None } else { Share::Field }
    }
}

/// `~1` is a slash, `~0` a tilde.
fn step(text: &str) -> Result<String, &'static str> {
    let mut parts = text.split('~');
    let mut step = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => step.extend(["~", rest]),
            (_, Some(rest)) => step.extend(["/", rest]),
            _ => return Err("has a ~ that is followed by neither 0 nor 1"),
        }
    }
    if step.is_empty() { Err("has an empty part") } else { Ok(step) }
}

/// Takes these fields out of an object and returns it as it was, if it had any.
pub fn split(object: &mut Map, ignored: &[Pointer]) -> Result<Option<Map>, IntoList> {
    if ignored.is_empty() {
        return Ok(None);
    }
    let (whole, mut had) = (object.clone(), false);
    for pointer in ignored {
        had |= pointer.take(object)?.is_some_and(|value| !value.is_null());
    }
    Ok(had.then_some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::json;
    use serde_json::json;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn object(text: &str) -> Map {
        let Json::Object(map) = json::parse(text).unwrap() else { panic!("no object") };
        map
    }

    fn text(map: &Map) -> String {
        Json::Object(map.clone()).to_string()
    }

    #[test]
    fn pointers_that_cannot_be_heeded_are_refused_by_number() {
        for (text, why) in [
            ("", "must be a JSON pointer"),
            ("spec/replicas", "must be a JSON pointer"),
            ("/", "empty part"),
            ("/spec//x", "empty part"),
            ("/spec/a~2", "followed by neither"),
            ("/kind", "part of what the object is"),
            ("/metadata", "cannot be left to others"),
            ("/metadata/name", "cannot be left to others"),
            ("/metadata/annotations", "cannot be left to others"),
            ("/metadata/annotations/konnektr.io~1owner-uid", "cannot be left to others"),
        ] {
            let error = Pointer::all(&["/data/x".into(), text.into()]).unwrap_err();
            assert!(error.starts_with("ignoreFields[1]: ") && error.contains(why), "{error}");
        }
        assert_eq!(pointer("/metadata/labels/a.b~1c~01").steps().last(), Some("a.b/c~1"));
    }

    #[test]
    fn fields_are_taken_out_and_put_back() {
        let mut map = object(r#"{"spec":{"replicas":3,"x":1.10},"data":{"a/b":"v"},"n":null}"#);
        let ignored = ["/spec/replicas", "/data/a~1b", "/spec/nothing", "/spec/x/y", "/n"].map(pointer);
        let whole = split(&mut map, &ignored).unwrap().unwrap();
        assert_eq!(text(&map), r#"{"spec":{"x":1.10},"data":{}}"#);
        let mut initial = object(r#"{"kind":"K"}"#);
        for pointer in &ignored[..2] {
            pointer.put(&mut initial, pointer.take(&mut whole.clone()).unwrap().unwrap());
        }
        assert_eq!(text(&initial), r#"{"kind":"K","spec":{"replicas":3},"data":{"a/b":"v"}}"#);
        assert_eq!(split(&mut map, &ignored).unwrap(), None);
    }

    #[test]
    fn a_place_in_a_list_is_refused_and_a_number_as_a_key_is_not() {
        let mut map = object(r#"{"spec":{"list":[{"image":"x"}],"map":{"0":"y"}}}"#);
        assert_eq!(pointer("/spec/map/0").take(&mut map), Ok(Some("y".into())));
        for text in ["/spec/list/0", "/spec/list/0/image", "/spec/list/-"] {
            assert_eq!(pointer(text).take(&mut map), Err(IntoList(text.into())));
        }
        assert!(pointer("/spec/list").take(&mut map).unwrap().is_some(), "a whole list is a field like others");
    }

    #[test]
    fn an_entry_tells_what_it_has_of_a_field() {
        let fields = json!({"f:spec": {"f:replicas": {}, "f:strategy": {"f:type": {}}, "f:selector": {}}});
        let entry: ManagedFieldsEntry = serde_json::from_value(json!({"fieldsV1": fields})).unwrap();
        for (text, share) in [
            ("/spec/replicas", Share::Field),
            ("/spec/strategy", Share::Field),
            ("/spec/strategy/rollingUpdate", Share::None),
            ("/data/x", Share::None),
            ("/spec/selector/matchLabels", Share::Whole),
        ] {
            assert_eq!(pointer(text).share(&entry), share, "{text}");
        }
    }
}
