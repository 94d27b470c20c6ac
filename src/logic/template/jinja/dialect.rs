//! What can be told from a template's source without parsing it.

use super::lexer::{self, Kind, Tag};

/// Filters whose result is text with markers.
const MARKING: [&str; 8] = ["toYaml", "toJson", "tojson", "quote", "squote", "indent", "nindent", "trim"];

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
