//! Text with markers that a template gets hold of: printed, indented or trimmed it keeps its structure; any other
//! function sees plain text.

use super::*;

const DEFINED: &str = "{{ define \"c\" }}p-{{ .Row.a }}-{{ .Row.n }}{{ end }}";

#[test]
fn a_function_sees_the_text_and_not_its_markers() {
    let row = || json!({"a": "Ab", "n": 7});
    for (expression, expected) in [
        ("include \"c\" . | upper", json!("P-AB-7")),
        ("include \"c\" . | len", json!(6)),
        ("include \"c\" . | trunc 4", json!("p-Ab")),
        ("include \"c\" . | trunc -4", json!("Ab-7")),
        ("include \"c\" . | replace \"Ab\" \"x\"", json!("p-x-7")),
        ("include \"c\" . | sha256sum", value("\"p-Ab-7\" | sha256sum", json!({}))),
        ("include \"c\" . | b64enc", json!("cC1BYi03")),
        ("splitList \"-\" (include \"c\" .) | last | int | add 1", json!(8)),
        ("eq (include \"c\" .) \"p-Ab-7\"", json!(true)),
        ("ne (include \"c\" .) \"p-Ab-7\"", json!(false)),
        ("lt (include \"c\" .) \"q\"", json!(true)),
        ("printf \"%s!%q\" (include \"c\" .) \"x\"", json!("p-Ab-7!\"x\"")),
        ("print (include \"c\" .) 1", json!("p-Ab-71")),
        ("slice (include \"c\" .) 2 4", json!("Ab")),
        ("index (include \"c\" .) 0", json!(112)),
        ("index (dict \"p-Ab-7\" 5) (include \"c\" .)", json!(5)),
        ("hasPrefix \"p-A\" (include \"c\" .)", json!(true)),
        ("include \"c\" . | quote", json!("p-Ab-7")),
        ("include \"c\" . | quote | upper", json!("\"P-AB-7\"")),
        ("include \"c\" . | toJson", json!("p-Ab-7")),
        ("list (include \"c\" .) 1 | toJson", json!(["p-Ab-7", 1])),
        ("dict (include \"c\" .) (include \"c\" .) | toYaml", json!({"p-Ab-7": "p-Ab-7"})),
        ("(dict \"k\" (include \"c\" .)).k", json!("p-Ab-7")),
        ("has (include \"c\" .) (list \"p-Ab-7\")", json!(true)),
        ("include \"c\" . | html", json!("p-Ab-7")),
        ("toJson .Row | len", json!(16)),
        ("toYaml (list .Row.a .Row.n) | sha256sum", value("\"- Ab\\n- 7\" | sha256sum", json!({}))),
        ("quote .Row.a | len", json!(4)),
        ("include \"c\" . | indent 2 | len", json!(8)),
        ("include \"c\" . | nindent 2 | trim | upper", json!("P-AB-7")),
        ("tpl \"{{ .Row.n }}\" . | int | add 1", json!(8)),
        ("regexReplaceAll \"[0-9]+\" (include \"c\" .) \"N\"", json!("p-Ab-N")),
        ("contains \"Ab\" (include \"c\" .) | ternary 1 2", json!(1)),
    ] {
        assert_eq!(one(&format!("{DEFINED}v: {{{{ {expression} }}}}\nz: 1"), row())["v"], expected, "{expression}");
    }
}

#[test]
fn captured_text_keeps_structure_and_types_where_it_is_printed() {
    let row = || json!({"n": "x: y", "p": 80, "l": ["a", "b"]});
    let source = "{{ define \"env\" }}- name: {{ .name }}\n  value: {{ .value | quote }}\n{{ end }}{{ define \"port\" }}{{ .Row.p }}{{ end -}}\n\
        {{ $port := include \"port\" . }}port: {{ $port }}\nenv:\n{{ include \"env\" (dict \"name\" \"A\" \"value\" .Row.n) }}\
        {{ include \"env\" (dict \"name\" \"B\" \"value\" .Row.p) | trim }}";
    assert_eq!(
        one(source, row()),
        json!({"port": 80, "env": [{"name": "A", "value": "x: y"}, {"name": "B", "value": "80"}]})
    );
    let source = "{{ define \"item\" }}\nk: {{ . }}\nl:\n  - {{ . }}\n{{ end }}a: {{- include \"item\" .Row.n | indent 2 }}\nb:\n  c: {{- include \"item\" .Row.p | trim | nindent 4 }}\n";
    assert_eq!(one(source, row()), json!({"a": {"k": "x: y", "l": ["x: y"]}, "b": {"c": {"k": 80, "l": [80]}}}));
    for chosen in [
        "{{ include \"m\" . | default \"x\" | nindent 2 }}",
        "{{ default (include \"m\" .) \"\" | nindent 2 }}",
        "{{ or \"\" (include \"m\" .) | nindent 2 }}",
        "{{ and 1 (include \"m\" .) | nindent 2 }}",
        "{{ ternary (include \"m\" .) \"x\" true | nindent 2 }}",
        "{{ coalesce \"\" (include \"m\" .) | nindent 2 }}",
        "{{ required \"m\" (include \"m\" .) | nindent 2 }}",
        "{{ with include \"m\" . }}{{ . | nindent 2 }}{{ end }}",
        "{{ if $x := include \"m\" . }}{{ $x | nindent 2 }}{{ end }}",
    ] {
        let source = format!("{{{{ define \"m\" }}}}k: {{{{ .Row.n }}}}{{{{ end }}}}v: {chosen}\n");
        assert_eq!(one(&source, row()), json!({"v": {"k": "x: y"}}), "{chosen}");
    }
    assert_eq!(one("v: {{- block \"b\" .Row }}\n  n: {{ .n }}{{ end }}", row()), json!({"v": {"n": "x: y"}}));
}

