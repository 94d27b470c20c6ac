//! The filters that people of Jinja, Ansible and Helm expect.

use super::*;

fn row() -> Value {
    json!({
        "s": "Hé/llo", "j": "{\"a\": [1.50, null]}", "m": {"b": 1, "a": [true, "x: y"]}, "w": "  x ", "d": "web-1", "e": "",
        "b": "aGk=", "n": null, "i": 7, "t": true, "l": ["a", null, 2], "lines": "a\n\nb\n", "long": "The quick brown fox jumps"
    })
}

fn gives(expression: &str) -> Value {
    one(&format!("v: {{{{ {expression} }}}}\nz: 1"), row())["v"].clone()
}

fn all(cases: &[(&str, Value)]) {
    for (expression, expected) in cases {
        assert_eq!(&gives(expression), expected, "{expression}");
    }
}

/// What fails, with these words and without any value.
fn fails(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let error = error(&format!("v: {{{{ {expression} }}}}"), row());
        assert!(error.contains(expected), "{expression}: {error}");
        assert!(error.starts_with("line 1, column"), "{expression}: {error}");
        for value in ["Hé", "aGk", "x: y", "quick"] {
            assert!(!error.contains(value), "{expression}: {error}");
        }
    }
}

#[test]
fn trees_as_yaml_and_json() {
    all(&[
        ("row.m | toYaml", json!({"a": [true, "x: y"], "b": 1})),
        ("row.m | toYaml | string", json!("a:\n- true\n- \"x: y\"\nb: 1")),
        ("row.m | toJson", json!({"a": [true, "x: y"], "b": 1})),
        ("row.m | toJson | string", json!("{\"a\":[true,\"x: y\"],\"b\":1}")),
        ("row.m | tojson | quote", json!("{\"a\":[true,\"x: y\"],\"b\":1}")),
        ("row.n | toJson | string", json!("null")),
        ("row.s | toYaml", json!("Hé/llo")),
        ("row.j | fromJson", json!({"a": [1.5, null]})),
        ("(row.j | fromJson).a[0] + 1", json!(2.5)),
        ("row.m | fromJson", json!({"a": [true, "x: y"], "b": 1})),
        ("'null' | fromJson", json!(null)),
        ("'a: [1, x]' | fromYaml", json!({"a": [1, "x"]})),
        ("row.m | toJson | fromJson | toYaml", json!({"a": [true, "x: y"], "b": 1})),
    ]);
    fails(&[
        ("row.s | fromJson", "the text is not JSON in `fromJson`"),
        ("row.b | fromYaml | length * 'x: ['|fromYaml", "not YAML"),
        ("'---\\na: 1\\n---\\nb: 2' | fromYaml", "more than one YAML document"),
        ("'a: &x 1' | fromYaml", "not YAML that we read"),
        ("row.gone | toYaml", "undefined value"),
        ("range | toJson", "not a value that can be written"),
    ]);
}

#[test]
fn indentation() {
    let texts = [
        ("row.lines | indent | string", "a\n\n    b\n"),
        ("row.lines | indent(2) | string", "a\n\n  b\n"),
        ("row.lines | indent(2, true) | string", "  a\n\n  b\n"),
        ("row.lines | indent(width=2, first=true) | string", "  a\n\n  b\n"),
        ("row.lines | indent(2, false, true) | string", "a\n  \n  b\n  "),
        ("row.lines | nindent(2) | string", "\n  a\n\n  b\n"),
        ("row.d | nindent(0) | string", "\nweb-1"),
        ("row.n | indent(2) | string", ""),
    ];
    for (expression, expected) in texts {
        assert_eq!(gives(expression), expected, "{expression}");
    }
    fails(&[
        ("row.lines | indent(1001)", "wider than 1000"),
        ("row.lines | nindent", "an argument is missing"),
        ("row.lines | nindent('x')", "not possible"),
        ("row.lines | indent(-1)", "not possible"),
        ("row.lines | indent(depth=2)", "too many arguments"),
    ]);
}

