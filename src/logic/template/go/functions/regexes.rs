//! Regular expressions, as Go's `regexp` has them.
//!
//! A pattern with a mistake is an error everywhere. In Sprig it is one, but for `regexMatch`, which
//! then says false.

mod pattern;
mod replacement;
mod syntax;

use std::ops::Range;
use std::sync::Arc;

use gotmpl::Value;

use super::bounds::{self, Text};
use super::call::{Call, Output, Reason, text};
use pattern::Pattern;
pub use pattern::{Effort, Patterns};
use replacement::{Piece, pieces};

impl Call<'_> {
    fn pattern(&self, pattern: &str) -> Result<Arc<Pattern>, Reason> {
        self.patterns.get(pattern, self.effort)
    }

    fn matches(&self, pattern: &str, s: &str, most: usize) -> Result<Vec<Range<usize>>, Reason> {
        self.pattern(pattern)?.matches(s, most, self.effort)
    }
}

/// A count as Go has it: negative for all.
fn most(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn part(s: &str, range: Range<usize>) -> &str {
    s.get(range).unwrap_or_default()
}

pub fn is_match(call: &Call) -> Output {
    let (pattern, s): (&str, &str) = call.read()?;
    Ok(Value::Bool(!call.matches(pattern, s, 1)?.is_empty()))
}

pub fn find(call: &Call) -> Output {
    let (pattern, s): (&str, &str) = call.read()?;
    text(call.matches(pattern, s, 1)?.pop().map_or("", |found| part(s, found)))
}

pub fn find_all(call: &Call) -> Output {
    let (pattern, s, count): (&str, &str, i64) = call.read()?;
    bounds::texts(call.matches(pattern, s, most(count))?.into_iter().map(|found| part(s, found)))
}

/// Parts between matches, at most so many.
pub fn split(call: &Call) -> Output {
    let (pattern, s, count): (&str, &str, i64) = call.read()?;
    let found = call.matches(pattern, s, most(count))?;
    if count == 0 {
        return bounds::texts([]);
    }
    if s.is_empty() && !pattern.is_empty() {
        return bounds::texts([""]);
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for one in found {
        if parts.len() + 1 == most(count) {
            break;
        }
        end = one.start;
        if one.end != 0 {
            parts.push(part(s, start..end));
        }
        start = one.end;
    }
    if end != s.len() {
        parts.push(part(s, start..s.len()));
    }
    bounds::texts(parts)
}

/// `$1` and `${name}` in the replacement are what these groups matched.
pub fn replace_all(call: &Call) -> Output {
    replaced(call, pieces)
}

pub fn replace_all_literal(call: &Call) -> Output {
    replaced(call, |replacement| vec![Piece::Text(replacement)])
}

fn replaced(call: &Call, pieces: for<'t> fn(&'t str) -> Vec<Piece<'t>>) -> Output {
    let (pattern, s, replacement): (&str, &str, &str) = call.read()?;
    let (pattern, pieces) = (call.pattern(pattern)?, pieces(replacement));
    let has_groups = pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)));
    let mut out = Text::default();
    let mut end = 0;
    for found in pattern.matches(s, usize::MAX, call.effort)? {
        out.push(part(s, end..found.start))?;
        end = found.end;
        let groups = if has_groups { Some(pattern.groups(s, found, call.effort)?) } else { None };
        for piece in &pieces {
            out.push(piece.text(s, groups.as_ref()))?;
        }
    }
    out.push(part(s, end..s.len()))?;
    out.done()
}

pub fn quote_meta(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    text(out)
}
