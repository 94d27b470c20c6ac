//! Numbers: computed with as numbers, written with the digits they came with.

use super::*;
use crate::logic::json;

/// What `{{ expression }}` gives for a row, as it stands in the object.
fn written(expression: &str, row: &str) -> String {
    let source = format!("v: {{{{ {expression} }}}}");
    let template = compile(&source).unwrap_or_else(|e| panic!("{e}: {source}"));
    let documents = template.renderer(&Json::Null, Timestamp::UNIX_EPOCH).render(json::parse(row).unwrap());
    let documents = documents.unwrap_or_else(|e| panic!("{e}: {source}"));
    let Json::Object(document) = &documents[0] else { panic!("{source}") };
    document["v"].to_string()
}

const ROW: &str = r#"{"p": 12.50, "q": 12.5, "zero": 0.00, "five": 5, "big": 123456789012345678901234567890.10,
    "huge": 1234567890123456789012345678901234567890, "many": [3.10, 20, 1.5], "items": [{"n": "b", "p": 20.00},
    {"n": "a", "p": 3}], "ratio": 5.0, "negative": -1.10, "nothing": null, "long": 123456789.5, "u": 18446744073709551615}"#;

#[test]
fn digits_are_kept_wherever_a_number_is_only_passed_on() {
    for (expression, expected) in [
        (".Row.p", "12.50"),
        (".Row.q", "12.5"),
        (".Row.zero", "0.00"),
        (".Row.big", "123456789012345678901234567890.10"),
        (".Row.huge", "1234567890123456789012345678901234567890"),
        (".Row.u", "18446744073709551615"),
        (".Row.ratio", "5.0"),
        (".Row.long", "123456789.5"),
        (".Row.five", "5"),
        (".Row.many", "[3.10,20,1.5]"),
        ("toJson .Row.many", "[3.10,20,1.5]"),
        ("first .Row.many", "3.10"),
        ("index .Row.many 0", "3.10"),
        ("index .Row \"p\"", "12.50"),
        ("get .Row \"p\"", "12.50"),
        ("(index .Row.items 0).p", "20.00"),
        ("reverse .Row.many", "[1.5,20,3.10]"),
        ("append .Row.many .Row.p", "[3.10,20,1.5,12.50]"),
        ("dict \"a\" .Row.p", "{\"a\":12.50}"),
        ("pick .Row \"p\"", "{\"p\":12.50}"),
        ("default 1 .Row.p", "12.50"),
        ("default 1 .Row.zero", "1"),
        ("coalesce .Row.zero .Row.p", "12.50"),
        ("ternary .Row.p 0 true", "12.50"),
        ("or .Row.zero .Row.p", "12.50"),
        ("and .Row.five .Row.p", "12.50"),
        ("required \"m\" .Row.p", "12.50"),
        ("if gt .Row.p 12 }}{{ .Row.p }}{{ end", "12.50"),
        ("with .Row.p }}{{ . }}{{ end", "12.50"),
        ("range .Row.many }}{{ if lt . 2 }}{{ . }}{{ end }}{{ end", "1.5"),
        ("quote .Row.p", r#""12.50""#),
        ("printf \"%v\" .Row.p | quote", r#""12.50""#),
        ("printf \"%s\" .Row.p | quote", r#""12.50""#),
        ("printf \"%8s|\" .Row.p | quote", r#""   12.50|""#),
        ("print \"EUR \" .Row.p", r#""EUR 12.50""#),
        ("toString .Row.p | quote", r#""12.50""#),
        ("join \"/\" .Row.many", r#""3.10/20/1.5""#),
        ("upper .Row.p | quote", r#""12.50""#),
        ("upper .Row.q | quote", r#""12.5""#),
        ("b64enc .Row.five", r#""NQ==""#),
        ("trunc .Row.ratio \"abcdefgh\"", r#""abcde""#),
        ("trunc 4 .Row.p | quote", r#""12.5""#),
        ("regexFindAll \"[a-z]\" \"abc\" .Row.ratio | len", "3"),
        ("chunk .Row.ratio (list 1 2) | first", "[1,2]"),
        ("toJson .Row.p | fromJson", "12.50"),
        ("tpl \"{{ .Row.p }}\" . | quote", r#""12.50""#),
    ] {
        assert_eq!(written(expression, ROW), expected, "{expression}");
    }
}

#[test]
fn numbers_are_computed_and_compared_as_numbers() {
    for (expression, expected) in [
        ("mulf .Row.p 2", "25"),
        ("addf .Row.p .Row.q", "25"),
        ("divf 10.0 4", "2.5"),
        ("add .Row.five 1", "6"),
        ("int .Row.p", "12"),
        ("floor .Row.p", "12"),
        ("round .Row.p 0", "13"),
        ("max 3 .Row.five", "5"),
        ("eq .Row.p .Row.q", "true"),
        ("eq .Row.p 12.5", "true"),
        ("eq .Row.ratio .Row.five", "true"),
        ("eq .Row.five 5.0", "true"),
        ("eq .Row.five 1 2 5", "true"),
        ("ne .Row.p 12.5", "false"),
        ("gt .Row.p 10", "true"),
        ("ge .Row.five 5", "true"),
        ("lt .Row.negative 0", "true"),
        ("le .Row.huge .Row.big", "false"),
        ("gt .Row.huge .Row.big", "true"),
        ("lt 9007199254740992 9007199254740993", "true"),
        ("eq .Row.u 5", "false"),
        ("not .Row.zero", "true"),
        ("if .Row.zero }}true{{ else }}false{{ end", "false"),
        ("if and .Row.zero .Row.p }}true{{ else }}false{{ end", "false"),
        ("with .Row.zero }}true{{ else }}false{{ end", "false"),
        ("empty .Row.zero", "true"),
        ("kindOf .Row.p", "\"float64\""),
        ("has 3.1 .Row.many", "true"),
        ("uniq (list .Row.p .Row.q) | len", "1"),
        ("printf \"%.1f\" .Row.p | quote", r#""12.5""#),
        ("printf \"%.2f\" .Row.five | quote", r#""5.00""#),
        ("printf \"%05.1f\" .Row.negative | quote", r#""-01.1""#),
        ("printf \"%d\" .Row.ratio | quote", r#""5""#),
        ("printf \"%03d\" .Row.five | quote", r#""005""#),
        ("until 3", "[0,1,2]"),
        ("range $i := .Row.five }}{{ $i }}{{ end", "\"01234\""),
        ("range .Row.ratio }}x{{ end", "\"xxxxx\""),
    ] {
        assert_eq!(written(expression, ROW), expected, "{expression}");
    }
}

#[test]
fn a_computed_number_is_written_as_go_writes_it() {
    for (expression, text) in [
        ("mulf 2.5 2", "5"),
        ("mulf 1000 1000.0", "1e+06"),
        ("divf 1 3", "0.3333333333333333"),
        ("mulf 0.00001 1", "1e-05"),
        ("addf 123456789 0.5", "1.234567895e+08"),
        ("1e3", "1000"),
        ("2.50", "2.5"),
    ] {
        assert_eq!(written(&format!("{expression} | quote"), "{}"), format!("{text:?}"), "{expression}");
        assert_eq!(one(&format!("v: x{{{{ {expression} }}}}"), json!({}))["v"], format!("x{text}"), "{expression}");
    }
    // Alone it is what YAML makes of that: whole numbers fit fields for integers.
    for (expression, number) in
        [("mulf 2.5 2", "5"), ("mulf 1000 1000.0", "1000000"), ("divf 1 4", "0.25"), ("mulf 0.00001 1", "0.00001")]
    {
        assert_eq!(written(expression, "{}"), number, "{expression}");
        assert_eq!(written(&format!("list ({expression}) | toJson"), "{}"), format!("[{number}]"), "{expression}");
    }
}

#[test]
fn an_expression_gives_the_same_whichever_way_its_numbers_are_written() {
    // A small fixed generator: every run tries the same expressions.
    let mut state = 11u64;
    let mut pick = |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count
    };
    let exact = r#"{"a": 2.50, "b": 4.0000, "c": [1.50, 3], "d": {"e": 0.250}, "z": 0.0}"#;
    let short = r#"{"a": 2.5, "b": 4, "c": [1.5, 3], "d": {"e": 0.25}, "z": 0}"#;
    for _ in 0..2_000 {
        let operands = [
            ".Row.a",
            ".Row.b",
            "(index .Row.c 0)",
            ".Row.d.e",
            ".Row.z",
            "2",
            "(first .Row.c)",
            "(max .Row.a .Row.b)",
        ];
        let (a, b) = (operands[pick(operands.len())], operands[pick(operands.len())]);
        let functions = [
            "addf",
            "subf",
            "mulf",
            "divf",
            "maxf",
            "eq",
            "ne",
            "lt",
            "ge",
            "and",
            "or",
            "default",
            "coalesce",
            "has",
            "printf \"%.3f %.1f\"",
            "printf \"%5.1f%g\"",
            "list",
        ];
        let function = functions[pick(functions.len())];
        let b = if function == "has" { format!("(list {b} 2.5)") } else { b.to_owned() };
        let b = if function == "divf" { "0.5".to_owned() } else { b };
        // As numbers, so that only what is computed is compared.
        let expression = format!("{function} {a} {b}");
        let source = format!(
            "v: {{{{ if {expression} }}}}1{{{{ else }}}}2{{{{ end }}}}-{{{{ {expression} | toString | float64 }}}}"
        );
        let render = |row: &str| {
            let template = compile(&source).unwrap_or_else(|e| panic!("{e}: {source}"));
            template
                .renderer(&Json::Null, Timestamp::UNIX_EPOCH)
                .render(json::parse(row).unwrap())
                .map_err(|e| e.to_string())
        };
        assert_eq!(render(exact), render(short), "{expression}");
    }
}
