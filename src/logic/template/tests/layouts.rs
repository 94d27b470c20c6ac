//! Where trees, lists and indented text can stand.

use super::*;

#[test]
fn a_tree_is_spliced_wherever_it_stands_among_keys() {
    let labels = json!({"a": "1", "b": "2"});
    for source in [
        "labels:\n  {{ row.l | toYaml }}\n  x: w\n",
        "labels:\n  x: w\n  {{ row.l | toYaml }}\n",
        "labels:\n  x: w\n  {{ row.l | toYaml | indent(2) }}\n",
        "labels:\n  x: w\n  {{- row.l | toYaml | nindent(2) }}\n",
        "labels:\n  x: w\n{{ row.l | toYaml | indent(2, true) }}\n",
        "labels:\n  x: w\n{{ row.l | toYaml | indent(2, first=true) }}\n",
        "labels:\n  x: w\n  {{ row.l | toYaml }}   # all of them\n",
        "labels:\n  x: w\n\n  # comment\n  {{ row.l | toYaml }}\n\n",
        "labels:\n  {{ row.e | toYaml }}\n  x: w\n  {{ row.n | toJson }}\n  {{ row.l | toJson }}\n",
        "{% macro more(m) %}{{ m | toYaml }}{% endmacro %}labels:\n  x: w\n  {{ more(row.l) }}\n",
        "{% macro more(m) %}\nx: w\n{{ m | toYaml }}{% endmacro %}labels:{{ more(row.l) | indent(2) }}\n",
    ] {
        let row = json!({"l": labels, "e": {}, "n": null});
        assert_eq!(one(source, row), json!({"labels": {"x": "w", "a": "1", "b": "2"}}), "{source}");
    }
}

#[test]
fn a_tree_alone_is_inserted_whatever_it_is() {
    for value in [
        json!({"a": [1, {"b": null}]}),
        json!([1, "x: y"]),
        json!("a: b\n- c"),
        json!(null),
        json!({}),
        json!([]),
        json!(5),
    ] {
        for source in [
            "cfg: {{ row.v | toYaml }}\nz: 1\n",
            "cfg:{{ row.v | toYaml | nindent(4) }}\nz: 1\n",
            "cfg:\n  {{ row.v | toYaml }}\nz: 1\n",
            "cfg:\n{{ row.v | toYaml | indent(2, true) }}\nz: 1\n",
            "cfg:\n  {{- row.v | toYaml | nindent(2) }}\nz: 1\n",
            "{ cfg: {{ row.v | toJson }}, z: 1 }\n",
            "{% set t %}{{ row.v | toJson }}{% endset %}cfg: {{ t }}\nz: 1\n",
        ] {
            assert_eq!(one(source, json!({"v": value})), json!({"cfg": value, "z": 1}), "{source}");
        }
        let list =
            one("- {{ row.v | toYaml }}\n-\n  {{ row.v | toYaml }}\n- [{{ row.v | toYaml }}]", json!({"v": value}));
        assert_eq!(list, json!([value, value, [value]]));
    }
    assert_eq!(one("{{ row | toYaml }}", json!({"kind": "X"})), json!({"kind": "X"}));
    assert_eq!(one("# top\n{{ row | toYaml }}\n", json!({"kind": "X"})), json!({"kind": "X"}));
}

#[test]
fn a_list_is_spliced_among_items() {
    for source in [
        "env:\n  - a\n  {{ row.l | toYaml }}\n  - z\nk: 1\n",
        "env:\n  {{ row.f | toYaml }}\n  - m\n  - q\n  - z\nk: 1\n",
        "env:\n- a\n{{ row.l | toYaml }}\n- z\nk: 1\n",
        "env:\n- a\n{{ row.l | toYaml }}\n{{ row.last | toYaml }}\nk: 1\n",
        "env:\n{{ row.f | toYaml }}\n- m\n- q\n- z\nk: 1\n",
        "env:\n{{ row.all | toYaml }}\nk: 1\n",
        "env:\n  {{ row.all | toYaml | indent(2) }}\nk: 1\n",
        "env:\n  {{ row.f | toYaml }}\n  {{ row.l | toYaml }}\n  {{ row.none | toYaml }}\n  {{ row.last | toYaml }}\nk: 1\n",
        "env:\n  - a\n  {{ row.none | toYaml }}\n  {{ row.l | toYaml }}\n  -   z\nk: 1\n",
        "env:\n  - a\n{% if row.l %}{{ row.l | toYaml | indent(2, true) }}{% endif %}\n  - z\nk: 1\n",
    ] {
        let row = json!({"l": ["m", "q"], "f": ["a"], "last": ["z"], "none": null, "all": ["a", "m", "q", "z"]});
        assert_eq!(one(source, row), json!({"env": ["a", "m", "q", "z"], "k": 1}), "{source}");
    }
}

