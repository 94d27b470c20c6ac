//! JSON with numbers as they were written. A `numeric` has digits that no machine number holds, and what a row says
//! is what an object gets; so a number keeps its text where a machine number would print another one. Pure.

mod pretty;
mod read;
mod write;

use std::fmt::{self, Write};

use foldhash::fast::RandomState;
use indexmap::IndexMap;

pub use read::{NotJson, parse};
pub use write::{append, append_key, append_string};

/// Names and values in the order they were written. Rendering a row fills dozens of them, with few names each, so the
/// hash is one that is fast on short texts; its seed is random, as names come from rows.
pub type Map = IndexMap<String, Json, RandomState>;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Map),
}

/// A number: by value where a machine number prints the same text, else with its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Number(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Integer(i128),
    Float(f64),
    Text(Box<str>),
}

impl Number {
    /// Reads a number as JSON writes it; None if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        if !is_number(text) {
            return None;
        }
        // No machine integer is -0.
        if let Some(integer) = text.parse().ok().filter(|integer| *integer != 0 || text == "0") {
            return Some(Self(Repr::Integer(integer)));
        }
        let float = text.parse().ok().and_then(Self::from_f64);
        Some(float.filter(|float| float.to_string() == text).unwrap_or_else(|| Self(Repr::Text(text.into()))))
    }

    /// A finite float; JSON has no others.
    pub fn from_f64(float: f64) -> Option<Self> {
        float.is_finite().then_some(Self(Repr::Float(float)))
    }

    /// The number as an integer, where it is written as one and is not longer than 38 digits.
    pub fn as_integer(&self) -> Option<i128> {
        match self.0 {
            Repr::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The nearest float, to compute with. Infinite where the number is larger than any.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Integer(integer) => *integer as f64,
            Repr::Float(float) => *float,
            Repr::Text(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// The digits, where no machine number has them.
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Repr::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<i128> for Number {
    fn from(integer: i128) -> Self {
        Self(Repr::Integer(integer))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Number {
    fn write(&self, out: &mut impl Write) -> fmt::Result {
        match &self.0 {
            Repr::Integer(integer) => match i64::try_from(*integer) {
                // Long integers take longer to write.
                Ok(integer) => write!(out, "{integer}"),
                Err(_) => write!(out, "{integer}"),
            },
            // As JSON writes it, with an exponent where that is shorter.
            Repr::Float(float) => match serde_json::Number::from_f64(*float) {
                Some(number) => write!(out, "{number}"),
                None => out.write_str("null"),
            },
            Repr::Text(text) => out.write_str(text),
        }
    }
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?`
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

impl Json {
    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Its text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<serde_json::Value> for Json {
    /// What is made by us or read from the API server has only numbers that machines have.
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Number::parse(&number.to_string()).map_or(Self::Null, Self::Number),
            Value::String(text) => Self::String(text),
            Value::Array(items) => Self::Array(items.into_iter().map(Into::into).collect()),
            Value::Object(map) => Self::Object(map.into_iter().map(|(name, value)| (name, value.into())).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_the_digits_they_were_written_with() {
        for text in [
            "0",
            "-0",
            "12.50",
            "1.10",
            "0.1234567890123456789012345678901234567890",
            "123456789012345678901234567890123456789012345678901234567890",
            "18446744073709551615",
            "-9223372036854775808",
            "1e400",
            "1E+5",
            "0.00",
            "-1.5e-7",
            "25.0",
        ] {
            assert_eq!(Number::parse(text).unwrap().to_string(), text);
            assert_eq!(parse(&format!("[{text}]")).unwrap().to_string(), format!("[{text}]"));
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "+1", "0x1", "NaN", "1 ", "--1", "1e+-2", "Infinity"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_can_be_computed_with() {
        let number = |text: &str| Number::parse(text).unwrap();
        assert_eq!(number("12.50").as_f64(), 12.5);
        assert_eq!(number("5").as_integer(), Some(5));
        assert_eq!(number("5.0").as_integer(), None);
        assert_eq!(number("12.50").as_text(), Some("12.50"));
        assert_eq!(number("12.5").as_text(), None);
        assert_eq!(Number::from_f64(f64::INFINITY), None);
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for value in [
            json!({"b": [1, 2.5, "x\"y\\z\n\u{1}", null, true], "a": {"": {}}}),
            json!("\u{2028} é 𝄞 \u{7f}"),
            json!([[], {}, ""]),
        ] {
            assert_eq!(Json::from(value.clone()).to_string(), value.to_string());
            assert_eq!(parse(&value.to_string()).unwrap(), Json::from(value));
        }
    }
}
