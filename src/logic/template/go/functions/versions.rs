//! Versions as semver.org has them, and the ranges that Helm's users know.
//!
//! `semver` gives a dict: `(semver "1.2.3").Minor` works, printing it shows a dict.

mod constraint;

use std::cmp::Ordering;
use std::sync::Arc;

use gotmpl::Value;

use super::bounds;
use super::call::{Call, Map, Output, Reason};
use constraint::Constraints;

/// A version. What stands behind a `+` does not count when versions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
    pub prerelease: &'a str,
    pub metadata: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version. A `v` may stand before it; minor and patch may be missing.
    pub fn read(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(['-', '+']).unwrap_or(text.len());
        let (numbers, after) = text.split_at(end);
        let (prerelease, metadata) = match after.split_once('+') {
            Some((before, metadata)) => (before, Some(metadata)),
            None => (after, None),
        };
        let prerelease = prerelease.strip_prefix('-');
        if prerelease.is_some_and(|text| !is_prerelease(text)) || metadata.is_some_and(|text| !is_dotted(text)) {
            return None;
        }
        let mut numbers = numbers.split('.').map(number);
        let version = Self {
            major: numbers.next()??,
            minor: numbers.next().unwrap_or(Some(0))?,
            patch: numbers.next().unwrap_or(Some(0))?,
            prerelease: prerelease.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
        };
        numbers.next().is_none().then_some(version)
    }

    /// Which of two versions comes first.
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.prerelease, other.prerelease) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => compare_prereleases(a, b),
        })
    }
}

/// Digits alone: no sign.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Whether all parts between dots are letters, digits and dashes.
fn is_dotted(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.split('.').all(part)
}

/// Whether numbers have no zeros before them, too.
fn is_prerelease(text: &str) -> bool {
    let padded = |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit());
    is_dotted(text) && !text.split('.').any(padded)
}

/// Part by part: numbers by their value and before words, what has fewer parts first.
pub fn compare_prereleases(a: &str, b: &str) -> Ordering {
    let part = |part: &str| match part.parse::<u64>() {
        Ok(number) => (0, number, String::new()),
        Err(_) => (1, 0, part.to_owned()),
    };
    if a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len());
    }
    a.split('.').map(part).cmp(b.split('.').map(part))
}

const NO_VERSION: Reason = Reason::Said("the text is not a version");

pub fn semver(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let version = Version::read(s).ok_or(NO_VERSION)?;
    let number = |number: u64| i64::try_from(number).map_or(Value::Uint(number), Value::Int);
    let text = |text: &str| Value::String(text.into());
    let mut whole = format!("{}.{}.{}", version.major, version.minor, version.patch);
    for (mark, part) in [('-', version.prerelease), ('+', version.metadata)] {
        if !part.is_empty() {
            whole.push(mark);
            whole.push_str(part);
        }
    }
    let fields = [
        ("Major", number(version.major)),
        ("Minor", number(version.minor)),
        ("Patch", number(version.patch)),
        ("Prerelease", text(version.prerelease)),
        ("Metadata", text(version.metadata)),
        ("Original", text(s)),
        ("String", text(&whole)),
    ];
    bounds::dict(fields.into_iter().map(|(key, value)| (Arc::from(key), value)).collect::<Map>())
}

pub fn semver_compare(call: &Call) -> Output {
    let (range, s): (&str, &str) = call.read()?;
    let constraints = Constraints::read(range).ok_or(Reason::Said("the text is not a range of versions"))?;
    let version = Version::read(s).ok_or(NO_VERSION)?;
    Ok(Value::Bool(constraints.allow(&version)))
}
