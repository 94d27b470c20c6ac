use std::collections::BTreeSet;
use std::sync::Arc;

use gotmpl::parse::Parser;
use gotmpl::{Template, TemplateError, Value};
use k8s_openapi::jiff::Timestamp;

use super::in_place::Discarded;
use super::*;

mod golden;
mod limits;
mod times;

/// What `now` is in tests.
fn now() -> Timestamp {
    "2024-05-01T10:20:30.123456789Z".parse().unwrap()
}

/// Calls a function.
fn call(name: &str, args: &[Value]) -> Output {
    let (_, function) = ALL.iter().find(|(known, _)| *known == name).unwrap();
    function(&Call { args, now: now(), patterns: &Patterns::default(), effort: &Effort::default() })
}

/// Renders a template without binding.
fn render(template: &str, data: &Value) -> Result<String, String> {
    let (mut tree, defines) = Parser::new(template, "{{", "}}").unwrap().parse().unwrap();
    let discarded = |discarded: Discarded| format!("{} changes nothing at {}", discarded.function, discarded.offset);
    assign_changes(&mut tree).map_err(discarded)?;
    let kept = Arc::new((Patterns::default(), Effort::default()));
    let mut engine = Template::new("");
    for (name, function) in ALL {
        let kept = kept.clone();
        engine = engine.func(name, move |args| {
            let (patterns, effort) = &*kept;
            let answer = function(&Call { args, now: now(), patterns, effort });
            answer.map_err(|reason| TemplateError::Exec(reason.to_string()))
        });
    }
    for mut define in defines {
        assign_changes(&mut define.body).map_err(discarded)?;
        engine = engine.add_parse_tree(&define.name, define.body);
    }
    let engine = engine.add_parse_tree("case", tree);
    engine.execute_template_to_string("case", data).map_err(|error| error.to_string())
}

fn rendered(template: &str) -> String {
    render(template, &Value::Nil).unwrap()
}

fn refused(template: &str) -> String {
    render(template, &Value::Nil).unwrap_err()
}

#[test]
fn every_function_of_sprig_is_here_or_in_the_engine_or_refused_with_a_reason() {
    const ENGINE: [&str; 15] = [
        "fail",
        "fromJson",
        "indent",
        "mustFromJson",
        "mustToJson",
        "mustToPrettyJson",
        "mustToRawJson",
        "nindent",
        "quote",
        "slice",
        "squote",
        "toJson",
        "toPrettyJson",
        "toRawJson",
        "trim",
    ];
    let sprig: Vec<&str> =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sprig/names.json")))
            .unwrap();
    let mut known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    known.extend(REFUSED.iter().map(|(name, _)| *name));
    known.extend(ENGINE);
    known.sort_unstable();
    assert_eq!(known, sprig);
}

#[test]
fn a_reason_says_which_argument_is_wrong_and_how() {
    assert_eq!(call("upper", &[Value::Int(5)]).unwrap_err().to_string(), "argument 1 must be text, not a whole number");
    assert_eq!(call("pick", &[Value::Nil, Value::Nil]).unwrap_err().to_string(), "argument 2 must be text, not nil");
    assert_eq!(call("upper", &[]).unwrap_err().to_string(), "takes 1 argument, not 0");
    assert_eq!(call("trunc", &[Value::Int(1)]).unwrap_err().to_string(), "takes 2 arguments, not 1");
    assert_eq!(call("max", &[]).unwrap_err().to_string(), "takes at least 1 argument, not 0");
    assert_eq!(call("div", &[Value::Int(1), Value::Int(0)]).unwrap_err().to_string(), "division by zero");
}

#[test]
fn no_error_holds_a_value() {
    const CANARY: &str = "CANARY-7f3a";
    let canary = Value::String(CANARY.into());
    let list = Value::List([canary.clone()].into());
    let mut failures = 0;
    for (name, _) in ALL {
        for args in [vec![canary.clone()], vec![canary.clone(); 2], vec![canary.clone(); 3], vec![list.clone(); 2]] {
            if let Err(reason) = call(name, &args) {
                failures += 1;
                assert!(!format!("{reason} {reason:?}").contains(CANARY), "{name}: {reason}");
            }
        }
    }
    assert!(failures > 300, "only {failures} calls failed");
}

