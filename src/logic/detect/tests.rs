use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::crd::ChangeDetectionMode;
use crate::logic::bell::Unrest;
use crate::logic::keyed::{KeyedPlan, KeyedTable, Whole};
use crate::logic::schedule::Schedule;

fn detection(changes: Value) -> Detection {
    let mut enabled = json!({"enabled": true});
    enabled.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Detection::of(Some(&serde_json::from_value(enabled).unwrap())).unwrap().unwrap()
}

fn counting() -> Server {
    Server { standby: false, track_counts: true, prepares: false, counting_since: "then".into() }
}

/// A table of a few rows with everything that could be wished for.
fn table() -> Relation {
    Relation {
        oid: 7,
        kind: 'r',
        has_column: true,
        may_select_column: true,
        may_select: true,
        partly_foreign: false,
        rows: 10.0,
        bytes: 8192,
        state: 1,
    }
}

fn found(server: Server, relation: Option<Relation>) -> Found {
    Found { server, tables: vec![FoundTable { relation, newest: Some("2024".into()), count: Some(10) }] }
}

fn signals(changes: Value, server: Server, relation: Relation) -> Result<Signals, String> {
    let print = detection(changes).fingerprint(found(server, Some(relation)));
    print.map(|print| print.tables()[0].signals).map_err(|error| error.to_string())
}

/// Whether counters, MAX and the number of rows tell.
fn told(changes: Value, server: Server, relation: Relation) -> (bool, bool, bool) {
    let signals = signals(changes, server, relation).unwrap();
    (signals.counters, signals.ask.newest, signals.ask.count)
}

#[test]
fn every_field_of_the_spec_counts() {
    assert_eq!(Detection::of(None), Ok(None));
    let off = serde_json::from_value(json!({"tableName": "t"})).unwrap();
    assert_eq!(Detection::of(Some(&off)), Ok(None));
    let several = detection(json!({"tables": [{"tableName": "a"}, {"tableName": "S.b", "timestampColumn": "At"}]}));
    let shown = |watched: &Watched| (watched.table.shown(), watched.column.as_ref().map(Identifier::shown));
    assert_eq!(
        several.tables.iter().map(shown).collect::<Vec<_>>(),
        [("a".into(), None), ("s.b".into(), Some("at".into()))]
    );
    assert_eq!(several.tables[1].column_field(), "changeDetection.tables[1].timestampColumn");
    let keyed = detection(json!({"tables": [{"tableName": "a"}, {"tableName": "b", "keyColumns": ["Id", "\"B\""]}]}));
    let key = |index: usize| keyed.tables[index].key.iter().map(|name| name.as_str()).collect::<Vec<_>>();
    assert_eq!((key(0), key(1)), (vec![], vec!["id", "B"]));
    let one = detection(json!({"tableName": "t"}));
    assert_eq!(one.tables[0].table_field(), "changeDetection.tableName");
}

#[test]
fn a_name_that_is_none_is_told_with_its_field() {
    let refused = |changes: Value| {
        let changes = serde_json::from_value(changes).unwrap();
        Detection::of(Some(&changes)).unwrap_err().to_string()
    };
    for (changes, field) in [
        (json!({"enabled": true, "tableName": "a b"}), "changeDetection.tableName: "),
        (json!({"enabled": true, "tableName": "a", "timestampColumn": "b.c"}), "changeDetection.timestampColumn: "),
        (
            json!({"enabled": true, "tables": [{"tableName": "a"}, {"tableName": "b", "keyColumns": ["c", "d e"]}]}),
            "changeDetection.tables[1].keyColumns[1]: ",
        ),
        (
            json!({"enabled": true, "tables": [{"tableName": "a"}, {"tableName": ""}]}),
            "changeDetection.tables[1].tableName: ",
        ),
        (json!({"enabled": true}), "changeDetection.enabled needs tableName or tables"),
        (json!({"enabled": true, "tableName": "a", "tables": [{"tableName": "b"}]}), "set only one of"),
    ] {
        let message = refused(changes);
        assert!(message.starts_with(field), "{message}");
    }
}

