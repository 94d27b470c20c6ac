//! Hostile Jinja: what each does, and its source.

/// As long as a template may be.
const LONG: usize = 64 << 10;
/// As long as a tag may be.
const TAG: usize = 4 << 10;

/// A template and why it is hostile.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) source: String,
}

fn case(name: impl Into<String>, source: impl Into<String>) -> Case {
    Case { name: name.into(), source: source.into() }
}

/// As many as fit.
fn fill(piece: &str, room: usize) -> String {
    piece.repeat(room / piece.len())
}

/// All of them.
pub(super) fn all() -> Vec<Case> {
    [nested(), chained(), endless(), growing(), consumed(), written(), yaml(), large_values()]
        .into_iter()
        .flatten()
        .collect()
}

/// Constructs inside themselves.
fn nested() -> Vec<Case> {
    let mut cases = Vec::new();
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1: ", "}"),
        ("f(", ")"),
        ("f(a=", ")"),
        ("row[", "]"),
        ("row[1:", "]"),
        ("1|d(", ")"),
        ("1 is eq(", ")"),
        ("1 if ", " else 2"),
        ("-(", ")"),
        ("not (", ")"),
        ("(1 + ", ")"),
        ("1 ~ (", ")"),
    ] {
        let count = TAG / (open.len() + close.len() + 1);
        let tag = format!("{{{{ {}1{} }}}}", open.repeat(count), close.repeat(count));
        cases.push(case(format!("nested {open}"), fill(&tag, LONG)));
        cases.push(case(format!("open {open}"), format!("{{{{ {}", fill(open, TAG - 8))));
        let few = format!("{{{{ {}1{} }}}}", open.repeat(60), close.repeat(60));
        cases.push(case(format!("nested 60 {open}"), fill(&few, LONG)));
    }
    for (open, close) in [
        ("{% if 1 %}", "{% endif %}"),
        ("{% if 0 %}{% else %}", "{% endif %}"),
        ("{% for a in [1] %}", "{% endfor %}"),
        ("{% for a in [1, 2] %}", "{% endfor %}"),
        ("{% for a in [] %}{% else %}", "{% endfor %}"),
        ("{% with a = 1 %}", "{% endwith %}"),
        ("{% set a %}", "{% endset %}"),
        ("{% filter upper %}", "{% endfilter %}"),
        ("{% autoescape true %}", "{% endautoescape %}"),
        ("{% call f() %}", "{% endcall %}"),
        ("{% macro m(a) %}", "{% endmacro %}{{ m(1) }}"),
        ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}", "x{% endcall %}"),
    ] {
        for count in [LONG / (open.len() + close.len()) - 1, 140, 40] {
            cases.push(case(
                format!("nested {count} {open}"),
                format!("{}x{}", open.repeat(count), close.repeat(count)),
            ));
        }
        cases.push(case(format!("open {open}"), fill(open, LONG)));
    }
    let blocks: String = (0..1200).map(|n| format!("{{% block b{n} %}}")).collect();
    cases.push(case("nested blocks", format!("{blocks}{}", "{% endblock %}".repeat(1200))));
    cases
}

