//! The source of a Go template, as far as it has to be looked at before gotmpl parses it: where actions are, comments,
//! and whether every block is closed, which gotmpl does not ask.

use std::collections::BTreeSet;
use std::ops::Range;

use super::failure;
use crate::logic::template::TemplateError;

/// One action, without its braces.
pub(super) struct Action {
    /// Where its inside is.
    pub(super) inside: Range<usize>,
    /// Whether it is a comment.
    pub(super) is_comment: bool,
}

/// Line and column (in characters) of a place, from 1.
pub(in crate::logic::template) fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

/// Length of an action's inside, up to its closing braces, which may stand in a string as well.
pub(in crate::logic::template) fn action_len(inside: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            None if inside.get(at..).is_some_and(|rest| rest.starts_with("}}")) => return at,
            None => {}
        }
    }
    inside.len()
}

/// Length of a comment's inside, if an action begins with one: `/* … */`, with space and dashes around it.
pub(in crate::logic::template) fn comment_len(inside: &str) -> Option<usize> {
    let trimmed = inside.strip_prefix('-').filter(|rest| rest.starts_with(SPACE)).unwrap_or(inside);
    let comment = trimmed.trim_start_matches(SPACE).strip_prefix("/*")?;
    let start = inside.len() - comment.len();
    let end = start + comment.find("*/")? + 2;
    let rest = inside.get(end..)?;
    Some(end + rest.find("}}").filter(|len| rest[..*len].trim_matches(SPACE).trim_matches('-').is_empty())?)
}

/// What Go's templates take for space.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// All actions, in order.
pub(super) fn actions(source: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find("{{")) {
        let start = at + open + 2;
        let inside = source.get(start..).unwrap_or_default();
        let comment = comment_len(inside);
        let end = start + comment.unwrap_or_else(|| action_len(inside));
        actions.push(Action { inside: start..end, is_comment: comment.is_some() });
        at = end;
    }
    actions
}

/// The source with an empty string in place of every comment, and where those are. gotmpl trims too much around
/// comments; around strings it does as Go does. All places stay what they are.
pub(super) fn without_comments(source: &str, actions: &[Action]) -> (String, BTreeSet<usize>) {
    let mut out = String::with_capacity(source.len());
    let mut places = BTreeSet::new();
    let mut done = 0;
    for action in actions.iter().filter(|action| action.is_comment) {
        let inside = source.get(action.inside.clone()).unwrap_or_default();
        let (Some(open), Some(close)) = (inside.find("/*"), inside.rfind("*/")) else { continue };
        let (start, end) = (action.inside.start + open, action.inside.start + close + 2);
        out.push_str(source.get(done..start).unwrap_or_default());
        places.insert(start);
        out.push_str("\"\"");
        out.extend(source.get(start + 2..end).unwrap_or_default().bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        done = end;
    }
    out.push_str(source.get(done..).unwrap_or_default());
    (out, places)
}

/// A block that is still open.
struct Block<'a> {
    word: &'a str,
    offset: usize,
    has_else: bool,
}

/// Refuses blocks that are not closed, and what closes none.
pub(super) fn check_blocks(source: &str, actions: &[Action]) -> Result<(), TemplateError> {
    if actions.last().is_some_and(|action| action.inside.end == source.len()) {
        // What is wrong is that the last action never ends, which the parser says.
        return Ok(());
    }
    let mut open: Vec<Block> = Vec::new();
    for action in actions.iter().filter(|action| !action.is_comment) {
        let (word, offset) = first_word(source, action);
        let refuse = |reason: &str| Err(failure::at(TemplateError::new(reason), source, offset));
        match word {
            "if" | "with" | "range" | "block" => open.push(Block { word, offset, has_else: false }),
            "define" if open.is_empty() => open.push(Block { word, offset, has_else: false }),
            "define" => return refuse("define cannot stand inside of something else"),
            "else" => match open.last_mut() {
                Some(block) if matches!(block.word, "if" | "with" | "range") && !block.has_else => {
                    block.has_else = !has_condition(source, action);
                }
                _ => return refuse("else belongs to nothing"),
            },
            "end" if open.pop().is_none() => return refuse("end closes nothing"),
            "break" | "continue" if !open.iter().any(|block| block.word == "range") => {
                return refuse("there is no range around this");
            }
            _ => {}
        }
    }
    match open.last() {
        Some(block) => {
            let reason = format!("{} is not closed by end", block.word);
            Err(failure::at(TemplateError::new(reason), source, block.offset))
        }
        None => Ok(()),
    }
}

fn first_word<'a>(source: &'a str, action: &Action) -> (&'a str, usize) {
    let inside = source.get(action.inside.clone()).unwrap_or_default();
    let trimmed = inside.strip_prefix('-').unwrap_or(inside).trim_start_matches(SPACE);
    let word = trimmed.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    // `else.x` is no keyword, but a mistake that gotmpl finds.
    (word, action.inside.start + inside.len() - trimmed.len())
}

/// Whether it is `else if` or `else with`.
fn has_condition(source: &str, action: &Action) -> bool {
    let inside = source.get(action.inside.clone()).unwrap_or_default();
    let words = inside.trim_matches(|c| c == '-' || SPACE.contains(&c));
    words.strip_prefix("else").is_some_and(|rest| !rest.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_ends_at_its_braces_and_not_at_those_of_a_string() {
        let source = "a{{ x \"}}\" }}b{{`}}` '}' \"\\\"}}\"}}{{/* }} \" */}}{{- /* a\n*/ -}}{{ /* c }}";
        let found: Vec<_> = actions(source).iter().map(|a| (&source[a.inside.clone()], a.is_comment)).collect();
        assert_eq!(
            found,
            [
                (" x \"}}\" ", false),
                ("`}}` '}' \"\\\"}}\"", false),
                ("/* }} \" */", true),
                ("- /* a\n*/ -", true),
                (" /* c ", false)
            ]
        );
    }

    #[test]
    fn comments_become_nothing_in_their_place() {
        let source = "a {{- /* é\n */}} b{{ x }}{{/* c */ -}}\n";
        let (clean, places) = without_comments(source, &actions(source));
        assert_eq!(clean, "a {{- \"\"   \n   }} b{{ x }}{{\"\"      -}}\n");
        assert_eq!(clean.len(), source.len());
        assert!(places.iter().all(|place| clean[*place..].starts_with("\"\"")));
    }
}
