//! The functions that text/template has itself.

use std::cmp::Ordering;
use std::sync::Arc;

use gotmpl::{Value, html_escape, js_escape, url_encode};

use super::failure::{Reason, UNDEFINED};
use super::functions::printed;
use super::layout::text;
use super::state::Plain;
use super::table::{Call, Own};
use super::value::{Carried, integer, kind, nearest};
use super::{forms, printf};

pub(super) const ALL: &[(&str, Own)] = &[
    // gotmpl evaluates `and` and `or` itself, where they have arguments.
    ("and", |_| Err("and needs an argument".into())),
    ("call", |_| Err("there are no values that can be called".into())),
    ("eq", eq),
    ("ge", |call| Ok(Value::Bool(ordered(call)?.is_some_and(Ordering::is_ge)))),
    ("gt", |call| Ok(Value::Bool(ordered(call)?.is_some_and(Ordering::is_gt)))),
    ("html", |call| escaped(call, html_escape)),
    ("index", index),
    ("js", |call| escaped(call, js_escape)),
    ("le", |call| Ok(Value::Bool(ordered(call)?.is_some_and(Ordering::is_le)))),
    ("len", len),
    ("lt", |call| Ok(Value::Bool(ordered(call)?.is_some_and(Ordering::is_lt)))),
    ("ne", ne),
    ("not", not),
    ("or", |_| Err("or needs an argument".into())),
    ("print", |call| sprint(call).and_then(|text| made(call, text))),
    ("printf", printf),
    ("println", println),
    ("slice", slice),
    ("urlquery", |call| escaped(call, url_encode)),
];

/// What can be compared.
enum Basic {
    Nil,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Arc<str>),
}

impl Basic {
    fn of(call: &Call, value: &Value) -> Result<Self, Reason> {
        let shared = &call.machine.shared;
        Ok(match value {
            Value::Nil => Self::Nil,
            value if shared.null.is(value) => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(integer) => Self::Integer((*integer).into()),
            Value::Uint(integer) => Self::Integer((*integer).into()),
            Value::Float(float) => Self::Float(*float),
            Value::String(text) => Self::Text(text.clone()),
            Value::Function(_) => match Carried::of(value) {
                Some(Carried::Exact(digits)) => match digits.parse() {
                    Ok(integer) => Self::Integer(integer),
                    Err(_) => Self::Float(nearest(&digits)),
                },
                Some(Carried::Marked(text)) => Self::Text(shared.resolve(&text)?.into()),
                None => return Err("this value cannot be compared".into()),
            },
            Value::List(_) | Value::Map(_) => return Err(Reason::of(format!("{} cannot be compared", kind(value)))),
        })
    }
}

/// How two values compare; None if they are unequal and in no order. Numbers compare by value, whatever their type.
fn compared(call: &Call, left: &Value, right: &Value) -> Result<Option<Ordering>, Reason> {
    Ok(match (Basic::of(call, left)?, Basic::of(call, right)?) {
        (Basic::Nil, Basic::Nil) => Some(Ordering::Equal),
        (Basic::Nil, _) | (_, Basic::Nil) => None,
        (Basic::Bool(left), Basic::Bool(right)) => (left == right).then_some(Ordering::Equal),
        (Basic::Integer(left), Basic::Integer(right)) => Some(left.cmp(&right)),
        (Basic::Integer(left), Basic::Float(right)) => (left as f64).partial_cmp(&right),
        (Basic::Float(left), Basic::Integer(right)) => left.partial_cmp(&(right as f64)),
        (Basic::Float(left), Basic::Float(right)) => left.partial_cmp(&right),
        (Basic::Text(left), Basic::Text(right)) => Some(left.cmp(&right)),
        _ => return Err(Reason::of(format!("{} and {} cannot be compared", kind(left), kind(right)))),
    })
}

