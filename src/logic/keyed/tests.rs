use serde_json::{Value, json};

use super::routine::{Names, Routine};
use super::*;
use crate::logic::sql::{identifier, parse_query};

fn table(parts: &[(&str, bool)]) -> Table {
    let member =
        |(name, is_part): &(&str, bool)| Member { schema: "public".into(), name: (*name).into(), is_part: *is_part };
    Table { name: "t".into(), oid: 1, kind: 'r', family: parts.iter().map(member).collect(), definition: 0 }
}

fn scan(relation: &str, alias: &str, output: &[&str]) -> Value {
    json!({"Node Type": "Seq Scan", "Schema": "public", "Relation Name": relation, "Alias": alias, "Output": output})
}

fn node(kind: &str, output: &[&str], plans: Vec<Value>) -> Value {
    json!({"Node Type": kind, "Output": output, "Plans": plans})
}

fn join(kind: &str, output: &[&str], mut outer: Value, mut inner: Value) -> Value {
    outer["Parent Relationship"] = "Outer".into();
    inner["Parent Relationship"] = "Inner".into();
    let mut join = node("Hash Join", output, vec![outer, inner]);
    join["Join Type"] = kind.into();
    join
}

fn judge(plan: &Value, table: &Table) -> Result<Names, String> {
    let query = parse_query("SELECT id, v FROM t", true).unwrap();
    let columns = ["id".to_owned(), "v".to_owned()];
    let plan = read(plan);
    let considered = consider_plan(&plan, &columns, &[identifier("id").unwrap()], table, true);
    considered.and_then(|_| Names::of(&query, &plan)).map_err(|whole| whole.to_string())
}

fn read(plan: &Value) -> Plan {
    Plan::read(&json!([{ "Plan": plan }]).to_string()).unwrap()
}

fn why(plan: &Value, table: &Table) -> String {
    judge(plan, table).unwrap_err()
}