#[test]
fn a_tree_is_spliced_under_a_list_item() {
    for source in [
        "c:\n  - name: a\n    {{ row.m | toYaml }}\n  - name: b\n",
        "c:\n- name: a\n  {{ row.m | toYaml }}\n- name: b\n",
        "c:\n- {{ row.m | toYaml }}\n- name: b\n",
        "c:\n  -   name: a\n      {{ row.m | toYaml }}\n  - name: b",
        "c:\n  - \n    {{ row.m | toYaml }}\n    name: a\n  - name: b",
    ] {
        let name = if source.contains("name: a") { json!({"x": [1]}) } else { json!({"name": "a", "x": [1]}) };
        assert_eq!(one(source, json!({"m": name})), json!({"c": [{"name": "a", "x": [1]}, {"name": "b"}]}), "{source}");
    }
    let source = "c:\n- name: a\n  env:\n  - one\n  {{ row.l | toYaml }}\n  image: i\n- - x\n  {{ row.l | toYaml }}\n";
    assert_eq!(
        one(source, json!({"l": [2]})),
        json!({"c": [{"name": "a", "env": ["one", 2], "image": "i"}, ["x", 2]]})
    );
}

#[test]
fn trees_of_loops_are_spliced() {
    let source = "m:\n  k: v\n  {% for x in row.l %}\n  {{ x | toYaml }}\n  {% endfor %}\n  z: 1\n";
    assert_eq!(one(source, json!({"l": [{"a": 1}, {"b": 2}]})), json!({"m": {"k": "v", "a": 1, "b": 2, "z": 1}}));
}

#[test]
fn a_tree_in_text_is_text() {
    let row = || json!({"v": {"a": "x: y\n- z", "b": [1, 2]}, "s": "it's"});
    let yaml = "a: |-\n  x: y\n  - z\nb:\n- 1\n- 2";
    assert_eq!(one("cfg: |\n    {{ row.v | toYaml }}\nz: 1", row()), json!({"cfg": format!("{yaml}\n"), "z": 1}));
    assert_eq!(one("cfg: |-\n    {{ row.v | toYaml | indent(4) }}\nz: 1", row()), json!({"cfg": yaml, "z": 1}));
    assert_eq!(
        one("cfg: |\n    - a\n    {{ row.v | toYaml }}\n    - b\n", row()),
        json!({"cfg": format!("- a\n{yaml}\n- b\n")})
    );
    assert_eq!(
        one("cfg: |\n  top:\n    {{ row.v | toYaml | indent(4) }}\n", row())["cfg"],
        format!("top:\n  {}\n", yaml.replace('\n', "\n  "))
    );
    assert_eq!(one("c: \"{{ row.v | toJson }}\"", row())["c"], "{\"a\":\"x: y\\n- z\",\"b\":[1,2]}");
    assert_eq!(one("c: '{{ row.s | toJson }}'", row())["c"], "\"it's\"");
    assert_eq!(one("c: \"x\n  {{ row.s | toJson }}\n  y\"", row())["c"], "x \"it's\" y");
    assert_eq!(one("c: pre {{ row.v | toJson }}", row())["c"], "pre {\"a\":\"x: y\\n- z\",\"b\":[1,2]}");
}

#[test]
fn layout_spaces_are_not_part_of_a_value() {
    let row = || json!({"s": "a\nb\n"});
    for source in [
        "script: |-\n  {{ row.s | indent(2) }}",
        "script: |-\n    {{ row.s | indent(4) }}",
        "script: {{ row.s | nindent(4) }}",
        "script: {{ row.s | indent(4) }}",
        "script: \"{{ row.s | indent(4) }}\"",
        "script: {{ row.s | quote | indent(4) }}",
        "script: {{ row.s }}",
    ] {
        assert_eq!(one(source, row()), json!({"script": "a\nb\n"}), "{source}");
    }
    // More spaces than the block's own were asked for, and are there.
    assert_eq!(one("s: |-\n  x:\n    {{ row.s | indent(4) }}", row())["s"], "x:\n  a\n  b\n");
    assert_eq!(one("s: |\n  {{ row.s | trim }}!\n", row())["s"], "a\nb!\n");
}

