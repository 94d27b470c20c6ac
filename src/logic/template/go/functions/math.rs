//! Numbers. As in Sprig, what is not a number counts as 0, and whole numbers wrap around.

mod decimal;

use gotmpl::Value;

use super::bounds::{self, Text};
use super::call::{Call, Output, Reason};
use super::printing::printed;
use decimal::Decimal;

/// A value as a whole number: floats cut, text read as Go reads literals (`0x1f`, `017`, `1_000`).
pub fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(int) => *int,
        Value::Uint(uint) => uint.cast_signed(),
        Value::Float(float) => *float as i64,
        Value::Bool(bool) => i64::from(*bool),
        Value::String(text) => literal(without_zeros(text)).unwrap_or_default(),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Function(_) => 0,
    }
}

/// `5` of `5.0`.
fn without_zeros(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

fn literal(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.get(..1)?.trim_start_matches('+'), digits),
        None => ("", text),
    };
    let prefixed =
        |prefix: &str| digits.get(..2).filter(|start| start.eq_ignore_ascii_case(prefix)).and(digits.get(2..));
    let (radix, digits, prefix) = match (prefixed("0x"), prefixed("0b"), prefixed("0o"), digits.strip_prefix('0')) {
        (Some(digits), ..) => (16, digits, true),
        (_, Some(digits), ..) => (2, digits, true),
        (_, _, Some(digits), _) => (8, digits, true),
        (.., Some(digits)) if !digits.is_empty() => (8, digits, true),
        _ => (10, digits, false),
    };
    // An underscore stands between digits, or after the prefix.
    let misplaced = digits.ends_with('_') || digits.contains("__") || (!prefix && digits.starts_with('_'));
    if misplaced || digits.starts_with(['-', '+']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

/// A value as a float.
fn to_float(value: &Value) -> f64 {
    match value {
        Value::String(text) => float_literal(text).unwrap_or_default(),
        Value::Bool(bool) => f64::from(u8::from(*bool)),
        other => other.as_float().unwrap_or_default(),
    }
}

/// Text as a float, with underscores between digits. What is written with digits and too large for one is none.
fn float_literal(text: &str) -> Option<f64> {
    let is_digit = |place: Option<&str>| place.is_some_and(|c| c.starts_with(|c: char| c.is_ascii_digit()));
    let between = |at: usize| at > 0 && is_digit(text.get(at - 1..)) && is_digit(text.get(at + 1..));
    if !text.match_indices('_').all(|(at, _)| between(at)) {
        return None;
    }
    let float: f64 = text.replace('_', "").parse().ok()?;
    let too_large = float.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    (!too_large).then_some(float)
}

pub fn int(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Int(to_int(value)))
}

pub fn float64(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Float(to_float(value)))
}

/// Decimal digits of a text alone. What is too large for a whole number is the largest.
pub fn atoi(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let digits = s.strip_prefix(['-', '+']).unwrap_or(s);
    let int = match s.parse() {
        Ok(int) => int,
        Err(_) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => 0,
        Err(_) if s.starts_with('-') => i64::MIN,
        Err(_) => i64::MAX,
    };
    Ok(Value::Int(int))
}

/// A value's octal digits as a number.
pub fn to_decimal(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Int(i64::from_str_radix(&printed(value)?, 8).unwrap_or_default()))
}

pub fn add(call: &Call) -> Output {
    Ok(Value::Int(call.args.iter().map(to_int).fold(0, i64::wrapping_add)))
}

pub fn add1(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Int(to_int(value).wrapping_add(1)))
}

pub fn sub(call: &Call) -> Output {
    let (a, b) = call.read()?;
    Ok(Value::Int(to_int(a).wrapping_sub(to_int(b))))
}

pub fn mul(call: &Call) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    Ok(Value::Int(rest.iter().map(to_int).fold(to_int(first), i64::wrapping_mul)))
}

const BY_ZERO: Reason = Reason::Said("division by zero");

pub fn div(call: &Call) -> Output {
    let (a, b) = call.read()?;
    match to_int(b) {
        0 => Err(BY_ZERO),
        b => Ok(Value::Int(to_int(a).wrapping_div(b))),
    }
}

pub fn modulo(call: &Call) -> Output {
    let (a, b) = call.read()?;
    match to_int(b) {
        0 => Err(BY_ZERO),
        b => Ok(Value::Int(to_int(a).wrapping_rem(b))),
    }
}