#[test]
fn encodings_and_hashes() {
    all(&[
        ("row.s | b64encode", json!("SMOpL2xsbw==")),
        ("row.s | b64encode | b64decode", json!("Hé/llo")),
        ("row.b | b64decode", json!("hi")),
        ("' aGk=\\n' | b64decode", json!("hi")),
        ("row.e | b64encode", json!("")),
        ("row.i | b64encode", json!("Nw==")),
        ("row.t | b64encode | b64decode", json!("true")),
        ("row.m | b64encode | b64decode", json!("{\"a\":[true,\"x: y\"],\"b\":1}")),
        ("row.n | b64encode", json!("")),
        ("'abc' | sha256", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        ("'' | sha256", json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        ("(row.m | toJson | sha256) == (row.m | sha256)", json!(true)),
    ]);
    fails(&[
        ("row.s | b64decode", "the text is not base64"),
        ("'/w==' | b64decode", "what base64 decodes to is not text"),
        ("row.gone | sha256", "undefined value"),
    ]);
}

#[test]
fn quotes() {
    all(&[
        ("row.i | quote", json!("7")),
        ("row.t | quote", json!("true")),
        ("row.n | quote", json!("")),
        ("row.m | quote", json!("{\"a\":[true,\"x: y\"],\"b\":1}")),
        ("'it\\'s \"x\"' | quote | string", json!("\"it's \\\"x\\\"\"")),
        ("'it\\'s' | squote | string", json!("'it''s'")),
        ("row.w | trim | quote", json!("x")),
    ]);
    fails(&[("row.i | quote(1)", "too many arguments"), ("row.gone | quote", "undefined value")]);
}

#[test]
fn what_may_be_missing() {
    all(&[
        ("row.gone | default('x')", json!("x")),
        ("row.gone | d('x')", json!("x")),
        ("row.gone | default", json!("")),
        ("row.gone | default(none)", json!(null)),
        // As Jinja has it: NULL is a value, unless empty values are to be replaced too.
        ("row.n | default('x')", json!(null)),
        ("row.n | default('x', true)", json!("x")),
        ("row.e | default('x', boolean=true)", json!("x")),
        ("row.d | default('x', true)", json!("web-1")),
        ("row.gone | default(default_value=5)", json!(5)),
        ("0 | default('x', true)", json!("x")),
        ("row.e | default(boolean=true) | length", json!(0)),
        ("row.gone | default({'a': 1})", json!({"a": 1})),
        ("(row.e | quote | trim('\"')) | default('x', true)", json!("x")),
        ("row.d | required('a name')", json!("web-1")),
        ("row.i | required('a number')", json!(7)),
        ("false | required('x')", json!(false)),
    ]);
    fails(&[
        ("row.gone | required('name the thing')", "a required value is missing in `required('name the thing')`"),
        ("row.n | required", "a required value is missing"),
        ("row.e | required(row.s)", "a required value is missing in `required(row.s)`"),
        ("fail('no such tier')", "the template calls fail in `fail('no such tier')`"),
        ("fail(row.s)", "the template calls fail in `fail(row.s)`"),
        ("row.gone.more | default('x')", "undefined value"),
    ]);
}

#[test]
fn shortening() {
    all(&[
        // As Jinja cuts.
        ("row.long | truncate(13)", json!("The quick...")),
        ("row.long | truncate(12)", json!("The...")),
        ("row.long | truncate(12, true)", json!("The quick...")),
        ("row.long | truncate(11, true)", json!("The quic...")),
        ("row.long | truncate(11)", json!("The...")),
        ("row.long | truncate(20)", json!("The quick brown fox jumps")),
        ("row.long | truncate(20, leeway=0)", json!("The quick brown...")),
        ("row.long | truncate(9, true, '', 0)", json!("The quick")),
        ("row.long | truncate(length=10, end='…', killwords=true)", json!("The quick…")),
        ("row.long | truncate", json!("The quick brown fox jumps")),
        ("row.i | truncate(1)", json!("7")),
        // As Helm does.
        ("row.s | trunc(3)", json!("Hé/")),
        ("row.s | trunc(-3)", json!("llo")),
        ("row.s | trunc(0)", json!("")),
        ("row.s | trunc(99)", json!("Hé/llo")),
        ("row.s | trunc(-99)", json!("Hé/llo")),
    ]);
    fails(&[
        ("row.long | truncate(2)", "truncate: the length is smaller than that of what is put at the end"),
        ("row.long | truncate('x')", "not possible"),
        ("row.long | truncate(5, size=1)", "too many arguments"),
        ("row.long | trunc", "an argument is missing"),
    ]);
}

#[test]
fn names_of_any_text() {
    all(&[
        ("row.d | dnsLabel", json!("web-1")),
        ("row.i | dnsLabel", json!("7")),
        ("row.t | dnsLabel", json!("true")),
        ("row.s | dnsLabel == row.s | dnsLabel", json!(true)),
        ("row.s | dnsLabel == 'hé/llo' | dnsLabel", json!(false)),
        ("(row.long ~ row.long ~ row.long) | dnsLabel | length", json!(63)),
    ]);
    let names = one("name: app-{{ row.s | dnsLabel }}", row())["name"].as_str().unwrap().to_owned();
    assert!(names.starts_with("app-h--llo-") && names.len() == "app-h--llo-".len() + 16, "{names}");
}

#[test]
fn what_they_share_with_all_jinja() {
    all(&[
        ("row.m | toYaml | upper", json!("A:\n- TRUE\n- \"X: Y\"\nB: 1")),
        ("row.d | quote | length", json!(7)),
        ("dbqr.name ~ '-' ~ row.d", json!("d-web-1")),
        ("row.d | replace('web', 'w') | upper", json!("W-1")),
        ("[1, 2.5, 'a'] | length", json!(3)),
        ("10 / 4", json!(2.5)),
        ("row.l | join('/')", json!("a//2")),
        ("row.d | split('-') | last", json!("1")),
        ("row.m | dictsort | first | first", json!("a")),
        ("[3, 1, 2] | sort(reverse=true)", json!([3, 2, 1])),
        ("row.w | trim", json!("x")),
        ("row.d | trim('1-')", json!("web")),
        ("range(5) | select('odd') | list", json!([1, 3])),
        ("range(7)[2:5]", json!([2, 3, 4])),
        ("(range(3) | list + [9])[::-1]", json!([9, 2, 1, 0])),
        ("([1] * 3) + [2]", json!([1, 1, 1, 2])),
        ("'%05.1f %s' | format(1.25, row.t)", json!("001.2 true")),
    ]);
    fails(&[
        ("row.s | nope", "unknown filter in `nope`"),
        ("row.s | safe", "unknown filter in `safe`"),
        ("row.s.upper()", "unknown method (strings have none; use a filter)"),
        ("row.i | join", "only a list can be joined"),
        ("[1] * 2 * 2", "a list can be repeated once"),
    ]);
}
