//! text/template's own functions, and the language itself.

use super::*;

#[test]
fn functions_do_what_go_says() {
    let row = || json!({"s": "hé\"llo", "n": 5, "neg": -7, "f": 12.5, "t": true, "z": null, "l": [1, "a", null], "m": {"b": 1, "a": "x"}});
    let mut wrong = Vec::new();
    for (expression, text) in [
        ("print 1 2 \"a\" \"b\" 3 4", "1 2ab3 4"),
        ("print .Row.l .Row.m", "[1 a <nil>] map[a:x b:1]"),
        ("println 1 \"a\"", "1 a\n"),
        ("print 1000000.0 0.00001 12.5 1e20", "1e+06 1e-05 12.5 1e+20"),
        ("print 1e21 1.5e300", "1e+21 1.5e+300"),
        ("printf \"%v %s %d\" .Row.s \"x\" 3", "hé\"llo x 3"),
        ("printf \"%5d|%-5d|%05d|%+d|% d\" .Row.n .Row.n .Row.neg .Row.n .Row.n", "    5|5    |-0007|+5| 5"),
        ("printf \"%x %X %o %b %#x %#o %c %U\" 255 255 8 5 255 8 65 65", "ff FF 10 101 0xff 010 A U+0041"),
        ("printf \"%8.3f|%-8.2f|%08.3f|%+.1e\" .Row.f .Row.f .Row.f .Row.f", "  12.500|12.50   |0012.500|+1.2e+01"),
        ("printf \"%g %G %.3g %e\" .Row.f 1e21 1234.5678 .Row.f", "12.5 1E+21 1.23e+03 1.250000e+01"),
        ("printf \"%q %#q %+q %q\" .Row.s \"a`\" .Row.s 65", "\"hé\\\"llo\" \"a`\" \"h\\u00e9\\\"llo\" 'A'"),
        ("printf \"%x % x %X %.2x\" \"hi\" \"hi\" \"hi\" \"hello\"", "6869 68 69 6869 6865"),
        ("printf \"%8s|%-8s|%.2s|%05s\" \"ab\" \"ab\" \"héx\" \"ab\"", "      ab|ab      |hé|000ab"),
        ("printf \"%t %v\" .Row.t .Row.t", "true true"),
        ("printf \"%v %d %s\" .Row.l (list 1 2) (list \"a\" \"b\")", "[1 a <nil>] [1 2] [a b]"),
        ("printf \"%5v|%-3v|%03d\" (list 1 2) .Row.m (list 1 2)", "[    1     2]|map[a  :x   b  :1  ]|[001 002]"),
        ("printf \"%T %T %T %T\" .Row.n .Row.f .Row.s .Row.l", "int float64 string []interface {}"),
        ("printf \"%[2]d %[1]d\" 1 2", "2 1"),
        ("printf \"%*d|%-*d|%.*f\" 5 3 4 2 2 3.14159", "    3|2   |3.14"),
        ("printf \"%d%% %v\" 50 .Row.z", "50% <nil>"),
        ("printf \"%6.2f%%\" 3.14159", "  3.14%"),
        ("printf \"%.0f %.3d %.0d\" 2.5 7 0", "2 007 "),
        ("html \"<a href='x'>&\" ", "&lt;a href=&#39;x&#39;&gt;&amp;"),
        ("html .Row.n 1 \"<\"", "5 1&lt;"),
        ("js \"it's <b>\"", "it\\'s \\u003Cb\\u003E"),
        ("urlquery \"a b&c\" 1", "a+b%26c1"),
        ("len .Row.s | print", "7"),
        ("index .Row.l 1", "a"),
        ("index .Row.m \"a\"", "x"),
        ("index \"abc\" 1 | print", "98"),
        ("slice \"abcdef\" 1 3", "bc"),
        ("slice (list 1 2 3) 1 | print", "[2 3]"),
        ("slice (list 1 2 3) 0 1 2 | print", "[1]"),
        (
            "print (eq 1 2 1) (ne \"a\" \"b\") (lt 1 2) (le 2 2) (gt \"b\" \"a\") (ge 1 2)",
            "true true true true true false",
        ),
        ("print (and 1 0 2) (or 0 \"\" 3) (not 0) (and 1 2)", "0 3 true 2"),
        ("'a' | print", "97"),
        ("`raw\\n` | print", "raw\\n"),
        ("\"a\\tb\\u00e9\\x41\" | print", "a\tbéA"),
        ("print 1_000 0x1F 0b11 0o17 017 -3", "1000 31 3 15 15 -3"),
        ("(index .Row.l 1) | printf \"%s-%s\" \"x\"", "x-a"),
        ("printf \"%s\" (print 1)", "1"),
        ("$.Row.s", "hé\"llo"),
        ("(.Row.m).b | print", "1"),
    ] {
        let got = value(&format!("{expression} | quote"), row());
        if got != text {
            wrong.push(format!("{expression}: {got} instead of {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_language_does_what_go_says() {
    let row = || json!({"l": [3, 1, 2], "m": {"b": 1, "a": 2}, "t": true, "n": 5, "e": []});
    for (source, text) in [
        ("{{ range .Row.l }}{{ . }},{{ end }}", "3,1,2,"),
        ("{{ range $i, $x := .Row.l }}{{ $i }}{{ $x }},{{ end }}", "03,11,22,"),
        ("{{ range $k, $v := .Row.m }}{{ $k }}{{ $v }},{{ end }}", "a2,b1,"),
        ("{{ range .Row.e }}x{{ else }}none{{ end }}", "none"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        (
            "{{ range .Row.l }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}",
            "3",
        ),
        ("{{ $x := 0 }}{{ range .Row.l }}{{ $x = add $x . }}{{ end }}{{ $x }}", "6"),
        ("{{ $x := 1 }}{{ if .Row.t }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ with $x := .Row.n }}{{ $x }}{{ . }}{{ end }}", "55"),
        ("{{ with .Row.e }}a{{ else with .Row.n }}{{ . }}{{ else }}c{{ end }}", "5"),
        ("{{ if .Row.e }}a{{ else if .Row.n }}b{{ else }}c{{ end }}", "b"),
        ("{{ define \"t\" }}<{{ . }}{{ $ }}>{{ end }}{{ template \"t\" .Row.n }}", "<55>"),
        ("{{ block \"b\" .Row.n }}[{{ . }}]{{ end }}{{ template \"b\" 7 }}", "[5][7]"),
        ("{{ with .Row }}{{ $.Row.n }}{{ .n }}{{ end }}", "55"),
        ("a {{- 3 -}} b", "a3b"),
        ("{{if and .Row.t (gt .Row.n 3)}}y{{end}}", "y"),
    ] {
        assert_eq!(
            one(&format!("v: \"{source}\"").replace("\"b\"", "`b`").replace("\"t\"", "`t`"), row())["v"],
            text,
            "{source}"
        );
    }
}

#[test]
fn sprig_and_helm_are_there() {
    let row = || json!({"s": "Hello World", "l": ["b", "a"], "m": {"x": 1}, "at": "2024-05-01T10:00:00+00:00"});
    for (expression, expected) in [
        ("upper .Row.s", json!("HELLO WORLD")),
        (".Row.s | lower | replace \" \" \"-\" | trunc 8 | trimSuffix \"-\"", json!("hello-wo")),
        ("sortAlpha .Row.l | join \",\"", json!("a,b")),
        (".Row.s | b64enc", json!("SGVsbG8gV29ybGQ=")),
        ("now | date \"2006-01-02\"", json!("1970-01-01")),
        ("date \"2006\" .Row.at", json!(2024)),
        ("hasKey .Row.m \"x\"", json!(true)),
        ("merge (dict \"y\" 2) .Row.m | toJson", json!({"x": 1, "y": 2})),
        ("semverCompare \">=1.2\" \"1.3.0\"", json!(true)),
        ("regexFind \"W.*\" .Row.s", json!("World")),
        ("ternary \"a\" \"b\" (eq 1 1)", json!("a")),
        ("list 1 2 3 | last", json!(3)),
        ("mustToJson .Row.m", json!({"x": 1})),
        ("fromJsonArray \"[1,2]\"", json!([1, 2])),
        ("fromYamlArray \"- 1\\n- a\"", json!([1, "a"])),
        ("mustFromJson \"{\\\"a\\\": 1.50}\" | toYaml", json!({"a": 1.5})),
        ("kindOf .Row.m", json!("map")),
        ("quote .Row.s | trim", json!("Hello World")),
        ("cat \"a\" 1", json!("a 1")),
        ("tpl \"{{ upper .x }}\" (dict \"x\" \"y\") | quote", json!("Y")),
    ] {
        assert_eq!(value(expression, row()), expected, "{expression}");
    }
}
