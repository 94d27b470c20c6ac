//! Text with markers as a whole: what can be done to its layout while its values stay values.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::logic::yaml::slot::{self, Edit, Segment, Slot, Slots, segments};

/// The values of a render are larger than [`slot::MAX_BYTES`].
pub(super) const TOO_LARGE: &str = "the values of this row are larger than 16 MiB";
/// A marker was cut or changed, or there is no such slot.
pub(super) const MANGLED: &str = "a value's marker was damaged; use a filter on the value itself";

/// Indents text after every newline: its own lines here, those of its values when they become text.
pub(super) fn indent(slots: &mut Slots, text: &str, width: usize, blank: bool) -> Result<String, &'static str> {
    let pieces = segments(text).collect::<Result<Vec<_>, _>>().map_err(|_| MANGLED)?;
    let mut out = String::with_capacity(text.len());
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Segment::Text(text) => {
                out.push_str(&slot::indent(text, width, blank));
                // The last line goes on with what follows, so it is not an empty one.
                if !blank && text.ends_with('\n') && starts_with_text(slots, &pieces[at + 1..]) {
                    out.extend(std::iter::repeat_n(' ', width));
                }
            }
            Segment::Marker { number, .. } => {
                let slot = edited(slots, *number, Edit::Indent { width, blank })?;
                slots.push(slot, &mut out).map_err(|_| TOO_LARGE)?;
            }
        }
    }
    Ok(out)
}

fn edited(slots: &Slots, number: usize, edit: Edit) -> Result<Slot, &'static str> {
    let mut slot = slots.get(number).ok_or(MANGLED)?.clone();
    slot.edits.push(edit);
    Ok(slot)
}

fn starts_with_text(slots: &Slots, pieces: &[Segment]) -> bool {
    pieces.iter().find_map(|piece| first_char(slots, piece)).is_some_and(|c| c != '\n')
}

fn first_char(slots: &Slots, piece: &Segment) -> Option<char> {
    match piece {
        Segment::Text(text) => text.chars().next(),
        Segment::Marker { number, .. } => slots.get(*number)?.text().chars().next(),
    }
}

/// A piece of text that is being trimmed.
enum Piece<'a> {
    Text(&'a str),
    Marker { number: usize, text: Cow<'a, str> },
}

/// Trims text, into the values at its ends. A value that is nothing but whitespace there is left out, and the one
/// beyond it is trimmed; the last one stays, as an empty value is not the same as none.
pub(super) fn trim(slots: &mut Slots, text: &str) -> Result<String, &'static str> {
    let mut pieces = VecDeque::new();
    for segment in segments(text) {
        pieces.push_back(match segment.map_err(|_| MANGLED)? {
            Segment::Text(text) => Piece::Text(text),
            Segment::Marker { number, text } => Piece::Marker { number, text: text.into() },
        });
    }
    while let Some(piece) = pieces.pop_front() {
        if let Some(piece) = trimmed(slots, piece, Edit::TrimStart, pieces.is_empty())? {
            pieces.push_front(piece);
            break;
        }
    }
    while let Some(piece) = pieces.pop_back() {
        if let Some(piece) = trimmed(slots, piece, Edit::TrimEnd, pieces.is_empty())? {
            pieces.push_back(piece);
            break;
        }
    }
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text,
        Piece::Marker { text, .. } => &**text,
    });
    Ok(texts.collect())
}

/// What is left of a piece at an end; None if there is nothing.
fn trimmed<'a>(
    slots: &mut Slots,
    piece: Piece<'a>,
    edit: Edit,
    is_last: bool,
) -> Result<Option<Piece<'a>>, &'static str> {
    match piece {
        Piece::Text(text) => {
            let text = if edit == Edit::TrimStart { text.trim_start() } else { text.trim_end() };
            Ok((!text.is_empty()).then_some(Piece::Text(text)))
        }
        Piece::Marker { number, text } => {
            let before = slots.get(number).ok_or(MANGLED)?.text();
            let slot = edited(slots, number, edit)?;
            let after = slot.text();
            if after.is_empty() && !is_last {
                return Ok(None);
            }
            if before == after {
                return Ok(Some(Piece::Marker { number, text }));
            }
            let mut text = String::new();
            let number = slots.all().len();
            slots.push(slot, &mut text).map_err(|_| TOO_LARGE)?;
            Ok(Some(Piece::Marker { number, text: text.into() }))
        }
    }
}
