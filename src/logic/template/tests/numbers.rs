//! Numbers: computed with as numbers, written with the digits they came with.

use super::*;
use crate::logic::json;

/// What `{{ expression }}` gives for a row, as it stands in the object.
fn written(expression: &str, row: &str) -> String {
    let source = format!("v: {{{{ {expression} }}}}");
    let template = jinja(&source).unwrap_or_else(|e| panic!("{e}: {source}"));
    let documents = template
        .renderer(&Json::Null, Timestamp::UNIX_EPOCH)
        .render(json::parse(row).unwrap())
        .unwrap_or_else(|e| panic!("{e}: {source}"));
    let Json::Object(document) = &documents[0] else { panic!("{source}") };
    document["v"].to_string()
}

const ROW: &str = r#"{"p": 12.50, "q": 12.5, "zero": 0.00, "five": 5, "big": 123456789012345678901234567890.10,
    "huge": 1234567890123456789012345678901234567890, "many": [3.10, 20, 1.5], "items": [{"n": "b", "p": 20.00},
    {"n": "a", "p": 3}], "ratio": 5.0, "negative": -1.10, "nothing": null}"#;

#[test]
fn digits_are_kept_wherever_a_number_is_only_passed_on() {
    for (expression, expected) in [
        ("row.p", "12.50"),
        ("row.q", "12.5"),
        ("row.zero", "0.00"),
        ("row.big", "123456789012345678901234567890.10"),
        ("row.huge", "1234567890123456789012345678901234567890"),
        ("row.ratio", "5.0"),
        ("row.five", "5"),
        ("row.many", "[3.10,20,1.5]"),
        ("row.many | toJson", "[3.10,20,1.5]"),
        ("row.many | first", "3.10"),
        ("row.many | sort", "[1.5,3.10,20]"),
        ("row.many | max", "20"),
        ("row.many | min", "1.5"),
        ("row['items'] | sort(attribute='p') | map(attribute='p') | list", "[3,20.00]"),
        ("row.p | default(1)", "12.50"),
        ("row.p if row.p > 12 else 0", "12.50"),
        ("row.p | quote", r#""12.50""#),
        ("row.p | string", r#""12.50""#),
        ("'EUR ' ~ row.p", r#""EUR 12.50""#),
        ("row.p ~ row.q", r#""12.5012.5""#),
        ("'%s' | format(row.p)", r#""12.50""#),
        ("row.many | join('/')", r#""3.10/20/1.5""#),
        ("row.p and row.negative", "-1.10"),
        ("row.nothing or row.p", "12.50"),
    ] {
        assert_eq!(written(expression, ROW), expected, "{expression}");
    }
}

#[test]
fn numbers_are_computed_and_compared_as_numbers() {
    for (expression, expected) in [
        ("row.p * 2", "25.0"),
        ("row.p + row.q", "25.0"),
        ("-row.p", "-12.5"),
        ("2 - -row.p", "14.5"),
        ("-row.many[0]|abs", "3.1"),
        ("row.p == row.q", "true"),
        ("row.p == 12.5", "true"),
        ("row.p > 10", "true"),
        ("10 < row.p < 12", "false"),
        ("row.p > 9 and row.p < 100", "true"),
        ("row.zero == 0", "true"),
        ("true if row.zero else false", "false"),
        ("not row.zero", "true"),
        ("row.p in [1, 12.5]", "true"),
        ("row.p not in [1, 12.5]", "false"),
        ("20 in row.many", "true"),
        ("3.1 in row.many", "true"),
        ("row.p is number", "true"),
        ("row.p is gt 12", "true"),
        ("row.p is float", "true"),
        ("row.p | round(1)", "12.5"),
        ("row.p | int", "12"),
        ("row.many | sum", "24.6"),
        ("row.p // 5", "2.0"),
        ("row.p % 5", "2.5"),
        ("row.p ** 2", "156.25"),
        ("'%.1f' | format(row.p)", r#""12.5""#),
        ("row.many | select('gt', 2) | list", "[3.10,20]"),
        ("row['items'] | selectattr('p', 'gt', 3) | map(attribute='n') | join", r#""b""#),
        ("[row.p, 1][0] * 2", "25.0"),
        ("{'a': row.p}.a * 2", "25.0"),
        ("(row.p + 1) * (row.q - 1)", "155.25"),
        ("2 * row.p ~ 'x'", r#""25.0x""#),
        ("row.five + 1", "6"),
        ("row.huge > row.big", "true"),
    ] {
        assert_eq!(written(expression, ROW), expected, "{expression}");
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
    let exact = r#"{"a": 2.50, "b": 4.0000, "c": [1.50, 3], "d": {"e": 0.250}}"#;
    let short = r#"{"a": 2.5, "b": 4.0, "c": [1.5, 3], "d": {"e": 0.25}}"#;
    for _ in 0..3_000 {
        let mut expression = String::new();
        for at in 0..4 {
            if at > 0 {
                expression.push_str(
                    [" + ", " - ", " * ", " / ", " < ", " == ", " and ", " or ", "-", "*", " if 1 else "][pick(11)],
                );
            }
            expression.push_str(["", "", "-", "not "][if at == 0 { pick(4) } else { pick(3) }]);
            let operand = [
                "row.a",
                "row.b",
                "row.c[0]",
                "row['d'].e",
                "(row.a + row.b)",
                "2",
                "row.c|sum",
                "[row.a, row.b]|max",
                "(-row.a)",
            ];
            expression.push_str(operand[pick(operand.len())]);
        }
        // As a number, so that only what is computed is compared.
        let source = format!("v: {{{{ (({expression}) + 0)|float }}}}");
        let render = |row: &str| {
            let template = jinja(&source).unwrap_or_else(|e| panic!("{e}: {source}"));
            template
                .renderer(&Json::Null, Timestamp::UNIX_EPOCH)
                .render(json::parse(row).unwrap())
                .map_err(|e| e.to_string())
        };
        assert_eq!(render(exact), render(short), "{expression}");
    }
}
