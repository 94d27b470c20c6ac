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

    pub fn add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.scaled(exponent).zip(other.scaled(exponent)).and_then(|(a, b)| a.checked_add(b));
        self.or_nearly(other, sum, exponent, |a, b| a + b)
    }

    pub fn sub(self, other: Self) -> Option<Self> {
        self.add(Self { digits: -other.digits, ..other })
    }

    pub fn mul(self, other: Self) -> Option<Self> {
        let product = self.digits.checked_mul(other.digits);
        self.or_nearly(other, product, self.exponent + other.exponent, |a, b| a * b)
    }

    /// To 16 places, halves away from zero. The other is not zero.
    pub fn div(self, other: Self) -> Option<Self> {
        const PLACES: i32 = 16;
        let shift = PLACES + self.exponent - other.exponent;
        let (above, below) = if shift >= 0 {
            (scale(self.digits, shift), Some(other.digits))
        } else {
            (Some(self.digits), scale(other.digits, -shift))
        };
        let quotient = above.zip(below).and_then(|(above, below)| {
            let (quotient, rest) = (above.checked_div(below)?, above.checked_rem(below)?);
            let up = rest.unsigned_abs().checked_mul(2)? >= below.unsigned_abs();
            let away = above.signum() * below.signum();
            quotient.checked_add(if up { away } else { 0 })
        });
        let nearly = |a: f64, b: f64| {
            let quotient = a / b;
            // Floats this large have no such places.
            if quotient.abs() > 1.0 { quotient } else { (quotient * 1e16).round() / 1e16 }
        };
        self.or_nearly(other, quotient, -PLACES, nearly)
    }

    /// The digits at a lower exponent.
    fn scaled(self, exponent: i32) -> Option<i128> {
        scale(self.digits, self.exponent - exponent)
    }

    /// Digits that were too many are computed as floats.
    fn or_nearly(self, other: Self, digits: Option<i128>, exponent: i32, nearly: fn(f64, f64) -> f64) -> Option<Self> {
        match digits {
            Some(0) => Some(Self { digits: 0, exponent: 0 }),
            Some(mut digits) => {
                let mut exponent = exponent;
                while digits % 10 == 0 {
                    digits /= 10;
                    exponent += 1;
                }
                Some(Self { digits, exponent })
            }
            None => Self::of(nearly(self.to_float(), other.to_float())),
        }
    }
}

fn scale(digits: i128, by: i32) -> Option<i128> {
    if digits == 0 {
        return Some(0);
    }
    digits.checked_mul(10i128.checked_pow(u32::try_from(by).ok()?)?)
}