/// Long rows of the same.
fn chained() -> Vec<Case> {
    let mut cases = Vec::new();
    let links = [
        "+1",
        "-1",
        "*1",
        "/1",
        "//1",
        "%1",
        "**1",
        "~1",
        "==1",
        "!=1",
        "<1",
        ">=1",
        " in [1]",
        " not in [1]",
        " and 1",
        " or 0",
        " if 1 else 2",
        " if 1",
        "|abs",
        "|d(1)",
        "|string",
        "|quote",
        ".b",
        ".0",
        "[0]",
        "[:1]",
        "[::1]",
        "()",
        "(1)",
        " is odd",
        " is not none",
        " is eq 1",
        " is eq(1)",
        "|list|first",
        "|toYaml",
        "|indent(1)",
        "|nindent(9)",
        "|b64encode",
        "|replace('a', 'aa')",
        "|center",
        "|int ** 2",
    ];
    for link in links {
        for start in ["1", "row", "row.text", "row.list", "'a'", "[1]"] {
            let tag = format!("{{{{ {} }}}}", format_args!("{start}{}", fill(link, TAG - 16)));
            cases.push(case(format!("chain {start}{link}"), fill(&tag, LONG)));
        }
        let set = format!("{{% set x = 1{} %}}", fill(link, TAG - 24));
        cases.push(case(format!("set {link}"), fill(&set, LONG)));
    }
    for prefix in ["-", "- ", "not ", "+", "*", "**", "~"] {
        cases.push(case(format!("prefix {prefix}"), fill(&format!("{{{{ {}1 }}}}", fill(prefix, TAG - 8)), LONG)));
    }
    for (name, piece) in
        [("list", "1,"), ("map", "1:1,"), ("strings", "'a'"), ("names", "a,"), ("nested lists", "[1],")]
    {
        for (open, close) in [("[", "]"), ("{", "}"), ("(", ")"), ("f(", ")"), ("range(", ")"), ("dict(", ")")] {
            let tag = format!("{{{{ {open}{}{close} }}}}", fill(piece, TAG - 16));
            cases.push(case(format!("long {name} in {open}"), fill(&tag, LONG)));
        }
    }
    for (name, piece) in [
        ("tags", "{{ 1 }}"),
        ("short tags", "{{1}}"),
        ("failing tags", "{{ x"),
        ("trees", "{{ row.map | toYaml }}\n"),
        ("comments", "{# #}"),
        ("raw blocks", "{% raw %}{% endraw %}"),
        ("assignments", "{% set a = 1 %}"),
        ("braces", "{"),
        ("open tags", "{{"),
        ("open statements", "{%"),
        ("open comments", "{#"),
        ("open raw", "{% raw %}"),
        ("quotes", "{{ '"),
        ("newlines", "\n"),
        ("dots", "."),
        ("macros", "{% macro m(a=1) %}{% endmacro %}"),
        ("else", "{% else %}"),
        ("continue", "{% for a in [1] %}{% continue %}{% endfor %}"),
    ] {
        cases.push(case(name, fill(piece, LONG)));
    }
    cases.push(case("elif", format!("{{% if 0 %}}{}{{% endif %}}", fill("{% elif 0 %}", LONG - 30))));
    cases.push(case(
        "last elif",
        format!("{{% if 0 %}}{}{{% endif %}}", fill("{% elif row.no is defined %}", LONG - 30)),
    ));
    cases.push(case("elif without end", format!("{{% if 0 %}}{}", fill("{% elif 0 %}", LONG - 30))));
    let macros: String =
        (0..1500).map(|n| format!("{{% macro m{n}() %}}{{{{ m{}() }}}}{{% endmacro %}}", n + 1)).collect();
    cases.push(case("a row of macros", format!("{macros}{{{{ m0() }}}}")));
    cases.push(case(
        "many arguments",
        format!("{{% macro m({}b) %}}{{% endmacro %}}{{{{ m() }}}}", fill("b,", TAG - 64)),
    ));
    cases.push(case("many names", fill("{% for a, b, c in [[1, 2, 3]] %}{% endfor %}", LONG)));
    cases.push(case("a number of digits", format!("{{{{ {} }}}}", "9".repeat(TAG - 16))));
    cases.push(case("a fraction of digits", format!("{{{{ 0.{} }}}}", "9".repeat(TAG - 16))));
    cases.push(case("a name", fill("a", LONG)));
    cases
}

