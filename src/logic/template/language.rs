//! Which language templates are written in. All templates of one DatabaseQueryResource are in one.

use super::go::source::{action_len, comment_len};
use super::{TemplateError, go, jinja};
use crate::crd::TemplateLanguage;

/// A template language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Jinja.
    Jinja,
    /// Go's text/template.
    Go,
}

impl Language {
    /// As it is called in spec and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jinja => "Jinja",
            Self::Go => "Go",
        }
    }

    /// The language of these templates, each with its field's name: what the spec says, or what they look like.
    /// Templates in both are an error. Parses, so call it where [`super::Template::compile`] is called.
    pub fn of(setting: TemplateLanguage, templates: &[(&str, &str)]) -> Result<Self, TemplateError> {
        match setting {
            TemplateLanguage::Jinja => return Ok(Self::Jinja),
            TemplateLanguage::Go => return Ok(Self::Go),
            TemplateLanguage::Auto => {}
        }
        let (mut go, mut jinja) = (None, None);
        for (field, source) in templates {
            for (language, offset) in evidence(source) {
                let first = if language == Self::Go { &mut go } else { &mut jinja };
                first.get_or_insert_with(|| (*field, go::source::place(source, offset).0));
            }
        }
        match (go, jinja) {
            (Some((go, line)), Some((jinja, other))) => Err(TemplateError::new(format!(
                "looks like Go ({go}, line {line}) and like Jinja ({jinja}, line {other}): set templateLanguage"
            ))),
            (Some(_), None) => Ok(Self::Go),
            (None, _) => Ok(Self::Jinja),
        }
    }
}

/// What speaks for a language, and where. What both can be speaks for none.
fn evidence(source: &str) -> Vec<(Language, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find('{')).map(|open| at + open) {
        let inside = source.get(open + 2..).unwrap_or_default();
        at = open
            + match source.as_bytes().get(open + 1) {
                Some(b'{') => {
                    let len = comment_len(inside).unwrap_or_else(|| action_len(inside));
                    found.extend(language(source.get(open..open + 2 + len + 2).unwrap_or(inside)).map(|it| (it, open)));
                    2 + len
                }
                Some(b'%') => {
                    found.push((Language::Jinja, open));
                    2 + raw_len(inside)
                }
                // `${#name}` is a shell's: the length of a value.
                Some(b'#') if !source.get(..open).is_some_and(|before| before.ends_with('$')) => {
                    2 + inside.find("#}").unwrap_or_default()
                }
                _ => 1,
            };
    }
    found
}

/// Length of a raw block, of which a tag is the beginning; 0 if it begins none.
fn raw_len(tag: &str) -> usize {
    let trimmed = tag.trim_start_matches(['-', '+']).trim_start();
    let is_raw = trimmed.strip_prefix("raw").is_some_and(|rest| rest.trim_start().starts_with(['-', '+', '%']));
    if is_raw { tag.find("endraw").unwrap_or(tag.len()) } else { 0 }
}

/// Longer actions are not parsed only to find out.
const MAX_ACTION: usize = 4 << 10;

/// The language of one action, with its braces.
fn language(action: &str) -> Option<Language> {
    let inside = action.strip_prefix("{{").unwrap_or(action);
    let inside = inside.strip_suffix("}}").unwrap_or(inside);
    let inside = inside.trim_matches(['-', '+']).trim();
    if is_go(inside) {
        return Some(Language::Go);
    }
    if action.len() > MAX_ACTION {
        return Some(Language::Jinja);
    }
    match (go::parses(action), jinja::parses(action)) {
        (true, true) => None,
        (true, false) => Some(Language::Go),
        // A call of what in Go would begin a block speaks for Jinja no more than `end` speaks for Go.
        (false, true) if keyword(inside).is_some() => None,
        (false, true) => Some(Language::Jinja),
        // A mistake in either, or Go with a variable from before.
        (false, false) => None,
    }
}

/// Whether an action begins as only Go's do.
fn is_go(inside: &str) -> bool {
    if inside.starts_with("/*") || inside.starts_with('$') {
        return true;
    }
    if let Some(field) = inside.strip_prefix('.') {
        return !field.starts_with(|c: char| c.is_ascii_digit());
    }
    if let Some(rest) = keyword(inside) {
        return !rest.trim_start().starts_with('(') || !jinja::parses(&format!("{{{{ {inside} }}}}"));
    }
    // A function with a field, variable or string behind it, which Jinja would take for an attribute at best.
    let word = inside.len() - inside.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    let rest = inside.get(word..).unwrap_or_default();
    let argument = rest.trim_start();
    word > 0 && argument.len() < rest.len() && argument.starts_with(['.', '$', '"', '`'])
}

