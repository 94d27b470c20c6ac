//! What a piece of SQL may mention: functions, operators and types, by name. More rather than less: what stands before a
//! parenthesis may be a keyword. Pure.

use std::collections::BTreeSet;

use super::SqlError;
use super::lexer::{Kind, Token, tokens};

/// Names, without their schemas, as the server's catalogs have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// What stands before a parenthesis.
    pub functions: BTreeSet<String>,
    /// What is made of the characters of operators.
    pub operators: BTreeSet<String>,
    /// Everything that is a name.
    pub names: BTreeSet<String>,
}

impl Mentions {
    /// Adds what a text mentions.
    pub fn add(&mut self, text: &str) -> Result<(), SqlError> {
        let tokens = tokens(text)?;
        let mut operator: Option<(usize, usize)> = None;
        for (index, token) in tokens.iter().enumerate() {
            let part = &text[token.start..token.end];
            let is_operator = token.kind == Kind::Other && part.chars().all(|c| OPERATOR.contains(c));
            match operator {
                Some((start, end)) if is_operator && end == token.start => operator = Some((start, token.end)),
                _ => {
                    self.put_operator(text, operator.take());
                    operator = is_operator.then_some((token.start, token.end));
                }
            }
            if let Some(name) = name(token.kind, part) {
                let is_called = |next: &Token| next.kind == Kind::Open && text[next.start..].starts_with('(');
                if tokens.get(index + 1).is_some_and(is_called) {
                    self.functions.insert(name.clone());
                }
                self.names.insert(name);
            }
        }
        self.put_operator(text, operator);
        Ok(())
    }

    fn put_operator(&mut self, text: &str, place: Option<(usize, usize)>) {
        self.operators.extend(place.map(|(start, end)| text[start..end].to_owned()));
    }
}

/// What operators are made of.
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";

fn name(kind: Kind, part: &str) -> Option<String> {
    match kind {
        Kind::Word => Some(part.to_ascii_lowercase()),
        // Unicode escapes stay as they are.
        Kind::QuotedName => {
            let inner = part.split_once('"')?.1;
            Some(inner.strip_suffix('"')?.replace("\"\"", "\""))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_operators_and_names_are_told_apart() {
        let mut mentions = Mentions::default();
        mentions.add(r#"S.Lower(t.a) @@@ 'now()' AND "My ""Fn"""(t.b[1] <> -2)::citext /* x() */"#).unwrap();
        let all = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(all(&mentions.functions), r#"My "Fn" lower"#);
        assert_eq!(all(&mentions.operators), "- <> @@@");
        assert!(mentions.names.contains("citext") && !mentions.names.contains("now") && !mentions.names.contains("x"));
    }
}
