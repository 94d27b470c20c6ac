//! Reads JSON. serde_json does the reading; numbers that it would round are taken from their text in a second pass,
//! which most texts do not need.

use std::cell::Cell;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::{Json, Map, Number};

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 127;

/// The text is not JSON, or nested more than 127 levels deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not JSON, or nested too deeply")]
pub struct NotJson;

/// Reads a whole text. Of a name that stands twice in an object, the last value counts.
pub fn parse(text: &str) -> Result<Json, NotJson> {
    if has_fraction(text) {
        return exact(serde_json::from_str(text).map_err(|_| NotJson)?, 0);
    }
    let rounded = Cell::new(false);
    let mut reader = Deserializer::from_str(text);
    let value = Value { rounded: &rounded }.deserialize(&mut reader);
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) if !rounded.get() => Ok(value),
        // An error may mean no more than a number that is larger than any machine's.
        _ => exact(serde_json::from_str(text).map_err(|_| NotJson)?, 0),
    }
}

/// Whether a number has a fraction: the first pass would read it, and all else, for nothing.
fn has_fraction(text: &str) -> bool {
    let mut in_string = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => {
                bytes.next();
            }
            b'.' if !in_string => return true,
            _ => {}
        }
    }
    false
}

/// A value, noting whether a number in it may have been rounded.
#[derive(Clone, Copy)]
struct Value<'a> {
    rounded: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(i128::from(value).into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(i128::from(value).into()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        self.rounded.set(true);
        Ok(Json::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut out = Map::new();
        while let Some(name) = entries.next_key()? {
            out.insert(name, entries.next_value_seed(self)?);
        }
        Ok(Json::Object(out))
    }
}

/// The value of a text, level by level, numbers from their own text.
fn exact(raw: &RawValue, depth: usize) -> Result<Json, NotJson> {
    let text = raw.get();
    let mut reader = Deserializer::from_str(text);
    match text.as_bytes().first() {
        Some(b'{' | b'[') if depth == MAX_DEPTH => Err(NotJson),
        Some(b'{') => reader.deserialize_map(Level { depth }).map_err(|_| NotJson),
        Some(b'[') => reader.deserialize_seq(Level { depth }).map_err(|_| NotJson),
        Some(b'-' | b'0'..=b'9') => Number::parse(text).map(Json::Number).ok_or(NotJson),
        _ => Value { rounded: &Cell::new(false) }.deserialize(&mut reader).map_err(|_| NotJson),
    }
}

/// One level of arrays or objects, whose parts are read by [`exact`].
struct Level {
    depth: usize,
}

impl<'de> Visitor<'de> for Level {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element::<&RawValue>()? {
            out.push(exact(item, self.depth + 1).map_err(A::Error::custom)?);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut out = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value::<&RawValue>()?;
            out.insert(name, exact(value, self.depth + 1).map_err(A::Error::custom)?);
        }
        Ok(Json::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_json_is_refused_beside_any_number() {
        for text in [
            "",
            "{",
            "[1.50,]",
            "{\"a\":1.50} x",
            "[1.50",
            "[01]",
            "'a'",
            "[1.50,\"\n\"]",
            "[1.50,nul]",
            "[\"\\ud800\",1.50]",
        ] {
            assert_eq!(parse(text), Err(NotJson), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_whichever_way_a_text_is_read() {
        for inner in ["", "1.50", "1e400"] {
            let nested = |depth| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
            assert!(parse(&nested(MAX_DEPTH)).is_ok(), "{inner}");
            assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(NotJson), "{inner}");
            assert_eq!(parse(&nested(100_000)), Err(NotJson), "{inner}");
        }
    }
}
