//! Operators cannot be replaced in minijinja, so their operands are prepared by filters of ours, which are added to
//! the source. `~` prints its operands as Python does (`True`, `None`, `['a']`): they are made text first. What
//! computes or compares knows machine numbers alone: [`super::exact`] numbers are made floats first.

use std::borrow::Cow;

use super::dialect::real_tags;

/// The filter for operands of `~`.
pub(super) const TEXT: &str = "__text";
/// The filter for operands of what computes or compares.
pub(super) const NUMBER: &str = "__num";
/// The same for what a minus negates, which would bind tighter than a filter: `-x` becomes `-__n(x|__neg)`.
pub(super) const NEGATED: &str = "__neg";
/// A function that gives back what it gets.
pub(super) const SAME: &str = "__n";

/// What is added to the source. It never spans a line.
const ADDED: [&str; 4] = ["|__text", "|__num", "__n(", "|__neg)"];

/// The source with the filters behind operands.
pub(super) fn prepared(source: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    for tag in real_tags(source) {
        for (at, added) in additions(source.get(tag.clone()).unwrap_or_default()) {
            let at = tag.start + at;
            out.push_str(source.get(done..at).unwrap_or_default());
            out.push_str(added);
            done = at;
        }
    }
    if done == 0 {
        return Cow::Borrowed(source);
    }
    out.push_str(source.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Text of the changed source as the user wrote it.
pub(super) fn as_written(text: &str) -> String {
    ADDED.iter().fold(text.to_owned(), |text, added| text.replace(added, ""))
}

/// What is added to a tag, and where.
fn additions(tag: &str) -> Vec<(usize, &'static str)> {
    let [text, number, open, close] = ADDED;
    let mut added = Vec::new();
    // For each open bracket, the operand that is being read.
    let mut open_brackets = vec![Operand::default()];
    let mut last = Token::Other;
    let mut end = 0;
    // The target of a loop is no operand.
    let mut is_loop = tag.trim_start_matches(['-', '+']).trim_start().starts_with("for ");
    let tag = tag.strip_suffix(['-', '+']).unwrap_or(tag);
    // A sign at the very beginning is about white space.
    for (token, start, token_end) in tokens(tag).skip_while(|(token, start, _)| *token == Token::Sign && *start == 0) {
        let depth = open_brackets.len();
        let Some(operand) = open_brackets.last_mut() else { return added };
        let token = match token {
            // As a name: `x.in`, `x | in`.
            Token::Keyword | Token::Is | Token::Not | Token::In if last == Token::Access => Token::Word,
            Token::In if is_loop && depth == 1 => {
                is_loop = false;
                Token::Keyword
            }
            Token::In => Token::Compare,
            Token::Not if last == Token::Is => Token::Is,
            // `not in`
            Token::Not if last.ends_operand() => Token::Compare,
            Token::Not => Token::Keyword,
            Token::Sign if !last.ends_operand() => Token::Minus,
            // Arguments unpacked.
            Token::Factor if !last.ends_operand() => Token::Other,
            token => token,
        };
        // A minus binds tighter than filters and tests.
        let filtered = token == Token::Is || (token == Token::Access && tag.get(start..token_end) == Some("|"));
        if operand.negated && (filtered || token.is_after_operand()) && last.ends_operand() {
            added.push((end, close));
            operand.negated = false;
        }
        if token.is_after_operand() {
            if last.ends_operand() {
                // What binds tighter than `~` computes with its operand before that is text.
                let joined = operand.after == Some(Token::Join) || token == Token::Join;
                let computed = |token| match token {
                    Token::Factor => true,
                    Token::Sign | Token::Compare => !joined,
                    _ => false,
                };
                if operand.after.is_some_and(computed) || computed(token) {
                    added.push((end, number));
                }
                if joined {
                    added.push((end, text));
                }
            }
            *operand = Operand { after: token.is_operator().then_some(token), negated: false };
        }
        if last == Token::Minus && token == Token::Word && !tag[start..].starts_with(|c: char| c.is_ascii_digit()) {
            added.push((start, open));
            operand.negated = true;
        }
        match token {
            Token::Open => {
                if last == Token::Minus {
                    added.push((start, open));
                    operand.negated = true;
                }
                open_brackets.push(Operand::default());
            }
            Token::Close if depth > 1 => {
                open_brackets.pop();
            }
            _ => {}
        }
        (last, end) = (token, token_end);
    }
    let operand = open_brackets.pop().unwrap_or_default();
    if operand.negated {
        added.push((end, close));
    }
    match operand.after {
        Some(Token::Join) => added.push((end, text)),
        Some(_) => added.push((end, number)),
        None => {}
    }
    added
}

/// The operand that is being read.
#[derive(Clone, Copy, Default)]
struct Operand {
    /// The operator before it.
    after: Option<Token>,
    /// Whether a minus stands before it.
    negated: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    /// A name or number.
    Word,
    /// What stands between operands: `if`, `else`, `and`, `or`, `not`.
    Keyword,
    /// `is`: the test that follows is part of the operand.
    Is,
    Not,
    In,
    /// A string.
    Text,
    Open,
    Close,
    /// `~`
    Join,
    /// `+` or `-` between operands.
    Sign,
    /// `+` or `-` before one.
    Minus,
    /// `*`, `/`, `//`, `%`, `**`
    Factor,
    /// `==`, `<` and the like.
    Compare,
    /// A comma, colon or equals sign.
    Separator,
    /// `.` or `|`: what follows is a name and no keyword.
    Access,
    Other,
}

impl Token {
    /// Whether an operand may end with it.
    fn ends_operand(self) -> bool {
        matches!(self, Self::Word | Self::Text | Self::Close)
    }

    /// Whether an operand ends before it.
    fn is_after_operand(self) -> bool {
        self.is_operator() || matches!(self, Self::Keyword | Self::Close | Self::Separator)
    }

    fn is_operator(self) -> bool {
        matches!(self, Self::Join | Self::Sign | Self::Factor | Self::Compare)
    }
}

/// The tokens of a tag, where they begin and where they end.
fn tokens(tag: &str) -> impl Iterator<Item = (Token, usize, usize)> {
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
                    // A number's fraction and exponent are part of it.
                    let number = c.is_ascii_digit();
                    let mut before = c;
                    while let Some((at, inner)) = chars.next_if(|(_, inner)| {
                        inner.is_alphanumeric()
                            || *inner == '_'
                            || (number && *inner == '.')
                            || (number && matches!(before, 'e' | 'E') && matches!(inner, '+' | '-'))
                    }) {
                        end = at + inner.len_utf8();
                        before = inner;
                    }
                    match tag.get(at..end).unwrap_or_default() {
                        "if" | "else" | "and" | "or" => Token::Keyword,
                        "is" => Token::Is,
                        "not" => Token::Not,
                        "in" => Token::In,
                        _ => Token::Word,
                    }
                }
                '(' | '[' | '{' => Token::Open,
                ')' | ']' | '}' => Token::Close,
                '~' => Token::Join,
                '+' | '-' => Token::Sign,
                '*' | '/' | '%' => {
                    if let Some((at, _)) = chars.next_if(|(_, next)| *next == c && c != '%') {
                        end = at + 1;
                    }
                    Token::Factor
                }
                '=' | '!' | '<' | '>' => match chars.next_if(|(_, next)| *next == '=') {
                    Some((at, _)) => {
                        end = at + 1;
                        Token::Compare
                    }
                    None if matches!(c, '<' | '>') => Token::Compare,
                    None => Token::Separator,
                },
                ',' | ':' => Token::Separator,
                '.' | '|' => Token::Access,
                _ => Token::Other,
            };
            return Some((token, at, end));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operand_of_what_computes_or_compares_gets_its_filter() {
        for (source, expected) in [
            ("{{ a + b.c }}", "{{ a# + b.c# }}"),
            ("{{- a<b -}}", "{{- a#<b# -}}"),
            ("{{ a | round(1) * -b|abs }}", "{{ a | round(1)# * -__n(b|__neg)|abs# }}"),
            ("{{ -a.b[c] - -1.5e-3 }}", "{{ -__n(a.b[c]|__neg)# - -1.5e-3# }}"),
            ("{{ -(a) }}", "{{ -__n((a)|__neg) }}"),
            ("{% for a in b if a.in not in c %}", "{% for a in b if a.in# not in c# %}"),
            ("{% set a = b ** 2 %}", "{% set a = b# ** 2# %}"),
            ("{{ f(*a, b=c == d) }}", "{{ f(*a, b=c# == d#) }}"),
            ("{{ a is not defined and a // 2 is odd }}", "{{ a is not defined and a# // 2 is odd# }}"),
            ("{{ -a is not odd }}", "{{ -__n(a|__neg) is not odd }}"),
            ("{{ a if not b else c }}", "{{ a if not b else c }}"),
            ("{{ {'a': 1, b: -c}.d }}", "{{ {'a': 1, b: -__n(c|__neg)}.d }}"),
        ] {
            assert_eq!(prepared(source).replace(ADDED[1], "#"), expected);
            assert_eq!(as_written(&prepared(source)), source);
        }
    }

    #[test]
    fn every_operand_of_a_join_gets_the_filter() {
        for (source, expected) in [
            ("{{ a ~ b }}", "{{ a! ~ b! }}"),
            ("{{- a ~ b -}}", "{{- a! ~ b! -}}"),
            ("{{ a~'~'~\"\\\"~\" }}", "{{ a!~'~'!~\"\\\"~\"! }}"),
            ("{{ a.b[c ~ d] ~ f(x, y ~ z)|upper }}", "{{ a.b[c! ~ d!]! ~ f(x, y! ~ z!)|upper! }}"),
            ("{% if a ~ b == c ~ d and e %}", "{% if a! ~ b! == c! ~ d! and e %}"),
            ("{{ a ~ b if c else d ~ -1 + 2 }}", "{{ a! ~ b! if c else d! ~ -1! + 2|__num }}"),
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
            assert_eq!(prepared(source).replace(ADDED[0], "!"), expected);
            assert_eq!(as_written(&prepared(source)), source);
        }
    }
}
