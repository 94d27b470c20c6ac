//! What is refused, and that no refusal shows a value.

use super::*;

const CANARY: &str = "CANARY";

#[test]
fn errors_never_show_a_value() {
    let row = || json!({"s": "CANARY-1", "t": "CANARY: [", "n": 1, "l": ["CANARY"], "m": {"CANARY": "CANARY"}, "bad": "CANARY{", "z": null});
    let sources = [
        "{{ row.s + 1 }}",
        "{{ row.s | int }}",
        "{{ row.s | float }}",
        "{{ row.s * row.s }}",
        "{{ -row.s }}",
        "{{ row.s.x.y }}",
        "{{ row.m[row.s].x }}",
        "{{ row[row.s] }}",
        "{{ row.s() }}",
        "{{ row.s.upper() }}",
        "{{ row.s | nope }}",
        "{{ row.s is nope }}",
        "{{ nope(row.s) }}",
        "{{ row.s | round }}",
        "{{ row.s | abs }}",
        "{{ row.l | sum }}",
        "{{ row.l | map(row.s) }}",
        "{{ row.l | select(row.s) }}",
        "{{ row.s | truncate(row.s) }}",
        "{{ row.s | indent(row.s) }}",
        "{{ row.s | nindent }}",
        "{{ row.s | fromJson }}",
        "{{ row.t | fromYaml }}",
        "{{ row.bad | b64decode }}",
        "{{ fail(row.s) }}",
        "{{ row.z | required(row.s) }}",
        "{{ row.nope | required(row.s) }}",
        "{% include row.s %}",
        "{% extends row.s %}",
        "{% import row.s as x %}",
        "{% for a, b in row.l %}{% endfor %}",
        "{% for a in row.n %}{% endfor %}",
        "{% autoescape row.s %}x{% endautoescape %}",
        "{% autoescape false %}{{ row.s }}{% endautoescape %}",
        "{% set a, b, c = row.l %}",
        "{{ row.s | dictsort }}",
        "{{ row.s | items }}",
        "{{ row.n | join(row.s) }}",
        "{{ row.s | urlencode | nope }}",
        "{{ row.s | batch(0) }}",
        "{{ row.s | format(1) }}",
        "{{ '%d' | format(row.s) }}",
        "{{ row.s / 0 }}",
        "{{ row.n / 0 }}",
        "{% macro m(a) %}{{ a + 1 }}{% endmacro %}{{ m(row.s) }}",
        "{{ range(row.s) }}",
        "{{ range(99999999) }}",
        "{{ dict(row.s) }}",
        "{{ row.s | replace }}",
        "{{ row.s in row.n }}",
        "{{ row.s < 1 < nope }}",
        "{{ row.s[::0] }}",
        "{{ row.s | tojson(nope=row.s) | nope }}",
        "a: {{ row.s }}\na: 1\n{{ row.s }}: 1\n{{ row.s }}: 2",
        "{{ row.m }}: 1",
        "{{ row.z }}: 1",
        "{{ row.l }}: 1",
        "k: v\n{{ row.m | toYaml }}\nCANARY: 1".replace("CANARY", "C").leak(),
        "k: v\n{{ row.m | toYaml }}\n{{ row.m | toYaml }}",
        "- a\n{{ row.m | toYaml }}",
        "k: v\n{{ row.s | toYaml }}",
        "k: v\n{{ row.l | toYaml }}",
        "a: [{{ row.s }}",
        "a: \"{{ row.s }}",
        "a: *{{ row.s }}",
        "a: &{{ row.s }} x",
        "a: !{{ row.s }} x",
        "a: @{{ row.s }}",
        "{{ row.s }}\n: : x\n- y",
        "a: \"\\{{ row.s }}\"",
        "%{{ row.s }}\n---\na: 1\n",
        "a: b\n {{ row.s }}: c\n d: e",
        "{% set c %}{{ row.s }}{% endset %}{{ c[2:] }}",
        "{% set c %}{{ row.s }}{% endset %}{{ c == 'CANARY-1' }}".replace("CANARY", "X").leak(),
        "{{ row.s | default(1, 2, 3) }}",
        "{{ row.s | sort(attribute=row.s) }}",
        "{{ row.l | groupby(row.s) | first | attr('x') }}",
        "{{ row.l | zip(row.n) | list }}",
        "{{ namespace(row.s) }}",
        "{{ loop(row.s) }}",
        "{{ super() }}",
        "{{ self.x() }}",
        "{{ caller() }}",
        "{{ debug() }}",
        "{{ row.s | safe }}",
        "{{ row.s | pprint }}",
        "x: {{ dbqr.nope }}",
        "{{ 1e308 * 10 }}",
        "v: {{ 9223372036854775807 * 9223372036854775807 }}",
        "{{ range }}",
        "{{ row.s | xx",
        "{% if row.s %}",
        "{{ row.s | min | nope }}",
    ];
    let mut failed = 0;
    for source in sources {
        let Err(error) = render(source, row()) else {
            continue;
        };
        failed += 1;
        for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            assert!(!shown.contains(CANARY), "{source}\n{shown}");
        }
    }
    assert!(failed >= sources.len() - 12, "only {failed} of {} fail", sources.len());
}

