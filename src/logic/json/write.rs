//! Writing JSON: as everybody has it, and as the body of an apply patch. The API server reads that as YAML 1.1, in which
//! some characters must not stand as they are, others end a line, and a long key is none unless it is announced.

use std::fmt::{self, Write};

use super::Json;

/// Bytes of a key that needs no announcement: YAML 1.1 (§7.4.2) allows 1,024 characters, escapes included.
const SIMPLE_KEY: usize = 160;

impl fmt::Display for Json {
    /// Writes JSON without spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::<Plain>(f, self)
    }
}

/// Appends a value to the body of an apply patch.
pub fn append(out: &mut String, value: &Json) {
    // A String takes everything.
    let _ = write::<Wire>(out, value);
}

/// Appends the key of a field and the colon after it.
pub fn append_key(out: &mut String, key: &str) {
    let _ = Wire::key(out, key);
}

/// Appends a string in quotes.
pub fn append_string(out: &mut String, text: &str) {
    let _ = Wire::string(out, text);
}

/// How strings are written.
trait Style {
    fn string(out: &mut impl Write, text: &str) -> fmt::Result;

    /// The key of a field and the colon after it.
    fn key(out: &mut impl Write, key: &str) -> fmt::Result {
        Self::string(out, key)?;
        out.write_char(':')
    }
}

/// As JSON has them.
struct Plain;

/// As JSON and YAML have them.
struct Wire;

impl Style for Plain {
    fn string(out: &mut impl Write, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
        // To the end in any case: a loop without a way out works on many bytes at a time.
        if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            out.write_char('"')?;
            out.write_str(text)?;
            return out.write_char('"');
        }
        out.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
    }
}

impl Style for Wire {
    fn string(out: &mut impl Write, text: &str) -> fmt::Result {
        // Only these can begin a character that YAML has not.
        let is_suspect = |byte: u8| matches!(byte, 0x7f | 0xc2 | 0xe2 | 0xef);
        if !text.bytes().fold(false, |suspect, byte| suspect | is_suspect(byte)) {
            return Plain::string(out, text);
        }
        for c in serde_json::to_string(text).map_err(|_| fmt::Error)?.chars() {
            match c {
                '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                    write!(out, "\\u{:04x}", u32::from(c))?;
                }
                c => out.write_char(c)?,
            }
        }
        Ok(())
    }

    fn key(out: &mut impl Write, key: &str) -> fmt::Result {
        if key.len() > SIMPLE_KEY {
            out.write_str("? ")?;
        }
        Self::string(out, key)?;
        out.write_char(':')
    }
}

fn write<S: Style>(out: &mut impl Write, value: &Json) -> fmt::Result {
    match value {
        Json::Null => out.write_str("null"),
        Json::Bool(value) => out.write_str(if *value { "true" } else { "false" }),
        Json::Number(number) => number.write(out),
        Json::String(text) => S::string(out, text),
        Json::Array(items) => {
            out.write_char('[')?;
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                }
                write::<S>(out, item)?;
            }
            out.write_char(']')
        }
        Json::Object(map) => {
            out.write_char('{')?;
            for (at, (name, value)) in map.iter().enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                }
                S::key(out, name)?;
                write::<S>(out, value)?;
            }
            out.write_char('}')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: &Json) -> String {
        let mut out = String::new();
        append(&mut out, value);
        out
    }

    #[test]
    fn what_yaml_does_not_take_is_escaped_in_a_body_and_nothing_else() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("é 字 🦀\u{a0}", "\"é 字 🦀\u{a0}\""),
            ("\u{7f}\u{85}\u{9f}\u{2028}\u{2029}\u{feff}\u{ffff}", r#""\u007f\u0085\u009f\u2028\u2029\ufeff\uffff""#),
            ("\"\\\n\u{1}\u{7f}", r#""\"\\\n\u0001\u007f""#),
        ] {
            let value = Json::from(text);
            assert_eq!(body(&value), expected);
            assert_eq!(serde_json::from_str::<String>(expected).unwrap(), text);
            assert_eq!(value.to_string(), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn a_long_key_is_announced_in_a_body() {
        let long = "k".repeat(SIMPLE_KEY + 1);
        let value =
            Json::Object([("k".to_owned(), Json::Null), (long.clone(), Json::Bool(true))].into_iter().collect());
        assert_eq!(body(&value), format!(r#"{{"k":null,? "{long}":true}}"#));
        assert_eq!(value.to_string(), format!(r#"{{"k":null,"{long}":true}}"#));
    }
}
