//! Durations, in nanoseconds, as Go writes them: `1h2m3.5s`.

pub const SECOND: i64 = 1_000_000_000;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration.
pub fn read(s: &str) -> Option<i64> {
    let negative = s.starts_with('-');
    let mut left = s.strip_prefix(['-', '+']).unwrap_or(s);
    if left == "0" {
        return Some(0);
    }
    if left.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !left.is_empty() {
        let number = left.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, rest) = left.split_at(number);
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(unit);
        left = rest;
        let (_, unit) = UNITS.into_iter().find(|(known, _)| *known == name)?;
        total = total.checked_add(part(digits, unit)?)?;
    }
    let total = i128::from(total);
    i64::try_from(if negative { -total } else { total }).ok()
}

/// A number of units, cut to whole nanoseconds.
fn part(digits: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in fraction.bytes() {
        // What is beyond these digits is less than a nanosecond.
        if let Some(next) = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')))
            && next <= i64::MAX.unsigned_abs()
        {
            value = next;
            scale *= 10.0;
        } else {
            break;
        }
    }
    let fraction = (value as f64 * (unit as f64 / scale)) as u64;
    whole.checked_mul(unit)?.checked_add(fraction)
}

/// Writes a duration.
pub fn written(span: i64) -> String {
    let sign = if span < 0 { "-" } else { "" };
    let nanos = span.unsigned_abs();
    let small = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => Some((1, "ns")),
        1_000..1_000_000 => Some((1_000, "µs")),
        1_000_000..1_000_000_000 => Some((1_000_000, "ms")),
        _ => None,
    };
    if let Some((unit, name)) = small {
        return format!("{sign}{}{name}", with_fraction(nanos / unit, nanos % unit, unit));
    }
    let second = SECOND.unsigned_abs();
    let seconds = nanos / second;
    let within = with_fraction(seconds % 60, nanos % second, second);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{within}s"),
        (0, minutes) => format!("{sign}{minutes}m{within}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{within}s"),
    }
}

fn with_fraction(whole: u64, rest: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    match format!("{rest:0width$}").trim_end_matches('0') {
        "" => whole.to_string(),
        digits => format!("{whole}.{digits}"),
    }
}

/// To whole seconds, halves away from zero.
pub fn rounded(span: i64) -> i64 {
    let rest = span % SECOND;
    let whole = span - rest;
    if rest.abs() * 2 < SECOND { whole } else { whole.saturating_add(SECOND * rest.signum()) }
}

/// The largest unit that it is more than one of, and how many of it.
pub fn largest_unit(span: i64) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    let nanos = span.unsigned_abs();
    for (unit, name) in [(365 * DAY, "y"), (30 * DAY, "mo"), (DAY, "d"), (HOUR, "h"), (60, "m"), (1, "s")] {
        let unit = unit * SECOND.unsigned_abs();
        if nanos > unit {
            return format!("{}{name}", nanos / unit);
        }
    }
    "0s".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (1_000_000_001, "1.000000001s"),
            (-61_500_000_000, "-1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(written(nanos), expected);
        }
    }
}
