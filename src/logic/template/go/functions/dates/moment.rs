//! A point in time, and how it is written as a value.

use gotmpl::Value;
use k8s_openapi::jiff::civil::{Time, date};
use k8s_openapi::jiff::fmt::temporal::Pieces;
use k8s_openapi::jiff::tz::Offset;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::super::call::{Output, Reason, text};

/// A point in time, as a clock somewhere shows it.
#[derive(Clone, Copy)]
pub struct Moment {
    pub at: Timestamp,
    pub offset: Offset,
}

const NONE: Reason = Reason::Said("the value is not a time");
const FAR: Reason = Reason::Said("the time is too far away");

impl Moment {
    pub fn utc(at: Timestamp) -> Self {
        Self { at, offset: Offset::UTC }
    }

    /// The start of year 1.
    pub fn zero() -> Result<Self, Reason> {
        Offset::UTC.to_timestamp(date(1, 1, 1).at(0, 0, 0, 0)).map(Self::utc).map_err(|_| FAR)
    }

    /// Text as RFC 3339 or PostgreSQL has it, in UTC where it has no offset; or seconds since 1970.
    pub fn of(value: &Value) -> Result<Self, Reason> {
        match value {
            Value::String(s) => {
                let pieces = Pieces::parse(s.as_bytes()).map_err(|_| NONE)?;
                let civil = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
                let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
                Ok(Self { at: offset.to_timestamp(civil).map_err(|_| FAR)?, offset })
            }
            Value::Int(_) | Value::Uint(_) | Value::Float(_) => {
                let seconds = super::to_int(value);
                Timestamp::from_second(seconds).map(Self::utc).map_err(|_| FAR)
            }
            Value::Nil | Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Function(_) => Err(NONE),
        }
    }

    pub fn to_value(self) -> Output {
        // RFC 3339 knows no offsets of seconds.
        if self.offset.seconds() % 60 != 0 || self.offset == Offset::UTC {
            return text(self.at.to_string());
        }
        text(self.at.display_with_offset(self.offset).to_string())
    }

    /// Later by so many nanoseconds.
    pub fn moved(self, by: i64) -> Result<Self, Reason> {
        let at = self.at.checked_add(SignedDuration::from_nanos(by)).map_err(|_| FAR)?;
        Ok(Self { at, ..self })
    }

    /// Nanoseconds until a time. More than a duration holds is the longest.
    pub fn until(self, other: Timestamp) -> i64 {
        let distance = other.as_nanosecond() - self.at.as_nanosecond();
        i64::try_from(distance).unwrap_or(if distance < 0 { i64::MIN } else { i64::MAX })
    }
}
