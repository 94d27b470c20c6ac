//! One scalar of marked text: as a value, as a key or as a list item.

use saphyr_parser::{ScalarStyle, Tag};

use super::schema;
use super::skeleton::{Item, Key, Node, Part, Text};
use super::slot::{AS_ITEM, AS_KEY, Segment, has_reserved, segments};
use crate::logic::json::Json;

pub(super) const UNKNOWN_TAG: &str = "this YAML tag is not supported";
pub(super) const MISPLACED: &str = "a tree (toYaml, toJson) cannot stand here";
const MANGLED: &str = "a value's marker was damaged; use a filter on the value itself";

/// A scalar as the parser gives it.
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    pub(super) style: ScalarStyle,
    pub(super) tag: Option<&'a Tag>,
    /// The column of a block scalar's text.
    pub(super) block: Option<usize>,
}

impl Scalar<'_> {
    /// The scalar as a value.
    pub(super) fn node(&self) -> Result<Node, &'static str> {
        let is_string = self.is_string()?;
        let Some(mut parts) = self.parts()? else {
            return if is_string {
                Ok(Node::Const(Json::String(self.text.to_owned())))
            } else if self.text.is_empty() {
                Ok(Node::Empty)
            } else {
                schema::plain(self.text).map(Node::Const)
            };
        };
        if let (false, [Part::Slot(slot)]) = (is_string, parts.as_mut_slice()) {
            return Ok(Node::Slot(*slot));
        }
        Ok(Node::Text(self.with_parts(parts)))
    }

    /// The scalar as a list item, which may be a tree among items.
    pub(super) fn item(&self, line: usize) -> Result<Item, &'static str> {
        let spliced = match self.style {
            // The dash of AS_ITEM made it an item; what is left of it is the last character.
            ScalarStyle::Plain => self.text.strip_prefix(AS_ITEM.trim_start_matches("- ")),
            _ => None,
        };
        match spliced {
            Some(marker) => Ok(Item::Splice { slot: lone(marker)?, line }),
            None => self.node().map(Item::Node),
        }
    }

    /// The scalar as a key, which may be a tree among keys.
    pub(super) fn key(&self) -> Result<Key, &'static str> {
        let is_string = self.is_string()?;
        let is_plain = self.style == ScalarStyle::Plain;
        if let (true, Some(marker)) = (is_plain, self.text.strip_suffix(AS_KEY.trim_end_matches(':'))) {
            return lone(marker).map(Key::Splice);
        }
        let Some(parts) = self.parts()? else {
            return match self.text {
                "<<" if !is_string => Err("merge keys (<<) are not supported"),
                "" | "~" | "null" | "Null" | "NULL" if !is_string => Err("a key cannot be null"),
                text => Ok(Key::Const(text.to_owned())),
            };
        };
        match parts.as_slice() {
            [Part::Slot(slot)] => Ok(Key::Slot(*slot)),
            _ => Ok(Key::Text(self.with_parts(parts))),
        }
    }

    fn with_parts(&self, parts: Vec<Part>) -> Text {
        let quoted = matches!(self.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        Text { parts, quoted, block: self.block }
    }

    /// Whether style or tag make it a string. Other types' tags say only what is so anyway.
    fn is_string(&self) -> Result<bool, &'static str> {
        match self.tag {
            None => Ok(self.style != ScalarStyle::Plain),
            Some(tag) if format!("{}{}", tag.handle, tag.suffix) == "!" => Ok(true),
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
            Some(tag) if tag.is_yaml_core_schema() && self.style == ScalarStyle::Plain && !has_reserved(self.text) => {
                let value = schema::plain(self.text)?;
                match (tag.suffix.as_str(), value) {
                    ("int", Json::Number(number)) if number.as_integer().is_some() => Ok(false),
                    ("float", Json::Number(_)) | ("bool", Json::Bool(_)) | ("null", Json::Null) => Ok(false),
                    ("int" | "float" | "bool" | "null", _) => Err("the value is not of its tag's type"),
                    _ => Err(UNKNOWN_TAG),
                }
            }
            Some(_) => Err(UNKNOWN_TAG),
        }
    }

    /// The pieces, where there are markers. A tree in text was taken for one among siblings: what
    /// was added to its line is removed.
    fn parts(&self) -> Result<Option<Vec<Part>>, &'static str> {
        if !has_reserved(self.text) {
            return Ok(None);
        }
        let healed = self.text.replace(AS_KEY, "").replace(AS_ITEM, "");
        let mut parts = Vec::new();
        for segment in segments(&healed) {
            parts.push(match segment.map_err(|_| MANGLED)? {
                Segment::Text(text) if has_reserved(text) => return Err(MISPLACED),
                Segment::Text(text) => Part::Const(text.to_owned()),
                Segment::Marker { number, .. } => Part::Slot(number),
            });
        }
        Ok(Some(parts))
    }
}

fn lone(marker: &str) -> Result<usize, &'static str> {
    let mut segments = segments(marker);
    match (segments.next(), segments.next()) {
        (Some(Ok(Segment::Marker { number, .. })), None) => Ok(number),
        _ => Err(MISPLACED),
    }
}
