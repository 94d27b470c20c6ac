//! Times read by a Go layout.

use k8s_openapi::jiff::civil::Date;
use k8s_openapi::jiff::tz::Offset;

use super::layout::{DAYS, MONTHS, OffsetForm, Pad, Part, parts};
use super::moment::Moment;

/// What was read so far.
#[derive(Default)]
struct Fields {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<Offset>,
    zone: Option<Offset>,
}

/// Reads a time. Without an offset, it is in UTC.
pub fn read(layout: &str, value: &str) -> Option<Moment> {
    let parts = parts(layout);
    let mut fields = Fields::default();
    let mut left = value;
    for (i, part) in parts.iter().enumerate() {
        let fraction_follows = matches!(parts.get(i + 1), Some(Part::Fraction { .. }));
        left = fields.take(*part, left, fraction_follows)?;
    }
    if !left.is_empty() {
        return None;
    }
    fields.moment()
}

impl Fields {
    /// Takes what a part stands for, and gives what is left.
    fn take<'a>(&mut self, part: Part, value: &'a str, fraction_follows: bool) -> Option<&'a str> {
        match part {
            Part::Literal(literal) => return skip(value, literal),
            Part::Year { long: true } => {
                let (digits, rest) = value.split_at_checked(4)?;
                self.year = digits.starts_with(|c: char| c.is_ascii_digit()).then(|| digits.parse().ok())??;
                return Some(rest);
            }
            Part::Year { long: false } => {
                let (digits, rest) = value.split_at_checked(2)?;
                let year: i16 = digits.parse().ok()?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
                return Some(rest);
            }
            Part::MonthName { long } => {
                let (month, rest) = named(&MONTHS, value, long)?;
                self.month = Some(month + 1);
                return Some(rest);
            }
            Part::WeekDay { long } => return named(&DAYS, value, long).map(|(_, rest)| rest),
            Part::HalfDay { capital } => {
                let (am, pm) = if capital { ("AM", "PM") } else { ("am", "pm") };
                let rest = value.strip_prefix(am).or(value.strip_prefix(pm))?;
                self.afternoon = Some(value.starts_with(pm));
                return Some(rest);
            }
            Part::Zone => return self.take_zone(value),
            Part::Offset(form) => return self.take_offset(form, value),
            Part::Fraction { digits, trimmed, .. } => return self.take_fraction(digits, trimmed, value),
            _ => {}
        }
        let (padded, spaces, most) = match part {
            Part::Month { padded } | Part::Hour12 { padded } | Part::Minute { padded } | Part::Second { padded } => {
                (padded, 0, 2)
            }
            Part::Day(pad) => (pad == Pad::Zero, usize::from(pad == Pad::Space), 2),
            Part::YearDay(pad) => (pad == Pad::Zero, if pad == Pad::Space { 2 } else { 0 }, 3),
            _ => (false, 0, 2),
        };
        let value = (0..spaces).fold(value, |value, _| value.strip_prefix(' ').unwrap_or(value));
        let (number, rest) = number(value, padded, most)?;
        let small = i8::try_from(number);
        let within = |range: std::ops::RangeInclusive<i8>| small.ok().filter(|number| range.contains(number));
        match part {
            Part::Month { .. } => self.month = Some(within(1..=12)?),
            Part::Day(_) => self.day = Some(small.ok()?),
            Part::YearDay(_) => self.year_day = Some(number),
            Part::Hour => self.hour = within(0..=23)?,
            Part::Hour12 { .. } => self.hour = within(0..=12)?,
            Part::Minute { .. } => self.minute = within(0..=59)?,
            Part::Second { .. } => {
                self.second = within(0..=59)?;
                // Decimals may follow the seconds, also where the layout has none.
                if !fraction_follows {
                    return self.take_fraction(1, true, rest);
                }
            }
            _ => return None,
        }
        Some(rest)
    }

    fn take_fraction<'a>(&mut self, digits: usize, trimmed: bool, value: &'a str) -> Option<&'a str> {
        let decimals = value.strip_prefix(['.', ',']);
        let found = decimals.map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let length = match (trimmed, found) {
            (true, 0) => return Some(value),
            (true, found) => found,
            (false, found) => (found >= digits).then_some(digits)?,
        };
        let (decimals, rest) = decimals?.split_at_checked(length)?;
        self.nanos = format!("{:0<9}", decimals.get(..9).unwrap_or(decimals)).parse().ok()?;
        Some(rest)
    }

    fn take_offset<'a>(&mut self, form: OffsetForm, value: &'a str) -> Option<&'a str> {
        if let Some(rest) = value.strip_prefix('Z').filter(|_| form.zulu) {
            self.zone = Some(Offset::UTC);
            return Some(rest);
        }
        let sign = match value.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let mut rest = value.get(1..)?;
        let mut seconds = 0;
        for (wanted, unit, most) in [(true, 3600, 24), (form.minutes, 60, 60), (form.seconds, 1, 60)] {
            if !wanted {
                continue;
            }
            if form.colon && unit < 3600 {
                rest = rest.strip_prefix(':')?;
            }
            let (count, after) = number(rest, true, 2)?;
            seconds += (count <= most).then_some(i32::from(count))? * unit;
            rest = after;
        }
        self.offset = Some(Offset::from_seconds(sign * seconds).ok()?);
        Some(rest)
    }

    /// An abbreviation says nothing about the offset, and neither does `GMT+3`, as in Go.
    fn take_zone<'a>(&mut self, value: &'a str) -> Option<&'a str> {
        if let Some(rest) = value.strip_prefix("UTC") {
            self.zone = Some(Offset::UTC);
            return Some(rest);
        }
        let hours = |signed: &'a str| {
            let digits = signed.strip_prefix(['+', '-'])?;
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            digits.get(..length)?.parse().ok().filter(|hours: &u8| *hours <= 23)?;
            digits.get(length..)
        };
        if let Some(rest) = value.strip_prefix("GMT") {
            return Some(hours(rest).unwrap_or(rest));
        }
        if value.starts_with(['+', '-']) {
            return hours(value);
        }
        let capitals = value.bytes().take_while(u8::is_ascii_uppercase).count();
        let length = match capitals {
            _ if value.starts_with("ChST") || value.starts_with("MeST") => 4,
            3 => 3,
            4 if value.starts_with("WITA") || value.as_bytes().get(3) == Some(&b'T') => 4,
            5 if value.as_bytes().get(4) == Some(&b'T') => 5,
            _ => return None,
        };
        value.get(length..)
    }

    fn moment(self) -> Option<Moment> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => {
                let date = Date::new(self.year, 1, 1).ok()?.with().day_of_year(day).build().ok()?;
                let agrees = self.month.is_none_or(|month| month == date.month());
                (agrees && self.day.is_none_or(|day| day == date.day())).then_some(date)?
            }
            None => Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let offset = self.zone.or(self.offset).unwrap_or(Offset::UTC);
        let at = offset.to_timestamp(date.at(hour, self.minute, self.second, self.nanos)).ok()?;
        Some(Moment { at, offset })
    }
}

/// The value after a literal. A space stands for any number of them.
fn skip<'a>(mut value: &'a str, literal: &str) -> Option<&'a str> {
    let mut literal = literal;
    while let Some(c) = literal.chars().next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return None;
            }
            (literal, value) = (literal.trim_start_matches(' '), value.trim_start_matches(' '));
        } else {
            (literal, value) = (literal.strip_prefix(c)?, value.strip_prefix(c)?);
        }
    }
    Some(value)
}

/// A number of one to so many digits, of exactly two, or three, where it is padded.
fn number(value: &str, padded: bool, most: usize) -> Option<(i16, &str)> {
    let found = value.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if found == 0 || padded && found < most {
        return None;
    }
    let (digits, rest) = value.split_at_checked(found)?;
    Some((digits.parse().ok()?, rest))
}

/// Which of these names a value begins with, in any case.
fn named<'a>(names: &[&str], value: &'a str, long: bool) -> Option<(i8, &'a str)> {
    names.iter().zip(0..).find_map(|(name, index)| {
        let name = if long { name } else { name.get(..3)? };
        let (start, rest) = value.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some((index, rest))
    })
}