/// What follows the keyword of Go's that an action begins with.
fn keyword(inside: &str) -> Option<&str> {
    const KEYWORDS: [&str; 10] =
        ["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"];
    let word = KEYWORDS.iter().find(|word| inside.strip_prefix(**word).is_some_and(ends_word))?;
    inside.get(word.len()..)
}

fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || matches!(c, '(' | '$' | '"' | '`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str) -> Result<Language, String> {
        Language::of(TemplateLanguage::Auto, &[("template", source)]).map_err(|error| error.to_string())
    }

    #[test]
    fn go_is_known_by_how_an_action_begins_or_by_what_jinja_cannot_parse() {
        for source in [
            "{{ .Row.x }}",
            "{{- .Row.x -}}",
            "{{.}}",
            "{{ $x := .Row.y }}",
            "{{- range .Row.l }}{{ end }}",
            "{{ if .Row.x }}a{{ else }}b{{ end }}",
            "{{if(eq 1 .x)}}a{{end}}",
            "{{- with .Row.x }}{{ . }}{{ end }}",
            "{{/* c */}}x",
            "{{- /* {{ row.x }} {% if %} */ -}}",
            "{{ quote .Row.x }}",
            "{{ toYaml .Row.x | nindent 4 }}",
            "{{ define \"x\" }}{{ end }}",
            "{{ printf \"%s\" .x }}",
            "{{ list 1 2 | len }}",
            "{{ (include \"x\" .) }}",
            "{{ print 1 2 }} {{ now }}",
            "{{ .Row.x }} x: ${#a} y: ${#b}",
            "{{ .Row.x | nope_x ~ }}",
            "{{ env \"HOME\" }}",
            "{{- $x := dict \"a\" .Row.name }}\n{{ quote (get $x \"a\") }}",
            "{{- $l := .Row.l }}{{ toYaml (merge (dict) $l) | nindent 2 }}",
            "{{- range $i, $e := .Row.l }}{{ add 1 $i }}{{ max 1 $i }}{{ (eq $e \"a\") | ternary \"y\" \"n\" }}{{ end }}",
            "{{ .Row.x }}{{ lower (row.y | }}",
            "a: {#\n{{ .Row.x }}",
        ] {
            assert_eq!(of(source), Ok(Language::Go), "{source}");
        }
    }

    #[test]
    fn all_else_is_jinja() {
        for source in [
            "",
            "a: b",
            "{{ row.x }}",
            "{{ row.x | quote }}",
            "{{ range(3) | list }}",
            "{{ range (3) | list }}",
            "{% raw %}{{ .x }}{% endraw %}",
            "{%- raw -%}{{ .x }}{% endraw %}{{ row.y }}",
            "{# {{ .Row.x }} #}{{ row.x }}",
            "{% if row.x %}1{% endif %}",
            "{{ [1][0] }}",
            "{{ 'a' 'b' }}",
            "{{ (1) }}",
            "{{ now }}",
            "{{ \"x\" | quote }}",
            "{{ row.x if row.x else 2 }}",
            "{{ row.x | }}",
            "x: ${#a}",
            "{{ 5 }}",
        ] {
            assert_eq!(of(source), Ok(Language::Jinja), "{source}");
        }
    }

    #[test]
    fn both_are_refused_also_over_several_templates() {
        for source in
            ["{{ .Row.x }}\n{{ row.x }}", "{% if row.x %}{{ .Row.x }}{% endif %}", "{{ end }}{% set end = 1 %}"]
        {
            assert!(of(source).is_err_and(|e| e.contains("set templateLanguage")), "{source}");
        }
        let both = [("template", "a: 1\nb: {{ .Row.x }}"), ("statusUpdateQuery", "{{ row.x }}")];
        let error = Language::of(TemplateLanguage::Auto, &both).map_err(|error| error.to_string());
        let expected =
            "looks like Go (template, line 2) and like Jinja (statusUpdateQuery, line 1): set templateLanguage";
        assert_eq!(error, Err(expected.to_owned()));
        assert_eq!(Language::of(TemplateLanguage::Go, &both), Ok(Language::Go));
        assert_eq!(Language::of(TemplateLanguage::Jinja, &both), Ok(Language::Jinja));
    }
}
