//! What is refused, where it says the mistake is, and that no refusal shows a value.

use super::*;

const CANARY: &str = "CANARY";

#[test]
fn errors_never_show_a_value() {
    let row = || json!({"s": "CANARY-1", "t": "CANARY: [", "n": 1, "l": ["CANARY"], "m": {"CANARY": "CANARY"}, "bad": "CANARY{", "z": null, "f": 1.50, "tpl": "{{ CANARY", "tpl2": "{{ CANARY .x }}"});
    let sources = [
        "{{ .Row.s.x }}",
        "{{ .Row.s.CANARY_ }}".replace("CANARY", "C").leak(),
        "{{ .Row.f.x }}",
        "{{ .Row.l.x }}",
        "{{ .Row.nope }}",
        "{{ index .Row.l .Row.s }}",
        "{{ index .Row.l 7 }}",
        "{{ index .Row.m .Row.n }}",
        "{{ index .Row.s .Row.s }}",
        "{{ index .Row.n 1 }}",
        "{{ slice .Row.s 2 99 }}",
        "{{ slice .Row.m 1 }}",
        "{{ len .Row.n }}",
        "{{ len .Row.z }}",
        "{{ eq .Row.s .Row.n }}",
        "{{ lt .Row.s .Row.n }}",
        "{{ gt .Row.l .Row.l }}",
        "{{ eq .Row.m .Row.m }}",
        "{{ lt .Row.z 1 }}",
        "{{ range .Row.s }}{{ end }}",
        "{{ range .Row.f }}{{ end }}",
        "{{ range $a, $b := .Row.n }}{{ end }}",
        "{{ .Row.s 1 }}",
        "{{ .Row.s | .Row.l }}",
        "{{ call .Row.s }}",
        "{{ template .Row.s }}",
        "{{ template \"x\" .Row.s }}",
        "{{ include .Row.s . }}",
        "{{ include \"x\" .Row.s }}",
        "{{ tpl .Row.tpl . }}",
        "{{ tpl .Row.tpl2 . }}",
        "{{ tpl .Row.m . }}",
        "{{ .Row.s | fromJson }}",
        "{{ .Row.t | fromYaml }}",
        "{{ .Row.s | fromJsonArray }}",
        "{{ .Row.m | fromYamlArray }}",
        "{{ .Row.bad | b64dec }}",
        "{{ fail .Row.s }}",
        "{{ required .Row.s .Row.z }}",
        "{{ required .Row.s .Row.nope }}",
        "{{ indent .Row.s .Row.s }}",
        "{{ indent -1 .Row.s }}",
        "{{ indent 4000 .Row.s }}",
        "{{ nindent 2 }}",
        "{{ quote .Row.nope }}",
        "{{ toYaml .Row.s .Row.s }}",
        "{{ printf .Row.n .Row.s }}",
        "{{ printf \"%d\" .Row.s }}",
        "{{ printf \"%d %d\" .Row.n }}",
        "{{ printf \"%d\" .Row.n .Row.s }}",
        "{{ printf \"%z\" .Row.s }}",
        "{{ printf \"%9999s\" .Row.s }}",
        "{{ printf \"%[5]s\" .Row.s }}",
        "{{ printf \"%*s\" .Row.s .Row.s }}",
        "{{ printf \"%\" .Row.s }}",
        "{{ trunc .Row.s .Row.s }}",
        "{{ repeat .Row.s .Row.s }}",
        "{{ regexMatch .Row.t .Row.s }}",
        "{{ toDate .Row.s .Row.s | date .Row.n }}",
        "{{ date \"2006\" .Row.s }}",
        "{{ semverCompare .Row.s .Row.s }}",
        "{{ dig .Row.s .Row.s }}",
        "{{ keys .Row.s }}",
        "{{ first .Row.s }}",
        "{{ until .Row.s }}",
        "{{ urlParse .Row.bad | nope }}",
        "{{ not .Row.s .Row.s }}",
        "{{ eq .Row.s }}",
        "a: {{ .Row.s }}\na: 1\n{{ .Row.s }}: 1\n{{ .Row.s }}: 2",
        "{{ .Row.m }}: 1",
        "{{ .Row.z }}: 1",
        "{{ .Row.l }}: 1",
        "k: v\n{{ toYaml .Row.m }}\n{{ toYaml .Row.m }}",
        "- a\n{{ toYaml .Row.m }}",
        "k: v\n{{ toYaml .Row.s }}",
        "a: [{{ .Row.s }}",
        "a: \"{{ .Row.s }}",
        "a: *{{ .Row.s }}",
        "a: &{{ .Row.s }} x",
        "a: !{{ .Row.s }} x",
        "a: @{{ .Row.s }}",
        "{{ .Row.s }}\n: : x\n- y",
        "a: \"\\{{ .Row.s }}\"",
        "a: b\n {{ .Row.s }}: c\n d: e",
        "{{ define \"c\" }}{{ .Row.s.x }}{{ end }}{{ include \"c\" . }}",
        "{{ define \"c\" }}{{ .Row.t }}: [{{ end }}{{ include \"c\" . | fromYaml }}",
        "{{ nope .Row.s }}",
        "{{ $x }}",
        "{{ if .Row.s }}",
        "{{ .Row.s | xx",
        "{{ lookup \"v1\" .Row.s }}",
        "{{ range .Row.l }}{{ .x }}{{ end }}",
        "{{ with .Row.s }}{{ .x }}{{ end }}",
        "{{ and }}",
        "{{ nil }}",
        "{{ add .Row.n nil }}",
    ];
    for source in sources {
        let Err(error) = render(source, row()) else { panic!("{source} is fine") };
        for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            assert!(!shown.contains(CANARY), "{source}\n{shown}");
        }
    }
}

