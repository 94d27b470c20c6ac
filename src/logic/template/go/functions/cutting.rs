//! Parts of texts: cut, shortened, wrapped, trimmed.
//!
//! Places are counted in bytes, as in Go. A character that would be cut in two is left out.

use super::bounds::Text;
use super::call::{Call, Output, Reason, text};

/// A length or place, as far as texts go.
fn length(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

fn boundary_before(s: &str, at: usize) -> usize {
    (0..=at.min(s.len())).rev().find(|at| s.is_char_boundary(*at)).unwrap_or_default()
}

fn boundary_after(s: &str, at: usize) -> usize {
    (at..s.len()).find(|at| s.is_char_boundary(*at)).unwrap_or(s.len())
}

/// The first characters that fit into so many bytes.
fn head(s: &str, bytes: usize) -> &str {
    s.get(..boundary_before(s, bytes)).unwrap_or_default()
}

/// The characters that begin at a place or after it.
fn tail(s: &str, start: usize) -> &str {
    s.get(boundary_after(s, start)..).unwrap_or_default()
}

/// The first bytes, or of a negative number the last ones.
pub fn trunc(call: &Call) -> Output {
    let (bytes, s): (i64, &str) = call.read()?;
    if bytes >= 0 {
        return text(head(s, length(bytes)));
    }
    let cut = usize::try_from(bytes.unsigned_abs()).unwrap_or(usize::MAX);
    text(tail(s, s.len().saturating_sub(cut)))
}

/// `substr start end`. A negative start is 0, a negative end is the end.
pub fn substr(call: &Call) -> Output {
    let (start, end, s): (i64, i64, &str) = call.read()?;
    let end_of = |end: i64| usize::try_from(end).ok().filter(|end| *end <= s.len());
    let (start, end) = match (usize::try_from(start), end_of(end)) {
        (Err(_), end) => (0, end),
        (Ok(start), end) => (start, Some(end.unwrap_or(s.len()))),
    };
    match end.filter(|end| start <= *end) {
        Some(end) => text(tail(head(s, end), start)),
        None => Err(Reason::Said("the text has no such part")),
    }
}

const DOTS: &str = "...";

pub fn abbrev(call: &Call) -> Output {
    let (width, s): (i64, &str) = call.read()?;
    if width < 4 {
        return text(s);
    }
    text(abbreviated(s, 0, length(width)))
}

/// `abbrevboth left width`: on both sides, the first so many bytes left out.
pub fn abbrevboth(call: &Call) -> Output {
    let (left, width, s): (i64, i64, &str) = call.read()?;
    if width < 4 || left > 0 && width < 7 {
        return text(s);
    }
    text(abbreviated(s, length(left), length(width)))
}

fn abbreviated(s: &str, offset: usize, width: usize) -> String {
    let kept = width.saturating_sub(DOTS.len());
    if s.len() <= width {
        return s.to_owned();
    }
    let last = s.len() - kept;
    let offset = offset.min(last);
    if offset <= 4 {
        return format!("{}{DOTS}", head(s, kept));
    }
    if offset + kept < s.len() {
        return format!("{DOTS}{}", abbreviated(tail(s, offset), 0, kept));
    }
    format!("{DOTS}{}", tail(s, last))
}

/// The first letters of the words.
pub fn initials(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(s.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>())
}

pub fn nospace(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(s.split_whitespace().collect::<String>())
}

pub fn trim_all(call: &Call) -> Output {
    let (chars, s): (&str, &str) = call.read()?;
    text(s.trim_matches(|c| chars.contains(c)))
}

pub fn trim_prefix(call: &Call) -> Output {
    let (prefix, s): (&str, &str) = call.read()?;
    text(s.strip_prefix(prefix).unwrap_or(s))
}

pub fn trim_suffix(call: &Call) -> Output {
    let (suffix, s): (&str, &str) = call.read()?;
    text(s.strip_suffix(suffix).unwrap_or(s))
}

/// Lines of at most so many bytes; longer words stay whole.
pub fn wrap(call: &Call) -> Output {
    let (width, s): (i64, &str) = call.read()?;
    wrapped(s, width, "\n", false)
}

/// Lines of at most so many bytes, longer words cut, with a text of one's own between them.
pub fn wrap_with(call: &Call) -> Output {
    let (width, between, s): (i64, &str, &str) = call.read()?;
    wrapped(s, width, if between.is_empty() { "\n" } else { between }, true)
}

fn wrapped(mut s: &str, width: i64, between: &str, cut_words: bool) -> Output {
    let width = length(width).max(1);
    let mut out = Text::default();
    while s.len() > width {
        if let Some(rest) = s.strip_prefix(' ') {
            s = rest;
            continue;
        }
        // A space right after the width ends a line that fits it.
        let fitting = s.as_bytes().get(..=width).unwrap_or_default();
        let space = fitting.iter().rposition(|byte| *byte == b' ');
        let (line, rest) = match space.or_else(|| if cut_words { None } else { s.find(' ') }) {
            Some(space) => (s.get(..space), s.get(space + 1..)),
            None if cut_words => {
                let first = s.chars().next().map_or(0, char::len_utf8);
                let (line, rest) = s.split_at(boundary_before(s, width).max(first));
                (Some(line), Some(rest))
            }
            None => break,
        };
        out.push(line.unwrap_or_default())?;
        out.push(between)?;
        s = rest.unwrap_or_default();
    }
    out.push(s)?;
    out.done()
}