#[test]
fn a_table_must_be_on_the_side_of_a_join_that_keeps_its_rows() {
    let t = table(&[("t", true)]);
    for (kind, outer, inner) in [
        ("Inner", true, true),
        ("Left", true, false),
        ("Right", false, true),
        ("Full", false, false),
        ("Semi", true, false),
        ("Anti", true, false),
        ("Right Semi", false, true),
        ("Right Anti", false, true),
        ("Some Day's", false, false),
    ] {
        let own = || scan("t", "t", &["t.id", "t.v"]);
        let other = || scan("s", "s", &["s.id"]);
        let output = ["t.id", "t.v"];
        assert_eq!(judge(&join(kind, &output, own(), other()), &t).is_ok(), outer, "{kind}");
        assert_eq!(judge(&join(kind, &output, other(), own()), &t).is_ok(), inner, "{kind}");
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let t = table(&[("t", true)]);
    let below = || vec![scan("t", "t", &["id", "v"])];
    assert!(judge(&below()[0], &t).is_ok());
    assert!(why(&node("Custom Scan", &["id", "v"], below()), &t).contains("runs it with Custom Scan"));
    let mut pruned = node("Append", &[], below());
    pruned["Subplans Removed"] = 1.into();
    assert!(why(&pruned, &t).contains("does not tell all"));
    for text in ["", "[]", "{}", "[{\"Plan\": 1}]"] {
        let unread = Plan::read(text).unwrap_err().to_string();
        assert_eq!(unread, "full reads: PostgreSQL's plan of the query cannot be read");
    }
}

#[test]
fn equal_rows_of_others_may_be_left_out_and_nothing_else() {
    let t = table(&[("t", true)]);
    let output = ["t.id", "t.v"];
    let grouped = |relation: &str, output: &[&str]| {
        let mut grouped = node("Aggregate", output, vec![scan(relation, relation, &["x"])]);
        grouped["Group Key"] = json!(["s.id", "t.id"]);
        grouped
    };
    assert!(judge(&join("Inner", &output, scan("t", "t", &output), grouped("s", &["s.id"])), &t).is_ok());
    let counted = join("Inner", &output, scan("t", "t", &output), grouped("s", &["s.id", "count(*)"]));
    assert!(why(&counted, &t).contains("GROUP BY"));
    assert!(why(&grouped("t", &["t.id"]), &t).contains("GROUP BY"));
}

#[test]
fn columns_are_followed_by_the_names_that_parts_have() {
    let parts = table(&[("t", true), ("t1", true), ("t2", true)]);
    let append = |second: &[&str]| node("Append", &[], vec![scan("t1", "r_1", &["r_1.id"]), scan("t2", "r_2", second)]);
    let joined = |output: &[&str], other: Value| join("Inner", output, append(&["r_2.id"]), other);
    let other = scan("s", "s", &["s.id"]);
    assert!(judge(&joined(&["r.id"], other.clone()), &parts).is_ok());
    assert!(judge(&joined(&["r_1.id"], other.clone()), &parts).is_ok());
    assert!(why(&joined(&["s.id"], other.clone()), &parts).contains("not t's own"));
    assert!(why(&joined(&["x.id"], other), &parts).contains("not t's own"));
    for alias in ["r", "r_3"] {
        let alike = scan("s", alias, &["r.id"]);
        assert!(why(&joined(&["r.id"], alike), &parts).contains("not t's own"), "whose it is cannot be told");
    }
    assert!(judge(&append(&["r_2.id"]), &parts).is_ok());
    assert!(why(&append(&["r_2.parent_id"]), &parts).contains("not t's own"));
    let under = join("Inner", &["r.id"], append(&["r_2.v", "r_2.id"]), scan("s", "s", &["s.id"]));
    assert!(why(&under, &parts).contains("not everywhere t's own"));
}

#[test]
fn a_column_alone_is_told_from_a_keyword() {
    let t = table(&[("t", true)]);
    let key = [identifier("current_user").unwrap()];
    for (output, is_key) in [("CURRENT_USER", false), ("\"current_user\"", true), ("t.\"current_user\"", true)] {
        let judged = consider_plan(&read(&scan("t", "t", &[output])), &["current_user".to_owned()], &key, &t, true);
        assert_eq!(judged.is_ok(), is_key, "{output}");
    }
}

#[test]
fn a_part_must_be_read_where_a_part_is_watched() {
    let leaf = table(&[("t1", true), ("t", false), ("t2", false)]);
    let append = |parts: &[&str]| {
        let scans = parts.iter().map(|part| scan(part, part, &[&format!("{part}.id")])).collect();
        node("Append", &[], scans)
    };
    assert!(judge(&append(&["t1", "t2"]), &leaf).is_ok());
    assert!(why(&append(&["t2"]), &leaf).contains("does not read t itself"));
}

#[test]
fn names_come_from_everything_that_a_plan_computes() {
    let t = table(&[("t", true)]);
    let mut plan = scan("t", "t", &["id", "f(v)"]);
    plan["Filter"] = "((v @@@ 1) AND g(h(v)))".into();
    plan["Some New List"] = json!([["\"My Fn\"(1)::mood"]]);
    let names = judge(&plan, &t).unwrap();
    assert_eq!(names.functions, ["My Fn", "f", "g", "h"]);
    assert!(names.operators.contains(&"@@@".to_owned()) && names.types.contains(&"mood".to_owned()));
    assert_eq!(names.views, Vec::<String>::new());
    let values = join("Inner", &["t.id"], scan("t", "t", &["t.id"]), node("Values Scan", &[], vec![]));
    let names = judge(&values, &t).unwrap();
    assert_eq!(names.views, ["from", "id", "select", "t", "v"], "what a list of values holds is not told");
    assert!(names.functions.contains(&"v".to_owned()));
}

#[test]
fn routines_are_trusted_by_what_they_promise() {
    let found = |name: &str, volatility: char, language: &str| {
        let routine = Routine {
            what: "function".into(),
            name: name.into(),
            volatility,
            language: language.into(),
            edition: "1".into(),
        };
        consider_routines(&[routine]).map_err(|whole| whole.to_string())
    };
    assert_eq!(found("f", 'i', "plpgsql"), Ok(()));
    assert_eq!(found("now", 's', "internal"), Ok(()));
    assert_eq!(found("unaccent", 's', "c"), Ok(()));
    for (name, volatility, language, why) in [
        ("f", 's', "sql", "full reads: the function f may read tables"),
        ("f", 's', "plpython3u", "full reads: the function f may read tables"),
        ("random", 'v', "internal", "full reads: the function random is volatile"),
        ("crosstab3", 's', "c", "full reads: the function crosstab3 may read tables"),
    ] {
        assert_eq!(found(name, volatility, language), Err(why.to_owned()));
    }
}

#[test]
fn some_things_are_known_before_anybody_is_asked() {
    let considered = |sql: &str| consider(&parse_query(sql, false).unwrap()).map_err(|whole| whole.to_string());
    assert_eq!(considered("SELECT 1 AS a"), Ok(()));
    let setup =
        "SET a.b = 1; set local c = 2; RESET d; LOAD 'age'; CREATE EXTENSION IF NOT EXISTS citext; SELECT 1 AS a";
    assert_eq!(considered(setup), Ok(()));
    assert!(
        considered("SET a.b = 1; CREATE TEMP TABLE x AS SELECT 1; SELECT 1 AS a")
            .unwrap_err()
            .contains("statement 2 of 3")
    );
    assert!(considered("DELETE FROM t RETURNING id").unwrap_err().contains("changes data"));
    let kinds = ['v', 'm', 'f', 'c'].map(|kind| {
        consider_table(&Table { kind, ..table(&[]) }, &[identifier("id").unwrap()]).unwrap_err().to_string()
    });
    let expected = ["t is a view", "t is a materialized view", "t is a foreign table", "t is no table"];
    assert_eq!(kinds, expected.map(|why| format!("full reads: {why}")));
    assert!(consider_table(&table(&[]), &[]).unwrap_err().to_string().contains("no columns name"));
    assert!(consider_key(&[]).unwrap_err().to_string().contains("no columns name the query's rows"));
}

/// Of a table that rows are not called by, whatever its columns are called in the query.
#[test]
fn another_tables_key_is_found_under_any_name_and_by_the_same_rule() {
    let t = table(&[("t", true)]);
    let p = Table { name: "p".into(), family: table(&[("p", true)]).family, ..table(&[]) };
    let columns = ["id", "plan", "price"].map(String::from);
    let key = |name: &str| [identifier(name).unwrap()];
    let shown = |plan: &Value, of: &Table| {
        let found = consider_plan(&read(plan), &columns, &key("id"), of, false);
        found.map(|shown| shown[0].as_str().to_owned()).map_err(|whole| whole.to_string())
    };
    let joined = |kind: &str, output: &[&str]| {
        join(kind, output, scan("t", "t", &["t.id", "t.plan_id"]), scan("p", "p", &["p.id", "p.price"]))
    };
    let inner = joined("Inner", &["t.id", "p.id", "p.price", "p.id"]);
    assert_eq!(shown(&inner, &p), Ok("plan".into()));
    assert_eq!(shown(&inner, &t), Ok("id".into()));
    let left = shown(&joined("Left", &["t.id", "p.id", "p.price"]), &p).unwrap_err();
    assert!(left.contains("p is on the optional side"), "{left}");
    for output in [["t.id", "t.plan_id", "p.price"], ["t.id", "(p.id + 1)", "p.price"]] {
        let hidden = shown(&joined("Inner", &output), &p).unwrap_err();
        assert_eq!(hidden, "full reads: no column of the query is p's own column id");
    }
    // Beyond the columns of the query stands what it is sorted by.
    let sorted = shown(&joined("Inner", &["t.id", "t.x", "p.price", "p.id"]), &p).unwrap_err();
    assert!(sorted.contains("no column of the query"), "{sorted}");
    let twice = join("Inner", &["t.id", "p.id", "q.price"], inner, scan("p", "q", &["q.id"]));
    assert!(shown(&twice, &p).unwrap_err().contains("more than once"));
    assert_eq!(shown(&twice, &t), Ok("id".into()));
}
