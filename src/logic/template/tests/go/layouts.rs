//! Where trees, lists, words and indented text can stand.

use super::*;

#[test]
fn a_word_is_what_yaml_says_of_it_and_never_more_than_a_scalar() {
    for (text, expected) in [
        ("3", json!(3)),
        ("-3", json!(-3)),
        ("2.5", json!(2.5)),
        ("true", json!(true)),
        ("no", json!(false)),
        ("", json!(null)),
        ("~", json!(null)),
        ("0x1F", json!(31)),
        ("1e3", json!(1000)),
        ("web", json!("web")),
        (" 3", json!(" 3")),
        (".inf", json!(".inf")),
        ("1e999", json!("1e999")),
        ("2001-01-01", json!("2001-01-01")),
        ("12:30", json!("12:30")),
        ("[1, 2]", json!("[1, 2]")),
        ("{a: 1}", json!("{a: 1}")),
        ("a: b", json!("a: b")),
        ("- a", json!("- a")),
        ("\"3\"", json!("\"3\"")),
        ("3 # three", json!("3 # three")),
        ("*a", json!("*a")),
        ("!!int 3", json!("!!int 3")),
        ("3\n", json!("3\n")),
    ] {
        let row = || json!({"v": text});
        assert_eq!(one("v: {{ .Row.v }}\nz: 1", row())["v"], expected, "{text:?}");
        assert_eq!(one("v: [{{ .Row.v }}]", row())["v"], json!([expected]), "{text:?}");
        assert_eq!(one("- {{ .Row.v }}", row()), json!([expected]), "{text:?}");
        assert_eq!(one("v: {{ .Row.v | print }}\nz: 1", row())["v"], expected, "{text:?}");
        assert_eq!(one("v: {{ .Row.v | indent 2 }}\nz: 1", row())["v"], expected, "{text:?}");
        for quoted in [
            "v: \"{{ .Row.v }}\"",
            "v: '{{ .Row.v }}'",
            "v: {{ .Row.v | quote }}",
            "v: {{ squote .Row.v }}",
            "v: !!str {{ .Row.v }}",
            "v: {{ toYaml .Row.v }}",
            "v: {{ toJson .Row.v }}",
            "v: |-\n  {{ .Row.v }}",
        ] {
            assert_eq!(one(quoted, row())["v"], text, "{quoted}");
        }
    }
    assert_eq!(one("{{ .Row.k }}: 1\n{{ .Row.q }}: 2", json!({"k": "3", "q": "yes"})), json!({"3": 1, "yes": 2}));
}

#[test]
fn values_keep_their_types_and_text_is_made_of_them() {
    let row = || json!({"i": 3, "t": true, "n": null, "f": 1.5, "s": "8080", "m": {"a": 1}, "l": [1, "b"]});
    for name in ["i", "t", "n", "f", "m", "l"] {
        assert_eq!(value(&format!(".Row.{name}"), row()), row()[name], "{name}");
    }
    assert_eq!(
        one("v: {{ .Row.f }}-{{ .Row.t }}-{{ .Row.n }}-{{ .Row.i }}-{{ .Row.m }}-{{ .Row.l }}", row())["v"],
        "1.5-true--3-{\"a\":1}-[1,\"b\"]"
    );
    assert_eq!(one("v: {{ .Row.i }}{{ .Row.i }}", row())["v"], "33");
    assert_eq!(
        one("v: \"{{ .Row.t }}\"\nw: '{{ .Row.i }}'\nx: \"{{ .Row.n }}\"", row()),
        json!({"v": "true", "w": "3", "x": ""})
    );
    assert_eq!(one("v: {{ .Row.i | quote }}\nw: {{ .Row.n | quote }}", row()), json!({"v": "3", "w": ""}));
    assert_eq!(one("v: {{ quote .Row.s .Row.i }}", row())["v"], "\"8080\" \"3\"");
    assert_eq!(
        one("v: |\n  export A={{ .Row.s | quote }} B={{ squote .Row.t }}", row())["v"],
        "export A=\"8080\" B='true'\n"
    );
    assert_eq!(
        one("{{ .Row.i }}: 1\n{{ .Row.t }}: 2\nk-{{ .Row.s }}: 3", row()),
        json!({"3": 1, "true": 2, "k-8080": 3})
    );
    assert_eq!(one("a: {{ .Row.i }} # {{ .Row.s }}\n# {{ .Row.l }}\nb: 1", row()), json!({"a": 3, "b": 1}));
}