#[test]
fn errors_say_where_and_what() {
    let row = || json!({"a": 1, "s": "x", "m": {"k": 1}, "l": [1, 2]});
    for (source, expected) in [
        ("a: 1\nb:   {{ .Row.nope }}\n", "line 2, column 9: undefined value in `.Row.nope`"),
        ("a: 1\nb: {{ fail \"x\" }}\n", "line 2, column 7: the template calls fail in `fail \"x\"`"),
        ("é: {{- .Row.a | upper | nope_ }}", "line 1, column 25: there is no function nope_ in `nope_`"),
        ("a: {{ .Row.s.x }}", "line 1, column 7: text has no field x in `.Row.s.x`"),
        (
            "a:\n{{- if .Row.a }}\n  {{- range $i, $x := .Row.s }}{{ end }}\n{{- end }}",
            "line 3, column 13: range cannot go over text in `$i, $x := .Row.s`",
        ),
        (
            "{{ if .Row.l }}\n  {{ with $x := .Row.a.b }}{{ end }}\n{{ end }}",
            "line 2, column 11: a number has no field b in `$x := .Row.a.b`",
        ),
        (
            "{{ range .Row.l }}\n  {{- if eq . 2 }}\n x: {{ index $.Row.l . }}{{ end }}\n{{ end }}",
            "line 3, column 8: the index is out of range in `index $.Row.l .`",
        ),
        (
            "{{ define \"c\" }}\n{{ .Row.nope }}{{ end }}a: 1\nb: {{ include \"c\" . }}",
            "line 2, column 4: undefined value in `.Row.nope`",
        ),
        (
            "{{ define \"c\" }}\n1{{ end }}\nb: {{ include \"c\" . | first }}",
            "line 3, column 7: first: argument 1 must be a list, not text in `include \"c\" . | first`",
        ),
        (
            "{{ define \"c\" }}{{ .Row.nope }}{{ end }}\na: {{ template \"c\" . }}",
            "line 1, column 20: undefined value in `.Row.nope`",
        ),
        ("a: 1\nb: {{ template \"c\" . }}", "line 2, column 7: there is no template \"c\" in `template \"c\" .`"),
        ("a: {{ include \"c\" . }}", "line 1, column 7: there is no template of this name in `include \"c\" .`"),
        (
            "a: {{ tpl \"x\\n{{ nope }}\" . }}",
            "line 1, column 7: the text is not a valid template (its line 2) in `tpl \"x\\n{{ nope }}\" .`",
        ),
        ("a: 1\n\nb: *x\n", "line 3: YAML anchors and aliases are not supported"),
        ("{{ if .Row.a }}\na: 1\nb:\n  c: 1\n  c: 2\n{{ end }}", "line 5: the key stands here twice at b.c"),
        (
            "{{- /* one\n two */ -}}\n\n\na:\n  - {{ .Row.a }}: 1\n    1: 2\n",
            "line 7: the key stands here twice at a[0].1",
        ),
        ("a:\n  k: 1\n  {{ toYaml .Row.m }}\n", "line 3: a spliced map repeats a key that stands here already at a"),
        (
            "{{ define \"c\" }}k: 1\nk: 2{{ end }}\na:\n  {{- include \"c\" . | nindent 2 }}",
            "line 4: the key stands here twice at a.k",
        ),
        ("a: 1\n{{ end }}", "line 2, column 4: end closes nothing in `end`"),
        ("a: 1\n{{ else }}", "line 2, column 4: else belongs to nothing in `else`"),
        ("{{ if .Row.a }}\n{{ range .Row.l }}{{ end }}", "line 1, column 4: if is not closed by end in `if .Row.a`"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "line 1, column 24: else belongs to nothing in `else`"),
        ("{{ break }}", "line 1, column 4: there is no range around this in `break`"),
        (
            "{{ if 1 }}{{ define \"x\" }}{{ end }}{{ end }}",
            "line 1, column 14: define cannot stand inside of something else in `define \"x\"`",
        ),
        (
            "{{ define \"x\" }}1{{ end }}\n{{ define \"x\" }}2{{ end }}",
            "line 2, column 4: the template \"x\" is defined twice in `define \"x\"`",
        ),
        ("a: {{ $x }}", "line 1, column 7: undefined variable $x in `$x`"),
        ("{{ if 1 }}{{ $x := 1 }}{{ end }}{{ $x }}", "line 1, column 36: undefined variable $x in `$x`"),
        ("{{ $x = 1 }}", "line 1, column 4: undefined variable $x in `$x = 1`"),
        (
            "a: {{ env \"HOME\" }}",
            "line 1, column 7: env reads the operator's environment, which templates may not see in `env \"HOME\"`",
        ),
        (
            "{{ lookup \"v1\" \"Pod\" \"\" \"\" }}",
            "line 1, column 4: lookup reads the cluster, which a template cannot: join the data in the query in `lookup \"v1\" \"Pod\" \"\" \"\"`",
        ),
        ("a: {{ .Row.a | }}", "line 1, column 16: not a valid template: empty command"),
        ("a: {{ (.Row.a }}", "line 1, column 15: not a valid template: expected RightParen, got RightDelim (\"\")"),
        ("a: {{ .Row.a", "line 1: not a valid template: unclosed action"),
    ] {
        assert_eq!(error(source, row()), expected, "{source}");
    }
}

