//! Values between JSON, which rows and objects are, and gotmpl, which templates compute with; and the three kinds of
//! value that gotmpl has no variant for:
//! * text with markers and numbers whose digits no machine number prints are *carried* in a function value, which a
//!   template cannot look into or make itself;
//! * NULL is an empty map that is known by its address: empty wherever a template asks, without fields, and still
//!   told from what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;

use crate::logic::json::{Json, Number};

/// A map as gotmpl has it.
pub(super) type Map = BTreeMap<Arc<str>, Value>;

/// What a function value of ours stands for.
pub(super) enum Carried {
    /// Text with markers.
    Marked(Arc<str>),
    /// A number's digits.
    Exact(Arc<str>),
}

impl Carried {
    /// What a value carries, if it carries something.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let Value::Function(carrier) = value else { return None };
        match carrier(&[]).ok()? {
            Value::String(text) => Some(Self::Marked(text)),
            Value::List(digits) => match &*digits {
                [Value::String(digits)] => Some(Self::Exact(digits.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value that carries it.
    pub(super) fn value(self) -> Value {
        let carried = match self {
            Self::Marked(text) => Value::String(text),
            Self::Exact(digits) => Value::List([Value::String(digits)].into()),
        };
        Value::Function(Arc::new(move |_| Ok(carried.clone())))
    }
}

/// Text with markers as a value.
pub(super) fn marked(text: impl Into<Arc<str>>) -> Value {
    Carried::Marked(text.into()).value()
}

/// The nearest float to a number's digits.
pub(super) fn nearest(digits: &str) -> f64 {
    digits.parse().unwrap_or(f64::NAN)
}

/// What is NULL, once for each rendering.
#[derive(Default)]
pub(super) struct Null(Arc<Map>);

impl Null {
    /// NULL as a value.
    pub(super) fn value(&self) -> Value {
        Value::Map(self.0.clone())
    }

    /// Whether a value is NULL.
    pub(super) fn is(&self, value: &Value) -> bool {
        matches!(value, Value::Map(map) if Arc::ptr_eq(map, &self.0))
    }

    /// JSON as a template sees it.
    pub(super) fn value_of(&self, json: &Json) -> Value {
        match json {
            Json::Null => self.value(),
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => from_number(number),
            Json::String(text) => Value::String(text.as_str().into()),
            Json::Array(items) => Value::List(items.iter().map(|item| self.value_of(item)).collect()),
            Json::Object(map) => {
                let entry = |(name, value): (&String, &Json)| (name.as_str().into(), self.value_of(value));
                Value::Map(Arc::new(map.iter().map(entry).collect()))
            }
        }
    }
}

fn from_number(number: &Number) -> Value {
    if let Some(integer) = number.as_integer().and_then(|integer| i64::try_from(integer).ok()) {
        return Value::Int(integer);
    }
    let float = number.as_f64();
    // Go writes `5` for 5.0, and others with an exponent that JSON's digits do not have.
    let looks_the_same = number.as_text().is_none() && float.fract() != 0.0 && (1e-4..1e6).contains(&float.abs());
    if looks_the_same { Value::Float(float) } else { Carried::Exact(number.to_string().into()).value() }
}

/// A float that was computed, as JSON: whole ones are integers, as Go writes them.
pub(super) fn float_to_json(float: f64) -> Option<Json> {
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        return Some(Json::Number(Number::from(float as i128)));
    }
    Number::from_f64(float).map(Json::Number)
}

/// What a value is, in the words of people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "an undefined value",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => "a number",
        Value::String(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Function(_) => match Carried::of(value) {
            Some(Carried::Exact(_)) => "a number",
            _ => "text",
        },
    }
}

/// A whole number, however it is written.
pub(super) fn integer(value: &Value) -> Option<i64> {
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    match value {
        Value::Int(integer) => Some(*integer),
        Value::Uint(integer) => i64::try_from(*integer).ok(),
        Value::Float(float) => whole(*float),
        Value::Function(_) => match Carried::of(value)? {
            Carried::Exact(digits) => digits.parse().ok().or_else(|| whole(nearest(&digits))),
            Carried::Marked(_) => None,
        },
        _ => None,
    }
}