#[test]
fn counters_tell_and_rows_are_counted_only_where_they_are_few_or_not_counted_already() {
    let with = || json!({"tableName": "t", "timestampColumn": "at"});
    let without = || json!({"tableName": "t"});
    let large = || Relation { rows: 100_000.0, ..table() };
    assert_eq!(told(with(), counting(), table()), (true, true, true));
    assert_eq!(told(without(), counting(), table()), (true, false, true));
    assert_eq!(told(with(), counting(), large()), (true, true, false));
    assert_eq!(told(without(), counting(), large()), (true, false, false));
    assert_eq!(told(without(), counting(), Relation { rows: 99_999.0, ..table() }), (true, false, true));
    let bloated = Relation { bytes: 64 << 20, ..table() };
    assert_eq!(told(without(), counting(), bloated), (true, false, false), "to count would read it all");
    for server in [Server { standby: true, ..counting() }, Server { track_counts: false, ..counting() }] {
        assert_eq!(told(with(), server.clone(), large()), (false, true, true));
        assert_eq!(told(without(), server, large()), (false, false, true));
    }
    let unreadable = || Relation { may_select: false, may_select_column: false, ..table() };
    assert_eq!(told(without(), counting(), unreadable()), (true, false, false), "counters are everybody's");
    for kind in ['p', 'm'] {
        assert_eq!(told(with(), counting(), Relation { kind, ..table() }), (true, true, true));
    }
    for kind in ['v', 'f'] {
        assert_eq!(told(with(), counting(), Relation { kind, ..table() }), (false, true, false));
    }
    let partly = Relation { partly_foreign: true, kind: 'p', ..table() };
    assert_eq!(told(with(), counting(), partly), (true, true, false), "another server's rows are not counted here");
}

#[test]
fn what_cannot_be_looked_at_is_told_with_field_and_table() {
    let with = || json!({"tables": [{"tableName": "S.T", "timestampColumn": "At"}]});
    let without = || json!({"tableName": "S.T"});
    let missing = detection(with()).fingerprint(found(counting(), None)).unwrap_err().to_string();
    assert_eq!(missing, "changeDetection.tables[0].tableName: there is no table s.t");
    let standby = Server { standby: true, ..counting() };
    for (changes, server, relation, message) in [
        (
            with(),
            counting(),
            Relation { has_column: false, ..table() },
            "changeDetection.tables[0].timestampColumn: s.t has no column at",
        ),
        (
            with(),
            counting(),
            Relation { may_select_column: false, ..table() },
            "changeDetection.tables[0].timestampColumn: permission denied: this role may not select at of s.t",
        ),
        (
            without(),
            counting(),
            Relation { kind: 'v', ..table() },
            "changeDetection.timestampColumn: s.t is a view, whose changes nobody counts: it needs this column",
        ),
        (
            without(),
            counting(),
            Relation { kind: 'f', ..table() },
            "changeDetection.timestampColumn: s.t is a foreign table, whose changes are not counted here: it needs this column",
        ),
        (
            without(),
            standby,
            Relation { may_select: false, ..table() },
            "changeDetection.timestampColumn: changes of s.t are not counted (the server is a standby): it needs this column",
        ),
        (
            without(),
            counting(),
            Relation { kind: 'i', ..table() },
            "changeDetection.tableName: s.t is no table or view",
        ),
    ] {
        assert_eq!(signals(changes, server, relation).unwrap_err(), message);
    }
}

#[test]
fn whatever_differs_is_a_change_be_it_more_or_less() {
    let detection = detection(json!({"tableName": "t", "timestampColumn": "at"}));
    let print = |server: Server, relation: Relation, newest: Option<&str>, count: i64| {
        let newest = newest.map(Into::into);
        let tables = vec![FoundTable { relation: Some(relation), newest, count: Some(count) }];
        detection.fingerprint(Found { server, tables }).unwrap()
    };
    let before = print(counting(), table(), Some("2024"), 10);
    assert_eq!(before, print(counting(), table(), Some("2024"), 10));
    let estimates = Relation { rows: 11.0, bytes: 16384, ..table() };
    assert_eq!(before, print(counting(), estimates, Some("2024"), 10), "estimates are no data");
    for (what, after) in [
        ("counters or file", print(counting(), Relation { state: 0, ..table() }, Some("2024"), 10)),
        ("another table of that name", print(counting(), Relation { oid: 8, ..table() }, Some("2024"), 10)),
        ("a later change", print(counting(), table(), Some("2025"), 10)),
        ("the latest row is gone", print(counting(), table(), Some("2023"), 10)),
        ("no row is left", print(counting(), table(), None, 0)),
        ("fewer rows", print(counting(), table(), Some("2024"), 9)),
        (
            "counters began anew",
            print(Server { counting_since: "now".into(), ..counting() }, table(), Some("2024"), 10),
        ),
        ("another server", print(Server { standby: true, ..counting() }, table(), Some("2024"), 10)),
    ] {
        assert_ne!(before, after, "{what}");
    }
}

