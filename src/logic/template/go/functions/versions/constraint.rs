//! Ranges of versions: `>=1.2 <2 || ~3.4 || ^5 || 6.x || 7 - 8.1`.

use std::cmp::Ordering;

use super::{Version, compare_prereleases};

/// Alternatives, each of which has conditions that all hold.
pub struct Constraints<'a>(Vec<Vec<Constraint<'a>>>);

struct Constraint<'a> {
    operator: Operator,
    version: Version<'a>,
    precision: Precision,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Which numbers are given. The others are missing, or `x` or `*`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Precision {
    Nothing,
    Major,
    Minor,
    Patch,
}

const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::Unequal),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl<'a> Constraints<'a> {
    pub fn read(text: &'a str) -> Option<Self> {
        text.split("||").map(conditions).collect::<Option<Vec<_>>>().map(Self)
    }

    pub fn allow(&self, version: &Version) -> bool {
        self.0.iter().any(|conditions| conditions.iter().all(|condition| condition.allows(version)))
    }
}

/// Conditions with spaces or one comma between them.
fn conditions(text: &str) -> Option<Vec<Constraint<'_>>> {
    let mut conditions = Vec::new();
    let mut left = text.trim_start();
    let mut spaced = false;
    loop {
        let (operator, after) = match OPERATORS.into_iter().find(|(sign, _)| left.starts_with(sign)) {
            Some((sign, operator)) => (Some(operator), left.get(sign.len()..)?.trim_start()),
            None => (None, left),
        };
        let (first, after) = pattern(after)?;
        left = after;
        // Masterminds puts a space after a range, and loses one before it.
        let range = range_end(left).filter(|_| operator.is_none());
        let is_range = range.is_some();
        match range {
            Some(_) if spaced => return None,
            Some((last, after)) => {
                conditions.push(first.with(Operator::GreaterOrEqual));
                conditions.push(last.with(Operator::LessOrEqual));
                left = after;
            }
            None => conditions.push(first.with(operator.unwrap_or(Operator::Equal))),
        }
        let trimmed = left.trim_start();
        if trimmed.is_empty() {
            return Some(conditions);
        }
        let next = trimmed.strip_prefix(',').unwrap_or(trimmed);
        if next.len() == left.len() && !is_range {
            return None;
        }
        spaced = next.len() == trimmed.len() && !is_range;
        left = next.trim_start();
    }
}

/// The end of `1.0 - 2.0`.
fn range_end(text: &str) -> Option<(Constraint<'_>, &str)> {
    let dash = text.trim_start();
    let after = dash.strip_prefix('-')?;
    let end = after.trim_start();
    if dash.len() == text.len() || end.len() == after.len() {
        return None;
    }
    pattern(end)
}

/// A version with wildcards, and what follows it.
fn pattern(text: &str) -> Option<(Constraint<'_>, &str)> {
    let length = text.find(|c: char| c.is_whitespace() || ",=!<>~^".contains(c)).unwrap_or(text.len());
    let (text, after) = text.split_at(length);
    let numbers_end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, suffix) = text.split_at(numbers_end);
    let mut precision = Precision::Patch;
    let mut given = Vec::new();
    for number in numbers.strip_prefix('v').unwrap_or(numbers).split('.') {
        let wild = matches!(number, "x" | "X" | "*");
        if number.is_empty() || given.len() == 3 || !(wild || number.bytes().all(|byte| byte.is_ascii_digit())) {
            return None;
        }
        given.push((!wild).then_some(number));
    }
    for (place, missing) in [Precision::Nothing, Precision::Major, Precision::Minor].into_iter().enumerate() {
        if precision == Precision::Patch && given.get(place).copied().flatten().is_none() {
            precision = missing;
        }
    }
    // Numbers after a wildcard do not count, but have to be ones.
    let whole = precision == Precision::Patch;
    let number = |place: usize| given.get(place).copied().flatten().map_or(Some(0), |number| number.parse().ok());
    let exact = |place: usize, counts: bool| if counts { number(place) } else { Some(0) };
    let numbers = Version {
        major: exact(0, precision != Precision::Nothing)?,
        minor: exact(1, matches!(precision, Precision::Minor | Precision::Patch))?,
        patch: exact(2, whole)?,
        ..suffixed(suffix)?
    };
    Some((Constraint { operator: Operator::Equal, version: numbers, precision }, after))
}

