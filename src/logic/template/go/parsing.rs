//! Text to values, and values that must be there.

use gotmpl::Value;

use super::failure::{Reason, UNDEFINED};
use super::layout::text;
use super::state::Plain;
use super::table::{Call, Own};
use super::value::Carried;
use crate::logic::json::{self, Json};
use crate::logic::yaml::{self, Skeleton};

pub(super) const ALL: &[(&str, Own)] = &[
    ("fail", fail),
    ("fromJson", |call| parsed(call, from_json)),
    ("fromJsonArray", |call| parsed(call, from_json).and_then(list)),
    ("fromYaml", |call| parsed(call, from_yaml)),
    ("fromYamlArray", |call| parsed(call, from_yaml).and_then(list)),
    ("mustFromJson", |call| parsed(call, from_json)),
    ("required", required),
];

/// What is parsed already stays as it is: jsonb columns are. Of text that was captured only the template's own part
/// is read, and the values in it stay whole.
fn parsed(call: &Call, parse: fn(&str) -> Result<Json, Reason>) -> Result<Value, Reason> {
    call.count(1)?;
    let value = call.value(0)?;
    let shared = &call.machine.shared;
    let json = match (value, Carried::of(value)) {
        (_, Some(Carried::Marked(marked))) => {
            shared.spend(marked.len() as u64)?;
            let skeleton = Skeleton::parse(&marked).map_err(|_| NOT_YAML)?;
            let documents = skeleton.fill(shared.state().slots.all()).map_err(|_| NOT_YAML)?;
            single(documents)?
        }
        (Value::String(_), _) => {
            let text = text(call, 0)?;
            shared.spend(100 + text.len() as u64)?;
            parse(&text)?
        }
        _ => return Ok(value.clone()),
    };
    Ok(shared.null.value_of(&json))
}

const NOT_YAML: &str = "the text is not YAML that we read";

fn from_json(text: &str) -> Result<Json, Reason> {
    json::parse(text).map_err(|_| "the text is not JSON".into())
}

fn from_yaml(text: &str) -> Result<Json, Reason> {
    single(yaml::parse(text).map_err(|_| NOT_YAML)?)
}

fn single(mut documents: Vec<Json>) -> Result<Json, Reason> {
    match (documents.pop(), documents.pop()) {
        (Some(json), None) => Ok(json),
        (None, _) => Ok(Json::Null),
        _ => Err("the text has more than one YAML document".into()),
    }
}

fn list(value: Value) -> Result<Value, Reason> {
    match value {
        Value::List(_) => Ok(value),
        _ => Err("the text holds no list".into()),
    }
}

/// An error unless there is a value that is not empty text. Its message is not shown: it may be a value.
fn required(call: &Call) -> Result<Value, Reason> {
    call.count(2)?;
    let shared = &call.machine.shared;
    let value = call.args.get(1).unwrap_or(&Value::Nil);
    let is_empty = match value {
        Value::Nil => true,
        Value::String(text) => text.is_empty(),
        Value::Function(_) => !shared.plain(value, Plain::KeptUnlessEmpty)?.is_truthy(),
        other => shared.null.is(other),
    };
    if is_empty { Err("a required value is missing".into()) } else { Ok(value.clone()) }
}

/// The message is not shown: it may be a value.
fn fail(call: &Call) -> Result<Value, Reason> {
    call.count(1)?;
    match call.args {
        [Value::Nil] => Err(UNDEFINED.into()),
        _ => Err("the template calls fail".into()),
    }
}
