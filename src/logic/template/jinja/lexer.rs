//! The tags of a template and the tokens in them, found as minijinja's lexer finds them: strings, comments, raw blocks
//! and open brackets are known.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

/// What stands between `{{` and `}}` or `{%` and `%}`, without the marks for white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    /// Where it stands in the source, in bytes.
    pub(super) inside: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{{ … }}`
    Expression,
    /// `{% … %}`
    Statement,
}

impl Kind {
    fn close(self) -> &'static str {
        match self {
            Self::Expression => "}}",
            Self::Statement => "%}",
        }
    }
}

/// All tags but `raw` and `endraw`. One that is not closed reaches to the end.
pub(super) fn tags(source: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        let kind = match source.as_bytes().get(open + 1) {
            Some(b'{') => Kind::Expression,
            Some(b'%') => Kind::Statement,
            Some(b'#') => {
                let start = open + 2 + usize::from(has_mark(source, open + 2));
                let comment = source.get(start..).unwrap_or_default();
                at = start + comment.find("#}").map_or(comment.len(), |end| end + 2);
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        let start = open + 2 + usize::from(has_mark(source, open + 2));
        let inner = source.get(start..).unwrap_or_default();
        if let Some(block) = bare_tag(inner, "raw").filter(|_| kind == Kind::Statement) {
            at = start + block + raw_len(inner.get(block..).unwrap_or_default());
            continue;
        }
        let end = start + tag_len(inner, kind.close());
        tags.push(Tag { kind, inside: start..end });
        at = end;
    }
    tags
}

/// Whether a mark for white space is here.
fn has_mark(source: &str, at: usize) -> bool {
    matches!(source.as_bytes().get(at), Some(b'-' | b'+'))
}

/// Length of a tag's inside. What closes it counts only outside of strings and brackets.
fn tag_len(inner: &str, close: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut open = 0_i32;
    for (at, c) in inner.char_indices() {
        let rest = inner.get(at..).unwrap_or_default();
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(opened) if c == opened => quote = None,
            Some(_) => {}
            None if open == 0 && rest.strip_prefix(['-', '+']).unwrap_or(rest).starts_with(close) => return at,
            None => match c {
                '"' | '\'' => quote = Some(c),
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open -= 1,
                _ => {}
            },
        }
    }
    inner.len()
}

/// Length of the rest of a tag that is this word alone, what closes it included.
fn bare_tag(inner: &str, word: &str) -> Option<usize> {
    let blank = |c: char| c.is_ascii_whitespace();
    let rest = inner.trim_start_matches(blank).strip_prefix(word)?.trim_start_matches(blank);
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix("%}")?;
    Some(inner.len() - rest.len())
}

/// Length of a raw block with the tag that ends it.
fn raw_len(block: &str) -> usize {
    let end = block.match_indices("{%").find_map(|(at, _)| {
        let start = at + 2 + usize::from(has_mark(block, at + 2));
        Some(start + bare_tag(block.get(start..)?, "endraw")?)
    });
    end.unwrap_or(block.len())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name.
    Word,
    Number,
    /// A string.
    Text,
    Open,
    Close,
    /// `~`
    Join,
    /// `+` or `-`
    Sign,
    /// `*`, `/`, `//`, `%`, `**`
    Factor,
    /// `==`, `<` and the like.
    Compare,
    /// `,`, `:` or `=`
    Separator,
    /// `.`
    Dot,
    /// `|`
    Pipe,
    Other,
}

