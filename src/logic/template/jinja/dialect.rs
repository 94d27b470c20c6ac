//! What can be told from a template's source without parsing it.

use std::ops::Range;

/// Filters whose result is text with markers.
const MARKING: [&str; 8] = ["toYaml", "toJson", "tojson", "quote", "squote", "indent", "nindent", "trim"];

/// Whether text with markers can get anywhere but straight to the output. Errs towards yes.
pub(super) fn may_hold_text(source: &str) -> bool {
    const CAPTURING: [&str; 8] =
        ["endset", "endmacro", "endfilter", "endcall", "endblock", "recursive", "import", "include"];
    CAPTURING.iter().any(|word| source.contains(word))
        || tags(source, "{{", "}}").any(|tag| mentions_marking(tag) && !is_chain(tag))
        || tags(source, "{%", "%}").any(mentions_marking)
}

/// Everything that may be a tag: also in comments and raw blocks, and cut off by a `}}` in a string.
fn tags<'a>(source: &'a str, open: &'static str, close: &'static str) -> impl Iterator<Item = &'a str> {
    source.match_indices(open).filter_map(move |(at, _)| {
        let inner = source.get(at + open.len()..)?;
        inner.get(..inner.find(close).unwrap_or(inner.len()))
    })
}

fn mentions_marking(tag: &str) -> bool {
    MARKING.iter().any(|name| tag.contains(name))
}

/// Whether a tag is `name.name | filter | filter(1, 'x')` and nothing else: no operator, no call.
fn is_chain(tag: &str) -> bool {
    let mut parts = tag.trim_matches('-').split('|');
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
    let long = real_tags(source).into_iter().find(|tag| tag.len() > max)?;
    source.get(..long.start).map(|before| before.matches('\n').count() + 1)
}

/// The insides of the tags, as minijinja's lexer finds them: strings, comments and raw blocks are
/// known.
pub(super) fn real_tags(source: &str) -> Vec<Range<usize>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        let inner = source.get(open + 2..).unwrap_or_default();
        let len = match source.as_bytes().get(open + 1) {
            Some(b'{') => tag_len(inner, "}}"),
            Some(b'%') => tag_len(inner, "%}"),
            Some(b'#') => {
                at = open + 2 + inner.find("#}").unwrap_or(inner.len());
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        tags.push(open + 2..open + 2 + len);
        let is_raw = inner.get(..len).is_some_and(|tag| tag.trim_matches(['-', '+', ' ', '\n']) == "raw");
        at = open + 2 + len + if is_raw { raw_len(inner.get(len..).unwrap_or_default()) } else { 0 };
    }
    tags
}

/// Length of a tag's inside; what closes it may stand in a string.
fn tag_len(inner: &str, close: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if inner.get(at..).is_some_and(|rest| rest.starts_with(close)) => return at,
            None => {}
        }
    }
    inner.len()
}

/// Length of a raw block, up to the tag that ends it.
fn raw_len(block: &str) -> usize {
    block
        .match_indices("{%")
        .find(|(at, _)| {
            let tag = block.get(at + 2..).unwrap_or_default();
            tag.trim_start_matches(['-', '+']).trim_start().starts_with("endraw")
        })
        .map_or(block.len(), |(at, _)| at)
}