#[test]
fn reserved_characters_are_refused_in_templates() {
    for source in ["a: \u{E000}0\u{E001}", "a: \u{E001}", "{{/* \u{E002} */}}", "x\u{E003}"] {
        assert!(error(source, json!({})).contains("reserved"), "{source}");
    }
    for source in ["a: \"\\uE0000\\ue001\"", "a: \"\\ue{{ if 1 }}000{{ end }}\""] {
        assert!(error(source, json!({"a": 1})).contains("escapes"), "{source}");
    }
    assert_eq!(one("a: {{ \"\\ue0000\\ue001\" }}", json!({}))["a"], "\u{E000}0\u{E001}");
    assert_eq!(one("a: {{ print \"\\ue0000\\ue001\" | trim | nindent 2 }}", json!({}))["a"], "\u{E000}0\u{E001}");
    assert!(error("{{ define \"\\ue000\" }}x{{ end }}", json!({})).contains("defined twice"));
    assert!(error("{{ tpl .Row.t . }}", json!({"t": "\u{E000}0\u{E001}"})).contains("reserved"));
}

#[test]
fn every_function_that_makes_secrets_or_looks_around_is_refused_with_a_reason() {
    for name in [
        "env",
        "expandenv",
        "getHostByName",
        "genCA",
        "genPrivateKey",
        "randAlphaNum",
        "uuidv4",
        "lookup",
        "htpasswd",
        "derivePassword",
    ] {
        let error = error(&format!("a: {{{{ if .Row.x }}}}{{{{ {name} \"x\" }}}}{{{{ end }}}}"), json!({"x": false}));
        assert!(
            error.starts_with("line 1, column ") && error.contains(&format!("{name} ")) && error.len() > 60,
            "{error}"
        );
    }
}
