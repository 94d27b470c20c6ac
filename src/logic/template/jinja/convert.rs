//! Values between JSON, which rows and objects are, and minijinja, which templates compute with.

use std::sync::{Arc, OnceLock};

use minijinja::value::{Enumerator, Object, ObjectExt, ValueKind};
use minijinja::{Error, State, Value};

use super::exact::Exact;
use super::failure::Reason;
use super::meter::Meter;
use crate::logic::json::{Json, Map, Number};

/// Deeper values are refused; parsed JSON is never that deep.
const MAX_DEPTH: usize = 200;

/// JSON as a template sees it.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => from_number(number),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, value)| (key.as_str(), from_json(value)))),
    }
}

/// A row as a template sees it.
pub(super) fn from_row(row: &Arc<Json>) -> Value {
    match &**row {
        Json::Object(map) => Value::from_object(Row { row: row.clone(), values: vec![OnceLock::new(); map.len()] }),
        other => from_json(other),
    }
}

/// A row whose values are converted when they are asked for, as most templates use few of them. In all else it is the
/// map that [`from_json`] makes.
#[derive(Debug)]
struct Row {
    row: Arc<Json>,
    /// One for each column.
    values: Vec<OnceLock<Value>>,
}

impl Row {
    fn value(&self, name: &str) -> Option<Value> {
        let Json::Object(map) = &*self.row else { return None };
        let (at, _, json) = map.get_full(name)?;
        Some(self.values.get(at)?.get_or_init(|| from_json(json)).clone())
    }
}

impl Object for Row {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.value(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        self.value(name)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_rev_key_value_enumerator(|this| {
            let mut names: Vec<&str> = match &*this.row {
                Json::Object(map) => map.keys().map(String::as_str).collect(),
                _ => Vec::new(),
            };
            names.sort_unstable();
            Box::new(names.into_iter().map(|name| (Value::from(name), this.value(name).unwrap_or_default())))
        })
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.values.len())
    }
}

fn from_number(number: &Number) -> Value {
    match number.as_integer() {
        Some(integer) => Value::from(integer),
        None => Exact::or_float(number.clone()),
    }
}

/// A template's value as JSON. Undefined never gets here.
pub(super) fn to_json(state: &State, value: &Value) -> Result<Json, Error> {
    nested(value, 0, &Meter::new(state))
}

fn nested(value: &Value, depth: usize, meter: &Meter) -> Result<Json, Error> {
    if depth > MAX_DEPTH {
        return Err(Reason("a value is nested too deeply").into());
    }
    meter.visit(0)?;
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(value.is_true())),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            meter.visit(text.len())?;
            Ok(Json::String(text.to_owned()))
        }
        ValueKind::Number => Ok(Json::Number(number(value)?)),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| NOT_DATA)?;
            items.map(|item| nested(&item, depth + 1, meter)).collect::<Result<_, _>>().map(Json::Array)
        }
        ValueKind::Map => {
            let mut map = Map::default();
            for key in value.try_iter().map_err(|_| NOT_DATA)? {
                let inner = value.get_item(&key).map_err(|_| NOT_DATA)?;
                map.insert(key_text(&key, meter)?, nested(&inner, depth + 1, meter)?);
            }
            Ok(Json::Object(map))
        }
        _ => match Exact::of(value) {
            Some(number) => Ok(Json::Number(number.clone())),
            None => Err(NOT_DATA.into()),
        },
    }
}

const NOT_DATA: Reason = Reason("this is not a value that can be written");

fn key_text(key: &Value, meter: &Meter) -> Result<String, Error> {
    match nested(key, MAX_DEPTH, meter)? {
        Json::String(text) => Ok(text),
        key @ (Json::Bool(_) | Json::Number(_)) => Ok(key.to_string()),
        _ => Err(Reason("a key of a map must be text, a number or a boolean").into()),
    }
}

fn number(value: &Value) -> Result<Number, Reason> {
    if value.is_integer() {
        let integer = i128::try_from(value.clone()).map_err(|_| Reason("an integer is too large"))?;
        return Ok(integer.into());
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64).ok_or(Reason("NaN and infinity cannot be written"))
}

/// The names a template starts with.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) row: Value,
    pub(super) dbqr: Value,
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        key.as_str().and_then(|name| self.get_value_by_str(name))
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        match name {
            "row" => Some(self.row.clone()),
            "dbqr" => Some(self.dbqr.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["row", "dbqr"])
    }
}