fn eq(call: &Call) -> Result<Value, Reason> {
    let [first, others @ ..] = call.args else { return Err("eq needs two arguments".into()) };
    if others.is_empty() {
        return Err("eq needs two arguments".into());
    }
    for other in others {
        if compared(call, first, other)? == Some(Ordering::Equal) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn ne(call: &Call) -> Result<Value, Reason> {
    call.count(2)?;
    Ok(Value::Bool(compared(call, &call.args[0], &call.args[1])? != Some(Ordering::Equal)))
}

fn ordered(call: &Call) -> Result<Option<Ordering>, Reason> {
    call.count(2)?;
    for value in call.args {
        match Basic::of(call, value)? {
            Basic::Nil if matches!(value, Value::Nil) => return Err(UNDEFINED.into()),
            Basic::Nil | Basic::Bool(_) => return Err("only numbers and texts are in an order".into()),
            _ => {}
        }
    }
    compared(call, &call.args[0], &call.args[1])
}

fn not(call: &Call) -> Result<Value, Reason> {
    call.count(1)?;
    let value = match &call.args[0] {
        value @ Value::Function(_) => call.machine.shared.plain(value, Plain::KeptUnlessEmpty)?,
        value => value.clone(),
    };
    Ok(Value::Bool(!value.is_truthy()))
}

/// `fmt.Sprint`: a space between two values that are both no text.
fn sprint(call: &Call) -> Result<String, Reason> {
    let mut out = String::new();
    for (at, value) in call.args.iter().enumerate() {
        if at > 0 && kind(value) != "text" && kind(&call.args[at - 1]) != "text" {
            out.push(' ');
        }
        print(call, at, &mut out)?;
    }
    Ok(out)
}

fn println(call: &Call) -> Result<Value, Reason> {
    let mut out = String::new();
    for at in 0..call.args.len() {
        out.push_str(if at > 0 { " " } else { "" });
        print(call, at, &mut out)?;
    }
    made(call, out + "\n")
}

fn print(call: &Call, at: usize, out: &mut String) -> Result<(), Reason> {
    match call.machine.shared.plain(call.value(at)?, Plain::Digits)? {
        Value::String(text) => out.push_str(&text),
        other => out.push_str(&printed(&other)?),
    }
    Ok(())
}

fn made(call: &Call, text: String) -> Result<Value, Reason> {
    call.machine.shared.state().spend_text(text.len())?;
    Ok(text.into())
}

fn printf(call: &Call) -> Result<Value, Reason> {
    let format = text(call, 0)?;
    if let ("%q", [_, value]) = (&*format, call.args)
        && kind(value) == "text"
    {
        // Alone it is what Go has instead of `quote`.
        return forms::quoted(call, 1);
    }
    let values = (1..call.args.len()).map(|at| call.machine.shared.plain(call.value(at)?, Plain::Printed));
    made(call, printf::sprintf(&format, &values.collect::<Result<Vec<_>, _>>()?)?)
}

fn escaped(call: &Call, escape: fn(&str) -> String) -> Result<Value, Reason> {
    made(call, escape(&sprint(call)?))
}

fn len(call: &Call) -> Result<Value, Reason> {
    call.count(1)?;
    let len = match call.value(0)? {
        value if call.machine.shared.null.is(value) => return Err("null has no length".into()),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        Value::String(text) => text.len(),
        value => match Carried::of(value) {
            Some(Carried::Marked(_)) => text(call, 0)?.len(),
            _ => return Err(Reason::of(format!("{} has no length", kind(value)))),
        },
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

/// What is not there, or lies in NULL, is undefined, as behind a dot.
fn index(call: &Call) -> Result<Value, Reason> {
    let Some((value, keys)) = call.args.split_first() else { return Err("index needs an argument".into()) };
    let mut value = value.clone();
    for key in keys {
        if let Some(Carried::Marked(text)) = Carried::of(&value) {
            value = call.machine.shared.resolve(&text)?.into();
        }
        value = match (&value, key) {
            (Value::Nil, _) => Value::Nil,
            (Value::Map(map), Value::String(name)) => map.get(name).cloned().unwrap_or(Value::Nil),
            (Value::Map(map), key) => match Carried::of(key) {
                Some(Carried::Marked(name)) => {
                    map.get(&*call.machine.shared.resolve(&name)?).cloned().unwrap_or(Value::Nil)
                }
                _ if matches!(key, Value::Nil) => return Err(UNDEFINED.into()),
                _ => return Err(Reason::of(format!("a map is not indexed by {}", kind(key)))),
            },
            (Value::List(items), key) => items.get(position(key, items.len())?).cloned().unwrap_or(Value::Nil),
            (Value::String(text), key) => {
                let byte = text.as_bytes().get(position(key, text.len())?);
                Value::Int(byte.copied().unwrap_or_default().into())
            }
            (value, _) => return Err(Reason::of(format!("{} cannot be indexed", kind(value)))),
        };
    }
    Ok(value)
}

fn position(key: &Value, len: usize) -> Result<usize, Reason> {
    if matches!(key, Value::Nil) {
        return Err(UNDEFINED.into());
    }
    let position = integer(key).ok_or_else(|| Reason::of(format!("a list is not indexed by {}", kind(key))))?;
    usize::try_from(position).ok().filter(|at| *at < len).ok_or("the index is out of range".into())
}

/// Of a text the bytes, of a list the items.
fn slice(call: &Call) -> Result<Value, Reason> {
    call.between(1, 4)?;
    let value = match call.value(0)? {
        list @ Value::List(_) => list.clone(),
        value if matches!(kind(value), "text") => text(call, 0)?.into(),
        value => return Err(Reason::of(format!("{} cannot be sliced", kind(value)))),
    };
    let len = value.len().unwrap_or_default();
    let bound = |at: usize, default: usize| match call.args.get(at) {
        None => Ok(default),
        Some(bound) => {
            integer(bound).and_then(|bound| usize::try_from(bound).ok()).filter(|bound| *bound <= len).ok_or(OUTSIDE)
        }
    };
    let (start, end) = (bound(1, 0)?, bound(2, len)?);
    if bound(3, len)? < end || (call.args.len() > 3 && matches!(value, Value::String(_))) {
        return Err(OUTSIDE.into());
    }
    match value {
        Value::List(items) => Ok(Value::List(items.get(start..end).ok_or(OUTSIDE)?.into())),
        Value::String(text) => Ok(text.get(start..end).ok_or(OUTSIDE)?.into()),
        _ => Err(OUTSIDE.into()),
    }
}

const OUTSIDE: &str = "a slice is out of range, or cuts a character";
