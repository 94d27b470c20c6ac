//! Makes a tree's marker that is alone on its line parse among siblings. Among keys it becomes a
//! key without a value, among list items an item; the skeleton undoes it where the line turns out
//! to be text (a block scalar, a quoted one), so nothing here needs to know about scalars.

use std::borrow::Cow;
use std::ops::Range;

use super::slot::{AS_ITEM, AS_KEY, CLOSE, OPEN, Segment, segments};

/// What stands beside a line, at its column.
#[derive(Clone, Copy, PartialEq)]
enum Sibling {
    Item,
    /// A key without a value: what follows may be its list, which YAML allows at its own column.
    OpenKey,
    Other,
}

/// The text with the lines changed that need it. Lines keep their numbers.
pub(super) fn prepare(marked: &str) -> Cow<'_, str> {
    if !marked.contains("\u{E000}y") {
        return Cow::Borrowed(marked);
    }
    let lines: Vec<Line> = marked.split('\n').map(Line::of).collect();
    let mut out = String::with_capacity(marked.len() + 64);
    let mut steps = MAX_STEPS;
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let Some(tree) = &line.tree else {
            out.push_str(line.text);
            continue;
        };
        let (before, after) = (&line.text[..tree.start], &line.text[tree.end..]);
        let marker = &line.text[tree.clone()];
        out.push_str(before);
        if is_among_items(&lines, number, &mut steps) {
            out.push_str(AS_ITEM);
            out.push_str(marker);
        } else {
            out.push_str(marker);
            out.push_str(AS_KEY);
        }
        out.push_str(after);
    }
    Cow::Owned(out)
}

/// A line of the marked text.
struct Line<'a> {
    text: &'a str,
    column: usize,
    /// Where the marker is, if a tree's marker is all there is but for a comment.
    tree: Option<Range<usize>>,
}

impl<'a> Line<'a> {
    fn of(text: &'a str) -> Self {
        let column = text.len() - text.trim_start_matches(' ').len();
        let tree = lone_tree(&text[column..]).map(|len| column..column + len);
        Self { text, column, tree }
    }

    fn content(&self) -> &'a str {
        &self.text[self.column..]
    }

    /// Whether neighbours are looked for beyond it.
    fn is_transparent(&self, column: usize) -> bool {
        let content = self.content().trim();
        content.is_empty() || content.starts_with('#') || (self.tree.is_some() && self.column == column)
    }

    fn ends_document(&self) -> bool {
        self.text.starts_with("---") || self.text.starts_with("...")
    }
}

fn lone_tree(content: &str) -> Option<usize> {
    let Some(Ok(Segment::Marker { text, .. })) = segments(content).next() else {
        return None;
    };
    let after = &content[text.len()..];
    let blank = after.trim_end().is_empty();
    let comment = after.starts_with(' ') && after.trim_start().starts_with('#');
    let is_tree = text.starts_with("\u{E000}y");
    (is_tree && (blank || comment) && !after.contains([OPEN, CLOSE])).then_some(text.len())
}

/// Lines that are looked at altogether; no text that is meant needs nearly as many.
const MAX_STEPS: usize = 2_000_000;

fn is_among_items(lines: &[Line], number: usize, steps: &mut usize) -> bool {
    match before(lines, number, steps) {
        Some(Sibling::Item) => true,
        Some(Sibling::Other) => false,
        Some(Sibling::OpenKey) | None => after(lines, number, steps) == Some(Sibling::Item),
    }
}

fn before(lines: &[Line], number: usize, steps: &mut usize) -> Option<Sibling> {
    let column = lines[number].column;
    for line in lines[..number].iter().rev().take(*steps) {
        *steps -= 1;
        if line.is_transparent(column) {
            continue;
        }
        if line.ends_document() {
            return None;
        }
        if line.column <= column {
            return at(line, column);
        }
    }
    None
}

fn after(lines: &[Line], number: usize, steps: &mut usize) -> Option<Sibling> {
    let column = lines[number].column;
    for line in lines[number + 1..].iter().take(*steps) {
        *steps -= 1;
        if line.is_transparent(column) {
            continue;
        }
        let is_sibling = line.column == column && !line.ends_document();
        return is_sibling.then(|| kind(line.content()));
    }
    None
}

/// What stands at a column of a line, which may be behind dashes.
fn at(line: &Line, column: usize) -> Option<Sibling> {
    let (mut content, mut at) = (line.content(), line.column);
    while at < column {
        let inner = content.strip_prefix('-')?;
        let trimmed = inner.trim_start_matches(' ');
        if trimmed.len() == inner.len() || trimmed.is_empty() {
            return None;
        }
        at += content.len() - trimmed.len();
        content = trimmed;
    }
    (at == column).then(|| kind(content))
}

fn kind(content: &str) -> Sibling {
    let content = content.split(" #").next().unwrap_or(content).trim_end();
    if content == "-" || content.starts_with("- ") {
        Sibling::Item
    } else if content.ends_with(':') {
        Sibling::OpenKey
    } else {
        Sibling::Other
    }
}
