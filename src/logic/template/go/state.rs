//! What one render has done so far: its values, its work, where it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gotmpl::Value;
use k8s_openapi::jiff::Timestamp;

use super::failure::Reason;
use super::functions::{Effort, Patterns};
use super::value::{Carried, Map, Null, float_to_json, integer, nearest};
use crate::logic::json::{Json, Number};
use crate::logic::template::MAX_OUTPUT;
use crate::logic::template::marked::{MANGLED, TOO_LARGE};
use crate::logic::yaml::slot::{Slot, Slots, write_marker};

/// Work a render may do: calls, nodes of the template, parts of values, and 64 bytes of text each.
pub(super) const FUEL: u64 = 1_000_000;
/// Bytes of text that cost one unit.
const BYTES: usize = 64;
/// Values nested deeper are refused; parsed JSON is never that deep.
const MAX_DEPTH: usize = 200;
/// Templates that `include` and `tpl` render inside one another.
const MAX_INCLUDES: usize = 100;

/// What the functions of a rendering share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Bytes of the main text.
    written: AtomicUsize,
    pub(super) null: Null,
    /// When the rows were read.
    pub(super) now: Timestamp,
    pub(super) patterns: Patterns,
    /// What regular expressions of this render have cost.
    pub(super) effort: Effort,
    /// Empty text.
    pub(super) nothing: Value,
}

/// One render's state.
#[derive(Default)]
pub(super) struct State {
    pub(super) slots: Slots,
    /// Markers of leaves by number: the same for each row.
    markers: Vec<Arc<str>>,
    fuel: u64,
    includes: usize,
    /// Why a function failed: what gotmpl says of that may hold values.
    pub(super) reason: Option<Reason>,
    /// The place of the template that is at work, in bytes; only a noted program tells.
    pub(super) at: Option<usize>,
    /// Where the main text of a noted program comes from.
    pub(super) spans: Vec<Span>,
}

/// A stretch of the main text.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// Where it begins in the text.
    pub(super) written: usize,
    /// Where it comes from in the template.
    pub(super) source: usize,
    /// Whether the template's own text is written, and no value.
    pub(super) is_text: bool,
}

impl Shared {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            state: Mutex::default(),
            written: AtomicUsize::new(0),
            null: Null::default(),
            now,
            patterns: Patterns::default(),
            effort: Effort::default(),
            nothing: Value::String("".into()),
        }
    }

    /// The state. It is whole after any panic: nothing in it depends on anything else.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a render.
    pub(super) fn start(&self) {
        self.written.store(0, Ordering::Relaxed);
        self.effort.renew();
        let mut state = self.state();
        *state = State { fuel: FUEL, markers: std::mem::take(&mut state.markers), ..State::default() };
    }

    /// Ends a render: its values.
    pub(super) fn take_slots(&self) -> Slots {
        std::mem::take(&mut self.state().slots)
    }

    /// Notes the place that is at work, and in the main text that it is written there.
    pub(super) fn note(&self, source: usize, is_text: bool) {
        let mut state = self.state();
        state.at = Some(source);
        if state.includes == 0 {
            state.spans.push(Span { written: self.written.load(Ordering::Relaxed), source, is_text });
        }
    }

    pub(super) fn spend(&self, units: u64) -> Result<(), Reason> {
        self.state().spend(units)
    }

    /// Goes into a template that is rendered by a function.
    pub(super) fn enter(&self) -> Result<(), Reason> {
        let mut state = self.state();
        state.includes += 1;
        if state.includes > MAX_INCLUDES {
            Err(Reason::from("templates include one another too deeply"))
        } else {
            Ok(())
        }
    }

    pub(super) fn leave(&self) {
        self.state().includes -= 1;
    }

    /// Keeps a value that is no tree: its marker.
    pub(super) fn keep_leaf(&self, slot: Slot) -> Result<Value, Reason> {
        let mut state = self.state();
        let number = state.slots.add(slot).map_err(|_| TOO_LARGE)?;
        while state.markers.len() <= number {
            let mut marker = String::new();
            write_marker(state.markers.len(), false, &mut marker).map_err(|_| TOO_LARGE)?;
            state.markers.push(marker.into());
        }
        Ok(Value::String(state.markers[number].clone()))
    }

    /// Keeps a value; the text with its marker.
    pub(super) fn keep(&self, before: &str, slot: Slot) -> Result<String, Reason> {
        let mut text = before.to_owned();
        self.state().slots.push(slot, &mut text).map_err(|_| TOO_LARGE)?;
        Ok(text)
    }

    /// A value as JSON; markers become the text they stand for.
    pub(super) fn to_json(&self, value: &Value) -> Result<Json, Reason> {
        let mut state = self.state();
        Reader { null: &self.null, state: &mut state }.json(value, 0)
    }

    /// A value without anything of ours in it, for functions that know gotmpl's values alone.
    pub(super) fn plain(&self, value: &Value, plain: Plain) -> Result<Value, Reason> {
        let mut state = self.state();
        Ok(Reader { null: &self.null, state: &mut state }.plain(value, plain, 0)?.unwrap_or_else(|| value.clone()))
    }

    /// The text that text with markers stands for.
    pub(super) fn resolve(&self, marked: &str) -> Result<String, Reason> {
        self.state().resolve(marked)
    }
}

impl State {
    pub(super) fn spend(&mut self, units: u64) -> Result<(), Reason> {
        self.fuel = self.fuel.checked_sub(units).ok_or("the template does too much work")?;
        Ok(())
    }