/// What would go on for ever.
fn endless() -> Vec<Case> {
    [
        ("loops", "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"),
        ("writing loops", "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
        ("loops that filter", "{% for a in range(99999) %}{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}"),
        ("loops that skip", "{% for a in range(99999) %}{% for b in range(99999) %}{% continue %}{% endfor %}{% endfor %}"),
        ("a macro calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        ("a macro calls itself twice", "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(99) }}"),
        ("a macro calls itself twice, shallow", "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(20) }}"),
        ("macros call each other", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}"),
        ("a macro as its own argument", "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}"),
        ("a macro with itself as default", "{% macro m(a=m()) %}{% endmacro %}{{ m() }}"),
        ("a caller calls", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ m() }}{% endcall %}"),
        ("callers call each other", "{% macro m(f) %}{% call m(caller) %}{{ caller() }}{% endcall %}{% endmacro %}{% call m(1) %}x{% endcall %}"),
        ("a loop recurs", "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
        ("a loop recurs twice", "{% for a in [1, 2] recursive %}{{ loop([1, 2]) }}{{ loop([1]) }}{% endfor %}"),
        ("a block shows itself", "{% block a %}{{ self.a() }}{% endblock %}"),
        ("blocks show each other", "{% block a %}{{ self.b() }}{% endblock %}{% block b %}{{ self.a() }}{% endblock %}"),
        ("super", "{% block a %}{{ super() }}{% endblock %}"),
        ("it includes itself", "{% include 'template' %}"),
        ("it includes itself often", "{% for a in range(999) %}{% include 'template' %}{% endfor %}"),
        ("it imports itself", "{% import 'template' as t %}{{ t }}"),
        ("it imports from itself", "{% from 'template' import a %}"),
        ("it extends itself", "{% extends 'template' %}"),
        ("it includes a list", "{% include ['template', 'template'] %}"),
        ("a large range", "{{ range(10**18) }}"),
        ("a range without end", "{{ range(0, 1, 0) }}"),
        ("a range backwards", "{{ range(10**18, -10**18, -1) | list }}"),
        ("many ranges", "{% for a in range(99999) %}{{ range(99999) }}{% endfor %}"),
    ]
    .map(|(name, source)| case(name, source))
    .into()
}

