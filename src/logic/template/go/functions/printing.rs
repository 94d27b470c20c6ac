//! Values as Go's `%v` writes them: what `toString`, `cat` and `join` see of what is not text.

use std::borrow::Cow;

use gotmpl::Value;

use super::bounds::Text;
use super::call::Reason;

/// A value as text. Text stays as it is.
pub fn printed(value: &Value) -> Result<Cow<'_, str>, Reason> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        other => {
            let mut out = Text::default();
            print(other, &mut out)?;
            Ok(Cow::Owned(out.into_string()))
        }
    }
}

/// Writes a value.
pub fn print(value: &Value, out: &mut Text) -> Result<(), Reason> {
    match value {
        Value::String(text) => out.push(text),
        Value::Float(float) => out.push(&printed_float(*float)),
        Value::List(list) => {
            out.push("[")?;
            for (i, item) in list.iter().enumerate() {
                out.push(if i > 0 { " " } else { "" })?;
                print(item, out)?;
            }
            out.push("]")
        }
        Value::Map(map) => {
            out.push("map[")?;
            for (i, (key, item)) in map.iter().enumerate() {
                out.push(if i > 0 { " " } else { "" })?;
                out.push(key)?;
                out.push(":")?;
                print(item, out)?;
            }
            out.push("]")
        }
        scalar => out.push(&scalar.to_string()),
    }
}

/// The shortest digits that mean this number, with an exponent from 1e+06 on and below 1e-04.
pub fn printed_float(float: f64) -> String {
    const LARGE: i32 = 6;
    const SMALL: i32 = -4;
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (SMALL..LARGE).contains(&exponent) {
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
