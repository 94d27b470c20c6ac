//! Rows become desired objects, one after the other; a row that fails does not stop the others. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::document::{self, DocumentError, FindKind, Frame};
use super::inventory::Inventory;
use super::json::{self, Json};
use super::object::{Desired, ObjectId};
use super::template::{self, Template, TemplateError};

/// Failures that are kept with their message; the others are only counted.
pub const KEPT_FAILURES: usize = 10;

/// What became of all rows of one read.
#[derive(Debug, Default)]
pub struct Rendered {
    /// How many rows there were.
    pub rows: u64,
    /// The objects of the rows that did not fail, in the rows' order.
    pub desired: Vec<Desired>,
    /// What failed.
    pub failures: Failures,
}

impl Rendered {
    /// Identities of all desired objects.
    pub fn ids(&self) -> HashSet<ObjectId> {
        self.desired.iter().map(|desired| desired.id.clone()).collect()
    }
}

/// Failed rows: all of their numbers, and the messages of the first few.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    rows: BTreeSet<u64>,
    kept: Vec<RowFailure>,
}

/// One failed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFailure {
    /// Number of the row, from 1.
    pub row: u64,
    /// The object, where it got that far.
    pub object: Option<String>,
    /// One word.
    pub reason: &'static str,
    /// What went wrong; never a value of the row.
    pub message: String,
}

impl Failures {
    /// Adds one.
    pub fn push(&mut self, failure: RowFailure) {
        self.rows.insert(failure.row);
        if self.kept.len() < KEPT_FAILURES {
            self.kept.push(failure);
        }
    }

    /// How many rows failed.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether none failed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first few.
    pub fn kept(&self) -> &[RowFailure] {
        &self.kept
    }
}

/// Renders the rows of one read.
pub struct Renderer<'a> {
    template: template::Renderer<'a>,
    frame: Frame<'a>,
    find_kind: &'a FindKind<'a>,
    known: &'a Inventory,
    first_row_of: HashMap<ObjectId, u64>,
    disputed: HashSet<ObjectId>,
    out: Rendered,
}

impl<'a> Renderer<'a> {
    /// `dbqr` is what templates see under that name; `known` says which objects need no body.
    pub fn new(
        template: &'a Template,
        dbqr: &'a Json,
        frame: Frame<'a>,
        find_kind: &'a FindKind<'a>,
        known: &'a Inventory,
    ) -> Self {
        Self {
            template: template.renderer(dbqr),
            frame,
            find_kind,
            known,
            first_row_of: HashMap::new(),
            disputed: HashSet::new(),
            out: Rendered::default(),
        }
    }

    /// Renders the next row, given as the text of a JSON object.
    pub fn row(&mut self, text: &str) {
        self.out.rows += 1;
        let row = self.out.rows;
        match self.objects(row, text) {
            Ok(objects) => objects.into_iter().for_each(|desired| self.claim(desired)),
            Err((reason, message)) => self.out.failures.push(RowFailure { row, object: None, reason, message }),
        }
    }

    /// All rows were seen.
    pub fn finish(mut self) -> Rendered {
        let disputed = self.disputed;
        self.out.desired.retain(|desired| !disputed.contains(&desired.id));
        self.out
    }

    /// All objects of one row, or why there are none: a row is all or nothing.
    fn objects(&self, row: u64, text: &str) -> Result<Vec<Desired>, (&'static str, String)> {
        let value = json::parse(text).map_err(|error| ("RenderFailed", format!("the row: {error}")))?;
        let documents =
            self.template.render(value).map_err(|error: TemplateError| ("RenderFailed", error.to_string()))?;
        let many = documents.len() > 1;
        documents
            .into_iter()
            .enumerate()
            .map(|(index, document)| {
                document::desired(document, row, &self.frame, self.find_kind, |id, hash| {
                    self.known.is_applied(id, hash)
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
        let Some(first) = self.first_row_of.insert(desired.id.clone(), desired.row) else {
            self.out.desired.push(desired);
            return;
        };
        let message = if first == desired.row {
            format!("two documents of row {first} are the same object")
        } else {
            format!("rows {first} and {} are the same object", desired.row)
        };
        for row in BTreeSet::from([first, desired.row]) {
            let object = Some(desired.id.to_string());
            self.out.failures.push(RowFailure { row, object, reason: "DuplicateObject", message: message.clone() });
        }
        self.disputed.insert(desired.id);
    }
}