#[test]
fn block_scalars_keep_their_chomping() {
    let row = || json!({"v": "x\n\ny"});
    assert_eq!(one("a: |\n  {{ row.v }}\n\nb: 1", row())["a"], "x\n\ny\n");
    assert_eq!(one("a: |-\n  {{ row.v }}\n\nb: 1", row())["a"], "x\n\ny");
    assert_eq!(one("a: |+\n  {{ row.v }}\n\nb: 1", row())["a"], "x\n\ny\n\n");
    assert_eq!(one("a: >\n  q\n  {{ row.v }}\n  r\n\nb: 1", row())["a"], "q x\n\ny r\n");
    assert_eq!(one("a: >-\n  {{ row.v }}\n", row())["a"], "x\n\ny");
}

#[test]
fn values_keep_their_types_and_text_is_made_of_them() {
    let row = || json!({"i": 3, "f": 1.0, "t": true, "n": null, "s": "012", "yes": "yes", "m": {"a": 1}, "l": [1, "b"], "u": u64::MAX, "neg": -5, "e": ""});
    for name in ["i", "f", "t", "n", "s", "yes", "m", "l", "u", "neg", "e"] {
        assert_eq!(one(&format!("v: {{{{ row.{name} }}}}\nz: 1"), row())["v"], row()[name], "{name}");
    }
    assert_eq!(
        one("v: {{ row.f }}-{{ row.t }}-{{ row.n }}-{{ row.i }}-{{ row.m }}-{{ row.l }}", row())["v"],
        "1.0-true--3-{\"a\":1}-[1,\"b\"]"
    );
    assert_eq!(one("v: \"{{ row.t }}\"", row())["v"], "true");
    assert_eq!(one("v: '{{ row.i }}'", row())["v"], "3");
    assert_eq!(one("v: !!str {{ row.i }}", row())["v"], "3");
    assert_eq!(one("v: {{ row.i | quote }}\nw: {{ row.t | squote }}", row()), json!({"v": "3", "w": "true"}));
    assert_eq!(one("v: \"{{ row.i | quote }}\"", row())["v"], "3");
    assert_eq!(
        one("v: |\n  export A={{ row.s | quote }} B={{ row.yes | squote }}", row())["v"],
        "export A=\"012\" B='yes'\n"
    );
    assert_eq!(one("{{ row.i }}: 1\n{{ row.t }}: 2\nk-{{ row.s }}: 3", row()), json!({"3": 1, "true": 2, "k-012": 3}));
    assert_eq!(
        one(
            "v: [{{ row.l | join(',') }}, {{ [true, none] | join('+') }}, {{ row.t | string }}, {{ row.t | upper }}, {{ '%s' | format(row.t) }}]",
            row()
        )["v"],
        json!(["1,b", "true+", "true", "TRUE", "true"])
    );
    assert_eq!(one("a: {{ row.i }} # {{ row.s }}\n# {{ row.l }}\nb: 1", row()), json!({"a": 3, "b": 1}));
}

#[test]
fn an_empty_render_is_no_document() {
    for source in [
        "",
        "\n  \n",
        "# nothing\n",
        "---\n---\n# x\n",
        "{% if row.a %}a: 1{% endif %}",
        "{{ row.n }}",
        "~",
        "{{ row.n | toYaml }}",
    ] {
        assert_eq!(render(source, json!({"a": false, "n": null})).map_err(|e| e.to_string()), Ok(vec![]), "{source:?}");
    }
    let documents = render(
        "---\na: 1\n---\n---\nb: {{ row.x }}\n...\n---\n# c\n---\n{% for i in [1, 2] %}\n---\ni: {{ i }}\n{% endfor %}",
        json!({"x": "---"}),
    );
    assert_eq!(documents, Ok(vec![json!({"a": 1}), json!({"b": "---"}), json!({"i": 1}), json!({"i": 2})]));
}

#[test]
fn joined_values_are_written_as_everywhere() {
    let row = || json!({"t": true, "n": null, "f": 1.5, "i": 2, "l": ["a", null], "s": "x"});
    let source = "v: {{ row.t ~ '-' ~ row.n ~ '-' ~ row.f ~ '-' ~ row.i * 2 ~ '-' ~ row.l ~ (row.s ~ row.t)[1:] }}";
    assert_eq!(one(source, row())["v"], "true--1.5-4-[\"a\",null]true");
    assert_eq!(one("v: {{ 1 if row.s ~ row.t == 'xtrue' else 2 }}", row())["v"], 1);
    assert_eq!(
        error("a: {{ row.s ~ row.t }}\nb: {{ row.s ~ row.t ~ row.gone }}", row()),
        "line 2, column 7: undefined value in `row.s ~ row.t ~ row.gone`"
    );
}