pub fn max(call: &Call) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    Ok(Value::Int(rest.iter().map(to_int).fold(to_int(first), Ord::max)))
}

pub fn min(call: &Call) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    Ok(Value::Int(rest.iter().map(to_int).fold(to_int(first), Ord::min)))
}

pub fn maxf(call: &Call) -> Output {
    extreme(call, f64::max)
}

pub fn minf(call: &Call) -> Output {
    extreme(call, f64::min)
}

/// What is not a number makes the result none.
fn extreme(call: &Call, of: fn(f64, f64) -> f64) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    let pick = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { of(a, b) };
    Ok(Value::Float(rest.iter().map(to_float).fold(to_float(first), pick)))
}

pub fn addf(call: &Call) -> Output {
    exactly(0.0, call.args, Decimal::add)
}

pub fn add1f(call: &Call) -> Output {
    let (value,) = call.read()?;
    exactly(to_float(value), &[Value::Int(1)], Decimal::add)
}

pub fn subf(call: &Call) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    exactly(to_float(first), rest, Decimal::sub)
}

pub fn mulf(call: &Call) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    exactly(to_float(first), rest, Decimal::mul)
}

pub fn divf(call: &Call) -> Output {
    let ((first,), rest) = call.read_some::<(&Value,)>()?;
    if rest.iter().any(|value| to_float(value) == 0.0) {
        return Err(BY_ZERO);
    }
    exactly(to_float(first), rest, Decimal::div)
}

/// Floats are computed with as decimals, so that 0.1 and 0.2 make 0.3.
fn exactly(first: f64, rest: &[Value], with: fn(Decimal, Decimal) -> Decimal) -> Output {
    const NONE: Reason = Reason::Said("the result is not a finite number");
    let mut result = Decimal::of(first).ok_or(NONE)?;
    for value in rest {
        result = with(result, Decimal::of(to_float(value)).ok_or(NONE)?);
    }
    let result = result.to_float();
    if result.is_finite() { Ok(Value::Float(result)) } else { Err(NONE) }
}

pub fn floor(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Float(to_float(value).floor()))
}

pub fn ceil(call: &Call) -> Output {
    let (value,) = call.read()?;
    Ok(Value::Float(to_float(value).ceil()))
}

/// `round value places [from]`: up where the rest is `from` or more, .5 unless given. Of negative
/// numbers the rest is negative, so that they always go down, as in Sprig.
pub fn round(call: &Call) -> Output {
    let ((value, places), from) = call.read_all::<(&Value, i64), f64>()?;
    let power = 10f64.powf(places as f64);
    let moved = power * to_float(value);
    let rounded = if moved.fract() >= from.first().copied().unwrap_or(0.5) { moved.ceil() } else { moved.floor() };
    Ok(Value::Float(rounded / power))
}

/// The numbers from `start` towards `stop`, which is not one of them.
fn range(start: i64, stop: i64, step: i64) -> Result<impl Iterator<Item = i64>, Reason> {
    let (distance, step_wide) = (i128::from(stop) - i128::from(start), i128::from(step));
    let count = if step == 0 || (distance < 0) != (step < 0) {
        0
    } else {
        let steps = distance.unsigned_abs().div_ceil(step_wide.unsigned_abs());
        bounds::items(usize::try_from(steps).unwrap_or(usize::MAX))?
    };
    Ok(std::iter::successors(Some(start), move |at| at.checked_add(step)).take(count))
}

pub fn until(call: &Call) -> Output {
    let (count,): (i64,) = call.read()?;
    bounds::list(range(0, count, if count < 0 { -1 } else { 1 })?.map(Value::Int))
}

pub fn until_step(call: &Call) -> Output {
    let (start, stop, step) = call.read()?;
    bounds::list(range(start, stop, step)?.map(Value::Int))
}

/// As the command of this name: `seq end`, `seq start end`, `seq start step end`.
pub fn seq(call: &Call) -> Output {
    let ((), numbers) = call.read_all::<(), i64>()?;
    let (start, step, end) = match *numbers {
        [end] => (1, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => (0, Some(0), 0),
    };
    let direction = if end < start { -1 } else { 1 };
    let step = match step {
        Some(step) if end < start && step > 0 => 0,
        Some(step) => step,
        None => direction,
    };
    let mut out = Text::default();
    for (i, number) in range(start, end.saturating_add(direction), step)?.enumerate() {
        out.push(if i > 0 { " " } else { "" })?;
        out.push(&number.to_string())?;
    }
    out.done()
}