/// A version of no number with this prerelease and metadata.
fn suffixed(suffix: &str) -> Option<Version<'_>> {
    let (prerelease, metadata) = suffix.split_once('+').map_or((suffix, None), |(a, b)| (a, Some(b)));
    let prerelease = prerelease.strip_prefix('-');
    if prerelease.is_some_and(|text| !super::is_prerelease(text))
        || metadata.is_some_and(|text| !super::is_dotted(text))
    {
        return None;
    }
    Some(Version {
        major: 0,
        minor: 0,
        patch: 0,
        prerelease: prerelease.unwrap_or_default(),
        metadata: metadata.unwrap_or_default(),
    })
}

impl Constraint<'_> {
    fn with(self, operator: Operator) -> Self {
        Self { operator, ..self }
    }

    fn allows(&self, version: &Version) -> bool {
        // Prereleases are only meant where the range has one. Different from a full version they
        // always are.
        let full = self.precision == Precision::Patch;
        let foreign = !version.prerelease.is_empty() && self.version.prerelease.is_empty();
        if foreign && !(self.operator == Operator::Unequal && full) {
            return false;
        }
        let order = version.compare(&self.version);
        match self.operator {
            Operator::Equal if full => order.is_eq(),
            Operator::Equal | Operator::Tilde => order.is_ge() && self.tilde(version),
            Operator::Unequal if full => order.is_ne(),
            Operator::Unequal => self.differs(version),
            Operator::Greater => self.is_below(version, order),
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual => self.reaches(version, order),
            Operator::Caret => order.is_ge() && self.caret(version),
        }
    }

    fn numbers(version: &Version) -> (u64, u64, u64) {
        (version.major, version.minor, version.patch)
    }

    /// `~1.2.3` is 1.2.x, `~1` is 1.x. `~0.0.0` and `~*` are everything.
    fn tilde(&self, version: &Version) -> bool {
        let given = !matches!(self.precision, Precision::Major | Precision::Minor);
        if given && Self::numbers(&self.version) == (0, 0, 0) {
            return true;
        }
        let minor = version.minor == self.version.minor || self.precision == Precision::Major;
        version.major == self.version.major && minor
    }

    /// `^1.2.3` is 1.x, `^0.2.3` is 0.2.x, `^0.0.3` is itself.
    fn caret(&self, version: &Version) -> bool {
        if self.version.major > 0 || self.precision == Precision::Major {
            return version.major == self.version.major;
        }
        if version.major > 0 {
            return false;
        }
        if self.version.minor > 0 || self.precision == Precision::Minor {
            return version.minor == self.version.minor;
        }
        version.minor == 0 && version.patch == self.version.patch
    }

    /// `!=1.2` is anything but 1.2.x.
    fn differs(&self, version: &Version) -> bool {
        if version.major != self.version.major {
            return true;
        }
        match self.precision {
            Precision::Major => false,
            _ if version.minor != self.version.minor => true,
            Precision::Minor if version.prerelease.is_empty() && self.version.prerelease.is_empty() => false,
            Precision::Minor => compare_prereleases(version.prerelease, self.version.prerelease).is_ne(),
            _ => version.compare(&self.version).is_ne(),
        }
    }

    /// `>1.2` begins at 1.3, `>1` at 2.
    fn is_below(&self, version: &Version, order: Ordering) -> bool {
        match version.major.cmp(&self.version.major) {
            _ if self.precision == Precision::Patch => order.is_gt(),
            Ordering::Equal => match self.precision {
                Precision::Major => false,
                Precision::Minor => version.minor > self.version.minor,
                _ => order.is_gt(),
            },
            major => major.is_gt(),
        }
    }

    /// `<=1.2` ends after 1.2.x, `<=1` after 1.x.
    fn reaches(&self, version: &Version, order: Ordering) -> bool {
        if self.precision == Precision::Patch {
            return order.is_le();
        }
        let minor = version.minor <= self.version.minor || self.precision == Precision::Major;
        match version.major.cmp(&self.version.major) {
            Ordering::Equal => minor,
            major => major.is_lt(),
        }
    }
}
