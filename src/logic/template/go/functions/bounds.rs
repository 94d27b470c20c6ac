//! How large a value may become. A row holds what it holds; what a function makes of it is measured
//! before it is made, so that no template can fill the memory, and is never so deep that walking it
//! ends the stack.

use std::sync::Arc;

use gotmpl::Value;

use super::call::{Map, Output, Reason};

/// Bytes of a text that a function may build from others.
pub const MAX_TEXT: usize = 1 << 20;
/// Values in a list or dict that a function makes, counted through all levels.
pub const MAX_ITEMS: usize = 100_000;
/// Bytes of all texts in such a list or dict.
const MAX_BYTES: usize = 16 << 20;
/// Levels of such a list or dict. A row has at most 128.
const MAX_DEPTH: usize = 200;

const TOO_LONG: Reason = Reason::Said("the result would be longer than 1 MiB");
const TOO_MANY: Reason = Reason::Said("the result would have more than 100,000 values or 16 MiB of text");

/// A list of these.
pub fn list(items: impl IntoIterator<Item = Value>) -> Output {
    let items: Vec<Value> = items.into_iter().take(MAX_ITEMS + 1).collect();
    Room::default().take_all(&items)?;
    Ok(Value::List(items.into()))
}

/// A list of these texts.
pub fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Output {
    list(items.into_iter().map(|item| Value::String(item.into())))
}

/// A dict of these.
pub fn dict(map: Map) -> Output {
    measure(&map)?;
    Ok(Value::Map(Arc::new(map)))
}

/// Refuses a dict that has become too large.
pub fn measure(map: &Map) -> Result<(), Reason> {
    Room::default().take_map(map)
}

/// Refuses to make so many values.
pub fn items(count: usize) -> Result<usize, Reason> {
    if count <= MAX_ITEMS { Ok(count) } else { Err(TOO_MANY) }
}

/// Refuses to compare or copy so much.
pub fn steps(count: usize, other: usize) -> Result<(), Reason> {
    const MAX_STEPS: usize = 10_000_000;
    if count.saturating_mul(other) <= MAX_STEPS {
        return Ok(());
    }
    Err(Reason::Said("the lists are too long to compare"))
}

/// How much was measured.
#[derive(Default)]
struct Room {
    items: usize,
    bytes: usize,
    depth: usize,
}

impl Room {
    fn take_map(&mut self, map: &Map) -> Result<(), Reason> {
        self.bytes += map.keys().map(|key| key.len()).sum::<usize>();
        self.take_all(map.values())
    }

    fn take_all<'a>(&mut self, values: impl IntoIterator<Item = &'a Value>) -> Result<(), Reason> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Reason::Said("the result would be nested too deeply"));
        }
        for value in values {
            self.take(value)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn take(&mut self, value: &Value) -> Result<(), Reason> {
        self.items += 1;
        match value {
            Value::String(text) => self.bytes += text.len(),
            Value::List(list) => self.take_all(list.iter())?,
            Value::Map(map) => self.take_map(map)?,
            _ => {}
        }
        if self.items > MAX_ITEMS || self.bytes > MAX_BYTES {
            return Err(TOO_MANY);
        }
        Ok(())
    }
}

/// Text that is refused once it is too long.
#[derive(Default)]
pub struct Text(String);

impl Text {
    /// Text that will have so many bytes.
    pub fn of_length(length: usize) -> Result<Self, Reason> {
        if length > MAX_TEXT {
            return Err(TOO_LONG);
        }
        Ok(Self(String::with_capacity(length)))
    }

    /// Adds to it.
    pub fn push(&mut self, text: &str) -> Result<(), Reason> {
        if text.len() > MAX_TEXT - self.0.len() {
            return Err(TOO_LONG);
        }
        self.0.push_str(text);
        Ok(())
    }

    /// The whole.
    pub fn done(self) -> Output {
        Ok(Value::String(self.0.into()))
    }

    /// The whole, to go on with.
    pub fn into_string(self) -> String {
        self.0
    }
}
