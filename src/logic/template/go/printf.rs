//! `printf`, as Go's fmt has it. Where Go writes a note about a mistake into the text (`%!d(string=x)`), this is an
//! error. Numbers are numbers: `%d` takes all that are whole, `%f` whole ones too, and `%s` what `%v` takes.

mod floats;
mod texts;

use gotmpl::Value;

use super::failure::Reason;
use super::value::{Carried, integer, nearest};
use floats::floating;
use texts::{hex, quoted};

/// Wider or more precise formats are refused.
const MAX_WIDTH: i64 = 1000;

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats values, none of them with markers.
pub(super) fn sprintf(format: &str, values: &[Value]) -> Result<String, Reason> {
    let mut out = String::with_capacity(format.len() + 16);
    let mut reader = Reader { rest: format, values, next: 0, reordered: false };
    while let Some(percent) = reader.rest.find('%') {
        out.push_str(&reader.rest[..percent]);
        reader.rest = &reader.rest[percent + 1..];
        let spec = reader.spec()?;
        let verb = reader.rest.chars().next().ok_or("printf: a verb is missing at the end")?;
        reader.rest = &reader.rest[verb.len_utf8()..];
        match verb {
            '%' => out.push('%'),
            verb => write_value(&mut out, spec, verb, reader.value()?)?,
        }
    }
    out.push_str(reader.rest);
    if !reader.reordered && reader.next < values.len() {
        return Err("printf: there are more values than verbs".into());
    }
    Ok(out)
}

struct Reader<'a> {
    rest: &'a str,
    values: &'a [Value],
    next: usize,
    reordered: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn spec(&mut self) -> Result<Spec, Reason> {
        let mut spec = Spec::default();
        loop {
            match self.rest.chars().next() {
                Some('-') => spec.minus = true,
                Some('+') => spec.plus = true,
                Some('#') => spec.sharp = true,
                Some(' ') => spec.space = true,
                Some('0') => spec.zero = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        self.index()?;
        let width = self.number()?;
        spec.minus |= width.is_some_and(|width| width < 0);
        spec.width = width.map_or(Ok(0), |width| bounded(width.abs()))?;
        if self.take('.') {
            self.index()?;
            let precision = self.number()?.unwrap_or(0);
            spec.precision = if precision < 0 { None } else { Some(bounded(precision)?) };
        }
        self.index()?;
        Ok(spec)
    }

    /// Digits, or a star for the next value.
    fn number(&mut self) -> Result<Option<i64>, Reason> {
        if self.take('*') {
            return match integer(self.value()?) {
                Some(number) => Ok(Some(number)),
                None => Err("printf: a width must be a whole number".into()),
            };
        }
        let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.is_empty() { Ok(None) } else { Ok(Some(number.parse().unwrap_or(i64::MAX))) }
    }

    /// `[n]`: the value that comes next.
    fn index(&mut self) -> Result<(), Reason> {
        let Some(rest) = self.rest.strip_prefix('[') else { return Ok(()) };
        let wrong = "printf: there is no value of this number";
        let (number, rest) = rest.split_once(']').ok_or(wrong)?;
        let number: usize = number.parse().map_err(|_| wrong)?;
        if !(1..=self.values.len()).contains(&number) {
            return Err(wrong.into());
        }
        (self.next, self.rest, self.reordered) = (number - 1, rest, true);
        Ok(())
    }

    fn value(&mut self) -> Result<&'a Value, Reason> {
        let value = self.values.get(self.next).ok_or("printf: there are fewer values than verbs")?;
        self.next += 1;
        Ok(value)
    }
}

fn bounded(number: i64) -> Result<usize, Reason> {
    match usize::try_from(number) {
        Ok(number) if number <= MAX_WIDTH as usize => Ok(number),
        _ => Err("printf: a width is larger than 1000".into()),
    }
}

fn write_value(out: &mut String, spec: Spec, verb: char, value: &Value) -> Result<(), Reason> {
    let between = |out: &mut String, at: usize| out.push_str(if at > 0 { " " } else { "" });
    match value {
        _ if verb == 'T' => pad(out, spec, type_name(value), false),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                between(out, at);
                write_value(out, spec, verb, item)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (at, (name, value)) in map.iter().enumerate() {
                between(out, at);
                write_value(out, spec, verb, &Value::String(name.clone()))?;
                out.push(':');
                write_value(out, spec, verb, value)?;
            }
            out.push(']');
        }
        value => write_leaf(out, spec, verb, value)
            .ok_or_else(|| Reason::of(format!("printf: %{verb} does not go with {}", super::value::kind(value))))?,
    }
    Ok(())
}