#[test]
fn a_tree_is_spliced_wherever_it_stands_among_keys() {
    for source in [
        "labels:\n  {{ .Row.l | toYaml }}\n  x: w\n",
        "labels:\n  x: w\n  {{ toYaml .Row.l }}\n",
        "labels:\n  x: w\n  {{- toYaml .Row.l | nindent 2 }}\n",
        "labels:\n  x: w\n{{ toYaml .Row.l | indent 2 }}\n",
        "labels:\n  x: w\n  {{- with .Row.l }}\n  {{- toYaml . | nindent 2 }}\n  {{- end }}\n",
        "labels:\n  x: w\n  {{ toYaml .Row.l | trim }}   # all of them\n",
        "labels:\n  {{ .Row.e | toYaml }}\n  x: w\n  {{ .Row.n | toJson }}\n  {{ .Row.l | toPrettyJson }}\n",
        "labels:\n  x: w\n  {{- range $k, $v := .Row.l }}\n  {{ $k }}: {{ $v | quote }}\n  {{- end }}\n",
        "{{ define \"more\" }}x: w\n{{ toYaml .Row.l }}{{ end }}labels:\n{{ include \"more\" . | indent 2 }}\n",
        "{{ define \"more\" }}\n{{ toYaml .l | indent 4 }}\n    x: w{{ end }}labels:{{ template \"more\" .Row }}\n",
        "{{- define \"more\" -}}\nx: w\n{{ toYaml .l }}\n{{- end }}labels:\n  {{- include \"more\" .Row | nindent 2 }}\n",
    ] {
        let row = json!({"l": {"a": "1", "b": "2"}, "e": {}, "n": null});
        assert_eq!(one(source, row), json!({"labels": {"x": "w", "a": "1", "b": "2"}}), "{source}");
    }
}

#[test]
fn a_tree_alone_is_inserted_whatever_it_is() {
    for value in
        [json!({"a": [1, {"b": null}]}), json!([1, "x: y"]), json!("a: b\n- c"), json!(null), json!({}), json!(5)]
    {
        for source in [
            "cfg: {{ .Row.v | toYaml }}\nz: 1\n",
            "cfg: {{ toPrettyJson .Row.v }}\nz: 1\n",
            "cfg: {{- toYaml .Row.v | nindent 2 }}\nz: 1\n",
            "cfg:\n{{ toYaml .Row.v | indent 2 }}\nz: 1\n",
            "{ cfg: {{ toJson .Row.v }}, z: 1 }\n",
            "{{ define \"t\" }}{{ toJson . }}{{ end }}cfg: {{ include \"t\" .Row.v }}\nz: 1\n",
            "cfg: {{ toJson .Row.v | fromJson | toYaml }}\nz: 1\n",
            "cfg: {{ toYaml .Row.v | fromYaml | toYaml }}\nz: 1\n",
        ] {
            assert_eq!(one(source, json!({"v": value})), json!({"cfg": value, "z": 1}), "{source}");
        }
    }
    assert_eq!(one("{{ toYaml .Row }}", json!({"kind": "X"})), json!({"kind": "X"}));
}

#[test]
fn a_list_is_spliced_among_items() {
    for source in [
        "env:\n  - a\n  {{ toYaml .Row.l }}\n  - z\nk: 1\n",
        "env:\n- a\n{{ toYaml .Row.l }}\n- z\nk: 1\n",
        "env:\n  - a\n{{ toYaml .Row.l | indent 2 }}\n  - z\nk: 1\n",
        "env:\n{{ toYaml .Row.all | indent 2 }}\nk: 1\n",
        "env:\n  - a\n{{- range .Row.l }}\n  - {{ . }}\n{{- end }}\n  - z\nk: 1\n",
    ] {
        let row = json!({"l": ["m", "q"], "all": ["a", "m", "q", "z"]});
        assert_eq!(one(source, row), json!({"env": ["a", "m", "q", "z"], "k": 1}), "{source}");
    }
}