/// What doubles, or takes a number that says how much.
fn growing() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, start, step) in [
        ("~", "'x'", "n.a ~ n.a"),
        ("text +", "'x'", "n.a + n.a"),
        ("text *", "'x'", "n.a * 99"),
        ("list +", "[1]", "n.a + n.a"),
        ("list *", "[1]", "n.a * 99"),
        ("*", "2", "n.a * n.a"),
        ("**", "2", "n.a ** n.a"),
        ("float **", "2.0", "n.a ** n.a"),
        ("join", "'xy'", "[n.a, n.a] | join(n.a)"),
        ("join of letters", "'xy'", "n.a | join(n.a)"),
        ("replace", "'xy'", "n.a | replace('x', n.a)"),
        ("replace nothing", "'xy'", "n.a | replace('', n.a)"),
        ("format", "'xy'", "'%s%s' | format(n.a, n.a)"),
        ("indent", "'x\\ny'", "n.a | indent(1000)"),
        ("string of indent", "'x\\ny'", "n.a | indent(1000) | string"),
        ("nindent", "'x\\ny'", "n.a | nindent(1000)"),
        ("quote", "'x\"'", "n.a | quote"),
        ("string of quote", "'x\"'", "n.a | quote | string"),
        ("string of squote", "\"x'\"", "n.a | squote | string"),
        ("toJson", "'x\"'", "n.a | toJson | string"),
        ("toYaml", "'x\"\\n'", "[n.a, n.a] | toYaml | string"),
        ("b64encode", "'x'", "n.a | b64encode"),
        ("urlencode", "'/ä'", "n.a | urlencode"),
        ("upper", "'ﬃ'", "n.a | upper ~ n.a"),
        ("map", "[1]", "[n.a, n.a] | map('string') | list"),
        ("zip", "[1]", "n.a | zip(n.a) | list"),
        ("chain", "[1]", "n.a | chain(n.a) | list"),
        ("batch", "[1, 2]", "(n.a + n.a) | batch(2) | list"),
        ("slice", "[1, 2]", "(n.a + n.a) | slice(2) | list"),
        ("split", "'x x'", "(n.a ~ n.a) | split(' ') | join('  ')"),
        ("shared lists", "[1]", "[n.a, n.a]"),
        ("shared maps", "[1]", "{'a': n.a, 'b': n.a}"),
        ("shared dicts", "[1]", "dict(a=n.a, b=n.a)"),
    ] {
        for count in [30, 99_999] {
            cases.push(case(
                format!("{count} times {name}"),
                format!("{{% set n = namespace(a={start}) %}}{{% for i in range({count}) %}}{{% set n.a = {step} %}}{{% endfor %}}v: {{{{ n.a }}}}"),
            ));
        }
    }
    for expression in [
        "2 ** 1000000",
        "10 ** 400",
        "9 ** 9 ** 9",
        "2.0 ** 1000000",
        "1e400",
        "-1e400",
        "1e308 * 1e308",
        "10 ** 38 * 10 ** 38",
        "9223372036854775807 * 9223372036854775807",
        "(-9223372036854775808) // -1",
        "(-9223372036854775808) % -1",
        "-(10 ** 38)",
        "1 // 0",
        "1 % 0",
        "1 / 0",
        "0 ** -1",
        "1.0 % 0",
        "1 ** 1e300",
        "'x' * 10 ** 18",
        "'x' * -1",
        "'x' * 1e18",
        "[1] * 10 ** 18",
        "range(3) * 10 ** 9",
        "'x' | indent(10 ** 9)",
        "'x' | nindent(10 ** 9)",
        "'x' | indent(-1)",
        "'x' | truncate(10 ** 18)",
        "'x' | truncate(-1)",
        "'%1000000000d' | format(1)",
        "'%.1000000000f' | format(1.5)",
        "'%01000000000d' | format(1)",
        "'%-1000000000s' | format('a')",
        "'%*d' | format(1000000000, 1)",
        "'%.*f' | format(1000000000, 1.0)",
        "'%s' * 99999",
        "('%s' * 9999) | format('a')",
        "'%9999999999999999999999d' | format(1)",
        "'%c' | format(1114112)",
        "'%e' | format(1e308)",
        "'%.400f' | format(1e308)",
        "'%x' | format(-1)",
        "[1] | batch(10 ** 18)",
        "[1] | batch(0)",
        "[1] | batch(3, 'x') | list",
        "[1] | batch(99999999, 'x') | list",
        "[1] | batch(10 ** 18, 'x') | list",
        "[1] | slice(10 ** 18) | list",
        "[1] | slice(99999999) | list",
        "[1] | slice(99999999, 'x') | list",
        "[1] | slice(0) | list",
        "1.5 | round(10 ** 9)",
        "1.5 | round(-10 ** 9)",
        "1.5 | round(400)",
        "'9' * 5000 | int",
        "('9' * 5000) | int",
        "('9' * 5000) | float",
        "1e300 | int",
        "'zz' | int(base=36)",
        "'0x' | int",
        "1e300 | string",
        "[1, 2, 3][10 ** 18]",
        "[1, 2, 3][-10 ** 18]",
        "[1, 2, 3][::-1]",
        "[1, 2, 3][::10 ** 18]",
        "[1, 2, 3][10 ** 18:]",
        "'abc'[::-10 ** 18]",
        "'abc'[-10 ** 18:10 ** 18]",
        "range(10 ** 5)[::10 ** 9]",
        "[1, 2] | sum(start=1e308)",
        "'x' | replace('x', 'y' * 9999999)",
        "('x' * 99999) | replace('x', 'y' * 999)",
        "('x' * 99999) | replace('', 'y' * 999)",
        "('x' * 99999) | list | join('y' * 999)",
        "('x ' * 99999) | title",
        "('x' * 999999) | wordcount",
        "range(99999) | map('string') | join | length",
        "range(99999) | list | sort | unique | list | length",
        "range(9999) | groupby('x') | list",
        "range(99999) | reverse | list | sum",
        "range(99999) | select('odd') | list | length",
        "('a' * 99999) | list | unique | list",
        "dict(a=1, **dict(b=2))",
        "namespace(a=1)",
        "(range(99999) | list) in [range(99999) | list]",
        "99999 in range(10 ** 18)",
        "-1 in range(99999)",
        "'a' in 'a' * 9999999",
        "('a' * 999999 ~ 'b') in ('a' * 999999)",
        "('a' * 9999) | split('a') | length",
        "('a\\n' * 99999) | lines | length",
        "('a' * 999999) | upper | lower | capitalize | trim | length",
        "(' ' * 999999) | trim",
        "('a' * 999999) | trim('a')",
        "('é' * 99999) | urlencode | length",
        "lipsum(99999)",
        "cycler(1)",
        "joiner()",
        "debug()",
        "loop",
        "self",
        "caller()",
        "super()",
        "range",
        "row.text | dnsLabel",
        "('ä' * 999999) | dnsLabel",
    ] {
        cases.push(case(format!("once {expression}"), format!("v: {{{{ {expression} }}}}")));
        cases.push(case(
            format!("often {expression}"),
            format!("v: {{% for i in range(99999) %}}{{{{ {expression} }}}}{{% endfor %}}"),
        ));
    }
    cases
}

