//! Reads a tag token by token and says what is to be added to it.

use std::ops::Range;

use super::super::lexer::{self, Kind, tokens};
use super::MAX_LINKS;

/// Something to add, and where.
type Added = Vec<(usize, &'static str)>;

/// What is to be added to a tag's inside, in no order; None where too many links are in a row.
pub(super) fn additions(tag: &str, kind: Kind) -> Option<Added> {
    let mut reader = Reader {
        tag,
        added: Vec::new(),
        open_brackets: vec![Operand::default()],
        // A statement begins with its name.
        last: if kind == Kind::Statement { Token::Begin } else { Token::Other },
        end: 0,
        is_target: false,
    };
    let tokens = tokens(tag).map(|(token, at)| (Some(token), at));
    for (token, at) in tokens.chain([(None, tag.len()..tag.len())]) {
        let token = reader.meaning(token, at.clone());
        if !reader.take(token, at) {
            return None;
        }
    }
    Some(reader.added)
}

/// Reads a tag token by token.
struct Reader<'a> {
    tag: &'a str,
    added: Added,
    /// For each open bracket, the operand that is being read.
    open_brackets: Vec<Operand>,
    last: Token,
    /// Where the last token ended.
    end: usize,
    /// The target of a loop is no operand.
    is_target: bool,
}

/// The operand that is being read, and what is known of the expression that it is part of.
#[derive(Default)]
struct Operand {
    /// Where it starts, as far as it can be cut.
    start: Option<usize>,
    /// The operator before it.
    after: Option<Token>,
    /// Whether a minus stands before it.
    negated: bool,
    /// Whether the expression compares.
    is_compared: bool,
    /// Which additions are for the expression's operands before.
    numbers: Vec<usize>,
    /// Which of those are for factors of the same product.
    factors: Vec<usize>,
    /// Where the operand starts that this bracket may cut, and where the bracket is.
    cuts: Option<(usize, usize)>,
    /// Whether it does.
    is_cut: bool,
    /// Operators and the like since the last comma.
    links: usize,
}

impl<'a> Reader<'a> {
    /// What a token means after the last one.
    fn meaning(&mut self, token: Option<lexer::Token>, at: Range<usize>) -> Token {
        let Some(token) = token else { return Token::End };
        let last = self.last;
        match token {
            lexer::Token::Word if matches!(last, Token::Dot | Token::Pipe) => Token::Operand,
            lexer::Token::Word => match self.tag.get(at).unwrap_or_default() {
                word if last == Token::Begin => {
                    self.is_target = word == "for";
                    Token::Keyword
                }
                "in" if self.is_target && self.open_brackets.len() == 1 => {
                    self.is_target = false;
                    Token::Keyword
                }
                "else" | "and" | "or" => Token::Keyword,
                "is" => Token::Is,
                // A test's argument needs no brackets.
                _ if last == Token::Test => Token::Operand,
                "if" => Token::Keyword,
                "not" if last == Token::Is => Token::Is,
                // `not in`
                "not" if last.ends_operand() => Token::Compare,
                "not" => Token::Keyword,
                "in" if last != Token::Is => Token::Compare,
                _ if last == Token::Is => Token::Test,
                // `recursive`, `ignore missing`, `as` and the like.
                _ if last.ends_operand() => Token::Keyword,
                _ => Token::Operand,
            },
            lexer::Token::Number | lexer::Token::Text => Token::Operand,
            lexer::Token::Open => Token::Open,
            lexer::Token::Close => Token::Close,
            lexer::Token::Join => Token::Join,
            lexer::Token::Sign if last.ends_operand() && last != Token::Test => Token::Sign,
            lexer::Token::Sign => Token::Minus,
            lexer::Token::Factor if last.ends_operand() => Token::Factor,
            // Arguments unpacked.
            lexer::Token::Factor | lexer::Token::Other => Token::Other,
            lexer::Token::Compare => Token::Compare,
            lexer::Token::Separator => Token::Separator,
            lexer::Token::Dot => Token::Dot,
            lexer::Token::Pipe => Token::Pipe,
        }
    }

