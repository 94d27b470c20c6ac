//! Whatever a row holds comes out as it went in, wherever it is put, and moves nothing else.

use super::*;

/// Text that would be something else if it were ever parsed.
pub(super) fn hostile() -> Vec<String> {
    let fixed = [
        "",
        " ",
        "  lead",
        "trail  ",
        "\n",
        "\n\n",
        "a\nb",
        "a\n\nb\n",
        "\ta",
        "a\tb",
        "\r\n",
        "a\rb",
        "x\n  labels:\n    admin: \"true\"\nspec: {hostNetwork: true}",
        "a: b",
        "a:",
        ": b",
        ":",
        "- a",
        "-",
        "--- ",
        "---\nkind: ClusterRoleBinding",
        "...\n",
        "...",
        "# c",
        "a # c",
        "\"",
        "'",
        "\"\"",
        "''",
        "it's",
        "\"q\" 'p'",
        "\\",
        "\\n",
        "\\\"",
        "a\\",
        "{x: 1}",
        "{",
        "}",
        "[1, 2]",
        "[",
        "]",
        ",",
        "a, b",
        "*alias",
        "&anchor b",
        "!!str x",
        "!tag",
        "!!binary aGk=",
        "|",
        "|\n  x",
        "> x",
        ">-",
        "%YAML 1.1",
        "%",
        "@x",
        "`x`",
        "? a",
        "?",
        "<<",
        "<<: *x",
        "true",
        "True",
        "false",
        "null",
        "~",
        "Null",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "012",
        "0777",
        "0x1F",
        "0o17",
        "1e3",
        "1_000",
        "1.0",
        "-1",
        "+1",
        ".5",
        ".inf",
        "-.inf",
        ".nan",
        "12:30:45",
        "2001-01-01",
        "2001-01-01T00:00:00Z",
        "0b11",
        "1.",
        "=",
        "\u{E000}0\u{E001}",
        "\u{E000}y0\u{E001}",
        "\u{E000}",
        "\u{E001}",
        "\u{E000}999\u{E001}",
        "\u{E002}:",
        "- \u{E003}",
        "\u{E000}0\u{E001}\u{E002}:",
        "\\uE0000\\uE001",
        "a\u{E000}0\u{E001}b",
        "{{ row.v }}",
        "{{ 1 + 1 }}",
        "{% raw %}",
        "{% endmacro %}",
        "{# c #}",
        "{{",
        "}}",
        "{% include 'x' %}",
        "${#x}",
        "\0",
        "\u{1}",
        "\u{7}",
        "\u{8}",
        "\u{b}",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{80}",
        "\u{85}",
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}x",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "é\u{301}",
        "🦀",
        "\u{202e}rtl",
        "None",
        "True",
        "undefined",
        "'); DROP TABLE t; --",
        "$(rm -rf /)",
        "<script>",
        "&amp;",
    ];
    let mut all: Vec<String> = fixed.into_iter().map(str::to_owned).collect();
    let pieces = ["\n", "\"", "'", ": ", "- ", "#", "{", "]", "\u{E000}1\u{E001}", " ", "x", "\\", "|", "{{"];
    // Three pieces each, in an order that reaches them all.
    for a in 0..pieces.len() {
        for b in 0..pieces.len() {
            for c in (a + b) % 3..pieces.len() {
                if (a + b + c) % 2 == 0 {
                    all.push([pieces[a], pieces[b], pieces[c]].concat());
                }
            }
        }
    }
    assert!(all.len() > 1000, "{}", all.len());
    all
}

