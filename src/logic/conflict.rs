//! Fields of one object that somebody else holds as well: whose way prevails. Pure.

use std::fmt;

use super::fields::Fields;
use super::json::{self, Json};

/// A field as the API server writes it, such as `.spec.replicas`. The keys of a list are values of the object, so it is
/// never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldPath(String);

impl FieldPath {
    fn as_str(&self) -> &str {
        &self.0
    }
}

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

/// Which fields are ours to take back.
#[derive(Clone, Copy, Debug)]
pub enum Claim<'a> {
    /// None: the object is met for the first time.
    None,
    /// Those that we had before, as far as that is known.
    Earlier(Option<&'a Fields>),
    /// All.
    All,
}

impl Claim<'_> {
    fn covers(&self, path: &FieldPath) -> bool {
        match self {
            Self::None => false,
            Self::Earlier(fields) => fields.is_some_and(|fields| fields.have(path.as_str())),
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

    fn held(path: &str, through_subresource: bool) -> HeldField {
        HeldField { path: path.into(), shown: path.into(), manager: "m".into(), through_subresource }
    }

    #[test]
    fn a_field_is_not_shown_whole() {
        assert!(!format!("{:?}", FieldPath::from("CANARY")).contains("CANARY"));
    }

    #[test]
    fn nothing_is_taken_at_first_contact() {
        for field in [held(".data.k", false), held(".spec.replicas", true)] {
            assert_eq!(resolve(vec![field.clone()], Claim::None), Verdict::Wait(vec![field]));
        }
    }

    #[test]
    fn what_we_had_before_is_taken_back_and_nothing_else() {
        let had = Fields(r#"{"f:data": {"f:a": {}}}"#.into());
        let (a, b) = (held(".data.a", false), held(".data.b", false));
        let back = Verdict::Again { without: Vec::new(), force: true };
        assert_eq!(resolve(vec![a.clone()], Claim::Earlier(Some(&had))), back);
        assert_eq!(resolve(vec![a.clone(), b.clone()], Claim::Earlier(Some(&had))), Verdict::Wait(vec![b.clone()]));
        assert_eq!(resolve(vec![a, b], Claim::All), back);
    }

    #[test]
    fn a_field_that_a_subresource_took_is_yielded() {
        let (scaled, other) = (held(".spec.replicas", true), held(".spec.paused", false));
        let yielded = |force| Verdict::Again { without: vec![scaled.clone()], force };
        assert_eq!(resolve(vec![scaled.clone()], Claim::All), yielded(false));
        assert_eq!(resolve(vec![other.clone(), scaled.clone()], Claim::All), yielded(true));
        assert_eq!(resolve(vec![scaled, other.clone()], Claim::Earlier(None)), Verdict::Wait(vec![other]));
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
