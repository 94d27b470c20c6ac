//! Decimal numbers, so that floats are added as people write them.

/// A number: the digits, and the power of ten that they are multiplied by.
#[derive(Clone, Copy)]
pub struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// The shortest decimal that means this float. None unless it is finite.
    pub fn of(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        let scientific = format!("{float:e}");
        let (mantissa, exponent) = scientific.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { digits, exponent: exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()? })
    }

    /// The nearest float.
    pub fn to_float(self) -> f64 {
        // Digits and an exponent are always read.
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or_default()
    }

    pub fn add(self, other: Self) -> Self {
        let lowest = self.exponent.min(other.exponent);
        if let Some(sum) = self.at(lowest).zip(other.at(lowest)).and_then(|(a, b)| a.checked_add(b)) {
            return Self { digits: sum, exponent: lowest }.trimmed();
        }
        // Digits far behind those of the larger one do not show.
        let top =
            |number: Self| number.exponent + if number.digits == 0 { i32::MIN / 2 } else { length(number.digits) };
        let exponent = top(self).max(top(other)) - MOST;
        Self { digits: self.rounded_at(exponent) + other.rounded_at(exponent), exponent }.trimmed()
    }

    pub fn sub(self, other: Self) -> Self {
        self.add(Self { digits: -other.digits, ..other })
    }

    pub fn mul(self, other: Self) -> Self {
        let (a, b) = (self.short(), other.short());
        let number = match self.digits.checked_mul(other.digits) {
            Some(digits) => Self { digits, exponent: self.exponent + other.exponent },
            None => Self { digits: a.digits * b.digits, exponent: a.exponent + b.exponent },
        };
        number.trimmed()
    }

    /// To 16 places, halves away from zero. The other is not zero.
    pub fn div(self, other: Self) -> Self {
        const PLACES: i32 = 16;
        let (above, below) = (self.short(), other.short());
        // Quotients with more digits than that have no such places as floats.
        let shift = (PLACES + above.exponent - below.exponent).min(MOST - length(above.digits));
        let exponent = above.exponent - below.exponent - shift;
        let (above, below) = match shift {
            0.. => (scale(above.digits, shift), Some(below.digits)),
            _ => (Some(above.digits), scale(below.digits, -shift)),
        };
        let digits = above.zip(below).map_or(0, |(above, below)| divided(above, below));
        Self { digits, exponent }.trimmed()
    }

    /// The digits at a lower exponent.
    fn at(self, exponent: i32) -> Option<i128> {
        scale(self.digits, self.exponent - exponent)
    }

    /// The digits at any exponent, rounded.
    fn rounded_at(self, exponent: i32) -> i128 {
        match self.exponent - exponent {
            up @ 0.. => scale(self.digits, up).unwrap_or_default(),
            down => scale(1, -down).map_or(0, |unit| divided(self.digits, unit)),
        }
    }

    /// As many digits as can be multiplied with as many, and some more than a float has.
    fn short(self) -> Self {
        const SHORT: i32 = 19;
        let exponent = self.exponent + (length(self.digits) - SHORT).max(0);
        Self { digits: self.rounded_at(exponent), exponent }
    }

    /// Without zeros at the end.
    fn trimmed(mut self) -> Self {
        while self.digits != 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.exponent += 1;
        }
        if self.digits == 0 { Self { digits: 0, exponent: 0 } } else { self }
    }
}

/// Digits that always fit, with one to spare for a sum.
const MOST: i32 = 37;

/// How many digits there are.
fn length(digits: i128) -> i32 {
    digits.unsigned_abs().checked_ilog10().map_or(1, |log| log.cast_signed() + 1)
}

fn scale(digits: i128, by: i32) -> Option<i128> {
    if digits == 0 {
        return Some(0);
    }
    digits.checked_mul(10i128.checked_pow(u32::try_from(by).ok()?)?)
}

/// A quotient, halves away from zero.
fn divided(above: i128, below: i128) -> i128 {
    let (quotient, rest) = (above / below, above % below);
    let up = rest.unsigned_abs() >= below.unsigned_abs() - rest.unsigned_abs();
    if up { quotient + above.signum() * below.signum() } else { quotient }
}
