//! Rows become desired objects, one after the other; a row that fails does not stop the others. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::document::{self, DocumentError, FindKind, Frame};
use super::failures::{Failures, RowFailure};
use super::inventory::Inventory;
use super::json::{self, Json};
use super::keyed::KeyedTable;
use super::memo::{Made, Memo, RowHash};
use super::object::{Desired, ObjectId};
use super::row::{Row, RowName};
use super::rows::{Group, Shown};
use super::template::{self, Template, TemplateError};

/// The longest that so many rows may compute. Most take a hundredth of that; what takes longer keeps a connection from
/// others.
pub fn budget(rows: u64) -> Duration {
    Duration::from_secs(10) + Duration::from_millis(1) * u32::try_from(rows).unwrap_or(u32::MAX)
}

/// What became of all rows of one read.
#[derive(Debug, Default)]
pub struct Rendered {
    /// How many rows there were.
    pub rows: u64,
    /// The objects of the rows that did not fail, in the rows' order.
    pub desired: Vec<Desired>,
    /// All objects that rows want, and which row does.
    pub claims: HashMap<ObjectId, RowName>,
    /// Those that more than one row or document wants.
    pub disputed: HashSet<ObjectId>,
    /// The rows by their keys, where they have any.
    pub groups: HashMap<Arc<str>, Group>,
    /// Whether it is known which rows have which key.
    pub is_grouped: bool,
    /// The other tables, the keys of whose rows are known of each group.
    pub others: Vec<KeyedTable>,
    /// What failed.
    pub failures: Failures,
    /// What rows came to, for the next read. Empty where that depends on the time.
    pub memo: Memo,
}

/// Renders the rows of one read.
pub struct Renderer<'a> {
    template: template::Renderer<'a>,
    frame: Frame<'a>,
    find_kind: &'a FindKind<'a>,
    known: &'a Inventory,
    before: &'a Memo,
    is_timeless: bool,
    is_grouping: bool,
    out: Rendered,
}

impl<'a> Renderer<'a> {
    /// `dbqr` is what templates see of the resource, `now` when the rows were read; `known` says which objects need no
    /// body, and `before` what this template and resource have made of rows.
    pub fn new(
        template: &'a Template,
        dbqr: &'a Json,
        now: Timestamp,
        frame: Frame<'a>,
        find_kind: &'a FindKind<'a>,
        known: &'a Inventory,
        before: &'a Memo,
    ) -> Self {
        Self {
            template: template.renderer(dbqr, now),
            frame,
            find_kind,
            known,
            before,
            is_timeless: template.is_timeless(),
            is_grouping: false,
            out: Rendered::default(),
        }
    }

    /// Tells the rows of each key, where they have any: some of them will be read again without the others.
    pub fn grouping(mut self, is_grouping: bool) -> Self {
        self.is_grouping = is_grouping;
        self.out.is_grouped = is_grouping;
        self
    }

    /// The rows bring the keys of rows of these tables with them, which are to be told of each key. Where rows do not, it
    /// is of none.
    pub fn showing(mut self, others: Vec<KeyedTable>) -> Self {
        self.out.others = others;
        self
    }

    /// Renders the next row.
    pub fn row(&mut self, row: Row) {
        self.out.rows += 1;
        let hash = RowHash::of(&row);
        let Row { json, key, others } = row;
        let row = RowName { number: self.out.rows, key: key.map(Into::into) };
        self.out.others.truncate(others.len());
        let shown: Vec<Shown> =
            self.out.others.iter().zip(&others).map(|(table, key)| Shown::of(table.oid, key)).collect();
        // Also of a row that fails: what becomes of it otherwise may depend on what it shows.
        self.group(&row, |group| {
            group.rows.push(hash);
            group.shown.extend(shown);
        });
        if let Some(made) = self.before.get(&hash).filter(|made| made.iter().all(|one| self.is_there(one))) {
            self.out.memo.insert(hash, made.clone());
            made.iter().for_each(|one| self.claim(unchanged(one, &row)));
            return;
        }
        match self.objects(&row, &json) {
            Ok(objects) => {
                if self.is_timeless {
                    self.out.memo.insert(hash, objects.iter().map(Made::from).collect());
                }
                objects.into_iter().for_each(|desired| self.claim(desired));
            }
            Err((reason, message)) => self.out.failures.push(RowFailure { row, object: None, reason, message }),
        }
    }