/// None where the verb has no meaning for the value.
fn write_leaf(out: &mut String, spec: Spec, verb: char, value: &Value) -> Option<()> {
    match (verb, value) {
        ('v', Value::Nil) => pad(out, Spec { zero: false, ..spec }, "<nil>", false),
        ('v' | 's' | 't', Value::Bool(value)) => pad(out, spec, if *value { "true" } else { "false" }, false),
        ('v' | 's', Value::String(text)) => pad(out, spec, cut(text, spec), false),
        ('q', Value::String(text)) => {
            let text = cut(text, spec);
            let raw =
                spec.sharp && !text.contains(|c: char| c == '`' || (c.is_control() && c != '\t') || c == '\u{feff}');
            pad(out, spec, &if raw { format!("`{text}`") } else { quoted(text, '"', spec.plus) }, false);
        }
        ('x' | 'X', Value::String(text)) => pad(out, spec, &hex(text, spec, verb == 'X'), false),
        (_, Value::String(_) | Value::Bool(_) | Value::Nil) => return None,
        ('d' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U', number) => whole(out, spec, verb, integer(number)?),
        // With Go's own digits, or those it came with.
        ('v' | 's', Value::Int(number)) => whole(out, spec, 'd', *number),
        ('v' | 's', Value::Function(_)) if spec.precision.is_none() => {
            let Some(Carried::Exact(digits)) = Carried::of(value) else { return None };
            let sign = if spec.plus && !digits.starts_with('-') { "+" } else { "" };
            pad(out, spec, &format!("{sign}{digits}"), true);
        }
        ('v' | 's' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F', number) => {
            let float = match Carried::of(number) {
                Some(Carried::Exact(digits)) => nearest(&digits),
                _ => number.as_float()?,
            };
            let text = floating(float, verb, spec);
            let sign = if float.is_sign_negative() || float.is_nan() {
                ""
            } else if spec.plus {
                "+"
            } else if spec.space {
                " "
            } else {
                ""
            };
            let spec = Spec { zero: spec.zero && float.is_finite(), ..spec };
            pad(out, spec, &format!("{sign}{}", text.trim_start_matches('+')), true);
        }
        _ => return None,
    }
    Some(())
}

/// As many characters as the precision says.
fn cut(text: &str, spec: Spec) -> &str {
    let end = spec.precision.and_then(|precision| text.char_indices().nth(precision)).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

fn whole(out: &mut String, spec: Spec, verb: char, number: i64) {
    let magnitude = number.unsigned_abs();
    let char = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let (prefix, digits) = match verb {
        'c' => return pad(out, spec, char().encode_utf8(&mut [0; 4]), false),
        'q' => return pad(out, spec, &quoted(char().encode_utf8(&mut [0; 4]), '\'', spec.plus), false),
        'U' => return pad(out, spec, &format!("U+{magnitude:04X}"), false),
        'b' => (if spec.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
        'o' => (if spec.sharp { "0" } else { "" }, format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => (if spec.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
        'X' => (if spec.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
        _ => ("", magnitude.to_string()),
    };
    let digits = match spec.precision {
        Some(0) if number == 0 => String::new(),
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    let sign = if number < 0 {
        "-"
    } else if spec.plus {
        "+"
    } else if spec.space {
        " "
    } else {
        ""
    };
    // Digits that a precision asks for leave no room for zeros of the width.
    let spec = Spec { zero: spec.zero && spec.precision.is_none(), ..spec };
    pad(out, spec, &format!("{sign}{prefix}{digits}"), true);
}

/// Fills up to the width. Zeros go between the sign of a number and its digits.
fn pad(out: &mut String, spec: Spec, text: &str, is_number: bool) {
    let missing = spec.width.saturating_sub(text.chars().count());
    let fill = |out: &mut String, c: char| out.extend(std::iter::repeat_n(c, missing));
    if spec.minus {
        out.push_str(text);
        fill(out, ' ');
    } else if spec.zero {
        let sign = if is_number && text.starts_with(['-', '+', ' ']) { 1 } else { 0 };
        out.push_str(&text[..sign]);
        fill(out, '0');
        out.push_str(&text[sign..]);
    } else {
        fill(out, ' ');
        out.push_str(text);
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint64",
        Value::Float(_) | Value::Function(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    }
}
