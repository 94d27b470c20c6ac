//! What values look like in the object: written plainly, as strings, as trees.

use gotmpl::Value;

use super::failure::{Reason, UNDEFINED};
use super::functions::printed_float;
use super::table::{Call, Own};
use super::value::{Carried, marked};
use crate::logic::json::Json;
use crate::logic::yaml::slot::{Form, Slot};

pub(super) const ALL: &[(&str, Own)] = &[
    ("mustToJson", |call| tree(call, Form::Json)),
    ("mustToPrettyJson", |call| tree(call, Form::PrettyJson)),
    ("mustToRawJson", |call| tree(call, Form::Json)),
    ("quote", |call| strings(call, Form::Quoted)),
    ("squote", |call| strings(call, Form::SingleQuoted)),
    ("toJson", |call| tree(call, Form::Json)),
    ("toPrettyJson", |call| tree(call, Form::PrettyJson)),
    ("toRawJson", |call| tree(call, Form::Json)),
    ("toYaml", |call| tree(call, Form::Yaml)),
    ("toYamlPretty", |call| tree(call, Form::Yaml)),
];

/// Writes an action's value: text with markers as it is, a value as a marker.
pub(super) fn emit(call: &Call) -> Result<Value, Reason> {
    let value = call.args.first().unwrap_or(&Value::Nil);
    if let Some(Carried::Marked(text)) = Carried::of(value) {
        return Ok(Value::String(text));
    }
    let slot = Slot::of(leaf(call, value)?, Form::Word);
    call.machine.shared.keep_leaf(slot)
}

/// A value for a slot. A computed float is the text that Go writes, which YAML then reads.
pub(super) fn leaf(call: &Call, value: &Value) -> Result<Json, Reason> {
    match value {
        Value::Nil => Err(UNDEFINED.into()),
        Value::Float(float) => Ok(printed_float(*float).into()),
        value => call.machine.shared.to_json(value),
    }
}

/// `quote` and `squote`: all arguments, with spaces between. NULL is an empty string.
fn strings(call: &Call, form: Form) -> Result<Value, Reason> {
    let mut text = String::new();
    for at in 0..call.args.len() {
        text.push_str(if at > 0 { " " } else { "" });
        text.push_str(&string(call, at, form)?);
    }
    Ok(marked(text))
}

fn string(call: &Call, at: usize, form: Form) -> Result<String, Reason> {
    call.machine.shared.keep("", Slot::of(leaf(call, call.value(at)?)?, form))
}

/// One argument as `quote` gives it.
pub(super) fn quoted(call: &Call, at: usize) -> Result<Value, Reason> {
    Ok(marked(string(call, at, Form::Quoted)?))
}

fn tree(call: &Call, form: Form) -> Result<Value, Reason> {
    call.count(1)?;
    let json = call.machine.shared.to_json(call.value(0)?)?;
    Ok(marked(call.machine.shared.keep("", Slot::of(json, form))?))
}
