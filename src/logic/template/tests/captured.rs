//! Text with markers that a template gets hold of: printed it keeps its structure, filtered it is
//! plain text, and no operator ever works on a marker.

use super::*;

#[test]
fn captured_text_keeps_structure_and_types_where_it_is_printed() {
    let row = || json!({"n": "x: y", "p": 80, "l": ["a", "b"]});
    let source = "{% macro env(name, value) %}- name: {{ name }}\n  value: {{ value | quote }}\n{% endmacro %}\
        {% set port %}{{ row.p }}{% endset %}\
        port: {{ port }}\nenv:\n{{ env('A', row.n) }}{{ env('B', row.p) }}";
    assert_eq!(
        one(source, row()),
        json!({"port": 80, "env": [{"name": "A", "value": "x: y"}, {"name": "B", "value": "80"}]})
    );
    let source = "{% macro item(x) %}\nk: {{ x }}\nl:\n  - {{ x }}{% endmacro %}a:{{ item(row.n) | indent(2) }}\nb:\n  c:{{ item(row.p) | trim | nindent(4) }}\n";
    assert_eq!(one(source, row()), json!({"a": {"k": "x: y", "l": ["x: y"]}, "b": {"c": {"k": 80, "l": [80]}}}));
    let source = "{% macro wrap() %}w:\n  {{ caller() | indent(2) }}{% endmacro %}{% call wrap() %}a: {{ row.n }}\nb: {{ row.p }}{% endcall %}";
    assert_eq!(one(source, row()), json!({"w": {"a": "x: y", "b": 80}}));
    assert_eq!(one("{% block b %}a: {{ row.n }}{% endblock %}", row()), json!({"a": "x: y"}));
    assert_eq!(one("v:{% for x in row.l recursive %}\n- {{ x }}{% endfor %}", row()), json!({"v": ["a", "b"]}));
}

#[test]
fn a_filter_sees_the_text_and_not_its_markers() {
    let row = || json!({"a": "Ab", "n": 7});
    let set = "{% set c %}p-{{ row.a }}-{{ row.n }}{% endset %}";
    for (filter, expected) in [
        ("upper", json!("P-AB-7")),
        ("lower", json!("p-ab-7")),
        ("length", json!(6)),
        ("trunc(4)", json!("p-Ab")),
        ("replace('Ab', 'x')", json!("p-x-7")),
        ("sha256", json!(one("v: {{ 'p-Ab-7' | sha256 }}", json!({}))["v"])),
        ("b64encode", json!("cC1BYi03")),
        ("list | length", json!(6)),
        ("reverse", json!("7-bA-p")),
        ("split('-') | last | int + 1", json!(8)),
        ("dnsLabel", json!(one("v: {{ 'p-Ab-7' | dnsLabel }}", json!({}))["v"])),
        ("first", json!("p")),
        ("string", json!("p-Ab-7")),
        ("quote", json!("p-Ab-7")),
        ("toJson", json!("p-Ab-7")),
        ("string == 'p-Ab-7'", json!(true)),
        ("default('x')", json!("p-Ab-7")),
        ("title", json!("P-Ab-7")),
    ] {
        assert_eq!(one(&format!("{set}v: {{{{ c | {filter} }}}}\nz: 1"), row())["v"], expected, "{filter}");
    }
    for (expression, expected) in [
        ("{'k': c, 'l': [c]} | toJson", json!({"k": "p-Ab-7", "l": ["p-Ab-7"]})),
        ("[c, c] | unique | length", json!(1)),
        ("[c] | map('upper') | join", json!("P-AB-7")),
        ("['b', c] | sort | first", json!("b")),
        ("c is startingwith('p-A')", json!(true)),
        ("c is eq('p-Ab-7')", json!(true)),
        ("dict(k=c) | toJson", json!({"k": "p-Ab-7"})),
        ("'%s!' | format(c)", json!("p-Ab-7!")),
        ("c ~ '!'", json!("p-Ab-7!")),
        ("c + '!'", json!("p-Ab-7!")),
        ("c | string ~ row.n", json!("p-Ab-77")),
        ("row.a | quote | upper", json!("\"AB\"")),
    ] {
        assert_eq!(one(&format!("{set}v: {{{{ {expression} }}}}\nz: 1"), row())["v"], expected, "{expression}");
    }
    assert_eq!(one("v: {% filter upper %}a{{ row.a }}{% endfilter %}", row())["v"], "AAB");
    assert_eq!(one("{% set c | upper %}a{{ row.a }}{% endset %}v: {{ c }}", row())["v"], "AAB");
}

