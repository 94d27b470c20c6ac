//! Every type that PostgreSQL has: what a row says of it, and what a template makes of that, in every language.

use std::collections::BTreeMap;

use dbqo::logic::json::{self, Json};
use dbqo::logic::template::{Language, Template};
use k8s_openapi::jiff::Timestamp;
use serde_json::value::RawValue;

use super::{read, session};
use crate::support::TestDatabase;

const SETUP: &str = "
    CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION isn;
    CREATE TYPE mood AS ENUM ('happy', 'sad: no', '');
    CREATE TYPE place AS (x int, y numeric, label text);
    CREATE TYPE route AS (a place, b place, tags text[]);
    CREATE DOMAIN price AS numeric(12,2) CHECK (VALUE >= 0);
    CREATE DOMAIN slug AS text;
    CREATE DOMAIN places AS place[];
    CREATE TYPE floats AS RANGE (subtype = float8);";

/// As the column to its left has it.
const SAME: &str = "=";

/// An expression, what the row says of it, and what it is as a plain scalar in Jinja and in Go.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// Go's YAML reads a text that stands alone as a word: `012` is a number there, an empty text nothing.
const CASES: &[Case] = &[
    // Integers.
    ("(-32768)::smallint", "-32768", SAME, SAME),
    ("32767::smallint", "32767", SAME, SAME),
    ("(-2147483648)::int", "-2147483648", SAME, SAME),
    ("2147483647::int", "2147483647", SAME, SAME),
    ("(-9223372036854775808)::bigint", "-9223372036854775808", SAME, SAME),
    ("9223372036854775807::bigint", "9223372036854775807", SAME, SAME),
    // Decimal numbers: all digits, trailing zeros too.
    ("'12.50'::numeric", "12.50", SAME, SAME),
    ("100::numeric(10,2)", "100.00", SAME, SAME),
    ("'0.00'::numeric", "0.00", SAME, SAME),
    ("'-1'::numeric", "-1", SAME, SAME),
    ("'-0.000000000000000000000000000001'::numeric", "-0.000000000000000000000000000001", SAME, SAME),
    (
        "'123456789012345678901234567890123456789012345678901234567890.0123456789'::numeric",
        "123456789012345678901234567890123456789012345678901234567890.0123456789",
        SAME,
        SAME,
    ),
    ("'1e40'::numeric", "10000000000000000000000000000000000000000", SAME, SAME),
    ("'1e-10'::numeric", "0.0000000001", SAME, SAME),
    ("'NaN'::numeric", r#""NaN""#, SAME, SAME),
    ("'Infinity'::numeric", r#""Infinity""#, SAME, SAME),
    ("'-Infinity'::numeric", r#""-Infinity""#, SAME, SAME),
    // Binary fractions.
    ("1.5::real", "1.5", SAME, SAME),
    ("0.1::real", "0.1", SAME, SAME),
    ("'3.4028235e38'::real", "3.4028235e+38", SAME, SAME),
    ("'1e-45'::real", "1e-45", SAME, SAME),
    ("'NaN'::real", r#""NaN""#, SAME, SAME),
    ("0.1::float8 + 0.2", "0.30000000000000004", SAME, SAME),
    ("'-0'::float8", "-0", SAME, SAME),
    ("5::float8", "5", SAME, SAME),
    ("'1e300'::float8", "1e+300", SAME, SAME),
    ("'1e-7'::float8", "1e-07", SAME, SAME),
    ("'1.7976931348623157e308'::float8", "1.7976931348623157e+308", SAME, SAME),
    ("'5e-324'::float8", "5e-324", SAME, SAME),
    ("'-Infinity'::float8", r#""-Infinity""#, SAME, SAME),
    // Money as the database's locale writes it; truth.
    ("'1234.5'::money", r#""$1,234.50""#, SAME, SAME),
    ("true", "true", SAME, SAME),
    ("false", "false", SAME, SAME),
    // Text.
    ("'a'::char(5)", r#""a    ""#, SAME, SAME),
    (r#"'b'::"char""#, r#""b""#, SAME, SAME),
    ("'x y'::varchar(10)", r#""x y""#, SAME, SAME),
    ("'a-b'::name", r#""a-b""#, SAME, SAME),
    ("'CiText'::citext", r#""CiText""#, SAME, SAME),
    (r#"'it''s "x": \ / {a} é 🦀'"#, r#""it's \"x\": \\ / {a} é 🦀""#, SAME, SAME),
    (r"E'tab\there\r\nline'", r#""tab\there\r\nline""#, SAME, SAME),
    (r"E'\x01\x1f'", r#""\u0001\u001f""#, SAME, SAME),
    ("''", r#""""#, SAME, "null"),
    ("'012'", r#""012""#, SAME, "10"),
    ("'null'", r#""null""#, SAME, "null"),
    ("'0x1f'", r#""0x1f""#, SAME, "31"),
    ("'1e3'", r#""1e3""#, SAME, "1000"),
    ("'yes'", r#""yes""#, SAME, "true"),
    ("'a: b'", r#""a: b""#, SAME, SAME),
    ("'[1, 2]'", r#""[1, 2]""#, SAME, SAME),
    // Bytes.
    (r"'\xdeadbeef00'::bytea", r#""\\xdeadbeef00""#, SAME, SAME),
    (r"'\x'::bytea", r#""\\x""#, SAME, SAME),
    // Times.
    ("'2024-01-15'::date", r#""2024-01-15""#, SAME, SAME),
    ("'infinity'::date", r#""infinity""#, SAME, SAME),
    ("'0044-03-15 BC'::date", r#""0044-03-15 BC""#, SAME, SAME),
    ("'5874897-12-31'::date", r#""5874897-12-31""#, SAME, SAME),
    ("'10:30:00'::time", r#""10:30:00""#, SAME, SAME),
    ("'24:00:00'::time", r#""24:00:00""#, SAME, SAME),
    ("'10:30:00.123456'::time", r#""10:30:00.123456""#, SAME, SAME),
    ("'10:30:00+05:30'::timetz", r#""10:30:00+05:30""#, SAME, SAME),
    ("'2024-01-15 10:30:00.000001'::timestamp", r#""2024-01-15T10:30:00.000001""#, SAME, SAME),
    ("'-infinity'::timestamp", r#""-infinity""#, SAME, SAME),
    ("'4713-01-01 00:00:00 BC'::timestamp", r#""4713-01-01T00:00:00 BC""#, SAME, SAME),
    ("'2024-01-15 10:30:00+02'::timestamptz", r#""2024-01-15T08:30:00+00:00""#, SAME, SAME),
    ("'infinity'::timestamptz", r#""infinity""#, SAME, SAME),
    ("'0044-03-15 12:00:00+00 BC'::timestamptz", r#""0044-03-15T12:00:00+00:00 BC""#, SAME, SAME),
    ("'294276-12-31 23:59:59.999999+00'::timestamptz", r#""294276-12-31T23:59:59.999999+00:00""#, SAME, SAME),
    ("'1 year 2 mons 3 days 04:05:06.789'::interval", r#""1 year 2 mons 3 days 04:05:06.789""#, SAME, SAME),
    ("'-1 days +02:03:00'::interval", r#""-1 days +02:03:00""#, SAME, SAME),
    ("'0'::interval", r#""00:00:00""#, SAME, SAME),
    // Identifiers and addresses.
    ("'550E8400-e29b-41d4-a716-446655440000'::uuid", r#""550e8400-e29b-41d4-a716-446655440000""#, SAME, SAME),
    ("'192.168.1.5/24'::inet", r#""192.168.1.5/24""#, SAME, SAME),
    ("'2001:db8::1'::inet", r#""2001:db8::1""#, SAME, SAME),
    ("'10.0.0.0/8'::cidr", r#""10.0.0.0/8""#, SAME, SAME),
    ("'08:00:2b:01:02:03'::macaddr", r#""08:00:2b:01:02:03""#, SAME, SAME),
    ("'08:00:2b:01:02:03:04:05'::macaddr8", r#""08:00:2b:01:02:03:04:05""#, SAME, SAME),
    // JSON: as it is, but that the last of two equal keys counts. Templates see keys in order.
    (
        r#"'{"b": 1.10, "a": [1, 2.50, null, true, "x"], "b": 2}'::json"#,
        r#"{"b": 1.10, "a": [1, 2.50, null, true, "x"], "b": 2}"#,
        r#"{"a":[1,2.50,null,true,"x"],"b":2}"#,
        SAME,
    ),
    ("' [1 , 2 ] '::json", " [1 , 2 ] ", "[1,2]", SAME),
    (r#"'"text"'::json"#, r#""text""#, SAME, SAME),
    ("'1.50'::json", "1.50", SAME, SAME),
    ("'null'::json", "null", SAME, SAME),
    (
        r#"'{"b": 1.10, "a": [1, 2.50, null], "aa": {"": {}}}'::jsonb"#,
        r#"{"a": [1, 2.50, null], "b": 1.10, "aa": {"": {}}}"#,
        r#"{"a":[1,2.50,null],"aa":{"":{}},"b":1.10}"#,
        SAME,
    ),
    (
        r#"'{"big": 123456789012345678901234567890, "exp": 1.5e30, "neg": -0.0, "small": 1e-7}'::jsonb"#,
        r#"{"big": 123456789012345678901234567890, "exp": 1500000000000000000000000000000, "neg": 0.0, "small": 0.0000001}"#,
        r#"{"big":123456789012345678901234567890,"exp":1500000000000000000000000000000,"neg":0.0,"small":0.0000001}"#,
        SAME,
    ),
    (
        r#"'{"\u00e9 key": "\\u0041", "u": "\u00e9\ud83e\udd80\u0001\n"}'::jsonb"#,
        r#"{"u": "é🦀\u0001\n", "é key": "\\u0041"}"#,
        r#"{"u":"é🦀\u0001\n","é key":"\\u0041"}"#,
        SAME,
    ),
    (r#"'"1e3"'::jsonb"#, r#""1e3""#, SAME, "1000"),
    ("'null'::jsonb", "null", SAME, SAME),
    ("'12.50'::jsonb", "12.50", SAME, SAME),
    ("'[]'::jsonb", "[]", SAME, SAME),
    ("'{}'::jsonb", "{}", SAME, SAME),
    ("'$.a[*] ? (@ > 1)'::jsonpath", r#""$.\"a\"[*]?(@ > 1)""#, SAME, SAME),
    // Arrays.
    ("ARRAY[1,2,NULL]", "[1,2,null]", SAME, SAME),
    ("ARRAY[]::int[]", "[]", SAME, SAME),
    ("ARRAY[[1,2],[3,4]]", "[[1,2],[3,4]]", SAME, SAME),
    (
        r#"ARRAY['a,b','c"d','e{f}','g\h','',NULL,'NULL','-']::text[]"#,
        r#"["a,b","c\"d","e{f}","g\\h","",null,"NULL","-"]"#,
        SAME,
        SAME,
    ),
    ("ARRAY[1.10,2.00]::numeric[]", "[1.10,2.00]", SAME, SAME),
    ("ARRAY['2024-01-15'::timestamptz]", r#"["2024-01-15T00:00:00+00:00"]"#, SAME, SAME),
    (r"ARRAY['\x01'::bytea]", r#"["\\x01"]"#, SAME, SAME),
    (r#"ARRAY['{"a": 1}'::jsonb, '[1.0]'::jsonb]"#, r#"[{"a": 1},[1.0]]"#, r#"[{"a":1},[1.0]]"#, SAME),
    ("ARRAY['happy','sad: no']::mood[]", r#"["happy","sad: no"]"#, SAME, SAME),
    ("'[0:1]={7,8}'::int[]", "[7,8]", SAME, SAME),
    ("'1 2'::int2vector", "[1,2]", SAME, SAME),
    // Ranges.
    ("'[1,5)'::int4range", r#""[1,5)""#, SAME, SAME),
    ("'empty'::int4range", r#""empty""#, SAME, SAME),
    ("'(,10]'::numrange", r#""(,10]""#, SAME, SAME),
    ("'[2024-01-01,2024-02-01)'::daterange", r#""[2024-01-01,2024-02-01)""#, SAME, SAME),
    ("'[2024-01-01,)'::tstzrange", r#""[\"2024-01-01 00:00:00+00\",)""#, SAME, SAME),
    ("'[1.5,2.5]'::floats", r#""[1.5,2.5]""#, SAME, SAME),
    ("'{[1,3),[5,8)}'::int4multirange", r#""{[1,3),[5,8)}""#, SAME, SAME),
    ("'{}'::datemultirange", r#""{}""#, SAME, SAME),
    // Types of one's own.
    ("ROW(1, 2.50, 'x: y')::place", r#"{"x":1,"y":2.50,"label":"x: y"}"#, r#"{"label":"x: y","x":1,"y":2.50}"#, SAME),
    (
        "ROW(ROW(1, 1.10, 'a')::place, NULL, ARRAY['p','q'])::route",
        r#"{"a":{"x":1,"y":1.10,"label":"a"},"b":null,"tags":["p","q"]}"#,
        r#"{"a":{"label":"a","x":1,"y":1.10},"b":null,"tags":["p","q"]}"#,
        SAME,
    ),
    ("ROW(1, 'x', NULL)", r#"{"f1":1,"f2":"x","f3":null}"#, SAME, SAME),
    ("'happy'::mood", r#""happy""#, SAME, SAME),
    ("'sad: no'::mood", r#""sad: no""#, SAME, SAME),
    ("''::mood", r#""""#, SAME, "null"),
    ("12.5::price", "12.50", SAME, SAME),
    ("'a-b'::slug", r#""a-b""#, SAME, SAME),
    ("ARRAY[ROW(1, 2, 'x')::place]::places", r#"[{"x":1,"y":2,"label":"x"}]"#, r#"[{"label":"x","x":1,"y":2}]"#, SAME),
    // Extensions and the rest.
    (
        r#"'b=>NULL, a=>1, "c d"=>"x\"y"'::hstore"#,
        r#"{"a": "1", "b": null, "c d": "x\"y"}"#,
        r#"{"a":"1","b":null,"c d":"x\"y"}"#,
        SAME,
    ),
    ("''::hstore", "{}", SAME, SAME),
    ("'Top.Science'::ltree", r#""Top.Science""#, SAME, SAME),
    ("'Top.*'::lquery", r#""Top.*""#, SAME, SAME),
    (r#"'<a b="c">x &amp; y</a>'::xml"#, r#""<a b=\"c\">x &amp; y</a>""#, SAME, SAME),
    ("B'101'", r#""101""#, SAME, "101"),
    ("B'0101'::varbit", r#""0101""#, SAME, "65"),
    ("'(1.5,-2)'::point", r#""(1.5,-2)""#, SAME, SAME),
    ("'(0,0),(1,2)'::box", r#""(1,2),(0,0)""#, SAME, SAME),
    ("'[(0,0),(1,1)]'::lseg", r#""[(0,0),(1,1)]""#, SAME, SAME),
    ("'((0,0),(1,1),(2,0))'::path", r#""((0,0),(1,1),(2,0))""#, SAME, SAME),
    ("'((0,0),(1,1),(2,0))'::polygon", r#""((0,0),(1,1),(2,0))""#, SAME, SAME),
    ("'<(1,2),3>'::circle", r#""<(1,2),3>""#, SAME, SAME),
    ("'{1,-1,0}'::line", r#""{1,-1,0}""#, SAME, SAME),
    ("'a fat cat'::tsvector", r#""'a' 'cat' 'fat'""#, SAME, SAME),
    ("'fat & (rat | cat)'::tsquery", r#""'fat' & ( 'rat' | 'cat' )""#, SAME, SAME),
    ("'16/B374D848'::pg_lsn", r#""16/B374D848""#, SAME, SAME),
    ("42::oid", r#""42""#, SAME, "42"),
    ("'pg_class'::regclass", r#""pg_class""#, SAME, SAME),
    ("'int4'::regtype", r#""integer""#, SAME, SAME),
    ("makeaclitem(0, current_user::regrole, 'SELECT', false)", r#""=r/USER""#, SAME, SAME),
    ("'10:20:10,14'::pg_snapshot", r#""10:20:10,14""#, SAME, SAME),
    ("'(0,1)'::tid", r#""(0,1)""#, SAME, SAME),
    ("'7'::xid8", r#""7""#, SAME, "7"),
    ("'(1,2),(3,4)'::cube", r#""(1, 2),(3, 4)""#, SAME, SAME),
    ("'978-0-393-04002-9'::isbn13", r#""978-0-393-04002-9""#, SAME, SAME),
];

impl Spelling {
    /// All languages that there are. A new one goes here.
    const ALL: [Self; 2] = [
        Self { language: Language::Jinja, row: "row", plain: |case| if case.2 == SAME { case.1 } else { case.2 } },
        Self {
            language: Language::Go,
            row: ".Row",
            plain: |case| if case.3 == SAME { (Self::ALL[0].plain)(case) } else { case.3 },
        },
    ];
}

/// How a language names the row, and which column of the table it is.
struct Spelling {
    language: Language,
    row: &'static str,
    plain: fn(&'static Case) -> &'static str,
}

/// A text as itself, NULL as nothing, all else as JSON.
fn as_text(json: &str) -> String {
    match json {
        "null" => String::new(),
        _ if json.starts_with('"') => serde_json::from_str(json).unwrap(),
        _ => json.to_owned(),
    }
}

#[tokio::test]
async fn every_type_gives_a_usable_value_in_every_language() {
    let database = TestDatabase::create("types").await;
    database.client().await.batch_execute(SETUP).await.unwrap();
    let columns: Vec<String> = CASES.iter().enumerate().map(|(n, case)| format!("{} AS c{n}", case.0)).collect();
    let sql = format!("SET lc_monetary = 'C'; SELECT {}", columns.join(", "));
    let rows = read(&mut session(&database).await, &sql).await.unwrap();
    let said: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&rows[0]).unwrap();
    let of_user = |text: &str| text.replace("USER", database.user());
    for (n, case) in CASES.iter().enumerate() {
        assert_eq!(said[&format!("c{n}")].get(), of_user(case.1).trim(), "{}", case.0);
    }
    let row = json::parse(&rows[0]).unwrap();
    for of in Spelling::ALL {
        let source: String = (0..CASES.len())
            .map(|n| {
                let value = format!("{}.c{n}", of.row);
                format!(
                    "c{n}:\n  plain: {{{{ {value} }}}}\n  quoted: '{{{{ {value} }}}}'\n  mixed: <{{{{ {value} }}}}>\n  \
                     tree: {{{{ {value} | toJson }}}}\n  json: \"{{{{ {value} | toJson }}}}\"\n"
                )
            })
            .collect();
        let template = Template::compile(&source, of.language).unwrap();
        let documents = template.renderer(&Json::Null, Timestamp::UNIX_EPOCH).render(row.clone()).unwrap();
        let Json::Object(document) = &documents[0] else { panic!() };
        for (n, case) in CASES.iter().enumerate() {
            let Json::Object(got) = &document[&format!("c{n}")] else { panic!() };
            let tree = of_user((Spelling::ALL[0].plain)(case));
            let text = as_text(&tree);
            let expected = [
                ("plain", of_user((of.plain)(case))),
                ("quoted", Json::from(&*text).to_string()),
                ("mixed", Json::from(format!("<{text}>")).to_string()),
                ("tree", tree.clone()),
                ("json", Json::from(tree).to_string()),
            ];
            for (place, expected) in expected {
                assert_eq!(got[place].to_string(), expected, "{:?} {place} {}", of.language, case.0);
            }
        }
    }
}

#[tokio::test]
async fn null_is_null_whatever_its_type() {
    let database = TestDatabase::create("nulls").await;
    let client = database.client().await;
    client.batch_execute(SETUP).await.unwrap();
    let sql = "SELECT format_type(oid, NULL) FROM pg_type WHERE typtype <> 'p' AND typisdefined
               AND typnamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace) ORDER BY oid";
    let types: Vec<String> = client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(types.len() > 300, "{types:?}");
    for types in types.chunks(300) {
        let columns: Vec<String> = types.iter().enumerate().map(|(n, of)| format!("NULL::{of} AS c{n}")).collect();
        let rows = read(&mut session(&database).await, &format!("SELECT {}", columns.join(", "))).await.unwrap();
        let Json::Object(row) = json::parse(&rows[0]).unwrap() else { panic!() };
        assert_eq!(row.len(), types.len());
        for (value, of) in row.values().zip(types) {
            assert_eq!(value, &Json::Null, "{of}");
        }
    }
}

#[tokio::test]
async fn decimal_numbers_are_computed_with_in_every_language() {
    let database = TestDatabase::create("decimal").await;
    let sql = "SELECT 12.50::numeric AS price, 3::bigint AS count, 0.00::numeric AS nothing, 100.00::numeric(10,2) AS hundred";
    let rows = read(&mut session(&database).await, sql).await.unwrap();
    let row = json::parse(&rows[0]).unwrap();
    let jinja = "total: {{ row.price * row.count }}\nwritten: {{ row.price }}\nmore: {{ row.price > 9 }}\nequal: {{ row.hundred == 100 }}\n\
                 any: {{ 'some' if row.nothing else 'none' }}\n";
    let go = "total: {{ mulf .Row.price .Row.count }}\nwritten: {{ .Row.price }}\nmore: {{ gt .Row.price 9.0 }}\n\
              equal: {{ eq .Row.hundred 100.0 }}\nany: {{ if .Row.nothing }}some{{ else }}none{{ end }}\n";
    for (language, source) in [(Language::Jinja, jinja), (Language::Go, go)] {
        let template = Template::compile(source, language).unwrap();
        let documents = template.renderer(&Json::Null, Timestamp::UNIX_EPOCH).render(row.clone()).unwrap();
        let expected = r#"{"total":37.5,"written":12.50,"more":true,"equal":true,"any":"none"}"#;
        assert_eq!(documents[0].to_string(), expected, "{language:?}");
    }
}

#[tokio::test]
async fn a_nul_in_json_is_kept_or_refused_and_never_mangled() {
    let database = TestDatabase::create("nul").await;
    let mut reader = session(&database).await;
    // Only json keeps it; text and jsonb have no such character.
    let rows = read(&mut reader, r#"SELECT '{"a": "x\u0000y", "\u0000": 1}'::json AS j"#).await.unwrap();
    assert_eq!(rows, [r#"{"j":{"a": "x\u0000y", "\u0000": 1}}"#]);
    let row = json::parse(&rows[0]).unwrap();
    for (language, source) in [
        (Language::Jinja, "v: {{ row.j }}\nw: \"{{ row.j.a }}!\"\nb: {{ row.j.a | b64encode }}"),
        (Language::Go, "v: {{ .Row.j }}\nw: \"{{ .Row.j.a }}!\"\nb: {{ .Row.j.a | b64enc }}"),
    ] {
        let template = Template::compile(source, language).unwrap();
        let documents = template.renderer(&Json::Null, Timestamp::UNIX_EPOCH).render(row.clone()).unwrap();
        let expected = r#"{"v":{"\u0000":1,"a":"x\u0000y"},"w":"x\u0000y!","b":"eAB5"}"#;
        assert_eq!(documents[0].to_string(), expected, "{language:?}");
    }
    let sql = r#"SELECT '{"a": "x\u0000y"}'::jsonb AS j"#;
    let error = read(&mut session(&database).await, sql).await.unwrap_err().to_string();
    assert!(error.contains("22P05"), "{error}");
}