#[test]
fn a_tree_in_text_is_text() {
    let row = || json!({"v": {"a": "x: y\n- z", "b": [1, 2]}});
    let yaml = "a: |-\n  x: y\n  - z\nb:\n- 1\n- 2";
    assert_eq!(one("cfg: |\n{{ toYaml .Row.v | indent 4 }}\nz: 1", row()), json!({"cfg": format!("{yaml}\n"), "z": 1}));
    assert_eq!(one("cfg: |\n    {{ toYaml .Row.v }}\nz: 1", row()), json!({"cfg": format!("{yaml}\n"), "z": 1}));
    assert_eq!(one("cfg: |-\n    {{- toYaml .Row.v | nindent 4 }}\nz: 1", row()), json!({"cfg": yaml, "z": 1}));
    assert_eq!(
        one("cfg: |\n  top:\n{{ toYaml .Row.v | indent 4 }}\n", row())["cfg"],
        format!("top:\n  {}\n", yaml.replace('\n', "\n  "))
    );
    assert_eq!(one("c: \"{{ toJson .Row.v }}\"", row())["c"], "{\"a\":\"x: y\\n- z\",\"b\":[1,2]}");
    assert_eq!(one("c: |-\n{{ toPrettyJson .Row.v.b | indent 2 }}", row())["c"], "[\n  1,\n  2\n]");
    assert_eq!(one("c: {{ toJson .Row.v | quote }}", row())["c"], "{\"a\":\"x: y\\n- z\",\"b\":[1,2]}");
}

#[test]
fn layout_spaces_are_not_part_of_a_value() {
    let row = || json!({"s": "a\nb\n"});
    for source in [
        "script: |-\n{{ .Row.s | indent 2 }}",
        "script: |-\n    {{- .Row.s | nindent 4 }}",
        "script: {{ .Row.s | nindent 4 }}",
        "script: \"{{ .Row.s }}\"",
        "script: {{ .Row.s | quote | indent 4 }}",
        "script: {{ .Row.s }}",
    ] {
        assert_eq!(one(source, row()), json!({"script": "a\nb\n"}), "{source}");
    }
    assert_eq!(one("s: |-\n  x:\n{{ .Row.s | indent 4 }}", row())["s"], "x:\n  a\n  b\n  ");
    assert_eq!(one("s: |\n  {{ .Row.s | trim }}!\n", row())["s"], "a\nb!\n");
}

#[test]
fn an_empty_render_is_no_document() {
    for source in [
        "",
        "\n  \n",
        "# nothing\n",
        "---\n---\n# x\n",
        "{{ if .Row.a }}a: 1{{ end }}",
        "{{/* a\n comment */}}",
        "{{ define \"x\" }}a: 1{{ end }}",
        "{{ .Row.n }}",
        "{{ with .Row.missing }}a: {{ . }}{{ end }}",
    ] {
        assert_eq!(render(source, json!({"a": false, "n": null})).map_err(|e| e.to_string()), Ok(vec![]), "{source:?}");
    }
    let documents =
        render("---\na: 1\n---\nb: {{ .Row.x }}\n{{ range 2 }}\n---\ni: {{ . }}\n{{ end }}", json!({"x": "---"}));
    assert_eq!(documents, Ok(vec![json!({"a": 1}), json!({"b": "---"}), json!({"i": 0}), json!({"i": 1})]));
}

#[test]
fn what_is_missing_is_empty_where_it_is_asked_for() {
    let row = || json!({"n": null, "e": "", "cfg": {"port": 80, "n": null}, "zero": 0, "list": []});
    for path in [
        ".Row.missing",
        ".Row.missing.deeper",
        ".Row.cfg.host",
        ".Row.n",
        ".Row.n.x",
        ".Row.e",
        ".Row.zero",
        ".Row.cfg.n",
    ] {
        for (expression, expected) in [
            (format!("{path} | default \"d\""), json!("d")),
            (format!("default \"d\" {path}"), json!("d")),
            (format!("if {path} }}}}a{{{{ else }}}}b{{{{ end"), json!("b")),
            (format!("with {path} }}}}a{{{{ else }}}}b{{{{ end"), json!("b")),
            (format!("or {path} \"d\""), json!("d")),
            (format!("not {path}"), json!(true)),
            (format!("coalesce {path} 5"), json!(5)),
            (format!("empty {path}"), json!(true)),
            (format!("ternary 1 2 (empty {path})"), json!(1)),
            (format!("if and {path} (fail \"x\") }}}}a{{{{ else }}}}b{{{{ end"), json!("b")),
        ] {
            assert_eq!(value(&expression, row()), expected, "{expression}");
        }
    }
    for path in [".Row.missing", ".Row.cfg.host", ".Row.n", ".Row.list"] {
        assert_eq!(value(&format!("range {path} }}}}a{{{{ else }}}}b{{{{ end"), row()), "b", "{path}");
    }
    for path in [
        ".Row.missing",
        ".Row.cfg.host",
        ".Row.missing.x.y",
        ".Row.n.x",
        "index .Row \"missing\"",
        "index .Row.cfg \"x\" \"d\"",
    ] {
        for source in [
            format!("v: {{{{ {path} }}}}"),
            format!("v: a-{{{{ {path} }}}}"),
            format!("v: {{{{ {path} | quote }}}}"),
            format!("v: {{{{ {path} | toYaml }}}}"),
            format!("v: {{{{ {path} | upper }}}}"),
            format!("v: {{{{ {path} | print }}}}"),
            format!("{{{{ $x := {path} }}}}v: {{{{ $x }}}}"),
        ] {
            assert!(error(&source, row()).contains("undefined value"), "{source}: {}", error(&source, row()));
        }
    }
    assert_eq!(
        one("a: {{ .Row.n }}\nb: x{{ .Row.n }}y\nc: {{ toJson .Row.n }}", row()),
        json!({"a": null, "b": "xy", "c": null})
    );
    assert_eq!(value("eq .Row.n nil", row()), true);
    assert_eq!(value("eq .Row.missing nil", row()), true);
    assert_eq!(value("eq .Row.n \"x\"", row()), false);
}

