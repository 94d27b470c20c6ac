//! Go templates, as gotmpl has them, with these rules:
//! * what is missing is an error where it is written or computed with, and empty where it is asked for: in `if`,
//!   `with`, `range`, `and`, `or`, `default` and the like;
//! * a plain scalar that is one value keeps the value's type, and text there is what YAML makes of the word, as if it
//!   stood there: `3` is a number; it never becomes more than a scalar. Anything mixed or quoted is text: numbers with
//!   their digits, NULL is empty, maps and lists are JSON;
//! * `toYaml` and `toJson` insert a tree: alone, or among the keys or items beside them;
//! * what `include` gives keeps the types and the structure of what it holds where it is printed, indented or trimmed.
//!   Any other function sees it as plain text.

mod builtins;
mod failure;
mod forms;
mod functions;
mod layout;
mod machine;
mod parsing;
mod printf;
mod program;
pub(super) mod source;
mod state;
mod table;
mod value;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;
use k8s_openapi::jiff::Timestamp;

use super::TemplateError;
use super::engine::{Engine, Marked, Rendering};
use crate::logic::json::Json;
use failure::Reason;
use machine::Machine;
use program::{MAIN, Program, Purpose};
use state::{Output, Shared};
use value::Map;

pub(super) use program::parses;

/// A template in Go's language.
pub(super) struct Go {
    source: Arc<str>,
    program: Arc<Program>,
}

impl Go {
    /// Compiles a template.
    pub(super) fn compile(source: &str) -> Result<Self, TemplateError> {
        let program = Program::compile(source, Purpose::Rendering)?;
        Ok(Self { source: source.into(), program: Arc::new(program) })
    }
}

impl Engine for Go {
    /// Functions that take the time of the read: `now`, `ago`, and the `date` family for what is no time.
    fn is_timeless(&self) -> bool {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = self.source.split(|c| !is_name(c));
        // `tpl` renders what rows hold.
        !words.any(|word| matches!(word, "now" | "ago" | "tpl") || word.to_ascii_lowercase().contains("date"))
    }

    fn rendering<'a>(&'a self, dbqr: &Json, now: Timestamp) -> Box<dyn Rendering + 'a> {
        let shared = Arc::new(Shared::new(now));
        let metadata = metadata(shared.null.value_of(dbqr));
        Box::new(AtWork {
            template: self,
            metadata: ("Metadata".into(), metadata),
            row: "Row".into(),
            machine: Machine::new(self.program.clone(), shared.clone()),
            noted: OnceCell::new(),
            shared,
        })
    }
}

/// The names that Go's structs have, beside those of JSON.
const SPELLINGS: [(&str, &str); 5] = [
    ("Annotations", "annotations"),
    ("Labels", "labels"),
    ("Name", "name"),
    ("Namespace", "namespace"),
    ("UID", "uid"),
];

fn metadata(json: Value) -> Value {
    let Value::Map(map) = json else { return json };
    let mut map = Map::clone(&map);
    for (go, json) in SPELLINGS {
        if let Some(value) = map.get(json).cloned() {
            map.insert(go.into(), value);
        }
    }
    Value::Map(Arc::new(map))
}

/// A template together with the DatabaseQueryResource it is rendered for.
struct AtWork<'a> {
    template: &'a Go,
    machine: Arc<Machine>,
    /// Tells where it is. Only made after an error.
    noted: OnceCell<Option<Arc<Machine>>>,
    shared: Arc<Shared>,
    metadata: (Arc<str>, Value),
    row: Arc<str>,
}

impl Rendering for AtWork<'_> {
    fn render(&self, row: &Arc<Json>) -> Result<Marked, TemplateError> {
        let names = self.names(row);
        match self.run(&self.machine, &names) {
            Ok(text) => Ok(Marked { text, slots: self.shared.take_slots() }),
            Err(reason) => Err(self.placed(reason, &names)),
        }
    }

    fn line_of(&self, row: &Arc<Json>, at: usize) -> Option<usize> {
        let text = self.run(self.noted()?, &self.names(row)).ok()?;
        let state = self.shared.state();
        let span = state.spans.iter().rev().find(|span| span.written <= at)?;
        let within = text.get(span.written..at).filter(|_| span.is_text).unwrap_or_default();
        Some(source::place(&self.template.source, span.source).0 + within.matches('\n').count())
    }
}

impl AtWork<'_> {
    /// What the template starts with: `.`, and `$`.
    fn names(&self, row: &Arc<Json>) -> Value {
        let (metadata, value) = self.metadata.clone();
        let names = [(metadata, value), (self.row.clone(), self.shared.null.value_of(row))];
        Value::Map(Arc::new(BTreeMap::from(names)))
    }

    fn run(&self, machine: &Machine, names: &Value) -> Result<String, Reason> {
        self.shared.start();
        let mut out = Output::main(&self.shared);
        machine.run(MAIN, names, &mut out)?;
        Ok(out.text)
    }

    fn noted(&self) -> Option<&Machine> {
        let machine = || {
            let program = Program::compile(&self.template.source, Purpose::Notes).ok()?;
            Some(Machine::new(Arc::new(program), self.shared.clone()))
        };
        self.noted.get_or_init(machine).as_deref()
    }

    /// The error, with its place: where rendering once more fails as well.
    fn placed(&self, reason: Reason, names: &Value) -> TemplateError {
        let failed = self.noted().and_then(|noted| self.run(noted, names).err());
        let place = self.shared.state().at.filter(|_| failed.as_ref() == Some(&reason));
        let error = reason.into_error();
        match place {
            Some(place) => failure::at(error, &self.template.source, place),
            None => error,
        }
    }
}
