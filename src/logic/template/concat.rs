//! The `~` operator prints its operands as Python does: `True`, `None`, `['a']`. It cannot be
//! replaced, so its operands are sent through a filter of ours that makes them text, by adding the
//! filter to the source.

use std::borrow::Cow;

use super::dialect::real_tags;

/// The filter's name.
pub(super) const FILTER: &str = "__text";
/// What is added behind an operand. It never spans a line.
const SUFFIX: &str = "|__text";

/// The source with the filter behind every operand of `~`.
pub(super) fn with_text_operands(source: &str) -> Cow<'_, str> {
    if !source.contains('~') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len() + 64);
    let mut done = 0;
    for tag in real_tags(source) {
        let inner = source.get(tag.clone()).unwrap_or_default();
        for end in operand_ends(inner) {
            let end = tag.start + end;
            out.push_str(source.get(done..end).unwrap_or_default());
            out.push_str(SUFFIX);
            done = end;
        }
    }
    out.push_str(source.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Text of the changed source as the user wrote it.
pub(super) fn as_written(text: &str) -> String {
    text.replace(SUFFIX, "")
}

/// Where operands of `~` end. The filter binds to the last part of `2 * n ~ 'x'` only, which is
/// why it leaves numbers alone.
fn operand_ends(tag: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    // For each open bracket, whether an operand of `~` is being read.
    let mut open = vec![false];
    let mut last: Option<(usize, Token)> = None;
    let tag = tag.strip_suffix(['-', '+']).unwrap_or(tag);
    for (token, end) in tokens(tag) {
        let is_name = token == Token::Word && !matches!(last, Some((_, Token::Access)));
        let text = tag.get(..end).unwrap_or_default();
        let ends_operand = match token {
            Token::Close | Token::Separator | Token::Join => true,
            Token::Sign => !matches!(
                last,
                None | Some((_, Token::Sign | Token::Join | Token::Other | Token::Separator | Token::Open))
            ),
            Token::Word => is_name && ENDING.iter().any(|word| text.ends_with(word) && is_whole(text, word)),
            _ => false,
        };
        if let (true, Some(reading), Some((end, _))) = (ends_operand, open.last_mut(), last) {
            if *reading || token == Token::Join {
                ends.push(end);
            }
            *reading = token == Token::Join;
        }
        match token {
            Token::Open => open.push(false),
            Token::Close if open.len() > 1 => {
                open.pop();
            }
            _ => {}
        }
        last = Some((end, token));
    }
    if let (Some(true), Some((end, _))) = (open.last(), last) {
        ends.push(end);
    }
    ends
}

const ENDING: [&str; 6] = ["if", "else", "and", "or", "in", "not"];

fn is_whole(text: &str, word: &str) -> bool {
    let before = text.strip_suffix(word).unwrap_or_default();
    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    /// A name, keyword or number.
    Word,
    /// A string.
    Text,
    Open,
    Close,
    /// `~`
    Join,
    /// `+` or `-`
    Sign,
    /// A comma, colon or comparison: nothing of `~` goes beyond it.
    Separator,
    /// `.` or `|`: what follows is a name and no keyword.
    Access,
    Other,
}

/// The tokens of a tag and where they end.
fn tokens(tag: &str) -> impl Iterator<Item = (Token, usize)> {
    let mut chars = tag.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, c) = chars.next()?;
            let mut end = at + c.len_utf8();
            let token = match c {
                c if c.is_whitespace() => continue,
                '"' | '\'' => {
                    let mut escaped = false;
                    for (at, inner) in chars.by_ref() {
                        end = at + inner.len_utf8();
                        match inner {
                            _ if escaped => escaped = false,
                            '\\' => escaped = true,
                            inner if inner == c => break,
                            _ => {}
                        }
                    }
                    Token::Text
                }
                c if c.is_alphanumeric() || c == '_' => {
                    while let Some((at, inner)) = chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
                        end = at + inner.len_utf8();
                    }
                    Token::Word
                }
                '(' | '[' | '{' => Token::Open,
                ')' | ']' | '}' => Token::Close,
                '~' => Token::Join,
                '+' | '-' => Token::Sign,
                ',' | ':' | '=' | '!' | '<' | '>' => Token::Separator,
                '.' | '|' => Token::Access,
                _ => Token::Other,
            };
            return Some((token, end));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operand_of_a_join_gets_the_filter() {
        for (source, expected) in [
            ("{{ a ~ b }}", "{{ a! ~ b! }}"),
            ("{{- a ~ b -}}", "{{- a! ~ b! -}}"),
            ("{{ a~'~'~\"\\\"~\" }}", "{{ a!~'~'!~\"\\\"~\"! }}"),
            ("{{ a.b[c ~ d] ~ f(x, y ~ z)|upper }}", "{{ a.b[c! ~ d!]! ~ f(x, y! ~ z!)|upper! }}"),
            ("{% if a ~ b == c ~ d and e %}", "{% if a! ~ b! == c! ~ d! and e %}"),
            ("{{ a ~ b if c else d ~ -1 + 2 }}", "{{ a! ~ b! if c else d! ~ -1! + 2 }}"),
            ("{{ a ~ row.in ~ x.if }}", "{{ a! ~ row.in! ~ x.if! }}"),
            ("{{ {'k': a ~ b, 'l': c} }}", "{{ {'k': a! ~ b!, 'l': c} }}"),
            ("{{ (a ~ b)[:3] ~ c }}", "{{ (a! ~ b!)[:3]! ~ c! }}"),
            ("{{ not a ~ b is defined }}", "{{ not a! ~ b is defined! }}"),
            (
                "a ~ b {# c ~ d #}{% raw %}{{ e ~ f }}{% endraw %}{{ g ~ h }}",
                "a ~ b {# c ~ d #}{% raw %}{{ e ~ f }}{% endraw %}{{ g! ~ h! }}",
            ),
            ("{{ a }}", "{{ a }}"),
        ] {
            assert_eq!(with_text_operands(source).replace(SUFFIX, "!"), expected);
            assert_eq!(as_written(&with_text_operands(source)), source);
        }
    }
}
