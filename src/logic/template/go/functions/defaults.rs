//! Empty values and what stands in for them.

use gotmpl::Value;

use super::call::{Call, Output};

/// Nil, false, 0 and what has no length.
pub fn is_empty(value: &Value) -> bool {
    !value.is_truthy()
}

pub fn default(call: &Call) -> Output {
    let ((fallback,), given) = call.read_some::<(&Value,)>()?;
    Ok(given.first().filter(|given| !is_empty(given)).unwrap_or(fallback).clone())
}

pub fn empty(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Bool(is_empty(value)))
}

pub fn coalesce(call: &Call) -> Output {
    Ok(call.args.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
}

pub fn all(call: &Call) -> Output {
    Ok(Value::Bool(!call.args.iter().any(is_empty)))
}

pub fn any(call: &Call) -> Output {
    Ok(Value::Bool(!call.args.iter().all(is_empty)))
}

pub fn ternary(call: &Call) -> Output {
    let (yes, no, which): (&Value, &Value, bool) = call.read()?;
    Ok(if which { yes } else { no }.clone())
}

/// `deepCopy`: nothing is changed in place here, so a value is a copy of itself.
pub fn copy(call: &Call) -> Output {
    let (value,) = call.read::<(&Value,)>()?;
    Ok(value.clone())
}
