//! Regular expressions, as Go's `regexp` has them.
//!
//! A pattern with a mistake is an error everywhere. In Sprig it is one, but for `regexMatch`, which
//! then says false.

mod replacement;
mod syntax;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use gotmpl::Value;
use regex::{Match, Regex, RegexBuilder};

use super::bounds::{self, Text};
use super::call::{Call, Output, Reason, text};
use replacement::{Piece, pieces};

/// Compiled patterns. Keep one for each template: compiling costs more than matching.
#[derive(Default)]
pub struct Patterns(Mutex<HashMap<Box<str>, Regex>>);

/// Patterns kept. A compiled one takes up to 2 MiB.
const MAX_KEPT: usize = 16;
/// Longer patterns are refused.
const MAX_PATTERN: usize = 16 << 10;
/// Bytes of a compiled pattern, and of what it keeps while it matches.
const MAX_COMPILED: usize = 1 << 20;

impl Patterns {
    fn get(&self, pattern: &str) -> Result<Regex, Reason> {
        if let Some(found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(pattern) {
            return Ok(found.clone());
        }
        let compiled = compile(pattern)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(pattern.into(), compiled.clone());
        Ok(compiled)
    }
}

fn compile(pattern: &str) -> Result<Regex, Reason> {
    if pattern.len() > MAX_PATTERN {
        return Err(Reason::Said("the regular expression is longer than 16 KiB"));
    }
    let translated = syntax::translated(pattern).ok_or(NO_PATTERN)?;
    let built =
        RegexBuilder::new(&translated).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).nest_limit(200).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Reason::Said("the regular expression is too large"),
        _ => NO_PATTERN,
    })
}

const NO_PATTERN: Reason = Reason::Said("the text is not a regular expression");

/// Looking for a match can read the whole rest of the text, for each match anew.
#[derive(Default)]
struct Effort(usize);

impl Effort {
    fn spend(&mut self, bytes: usize) -> Result<(), Reason> {
        const MAX: usize = 1 << 30;
        self.0 = self.0.saturating_add(bytes);
        if self.0 > MAX { Err(Reason::Said("there are too many matches in so long a text")) } else { Ok(()) }
    }
}

/// The first matches, at most so many.
fn matches<'s>(pattern: &Regex, s: &'s str, most: usize) -> Result<Vec<Match<'s>>, Reason> {
    let mut effort = Effort::default();
    let mut found = Vec::new();
    for one in pattern.find_iter(s).take(most) {
        bounds::items(found.len() + 1)?;
        effort.spend(s.len() - one.start())?;
        found.push(one);
    }
    Ok(found)
}

/// A count as Go has it: negative for all.
fn most(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

pub fn is_match(call: &Call) -> Output {
    let (pattern, s): (&str, &str) = call.read()?;
    Ok(Value::Bool(call.patterns.get(pattern)?.is_match(s)))
}

pub fn find(call: &Call) -> Output {
    let (pattern, s): (&str, &str) = call.read()?;
    text(call.patterns.get(pattern)?.find(s).map_or("", |found| found.as_str()))
}

pub fn find_all(call: &Call) -> Output {
    let (pattern, s, count): (&str, &str, i64) = call.read()?;
    bounds::texts(matches(&call.patterns.get(pattern)?, s, most(count))?.iter().map(Match::as_str))
}

/// Parts between matches, at most so many.
pub fn split(call: &Call) -> Output {
    let (pattern, s, count): (&str, &str, i64) = call.read()?;
    let found = call.patterns.get(pattern)?;
    if count == 0 {
        return bounds::texts([]);
    }
    if s.is_empty() && !pattern.is_empty() {
        return bounds::texts([""]);
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for one in matches(&found, s, most(count))? {
        if parts.len() + 1 == most(count) {
            break;
        }
        end = one.start();
        if one.end() != 0 {
            parts.push(s.get(start..end).unwrap_or_default());
        }
        start = one.end();
    }
    if end != s.len() {
        parts.push(s.get(start..).unwrap_or_default());
    }
    bounds::texts(parts)
}

pub fn replace_all(call: &Call) -> Output {
    replaced(call, pieces)
}

pub fn replace_all_literal(call: &Call) -> Output {
    replaced(call, |replacement| vec![Piece::Text(replacement)])
}

fn replaced(call: &Call, pieces: for<'t> fn(&'t str) -> Vec<Piece<'t>>) -> Output {
    let (pattern, s, replacement): (&str, &str, &str) = call.read()?;
    let (pattern, pieces) = (call.patterns.get(pattern)?, pieces(replacement));
    let mut effort = Effort::default();
    let mut out = Text::default();
    let mut end = 0;
    for found in pattern.captures_iter(s) {
        let Some(whole) = found.get(0) else { continue };
        effort.spend(s.len() - whole.start())?;
        out.push(s.get(end..whole.start()).unwrap_or_default())?;
        for piece in &pieces {
            out.push(piece.text(&found))?;
        }
        end = whole.end();
    }
    out.push(s.get(end..).unwrap_or_default())?;
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
