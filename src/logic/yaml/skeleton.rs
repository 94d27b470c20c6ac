//! Marked text to a tree with holes. Parsed once for each text and then kept, as rows of one table
//! mostly give the same marked text.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::scalar::{self, MISPLACED, Scalar};
use super::splice::prepare;
use super::{MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, YamlError};
use crate::logic::json::Json;

/// Documents with holes where values go.
#[derive(Debug)]
pub struct Skeleton {
    pub(super) documents: Vec<Node>,
}

#[derive(Debug)]
pub(super) enum Node {
    /// Nothing was written: null, and room for a list that follows.
    Empty,
    Const(Json),
    /// A value with its own type.
    Slot(usize),
    Text(Text),
    Seq(Vec<Item>),
    Map(Vec<Entry>),
}

/// Text with values in it: always a string.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) parts: Vec<Part>,
    /// Within quotes, where `quote` has nothing left to do.
    pub(super) quoted: bool,
    /// The column of a block scalar's text.
    pub(super) block: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Part {
    Const(String),
    Slot(usize),
}

#[derive(Debug)]
pub(super) enum Item {
    Node(Node),
    Splice { slot: usize, line: usize },
}

#[derive(Debug)]
pub(super) enum Entry {
    Pair { key: Key, value: Node, line: usize },
    Splice { slot: usize, line: usize },
}

#[derive(Debug)]
pub(super) enum Key {
    Const(String),
    Slot(usize),
    Text(Text),
    /// Not a key: a tree's marker that was made one.
    Splice(usize),
}

/// A collection that is still open.
enum Frame {
    Seq(Vec<Item>),
    Map { entries: Vec<Entry>, key: Option<(Key, usize)> },
}

impl Skeleton {
    /// Parses marked text.
    pub fn parse(marked: &str) -> Result<Self, YamlError> {
        refuse_escaped_markers(marked)?;
        let text = prepare(marked);
        let mut builder = Builder { stack: Vec::new(), documents: Vec::new(), root: None, nodes: 0 };
        for event in Parser::new_from_str(&text) {
            let (event, span) = event.map_err(|e| unreadable(&e))?;
            builder.event(event, span)?;
        }
        Ok(Self { documents: builder.documents })
    }
}

const ANCHORS: &str = "YAML anchors and aliases are not supported";

/// The parser's words are about the text of the template: no value was in it.
fn unreadable(error: &ScanError) -> YamlError {
    let line = error.marker().line();
    match error.info() {
        info if info.contains("anchor") => YamlError::at(line, ANCHORS),
        info => YamlError::at(line, format!("not valid YAML: {info}")),
    }
}

struct Builder {
    stack: Vec<Frame>,
    documents: Vec<Node>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let line = span.start.line();
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(YamlError::at(line, format!("more than {MAX_NODES} keys, values and brackets")));
        }
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => Ok(()),
            Event::DocumentEnd => {
                self.documents.extend(self.root.take());
                if self.documents.len() > MAX_DOCUMENTS {
                    return Err(YamlError::at(line, format!("more than {MAX_DOCUMENTS} documents")));
                }
                Ok(())
            }
            Event::Alias(_) => Err(YamlError::at(line, ANCHORS)),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_anchor(anchor, line)?;
                let scalar = Scalar { text: &text, style, tag: tag.as_deref(), block: block_column(style, span) };
                self.scalar(&scalar, line)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_anchor(anchor, line)?;
                refuse_tag(tag.as_deref(), "seq", line)?;
                self.open(Frame::Seq(Vec::new()), line)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_anchor(anchor, line)?;
                refuse_tag(tag.as_deref(), "map", line)?;
                self.open(Frame::Map { entries: Vec::new(), key: None }, line)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Frame::Seq(items)) => self.node(Node::Seq(items), line),
                Some(Frame::Map { entries, .. }) => self.node(Node::Map(entries), line),
                None => Err(YamlError::at(line, "not valid YAML")),
            },
        }
    }

    fn open(&mut self, frame: Frame, line: usize) -> Result<(), YamlError> {
        if let Some(Frame::Map { key: None, .. }) = self.stack.last() {
            return Err(YamlError::at(line, "a map or list cannot be a key"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(YamlError::at(line, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn scalar(&mut self, scalar: &Scalar, line: usize) -> Result<(), YamlError> {
        let at = |reason| YamlError::at(line, reason);
        match self.stack.last_mut() {
            Some(Frame::Map { key: key @ None, .. }) => *key = Some((scalar.key().map_err(at)?, line)),
            Some(Frame::Seq(items)) => items.push(scalar.item(line).map_err(at)?),
            _ => return self.node(scalar.node().map_err(at)?, line),
        }
        Ok(())
    }

    fn node(&mut self, node: Node, line: usize) -> Result<(), YamlError> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::Seq(items)) => items.push(Item::Node(node)),
            Some(Frame::Map { entries, key }) => entries.push(match (key.take(), node) {
                (Some((Key::Splice(slot), line)), Node::Empty) => Entry::Splice { slot, line },
                (Some((Key::Splice(_), _)) | None, _) => {
                    return Err(YamlError::at(line, MISPLACED));
                }
                (Some((key, line)), value) => Entry::Pair { key, value, line },
            }),
        }
        Ok(())
    }
}

/// The column of a block scalar's text, where the parser says it starts.
fn block_column(style: ScalarStyle, span: Span) -> Option<usize> {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded).then(|| span.start.col())
}

fn refuse_anchor(anchor: usize, line: usize) -> Result<(), YamlError> {
    match anchor {
        0 => Ok(()),
        _ => Err(YamlError::at(line, ANCHORS)),
    }
}

fn refuse_tag(tag: Option<&Tag>, allowed: &str, line: usize) -> Result<(), YamlError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == allowed) => {
            Err(YamlError::at(line, scalar::UNKNOWN_TAG))
        }
        _ => Ok(()),
    }
}

/// Escapes in double quotes would make markers that we did not write.
fn refuse_escaped_markers(marked: &str) -> Result<(), YamlError> {
    for (number, line) in marked.lines().enumerate() {
        for (at, _) in line.match_indices("\\") {
            let escape = line.as_bytes().get(at + 1..).unwrap_or_default();
            let digits = match escape {
                [b'u', digits @ ..] | [b'U', b'0', b'0', b'0', b'0', digits @ ..] => digits,
                _ => continue,
            };
            if let [b'e' | b'E', b'0', b'0', b'0'..=b'3', ..] = digits {
                return Err(YamlError::at(number + 1, "escapes of U+E000 to U+E003 are not supported"));
            }
        }
    }
    Ok(())
}
