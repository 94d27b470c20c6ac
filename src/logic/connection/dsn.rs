//! A connection string of keywords and values, as libpq documents it: `host=db user='me' password=it\'s`.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>. Pure.

use std::iter::Peekable;
use std::str::Chars;

use super::ConnectionError::{self, Parameter};
use super::parameters::Parameters;

pub(super) fn read(text: &str, parameters: &mut Parameters) -> Result<(), ConnectionError> {
    let mut rest = text.chars().peekable();
    loop {
        skip_space(&mut rest);
        if rest.peek().is_none() {
            return Ok(());
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_ascii_whitespace()) {
            name.push(c);
        }
        skip_space(&mut rest);
        rest.next_if_eq(&'=').ok_or(Parameter("parts", "must each be name=value"))?;
        skip_space(&mut rest);
        let value = match rest.next_if_eq(&'\'') {
            Some(_) => quoted(&mut rest)?,
            None => plain(&mut rest),
        };
        parameters.set(&name, value)?;
    }
}

fn skip_space(rest: &mut Peekable<Chars>) {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
}

/// Up to the closing quote; a backslash takes the next character as it is.
fn quoted(rest: &mut Peekable<Chars>) -> Result<String, ConnectionError> {
    let open = Parameter("values", "have a quote that does not end");
    let mut value = String::new();
    loop {
        match rest.next().ok_or(open.clone())? {
            '\'' => return Ok(value),
            '\\' => value.push(rest.next().ok_or(open.clone())?),
            c => value.push(c),
        }
    }
}

/// Up to white space; a backslash takes the next character as it is.
fn plain(rest: &mut Peekable<Chars>) -> String {
    let mut value = String::new();
    while let Some(c) = rest.next_if(|c| !c.is_ascii_whitespace()) {
        value.extend(if c == '\\' { rest.next() } else { Some(c) });
    }
    value
}
