//! Texts: searched, joined, repeated, split.

use std::sync::Arc;

use gotmpl::Value;

use super::bounds::{self, Text};
use super::call::{Call, Map, Output, Reason, text};
use super::lists::strings;
use super::printing::{print, printed};

pub fn hello(call: &Call) -> Output {
    call.read::<()>()?;
    text("Hello!")
}

pub fn to_string(call: &Call) -> Output {
    let (value,) = call.read()?;
    text(printed(value)?)
}

pub fn contains(call: &Call) -> Output {
    let (part, s): (&str, &str) = call.read()?;
    Ok(Value::Bool(s.contains(part)))
}

pub fn has_prefix(call: &Call) -> Output {
    let (prefix, s): (&str, &str) = call.read()?;
    Ok(Value::Bool(s.starts_with(prefix)))
}

pub fn has_suffix(call: &Call) -> Output {
    let (suffix, s): (&str, &str) = call.read()?;
    Ok(Value::Bool(s.ends_with(suffix)))
}

pub fn repeat(call: &Call) -> Output {
    let (count, s): (i64, &str) = call.read()?;
    let count =
        usize::try_from(count).map_err(|_| Reason::Said("a text cannot be repeated a negative number of times"))?;
    let mut out = Text::of_length(s.len().saturating_mul(count))?;
    if !s.is_empty() {
        for _ in 0..count {
            out.push(s)?;
        }
    }
    out.done()
}

/// `replace old new text`. An empty text is found before each character and at the end.
pub fn replace(call: &Call) -> Output {
    let (old, new, s): (&str, &str, &str) = call.read()?;
    let mut out = Text::default();
    let mut end = 0;
    for (start, found) in s.match_indices(old) {
        out.push(s.get(end..start).unwrap_or_default())?;
        out.push(new)?;
        end = start + found.len();
    }
    out.push(s.get(end..).unwrap_or_default())?;
    out.done()
}

/// All that is not nil, with spaces between.
pub fn cat(call: &Call) -> Output {
    let mut out = Text::default();
    for (i, value) in call.args.iter().filter(|value| !matches!(value, Value::Nil)).enumerate() {
        out.push(if i > 0 { " " } else { "" })?;
        print(value, &mut out)?;
    }
    out.done()
}

pub fn join(call: &Call) -> Output {
    let (between, value): (&str, &Value) = call.read()?;
    let mut out = Text::default();
    for (i, item) in strings(value)?.iter().enumerate() {
        out.push(if i > 0 { between } else { "" })?;
        out.push(item)?;
    }
    out.done()
}

pub fn plural(call: &Call) -> Output {
    let (one, many, count): (&str, &str, i64) = call.read()?;
    text(if count == 1 { one } else { many })
}

/// The parts between separators, at most so many where a number is given. With an empty separator:
/// the characters.
fn parts<'a>(s: &'a str, separator: &'a str, most: Option<usize>) -> Vec<&'a str> {
    let most = most.unwrap_or(usize::MAX).min(bounds::MAX_ITEMS + 1);
    if most == 0 {
        return Vec::new();
    }
    if !separator.is_empty() {
        return s.splitn(most, separator).collect();
    }
    let mut parts: Vec<&str> = Vec::new();
    let mut left = s;
    while let Some(first) = left.chars().next() {
        if parts.len() + 1 == most {
            parts.push(left);
            break;
        }
        let (part, rest) = left.split_at(first.len_utf8());
        parts.push(part);
        left = rest;
    }
    parts
}

pub fn split_list(call: &Call) -> Output {
    let (separator, s): (&str, &str) = call.read()?;
    bounds::texts(parts(s, separator, None))
}

/// A dict of the parts: `_0`, `_1` and so on.
pub fn split(call: &Call) -> Output {
    let (separator, s): (&str, &str) = call.read()?;
    numbered(parts(s, separator, None))
}

pub fn splitn(call: &Call) -> Output {
    let (separator, most, s): (&str, i64, &str) = call.read()?;
    numbered(parts(s, separator, usize::try_from(most).ok()))
}

fn numbered(parts: Vec<&str>) -> Output {
    bounds::items(parts.len())?;
    let entry = |(i, part): (usize, &str)| (Arc::from(format!("_{i}")), Value::String(part.into()));
    bounds::dict(parts.into_iter().enumerate().map(entry).collect::<Map>())
}
