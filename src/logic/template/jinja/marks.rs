//! Values kept aside while a template is rendered, and text that holds their markers. Such text is
//! a safe string in minijinja's words; only what this module makes or minijinja captured is one.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, Value};

use super::convert::to_json;
use super::failure::Reason;
use super::meter::Meter;
use crate::logic::yaml::slot::{self, Edit, Segment, Slot, Slots, segments};

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

const TOO_LARGE: Reason = Reason("the values of this row are larger than 16 MiB");
const MANGLED: Reason = Reason("a value's marker was damaged; use a filter on the value itself");

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
    let slot = Slot::plain(to_json(state, value)?);
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
    if !deep || !holds_text(value, 0, &Meter::new(state))? {
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

fn holds_text(value: &Value, depth: usize, meter: &Meter) -> Result<bool, Error> {
    if depth > 100 {
        return Err(Reason("a value is nested too deeply").into());
    }
    meter.visit(0)?;
    match value.kind() {
        ValueKind::String => Ok(value.is_safe()),
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                if holds_text(&item, depth + 1, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValueKind::Map => {
            for key in value.try_iter()? {
                if key.is_safe() || holds_text(&value.get_item(&key)?, depth + 1, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Indents captured text: its own lines here, those of its values when they become text.
pub(super) fn indent_text(state: &mut State, text: &str, width: usize, blank: bool) -> Result<Value, Error> {
    let pieces = segments(text).collect::<Result<Vec<_>, _>>().map_err(|_| MANGLED)?;
    let marks = state.get_or_insert_extension_with(Marks::default);
    let mut out = String::with_capacity(text.len());
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Segment::Text(text) => {
                out.push_str(&slot::indent(text, width, blank));
                // The last line goes on with what follows, so it is not an empty one.
                if !blank && text.ends_with('\n') && starts_with_text(&marks.0, &pieces[at + 1..]) {
                    out.extend(std::iter::repeat_n(' ', width));
                }
            }
            Segment::Marker { number, .. } => {
                let mut slot = marks.0.get(*number).ok_or(MANGLED)?.clone();
                slot.edits.push(Edit::Indent { width, blank });
                marks.0.push(slot, &mut out).map_err(|_| TOO_LARGE)?;
            }
        }
    }
    Ok(Value::from_safe_string(out))
}

fn starts_with_text(slots: &Slots, pieces: &[Segment]) -> bool {
    pieces.iter().find_map(|piece| first_char(slots, piece)).is_some_and(|c| c != '\n')
}

fn first_char(slots: &Slots, piece: &Segment) -> Option<char> {
    match piece {
        Segment::Text(text) => text.chars().next(),
        Segment::Marker { number, .. } => slots.get(*number)?.text().chars().next(),
    }
}

/// Trims captured text, into the values at its ends. A value that is nothing but whitespace there
/// is left out, and the one beyond it is trimmed.
pub(super) fn trim_text(state: &mut State, text: &str) -> Result<Value, Error> {
    let marks = state.get_or_insert_extension_with(Marks::default);
    let mut text = text.to_owned();
    for (from_start, edit) in [(true, Edit::TrimStart), (false, Edit::TrimEnd)] {
        loop {
            text = if from_start { text.trim_start() } else { text.trim_end() }.to_owned();
            let pieces = segments(&text).collect::<Result<Vec<_>, _>>().map_err(|_| MANGLED)?;
            let edge = if from_start { pieces.first() } else { pieces.last() };
            let Some(Segment::Marker { number, text: marker }) = edge else {
                break;
            };
            let mut slot = marks.0.get(*number).ok_or(MANGLED)?.clone();
            let before = slot.text();
            slot.edits.push(edit);
            let after = slot.text();
            let rest = if from_start { &text[marker.len()..] } else { &text[..text.len() - marker.len()] };
            let mut trimmed = String::new();
            if !after.is_empty() || pieces.len() == 1 {
                if before == after {
                    break;
                }
                marks.0.push(slot, &mut trimmed).map_err(|_| TOO_LARGE)?;
            }
            let is_done = !trimmed.is_empty();
            text = if from_start { format!("{trimmed}{rest}") } else { format!("{rest}{trimmed}") };
            if is_done {
                break;
            }
        }
    }
    Ok(Value::from_safe_string(text))
}
