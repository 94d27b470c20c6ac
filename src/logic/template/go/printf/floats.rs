//! Floats by the verbs of `printf`: `%e`, `%f` and `%g`.

use super::Spec;
use crate::logic::template::go::functions::printed_float;

/// A float without its plus sign.
pub(super) fn floating(float: f64, verb: char, spec: Spec) -> String {
    if !float.is_finite() {
        return printed_float(float);
    }
    let text = match (verb, spec.precision) {
        ('f' | 'F', precision) => format!("{float:.*}", precision.unwrap_or(6)),
        ('e' | 'E', precision) => exponential(float, precision.unwrap_or(6)),
        (_, None) => printed_float(float),
        (_, Some(precision)) => general(float, precision.max(1)),
    };
    if verb.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

fn exponential(float: f64, precision: usize) -> String {
    let text = format!("{float:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{digits}e{}", signed(exponent.parse().unwrap_or(0)))
}

/// An exponent as Go writes it: with its sign, and two digits at least.
fn signed(exponent: i32) -> String {
    format!("{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%.3g`: so many digits, without zeros at the end.
fn general(float: f64, precision: usize) -> String {
    let text = format!("{float:.*e}", precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let stripped = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let shortest = printed_float(float).chars().filter(char::is_ascii_digit).count();
    let limit = if precision > shortest && shortest as i32 > exponent { shortest as i32 } else { precision as i32 };
    if exponent < -4 || exponent >= limit {
        return format!("{}e{}", stripped(digits), signed(exponent));
    }
    stripped(&format!("{float:.*}", usize::try_from(precision as i32 - 1 - exponent).unwrap_or(0)))
}