    pub(super) fn spend_text(&mut self, bytes: usize) -> Result<(), Reason> {
        self.spend((bytes / BYTES) as u64)
    }

    /// Pays for what a function made.
    pub(super) fn spend_result(&mut self, result: &Value) -> Result<(), Reason> {
        match result {
            Value::String(text) => self.spend_text(text.len()),
            Value::List(items) => self.spend(items.len() as u64),
            Value::Map(map) => self.spend(map.len() as u64),
            _ => Ok(()),
        }
    }

    pub(super) fn resolve(&mut self, marked: &str) -> Result<String, Reason> {
        let text = self.slots.resolve(marked).map_err(|_| MANGLED)?;
        self.spend_text(text.len())?;
        Ok(text)
    }
}

/// What becomes of what gotmpl has no variant for. Text with markers becomes the text it stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// Numbers are computed with, NULL is nil.
    Nearest,
    /// The same, but whole numbers are integers, which equal each other.
    Whole,
    /// Numbers are text, NULL is nil.
    Digits,
    /// Numbers are passed on, NULL is nil.
    Printed,
    /// Numbers and NULL are passed on.
    Kept,
    /// All is passed on but what is empty, which becomes something that gotmpl takes for empty.
    KeptUnlessEmpty,
}

struct Reader<'a> {
    null: &'a Null,
    state: &'a mut State,
}

impl Reader<'_> {
    fn step(&mut self, depth: usize) -> Result<(), Reason> {
        if depth > MAX_DEPTH {
            return Err("a value is nested too deeply".into());
        }
        self.state.spend(1)
    }

    fn json(&mut self, value: &Value, depth: usize) -> Result<Json, Reason> {
        self.step(depth)?;
        Ok(match value {
            Value::Nil => Json::Null,
            value if self.null.is(value) => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(integer) => Json::Number(i128::from(*integer).into()),
            Value::Uint(integer) => Json::Number(i128::from(*integer).into()),
            Value::Float(float) => float_to_json(*float).ok_or("NaN and infinity cannot be written")?,
            Value::String(text) => {
                self.state.spend_text(text.len())?;
                Json::String(text.to_string())
            }
            Value::List(items) => {
                Json::Array(items.iter().map(|item| self.json(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let entry = |(name, value): (&Arc<str>, &Value)| Ok((name.to_string(), self.json(value, depth + 1)?));
                Json::Object(map.iter().map(entry).collect::<Result<_, Reason>>()?)
            }
            Value::Function(_) => match Carried::of(value) {
                Some(Carried::Marked(text)) => Json::String(self.state.resolve(&text)?),
                Some(Carried::Exact(digits)) => Number::parse(&digits).map_or(Json::Null, Json::Number),
                None => return Err("this is not a value that can be written".into()),
            },
        })
    }

    /// The value rebuilt; None if it is as it should be.
    fn plain(&mut self, value: &Value, plain: Plain, depth: usize) -> Result<Option<Value>, Reason> {
        self.step(depth)?;
        Ok(match value {
            value if self.null.is(value) => {
                (!matches!(plain, Plain::Kept | Plain::KeptUnlessEmpty)).then_some(Value::Nil)
            }
            Value::String(text) => {
                self.state.spend_text(text.len())?;
                None
            }
            Value::List(items) => {
                let mut rebuilt: Option<Vec<Value>> = None;
                for (at, item) in items.iter().enumerate() {
                    if let Some(new) = self.plain(item, plain, depth + 1)? {
                        rebuilt.get_or_insert_with(|| items.to_vec())[at] = new;
                    }
                }
                rebuilt.map(Value::from)
            }
            Value::Map(map) => {
                let mut rebuilt: Option<Map> = None;
                for (name, value) in map.iter() {
                    if let Some(new) = self.plain(value, plain, depth + 1)? {
                        rebuilt.get_or_insert_with(|| (**map).clone()).insert(name.clone(), new);
                    }
                }
                rebuilt.map(Value::from)
            }
            Value::Function(_) => match Carried::of(value) {
                Some(Carried::Marked(text)) => {
                    let text = self.state.resolve(&text)?;
                    (plain != Plain::KeptUnlessEmpty || text.is_empty()).then(|| Value::from(text))
                }
                Some(Carried::Exact(digits)) => match plain {
                    Plain::Nearest => Some(Value::Float(nearest(&digits))),
                    Plain::Whole => Some(integer(value).map_or_else(|| Value::Float(nearest(&digits)), Value::Int)),
                    Plain::Digits => Some(Value::String(digits)),
                    Plain::Printed | Plain::Kept => None,
                    Plain::KeptUnlessEmpty => (nearest(&digits) == 0.0).then_some(Value::Int(0)),
                },
                None => None,
            },
            _ => None,
        })
    }
}

/// A render's text as it is written.
pub(super) struct Output<'a> {
    pub(super) text: String,
    /// Where its length is told, if it is the main text.
    shared: Option<&'a Shared>,
}

impl<'a> Output<'a> {
    pub(super) fn main(shared: &'a Shared) -> Self {
        Self { text: String::with_capacity(1024), shared: Some(shared) }
    }

    pub(super) fn inner() -> Self {
        Self { text: String::new(), shared: None }
    }
}

impl std::fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.text.len() + text.len() > MAX_OUTPUT {
            return Err(std::fmt::Error);
        }
        self.text.push_str(text);
        if let Some(shared) = self.shared {
            shared.written.store(self.text.len(), Ordering::Relaxed);
        }
        Ok(())
    }
}
