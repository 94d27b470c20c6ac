//! Values between JSON, which rows and objects are, and minijinja, which templates compute with.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use minijinja::value::{Enumerator, Object, ObjectExt, ValueKind};
use minijinja::{Error, State, Value};

use super::exact::Exact;
use super::failure::Reason;
use super::meter::Meter;
use crate::logic::json::{Json, Map, Number};
use crate::logic::template::marked::TOO_LARGE;
use crate::logic::yaml::slot::{MAX_BYTES, NODE};

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
    Conversion { meter: Meter::new(state), room: Cell::new(MAX_BYTES) }.nested(value, 0)
}

/// One value on its way.
struct Conversion<'a, 't, 'e> {
    meter: Meter<'a, 't, 'e>,
    /// Bytes that the JSON may still take: parts that a template's values share are written out.
    room: Cell<usize>,
}

impl Conversion<'_, '_, '_> {
    fn take(&self, text: usize) -> Result<(), Error> {
        self.meter.visit(text)?;
        self.room.set(self.room.get().checked_sub(NODE + text).ok_or(Reason(TOO_LARGE))?);
        Ok(())
    }

    fn nested(&self, value: &Value, depth: usize) -> Result<Json, Error> {
        if depth > MAX_DEPTH {
            return Err(Reason("a value is nested too deeply").into());
        }
        self.take(value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => Ok(Json::Null),
            ValueKind::Bool => Ok(Json::Bool(value.is_true())),
            ValueKind::String => Ok(Json::String(value.as_str().unwrap_or_default().to_owned())),
            ValueKind::Number => Ok(Json::Number(number(value)?)),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().map_err(|_| NOT_DATA)?;
                items.map(|item| self.nested(&item, depth + 1)).collect::<Result<_, _>>().map(Json::Array)
            }
            ValueKind::Map => {
                let mut map = Map::default();
                for key in value.try_iter().map_err(|_| NOT_DATA)? {
                    let inner = value.get_item(&key).map_err(|_| NOT_DATA)?;
                    map.insert(self.key(&key)?, self.nested(&inner, depth + 1)?);
                }
                Ok(Json::Object(map))
            }
            _ => match Exact::of(value) {
                Some(number) => Ok(Json::Number(number.clone())),
                None => Err(NOT_DATA.into()),
            },
        }
    }

    fn key(&self, key: &Value) -> Result<String, Error> {
        match self.nested(key, MAX_DEPTH)? {
            Json::String(text) => Ok(text),
            key @ (Json::Bool(_) | Json::Number(_)) => Ok(key.to_string()),
            _ => Err(Reason("a key of a map must be text, a number or a boolean").into()),
        }
    }
}

const NOT_DATA: Reason = Reason("this is not a value that can be written");

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
