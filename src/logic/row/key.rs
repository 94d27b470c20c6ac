//! A row's key taken apart. Pure.

/// The values of a row's key columns, in order, each as text or null.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Vec<Option<String>>);

impl Key {
    /// Reads a JSON array of texts and nulls, however it is written: with spaces, or with escapes where none are needed.
    /// None for anything else, and for a text that the server could not hold.
    pub fn parse(json: &str) -> Option<Self> {
        let parts: Vec<Option<String>> = serde_json::from_str(json).ok()?;
        let is_text = |part: &Option<String>| part.as_ref().is_none_or(|text| !text.contains('\0'));
        (!parts.is_empty() && parts.iter().all(is_text)).then_some(Self(parts))
    }

    /// Of these values, without a character that the server could not hold.
    pub fn new(parts: Vec<Option<String>>) -> Self {
        Self(parts)
    }

    /// The same text for the same values, and that of [`super::Row::key`]: the server's `array_to_json` writes no spaces
    /// and escapes what JSON demands and nothing else, as is done here.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Its values.
    pub fn parts(&self) -> &[Option<String>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_text_however_it_was_written() {
        for (written, text) in [
            (r#"["1"]"#, r#"["1"]"#),
            (r#" [ "a" , null ,"\u00fc\/" ] "#, r#"["a",null,"ü/"]"#),
            (r#"["\u0001\u001f\n\"\\"]"#, r#"["\u0001\u001f\n\"\\"]"#),
        ] {
            assert_eq!(Key::parse(written).unwrap().text(), text);
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in ["", "[]", "{}", "[1]", r#"["a"#, r#"[["a"]]"#, r#"["\u0000"]"#, r#"["\ud800"]"#, r#"["a"] x"#] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}
