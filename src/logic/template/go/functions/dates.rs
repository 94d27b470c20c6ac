//! Times and durations.
//!
//! A time is text here, as RFC 3339 has it (`2024-05-01T10:00:00Z`): that is what `now`, `toDate`
//! and `dateModify` give, what rows hold, and what all functions take, as well as seconds since
//! 1970. What is neither is an error, where Sprig would take the present time. `now` is the time of
//! the read and the same for all of its rows. The local time zone is UTC.

mod layout;
mod moment;
mod reading;
mod span;

use std::sync::LazyLock;

use gotmpl::Value;
use k8s_openapi::jiff::tz::{TimeZone, TimeZoneDatabase};

use super::call::{Call, Output, Reason, text};
use super::math::to_int;
use layout::write;
use moment::Moment;

/// The time zones of the world, compiled in.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone by name. One that nobody knows is UTC, as in Sprig.
fn zone(name: &str) -> TimeZone {
    match name {
        "" | "UTC" | "Local" => TimeZone::UTC,
        name => ZONES.get(name).unwrap_or(TimeZone::UTC),
    }
}

pub fn now(call: &Call) -> Output {
    call.read::<()>()?;
    Moment::utc(call.now).to_value()
}

pub fn date(call: &Call) -> Output {
    let (layout, date): (&str, _) = call.read()?;
    text(write(layout, Moment::of(date)?.at, &TimeZone::UTC))
}

pub fn date_in_zone(call: &Call) -> Output {
    let (layout, date, name): (&str, _, &str) = call.read()?;
    text(write(layout, Moment::of(date)?.at, &zone(name)))
}

/// As HTML's date fields have it.
const HTML: &str = "2006-01-02";

pub fn html_date(call: &Call) -> Output {
    let (date,) = call.read()?;
    text(write(HTML, Moment::of(date)?.at, &TimeZone::UTC))
}

pub fn html_date_in_zone(call: &Call) -> Output {
    let (date, name): (_, &str) = call.read()?;
    text(write(HTML, Moment::of(date)?.at, &zone(name)))
}

pub fn unix_epoch(call: &Call) -> Output {
    let (date,) = call.read()?;
    text(Moment::of(date)?.at.as_second().to_string())
}

/// The time moved by a duration (`-1.5h`). One that cannot be read moves nothing.
pub fn date_modify(call: &Call) -> Output {
    let (by, date): (&str, _) = call.read()?;
    Moment::of(date)?.moved(span::read(by).unwrap_or_default())?.to_value()
}

pub fn must_date_modify(call: &Call) -> Output {
    let (by, date): (&str, _) = call.read()?;
    let by = span::read(by).ok_or(Reason::Said("the duration cannot be read"))?;
    Moment::of(date)?.moved(by)?.to_value()
}

/// A time read by a Go layout. What cannot be read is Go's zero time, the start of year 1.
pub fn to_date(call: &Call) -> Output {
    let (layout, s): (&str, &str) = call.read()?;
    reading::read(layout, s).map_or_else(Moment::zero, Ok)?.to_value()
}

pub fn must_to_date(call: &Call) -> Output {
    let (layout, s): (&str, &str) = call.read()?;
    reading::read(layout, s).ok_or(Reason::Said("the time cannot be read by this layout"))?.to_value()
}

/// How long ago a time is, in whole seconds.
pub fn ago(call: &Call) -> Output {
    let (date,) = call.read()?;
    text(span::written(span::rounded(Moment::of(date)?.until(call.now))))
}

/// Seconds as a duration.
pub fn duration(call: &Call) -> Output {
    let (seconds,): (&Value,) = call.read()?;
    let seconds = match seconds {
        Value::String(digits) => digits.parse().unwrap_or_default(),
        number => to_int(number),
    };
    text(span::written(seconds.wrapping_mul(span::SECOND)))
}

/// A duration, nanoseconds, or the time since a time, in its largest unit alone.
pub fn duration_round(call: &Call) -> Output {
    let (value,): (&Value,) = call.read()?;
    let span = match value {
        Value::String(s) => {
            span::read(s).or_else(|| Moment::of(value).ok().map(|moment| moment.until(call.now))).unwrap_or_default()
        }
        number => to_int(number),
    };
    text(span::largest_unit(span))
}
