//! Reads JSON. Readers that are to be had round numbers on the way, so the structure is read here, and strings with
//! escapes are left to serde_json.

use super::{Json, Map, Number};

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 127;

/// The text is not JSON, or nested more than 127 levels deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not JSON, or nested too deeply")]
pub struct NotJson;

/// Reads a whole text. Of a name that stands twice in an object, the last value counts.
pub fn parse(text: &str) -> Result<Json, NotJson> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    match reader.next() {
        None => Ok(value),
        Some(_) => Err(NotJson),
    }
}

/// A text and how far it was read, in bytes. All that is looked for is ASCII, so that is always between characters.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is not white space; it is not read yet.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Reads a byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.next() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn require(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.take(byte) { Ok(()) } else { Err(NotJson) }
    }

    /// Reads a value that is inside so many arrays and objects.
    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        match self.next().ok_or(NotJson)? {
            b'{' | b'[' if depth == MAX_DEPTH => Err(NotJson),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(Json::String),
            b'-' | b'0'..=b'9' => Number::parse(self.word()).map(Json::Number).ok_or(NotJson),
            _ => match self.word() {
                "null" => Ok(Json::Null),
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                _ => Err(NotJson),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.require(b'{')?;
        let mut map = Map::default();
        if self.take(b'}') {
            return Ok(Json::Object(map));
        }
        loop {
            let name = self.string()?;
            self.require(b':')?;
            map.insert(name, self.value(depth)?);
            if !self.take(b',') {
                return self.require(b'}').map(|()| Json::Object(map));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.require(b'[')?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if !self.take(b',') {
                return self.require(b']').map(|()| Json::Array(items));
            }
        }
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.require(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).ok_or(NotJson)?;
            let len = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).ok_or(NotJson)?;
            self.at += len;
            match rest.get(len) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return Err(NotJson),
            }
        }
        self.at += 1;
        if escaped {
            return serde_json::from_str(self.text.get(start - 1..self.at).ok_or(NotJson)?).map_err(|_| NotJson);
        }
        Ok(self.text.get(start..self.at - 1).ok_or(NotJson)?.to_owned())
    }

    /// Reads the characters that numbers and literals are made of.
    fn word(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let len = rest.bytes().take_while(is_part).count();
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn what_is_not_json_is_refused_beside_any_number() {
        for text in [
            "",
            "{",
            "[1.50,]",
            "{\"a\":1.50} x",
            "[1.50",
            "[01]",
            "'a'",
            "[1.50,\"\n\"]",
            "[1.50,nul]",
            "[\"\\ud800\",1.50]",
        ] {
            assert_eq!(parse(text), Err(NotJson), "{text}");
        }
    }

    /// Also where a text was damaged: every byte of the text is changed in turn.
    #[test]
    fn what_serde_json_reads_is_read_the_same() {
        let text =
            r#" {"a" : [1, -2.5,0, 1e-7,true,false ,null], "é\n\u00e9\ud834\udd1e\/": {"":{},"b":[ ]}, "c":"\t\"x" }"#;
        let mut texts = vec![text.to_owned(), "\"a\"".into(), "7 ".into(), "\u{FEFF}1".into(), "1\u{A0}".into()];
        for (at, c) in text.char_indices() {
            for other in ["", "\"", "\\", "{", "]", ",", ":", "0", "-", " ", "e", "\u{1}", "é", "1,", "nul"] {
                texts.push(format!("{}{other}{}", &text[..at], &text[at + c.len_utf8()..]));
                texts.push(format!("{}{other}", &text[..at]));
            }
        }
        for text in texts {
            let expected = serde_json::from_str::<serde_json::Value>(&text).map(|value| value.to_string());
            let read = parse(&text).map(|value| serde_json::Value::from_str(&value.to_string()).unwrap().to_string());
            assert_eq!(read.ok(), expected.ok(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_whichever_way_a_text_is_read() {
        for inner in ["", "1.50", "1e400"] {
            let nested = |depth| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
            assert!(parse(&nested(MAX_DEPTH)).is_ok(), "{inner}");
            assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(NotJson), "{inner}");
            assert_eq!(parse(&nested(100_000)), Err(NotJson), "{inner}");
        }
    }
}