/// A template with the value at `/v`, and what is expected there.
type Position = (&'static str, fn(&str) -> Value);

const POSITIONS: &[Position] = &[
    ("v: {{ row.v }}\nz: 1\n", |v| json!(v)),
    ("v: '{{ row.v }}'\nz: 1\n", |v| json!(v)),
    ("v: \"{{ row.v }}\"\nz: 1\n", |v| json!(v)),
    ("v: pre-{{ row.v }}-post\nz: 1\n", |v| json!(format!("pre-{v}-post"))),
    ("v: {{ row.v }}{{ row.v }}\nz: 1\n", |v| json!(format!("{v}{v}"))),
    ("v: \"a {{ row.v }} b\"\nz: 1\n", |v| json!(format!("a {v} b"))),
    ("v: 'a {{ row.v }} b'\nz: 1\n", |v| json!(format!("a {v} b"))),
    ("v: |\n  {{ row.v }}\nz: 1\n", |v| json!(format!("{v}\n"))),
    ("v: |-\n  a\n    {{ row.v }}\n  b\nz: 1\n", |v| json!(format!("a\n  {v}\nb"))),
    ("v: |+\n  {{ row.v }}\n\nz: 1\n", |v| json!(format!("{v}\n\n"))),
    ("v: |-\n    {{ row.v | indent(4) }}\nz: 1\n", |v| json!(v)),
    ("v: >\n  a\n  {{ row.v }}\n  b\nz: 1\n", |v| json!(format!("a {v} b\n"))),
    ("v: >-\n  {{ row.v }}\nz: 1\n", |v| json!(v)),
    ("v: [a, {{ row.v }}, \"{{ row.v }}\", -{{ row.v }}]\nz: 1\n", |v| json!(["a", v, v, format!("-{v}")])),
    ("v: {a: {{ row.v }}, b: '{{ row.v }}'}\nz: 1\n", |v| json!({"a": v, "b": v})),
    ("v:\n  {{ row.v }}: 1\nz: 1\n", |v| json!({v: 1})),
    ("v:\n  \"{{ row.v }}\": 1\nz: 1\n", |v| json!({v: 1})),
    ("v:\n  k-{{ row.v }}: {{ row.v }}\nz: 1\n", |v| json!({format!("k-{v}"): v})),
    ("v: { {{ row.v }}: 1 }\nz: 1\n", |v| json!({v: 1})),
    ("v:\n  - {{ row.v }}\n  -   {{ row.v }}\nz: 1\n", |v| json!([v, v])),
    ("v: {{ row.v | quote }}\nz: 1\n", |v| json!(v)),
    ("v: {{ row.v | squote }}\nz: 1\n", |v| json!(v)),
    ("v: \"{{ row.v | squote }}\"\nz: 1\n", |v| json!(v)),
    ("v: {{ row.v | toYaml }}\nz: 1\n", |v| json!(v)),
    ("v:{{ row.v | toJson | nindent(3) }}\nz: 1\n", |v| json!(v)),
    ("v:{{ row.t | toYaml | nindent(3) }}\nz: 1\n", |v| json!({v: [v], "k": {"k": v}})),
    ("v:\n  q: 1\n  {{ row.t | toYaml }}\nz: 1\n", |v| json!({"q": 1, v: [v], "k": {"k": v}})),
    ("v:\n  - 1\n  {{ row.l | toJson }}\n  - 2\nz: 1\n", |v| json!([1, v, [v], {"a": v}, 2])),
    ("v: \"{{ row.t | toJson }}\"\nz: 1\n", |v| json!(sorted(v))),
    ("v: |-\n  {{ row.t | toJson }}\nz: 1\n", |v| json!(sorted(v))),
    ("v: {{ row.v | b64encode | b64decode }}\nz: 1\n", |v| json!(v)),
    ("v: {{ row.v ~ '' }}\nz: 1\n", |v| json!(v)),
    ("v: {{ (row.v | toJson | string) | fromJson }}\nz: 1\n", |v| json!(v)),
    ("{% set c %}a{{ row.v }}b{% endset %}v: {{ c }}\nz: 1\n", |v| json!(format!("a{v}b"))),
    ("{% set c %}a{{ row.v }}b{% endset %}v: {{ c | string | quote }}\nz: 1\n", |v| json!(format!("a{v}b"))),
    (
        "{% macro m(x) %}\n  k: {{ x }}\n  l: [{{ x }}]{% endmacro %}v:{{ m(row.v) }}\nz: 1\n",
        |v| json!({"k": v, "l": [v]}),
    ),
    ("{% macro m(x) %}{{ x }}{% endmacro %}v: {{ [m(row.v), 1] | join('/') }}\nz: 1\n", |v| json!(format!("{v}/1"))),
    ("v: x{% filter trim %} {{ row.v }}!{% endfilter %}\nz: 1\n", |v| json!(format!("x{}!", v.trim_start()))),
    ("{% set c %} {{ row.v }} {% endset %}v: \"{{ c | trim }}\"\nz: 1\n", |v| json!(v.trim())),
    ("# {{ row.v }}\nv: 5 # {{ row.v }}\nz: 1\n", |_| json!(5)),
    ("v: {% for c in [row.v] %}{{ c }}{% endfor %}\nz: 1\n", |v| json!(v)),
];

/// Templates see the keys of a map in order.
pub(super) fn sorted(v: &str) -> String {
    let both = [(v, json!([v])), ("k", json!({"k": v}))];
    json!(std::collections::BTreeMap::from(both)).to_string()
}

#[test]
fn a_value_never_becomes_structure() {
    let values = hostile();
    for (source, expected) in POSITIONS {
        let template = jinja(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
        for value in &values {
            check(&template, source, value, *expected);
        }
        check(&template, source, &"x: \"y\"\n- 'z'\n".repeat(1 << 16), *expected);
    }
}

pub(super) fn check(template: &Template, source: &str, value: &str, expected: fn(&str) -> Value) {
    // A key that the template has as well is refused, as it should be.
    if ["k", "q"].contains(&value) {
        return;
    }
    let row = json!({"v": value, "t": {value: [value], "k": {"k": value}}, "l": [value, [value], {"a": value}]});
    let shown: String = value.chars().take(80).collect();
    let got = rendered(template, row).unwrap_or_else(|e| panic!("{e}\n{source}\n{shown:?}"));
    assert_eq!(got.len(), 1, "{source}\n{shown:?}");
    assert!(got[0] == json!({"v": expected(value), "z": 1}), "{source}\n{shown:?}\n{:.300}", got[0].to_string());
}

#[test]
fn a_nested_value_keeps_its_shape() {
    let mut deep = json!("\u{E000}0\u{E001}\n- x");
    for depth in 0..50 {
        deep = if depth % 2 == 0 { json!([deep, null]) } else { json!({"a: b\n": deep, "": true}) };
    }
    for source in [
        "v: {{ row.v }}",
        "v: {{ row.v | toYaml }}",
        "v:\n  {{ row.v | toJson }}",
        "v: {{ row.v | toJson | fromJson }}",
    ] {
        assert!(one(source, json!({"v": deep})) == json!({"v": deep}), "{source}");
    }
    let text = one("v: |\n  {{ row.v | toYaml }}", json!({"v": ["a: b", "c\nd"]}))["v"].clone();
    assert_eq!(text, "- 'a: b'\n- |-\n  c\n  d\n".replace('\'', "\""));
}

#[test]
fn skeletons_are_shared_by_rows() {
    let template = jinja("a: {{ row.a }}\nb: {{ row.b }}\n").unwrap();
    for n in 0..500 {
        let row = json!({"a": n, "b": format!("x{n}: -")});
        assert_eq!(rendered(&template, row.clone()), Ok(vec![row]));
    }
    assert_eq!(template.skeletons.len(), 1);
    let many = jinja("a: {% for i in range(row.n) %}x{% endfor %}{{ row.n }}").unwrap();
    for n in 0..500 {
        rendered(&many, json!({"n": n})).unwrap();
    }
    assert!(many.skeletons.len() <= skeletons::MAX_KEPT);
}