/// The tokens of a tag's inside, and where they stand in it.
pub(super) fn tokens(tag: &str) -> impl Iterator<Item = (Token, Range<usize>)> {
    let mut chars = tag.char_indices().peekable();
    let mut after_dot = false;
    std::iter::from_fn(move || {
        loop {
            let (start, c) = chars.next()?;
            let token = match c {
                c if c.is_whitespace() => continue,
                '"' | '\'' => {
                    let mut escaped = false;
                    chars.by_ref().find(|(_, inner)| {
                        let closes = *inner == c && !escaped;
                        escaped = *inner == '\\' && !escaped;
                        closes
                    });
                    Token::Text
                }
                '0'..='9' => {
                    number(&mut chars, tag.get(start..).unwrap_or_default(), after_dot);
                    Token::Number
                }
                c if c.is_alphabetic() || c == '_' => {
                    while chars.next_if(|(_, inner)| inner.is_alphanumeric() || *inner == '_').is_some() {}
                    Token::Word
                }
                '(' | '[' | '{' => Token::Open,
                ')' | ']' | '}' => Token::Close,
                '~' => Token::Join,
                '+' | '-' => Token::Sign,
                '*' | '/' | '%' => {
                    chars.next_if(|(_, next)| *next == c && c != '%');
                    Token::Factor
                }
                '=' | '!' | '<' | '>' => match chars.next_if(|(_, next)| *next == '=') {
                    Some(_) => Token::Compare,
                    None if matches!(c, '<' | '>') => Token::Compare,
                    None => Token::Separator,
                },
                ',' | ':' => Token::Separator,
                '.' => Token::Dot,
                '|' => Token::Pipe,
                _ => Token::Other,
            };
            after_dot = token == Token::Dot;
            let end = chars.peek().map_or(tag.len(), |(at, _)| *at);
            return Some((token, start..end));
        }
    })
}

/// Goes on to the end of a number. After a dot it is an index, which has no fraction.
fn number(chars: &mut Peekable<CharIndices>, text: &str, is_index: bool) {
    let radix = text.get(..2).unwrap_or_default().to_ascii_lowercase();
    if matches!(&*radix, "0x" | "0o" | "0b") {
        while chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
        return;
    }
    let mut before = '0';
    let (mut has_fraction, mut has_exponent) = (is_index, false);
    while let Some((_, c)) = chars.next_if(|(_, c)| match c {
        '0'..='9' | '_' => true,
        '.' => !has_fraction && !has_exponent,
        'e' | 'E' => !has_exponent,
        '+' | '-' => matches!(before, 'e' | 'E'),
        _ => false,
    }) {
        has_fraction |= c == '.';
        has_exponent |= matches!(c, 'e' | 'E');
        before = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_as_minijinja_finds_them() {
        for (source, expected) in [
            ("a {{ b }} c {%- if d -%} {%+ else +%}", vec![" b ", " if d ", " else "]),
            ("{{ {'a': {'b': 1}} }}{{ [{'c': 2}] }}", vec![" {'a': {'b': 1}} ", " [{'c': 2}] "]),
            ("{{ '}}' ~ \"%}\\\"}}\" }}", vec![" '}}' ~ \"%}\\\"}}\" "]),
            ("{% set a = '%}' %}{% if a %}", vec![" set a = '%}' ", " if a "]),
            ("{# {{ a }} #}{{ b }}{#- {{ c }} -#}{{ d }}{#-#}{{ e }}", vec![" b ", " d ", " e "]),
            ("{% raw %}{{ a }}{% endraw %}{{ b }}", vec![" b "]),
            ("{%-\traw\r\n-%}{{ a }}{% endrawer %}{{ b }}{%-endraw-%}{{ c }}", vec![" c "]),
            ("{% rawer %}{{ a }}", vec![" rawer ", " a "]),
            ("{{{ a }}}", vec!["{ a }"]),
            ("{ { a } } {{ b", vec![" b"]),
            ("{{--a--}}", vec!["-a-"]),
            ("{{ a", vec![" a"]),
            ("{{", vec![""]),
            ("{#", vec![]),
            ("{% raw %}{{ a }}", vec![]),
        ] {
            let found: Vec<&str> = tags(source).into_iter().map(|tag| &source[tag.inside]).collect();
            assert_eq!(found, expected, "{source}");
        }
    }

    #[test]
    fn tokens_are_whole() {
        for (tag, expected) in [
            ("a.b[1].0.1|c", "a . b [ 1 ] . 0 . 1 | c"),
            ("1.5e-3-0xE-2 1e3+1_0..5", "1.5e-3 - 0xE - 2 1e3 + 1_0. . 5"),
            ("'a\\'b'~\"'\"'\\\\'c", "'a\\'b' ~ \"'\" '\\\\' c"),
            ("a//b/c**d*e%%f", "a // b / c ** d * e % % f"),
            ("a==b!=c<=d>=e<f>g=h", "a == b != c <= d >= e < f > g = h"),
            ("'open", "'open"),
        ] {
            let found: Vec<&str> = tokens(tag).map(|(_, at)| &tag[at]).collect();
            assert_eq!(found.join(" "), expected, "{tag}");
        }
    }
}
