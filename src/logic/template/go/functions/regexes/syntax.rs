//! Go's syntax of regular expressions in that of Rust's regex crates. They differ where it hurts: here
//! `\d`, `\w`, `\s` and `\b` are ASCII, brackets in brackets are characters, `\Q…\E` quotes, and what
//! Go has no meaning for is a mistake.

use std::fmt::Write as _;

const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\f\r ";
/// Names of sets in brackets.
const SETS: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];
/// More repetitions are refused, as in Go.
const MAX_REPEAT: u32 = 1000;

/// The same expression for those crates. None if Go would not take it.
pub fn translated(pattern: &str) -> Option<String> {
    let mut translation = Translation { left: pattern, out: String::with_capacity(pattern.len() * 2) };
    let mut repeated = false;
    while let Some(c) = translation.left.chars().next() {
        repeated = match c {
            '*' | '+' | '?' if repeated => return None,
            '*' | '+' | '?' => translation.repeat(1),
            '{' => match repetition(translation.left) {
                Some(_) if repeated => return None,
                Some(length) => translation.repeat(length?),
                None => translation.literal(),
            },
            '\\' => translation.escape()?,
            '[' => translation.class()?,
            '(' => translation.group()?,
            ']' | '}' => translation.literal(),
            _ => {
                translation.copy(c.len_utf8());
                false
            }
        };
    }
    Some(translation.out)
}

/// The length of `{n}`, `{n,}` or `{n,m}`. None if it is none, Some(None) if it is too large.
fn repetition(text: &str) -> Option<Option<usize>> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let (least, most) = inside.split_once(',').map_or((inside, None), |(least, most)| (least, Some(most)));
    let is_number = |digits: &str| {
        let padded = digits.len() > 1 && digits.starts_with('0');
        !digits.is_empty() && !padded && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let open = most.is_none_or(str::is_empty);
    if !is_number(least) || !open && !most.is_some_and(is_number) {
        return None;
    }
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|number| *number <= MAX_REPEAT);
    let fits = match most.filter(|most| !most.is_empty()) {
        Some(most) => number(least).zip(number(most)).is_some_and(|(least, most)| least <= most),
        None => number(least).is_some(),
    };
    Some(fits.then_some(inside.len() + 2))
}

struct Translation<'a> {
    left: &'a str,
    out: String,
}

impl<'a> Translation<'a> {
    /// Takes so many bytes.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, left) = self.left.split_at_checked(length).unwrap_or((self.left, ""));
        self.left = left;
        taken
    }

    fn take_char(&mut self) -> Option<char> {
        let c = self.left.chars().next()?;
        self.take(c.len_utf8());
        Some(c)
    }

    fn copy(&mut self, length: usize) {
        let taken = self.take(length);
        self.out.push_str(taken);
    }

    /// A repetition, and the `?` that makes it lazy. Says that it was one.
    fn repeat(&mut self, length: usize) -> bool {
        self.copy(length);
        if self.left.starts_with('?') {
            self.copy(1);
        }
        true
    }

    /// One character that stands for itself.
    fn literal(&mut self) -> bool {
        if let Some(c) = self.take_char() {
            self.push_literal(c);
        }
        false
    }

    fn push_literal(&mut self, c: char) {
        if c.is_ascii_punctuation() || c.is_ascii_whitespace() {
            // Writing to a text does not fail.
            let _ = write!(self.out, r"\x{{{:x}}}", u32::from(c));
        } else {
            self.out.push(c);
        }
    }

    fn escape(&mut self) -> Option<bool> {
        let escaped = self.left.get(1..)?.chars().next()?;
        match escaped {
            'A' | 'z' => self.copy(2),
            'b' | 'B' => {
                let boundary = self.take(2);
                let _ = write!(self.out, "(?-u:{boundary})");
            }
            'Q' => {
                self.take(2);
                let (quoted, left) = self.left.split_once(r"\E").unwrap_or((self.left, ""));
                quoted.chars().for_each(|c| self.push_literal(c));
                self.left = left;
            }
            _ => match self.set()? {
                Some(set) => {
                    let _ = write!(self.out, "[{set}]");
                }
                None => {
                    let c = self.character()?;
                    self.push_literal(c);
                }
            },
        }
        Some(false)
    }

    /// An escape that stands for a set of characters, as it is written in brackets. None if it is
    /// another.
    fn set(&mut self) -> Option<Option<String>> {
        let escaped = self.left.strip_prefix('\\').and_then(|left| left.chars().next());
        let (set, negated) = match escaped {
            Some('d') => (DIGITS, false),
            Some('D') => (DIGITS, true),
            Some('w') => (WORD, false),
            Some('W') => (WORD, true),
            Some('s') => (SPACE, false),
            Some('S') => (SPACE, true),
            Some('p' | 'P') => {
                let name = self.left.get(2..)?;
                let length = if name.starts_with('{') { name.find('}')? + 1 } else { name.chars().next()?.len_utf8() };
                return Some(Some(self.take(2 + length).to_owned()));
            }
            _ => return Some(None),
        };
        self.take(2);
        Some(Some(format!("[{}{set}]", if negated { "^" } else { "" })))
    }

    /// A character, escaped or not.
    fn character(&mut self) -> Option<char> {
        match self.take_char()? {
            '\\' => {}
            c => return Some(c),
        }
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let octal = |c: char| c.is_digit(8);
        match self.take_char()? {
            'a' => Some('\x07'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0b'),
            'x' => {
                let digits = match self.left.strip_prefix('{') {
                    Some(left) => {
                        let (digits, left) = left.split_once('}')?;
                        self.left = left;
                        digits
                    }
                    None => self.left.is_char_boundary(2).then(|| self.take(2)).filter(|digits| digits.len() == 2)?,
                };
                digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| number(digits, 16))?
            }
            first @ '0'..='7' => {
                let more = self.left.chars().take(2).take_while(|c| octal(*c)).count();
                if first != '0' && more == 0 {
                    return None;
                }
                number(&format!("{first}{}", self.take(more)), 8)
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        }
    }

    /// Characters in brackets.
    fn class(&mut self) -> Option<bool> {
        self.copy(1);
        if self.left.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        while first || !self.left.starts_with(']') {
            first = false;
            if let Some((name, _)) = self.left.strip_prefix("[:").and_then(|left| left.split_once(":]")) {
                // The crates would take an unknown name as a set of its letters.
                self.copy(if SETS.contains(&name.trim_start_matches('^')) { name.len() + 4 } else { return None });
                continue;
            }
            if let Some(set) = self.set()? {
                self.out.push_str(&set);
                continue;
            }
            let low = self.character()?;
            self.push_literal(low);
            let range = self.left.strip_prefix('-').is_some_and(|left| !left.is_empty() && !left.starts_with(']'));
            if range {
                self.copy(1);
                let high = self.character()?;
                self.push_literal(high);
                if high < low {
                    return None;
                }
            }
        }
        self.copy(1);
        Some(false)
    }

    /// The start of a group, with its name or flags.
    fn group(&mut self) -> Option<bool> {
        self.copy(1);
        let Some(flags) = self.left.strip_prefix('?') else {
            return Some(false);
        };
        if flags.starts_with("P<") || flags.starts_with('<') {
            let (name, _) = flags.split_once('<')?.1.split_once('>')?;
            let is_name = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
            self.copy(if is_name { 1 + flags.find('>')? + 1 } else { return None });
            return Some(false);
        }
        let length = flags.find([':', ')'])?;
        let known = flags.get(..length)?.chars().all(|c| "imsU-".contains(c));
        self.copy(if known { length + 2 } else { return None });
        Some(false)
    }
}
