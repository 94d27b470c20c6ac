//! Markers and what they stand for. While a template is rendered, a value is kept in a slot and
//! its marker is written in its place: `U+E000`, `y` for a tree, the slot's number, `U+E001`.

use std::fmt::{self, Write};

use super::to_yaml;
use crate::logic::json::Json;

/// Begins a marker.
pub const OPEN: char = '\u{E000}';
/// Ends a marker.
pub const CLOSE: char = '\u{E001}';
/// Follows a tree's marker that was made a key, so that its line parses among keys.
pub(super) const AS_KEY: &str = "\u{E002}:";
/// Precedes a tree's marker that was made an item, so that its line parses among items.
pub(super) const AS_ITEM: &str = "- \u{E003}";

/// All values of one render together may not be larger.
pub const MAX_BYTES: usize = 16 << 20;
/// What a number, a key, a string beside its text and the like count for.
pub const NODE: usize = 32;

/// Whether text holds characters that only we may write.
pub fn has_reserved(text: &str) -> bool {
    // All of U+E000 to U+E003 begin with these two bytes.
    text.as_bytes().windows(3).any(|w| w[0] == 0xEE && w[1] == 0x80 && (0x80..=0x83).contains(&w[2]))
}

/// How the template asked for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// As it is, but text that is a whole unquoted scalar means what YAML says of the word: `3` is a number. Never
    /// more than a scalar.
    Word,
    /// `quote`: always a string.
    Quoted,
    /// `squote`: always a string.
    SingleQuoted,
    /// `toYaml`: a tree; YAML where text is wanted.
    Yaml,
    /// `toJson`: a tree; JSON where text is wanted.
    Json,
    /// `toPrettyJson`: a tree; JSON on many lines where text is wanted.
    PrettyJson,
}

/// What was done to the value as text. Whitespace for layout must not get into a value that is
/// inserted whole, so it is applied only where the slot becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Spaces before every line but the first.
    Indent {
        /// How many.
        width: usize,
        /// Before empty lines too.
        blank: bool,
    },
    /// No whitespace at the start.
    TrimStart,
    /// No whitespace at the end.
    TrimEnd,
}

/// A value that waits for its place.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The value.
    pub value: Json,
    /// How it was asked for.
    pub form: Form,
    /// What was done to it, in order.
    pub edits: Vec<Edit>,
}

/// There is no such slot, or the marker is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mangled;

/// The values of a render are larger than [`MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Slot {
    /// A value as it is.
    pub fn plain(value: Json) -> Self {
        Self::of(value, Form::Plain)
    }

    /// A value in a form.
    pub fn of(value: Json, form: Form) -> Self {
        Self { value, form, edits: Vec::new() }
    }

    /// Whether it is inserted as a tree and may be spliced among siblings.
    pub fn is_tree(&self) -> bool {
        matches!(self.form, Form::Yaml | Form::Json | Form::PrettyJson)
    }

    /// The slot as the text a plain text template would have had.
    pub fn text(&self) -> String {
        let raw = match self.form {
            Form::Plain | Form::Word => scalar_text(&self.value),
            Form::Quoted => Json::String(scalar_text(&self.value)).to_string(),
            Form::SingleQuoted => format!("'{}'", scalar_text(&self.value).replace('\'', "''")),
            Form::Yaml => to_yaml(&self.value),
            Form::Json => self.value.to_string(),
            Form::PrettyJson => self.value.pretty(),
        };
        self.edits.iter().fold(raw, |text, edit| edit.apply(text))
    }

    /// The slot as text inside a quoted scalar or a block of that indentation: layout spaces, up
    /// to the block's own, are not part of the value.
    pub(super) fn text_within(&self, block: Option<usize>) -> String {
        if self.edits.is_empty() {
            return self.text();
        }
        let mut inner = self.clone();
        for edit in &mut inner.edits {
            if let Edit::Indent { width, .. } = edit {
                *width = block.map_or(0, |block| width.saturating_sub(block));
            }
        }
        inner.text()
    }

    /// The slot as a string that is a whole node: no quotes, no layout.
    pub(super) fn whole_text(&self) -> String {
        let trims = |text, edit: &Edit| match edit {
            Edit::Indent { .. } => text,
            trim => trim.apply(text),
        };
        let text = match self.form {
            Form::Yaml => to_yaml(&self.value),
            _ => scalar_text(&self.value),
        };
        self.edits.iter().fold(text, trims)
    }

    fn weight(&self) -> usize {
        weight(&self.value) + 8 * self.edits.len()
    }
}