#[test]
fn captured_text_is_empty_where_what_it_stands_for_is() {
    let source = "{{ define \"e\" }}{{ .Row.e }}{{ end }}v: {{ if include \"e\" . }}1{{ else }}2{{ end }}{{ include \"e\" . | default 3 }}\
        {{ or (include \"e\" .) 4 }}{{ with include \"e\" . }}{{ else }}5{{ end }}{{ not (include \"e\" .) }}{{ empty (include \"e\" .) }}";
    assert_eq!(one(source, json!({"e": ""}))["v"], "2345truetrue");
    assert_eq!(one(source, json!({"e": "x"}))["v"], "1xxfalsefalse");
    assert!(
        error("{{ define \"e\" }}{{ .Row.e }}{{ end }}{{ required \"m\" (include \"e\" .) }}", json!({"e": ""}))
            .contains("required")
    );
}

#[test]
fn captured_yaml_and_json_are_read_with_their_values_whole() {
    let row = || json!({"h": "x\nadmin: true", "p": "80", "s": "a\"b"});
    for source in [
        "{{ define \"y\" }}host: {{ .Row.h }}\nport: {{ .Row.p }}\nlist:\n  - {{ quote .Row.s }}{{ end }}{{ $c := include \"y\" . | fromYaml }}",
        "{{ define \"y\" }}{\"host\": \"{{ .Row.h }}\", \"port\": {{ .Row.p }}, \"list\": [{{ toJson .Row.s }}]}{{ end }}{{ $c := include \"y\" . | fromJson }}",
    ] {
        let source = format!(
            "{source}v: {{{{ $c.host | quote }}}}\np: {{{{ add $c.port 1 }}}}\nl: {{{{ $c.list }}}}\nk: {{{{ keys $c | sortAlpha }}}}"
        );
        assert_eq!(
            one(&source, row()),
            json!({"v": "x\nadmin: true", "p": 81, "l": ["a\"b"], "k": ["host", "list", "port"]}),
            "{source}"
        );
    }
}

#[test]
fn a_text_given_to_tpl_gives_one_value() {
    let row = json!({"t": "a: 1\nb: {{ .Row.x }}\n{{ include \"c\" . }}", "x": "y: z"});
    let source =
        "{{ define \"c\" }}c: {{ .Row.x }}{{ end }}v: {{ tpl .Row.t . }}\nw: {{ (tpl .Row.t . | fromYaml).a }}";
    let got = one(source, json!({"t": row["t"], "x": "y"}));
    assert_eq!(got, json!({"v": "a: 1\nb: y\nc: y", "w": 1}));
    assert_eq!(
        one("{{ define \"c\" }}c: {{ .Row.x }}{{ end }}v: {{ tpl .Row.t . }}", row)["v"],
        "a: 1\nb: y: z\nc: y: z"
    );
}

#[test]
fn trimming_and_indenting_captured_text_reaches_into_values() {
    let row = |a: &str| json!({"a": a, "b": "B"});
    for (a, expected) in [(" x ", "x  B"), ("", "B"), ("  ", "B"), ("x", "x B")] {
        let source = "{{ define \"c\" }}  {{ .Row.a }} {{ .Row.b }}\n{{ end }}v: {{ include \"c\" . | trim }}";
        assert_eq!(one(source, row(a))["v"], expected, "{a:?}");
    }
    let source = "{{ define \"c\" }}x: {{ .Row.a }}\n{{ .Row.b }}\n\nz{{ end }}v: {{ include \"c\" . | indent 2 | print | quote }}";
    assert_eq!(one(source, row("p\nq"))["v"], "  x: p\n  q\n  B\n  \n  z");
}