#[test]
fn errors_say_where_and_what() {
    let row = || json!({"a": 1, "m": {"k": 1}});
    for (source, expected) in [
        ("a: 1\nb:   {{ row.nope }}\n", "line 2, column 9: undefined value in `row.nope`"),
        ("a: 1\nb: {{ fail('x') }}\n", "line 2, column 7: the template calls fail in `fail('x')`"),
        ("a: 1\n\nb: *x\n", "line 3: YAML anchors and aliases are not supported"),
        ("{% if row.a %}\na: 1\nb:\n  c: 1\n  c: 2\n{% endif %}", "line 5: the key stands here twice at b.c"),
        ("{# one\n two #}a:\n  - {{ row.a }}: 1\n    1: 2\n", "line 4: the key stands here twice at a[0].1"),
        ("a:\n  k: 1\n  {{ row.m | toYaml }}\n", "line 3: a spliced map repeats a key that stands here already at a"),
        (
            "a: {{ row.a }}\nb: {{ row.a |\n}}",
            "line 3, column 1: not a valid template: unexpected end of variable block, expected identifier in `}}`",
        ),
    ] {
        assert_eq!(error(source, row()), expected, "{source}");
    }
}

#[test]
fn reserved_characters_are_refused_in_templates() {
    for source in ["a: \u{E000}0\u{E001}", "a: \u{E001}", "{# \u{E002} #}", "x\u{E003}"] {
        assert!(error(source, json!({})).contains("reserved"), "{source}");
    }
    for source in ["a: \"\\uE0000\\ue001\"", "a: \"{{ row.a }} \\U0000E000\"", "a: \"\\ue{% if 1 %}000{% endif %}\""] {
        assert!(error(source, json!({"a": 1})).contains("escapes"), "{source}");
    }
    assert_eq!(one("a: {{ '\\ue0000\\ue001' }}", json!({}))["a"], "\u{E000}0\u{E001}");
}

#[test]
fn too_much_is_refused() {
    let row = || json!({"big": "x".repeat(3 << 20), "l": (0..1000).collect::<Vec<_>>()});
    for (source, expected) in [
        ("x".repeat(70_000), "longer than 64 KiB"),
        (format!("a: {{{{ 1{} }}}}", "+1".repeat(3000)), "line 1: an expression is longer than 4 KiB"),
        (format!("{{% raw %}}{{{{ ' {{% endraw %}}\n{{% if '%}}'{} %}}", "~1".repeat(3000)), "line 2: an expression is longer"),
        ("{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}".into(), "too much work"),
        ("{% set ns = namespace(a='x') %}{% for i in range(40) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}".into(), "too much work"),
        ("{{ 'x' * 99999999 }}".into(), "too much work"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(), "not possible"),
        ("{% include 'template' %}".into(), "not possible"),
        ("{% for i in range(2000) %}{% for j in range(50) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% endfor %}".into(), "longer than 4 MiB"),
        ("a: {% for i in range(10) %}{{ row.big }}{% endfor %}".into(), "larger than 16 MiB"),
        ("{% for i in range(101) %}---\na: {{ i }}\n{% endfor %}".into(), "more than 100 documents"),
        ("[".repeat(100), "nested more than"),
        (format!("{}x", "- ".repeat(100)), "nested more than"),
        ("{{ row.l | indent(100000) }}".into(), "wider than"),
    ] {
        let error = error(&source, row());
        assert!(error.contains(expected), "{:.60}: {error}", source);
    }
}

#[test]
fn long_chains_are_survived_on_a_deep_stack() {
    let inner = |start: &str, link: &str| format!("{{{{ {start}{} }}}}", link.repeat(4050 / link.len()));
    let mut sources: Vec<String> = vec![
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(5400)),
        format!("a: {}", "[".repeat(65_000)),
        format!("a: {}", "{a: ".repeat(16_000)),
        "- ".repeat(32_000),
    ];
    for link in ["|abs", "+1", ".b", "[0]", "~1", " and 1", " if 1 else 2", "==1", "**1"] {
        sources.push(inner("row", link));
        sources.push(inner("1", link).repeat(15));
    }
    sources.push(format!("{}1", inner("", "-")));
    sources.push(inner("", "not "));
    deep(move || {
        for source in sources {
            let _ = render(&source, json!({}));
        }
    });
}
