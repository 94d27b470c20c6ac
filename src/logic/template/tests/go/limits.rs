//! A hostile template costs its own resource an error: in bounded time and memory, and never the process.

use super::*;

#[test]
fn too_much_is_refused() {
    deep(|| {
        let row = || json!({"big": "x".repeat(3 << 20), "l": (0..1000).collect::<Vec<_>>(), "n": 1_000_000_000});
        let doubled: String = (0..100)
            .map(|n| {
                format!(
                    "{{{{ define \"d{n}\" }}}}{{{{ template \"d{}\" . }}}}{{{{ template \"d{}\" . }}}}{{{{ end }}}}",
                    n + 1,
                    n + 1
                )
            })
            .collect();
        for (source, expected) in [
            ("x".repeat(70_000), "longer than 64 KiB"),
            ("{{ range 1000000000 }}x{{ end }}".into(), "too much work"),
            ("{{ range .Row.n }}{{ end }}".into(), "too much work"),
            ("{{ range .Row.l }}{{ range $.Row.l }}{{ range $.Row.l }}{{ end }}{{ end }}{{ end }}".into(), "too much work"),
            (format!("{{{{ range 1000000 }}}}{}{{{{ end }}}}", "{{ $x := 1 }}".repeat(4000)), "too much work"),
            (format!("{doubled}{{{{ define \"d100\" }}}}{{{{ end }}}}{{{{ template \"d0\" . }}}}"), "too much work"),
            (doubled.replace("template", "include") + "{{ define \"d100\" }}{{ end }}{{ include \"d0\" . }}", "too deeply"),
            ("{{ $x := \"x\" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}".into(), "too much work"),
            ("{{ $x := list 1 }}{{ range 40 }}{{ $x = concat $x $x }}{{ end }}".into(), "100,000"),
            ("{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}".into(), "100,000"),
            ("{{ $x := list 1 }}{{ range 100000 }}{{ $x = list $x }}{{ end }}".into(), "too deeply"),
            ("{{ $x := dict }}{{ range 100000 }}{{ $x = dict \"a\" $x }}{{ end }}".into(), "too deeply"),
            ("{{ repeat 99999999 \"x\" }}".into(), "longer than 1 MiB"),
            ("{{ until 99999999 }}".into(), "100,000"),
            ("{{ printf \"%999999999d\" 1 }}".into(), "larger than 1000"),
            ("{{ define \"m\" }}{{ template \"m\" . }}{{ end }}{{ template \"m\" . }}".into(), "without end"),
            ("{{ define \"m\" }}{{ include \"m\" . }}{{ end }}{{ include \"m\" . }}".into(), "too deeply"),
            ("{{ define \"m\" }}{{ tpl \"{{ include `m` . }}\" . }}{{ end }}{{ include \"m\" . }}".into(), "too deeply"),
            ("{{ $t := \"{{ tpl .t . }}\" }}{{ tpl $t (dict \"t\" $t) }}".into(), "too deeply"),
            ("{{ range 100000 }}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{ end }}".into(), "longer than 4 MiB"),
            ("{{ define \"m\" }}{{ range 100000 }}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{ end }}{{ end }}{{ include \"m\" . }}".into(), "4 MiB"),
            ("a: {{ range 10 }}{{ .Row.big }}{{ end }}".replace(".Row", "$.Row"), "larger than 16 MiB"),
            ("a: {{ range 10 }}{{ $.Row.l | toYaml | indent 2 | indent 2 }}{{ end }}".repeat(60), "larger than 16 MiB"),
            ("{{ range 101 }}---\na: {{ . }}\n{{ end }}".into(), "more than 100 documents"),
            ("[".repeat(100), "nested more than"),
            ("{{ if 1 }}".repeat(101) + &"{{ end }}".repeat(101), "nesting depth exceeded"),
            ("{{ if 0 }}".to_owned() + &"{{ else if 0 }}".repeat(200) + "{{ end }}", "nested more than 150"),
            (format!("{{{{ {}1{} }}}}", "(".repeat(200), ")".repeat(200)), "nesting depth exceeded"),
        ] {
            let error = error(&source, row());
            assert!(error.contains(expected), "{:.60}: {error}", source);
        }
    });
}

