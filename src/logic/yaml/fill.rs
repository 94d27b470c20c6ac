//! Puts values into a skeleton. What the template says about structure is settled by now; a value
//! can only become a leaf, a key or, where a tree was asked for, a tree.

use super::skeleton::{Entry, Item, Key, Node, Part, Skeleton, Text};
use super::slot::{Edit, Form, Slot};
use super::{YamlError, schema};
use crate::logic::json::{Json, Map};

impl Skeleton {
    /// The documents with these values, without those that are null.
    pub fn fill(&self, slots: &[Slot]) -> Result<Vec<Json>, YamlError> {
        let fill = Fill { slots };
        let mut documents = Vec::with_capacity(self.documents.len());
        for document in &self.documents {
            let value = fill.node(document)?;
            if !value.is_null() {
                documents.push(value);
            }
        }
        Ok(documents)
    }
}

struct Fill<'a> {
    slots: &'a [Slot],
}

const REPEATED: &str = "the key stands here twice";

impl Fill<'_> {
    fn slot(&self, number: usize) -> Result<&Slot, YamlError> {
        self.slots.get(number).ok_or_else(|| YamlError::at(0, "a value's marker was damaged"))
    }

    fn node(&self, node: &Node) -> Result<Json, YamlError> {
        Ok(match node {
            Node::Empty => Json::Null,
            Node::Const(value) => value.clone(),
            Node::Slot(slot) => whole(self.slot(*slot)?),
            Node::Text(text) => Json::String(self.text(text)?),
            Node::Seq(items) => Json::Array(self.seq(items)?),
            Node::Map(entries) => self.map(entries)?,
        })
    }

    fn text(&self, text: &Text) -> Result<String, YamlError> {
        if let ([Part::Slot(slot)], true) = (text.parts.as_slice(), text.quoted) {
            let slot = self.slot(*slot)?;
            return Ok(match slot.form {
                Form::Json | Form::PrettyJson => slot.text_within(None),
                _ => slot.whole_text(),
            });
        }
        let mut out = String::new();
        for part in &text.parts {
            match part {
                Part::Const(text) => out.push_str(text),
                Part::Slot(slot) => out.push_str(&self.slot(*slot)?.text_within(text.block)),
            }
        }
        // As in Go's YAML, a block that ends with a text that ends its line itself does not end that line again.
        if let (Some(_), [.., Part::Slot(slot), Part::Const(end)]) = (text.block, text.parts.as_slice())
            && end == "\n"
            && self.slot(*slot)?.form == Form::Word
            && out.ends_with("\n\n")
        {
            out.pop();
        }
        Ok(out)
    }

    fn seq(&self, items: &[Item]) -> Result<Vec<Json>, YamlError> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Item::Node(node) => {
                    let value = self.node(node);
                    out.push(value.map_err(|e| e.below(&format!("[{}]", out.len())))?);
                }
                Item::Splice { slot, line } => match &self.slot(*slot)?.value {
                    Json::Array(values) => out.extend(values.iter().cloned()),
                    value if is_nothing(value) => {}
                    _ => {
                        let reason = "only a list can be spliced among list items";
                        return Err(YamlError::at(*line, reason));
                    }
                },
            }
        }
        Ok(out)
    }

    fn map(&self, entries: &[Entry]) -> Result<Json, YamlError> {
        match entries {
            [Entry::Splice { slot, .. }] => return Ok(whole(self.slot(*slot)?)),
            [Entry::Splice { .. }, ..] => {
                if let Some(list) = self.only_lists(entries)? {
                    return Ok(list);
                }
            }
            _ => {}
        }
        let mut out = Map::with_capacity_and_hasher(entries.len(), Default::default());
        let mut open_key: Option<String> = None;
        for entry in entries {
            match entry {
                Entry::Pair { key, value, line } => {
                    let step = key.name();
                    let name = self.key(key, *line)?;
                    let filled = self.node(value).map_err(|e| e.below(step))?;
                    open_key = matches!(value, Node::Empty).then(|| name.clone());
                    if out.insert(name, filled).is_some() {
                        return Err(YamlError::at(*line, REPEATED).below(step));
                    }
                }
                Entry::Splice { slot, line } => {
                    let value = &self.slot(*slot)?.value;
                    splice(&mut out, open_key.take(), value).map_err(|reason| YamlError::at(*line, reason))?;
                }
            }
        }
        Ok(Json::Object(out))
    }

    /// Trees that stand by themselves, none of them a map, are one list.
    fn only_lists(&self, entries: &[Entry]) -> Result<Option<Json>, YamlError> {
        let mut out = Vec::new();
        let mut lists = 0;
        for entry in entries {
            let Entry::Splice { slot, .. } = entry else {
                return Ok(None);
            };
            match &self.slot(*slot)?.value {
                Json::Array(values) => {
                    lists += 1;
                    out.extend(values.iter().cloned());
                }
                value if is_nothing(value) => {}
                _ => return Ok(None),
            }
        }
        Ok((lists > 0).then_some(Json::Array(out)))
    }

    fn key(&self, key: &Key, line: usize) -> Result<String, YamlError> {
        match key {
            Key::Const(name) => Ok(name.clone()),
            Key::Text(text) => self.text(text),
            Key::Splice(slot) | Key::Slot(slot) => {
                let slot = self.slot(*slot)?;
                match &slot.value {
                    Json::Null => Err(YamlError::at(line, "a key cannot be null")),
                    Json::Array(_) | Json::Object(_) => Err(YamlError::at(line, "a map or list cannot be a key")),
                    _ => Ok(slot.whole_text()),
                }
            }
        }
    }
}

impl Key {
    /// For paths: a key that is a value of the row is not named.
    fn name(&self) -> &str {
        match self {
            Key::Const(name) => name,
            _ => "{{…}}",
        }
    }
}

/// A slot that is a node by itself.
fn whole(slot: &Slot) -> Json {
    match (slot.form, &slot.value) {
        (Form::Quoted | Form::SingleQuoted, _) => Json::String(slot.whole_text()),
        (Form::Word, Json::String(_)) => {
            let text = slot.whole_text();
            // A word that is no JSON number, such as `.inf`, stays text.
            schema::plain(&text).unwrap_or(Json::String(text))
        }
        (Form::Plain, Json::String(_)) if slot.edits.iter().any(is_trim) => Json::String(slot.whole_text()),
        (_, value) => value.clone(),
    }
}

fn is_trim(edit: &Edit) -> bool {
    !matches!(edit, Edit::Indent { .. })
}

/// What adds nothing where it is spliced.
fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Puts a tree among keys. A list there belongs to the key above it, which has no value of its
/// own: YAML allows a list at the column of its key.
fn splice(out: &mut Map, open_key: Option<String>, value: &Json) -> Result<(), &'static str> {
    match (value, open_key) {
        (Json::Object(map), _) => {
            for (name, value) in map {
                if out.insert(name.clone(), value.clone()).is_some() {
                    return Err("a spliced map repeats a key that stands here already");
                }
            }
            Ok(())
        }
        (Json::Array(_), Some(key)) => {
            out.insert(key, value.clone());
            Ok(())
        }
        (value, _) if is_nothing(value) => Ok(()),
        _ => Err("only a map can be spliced among keys"),
    }
}
