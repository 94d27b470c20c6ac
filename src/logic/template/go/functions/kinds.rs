//! What a value is: `kindOf`, `typeOf` and their like, and when two are equal.
//!
//! There is one integer type here, where Go has ten: it is called `int`, and is also an `int64` and
//! an `int32` for `kindIs` and `typeIs`. Lists are `[]interface {}`, also where Go has `[]string`.

use gotmpl::Value;

use super::bounds;
use super::call::{Call, Output, Reason, text};

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(uint) => unsigned(*uint),
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Function(_) => "func",
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        other => kind(other),
    }
}

/// JSON's positive numbers come as unsigned ones. Only those that no `int` holds are anything else.
fn unsigned(uint: u64) -> &'static str {
    if i64::try_from(uint).is_ok() { "int" } else { "uint64" }
}

fn is(asked: &str, found: &str) -> bool {
    asked == found || (found == "int" && matches!(asked, "int64" | "int32"))
}

pub fn kind_of(call: &Call) -> Output {
    let (value,) = call.read()?;
    text(kind(value))
}

pub fn kind_is(call: &Call) -> Output {
    let (asked, value): (&str, _) = call.read()?;
    Ok(Value::Bool(is(asked, kind(value))))
}

pub fn type_of(call: &Call) -> Output {
    let (value,) = call.read()?;
    text(type_name(value))
}

/// `typeIs` and `typeIsLike`: there are no pointers here.
pub fn type_is(call: &Call) -> Output {
    let (asked, value): (&str, _) = call.read()?;
    Ok(Value::Bool(is(asked, type_name(value))))
}

pub fn deep_equal(call: &Call) -> Output {
    let (a, b) = call.read()?;
    Ok(Value::Bool(equal(a, b)?))
}

/// Whether two values are equal. An integer never equals a float, as in Go.
pub fn equal(a: &Value, b: &Value) -> Result<bool, Reason> {
    Comparison { left: bounds::MAX_ITEMS }.equal(a, b)
}

/// Values can be shared so often that walking them never ends.
struct Comparison {
    left: usize,
}

impl Comparison {
    fn equal(&mut self, a: &Value, b: &Value) -> Result<bool, Reason> {
        self.left = self.left.checked_sub(1).ok_or(Reason::Said("the values are too large to compare"))?;
        Ok(match (a, b) {
            (Value::Int(int), Value::Uint(uint)) | (Value::Uint(uint), Value::Int(int)) => {
                u64::try_from(*int) == Ok(*uint)
            }
            (Value::List(a), Value::List(b)) => a.len() == b.len() && self.all(a.iter().zip(b.iter()))?,
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.keys().eq(b.keys()) && self.all(a.values().zip(b.values()))?
            }
            (a, b) => a == b,
        })
    }

    fn all<'a>(&mut self, pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Result<bool, Reason> {
        for (a, b) in pairs {
            if !self.equal(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