    /// Takes the next token; false where it is one link too many.
    fn take(&mut self, token: Token, at: Range<usize>) -> bool {
        let depth = self.open_brackets.len();
        let (last, end) = (self.last, self.end);
        let word = self.tag.get(at.clone()).unwrap_or_default();
        let Some(operand) = self.open_brackets.last_mut() else { return true };
        // A minus binds tighter than filters and tests.
        if operand.negated && (matches!(token, Token::Is | Token::Pipe) || token.is_after_operand()) {
            self.added.push((end, "|__neg)"));
            operand.negated = false;
        }
        if token.is_after_operand() {
            operand.finish(token, last.ends_operand().then_some(end), &mut self.added);
        }
        if matches!(token, Token::Pipe | Token::Is) {
            operand.start = None;
        }
        let begins = token == Token::Operand || (token == Token::Open && !(last == Token::Test && word == "("));
        if begins && !matches!(last, Token::Operand | Token::Close | Token::Dot | Token::Pipe) {
            operand.start = Some(at.start);
            if last == Token::Minus && !word.starts_with(|c: char| c.is_ascii_digit()) {
                self.added.push((at.start, "__n("));
                operand.negated = true;
            }
        }
        operand.links = match token {
            Token::Separator => 0,
            _ if token.is_link() => operand.links + 1,
            _ => operand.links,
        };
        if operand.links > MAX_LINKS {
            return false;
        }
        match token {
            Token::Open => {
                let is_subscript = word == "[" && last.ends_operand() && last != Token::Test;
                let cuts = operand.start.filter(|_| is_subscript).map(|start| (start, at.start));
                self.open_brackets.push(Operand { cuts, ..Operand::default() });
            }
            Token::Separator => operand.is_cut |= word == ":",
            Token::Close if depth > 1 => {
                if let Some(Operand { cuts: Some((start, bracket)), is_cut: true, .. }) = self.open_brackets.pop() {
                    let added = [(start, "__n("), (start, "__n("), (bracket, "|__list)"), (at.end, "|__list)")];
                    self.added.extend(added);
                }
            }
            _ => {}
        }
        (self.last, self.end) = (token, at.end);
        true
    }
}

impl Operand {
    /// It ends, at `end` if there is one, before this token.
    fn finish(&mut self, token: Token, end: Option<usize>, added: &mut Added) {
        if token == Token::Compare {
            self.is_compared = true;
            change(added, &self.numbers, |filter| if filter == "|__facs" { filter } else { "|__cmp" });
        }
        if let Some(end) = end {
            // What binds tighter than `~` computes with its operand before that is text.
            let joined = self.after == Some(Token::Join) || token == Token::Join;
            let computes = |token| match token {
                Token::Factor => true,
                Token::Sign | Token::Compare => !joined,
                _ => false,
            };
            let is_factor = self.after == Some(Token::Factor) || token == Token::Factor;
            if self.after.is_some_and(computes) || computes(token) {
                self.numbers.push(added.len());
                let filter = match is_factor {
                    _ if self.is_compared => "|__cmp",
                    true => "|__fac",
                    false => "|__num",
                };
                if is_factor {
                    self.factors.push(added.len());
                }
                added.push((end, filter));
            }
            if self.factors.len() > 2 {
                change(added, &self.factors, |_| "|__facs");
            }
            if joined {
                added.push((end, "|__text"));
            }
        }
        if token != Token::Factor {
            self.factors.clear();
        }
        self.after = token.is_operator().then_some(token);
        self.start = None;
        if self.after.is_none() {
            let (links, cuts, is_cut) = (self.links, self.cuts, self.is_cut);
            *self = Self { links, cuts, is_cut, ..Self::default() };
        }
    }
}

fn change(added: &mut [(usize, &'static str)], which: &[usize], to: impl Fn(&'static str) -> &'static str) {
    for index in which {
        if let Some((_, filter)) = added.get_mut(*index) {
            *filter = to(filter);
        }
    }
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

    /// Whether it makes a chain longer.
    fn is_link(self) -> bool {
        self.is_operator()
            || matches!(self, Self::Keyword | Self::Is | Self::Open | Self::Minus | Self::Dot | Self::Pipe)
    }
}
