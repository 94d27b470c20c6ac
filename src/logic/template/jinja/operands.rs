//! Operators cannot be replaced in minijinja, so their operands are prepared by filters of ours, which are added to
//! the source. `~` prints its operands as Python does (`True`, `None`, `['a']`): they are made text first. What
//! computes or compares knows machine numbers alone: [`super::exact`] numbers are made floats first.

use std::borrow::Cow;

use super::lexer::{self, Kind, tags, tokens};

/// The filter for operands of `~`.
pub(super) const TEXT: &str = "__text";
/// The filter for operands of what computes.
pub(super) const NUMBER: &str = "__num";
/// The filter for operands of what compares, and of what computes them.
pub(super) const COMPARED: &str = "__cmp";
/// As [`NUMBER`], for what a minus negates, which would bind tighter than a filter: `-x` becomes `-__n(x|__neg)`.
pub(super) const NEGATED: &str = "__neg";
/// A function that gives back what it gets.
pub(super) const SAME: &str = "__n";

/// What is added to the source. It never spans a line.
const ADDED: [&str; 5] = ["|__text", "|__num", "|__cmp", "__n(", "|__neg)"];

/// The source with the filters behind operands.
pub(super) fn prepared(source: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    for tag in tags(source) {
        for (at, added) in additions(source.get(tag.inside.clone()).unwrap_or_default(), tag.kind) {
            let at = tag.inside.start + at;
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

/// What is added to a tag's inside, and where.
fn additions(tag: &str, kind: Kind) -> Vec<(usize, &'static str)> {
    let [text, number, compared, open, close] = ADDED;
    let mut added: Vec<(usize, &'static str)> = Vec::new();
    // For each open bracket, the operand that is being read.
    let mut open_brackets = vec![Operand::default()];
    // A statement begins with its name.
    let mut last = if kind == Kind::Statement { Token::Begin } else { Token::Other };
    let mut end = 0;
    // The target of a loop is no operand.
    let mut is_target = false;
    let tokens = tokens(tag).map(|(token, at)| (Some(token), at));
    for (token, at) in tokens.chain([(None, tag.len()..tag.len())]) {
        let depth = open_brackets.len();
        let Some(operand) = open_brackets.last_mut() else { return added };
        let word = tag.get(at.clone()).unwrap_or_default();
        let is_name = matches!(last, Token::Dot | Token::Pipe);
        let token = match token {
            None => Token::End,
            Some(lexer::Token::Word) if is_name => Token::Operand,
            Some(lexer::Token::Word) => match word {
                _ if last == Token::Begin => {
                    is_target = word == "for";
                    Token::Keyword
                }
                "in" if is_target && depth == 1 => {
                    is_target = false;
                    Token::Keyword
                }
                "if" | "else" | "and" | "or" => Token::Keyword,
                "not" if last == Token::Is => Token::Is,
                // `not in`
                "not" if last.ends_operand() => Token::Compare,
                "not" => Token::Keyword,
                "in" if last != Token::Is => Token::Compare,
                "is" => Token::Is,
                _ if last == Token::Is => Token::Test,
                // `recursive`, `ignore missing`, `as` and the like. A test's argument needs no brackets.
                _ if last.ends_operand() && last != Token::Test => Token::Keyword,
                _ => Token::Operand,
            },
            Some(lexer::Token::Number | lexer::Token::Text) => Token::Operand,
            Some(lexer::Token::Open) => Token::Open,
            Some(lexer::Token::Close) => Token::Close,
            Some(lexer::Token::Join) => Token::Join,
            Some(lexer::Token::Sign) if last.ends_operand() && last != Token::Test => Token::Sign,
            Some(lexer::Token::Sign) => Token::Minus,
            Some(lexer::Token::Factor) if last.ends_operand() => Token::Factor,
            // Arguments unpacked.
            Some(lexer::Token::Factor | lexer::Token::Other) => Token::Other,
            Some(lexer::Token::Compare) => Token::Compare,
            Some(lexer::Token::Separator) => Token::Separator,
            Some(lexer::Token::Dot) => Token::Dot,
            Some(lexer::Token::Pipe) => Token::Pipe,
        };
        // A minus binds tighter than filters and tests.
        if operand.negated && (matches!(token, Token::Is | Token::Pipe) || token.is_after_operand()) {
            added.push((end, close));
            operand.negated = false;
        }
        if token.is_after_operand() {
            if token == Token::Compare {
                operand.is_compared = true;
                for index in operand.numbers.drain(..) {
                    if let Some(earlier) = added.get_mut(index) {
                        earlier.1 = compared;
                    }
                }
            }
            if last.ends_operand() {
                // What binds tighter than `~` computes with its operand before that is text.
                let joined = operand.after == Some(Token::Join) || token == Token::Join;
                let computes = |token| match token {
                    Token::Factor => true,
                    Token::Sign | Token::Compare => !joined,
                    _ => false,
                };
                if operand.after.is_some_and(computes) || computes(token) {
                    operand.numbers.push(added.len());
                    added.push((end, if operand.is_compared { compared } else { number }));
                }
                if joined {
                    added.push((end, text));
                }
            }
            operand.after = token.is_operator().then_some(token);
            if operand.after.is_none() {
                *operand = Operand::default();
            }
        }
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        if last == Token::Minus && (token == Token::Open || (token == Token::Operand && !is_number)) {
            added.push((at.start, open));
            operand.negated = true;
        }
        match token {
            Token::Open => open_brackets.push(Operand::default()),
            Token::Close if depth > 1 => {
                open_brackets.pop();
            }
            _ => {}
        }
        (last, end) = (token, at.end);
    }
    added
}

/// The operand that is being read, and what is known of the expression that it is part of.
#[derive(Default)]
struct Operand {
    /// The operator before it.
    after: Option<Token>,
    /// Whether a minus stands before it.
    negated: bool,
    /// Whether the expression compares.
    is_compared: bool,
    /// Which additions are for the expression's operands before.
    numbers: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    /// Before a statement.
    Begin,
    /// A name, number or string.
    Operand,
    /// What stands between operands: `if`, `else`, `and`, `or`, `not`, and words of statements.
    Keyword,
    /// `is` or `is not`
    Is,
    /// The name of a test.
    Test,
    Open,
    Close,
    /// `~`
    Join,
    /// `+` or `-` between operands.
    Sign,
    /// `-` before one.
    Minus,
    /// `*`, `/`, `//`, `%`, `**`
    Factor,
    /// `==`, `<`, `in`, `not in` and the like.
    Compare,
    /// A comma, colon or equals sign.
    Separator,
    /// `.`: what follows is a name and no keyword.
    Dot,
    /// `|`: likewise.
    Pipe,
    Other,
    /// After the last.
    End,
}

impl Token {
    /// Whether an operand may end with it.
    fn ends_operand(self) -> bool {
        matches!(self, Self::Operand | Self::Test | Self::Close)
    }

    /// Whether an operand ends before it.
    fn is_after_operand(self) -> bool {
        self.is_operator() || matches!(self, Self::Keyword | Self::Close | Self::Separator | Self::End)
    }

    fn is_operator(self) -> bool {
        matches!(self, Self::Join | Self::Sign | Self::Factor | Self::Compare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As prepared, with one character for each filter.
    fn shown(source: &str) -> String {
        assert_eq!(as_written(&prepared(source)), source);
        prepared(source).replace(ADDED[0], "!").replace(ADDED[1], "#").replace(ADDED[2], "?")
    }

    #[test]
    fn every_operand_of_what_computes_or_compares_gets_its_filter() {
        for (source, expected) in [
            ("{{ a + b.c }}", "{{ a# + b.c# }}"),
            ("{{- a<b -}}", "{{- a?<b? -}}"),
            ("{{ a | round(1) * -b|abs }}", "{{ a | round(1)# * -__n(b|__neg)|abs# }}"),
            ("{{ -a.b[c] - -1.5e-3 }}", "{{ -__n(a.b[c]|__neg)# - -1.5e-3# }}"),
            ("{{ -(a) }}", "{{ -__n((a)|__neg) }}"),
            ("{% for a in b if a.in not in c %}", "{% for a in b if a.in? not in c? %}"),
            ("{% set a = b ** 2 %}", "{% set a = b# ** 2# %}"),
            ("{{ f(*a, b=c == d) }}", "{{ f(*a, b=c? == d?) }}"),
            ("{{ a is not defined and a // 2 is odd }}", "{{ a is not defined and a# // 2 is odd# }}"),
            ("{{ -a is not odd }}", "{{ -__n(a|__neg) is not odd }}"),
            ("{{ a if not b else c }}", "{{ a if not b else c }}"),
            ("{{ {'a': 1, b: -c}.d }}", "{{ {'a': 1, b: -__n(c|__neg)}.d }}"),
        ] {
            assert_eq!(shown(source), expected);
        }
    }

    #[test]
    fn what_computes_for_a_comparison_is_compared_as_well() {
        for (source, expected) in [
            ("{{ a + b == c * d and e - f }}", "{{ a? + b? == c? * d? and e# - f# }}"),
            ("{{ a < b + 1 <= c if d + 1 else e }}", "{{ a? < b? + 1? <= c? if d# + 1# else e }}"),
            ("{{ f(a + 1) == [b - 1, c == 1] }}", "{{ f(a# + 1#)? == [b# - 1#, c? == 1?]? }}"),
        ] {
            assert_eq!(shown(source), expected);
        }
    }

    #[test]
    fn words_that_are_no_operands_get_none() {
        for (source, expected) in [
            ("{% elif not a %}", "{% elif not a %}"),
            ("{% elif -a > 1 %}", "{% elif -__n(a|__neg)? > 1? %}"),
            ("{%-elif a not in b-%}", "{%-elif a? not in b?-%}"),
            ("{% for a in b if a > 1 recursive %}", "{% for a in b if a? > 1? recursive %}"),
            ("{% for(a,b)in c %}", "{% for(a,b)in c %}"),
            ("{%\n  for a, b in c ~ d\n%}", "{%\n  for a, b in c! ~ d!\n%}"),
            ("{% include a ~ 'b' ignore missing %}", "{% include a! ~ 'b'! ignore missing %}"),
            ("{% from a ~ b import c as d %}", "{% from a! ~ b! import c as d %}"),
            ("{% macro m(a, b=c + 1) %}", "{% macro m(a, b=c# + 1#) %}"),
            ("{% call(a) m(b + 1) %}", "{% call(a) m(b# + 1#) %}"),
            ("{% with a = b + 1, c = -d %}", "{% with a = b# + 1#, c = -__n(d|__neg) %}"),
            ("{% filter replace(a ~ b, '+') | upper %}", "{% filter replace(a! ~ b!, '+') | upper %}"),
        ] {
            assert_eq!(shown(source), expected);
        }
    }

    #[test]
    fn an_argument_of_a_test_is_no_operand() {
        for (source, expected) in [
            ("{% if a is eq -1 %}", "{% if a is eq -1 %}"),
            ("{% if a is eq -b + c %}", "{% if a is eq -__n(b|__neg)# + c# %}"),
            ("{{ a is divisibleby 2 ~ b }}", "{{ a is divisibleby 2! ~ b! }}"),
            ("{{ 1 + a is gt(b - 1) }}", "{{ 1# + a is gt(b# - 1#)# }}"),
            ("{{ a is in [b, c] and d is not in e }}", "{{ a is in [b, c] and d is not in e }}"),
            ("{{ a is sameas none if b else c }}", "{{ a is sameas none if b else c }}"),
        ] {
            assert_eq!(shown(source), expected);
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
            ("{{ a ~ b if c else d ~ -1 + 2 }}", "{{ a! ~ b! if c else d! ~ -1! + 2# }}"),
            ("{{ a ~ row.in ~ x.if }}", "{{ a! ~ row.in! ~ x.if! }}"),
            ("{{ {'k': a ~ b, 'l': c} }}", "{{ {'k': a! ~ b!, 'l': c} }}"),
            ("{{ {'k': {'l': a ~ b}} }}", "{{ {'k': {'l': a! ~ b!}} }}"),
            ("{{ (a ~ b)[:3] ~ c }}", "{{ (a! ~ b!)[:3]! ~ c! }}"),
            ("{{ a[b + 1:c * 2] ~ d }}", "{{ a[b# + 1#:c# * 2#]! ~ d! }}"),
            ("{{ not a ~ b is defined }}", "{{ not a! ~ b is defined! }}"),
            ("{{ 'a' 'b' ~ c }}", "{{ 'a' 'b'! ~ c! }}"),
            (
                "a ~ b {# c ~ d #}{% raw %}{{ e ~ f }}{% endraw %}{{ g ~ h }}",
                "a ~ b {# c ~ d #}{% raw %}{{ e ~ f }}{% endraw %}{{ g! ~ h! }}",
            ),
            ("{{ a }}", "{{ a }}"),
        ] {
            assert_eq!(shown(source), expected);
        }
    }
}
