//! Go's time layouts: examples of the time 2006-01-02 15:04:05 that say how others are written.

use std::fmt::Write as _;

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::DateTime;
use k8s_openapi::jiff::tz::TimeZone;

/// A part of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Literal(&'a str),
    Year {
        long: bool,
    },
    MonthName {
        long: bool,
    },
    Month {
        padded: bool,
    },
    WeekDay {
        long: bool,
    },
    Day(Pad),
    YearDay(Pad),
    Hour,
    Hour12 {
        padded: bool,
    },
    Minute {
        padded: bool,
    },
    Second {
        padded: bool,
    },
    /// `PM` or `pm`.
    HalfDay {
        capital: bool,
    },
    /// Decimals of a second after a point or comma. Trimmed ones leave out zeros at the end.
    Fraction {
        point: char,
        digits: usize,
        trimmed: bool,
    },
    /// The time zone's abbreviation.
    Zone,
    Offset(OffsetForm),
}

/// What stands before numbers that are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    None,
    Space,
    Zero,
}

/// How the distance from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetForm {
    /// `Z` for none.
    pub zulu: bool,
    pub colon: bool,
    pub minutes: bool,
    pub seconds: bool,
}

pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What parts look like, the longer ones first.
const FORMS: [(&str, Part<'static>); 29] = [
    ("January", Part::MonthName { long: true }),
    ("Monday", Part::WeekDay { long: true }),
    ("MST", Part::Zone),
    ("002", Part::YearDay(Pad::Zero)),
    ("01", Part::Month { padded: true }),
    ("02", Part::Day(Pad::Zero)),
    ("03", Part::Hour12 { padded: true }),
    ("04", Part::Minute { padded: true }),
    ("05", Part::Second { padded: true }),
    ("06", Part::Year { long: false }),
    ("15", Part::Hour),
    ("1", Part::Month { padded: false }),
    ("2006", Part::Year { long: true }),
    ("2", Part::Day(Pad::None)),
    ("__2", Part::YearDay(Pad::Space)),
    ("_2", Part::Day(Pad::Space)),
    ("3", Part::Hour12 { padded: false }),
    ("4", Part::Minute { padded: false }),
    ("5", Part::Second { padded: false }),
    ("PM", Part::HalfDay { capital: true }),
    ("pm", Part::HalfDay { capital: false }),
    ("07:00:00", offset(true, true, true)),
    ("070000", offset(false, true, true)),
    ("07:00", offset(true, true, false)),
    ("0700", offset(false, true, false)),
    ("07", offset(false, false, false)),
    ("Jan", Part::MonthName { long: false }),
    ("Mon", Part::WeekDay { long: false }),
    ("_2006", Part::Literal("_")),
];

const fn offset(colon: bool, minutes: bool, seconds: bool) -> Part<'static> {
    Part::Offset(OffsetForm { zulu: false, colon, minutes, seconds })
}

/// The parts of a layout.
pub fn parts(layout: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut literal = 0;
    let mut at = 0;
    while let Some(left) = layout.get(at..).filter(|left| !left.is_empty()) {
        match first(left) {
            Some((part, length)) => {
                if let Some(before) = layout.get(literal..at).filter(|before| !before.is_empty()) {
                    parts.push(Part::Literal(before));
                }
                parts.push(part);
                at += length;
                literal = at;
            }
            None => at += left.chars().next().map_or(1, char::len_utf8),
        }
    }
    if let Some(rest) = layout.get(literal..).filter(|rest| !rest.is_empty()) {
        parts.push(Part::Literal(rest));
    }
    parts
}

/// The part that a layout begins with, and its length.
fn first(layout: &str) -> Option<(Part<'static>, usize)> {
    if let Some(digits) = layout.strip_prefix(['.', ',']) {
        return fraction(layout, digits);
    }
    if layout.starts_with("_2006") {
        return Some((Part::Literal("_"), 1));
    }
    // Offsets stand after a sign or a Z, and only there.
    let (signed, zulu) = (layout.strip_prefix(['-', 'Z']), layout.starts_with('Z'));
    for (form, part) in FORMS {
        let matched = match part {
            Part::Offset(form_of) => signed
                .filter(|rest| rest.starts_with(form))
                .map(|_| (Part::Offset(OffsetForm { zulu, ..form_of }), form.len() + 1)),
            part => layout.strip_prefix(form).filter(|rest| is_whole(part, rest)).map(|_| (part, form.len())),
        };
        if matched.is_some() {
            return matched;
        }
    }
    None
}