/// Values that are deep, shared or lazy, and all that can be done with one.
fn consumed() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, count, step) in [
        ("deep list", 99_999, "[n.a]"),
        ("deep map", 99_999, "{'a': n.a}"),
        ("deep dict", 99_999, "dict(a=n.a)"),
        ("deep tuple", 99_999, "(n.a,)"),
        ("deep namespace", 99_999, "namespace(a=n.a)"),
        ("shallow", 90, "[n.a]"),
        ("almost too deep", 199, "[n.a]"),
        ("shared", 30, "[n.a, n.a]"),
        ("shared maps", 30, "{'a': n.a, 'b': n.a}"),
        ("shared keys", 30, "{'a': [n.a, n.a]}"),
        ("much shared", 60, "[n.a, n.a]"),
        ("lazy chains", 99_999, "n.a | chain([1])"),
        ("lazy chains twice", 30, "n.a | chain(n.a)"),
        ("lazy zips", 99_999, "n.a | zip([1])"),
        ("lazy reversal", 99_999, "n.a | reverse"),
        ("lazy maps", 99_999, "n.a | map('first')"),
        ("lazy lists of maps", 30, "[n.a, n.a] | map('list')"),
        ("lazy selection", 99_999, "n.a | select"),
        ("lazy slices", 99_999, "n.a[0:]"),
        ("batches", 99_999, "n.a | batch(2)"),
        ("items", 99_999, "{'a': n.a} | items"),
    ] {
        for (what, consume) in [
            ("dropped", ""),
            ("printed", "{{ n.a }}"),
            ("toJson", "{{ n.a | toJson }}"),
            ("toYaml", "{{ n.a | toYaml }}"),
            ("string", "{{ n.a | string }}"),
            ("quote", "{{ n.a | quote }}"),
            ("~", "{{ n.a ~ '' }}"),
            ("==", "{{ n.a == n.a }}"),
            ("== of two", "{% set b = n.a | list %}{{ b == n.a }}"),
            ("<", "{{ n.a < n.a }}"),
            ("in", "{{ 1 in n.a }}"),
            ("as a key", "{% set m = {n.a: 1} %}{{ m | length }}"),
            ("looked up", "{% set m = {'a': 1} %}{{ m[n.a] is defined }}"),
            ("sorted", "{{ [n.a, n.a] | sort | length }}"),
            ("unique", "{{ [n.a, n.a] | unique | list | length }}"),
            ("length", "{{ n.a | length }}"),
            ("list", "{{ n.a | list | length }}"),
            ("iterated", "{% for x in n.a %}x{% endfor %}"),
            ("iterated backwards", "{% for x in n.a | reverse %}x{% endfor %}"),
            ("last", "{{ n.a | last is defined }}"),
            ("sum", "{{ n.a | sum }}"),
            ("join", "{{ n.a | join }}"),
            ("sha256", "{{ n.a | sha256 }}"),
            ("format", "{{ '%s' | format(n.a) }}"),
            ("replace", "{{ n.a | replace('1', '2') }}"),
            ("upper", "{{ n.a | upper }}"),
            ("if", "{{ 1 if n.a else 2 }}"),
            ("default", "{{ n.a | default(1) is defined }}"),
            ("* 2", "{{ n.a * 2 }}"),
            ("+", "{{ (n.a + n.a) | length }}"),
            ("slice", "{{ n.a[:1] | length }}"),
            ("unpacked", "{% macro m(a) %}{% endmacro %}{{ m(*n.a) }}"),
            ("sameas", "{{ n.a is sameas n.a }}"),
            ("eq", "{{ n.a is eq n.a }}"),
            ("groupby", "{{ [n.a] | groupby(0) | list | length }}"),
            ("captured", "{% set c %}{{ n.a }}{% endset %}{{ c }}"),
            ("with captured text", "{% set c %}{{ 1 }}{% endset %}{{ [n.a, c] | length }}"),
            ("often", "{% for i in range(99999) %}{{ n.a == 1 }}{{ n.a | default(1) is defined }}{% endfor %}"),
        ] {
            cases.push(case(
                format!("{name} {what}"),
                format!("{{% set n = namespace(a=[1]) %}}{{% for i in range({count}) %}}{{% set n.a = {step} %}}{{% endfor %}}v: {consume}"),
            ));
        }
    }
    cases
}

