//! Texts by the verbs of `printf`: `%x` and `%q`.

use std::fmt::Write;

use super::Spec;

/// Two digits for each byte.
pub(super) fn hex(text: &str, spec: Spec, upper: bool) -> String {
    let bytes = text.as_bytes();
    let bytes = &bytes[..spec.precision.unwrap_or(bytes.len()).min(bytes.len())];
    let prefix = if !spec.sharp || bytes.is_empty() {
        ""
    } else if upper {
        "0X"
    } else {
        "0x"
    };
    let mut out = prefix.to_owned();
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && spec.space {
            out.push(' ');
            out.push_str(prefix);
        }
        let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
    }
    out
}

/// A Go literal.
pub(super) fn quoted(text: &str, quote: char, ascii: bool) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        let is_shown = c == ' '
            || !(c.is_control()
                || c.is_whitespace()
                || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{ffff}'));
        let _ = match c {
            '\\' => write!(out, "\\\\"),
            c if c == quote => write!(out, "\\{c}"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\u{c}' => write!(out, "\\f"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            '\u{b}' => write!(out, "\\v"),
            c if is_shown && (c.is_ascii() || !ascii) => write!(out, "{c}"),
            c if u32::from(c) < 0x80 => write!(out, "\\x{:02x}", u32::from(c)),
            c if u32::from(c) < 0x10000 => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "\\U{:08x}", u32::from(c)),
        };
    }
    out.push(quote);
    out
}
