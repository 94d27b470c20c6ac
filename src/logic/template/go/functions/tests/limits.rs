use std::sync::Arc;

use gotmpl::Value;

use super::{call, refused, rendered};

#[test]
fn huge_results_are_refused_before_they_are_made() {
    for template in [
        r#"{{ repeat 1000000000 "ab" }}"#,
        r#"{{ repeat 9223372036854775807 "ab" }}"#,
        r#"{{ until 100001 }}"#,
        r#"{{ until 9223372036854775807 }}"#,
        r#"{{ untilStep (int64 "-9223372036854775808") 9223372036854775807 1 }}"#,
        r#"{{ seq 1 1000000000 }}"#,
        r#"{{ seq 1 9223372036854775807 }}"#,
        r#"{{ repeat 1000000 "a" | replace "" "abc" }}"#,
        r#"{{ repeat 1000 "a" | replace "a" (repeat 1100 "b") }}"#,
        r#"{{ repeat 1000000 "a" | splitList "" }}"#,
        r#"{{ repeat 1000000 "a" | split "" }}"#,
        r#"{{ repeat 1000000 "," | splitList "," }}"#,
        r#"{{ join (repeat 100000 "x") (until 100) }}"#,
        r#"{{ $x := repeat 1000000 "a" }}{{ cat $x $x }}"#,
        r#"{{ $x := repeat 1000000 "a" }}{{ toString (list $x $x) }}"#,
        r#"{{ wrapWith 1 (repeat 1000 "-") (repeat 10000 "a") }}"#,
        r#"{{ $x := repeat 10000 "a" }}{{ regexReplaceAll "a" $x $x }}"#,
        r#"{{ $x := repeat 10000 "a" }}{{ regexReplaceAll "(a+)" $x (repeat 1000 "$1") }}"#,
        r#"{{ $x := repeat 1000000 "a" }}{{ regexFindAll "a" $x -1 }}"#,
        r#"{{ $x := repeat 1000000 "a" }}{{ regexSplit "a" $x -1 }}"#,
        r#"{{ $l := until 100000 }}{{ concat $l $l }}"#,
        r#"{{ $l := list 1 }}{{ range until 40 }}{{ $l = concat $l $l }}{{ end }}"#,
        r#"{{ $l := list 1 }}{{ range until 40 }}{{ $l = list $l $l }}{{ end }}"#,
        r#"{{ $d := dict }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}"#,
        r#"{{ $l := list (repeat 1000000 "a") }}{{ range until 10 }}{{ $l = concat $l $l }}{{ end }}"#,
    ] {
        let reason = refused(template);
        assert!(reason.contains("the result would") || reason.contains("too much work"), "{template}: {reason}");
    }
}

#[test]
fn what_is_nested_without_end_is_refused() {
    for template in [
        r#"{{ $l := list }}{{ range until 10000 }}{{ $l = list $l }}{{ end }}"#,
        r#"{{ $d := dict }}{{ range until 10000 }}{{ $d = set (dict) "a" $d }}{{ end }}"#,
        r#"{{ $d := dict }}{{ range until 10000 }}{{ $d = dict "a" $d }}{{ end }}"#,
    ] {
        assert!(refused(template).contains("nested too deeply"), "{template}");
    }
    assert_eq!(rendered("{{ $l := list }}{{ range until 100 }}{{ $l = list $l }}{{ end }}{{ len $l }}"), "1");
}

#[test]
fn lists_too_long_to_compare_are_refused() {
    let list = Value::List((0..20_000).map(Value::Int).collect::<Vec<_>>().into());
    assert!(call("uniq", &[list]).is_err());
    let few = Value::List((0..20_000).map(|i| Value::Int(i % 100)).collect::<Vec<_>>().into());
    assert_eq!(call("uniq", &[few]).unwrap().len(), Some(100));
    // Shared so often that it would never end.
    let nested = |leaf: i64| (0..60).fold(Value::Int(leaf), |inner, _| Value::List([inner.clone(), inner].into()));
    assert!(call("deepEqual", &[nested(1), nested(1)]).is_err());
    assert!(call("toString", &[nested(1)]).is_err());
    assert!(call("list", &[nested(1)]).is_err());
    assert!(
        call("merge", &[Value::Map(Arc::default()), Value::Map(Arc::new([("a".into(), nested(1))].into()))]).is_err()
    );
}

#[test]
fn large_regular_expressions_are_refused() {
    for template in [
        r#"{{ regexMatch "((a{1000}){1000}){1000}" "a" }}"#,
        r#"{{ regexMatch "(\\pL{100}){100}" "a" }}"#,
        r#"{{ regexMatch (repeat 20000 "a") "a" }}"#,
        r#"{{ regexMatch (printf "%s%s" (repeat 1000 "(") (repeat 1000 ")")) "a" }}"#,
    ] {
        let reason = refused(template);
        assert!(reason.contains("regular expression"), "{template}: {reason}");
    }
}

#[test]
fn results_of_a_fair_size_are_made() {
    assert_eq!(rendered(r#"{{ repeat 1048576 "a" | len }}"#), "1048576");
    assert_eq!(rendered("{{ until 100000 | len }}"), "100000");
    assert_eq!(rendered(r#"{{ repeat 99999 "," | splitList "," | len }}"#), "100000");
}