#[test]
fn a_change_reaches_the_variable_it_is_meant_for() {
    // What Go does with these is in the golden cases, too. These are where values differ from Go's.
    assert_eq!(rendered(r#"{{ $d := dict }}{{ $_ := "v" | set $d "k" }}{{ $d.k }}"#), "v");
    assert_eq!(
        rendered(r#"{{ $d := dict "x" 1 }}{{ toString (merge $d (dict "y" 2)) }} {{ $d }}"#),
        "map[x:1 y:2] map[x:1 y:2]"
    );
    assert_eq!(rendered(r#"{{ $a := dict "l" "b" }}{{ $b := set (deepCopy $a) "l" "c" }}{{ $a.l }}{{ $b.l }}"#), "bc");
}

#[test]
fn a_change_that_would_be_lost_is_refused() {
    for template in [
        r#"{{ $_ := set . "k" "v" }}"#,
        r#"{{ $_ := set .Row "k" "v" }}"#,
        r#"{{ $_ := set $.Row "k" "v" }}"#,
        r#"{{ $_ := unset (index .Row "a") "k" }}"#,
        r#"{{ $_ := mergeOverwrite .Row (dict "a" 1) }}"#,
        r#"{{ if true }}{{ range $i := until 2 }}{{ $_ := set .x "k" "v" }}{{ end }}{{ end }}"#,
        r#"{{ define "t" }}{{ $_ := set . "k" "v" }}{{ end }}"#,
    ] {
        assert!(refused(template).contains("changes nothing at"), "{template}");
    }
    let data = Value::Map(Arc::new([("Row".into(), Value::Map(Arc::default()))].into()));
    let used = r#"{{ $labels := merge .Row (dict "a" 1) }}{{ $labels }}{{ set .Row "b" 2 }}"#;
    assert_eq!(render(used, &data).unwrap(), "map[a:1]map[b:2]");
}

#[test]
fn no_arguments_make_a_function_panic() {
    let text = |text: &str| Value::String(text.into());
    let dict = |value: Value| Value::Map(Arc::new([(Arc::from("a"), value)].into()));
    let values = [
        Value::Nil,
        Value::Bool(true),
        Value::Int(0),
        Value::Int(-1),
        Value::Int(3),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Uint(u64::MAX),
        Value::Float(2.0),
        Value::Float(f64::NAN),
        Value::Float(-1e300),
        text(""),
        text("a"),
        text("ß日 2024-05-01T00:00:00Z"),
        text("2006-01-02"),
        text("%"),
        text("-9223372036854775808"),
        text("[é-"),
        Value::List(Arc::default()),
        Value::List([text("ä"), Value::Int(1), dict(Value::Nil)].into()),
        dict(Value::List([Value::Float(0.5)].into())),
        Value::Function(Arc::new(|_| Ok(Value::Nil))),
    ];
    for (name, _) in ALL {
        // A panic fails the test.
        let _ = call(name, &[]);
        let takes_three = !matches!(call(name, &[Value::Nil, Value::Nil, Value::Nil]), Err(Reason::Count { .. }));
        for a in &values {
            let _ = call(name, std::slice::from_ref(a));
            for b in &values {
                let _ = call(name, &[a.clone(), b.clone()]);
                for c in values.iter().filter(|_| takes_three) {
                    let _ = call(name, &[a.clone(), b.clone(), c.clone()]);
                }
            }
        }
    }
}

#[test]
fn names_are_in_the_tables_once() {
    let mut seen = BTreeSet::new();
    for name in ALL.iter().map(|(name, _)| name).chain(REFUSED.iter().map(|(name, _)| name)) {
        assert!(seen.insert(name), "{name}");
    }
}