#[test]
fn a_look_knows_from_the_one_before_what_to_ask_for() {
    let detection = detection(json!({"tables": [{"tableName": "a", "timestampColumn": "at"}, {"tableName": "b"}]}));
    assert_eq!(detection.nothing(), [Ask::default(), Ask::default()]);
    let large = Relation { rows: 1e9, ..table() };
    let tables = [table(), large].map(|relation| FoundTable { relation: Some(relation), ..FoundTable::default() });
    let print = detection.fingerprint(Found { server: counting(), tables: tables.into() }).unwrap();
    assert_eq!(print.asks(), [Ask { newest: true, count: true }, Ask::default()]);
}

fn polled(schedule: &Schedule, looked: Option<(&Detection, &Fingerprint)>) -> String {
    Told::polled(schedule, looked, ChangeDetectionMode::Auto, None, false).message
}

fn says(changes: Value, server: Server, relation: Relation) -> String {
    let detection = detection(changes);
    let tables =
        detection.tables.iter().map(|_| FoundTable { relation: Some(relation.clone()), ..FoundTable::default() });
    let print = detection.fingerprint(Found { tables: tables.collect(), server }).unwrap();
    let schedule = Schedule { full: Duration::from_secs(600), probe: Some(Duration::from_secs(30)) };
    polled(&schedule, Some((&detection, &print)))
}

#[test]
fn the_message_says_after_changes_of_which_table_all_is_read_and_why() {
    let schedule = Schedule { full: Duration::from_secs(600), probe: None };
    let keyed = || Ok(KeyedTable { oid: 1, key: Vec::new(), columns: Vec::new(), definition: 0 });
    let (one, other) = (|| Err(Whole::changes_data()), || Err(Whole::not_comparable()));
    let says = |tables: Vec<Result<KeyedTable, Whole>>| {
        let names = ["a", "b", "c"].into_iter().take(tables.len()).map(|name| json!({"tableName": name}));
        let detection = detection(json!({"tables": names.collect::<Vec<_>>()}));
        let found = tables.iter().map(|_| FoundTable { relation: Some(table()), ..FoundTable::default() }).collect();
        let print = detection.fingerprint(Found { tables: found, server: counting() }).unwrap();
        let plan = KeyedPlan { columns: Vec::new(), tables, edition: 0 };
        let message = Told::notified(&schedule, Some((&detection, &print)), Some(&plan), &[]).message;
        let reads = message.split_once("notified; ").unwrap().1.split_once("; the query runs every").unwrap().0;
        reads.to_owned()
    };
    assert_eq!(says(vec![keyed()]), "rows that change are read by their keys");
    assert_eq!(says(vec![keyed(), keyed()]), "rows that change are read by their keys");
    assert_eq!(says(vec![one()]), "full reads: the last statement changes data");
    assert_eq!(says(vec![one(), one()]), "full reads: the last statement changes data");
    assert_eq!(
        says(vec![keyed(), other(), keyed()]),
        "rows that change are read by their keys in a, c; full reads after changes of b: PostgreSQL cannot look for \
         values of the key columns' types"
    );
    assert_eq!(
        says(vec![one(), other()]),
        "full reads after changes of a: the last statement changes data; b: PostgreSQL cannot look for values of the \
         key columns' types"
    );
}

#[test]
fn the_message_says_how_changes_are_noticed_and_which_are_not() {
    let with = || json!({"tableName": "t", "timestampColumn": "at"});
    let without = || json!({"tableName": "t"});
    let off = Schedule { full: Duration::from_secs(60), probe: None };
    assert_eq!(polled(&off, None), "the query runs every 1m");
    let plain = says(with(), counting(), table());
    assert_eq!(
        plain,
        "t: looked at every 30s; the query runs on a change, and every 10m regardless. Seen only by the latter: results \
         that change by time alone; changes of other tables. The server's counters of changes may be some ten seconds late"
    );
    let view = says(with(), counting(), Relation { kind: 'v', ..table() });
    assert!(view.contains("of t, told by MAX of the timestamp column alone: deletions"), "{view}");
    assert!(view.contains("commit late") && !view.contains("counters"), "{view}");
    let standby = says(with(), Server { standby: true, ..counting() }, table());
    assert!(
        standby.contains("of t, not counted because the server is a standby: transactions that commit late"),
        "{standby}"
    );
    assert!(!standby.contains("deletions") && !standby.contains("counters"), "{standby}");
    let uncounted = says(without(), Server { track_counts: false, ..counting() }, table());
    assert!(
        uncounted.contains("of t, not counted because track_counts is off and without a timestamp column: updates"),
        "{uncounted}"
    );
    let partly = says(without(), counting(), Relation { kind: 'p', partly_foreign: true, ..table() });
    assert!(partly.contains("of foreign partitions of t: changes that leave MAX"), "{partly}");
}