/// `Jan` and `Mon` are not the starts of other words.
fn is_whole(part: Part, rest: &str) -> bool {
    let short = matches!(part, Part::MonthName { long: false } | Part::WeekDay { long: false });
    !short || !rest.starts_with(|c: char| c.is_ascii_lowercase())
}

fn fraction(layout: &str, digits: &str) -> Option<(Part<'static>, usize)> {
    let digit = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == digit).count();
    if digits.get(count..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    let point = if layout.starts_with('.') { '.' } else { ',' };
    Some((Part::Fraction { point, digits: count, trimmed: digit == '9' }, count + 1))
}

/// Writes a time as clocks of a zone show it.
pub fn write(layout: &str, at: Timestamp, zone: &TimeZone) -> String {
    let info = zone.to_offset_info(at);
    let time = info.offset().to_datetime(at);
    let mut out = String::new();
    for part in parts(layout) {
        // Writing to a text does not fail.
        let _ = match part {
            Part::Zone => write!(out, "{}", info.abbreviation()),
            Part::Offset(form) => write_offset(&mut out, form, info.offset().seconds()),
            part => write_part(&mut out, part, time),
        };
    }
    out
}

fn write_part(out: &mut String, part: Part, time: DateTime) -> std::fmt::Result {
    let name = |name: &'static str, long: bool| if long { name } else { name.get(..3).unwrap_or(name) };
    let number = |out: &mut String, number: i16, width: usize, pad: Pad| match pad {
        Pad::None => write!(out, "{number}"),
        Pad::Space => write!(out, "{number:width$}"),
        Pad::Zero => write!(out, "{number:0width$}"),
    };
    let padded = |padded| if padded { Pad::Zero } else { Pad::None };
    let hour12 = if time.hour() % 12 == 0 { 12 } else { time.hour() % 12 };
    match part {
        Part::Literal(text) => out.write_str(text),
        Part::Year { long: true } if time.year() < 0 => write!(out, "{:05}", time.year()),
        Part::Year { long: true } => write!(out, "{:04}", time.year()),
        Part::Year { long: false } => write!(out, "{:02}", time.year().unsigned_abs() % 100),
        Part::MonthName { long } => {
            let month = usize::try_from(time.month() - 1).ok().and_then(|month| MONTHS.get(month));
            out.write_str(name(month.unwrap_or(&""), long))
        }
        Part::WeekDay { long } => {
            let day = usize::try_from(time.weekday().to_sunday_zero_offset()).ok().and_then(|day| DAYS.get(day));
            out.write_str(name(day.unwrap_or(&""), long))
        }
        Part::Month { padded: pad } => number(out, time.month().into(), 2, padded(pad)),
        Part::Day(pad) => number(out, time.day().into(), 2, pad),
        Part::YearDay(pad) => number(out, time.day_of_year(), 3, pad),
        Part::Hour => number(out, time.hour().into(), 2, Pad::Zero),
        Part::Hour12 { padded: pad } => number(out, hour12.into(), 2, padded(pad)),
        Part::Minute { padded: pad } => number(out, time.minute().into(), 2, padded(pad)),
        Part::Second { padded: pad } => number(out, time.second().into(), 2, padded(pad)),
        Part::HalfDay { capital } => out.write_str(match (capital, time.hour() < 12) {
            (true, true) => "AM",
            (true, false) => "PM",
            (false, true) => "am",
            (false, false) => "pm",
        }),
        Part::Fraction { point, digits, trimmed } => {
            let nanos = format!("{:09}", time.subsec_nanosecond());
            let shown = nanos.get(..digits.min(9)).unwrap_or(&nanos);
            let shown = if trimmed { shown.trim_end_matches('0') } else { shown };
            if shown.is_empty() { Ok(()) } else { write!(out, "{point}{shown}") }
        }
        Part::Zone | Part::Offset(_) => Ok(()),
    }
}

fn write_offset(out: &mut String, form: OffsetForm, seconds: i32) -> std::fmt::Result {
    if form.zulu && seconds == 0 {
        return out.write_str("Z");
    }
    let colon = if form.colon { ":" } else { "" };
    let (sign, distance) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    write!(out, "{sign}{:02}", distance / 3600)?;
    if form.minutes {
        write!(out, "{colon}{:02}", distance / 60 % 60)?;
    }
    if form.seconds {
        write!(out, "{colon}{:02}", distance % 60)?;
    }
    Ok(())
}
