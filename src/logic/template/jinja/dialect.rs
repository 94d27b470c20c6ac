//! What can be told from a template's source without parsing it.

use super::lexer::{self, Kind, Tag};

/// Filters whose result is text with markers.
const MARKING: [&str; 8] = ["toYaml", "toJson", "tojson", "quote", "squote", "indent", "nindent", "trim"];

/// Whether a tag of the source can only be a Go template's. Not asked where a `{%` says Jinja.
pub(super) fn go_action(source: &str) -> Option<usize> {
    if source.contains("{%") {
        return None;
    }
    source
        .match_indices("{{")
        .find(|(at, _)| is_go(source.get(at + 2..).unwrap_or_default()))
        .map(|(at, _)| source.get(..at).map_or(1, |before| before.matches('\n').count() + 1))
}

fn is_go(action: &str) -> bool {
    let action = action.strip_prefix('-').unwrap_or(action).trim_start();
    if action.starts_with("/*") || action.starts_with('$') {
        return true;
    }
    if let Some(field) = action.strip_prefix('.') {
        return !field.starts_with(|c: char| c.is_ascii_digit());
    }
    let word: String = action.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = action.get(word.len()..).unwrap_or_default();
    let argument = rest.trim_start();
    match word.as_str() {
        "" => false,
        "end" | "else" => argument.starts_with(['}', '-']),
        "if" | "range" | "with" | "define" | "template" | "block" if argument.len() < rest.len() => true,
        // A function with a field, variable or literal as its argument, as only Go writes it.
        _ => argument.len() < rest.len() && argument.starts_with(['.', '$', '"', '`']),
    }
}

/// Whether text with markers can get anywhere but straight to the output. Errs towards yes.
pub(super) fn may_hold_text(source: &str) -> bool {
    const CAPTURING: [&str; 8] =
        ["endset", "endmacro", "endfilter", "endcall", "endblock", "recursive", "import", "include"];
    let holds = |tag: Tag| {
        let inside = source.get(tag.inside).unwrap_or_default();
        names_unseen_filter(inside) || (mentions_marking(inside) && (tag.kind == Kind::Statement || !is_chain(inside)))
    };
    CAPTURING.iter().any(|word| source.contains(word)) || lexer::tags(source).into_iter().any(holds)
}

fn mentions_marking(tag: &str) -> bool {
    MARKING.iter().any(|name| tag.contains(name))
}

/// Whether `map` takes the name of a filter from elsewhere than a plain string.
fn names_unseen_filter(tag: &str) -> bool {
    let is_seen = |arguments: &str| {
        let mut parts = arguments.trim_start().splitn(3, ['"', '\'']);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(""), Some(name), Some(rest)) => !name.contains('\\') && rest.trim_start().starts_with([')', ',']),
            (Some(first), ..) => first.starts_with("attribute"),
            _ => false,
        }
    };
    let arguments = |(at, _)| tag.get(at + 3..)?.trim_start().strip_prefix('(');
    tag.match_indices("map").filter_map(arguments).any(|arguments| !is_seen(arguments))
}

/// Whether a tag is `name.name | filter | filter(1, 'x')` and nothing else: no operator, no call.
fn is_chain(tag: &str) -> bool {
    let mut parts = tag.split('|');
    let is_path = |path: &str| !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    let is_filter = |filter: &str| match filter.split_once('(') {
        None => is_path(filter),
        Some((name, arguments)) => {
            is_path(name.trim())
                && arguments.strip_suffix(')').is_some_and(|arguments| {
                    !mentions_marking(arguments)
                        && arguments.chars().all(|c| c.is_ascii_alphanumeric() || "_.,='\" ".contains(c))
                })
        }
    };
    parts.next().is_some_and(|path| is_path(path.trim())) && parts.all(|filter| is_filter(filter.trim()))
}

/// The line of the first tag longer than `max` bytes.
pub(super) fn long_tag(source: &str, max: usize) -> Option<usize> {
    let long = lexer::tags(source).into_iter().find(|tag| tag.inside.len() > max)?;
    source.get(..long.inside.start).map(|before| before.matches('\n').count() + 1)
}