fn notified(oids: &[i64], quiet: &[Quiet]) -> String {
    let names: Vec<Value> = oids.iter().map(|oid| json!({"tableName": format!("t{oid}")})).collect();
    let detection = detection(json!({ "tables": names }));
    let of = |oid: &i64| FoundTable { relation: Some(Relation { oid: *oid, ..table() }), ..FoundTable::default() };
    let print = detection.fingerprint(Found { tables: oids.iter().map(of).collect(), server: counting() }).unwrap();
    let schedule = Schedule { full: Duration::from_secs(600), probe: None };
    let told = Told::notified(&schedule, Some((&detection, &print)), None, quiet);
    assert_eq!((told.mode, told.is_well), (Some(Mode::Notify), Some(true)), "it is as good as can be had");
    told.message
}

#[test]
fn a_table_that_is_quiet_for_long_is_named_with_the_reason() {
    let quiet = |table, why| Quiet { table, why, keepers: Vec::new() };
    let all_well = notified(&[1, 2], &[]);
    assert!(!all_well.contains("half a minute"), "{all_well}");
    let busy = notified(&[1, 2], &[quiet(2, Unrest::Busy)]);
    assert!(busy.contains("; but t2, for over half a minute, changes so often"), "{busy}");
    assert!(!busy.contains("--max-waiting") && busy.contains("regardless"), "{busy}");
    let both = notified(&[1, 2, 3], &[quiet(1, Unrest::NoPlace), quiet(3, Unrest::NoPlace), quiet(2, Unrest::Late)]);
    assert!(
        both.contains("but t1, t3, for over half a minute") && both.contains("(--max-waiting-per-listener)"),
        "{both}"
    );
    assert!(both.contains("changed in t2 that go on"), "{both}");
    assert!(!notified(&[1], &[quiet(9, Unrest::Busy)]).contains("half a minute"), "nothing of this resource");
}

#[test]
fn what_is_written_without_a_word_beside_what_is_notified_is_told_to_be_seen_late() {
    let message = notified(&[1], &[]);
    let (_, late) = message.split_once("Seen only by the latter: ").unwrap();
    assert!(
        late.contains("without the triggers") && late.contains("within 15s of a change that is notified"),
        "{late}"
    );
}

#[test]
fn a_hung_session_of_an_operator_is_told_of_with_its_process() {
    let keeper = |pid, is_listener| Keeper { pid: Some(pid), is_listener };
    let quiet = |why, keepers: &[Keeper]| notified(&[1], &[Quiet { table: 1, why, keepers: keepers.into() }]);
    let late = quiet(Unrest::Late, &[keeper(4711, true)]);
    assert!(late.contains("hung session of an operator's own keeps it: server process 4711"), "{late}");
    let writer = quiet(Unrest::Late, &[keeper(4712, false), Keeper { pid: None, is_listener: false }]);
    assert!(writer.contains("(a prepared transaction, server process 4712)") && !writer.contains("hung"), "{writer}");
    let without_place = quiet(Unrest::NoPlace, &[keeper(4713, true)]);
    assert!(without_place.contains("--max-waiting-per-listener") && without_place.contains("4713"), "{without_place}");
}

#[test]
fn the_message_stays_short_however_many_tables_there_are() {
    let tables: Vec<Value> =
        (0..16).map(|n| json!({"tableName": format!("{}{n}", "x".repeat(50)), "timestampColumn": "at"})).collect();
    let said = says(json!({ "tables": tables }), counting(), Relation { kind: 'v', ..table() });
    assert!(said.contains("and 12 more") && said.len() < 1000, "{} bytes: {said}", said.len());
}
