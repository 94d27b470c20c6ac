//! JSON to YAML text, as `toYaml` gives it where text is wanted. Laid out as Kubernetes tools do:
//! lists at the column of their key, long text as a block.

use super::schema;
use crate::logic::json::Json;

/// A value as YAML, without a newline at the end.
pub fn to_yaml(value: &Json) -> String {
    let mut out = String::new();
    node(&mut out, value, 0);
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// Writes a node whose first line stands where the cursor is and whose others stand at `column`.
fn node(out: &mut String, value: &Json, column: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (number, (key, value)) in map.iter().enumerate() {
                if number > 0 {
                    pad(out, column);
                }
                out.push_str(&word(key));
                out.push(':');
                entry(out, value, column);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    pad(out, column);
                }
                out.push_str("- ");
                node(out, item, column + 2);
            }
        }
        Json::String(text) => string(out, text, column),
        scalar => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

/// Writes what follows `key:`.
fn entry(out: &mut String, value: &Json, column: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            out.push('\n');
            pad(out, column + 2);
            node(out, value, column + 2);
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            pad(out, column);
            node(out, value, column);
        }
        _ => {
            out.push(' ');
            node(out, value, column + 2);
        }
    }
}

fn pad(out: &mut String, column: usize) {
    out.extend(std::iter::repeat_n(' ', column));
}

fn string(out: &mut String, text: &str, column: usize) {
    if !is_block(text, column) {
        out.push_str(&word(text));
        out.push('\n');
        return;
    }
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(out, column);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Whether text can be written as a block and read back the same. A block at column 0 or text that
/// ends in several newlines would not survive as the last thing of a text, so they are quoted.
fn is_block(text: &str, column: usize) -> bool {
    column > 0
        && text.trim_end_matches('\n').contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_printable(c: char) -> bool {
    c == '\t' || (!c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}'))
}

/// One line: bare where that reads back as the same string, else in double quotes.
fn word(text: &str) -> String {
    if is_bare(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    // A JSON string is a YAML one, but for characters that YAML does not take bare.
    for c in Json::String(text.to_owned()).to_string().chars() {
        if is_printable(c) {
            out.push(c);
        } else {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    out
}

fn is_bare(text: &str) -> bool {
    let safe = |c: char| {
        c.is_ascii_alphanumeric() || "-_./ :".contains(c) || (!c.is_ascii() && is_printable(c) && !c.is_whitespace())
    };
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_')
        && text.chars().all(safe)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !looks_like_date(text)
        && schema::plain(text).is_ok_and(|value| value.as_str().is_some())
}

/// Other YAML readers take `2001-01-01` for a time.
fn looks_like_date(text: &str) -> bool {
    text.len() >= 8 && text.as_bytes().get(4) == Some(&b'-') && text.starts_with(|c: char| c.is_ascii_digit())
}