#[test]
fn an_operator_on_captured_text_is_an_error_where_it_would_give_nonsense() {
    let set = "{% set c %}{{ row.a }}{% endset %}";
    for source in [
        "v: {% if c == 'x' %}1{% else %}2{% endif %}",
        "v: {{ c == 'x' }}",
        "v: {{ 'x' in c }}",
        "v: {{ c[:1] }}y",
        "v: {{ c[0] }}",
        "v: {% if [c] == ['x'] %}1{% else %}2{% endif %}",
        "v: {{ {'x': 1}[c] }}",
        "v: {{ (c ~ 'y')[1:] }}",
        "v: {{ c < 'y' }}",
    ] {
        let error = error(&format!("{set}{source}"), json!({"a": "x"}));
        assert!(error.contains("| string") || error.contains("undefined"), "{source}: {error}");
    }
    for source in ["v: {% if c %}1{% endif %}", "v: {{ c or 'x' }}", "v: {{ 1 if c else 2 }}", "v: {{ not c }}"] {
        let error = error(&format!("{set}{source}"), json!({"a": ""}));
        assert!(error.contains("| string"), "{source}: {error}");
    }
    for source in
        ["v: {{ (row.a | quote)[1:] }}", "v: {{ (row.a | toYaml) == 'x' }}", "{% set q = row.a | quote %}v: {{ q[0] }}"]
    {
        let error = error(source, json!({"a": "x"}));
        assert!(error.contains("| string"), "{source}: {error}");
    }
    assert_eq!(
        error("a: 1\n{% set c %}{{ row.a }}{% endset %}\nb: {{ c == 'x' }}\n", json!({"a": "x"})).split(':').next(),
        Some("line 3")
    );
}

#[test]
fn an_operator_on_captured_text_that_changes_nothing_is_no_error() {
    let set = "{% set c %}{{ row.a }}{% endset %}";
    for (source, expected) in [
        ("v: {% if c %}1{% endif %}", json!(1)),
        ("v: {{ c * 2 }}", json!("xx")),
        ("v: {{ (c | string) == 'x' }}", json!(true)),
        ("v: {{ (c | string)[:1] }}", json!("x")),
        ("v: {{ c | default('y') }}", json!("x")),
        ("v: {{ c if row.a == 'x' else 3 }}", json!("x")),
    ] {
        assert_eq!(one(&format!("{set}{source}"), json!({"a": "x"}))["v"], expected, "{source}");
    }
}

#[test]
fn trimming_and_indenting_captured_text_reaches_into_values() {
    let row = |a: &str| json!({"a": a, "b": "B"});
    for (a, expected) in [(" x ", "x  B"), ("", "B"), ("  ", "B"), ("x", "x B")] {
        assert_eq!(
            one("{% set c %}  {{ row.a }} {{ row.b }}\n{% endset %}v: {{ c | trim }}", row(a))["v"],
            expected,
            "{a:?}"
        );
    }
    assert_eq!(one("{% set c %} {{ row.a }} {% endset %}v: \"{{ c | trim }}\"", row(" \n "))["v"], "");
    let source = "{% set c %}x: {{ row.a }}\n{{ row.b }}\n\nz{% endset %}v: {{ c | indent(2) | string }}";
    assert_eq!(one(source, row("p\nq"))["v"], "x: p\n  q\n  B\n\n  z");
}
