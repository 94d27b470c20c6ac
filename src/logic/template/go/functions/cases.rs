//! Upper and lower case, one character for one, as Go maps them.

use super::call::{Call, Output, text};

/// The upper case of a character where it is one character: `ß` has none.
pub fn upper(c: char) -> char {
    // Those with an iota below, whose capitals are written as two.
    let beside = match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    if beside > 0 {
        return char::from_u32(c as u32 + beside).unwrap_or(c);
    }
    single(c.to_uppercase(), c)
}

pub fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        c => single(c.to_lowercase(), c),
    }
}

/// What a word begins with: only four letters have a form of their own for it.
fn title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        c => upper(c),
    }
}

fn is_title(c: char) -> bool {
    matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}' | '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}')
        || matches!(c, '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

fn single(mut mapped: impl ExactSizeIterator<Item = char>, c: char) -> char {
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

pub fn to_upper(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(s.chars().map(upper).collect::<String>())
}

pub fn to_lower(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(s.chars().map(lower).collect::<String>())
}

/// Each first letter large: after anything that is not a letter, a digit or an underscore, so that
/// `it's` becomes `It'S`.
pub fn to_title(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let mut before = ' ';
    let titled = s.chars().map(|c| {
        let starts =
            if before.is_ascii() { !before.is_ascii_alphanumeric() && before != '_' } else { before.is_whitespace() };
        before = c;
        if starts { title(c) } else { c }
    });
    text(titled.collect::<String>())
}

/// Each first letter small: after white space.
pub fn untitle(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let mut first = true;
    let untitled = s.chars().map(|c| {
        let starts = first && !c.is_whitespace();
        first = c.is_whitespace();
        if starts { lower(c) } else { c }
    });
    text(untitled.collect::<String>())
}

/// Large letters small, and small ones large.
pub fn swapcase(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let mut after_space = true;
    let swapped = s.chars().map(|c| {
        let starts = after_space;
        if c.is_uppercase() || is_title(c) {
            after_space = false;
            lower(c)
        } else if c.is_lowercase() {
            after_space = false;
            if starts { title(c) } else { upper(c) }
        } else {
            after_space = c.is_whitespace();
            c
        }
    });
    text(swapped.collect::<String>())
}