impl Edit {
    fn apply(&self, text: String) -> String {
        match self {
            Edit::TrimStart => text.trim_start().to_owned(),
            Edit::TrimEnd => text.trim_end().to_owned(),
            Edit::Indent { width, blank } => indent(&text, *width, *blank),
        }
    }
}

/// Spaces after every newline; after one that ends an empty line or the text only with `blank`.
pub fn indent(text: &str, width: usize, blank: bool) -> String {
    let pad = " ".repeat(width);
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&pad);
            }
        }
        out.push_str(line);
    }
    out
}

/// A value as text: null is empty, maps and lists are JSON.
pub fn scalar_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn weight(value: &Json) -> usize {
    match value {
        Json::String(text) => NODE + text.len(),
        Json::Array(items) => NODE + items.iter().map(weight).sum::<usize>(),
        Json::Object(map) => NODE + map.iter().map(|(k, v)| NODE + k.len() + weight(v)).sum::<usize>(),
        _ => NODE,
    }
}

/// The values of one render.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<Slot>,
    bytes: usize,
}

impl Slots {
    /// Keeps a value and writes its marker.
    pub fn push(&mut self, slot: Slot, out: &mut impl Write) -> Result<(), TooLarge> {
        let is_tree = slot.is_tree();
        let number = self.add(slot)?;
        write_marker(number, is_tree, out).map_err(|_| TooLarge)
    }

    /// Keeps a value: its number.
    pub fn add(&mut self, slot: Slot) -> Result<usize, TooLarge> {
        self.bytes = self.bytes.saturating_add(slot.weight());
        if self.bytes > MAX_BYTES {
            return Err(TooLarge);
        }
        self.slots.push(slot);
        Ok(self.slots.len() - 1)
    }

    /// The value with that number.
    pub fn get(&self, number: usize) -> Option<&Slot> {
        self.slots.get(number)
    }

    /// All values, in the order of their numbers.
    pub fn all(&self) -> &[Slot] {
        &self.slots
    }

    /// Marked text as the text a plain text template would have had.
    pub fn resolve(&self, marked: &str) -> Result<String, Mangled> {
        let mut out = String::with_capacity(marked.len());
        for segment in segments(marked) {
            match segment? {
                Segment::Text(text) => out.push_str(text),
                Segment::Marker { number, .. } => {
                    out.push_str(&self.get(number).ok_or(Mangled)?.text());
                }
            }
        }
        Ok(out)
    }
}

/// Writes the marker of a slot.
pub fn write_marker(number: usize, is_tree: bool, out: &mut impl Write) -> fmt::Result {
    out.write_str(if is_tree { "\u{E000}y" } else { "\u{E000}" })?;
    write!(out, "{number}")?;
    out.write_str("\u{E001}")
}

/// A piece of marked text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text of the template.
    Text(&'a str),
    /// A value's place.
    Marker {
        /// The slot.
        number: usize,
        /// The marker as it stands in the text.
        text: &'a str,
    },
}

/// Splits marked text into its pieces; a damaged marker is an error, never text.
pub fn segments(marked: &str) -> impl Iterator<Item = Result<Segment<'_>, Mangled>> {
    let mut rest = marked;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, segment) = match rest.find([OPEN, CLOSE]) {
            None => (rest, Ok(Segment::Text(rest))),
            Some(0) => marker(rest),
            Some(at) => (&rest[..at], Ok(Segment::Text(&rest[..at]))),
        };
        rest = if segment.is_ok() { &rest[piece.len()..] } else { "" };
        Some(segment)
    })
}

fn marker(text: &str) -> (&str, Result<Segment<'_>, Mangled>) {
    let number = text.strip_prefix(OPEN).and_then(|inner| {
        let end = inner.find(CLOSE)?;
        let inner = inner.get(..end)?;
        let digits = inner.strip_prefix('y').unwrap_or(inner);
        let number = digits.parse::<usize>().ok()?;
        Some((number, OPEN.len_utf8() + inner.len() + CLOSE.len_utf8()))
    });
    match number.and_then(|(number, len)| Some((number, text.get(..len)?))) {
        Some((number, text)) => (text, Ok(Segment::Marker { number, text })),
        None => (text, Err(Mangled)),
    }
}
