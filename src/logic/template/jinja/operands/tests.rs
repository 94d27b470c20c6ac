//! What is added to which operands.

use minijinja::context;
use serde_json::json;

use super::super::convert::from_json;
use super::super::environment::{NAME, Setup, environment};
use super::super::marks::Mode;
use super::*;

/// As prepared, with one character for each filter.
fn shown(source: &str) -> String {
    let prepared = prepared(source).unwrap();
    assert_eq!(as_written(&prepared), source);
    [("__text", "!"), ("__num", "#"), ("__cmp", "?"), ("__facs", "^^"), ("__fac", "^")]
        .iter()
        .fold(prepared.into_owned(), |text, (filter, sign)| text.replace(&format!("|{filter}"), sign))
}

#[test]
fn every_operand_of_what_computes_or_compares_gets_its_filter() {
    for (source, expected) in [
        ("{{ a + b.c }}", "{{ a# + b.c# }}"),
        ("{{- a<b -}}", "{{- a?<b? -}}"),
        ("{{ a | round(1) * -b|abs }}", "{{ a | round(1)^ * -__n(b|__neg)|abs^ }}"),
        ("{{ -a.b[c] - -1.5e-3 }}", "{{ -__n(a.b[c]|__neg)# - -1.5e-3# }}"),
        ("{{ -(a) }}", "{{ -__n((a)|__neg) }}"),
        ("{% for a in b if a.in not in c %}", "{% for a in b if a.in? not in c? %}"),
        ("{% set a = b ** 2 %}", "{% set a = b^ ** 2^ %}"),
        ("{{ f(*a, b=c == d) }}", "{{ f(*a, b=c? == d?) }}"),
        ("{{ a is not defined and a // 2 is odd }}", "{{ a is not defined and a^ // 2 is odd^ }}"),
        ("{{ -a is not odd }}", "{{ -__n(a|__neg) is not odd }}"),
        ("{{ a if not b else c }}", "{{ a if not b else c }}"),
        ("{{ {'a': 1, b: -c}.d }}", "{{ {'a': 1, b: -__n(c|__neg)}.d }}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn what_computes_for_a_comparison_is_compared_as_well() {
    for (source, expected) in [
        ("{{ a + b == c * d and e - f }}", "{{ a? + b? == c? * d? and e# - f# }}"),
        ("{{ a < b + 1 <= c if d + 1 else e }}", "{{ a? < b? + 1? <= c? if d# + 1# else e }}"),
        ("{{ f(a + 1) == [b - 1, c == 1] }}", "{{ f(a# + 1#)? == [b# - 1#, c? == 1?]? }}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn words_that_are_no_operands_get_none() {
    for (source, expected) in [
        ("{% elif not a %}", "{% elif not a %}"),
        ("{% elif -a > 1 %}", "{% elif -__n(a|__neg)? > 1? %}"),
        ("{%-elif a not in b-%}", "{%-elif a? not in b?-%}"),
        ("{% for a in b if a > 1 recursive %}", "{% for a in b if a? > 1? recursive %}"),
        ("{% for(a,b)in c %}", "{% for(a,b)in c %}"),
        ("{%\n  for a, b in c ~ d\n%}", "{%\n  for a, b in c! ~ d!\n%}"),
        ("{% include a ~ 'b' ignore missing %}", "{% include a! ~ 'b'! ignore missing %}"),
        ("{% from a ~ b import c as d %}", "{% from a! ~ b! import c as d %}"),
        ("{% macro m(a, b=c + 1) %}", "{% macro m(a, b=c# + 1#) %}"),
        ("{% call(a) m(b + 1) %}", "{% call(a) m(b# + 1#) %}"),
        ("{% with a = b + 1, c = -d %}", "{% with a = b# + 1#, c = -__n(d|__neg) %}"),
        ("{% filter replace(a ~ b, '+') | upper %}", "{% filter replace(a! ~ b!, '+') | upper %}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn an_argument_of_a_test_is_no_operand() {
    for (source, expected) in [
        ("{% if a is eq -1 %}", "{% if a is eq -1 %}"),
        ("{% if a is eq -b + c %}", "{% if a is eq -__n(b|__neg)# + c# %}"),
        ("{{ a is divisibleby 2 ~ b }}", "{{ a is divisibleby 2! ~ b! }}"),
        ("{{ 1 + a is gt(b - 1) }}", "{{ 1# + a is gt(b# - 1#)# }}"),
        ("{{ a is in [b, c] and d is not in e }}", "{{ a is in [b, c] and d is not in e }}"),
        ("{{ a is sameas none if b else c }}", "{{ a is sameas none if b else c }}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn every_operand_of_a_join_gets_the_filter() {
    for (source, expected) in [
        ("{{ a ~ b }}", "{{ a! ~ b! }}"),
        ("{{- a ~ b -}}", "{{- a! ~ b! -}}"),
        ("{{ a~'~'~\"\\\"~\" }}", "{{ a!~'~'!~\"\\\"~\"! }}"),
        ("{{ a.b[c ~ d] ~ f(x, y ~ z)|upper }}", "{{ a.b[c! ~ d!]! ~ f(x, y! ~ z!)|upper! }}"),
        ("{% if a ~ b == c ~ d and e %}", "{% if a! ~ b! == c! ~ d! and e %}"),
        ("{{ a ~ b if c else d ~ -1 + 2 }}", "{{ a! ~ b! if c else d! ~ -1! + 2# }}"),
        ("{{ a ~ row.in ~ x.if }}", "{{ a! ~ row.in! ~ x.if! }}"),
        ("{{ {'k': a ~ b, 'l': c} }}", "{{ {'k': a! ~ b!, 'l': c} }}"),
        ("{{ {'k': {'l': a ~ b}} }}", "{{ {'k': {'l': a! ~ b!}} }}"),
        ("{{ a[b + 1] ~ c * 2 }}", "{{ a[b# + 1#]! ~ c^! * 2^ }}"),
        ("{{ not a ~ b is defined }}", "{{ not a! ~ b is defined! }}"),
        ("{{ 'a' 'b' ~ c }}", "{{ 'a' 'b'! ~ c! }}"),
        (
            "a ~ b {# c ~ d #}{% raw %}{{ e ~ f }}{% endraw %}{{ g ~ h }}",
            "a ~ b {# c ~ d #}{% raw %}{{ e ~ f }}{% endraw %}{{ g! ~ h! }}",
        ),
        ("{{ a }}", "{{ a }}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn what_is_cut_is_a_list_before_and_after() {
    for (source, expected) in [
        ("{{ a[1:] }}", "{{ __n(__n(a|__list)[1:]|__list) }}"),
        ("{{ a.b(c)[d][:e] ~ f }}", "{{ __n(__n(a.b(c)[d]|__list)[:e]|__list)! ~ f! }}"),
        ("{{ (a ~ b)[:3] }}", "{{ __n(__n((a! ~ b!)|__list)[:3]|__list) }}"),
        ("{{ a[b + 1:c * 2] }}", "{{ __n(__n(a|__list)[b# + 1#:c^ * 2^]|__list) }}"),
        ("{{ a[::2].b[1:] }}", "{{ __n(__n(__n(__n(a|__list)[::2]|__list).b|__list)[1:]|__list) }}"),
        ("{{ -a[1:][0] }}", "{{ -__n(__n(__n(a|__list)[1:]|__list)[0]|__neg) }}"),
        ("{{ [a[1:], {b: c}, d[{1: 2}]] }}", "{{ [__n(__n(a|__list)[1:]|__list), {b: c}, d[{1: 2}]] }}"),
        ("{{ a[b[1:]:c] }}", "{{ __n(__n(a|__list)[__n(__n(b|__list)[1:]|__list):c]|__list) }}"),
        ("{{ a is in b[1:] }}", "{{ a is in __n(__n(b|__list)[1:]|__list) }}"),
        ("{{ a is in [b][1:] }}", "{{ a is in __n(__n([b]|__list)[1:]|__list) }}"),
        ("{% for a in b|list %}{{ a|c[1:] }}", "{% for a in b|list %}{{ a|c[1:] }}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn a_product_of_many_factors_repeats_no_list() {
    for (source, expected) in [
        ("{{ a * b + c // d }}", "{{ a^ * b^ + c^ // d^ }}"),
        ("{{ a * b * c + d * e }}", "{{ a^^ * b^^ * c^^ + d^ * e^ }}"),
        ("{{ a == b * c ** d }}", "{{ a? == b^^ * c^^ ** d^^ }}"),
        ("{{ a * (b * c) }}", "{{ a^ * (b^ * c^)^ }}"),
    ] {
        assert_eq!(shown(source), expected);
    }
}

#[test]
fn long_rows_are_refused_and_long_lists_are_not() {
    let error = |source: &str| prepared(source).err();
    for link in ["+1", "|abs", ".b", "[0]", "()", " and 1", " if 1", " is odd", "~1", "==1", " in a"] {
        assert_eq!(error(&format!("\n{{{{ a{} }}}}", link.repeat(199))), None, "{link}");
        assert_eq!(error(&format!("\n{{{{ a{} }}}}", link.repeat(201))), Some(2), "{link}");
    }
    for item in ["a+1,", "-1,", "b.c|d('x'),", "not a,", "a if b else c,"] {
        assert_eq!(error(&format!("{{{{ [{}] }}}}", item.repeat(500))), None, "{item}");
    }
}

#[test]
fn what_is_added_changes_no_result() {
    // A small fixed generator: every run tries the same templates.
    let mut state = 5u64;
    let mut pick = move |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count
    };
    let mut both = (0, 0);
    for _ in 0..1_500 {
        let source = template(&mut pick);
        let plain = Setup { mode: Mode::Text, deep: false };
        let render = |source: &str| {
            let env = environment(plain, source).ok()?;
            let row =
                json!({"i": 3, "f": 2.5, "s": "a-b c", "l": [1, 2.5, 4], "t": ["x", "y"], "m": {"in": 7, "k": -2}});
            Some(env.get_template(NAME).unwrap().render(context! { row => from_json(&row.into()) }).ok())
        };
        let (written, changed) = (render(&source), render(&prepared(&source).unwrap()));
        assert_eq!(written, changed, "{source}\n{}", prepared(&source).unwrap());
        both.0 += 1;
        both.1 += usize::from(matches!(written, Some(Some(_))));
    }
    assert!(both.1 > both.0 / 4, "only {} of {} give a result", both.1, both.0);
}

type Pick<'a> = &'a mut dyn FnMut(usize) -> usize;

fn template(pick: Pick) -> String {
    let mut out = String::new();
    for _ in 0..1 + pick(3) {
        let (a, b) = (expression(pick, 2), expression(pick, 2));
        let (open, close) = (["", "-", "+"][pick(3)], ["", "-", "+"][pick(3)]);
        out.push_str(&match pick(9) {
            0 => format!("{{%{open} if {a} {close}%}}x{{% elif not {b} %}}y{{% elif -row.i < {a} %}}z{{% endif %}}"),
            1 => format!("{{% for x in row.l if x < {a} recursive %}}{{{{ x * {b} }}}},{{% endfor %}}"),
            2 => format!("{{%\tset x = {a}\n%}}{{{{ [x, {b}] }}}}"),
            3 => format!("{{% macro m(p, q={a}) %}}{{{{ p + q }}}}{{% endmacro %}}{{{{ m({b}) }}}}"),
            4 => format!("{{% with x = {a}, y = -row.f %}}{{{{ x - y }}}}{{% endwith %}}"),
            5 => "{# {{ a + b }} #}{%- raw %}{{ a ~ b[1:] }}{%\nendraw -%} { { a - b } }".to_owned(),
            _ => format!("{{{{{open} {a} {close}}}}}"),
        });
    }
    out
}

fn expression(pick: Pick, depth: usize) -> String {
    let operands = [
        "row.i",
        "row.f",
        "row.l[1]",
        "row.l[0]",
        "row.m.in",
        "row['m'].k",
        "2",
        "0.5",
        "1e1",
        "0x1F",
        "row.s",
        "'}}'",
        "'a - b'",
        "row.l",
        "row.t",
        "[1, row.i]",
        "{'a': {'b': 1}}",
        "row.t[1:]|list",
        "row.s[:-2]",
        "row.l[::-1]|list",
        "(row.l + row.t)[1:3]|list",
        "(row.s ~ row.i ~ '-')",
        "row.l|length",
        "row.t|join('-')",
        "loop",
        "row.i if row.f > 1 else row.s",
    ];
    if depth == 0 {
        let common = if pick(4) == 0 { operands.len() } else { 10 };
        return operands[pick(common)].to_owned();
    }
    let operators = ["+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "in", "not in", "and", "or"];
    let a = expression(pick, depth - 1);
    let b = expression(pick, depth - 1);
    match pick(12) {
        0 => format!("({a})"),
        1 => format!("-{a}"),
        2 => format!("(not {a})"),
        3 => format!("[{a}, {b}]|{}", ["max", "sum", "first", "length", "list"][pick(5)]),
        4 => format!("row.f is {} {b}", ["eq", "gt", "ne"][pick(3)]),
        5 => format!("row.i is eq -{}", [1, 3][pick(2)]),
        6 => format!("(row.l[{a}:]|list)"),
        7 => format!("{a} if {b} else row.i"),
        _ => format!("{a} {} {b}", operators[pick(operators.len())]),
    }
}
