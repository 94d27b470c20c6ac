//! Operators cannot be replaced in minijinja, so their operands are prepared by filters of ours, which are added to
//! the source. `~` prints its operands as Python does (`True`, `None`, `['a']`): they are made text first. What
//! computes or compares knows machine numbers alone: [`super::exact`] numbers are made floats first. Parts of lists
//! and repeated lists are lazy, which would hide work from the fuel: they are made lists.

mod reader;

use std::borrow::Cow;

use super::lexer::tags;

/// The filter for operands of `~`.
pub(super) const TEXT: &str = "__text";
/// The filter for operands of `+` and `-`.
pub(super) const NUMBER: &str = "__num";
/// The filter for operands of what compares, and of what computes them.
pub(super) const COMPARED: &str = "__cmp";
/// The filter for operands of `*` and the like.
pub(super) const FACTOR: &str = "__fac";
/// The same where there are several in a row.
pub(super) const FACTORS: &str = "__facs";
/// The filter for what a minus negates, which would bind tighter than a filter: `-x` becomes `-__n(x|__neg)`.
pub(super) const NEGATED: &str = "__neg";
/// The filter for what is cut and for what that gives: `x[1:]` becomes `__n(__n(x|__list)[1:]|__list)`.
pub(super) const LIST: &str = "__list";
/// A function that gives back what it gets.
pub(super) const SAME: &str = "__n";

/// Longer rows of operators, filters, attributes and the like are refused: they are compiled in quadratic time, and
/// need stack.
pub(super) const MAX_LINKS: usize = 200;

/// What is added to the source. It never spans a line.
const ADDED: [&str; 8] = ["|__text", "|__num", "|__cmp", "|__facs", "|__fac", "|__neg)", "|__list)", "__n("];

/// The source with the filters behind operands. The error is the line of a tag with more than [`MAX_LINKS`] operators
/// and the like in a row.
pub(super) fn prepared(source: &str) -> Result<Cow<'_, str>, usize> {
    let mut out = String::new();
    let mut done = 0;
    for tag in tags(source) {
        let inside = source.get(tag.inside.clone()).unwrap_or_default();
        let start = tag.inside.start;
        let line = || source.get(..start).unwrap_or_default().matches('\n').count() + 1;
        let mut added = reader::additions(inside, tag.kind).ok_or_else(line)?;
        // What is added at the same place stays in order.
        added.sort_by_key(|(at, _)| *at);
        for (at, added) in added {
            out.push_str(source.get(done..start + at).unwrap_or_default());
            out.push_str(added);
            done = start + at;
        }
    }
    if done == 0 {
        return Ok(Cow::Borrowed(source));
    }
    out.push_str(source.get(done..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// Text of the changed source as the user wrote it.
pub(super) fn as_written(text: &str) -> String {
    ADDED.iter().fold(text.to_owned(), |text, added| text.replace(added, ""))
}

/// Whether text of the changed source is one of the filters alone.
pub(super) fn is_added(text: &str) -> bool {
    ADDED.iter().any(|added| added.trim_matches(['|', ')']) == text)
}

#[cfg(test)]
mod tests;
