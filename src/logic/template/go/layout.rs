//! Functions for text as a whole, which may have markers: indented and trimmed it keeps them.

use std::sync::Arc;

use gotmpl::Value;

use super::failure::Reason;
use super::forms::leaf;
use super::functions::printed;
use super::state::Plain;
use super::table::{Call, Own};
use super::value::{Carried, integer, marked};
use crate::logic::template::marked;
use crate::logic::yaml::slot::{Edit, Form, Slot};

pub(super) const ALL: &[(&str, Own)] = &[
    ("include", include),
    ("indent", |call| indented(call, "")),
    ("nindent", |call| indented(call, "\n")),
    ("tpl", tpl),
    ("trim", trim),
];

const MAX_INDENT: i64 = 1000;

fn indented(call: &Call, before: &str) -> Result<Value, Reason> {
    call.count(2)?;
    let width = integer(call.value(0)?).ok_or("the width of an indentation must be a whole number")?;
    if !(0..=MAX_INDENT).contains(&width) {
        return Err("an indentation must be from 0 to 1000 wide".into());
    }
    let width = width as usize;
    let mut text = before.to_owned();
    text.extend(std::iter::repeat_n(' ', width));
    let value = call.value(1)?;
    let shared = &call.machine.shared;
    // Sprig indents empty lines as well.
    let blank = true;
    if let Some(Carried::Marked(inner)) = Carried::of(value) {
        let mut state = shared.state();
        state.spend_text(inner.len())?;
        text.push_str(&marked::indent(&mut state.slots, &inner, width, blank)?);
        return Ok(marked(text));
    }
    let mut slot = Slot::of(leaf(call, value)?, Form::Word);
    slot.edits.push(Edit::Indent { width, blank });
    Ok(marked(shared.keep(&text, slot)?))
}

fn trim(call: &Call) -> Result<Value, Reason> {
    call.count(1)?;
    let value = call.value(0)?;
    let shared = &call.machine.shared;
    match Carried::of(value) {
        Some(Carried::Marked(text)) => {
            let mut state = shared.state();
            state.spend_text(text.len())?;
            Ok(marked(marked::trim(&mut state.slots, &text)?))
        }
        _ => Ok(text(call, 0)?.trim().into()),
    }
}

/// Renders a defined template; what it writes keeps its structure and types.
fn include(call: &Call) -> Result<Value, Reason> {
    call.count(2)?;
    let name = text(call, 0)?;
    Ok(marked(call.machine.include(&name, &call.args[1])?))
}

/// Renders a text. What comes out is one value: the text may have come from a row, and is never read as YAML.
fn tpl(call: &Call) -> Result<Value, Reason> {
    call.count(2)?;
    let source = text(call, 0)?;
    let rendered = call.machine.tpl(&source, &call.args[1])?;
    Ok(call.machine.shared.resolve(&rendered)?.into())
}

/// An argument as text.
pub(super) fn text(call: &Call, index: usize) -> Result<Arc<str>, Reason> {
    match call.machine.shared.plain(call.value(index)?, Plain::Digits)? {
        Value::String(text) => Ok(text),
        Value::Nil => Ok("".into()),
        Value::List(_) | Value::Map(_) => Err("text is needed, and this is a list or map".into()),
        other => Ok(printed(&other)?.into()),
    }
}
