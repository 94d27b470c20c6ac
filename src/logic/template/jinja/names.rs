//! Filters and tests that there are not. minijinja finds out only when it comes to them, row by row.

use minijinja::{Environment, ErrorKind};

use super::lexer::{Token, tags, tokens};
use crate::logic::template::TemplateError;
use crate::logic::template::go::source::place;

/// The first filter or test of a template that the environment does not have.
pub(super) fn unknown(env: &Environment, source: &str) -> Option<TemplateError> {
    tags(source).into_iter().find_map(|tag| {
        let inside = source.get(tag.inside.clone())?;
        let mut before = None;
        for (token, range) in tokens(inside) {
            let word = inside.get(range.clone()).unwrap_or_default();
            let what = match (before, token) {
                (Some(Before::Pipe), Token::Word) => is_unknown(env, word, ErrorKind::UnknownFilter, "|"),
                // `is not` is told apart by the word that follows.
                (Some(Before::Is), Token::Word) if word != "not" => {
                    is_unknown(env, word, ErrorKind::UnknownTest, " is ")
                }
                _ => None,
            };
            if let Some(what) = what {
                let (line, column) = place(source, tag.inside.start + range.start);
                let error = TemplateError::new(what).in_expression(word);
                return Some(error.at_line(Some(line)).at_column(Some(column)));
            }
            before = match (token, word) {
                (Token::Pipe, _) => Some(Before::Pipe),
                (Token::Word, "is") if before.is_none() => Some(Before::Is),
                (Token::Word, "not") if before == Some(Before::Is) => Some(Before::Is),
                _ => None,
            };
        }
        None
    })
}

/// What a name stands behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Pipe,
    Is,
}

/// Asks by trying: an environment does not say what it has.
fn is_unknown(env: &Environment, name: &str, kind: ErrorKind, before: &str) -> Option<&'static str> {
    let error = env.render_str(&format!("{{{{ 0{before}{name} }}}}"), ()).err()?;
    let what = if kind == ErrorKind::UnknownFilter { "unknown filter" } else { "unknown test" };
    (error.kind() == kind).then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::template::jinja::environment::{Setup, environment};
    use crate::logic::template::jinja::marks::Mode;

    #[test]
    fn the_first_unknown_filter_or_test_is_told_with_its_place() {
        let env = environment(Setup { mode: Mode::Marked, deep: false }, "").unwrap();
        for (source, expected) in [
            ("a: {{ row.a | upper | quote }} {% if row.b is defined and row.c is not none %}{% endif %}", None),
            ("{{ '| nope is nope' }}{# | nope #}{% raw %}{{ x | nope }}{% endraw %}{{ row.is }}", None),
            ("{{ row.is | upper }}{{ {'is': 1} }}{{ x is divisibleby 3 }}", None),
            ("a: b\n{{ row.a | upper | nope }}", Some("line 2, column 20: unknown filter in `nope`")),
            ("{% for x in row.l | nope(1) %}{% endfor %}", Some("line 1, column 21: unknown filter in `nope`")),
            ("{% if a is not nope %}{% endif %}", Some("line 1, column 16: unknown test in `nope`")),
            ("{{ x | safe }}", Some("line 1, column 8: unknown filter in `safe`")),
        ] {
            assert_eq!(unknown(&env, source).map(|error| error.to_string()).as_deref(), expected, "{source}");
        }
    }
}
