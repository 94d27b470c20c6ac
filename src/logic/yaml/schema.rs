//! What an unquoted word of the template means. As `kubectl apply -f` reads it (goyaml.v2, a mix
//! of YAML 1.1 and 1.2), so that a manifest means the same here: `yes` and `on` are booleans,
//! `0777` is octal, `1_000` is a number, a date is a string.

use crate::logic::json::{Json, Number};

/// The value of a plain scalar; an error where JSON has no such number.
pub(super) fn plain(word: &str) -> Result<Json, &'static str> {
    Ok(match word {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Json::Bool(true),
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Json::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err("NaN and infinity cannot be written as JSON"),
        _ if word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
            number(word)?.map_or_else(|| Json::String(word.to_owned()), Json::Number)
        }
        _ => Json::String(word.to_owned()),
    })
}

fn number(word: &str) -> Result<Option<Number>, &'static str> {
    if let Some(number) = integer(&word.replace('_', "")) {
        return Ok(Some(number));
    }
    if !looks_like_float(word) {
        return Ok(None);
    }
    let Ok(float) = word.parse::<f64>() else {
        return Ok(None);
    };
    // As Go writes JSON: an integral float has no fraction, which integer fields insist on.
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        return Ok(Some(Number::from(float as i128)));
    }
    match Number::from_f64(float) {
        Some(number) => Ok(Some(number)),
        None => Err("a number is too large"),
    }
}

fn integer(word: &str) -> Option<Number> {
    let (negative, digits) = match word.strip_prefix(['-', '+']) {
        Some(digits) => (word.starts_with('-'), digits),
        None => (false, word),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // from_str_radix would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    let number = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    (number >= i128::from(i64::MIN)).then(|| number.into())
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn looks_like_float(word: &str) -> bool {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let some_digits = |text: &str| !text.is_empty() && digits(text);
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => some_digits(fraction),
        Some((whole, fraction)) => some_digits(whole) && digits(fraction),
        None => some_digits(mantissa),
    };
    mantissa && exponent.is_none_or(some_digits)
}