/// Much text.
fn written() -> Vec<Case> {
    let mut cases = Vec::new();
    let line = "x".repeat(1000);
    for (name, body) in [
        ("text", line.as_str()),
        ("text that can be YAML", "- x\n"),
        ("values", "{{ 1 }}"),
        ("values in a list", "- {{ 1 }}\n"),
        ("values as keys", "k{{ i }}: {{ i }}\n"),
        ("trees in a list", "- {{ row.map | toYaml }}\n"),
        ("trees among keys", "{{ row.none | toYaml }}\n"),
        ("text of the row", "{{ row.text }}"),
        ("text of the row as text", "{{ row.text ~ 'x' }}"),
        ("indented text", "{{ row.text | indent(1000) }}"),
        ("a map of the row", "{{ row.map }}"),
        ("a list of the row", "- {{ row.list | toYaml }}\n"),
        ("documents", "---\na: {{ i }}\n"),
        ("other documents", "---\n- {{ i }}\n...\n"),
        ("empty lines", "\n"),
        ("comments", "# {{ i }}\n"),
    ] {
        for count in [1000, 20_000, 99_999] {
            cases.push(case(
                format!("{count} times {name}"),
                format!("{{% for i in range({count}) %}}{body}{{% endfor %}}"),
            ));
            cases.push(case(
                format!("{count} times {name}, captured"),
                format!("{{% set c %}}{{% for i in range({count}) %}}{body}{{% endfor %}}{{% endset %}}{{{{ c }}}}"),
            ));
            for filter in ["trim", "indent(4)", "nindent(4)", "string", "upper", "quote", "toYaml", "length"] {
                cases.push(case(
                    format!("{count} times {name}, captured and {filter}"),
                    format!("{{% set c %}}{{% for i in range({count}) %}}{body}{{% endfor %}}{{% endset %}}v: {{{{ c | {filter} }}}}"),
                ));
            }
        }
    }
    for (name, source) in [
        (
            "captured text doubles",
            "{% set n = namespace(a='x') %}{% for i in range(40) %}{% set c %}{{ n.a }}{{ n.a }}{% endset %}{% set n.a = c %}{% endfor %}{{ n.a }}",
        ),
        (
            "captured values double",
            "{% set n = namespace(a=row.text) %}{% for i in range(40) %}{% set c %}{{ n.a }}{{ n.a }}{% endset %}{% set n.a = c %}{% endfor %}{{ n.a }}",
        ),
        (
            "a captured value often",
            "{% set c %}{{ row.text }}{% endset %}v: {% for i in range(99999) %}{{ c }}{% endfor %}",
        ),
        ("a quoted value often", "{% set c = row.text | quote %}v: {% for i in range(99999) %}{{ c }}{% endfor %}"),
        (
            "a captured tree often",
            "{% set c %}{{ row.map | toYaml }}{% endset %}{% for i in range(9999) %}- {{ c }}\n{% endfor %}",
        ),
        (
            "edits pile up",
            "{% set n = namespace(a=row.short | indent(1)) %}{% for i in range(99999) %}{% set n.a = n.a | indent(1000) %}{% endfor %}v: {{ n.a }}",
        ),
        (
            "edits pile up a little",
            "{% set n = namespace(a=row.short | indent(1)) %}{% for i in range(500) %}{% set n.a = n.a | indent(1000) %}{% endfor %}v: {{ n.a }}",
        ),
        (
            "edits pile up and are used",
            "{% set n = namespace(a=row.short | indent(1)) %}{% for i in range(500) %}{% set n.a = n.a | indent(1000) %}{% endfor %}v: {% for i in range(9999) %}{{ n.a }}{% endfor %}",
        ),
        (
            "trims pile up",
            "{% set n = namespace(a=row.short | indent(1)) %}{% for i in range(99999) %}{% set n.a = n.a | trim %}{% endfor %}v: {{ n.a }}",
        ),
        (
            "many empty values are trimmed",
            "{% set c %}{% for i in range(30000) %}{{ '' }}{% endfor %}{% endset %}v: {{ c | trim }}",
        ),
        (
            "many blank values are trimmed",
            "{% set c %}{% for i in range(30000) %}{{ ' ' }} {% endfor %}{% endset %}v: {{ c | trim }}",
        ),
        (
            "many lines before values",
            "{% set c %}{% for i in range(30000) %}\n{{ row.none }}{% endfor %}{% endset %}v: {{ c | indent }}",
        ),
        (
            "a large value after many lines",
            "{% set c %}{{ row.text }}{% endset %}{% set d %}{% for i in range(30000) %}\n{{ c }}{% endfor %}{% endset %}v: {{ d | indent }}",
        ),
        (
            "a join that grows",
            "{% set n = namespace(a='') %}{% for i in range(99999) %}{% set n.a = n.a ~ 'xxxxxxxx' %}{% endfor %}v: {{ n.a }}",
        ),
        (
            "a list that grows",
            "{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = n.a + [i] %}{% endfor %}v: {{ n.a }}",
        ),
        ("wide indentation", "{% for i in range(400) %}{% for j in range(i) %}  {% endfor %}a:\n{% endfor %}"),
    ] {
        cases.push(case(name, source));
    }
    cases
}