    /// How many rows were rendered.
    pub fn rows(&self) -> u64 {
        self.out.rows
    }

    /// All rows were seen.
    pub fn finish(mut self) -> Rendered {
        let Rendered { desired, disputed, .. } = &mut self.out;
        desired.retain(|desired| !disputed.contains(&desired.id));
        self.out
    }

    /// Rows of equal key are one group.
    fn group(&mut self, row: &RowName, add: impl FnOnce(&mut Group)) {
        if let Some(key) = row.key.as_ref().filter(|_| self.is_grouping) {
            // The same text as in the rows' names: there is one of it in memory.
            add(self.out.groups.entry(key.clone()).or_default());
        }
    }

    fn is_there(&self, made: &Made) -> bool {
        self.known.is_verified(&made.id, &made.hash)
    }

    /// All objects of one row, or why there are none: a row is all or nothing.
    fn objects(&self, row: &RowName, text: &str) -> Result<Vec<Desired>, (&'static str, String)> {
        let value = json::parse(text).map_err(|error| ("RenderFailed", format!("the row: {error}")))?;
        let documents =
            self.template.render(value).map_err(|error: TemplateError| ("RenderFailed", error.to_string()))?;
        let many = documents.len() > 1;
        documents
            .into_iter()
            .enumerate()
            .map(|(index, document)| {
                document::desired(document, row.clone(), &self.frame, self.find_kind, |desired, object| {
                    self.known.is_applied(desired, object)
                })
                .map_err(|error: DocumentError| {
                    let place = if many { format!("document {}: ", index + 1) } else { String::new() };
                    (error.reason(), format!("{place}{error}"))
                })
            })
            .collect()
    }

    /// Two rows or documents for one object: an error of both, and neither is applied.
    fn claim(&mut self, desired: Desired) {
        let id = desired.id.clone();
        self.group(&desired.row, |group| group.objects.push(id));
        let Some(first) = self.out.claims.insert(desired.id.clone(), desired.row.clone()) else {
            self.out.desired.push(desired);
            return;
        };
        let second = desired.row;
        let message = if first.number == second.number {
            format!("two documents of row {first} are the same object")
        } else if first.key.is_some() && first.key == second.key {
            format!("rows {} and {} are the same object, and their key is {first}", first.number, second.number)
        } else {
            format!("rows {first} and {second} are the same object")
        };
        let object = Some(desired.id.to_string());
        let failure =
            |row| RowFailure { row, object: object.clone(), reason: "DuplicateObject", message: message.clone() };
        if first.number != second.number {
            self.out.failures.push(failure(first));
        }
        self.out.failures.push(failure(second));
        self.out.disputed.insert(desired.id);
    }
}

