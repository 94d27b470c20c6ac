use sha2::{Digest, Sha256};

use super::*;
use crate::logic::sql::qualified_name;

/// Of `sql/install.sql`. Where it differs, raise `revision` there and [`REVISION`] here, unless that edition was never
/// released: a database that has it would be left as it is.
const DIGEST: &str = "61e23f5c723d1a50c59a8fbbb6db46bc29ea614e8e8c7d483c2223596a0adaf8";

#[test]
fn each_edition_of_what_is_installed_has_a_number_of_its_own() {
    let digest = Sha256::digest(files::INSTALL).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(digest, DIGEST, "sql/install.sql has changed");
    for (name, number) in [("version", VERSION), ("revision", REVISION)] {
        assert!(files::INSTALL.contains(&format!("{name} CONSTANT int := {number};")), "{name}");
    }
    assert!(
        files::INSTALL.contains(&format!("dbqo.version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT {VERSION}'"))
    );
}

fn wanted(keys: &[&str], slots: impl Into<Option<u16>>) -> Wanted {
    Wanted { oid: 1, keys: Some(keys.iter().map(ToString::to_string).collect()), slots: slots.into() }
}

fn sends(keys: &[&str], slots: u16) -> Sends {
    Sends { keys: keys.iter().map(ToString::to_string).collect(), slots }
}

#[test]
fn more_keys_and_slots_than_wanted_serve_and_fewer_do_not() {
    assert!(sends(&["id", "slug"], 2).serves(&wanted(&["slug"], 1)));
    assert!(sends(&["id"], 1).serves(&wanted(&[], 1)));
    assert!(sends(&["id"], 1).serves(&Wanted { keys: None, ..wanted(&[], 1) }));
    assert!(!sends(&["id"], 1).serves(&wanted(&["slug"], 1)));
    assert!(!sends(&["id"], 1).serves(&wanted(&["id"], 2)));
    assert!(sends(&["id"], 0).serves(&wanted(&["id"], 2)), "without a bell all are told");
    assert!((0..3).all(|slots| sends(&["id"], slots).serves(&wanted(&["id"], None))), "as it is");
}

#[test]
fn a_comment_that_somebody_else_wrote_says_nothing() {
    assert_eq!(Sends::from_comment(r#"{"keys" : ["id","B c"], "slots" : 1}"#), Some(sends(&["id", "B c"], 1)));
    for text in
        ["", "our tenants", "[]", r#"{"keys":["id"]}"#, r#"{"keys":"id","slots":1}"#, r#"{"keys":[],"slots":-1}"#]
    {
        assert_eq!(Sends::from_comment(text), None, "{text}");
    }
}

#[test]
fn the_statement_to_run_has_all_names_quoted_as_they_have_to_be() {
    for (table, keys, slots, statement) in [
        ("public.tenants", vec!["id"], Some(1), "SELECT dbqo.watch('public.tenants', '{id}');"),
        ("t", vec!["id"], None, "SELECT dbqo.watch('t', '{id}');"),
        ("t", vec![], Some(0), "SELECT dbqo.watch('t', '{}', 0);"),
        (
            "\"S t\".\"O'Hara\"",
            vec!["a b", "C", "null", "d'd"],
            Some(1),
            "SELECT dbqo.watch('\"S t\".\"O''Hara\"', '{\"a b\",C,\"null\",\"d''d\"}');",
        ),
        ("t", vec!["a\"\\"], Some(1), "SELECT dbqo.watch('t', E'{\"a\\\\\"\\\\\\\\\"}');"),
    ] {
        assert_eq!(watch_statement(&qualified_name(table).unwrap(), &wanted(&keys, slots)), statement);
    }
    for (slots, statement) in [(None, "SELECT dbqo.watch('t');"), (Some(0), "SELECT dbqo.watch('t', slots => 0);")] {
        let wanted = Wanted { oid: 1, keys: None, slots };
        assert_eq!(watch_statement(&qualified_name("t").unwrap(), &wanted), statement);
    }
}

#[test]
fn what_is_missing_is_told_with_what_to_run() {
    let table = qualified_name("t").unwrap();
    let said = |why| Missing::of(why, Some(&table), &wanted(&["id"], 1)).to_string();
    assert!(said(Why::NotInstalled).ends_with("run: dbqo sql install (or psql -f sql/install.sql)"));
    assert!(said(Why::NotWatched).ends_with("run: SELECT dbqo.watch('t', '{id}');"));
    let name = || Identifier::of_catalog("dbqo_1_ins".into());
    let triggers = vec![Trigger { name: name(), table: QualifiedName::of_catalog("S t".into(), "t".into()) }];
    let disabled = |always| said(Why::Disabled { triggers: triggers.clone(), always });
    assert!(disabled(false).ends_with("run: ALTER TABLE \"S t\".t ENABLE TRIGGER dbqo_1_ins;"));
    assert!(disabled(true).ends_with("run: ALTER TABLE \"S t\".t ENABLE ALWAYS TRIGGER dbqo_1_ins;"));
    let too_early = |why| Missing::of(why, Some(&table), &wanted(&["id"], 1)).too_early().to_string();
    for why in [Why::NotWatched, Why::Missing(triggers.clone()), Why::SendsLess, Why::Busy] {
        assert_eq!(too_early(why), said(Why::Busy));
    }
    assert_eq!(too_early(Why::NoKeyColumn), said(Why::NoKeyColumn), "which is not for want of another attempt");
    assert!(!said(Why::Standby).contains("run:") && !said(Why::Newer(2)).contains("run:"));
}