/// Text that is hard on a YAML parser, in the template and written by loops.
fn yaml() -> Vec<Case> {
    let mut cases = Vec::new();
    for piece in [
        "[",
        "{",
        "[[], ",
        "{a: ",
        "{? ",
        "- ",
        "-\n",
        "? ",
        ": ",
        "a: ",
        "a: &a ",
        "&a ",
        "*a, ",
        "!a ",
        "!!str ",
        "! ",
        "'",
        "\"",
        "\"\\n",
        "|\n",
        ">\n",
        "a: |\n ",
        "- |\n  a\n",
        "---\n",
        "...\n",
        "--- a\n",
        "%YAML 1.2\n---\n",
        "%a\n",
        "#\n",
        "a #",
        "\t",
        " ",
        "\r",
        "\r\n",
        "a\n",
        "a\n\n",
        "[a, ",
        "[a, b], ",
        "{a: b, ",
        "[a\n, ",
        "'a'\n",
        "\"a\"\n ",
        "\\",
        "]",
        "}",
        ",",
        "a:\n",
        "a:\n  - ",
        "[a]: b\n",
        "? a\n: b\n",
        "? [",
        "<<: {a: 1}\n",
        "a: b\n",
        "a: 1\n",
        "- a\n",
        "- - a\n",
        "-   - ",
        "@",
        "`",
        "é",
        "\u{FEFF}",
        "\u{85}",
        "\u{2028}",
        "1",
        "1_",
        "0x",
        ".",
        "+",
        "~",
        "a b ",
        "{}",
        "[]",
        "{},",
        "[],",
        "a: {}\n",
        "\"\\x41",
        "\"\\U0000E000",
        "a: b: ",
        "!<tag:a> ",
        "!!map ",
        "!!seq [",
        "- !!str ",
        "-\ta\n",
    ] {
        cases.push(case(format!("yaml {piece:?}"), fill(piece, LONG)));
        cases.push(case(format!("yaml in a list {piece:?}"), format!("a: [{}", fill(piece, LONG - 8))));
        cases.push(case(format!("yaml in a block {piece:?}"), format!("a: |\n  {}", fill(piece, LONG - 8))));
        for count in [150_000, 400_000] {
            let many = format!("{{% for i in range(100) %}}{}{{% endfor %}}", fill(piece, count.min(4 << 20) / 100));
            cases.push(case(format!("{count} bytes of yaml {piece:?}"), &many[..]));
            cases.push(case(format!("{count} bytes of yaml in a list {piece:?}"), format!("a: [{many}")));
        }
        let growing = format!(
            "{{% for i in range(300) %}}{{{{ ' ' * 0 }}}}{{% for j in range(i) %}} {{% endfor %}}{piece}\n{{% endfor %}}"
        );
        cases.push(case(format!("yaml ever deeper {piece:?}"), growing));
    }
    let bomb: String = (0..30).map(|n| format!("a{}: &a{} [*a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)).collect();
    cases.push(case("alias bomb", format!("a0: &a0 x\n{bomb}")));
    let keys = "{% for i in range(40000) %}{{ i }}: {{ i }}\n{% endfor %}";
    cases.push(case("many keys", keys));
    cases.push(case("many keys in a flow map", format!("{{ {} }}", keys.replace('\n', ", "))));
    cases.push(case("a long key", format!("{}: 1", "{{ 'x' * 1000 }}".repeat(1000))));
    cases.push(case("a long plain text", format!("a: {}", "x {{ 1 }}\n  ".repeat(4000))));
    cases
}

/// What a row may hold is large.
fn large_values() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in [
        "row.text",
        "row.map",
        "row.list",
        "row.deep",
        "row.json",
        "row.yaml",
        "row.blank",
        "row.quotes",
        "row.lines",
        "row.strings",
    ] {
        for filter in [
            "",
            "|toYaml",
            "|toJson",
            "|quote",
            "|squote",
            "|indent(8)",
            "|nindent(8)",
            "|trim",
            "|b64encode",
            "|b64encode|b64decode",
            "|sha256",
            "|fromJson",
            "|fromYaml",
            "|dnsLabel",
            "|truncate(9)",
            "|required('x')",
            "|default('x')",
            "|string",
            "|upper",
            "|title",
            "|length",
            "|list",
            "|reverse",
            "|sort",
            "|unique|list",
            "|join(',')",
            "|first",
            "|last",
            "|replace('a', 'b')",
            "|replace('', 'b')",
            "|split(' ')",
            "|lines",
            "|urlencode",
            "|items|list",
            "|dictsort",
            "|groupby('a')|list",
            "|map('upper')|list",
            "|select|list",
            "|batch(1)|list",
            "|slice(9)|list",
            "|min",
            "|max",
            "|sum",
            "|toYaml|string",
            "|toJson|string",
            "|quote|string|quote|string",
            "|tojson|fromJson",
            "|toYaml|string|fromYaml",
            "~''",
            "==row.text",
            " in row.list",
            "[1:]",
            "[::-1]",
            "*2",
            "+''",
            " is string",
            " and 1",
            "|zip([1])|list",
            "|int(default=1)",
            "|float(default=1)",
            "|round",
            "|abs",
            "|bool",
            "|capitalize",
            "|trim('x')",
        ] {
            cases.push(case(format!("once {value}{filter}"), format!("v: {{{{ {value}{filter} }}}}")));
            cases.push(case(
                format!("1000 times {value}{filter}"),
                format!("v: {{% for i in range(1000) %}}{{{{ {value}{filter} }}}}{{% endfor %}}"),
            ));
            cases.push(case(
                format!("99999 times {value}{filter}, not shown"),
                format!("v: {{% for i in range(99999) %}}{{% set x = {value}{filter} %}}{{% endfor %}}"),
            ));
        }
        cases.push(case(
            format!("{value} in text"),
            format!("v: \"a {{{{ {value} | toJson }}}} b\"\nw: |\n  {{{{ {value} | toYaml | indent(2) }}}}\n"),
        ));
        cases.push(case(
            format!("{value} iterated"),
            format!("v: {{% for a in {value} %}}{{% for b in {value} %}}{{{{ b }}}}{{% endfor %}}{{% endfor %}}"),
        ));
        cases.push(case(format!("{value} as a key"), format!("{{{{ {value} }}}}: 1")));
    }
    cases
}