#[test]
fn long_chains_are_survived_on_a_deep_stack() {
    deep(|| {
        let mut sources = vec![
            "{{ if 0 }}".to_owned() + &"{{ else if 0 }}".repeat(4300) + "{{ end }}",
            "{{ with 0 }}".to_owned() + &"{{ else with 0 }}".repeat(3800) + "{{ end }}",
            format!("a: {}", "[".repeat(65_000)),
            format!("{{{{ .Row{} }}}}", ".x".repeat(32_000)),
            format!("{{{{ 1{} }}}}", "|print".repeat(10_000)),
            format!("{{{{ print{} }}}}", " 1".repeat(32_000)),
            format!("{{{{ or{} }}}}", " 0".repeat(32_000)),
            "{{$x:=1}}".repeat(7000),
            "{{define \"a\"}}".repeat(4000),
            "{{block \"a\" .}}".repeat(95) + &"{{end}}".repeat(95),
            "{{/*".repeat(16_000),
            "{{`".repeat(20_000),
            "{{".repeat(32_000),
            "{{if 1}}".repeat(8000),
            "{{end}}".repeat(9000),
        ];
        // Templates that include one another as deeply as they may, each nested as deeply as it may be.
        let nested = |inner: &str| "{{ if 1 }}".repeat(95) + inner + &"{{ end }}".repeat(95);
        let chain = |n: usize| {
            format!("{{{{ define \"i{n}\" }}}}{}{{{{ end }}}}", nested(&format!("{{{{ include \"i{}\" . }}}}", n + 1)))
        };
        sources.push((0..30).map(chain).collect::<String>() + "{{ include \"i0\" . }}");
        let recursive =
            format!("{{{{ define \"r\" }}}}{}{{{{ end }}}}{{{{ include \"r\" . }}}}", nested("{{ include \"r\" . }}"));
        sources.push(recursive);
        for source in sources {
            let _ = render(&source, json!({}));
        }
    });
}

#[test]
fn random_templates_end_in_time_with_objects_or_an_error() {
    deep(|| {
        let pieces = [
            "{{ range .Row.l }}",
            "{{ range $i, $x := .Row.m }}",
            "{{ range 50 }}",
            "{{ if .Row.s }}",
            "{{ with .Row.m }}",
            "{{ else }}",
            "{{ end }}",
            "{{ . }}",
            "{{ .Row.s }}",
            "{{ $ }}",
            "{{ $x := print . . }}",
            "{{ $x = print $x $x }}",
            "{{ $x }}",
            "{{ include \"a\" . }}",
            "{{ template \"a\" . }}",
            "{{ include \"a\" $ | nindent 2 | trim | indent 2 }}",
            "{{ toYaml $ | nindent 4 }}",
            "{{ tpl \"{{ . }}\" $ }}",
            "{{ list . . | toJson }}",
            "{{ break }}",
            "{{ continue }}",
            "\n",
            "a: ",
            "- ",
            "  ",
            "'",
            "\"",
            "{{ quote . }}",
            "{{ or . .x }}",
            "{{ fromYaml (include \"a\" .) }}",
            "{{ repeat 5 (print .) }}",
            "{{- /* c */ -}}",
            "{{ .Row.m.x }}",
            "{{ index . 0 }}",
        ];
        // A small fixed generator: every run tries the same templates.
        let mut state = 3u64;
        let mut pick = |count: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % count
        };
        let row = json!({"l": [1, "x: y", 2.50, null], "m": {"x": {"y": "z\n"}}, "s": "'s: \""});
        let mut compiled = 0;
        for _ in 0..4_000 {
            let mut open = 0_usize;
            let mut body = |out: &mut String| {
                out.push_str("{{ $x := 1 }}");
                for _ in 0..pick(12) {
                    let piece = pieces[pick(pieces.len())];
                    open +=
                        usize::from(["range", "if", "with"].iter().any(|word| piece.contains(&format!("{{{{ {word}"))));
                    if piece == "{{ end }}" {
                        if open == 0 {
                            continue;
                        }
                        open -= 1;
                    }
                    out.push_str(piece);
                }
                out.push_str(&"{{ end }}".repeat(std::mem::take(&mut open)));
            };
            let mut source = "{{ define \"a\" }}".to_owned();
            body(&mut source);
            source.push_str("{{ end }}");
            body(&mut source);
            if let Ok(template) = compile(&source) {
                compiled += 1;
                let _ = rendered(&template, row.clone());
            }
        }
        assert!(compiled > 1000, "{compiled}");
    });
}

#[test]
fn a_text_from_a_row_costs_no_more_as_a_template() {
    deep(|| {
        let template = compile("a: {{ tpl .Row.t . }}").unwrap();
        for text in [
            "{{ range 1000000000 }}{{ end }}",
            &"{{ if 1 }}".repeat(6000),
            &"x".repeat(70_000),
            "{{ tpl .Row.t . }}",
            "{{ include \"\\ue000\" . }}",
        ] {
            assert!(rendered(&template, json!({"t": text})).is_err(), "{:.40}", text);
        }
        for n in 0..200 {
            assert_eq!(
                rendered(&template, json!({"t": format!("{{{{ add 1 {n} }}}}")})),
                Ok(vec![json!({"a": n + 1})])
            );
        }
    });
}
