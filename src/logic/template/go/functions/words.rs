//! Words of names: `snakecase`, `kebabcase`, `camelcase`.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

use super::call::{Call, Output, text};
use super::cases::{lower, upper};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Number,
    /// Begins with a capital.
    Capital,
    /// Small letters alone.
    Small,
    Connector,
    Punctuation,
    Other,
}

#[derive(Clone, Copy)]
struct Word<'a> {
    kind: Kind,
    chars: &'a [char],
}

/// A text, a word at a time.
struct Words<'a> {
    left: &'a [char],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Word<'a> {
        let Some((&first, rest)) = self.left.split_first() else {
            return Word { kind: Kind::None, chars: &[] };
        };
        let run = |of: &dyn Fn(char) -> bool| 1 + rest.iter().take_while(|c| of(**c)).count();
        let (kind, length) = if is_connector(first) {
            (Kind::Connector, run(&is_connector))
        } else if is_punctuation(first) {
            (Kind::Punctuation, run(&is_punctuation))
        } else if first.is_uppercase() {
            (Kind::Capital, capital(rest))
        } else if is_letter(first) {
            (Kind::Small, run(&is_small))
        } else if first.is_numeric() {
            (Kind::Number, run(&char::is_numeric))
        } else {
            let other = |c: char| !is_connector(c) && !is_letter(c) && !c.is_numeric() && !is_punctuation(c);
            (Kind::Other, run(&other))
        };
        let (chars, left) = self.left.split_at(length);
        self.left = left;
        Word { kind, chars }
    }
}

/// The length of a word that begins with a capital: `HTTP` of `HTTPServer`, `First` of `FirstName`.
fn capital(rest: &[char]) -> usize {
    let capitals = rest.iter().take_while(|c| c.is_uppercase()).count();
    match rest.get(capitals) {
        _ if capitals == 0 => 1 + rest.iter().take_while(|c| is_small(**c)).count(),
        Some(next) if is_letter(*next) => capitals,
        _ => 1 + capitals,
    }
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// Letters of scripts that have words: Han has none.
fn is_letter(c: char) -> bool {
    let han = matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}');
    c.is_alphabetic() && !han
}

fn is_small(c: char) -> bool {
    is_letter(c) && !c.is_uppercase()
}

fn is_punctuation(c: char) -> bool {
    static PUNCTUATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{P}").ok());
    if c.is_ascii() {
        return c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c);
    }
    PUNCTUATION.as_ref().is_some_and(|pattern| pattern.is_match(&*c.encode_utf8(&mut [0; 4])))
}

/// Words joined by a connector, in small letters.
struct Joined {
    text: String,
    connector: char,
}

impl Joined {
    fn push(&mut self, word: Word) {
        let lowers = matches!(word.kind, Kind::Capital | Kind::Connector);
        self.text.extend(word.chars.iter().map(|&c| match c {
            c if lowers && is_connector(c) => self.connector,
            c if lowers && c.is_uppercase() => lower(c),
            c => c,
        }));
    }

    fn connect(&mut self) {
        self.text.push(self.connector);
    }

    /// A connector, unless what follows needs none.
    fn connect_before(&mut self, next: Kind) {
        if !matches!(next, Kind::None | Kind::Connector | Kind::Punctuation) {
            self.connect();
        }
    }

    /// Takes what belongs to a number, and gives the word after it.
    fn push_numbered<'a>(&mut self, mut word: Word<'a>, words: &mut Words<'a>) -> Word<'a> {
        while matches!(word.kind, Kind::Small | Kind::Number) {
            self.push(word);
            word = words.next();
        }
        self.connect_before(word.kind);
        word
    }
}

/// A digit belongs to the word before it if a capital follows (`Bld4Floor`: `bld4_floor`), and
/// begins one if a small letter does (`http2xx`: `http_2xx`).
fn joined(s: &str, connector: char) -> String {
    let chars: Vec<char> = s.chars().collect();
    let mut words = Words { left: &chars };
    let mut out = Joined { text: String::with_capacity(s.len()), connector };
    let mut word = words.next();
    while !words.left.is_empty() {
        if word.kind != Kind::Connector {
            out.push(word);
        }
        let previous = word;
        word = words.next();
        match previous.kind {
            Kind::Number => word = out.push_numbered(word, &mut words),
            Kind::Connector => out.push(previous),
            Kind::Punctuation => {}
            _ if word.kind != Kind::Number => out.connect_before(word.kind),
            _ if words.left.is_empty() => {}
            _ => {
                let number = word;
                word = words.next();
                if word.kind == Kind::Small {
                    out.connect();
                    out.push(number);
                    word = out.push_numbered(word, &mut words);
                } else {
                    out.push(number);
                    out.connect_before(word.kind);
                }
            }
        }
    }
    out.push(word);
    out.text
}

pub fn snakecase(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(joined(s, '_'))
}

pub fn kebabcase(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(joined(s, '-'))
}

/// `http_server` becomes `HttpServer`. Connectors at the start stay, of several others all but one.
pub fn camelcase(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let mut out = String::with_capacity(s.len());
    let leading = s.find(|c| !is_connector(c)).unwrap_or(s.len());
    let (connectors, words) = s.split_at(leading);
    out.push_str(connectors);
    let mut before = None;
    // Whether all of the word was capitals so far: `GOLANG` becomes `Golang`, `someURL` stays.
    let mut capitals = false;
    for c in words.chars() {
        match before {
            None => {
                capitals = c.is_uppercase();
                before = Some(upper(c));
                continue;
            }
            Some(connector) if is_connector(connector) && is_connector(c) => out.push(connector),
            Some(connector) if is_connector(connector) => {
                capitals = c.is_uppercase();
                before = Some(upper(c));
                continue;
            }
            Some(letter) => out.push(letter),
        }
        capitals = capitals && (c.is_uppercase() || is_connector(c));
        before = Some(if capitals { lower(c) } else { c });
    }
    out.extend(before);
    text(out)
}