#[test]
fn the_resource_is_there_in_both_spellings() {
    let source = "a: {{ .Metadata.Name }}/{{ .Metadata.name }}\nb: {{ .Metadata.Namespace }}/{{ $.Metadata.namespace }}\n\
        c: {{ .Metadata.UID }}{{ .Metadata.uid }}\nd: {{ .Metadata.Labels.team }}{{ index .Metadata.labels \"team\" }}";
    assert_eq!(one(source, json!({})), json!({"a": "d/d", "b": "ns/ns", "c": "uu", "d": "xx"}));
    assert_eq!(one("{{ with .Row.x }}a: {{ $.Row.y }}{{ . }}{{ end }}", json!({"x": 1, "y": 2}))["a"], "21");
    assert!(error("{{ .Values.x }}", json!({})).contains("undefined"));
}

#[test]
fn comments_and_dashes_trim_as_in_go() {
    for (source, expected) in [
        ("a: 1\n{{- /* c */}}\nb: 2", json!({"a": 1, "b": 2})),
        ("a: 1\n{{/* c */ -}}\nb: 2", json!({"a": 1, "b": 2})),
        ("a: |\n  x\n  {{- /* c */ -}}\n  y\nb: 2", json!({"a": "xy\n", "b": 2})),
        ("a: \"{{/* }} */}}x {{- 3 -}} y\"", json!({"a": "x3y"})),
        (
            "{{ define \"x\" }}{{/* empty */}}{{ end }}{{ define \"x\" }}1{{ end }}a: {{ include \"x\" . }}",
            json!({"a": 1}),
        ),
    ] {
        assert_eq!(one(source, json!({})), expected, "{source}");
    }
}

#[test]
fn a_string_of_the_template_is_its_text() {
    let source =
        "a:{{ \" \" }}{{ \"1\" }}{{ `\nb: \"` }}{{ \"{{\" }} .x {{ \"}}\" }}\"{{ \"\\n\" }}c: {{ \"y: z\" | print }}";
    assert_eq!(one(source, json!({})), json!({"a": 1, "b": "{{ .x }}", "c": "y: z"}));
}

#[test]
fn the_examples_of_the_reference_document_run_as_they_are() {
    let source = "data:\n{{ range $i, $item := .Row.items | fromJson }}\n{{ if gt $item.value 100 }}\n  k{{ $i }}: {{ $item.name | quote }}\n{{ end }}\n{{ end }}\n";
    let items = json!([{"value": 150.5, "name": "a"}, {"value": 100, "name": "b"}, {"value": 1e3, "name": "c"}]);
    let expected = json!({"data": {"k0": "a", "k2": "c"}});
    assert_eq!(one(source, json!({"items": items})), expected);
    assert_eq!(one(source, json!({"items": items.to_string()})), expected);
    assert_eq!(one("data:\n  items: {{ .Row.items }}\n", json!({"items": items})), json!({"data": {"items": items}}));
}

#[test]
fn changes_in_place_reach_their_variable() {
    let source = "{{ $labels := dict \"a\" 1 }}{{ $_ := set $labels \"b\" .Row.x }}{{ if .Row.x }}{{ $_ := unset $labels \"a\" }}{{ end }}v: {{ $labels }}";
    assert_eq!(one(source, json!({"x": "y: z"}))["v"], json!({"b": "y: z"}));
    assert!(error("{{ $_ := set .Row \"b\" 1 }}", json!({})).contains("variable"));
}