fn unchanged(made: &Made, row: &RowName) -> Desired {
    let Made { id, kind, hash, wishes } = made.clone();
    Desired::new(id, kind, hash, row.clone(), None).wishing(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::DeletionPolicy;
    use crate::logic::object::{GroupKind, Kind, Known, Owner};
    use crate::logic::rights::Rights;
    use serde_json::json;

    /// The failures of rows that ask for ConfigMaps of these names, each with its key.
    fn failures(rows: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
        let source = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n";
        let template = Template::compile(source, template::Language::Jinja).unwrap();
        let owner = Owner { name: "q".into(), namespace: "team".into(), uid: "u".into() };
        let rights = Rights::default();
        let frame =
            Frame { owner: &owner, rights: &rights, gvk: None, deletion_policy: DeletionPolicy::Delete, ignored: &[] };
        let find_kind = |_: &str, kind: &str| {
            let group_kind = GroupKind { group: String::new(), kind: kind.into() }.into();
            Ok(Arc::new(Kind { group_kind, version: "v1".into(), plural: "configmaps".into(), namespaced: true }))
        };
        let (dbqr, known) = (Json::Null, Inventory::default());
        let memo = Memo::default();
        let mut renderer = Renderer::new(&template, &dbqr, Timestamp::UNIX_EPOCH, frame, &find_kind, &known, &memo);
        for (name, key) in rows {
            renderer.row(Row {
                json: json!({ "name": name }).to_string(),
                key: key.map(Into::into),
                others: Vec::new(),
            });
        }
        let failures = renderer.finish().failures;
        failures.kept().iter().map(|failure| (failure.row.to_string(), failure.message.clone())).collect()
    }

    #[test]
    fn rows_for_one_object_are_called_by_key_or_number_and_told_apart_either_way() {
        let both = |first: &str, second: &str, message: &str| {
            [(first.to_owned(), message.to_owned()), (second.to_owned(), message.to_owned())]
        };
        assert_eq!(
            failures(&[("x", None), ("a", None), ("a", None)]),
            both("2", "3", "rows 2 and 3 are the same object")
        );
        assert_eq!(
            failures(&[("a", Some("[\"1\"]")), ("a", Some("[null]"))]),
            both("[\"1\"]", "[null]", "rows [\"1\"] and [null] are the same object")
        );
        assert_eq!(
            failures(&[("a", Some("[\"1\"]")), ("a", Some("[\"1\"]"))]),
            both("[\"1\"]", "[\"1\"]", "rows 1 and 2 are the same object, and their key is [\"1\"]")
        );
    }

    #[test]
    fn a_row_that_is_the_same_is_not_rendered_again_while_its_objects_are_as_they_should_be() {
        // Fails wherever it is rendered again.
        let source = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  a: {{ row.a }}\n";
        let template = Template::compile(source, template::Language::Jinja).unwrap();
        let owner = Owner { name: "q".into(), namespace: "team".into(), uid: "u".into() };
        let rights = Rights::default();
        let dbqr = Json::Null;
        let looked_up = std::cell::Cell::new(0);
        let find_kind = |_: &str, kind: &str| {
            looked_up.set(looked_up.get() + 1);
            let group_kind = GroupKind { group: String::new(), kind: kind.into() }.into();
            Ok(Arc::new(Kind { group_kind, version: "v1".into(), plural: "configmaps".into(), namespaced: true }))
        };
        let read = |rows: &[&str], known: &Inventory, memo: &Memo| {
            let frame = Frame {
                owner: &owner,
                rights: &rights,
                gvk: None,
                deletion_policy: DeletionPolicy::Delete,
                ignored: &[],
            };
            let now = Timestamp::UNIX_EPOCH;
            let mut renderer = Renderer::new(&template, &dbqr, now, frame, &find_kind, known, memo);
            for a in rows {
                renderer.row(Row { json: json!({"name": "x", "a": a}).to_string(), key: None, others: Vec::new() });
            }
            renderer.finish()
        };
        let first = read(&["1"], &Inventory::default(), &Memo::default());
        let known = |verified| {
            let Desired { id, hash, .. } = first.desired[0].clone();
            let uid = "u".into();
            let known = Known { uid, hash: Some(hash), verified, ..Known::default() };
            Inventory::of([(id, known)])
        };
        let rendered = |rows: &[&str], known: &Inventory, memo: &Memo| {
            looked_up.set(0);
            let out = read(rows, known, memo);
            (looked_up.get(), out)
        };
        let (times, second) = rendered(&["1"], &known(true), &first.memo);
        assert_eq!((times, &second.desired[0].hash), (0, &first.desired[0].hash));
        assert_eq!(rendered(&["1"], &known(true), &second.memo).0, 0, "the memo is handed on");
        assert_eq!(rendered(&["2"], &known(true), &first.memo).0, 1, "another row");
        assert_eq!(rendered(&["1"], &known(false), &first.memo).0, 1, "changed by somebody");
        assert_eq!(rendered(&["1"], &Inventory::default(), &first.memo).0, 1, "gone");
        let (_, twice) = rendered(&["1", "1"], &known(true), &first.memo);
        assert_eq!(twice.failures.rows(), 2, "two rows of one object are an error all the same");
    }
}
