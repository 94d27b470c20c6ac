//! Values kept aside while a template is rendered, and text that holds their markers. Such text is
//! a safe string in minijinja's words; only what this module makes or minijinja captured is one.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, Value};

use super::convert::to_json;
use super::failure::Reason;
use crate::logic::template::marked;
use crate::logic::yaml::slot::{Slot, Slots};

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As markers: what the objects are made of.
    Marked,
    /// As text: what any Jinja would print. Compared with the marked rendering's text to find
    /// operators that worked on a marker, which no hook of minijinja's tells us of.
    Text,
}

/// The render's values, in its state.
#[derive(Default)]
pub(super) struct Marks(pub(super) Slots);

const TOO_LARGE: Reason = Reason(marked::TOO_LARGE);
const MANGLED: Reason = Reason(marked::MANGLED);

/// minijinja's formatter: writes what `{{ … }}` gives.
pub(super) fn format(mode: Mode, out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    // Without it captured text could not be told from a value.
    if *state.auto_escape() == AutoEscape::None {
        return Err(Reason("autoescape cannot be switched off").into());
    }
    if let (true, Some(text)) = (value.is_safe(), value.as_str()) {
        return Ok(out.write_str(text)?);
    }
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let slot = Slot::plain(to_json(value)?);
    match mode {
        Mode::Text => Ok(out.write_str(&slot.text())?),
        Mode::Marked => {
            let marks = state.get_or_insert_extension_with(Marks::default);
            marks.0.push(slot, out).map_err(|_| TOO_LARGE.into())
        }
    }
}

/// A filter's result that is written in a certain form.
pub(super) fn mark(mode: Mode, state: &mut State, before: &str, slot: Slot) -> Result<Value, Error> {
    let mut text = before.to_owned();
    match mode {
        Mode::Text => text.push_str(&slot.text()),
        Mode::Marked => {
            state.get_or_insert_extension_with(Marks::default).0.push(slot, &mut text).map_err(|_| TOO_LARGE)?
        }
    }
    Ok(Value::from_safe_string(text))
}

/// A value without markers: text that holds some becomes the text it stands for, a plain string.
/// `deep` looks into lists and maps as well.
pub(super) fn resolve(state: &State, value: &Value, deep: bool) -> Result<Value, Error> {
    if let (true, Some(text)) = (value.is_safe(), value.as_str()) {
        return Ok(match state.get_extension::<Marks>() {
            Some(marks) => Value::from(marks.0.resolve(text).map_err(|_| MANGLED)?),
            None => Value::from(text),
        });
    }
    if !deep || !holds_text(value, 0)? {
        return Ok(value.clone());
    }
    match value.kind() {
        ValueKind::Map => {
            let mut pairs = Vec::new();
            for key in value.try_iter()? {
                let inner = resolve(state, &value.get_item(&key)?, deep)?;
                pairs.push((resolve(state, &key, deep)?, inner));
            }
            if value.is_kwargs() {
                let named = pairs.into_iter().map(|(key, value)| (key.to_string(), value));
                return Ok(named.collect::<Kwargs>().into());
            }
            Ok(Value::from_pairs(pairs))
        }
        _ => {
            let items = value.try_iter()?.map(|item| resolve(state, &item, deep));
            Ok(Value::from(items.collect::<Result<Vec<_>, _>>()?))
        }
    }
}

fn holds_text(value: &Value, depth: usize) -> Result<bool, Error> {
    if depth > 100 {
        return Err(Reason("a value is nested too deeply").into());
    }
    match value.kind() {
        ValueKind::String => Ok(value.is_safe()),
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                if holds_text(&item, depth + 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValueKind::Map => {
            for key in value.try_iter()? {
                if key.is_safe() || holds_text(&value.get_item(&key)?, depth + 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Indents captured text.
pub(super) fn indent_text(state: &mut State, text: &str, width: usize, blank: bool) -> Result<Value, Error> {
    let marks = state.get_or_insert_extension_with(Marks::default);
    Ok(Value::from_safe_string(marked::indent(&mut marks.0, text, width, blank).map_err(Reason)?))
}

/// Trims captured text, into the values at its ends.
pub(super) fn trim_text(state: &mut State, text: &str) -> Result<Value, Error> {
    let marks = state.get_or_insert_extension_with(Marks::default);
    Ok(Value::from_safe_string(marked::trim(&mut marks.0, text).map_err(Reason)?))
}
