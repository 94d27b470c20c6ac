//! What a match is replaced by: text, and `$1`, `$name` or `${name}` for what groups matched.

use regex_automata::util::captures::Captures;

/// A piece of a replacement.
pub enum Piece<'t> {
    Text(&'t str),
    Number(usize),
    Name(&'t str),
}

impl Piece<'_> {
    /// What stands in its place. A group that is not there or matched nothing is empty.
    pub fn text<'a>(&'a self, s: &'a str, groups: Option<&Captures>) -> &'a str {
        let group = match self {
            Self::Text(text) => return text,
            Self::Number(number) => groups.and_then(|groups| groups.get_group(*number)),
            Self::Name(name) => groups.and_then(|groups| groups.get_group_by_name(name)),
        };
        group.and_then(|group| s.get(group.range())).unwrap_or_default()
    }
}

/// The pieces of a replacement. `$$` is a dollar, as is one that no name follows.
pub fn pieces(replacement: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut left = replacement;
    while let Some(dollar) = left.find('$') {
        let (before, at) = left.split_at(dollar);
        pieces.push(Piece::Text(before));
        let after = at.get(1..).unwrap_or_default();
        left = match (after.strip_prefix('$'), reference(after)) {
            (Some(rest), _) => {
                pieces.push(Piece::Text("$"));
                rest
            }
            (_, Some((name, rest))) => {
                let padded = name.len() > 1 && name.starts_with('0');
                let number = name.parse().ok().filter(|_| !padded);
                pieces.push(number.map_or(Piece::Name(name), Piece::Number));
                rest
            }
            _ => {
                pieces.push(Piece::Text("$"));
                after
            }
        };
    }
    pieces.push(Piece::Text(left));
    pieces
}

/// The name after a dollar, as long as it can be, and what follows it.
fn reference(after: &str) -> Option<(&str, &str)> {
    let inside = after.strip_prefix('{');
    let name = inside.unwrap_or(after);
    let end = name.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let rest = if inside.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}
