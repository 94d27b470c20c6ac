//! Numbers whose digits no machine number has: `12.50`, or forty digits. minijinja computes with machine numbers
//! alone, so such a number is an object of ours: it is written with its digits, and is turned into the nearest float
//! where something is computed, which [`super::operands`] and the wrapped filters and tests see to.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Object, ObjectRepr, ValueKind};
use minijinja::{Error, State, Value};

use super::failure::Reason;
use super::meter::Meter;
use crate::logic::json::Number;

/// Values nested deeper are refused.
const MAX_DEPTH: usize = 100;

/// A number with its digits.
#[derive(Debug)]
pub(super) struct Exact(Number);

impl Object for Exact {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.0.as_f64() != 0.0
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        self.0.as_f64().partial_cmp(&other.downcast_ref::<Self>()?.0.as_f64())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Exact {
    /// The number as minijinja has it, if that prints the same, else as an object.
    pub(super) fn or_float(number: Number) -> Value {
        match number.as_text() {
            Some(_) => Value::from_object(Self(number)),
            None => Value::from(number.as_f64()),
        }
    }

    /// The number, if the value is such an object.
    pub(super) fn of(value: &Value) -> Option<&Number> {
        value.downcast_object_ref::<Self>().map(|exact| &exact.0)
    }

    /// A value that operators can compute with: such a number is a float. Lists are joined and repeated as they are.
    pub(super) fn float(value: &Value) -> Value {
        Self::of(value).map_or_else(|| value.clone(), |number| Value::from(number.as_f64()))
    }

    /// A value that can be compared with others: such numbers in it are floats.
    pub(super) fn computable(state: &State, value: &Value) -> Result<Value, Error> {
        replaced(state, value, &|value| Self::of(value).map(|number| Value::from(number.as_f64())))
    }

    /// A list whose numbers can be put in order: where one of them is such an object, all are.
    pub(super) fn comparable(state: &State, value: &Value) -> Result<Value, Error> {
        replaced(state, value, &|value| {
            let number = match value.kind() {
                ValueKind::Number if value.is_integer() => Some(i128::try_from(value.clone()).ok()?.into()),
                ValueKind::Number => Number::from_f64(f64::try_from(value.clone()).ok()?),
                _ => None,
            };
            number.map(|number| Value::from_object(Self(number)))
        })
    }
}

/// The value with parts of it replaced, if there is an exact number in it; else as it is.
fn replaced(state: &State, value: &Value, replace: &dyn Fn(&Value) -> Option<Value>) -> Result<Value, Error> {
    let meter = Meter::new(state);
    if holds_exact(value, 0, &meter)? { rebuilt(value, replace, &meter) } else { Ok(value.clone()) }
}

fn rebuilt(value: &Value, replace: &dyn Fn(&Value) -> Option<Value>, meter: &Meter) -> Result<Value, Error> {
    meter.visit(0)?;
    if let Some(new) = replace(value) {
        return Ok(new);
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| rebuilt(&item, replace, meter));
            items.collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        ValueKind::Map if !value.is_kwargs() => {
            let pair = |key: Value| Ok((key.clone(), rebuilt(&value.get_item(&key)?, replace, meter)?));
            Ok(Value::from_pairs(value.try_iter()?.map(pair).collect::<Result<Vec<_>, Error>>()?))
        }
        _ => Ok(value.clone()),
    }
}

fn holds_exact(value: &Value, depth: usize, meter: &Meter) -> Result<bool, Error> {
    if depth > MAX_DEPTH {
        return Err(Reason("a value is nested too deeply").into());
    }
    meter.visit(0)?;
    match value.kind() {
        ValueKind::Plain => Ok(Exact::of(value).is_some()),
        ValueKind::Seq => {
            for item in value.try_iter()? {
                if holds_exact(&item, depth + 1, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValueKind::Map if !value.is_kwargs() => {
            for key in value.try_iter()? {
                if holds_exact(&value.get_item(&key)?, depth + 1, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}
