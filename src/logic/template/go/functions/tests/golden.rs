//! The same templates rendered by Go's text/template with Sprig: tests/golden/sprig says how.

use serde::Deserialize;
use serde_json::Value as Json;

use super::render;

#[derive(Deserialize)]
struct Case {
    template: String,
    /// None if it fails.
    output: Option<String>,
}

/// Where we give something else than Sprig, what we give (None: an error), and why.
const DIFFERENT: &[(&str, Option<&str>, &str)] = &[
    (r#"{{ nospace .unicode }}"#, Some("Größeäöü日本語🎉İstanbul"), "Sprig takes each byte for a character"),
    (r#"{{ initials "Äpfel Über" }}"#, Some("ÄÜ"), "Sprig takes each byte for a character"),
    (r#"{{ trunc 2 "aü" }}"#, Some("a"), "Sprig cuts the character in two"),
    (r#"{{ trunc -1 "aü" }}"#, Some(""), "Sprig cuts the character in two"),
    (r#"{{ substr 1 2 "ü" }}"#, Some(""), "Sprig cuts the character in two"),
    (r#"{{ wrapWith 3 "-" "äöüß" }}"#, Some("ä-ö-ü-ß"), "Sprig cuts the character in two"),
    (
        r#"{{ plural "one" "many" .n }}"#,
        Some("many"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (r#"{{ camelcase "_" }}"#, Some("_"), "Sprig adds a connector"),
    (r#"{{ camelcase "__" }}"#, Some("__"), "Sprig adds a connector"),
    (
        r#"{{ cat .million .float .big }}"#,
        Some("1000000 2.5 9007199254740993"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (
        r#"{{ toString .million }}"#,
        Some("1000000"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (
        r#"{{ int .big }}"#,
        Some("9007199254740993"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (r#"{{ int 1e19 }}"#, Some("9223372036854775807"), "Go's result depends on the processor"),
    (r#"{{ float64 "0x1p-2" }}"#, Some("0"), "nobody writes hexadecimal floats"),
    (
        r#"{{ until .n }}"#,
        Some("[0 1 2 3 4]"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (
        r#"{{ has 3 .numbers }}"#,
        Some("true"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (
        r#"{{ without .numbers 3.0 }}"#,
        Some("[3 1 2 3]"),
        "JSON's whole numbers are integers here, as rows have them, and floats in Go",
    ),
    (r#"{{ get .null "a" }}"#, Some(""), "JSON's null is nil here, also where it is no text's or dict's"),
    (
        r#"{{ $d := dict "x" 1 }}{{ $e := $d }}{{ $_ := set $d "y" 2 }}{{ $e }}"#,
        Some("map[x:1]"),
        "two variables have no dict in common, see in_place",
    ),
    (r#"{{ kindIs "int64" 5 }}"#, Some("true"), "there is one type of integer"),
    (r#"{{ kindOf .n }}"#, Some("int"), "JSON's whole numbers are integers here, as rows have them, and floats in Go"),
    (r#"{{ typeOf (splitList "," "a") }}"#, Some("[]interface {}"), "there is one type of list"),
    (r#"{{ deepEqual (list "a") (splitList "," "a") }}"#, Some("true"), "there is one type of list"),
    (r#"{{ duration 95 }}"#, Some("1m35s"), "there is one type of integer"),
    (r#"{{ durationRound 90000000000 }}"#, Some("1m"), "there is one type of integer"),
    (r#"{{ unixEpoch "2024-05-01" }}"#, Some("1714521600"), "a time is text"),
    (r#"{{ b64dec "aGVsbG8" }}"#, None, "Sprig gives the error's text as the result"),
    (r#"{{ b64dec "a$b=" }}"#, None, "Sprig gives the error's text as the result"),
    (r#"{{ b64dec "-_-_" }}"#, None, "Sprig gives the error's text as the result"),
    (r#"{{ b64dec "/w==" }}"#, None, "texts are UTF-8"),
    (r#"{{ b32dec "nbswy3dp" }}"#, None, "Sprig gives the error's text as the result"),
    (r#"{{ b32dec "ME" }}"#, None, "Sprig gives the error's text as the result"),
    (r#"{{ regexMatch "a(" "a" }}"#, None, "Sprig hides the mistake"),
    (r#"{{ mustRegexMatch "(?P<a>x)(?P<a>y)" "a" }}"#, None, "two groups of one name are a mistake"),
    (
        r#"{{ semver "1.2.3" }}"#,
        Some("map[Major:1 Metadata: Minor:2 Original:1.2.3 Patch:3 Prerelease: String:1.2.3]"),
        "a version is a dict here",
    ),
    (r#"{{ urlParse "http://h/%ff" }}"#, None, "texts are UTF-8"),
    (
        "{{ addf 1e15 0.3 | toString }}",
        Some("1.0000000000000003e+15"),
        "of two shortest texts that are as near, Go takes the even one",
    ),
    ("{{ chunk -1 (list 1 2) }}", None, "a chunk of nothing has no meaning"),
    (r#"{{ regexFindAll "a(?i)*" "aa" -1 }}"#, None, "repeated flags have no meaning"),
    (r#"{{ semverCompare "<1||1.0 - 2" "1.2.3" }}"#, Some("true"), "Masterminds takes 1||1 for a number"),
];

#[test]
fn templates_give_what_sprig_gives() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sprig/outputs.json")))
            .unwrap();
    let data: Json =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sprig/data.json")))
            .unwrap();
    let data = gotmpl::to_value(&data).unwrap();
    let mut wrong = Vec::new();
    for Case { template, output } in &cases {
        let different = DIFFERENT.iter().find(|(known, ..)| known == template);
        let expected = match different {
            Some((_, ours, _)) => ours.map(str::to_owned),
            None => output.clone(),
        };
        if different.is_some() && expected == *output {
            wrong.push(format!("{template}\n  is no different"));
        }
        let ours = render(template, &data);
        if ours.as_ref().ok() != expected.as_ref() {
            wrong.push(format!("{template}\n  expected {expected:?}\n  but got  {ours:?}"));
        }
    }
    for (template, ..) in DIFFERENT {
        if !cases.iter().any(|case| case.template == *template) {
            wrong.push(format!("{template}\n  is no case"));
        }
    }
    assert!(cases.len() > 1000, "the cases are lost");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_outputs_are_those_of_the_cases() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sprig/outputs.json")))
            .unwrap();
    let lines = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sprig/cases.txt")).lines();
    let templates: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(templates, cases.iter().map(|case| case.template.as_str()).collect::<Vec<_>>());
}
