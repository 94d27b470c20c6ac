//! A call: its arguments, read as the types a function takes, and why it cannot be answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::Value;
use k8s_openapi::jiff::Timestamp;

use super::regexes::{Effort, Patterns};

/// What a call gives.
pub type Output = Result<Value, Reason>;
/// A Go `map[string]interface{}`.
pub type Map = BTreeMap<Arc<str>, Value>;

/// One call of a function.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The arguments in order, without markers.
    pub args: &'a [Value],
    /// The time of the read that the row comes from: what `now` is.
    pub now: Timestamp,
    /// Compiled patterns, kept from call to call.
    pub patterns: &'a Patterns,
    /// What the render's regular expressions have cost so far.
    pub effort: &'a Effort,
}

/// Why a call cannot be answered. Holds no value, in Debug neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The wrong number of arguments.
    Count {
        /// The least it takes.
        least: usize,
        /// Whether it takes more.
        more: bool,
        /// How many there are.
        got: usize,
    },
    /// An argument of the wrong kind.
    Kind {
        /// Which one, from 1.
        argument: usize,
        /// What the function takes.
        expected: &'static str,
        /// What it is.
        got: &'static str,
    },
    /// Anything else, in words.
    Said(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count { least, more, got } => {
                let (bound, plural) = (if more { "at least " } else { "" }, if least == 1 { "" } else { "s" });
                write!(f, "takes {bound}{least} argument{plural}, not {got}")
            }
            Self::Kind { argument, expected, got } => {
                write!(f, "argument {argument} must be {expected}, not {got}")
            }
            Self::Said(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Reason {}

impl<'a> Call<'a> {
    /// Exactly these arguments.
    pub fn read<T: Arguments<'a>>(&self) -> Result<T, Reason> {
        if self.args.len() != T::COUNT {
            return Err(Reason::Count { least: T::COUNT, more: false, got: self.args.len() });
        }
        T::read(self.args)
    }

    /// These arguments and any number of others.
    pub fn read_some<T: Arguments<'a>>(&self) -> Result<(T, &'a [Value]), Reason> {
        match self.args.split_at_checked(T::COUNT) {
            Some((first, rest)) => Ok((T::read(first)?, rest)),
            None => Err(Reason::Count { least: T::COUNT, more: true, got: self.args.len() }),
        }
    }

    /// These arguments and any number of others, all of one kind.
    pub fn read_all<T: Arguments<'a>, R: Argument<'a>>(&self) -> Result<(T, Vec<R>), Reason> {
        let (first, rest) = self.read_some::<T>()?;
        let rest = rest.iter().enumerate().map(|(i, value)| one(T::COUNT + i, value)).collect::<Result<_, _>>()?;
        Ok((first, rest))
    }
}

/// A type that an argument can be read as.
pub trait Argument<'a>: Sized {
    /// Its name in errors.
    const NAME: &'static str;
    /// The value, if it is one.
    fn of(value: &'a Value) -> Option<Self>;
}

/// Types that the first arguments can be read as.
pub trait Arguments<'a>: Sized {
    /// How many they are.
    const COUNT: usize;
    /// Reads as many.
    fn read(values: &'a [Value]) -> Result<Self, Reason>;
}

fn one<'a, T: Argument<'a>>(index: usize, value: &'a Value) -> Result<T, Reason> {
    T::of(value).ok_or(Reason::Kind { argument: index + 1, expected: T::NAME, got: name(value) })
}

macro_rules! arguments {
    ($count:literal $(, $name:ident)*) => {
        impl<'a, $($name: Argument<'a>),*> Arguments<'a> for ($($name,)*) {
            const COUNT: usize = $count;
            #[allow(unused, reason = "nothing is read for no arguments")]
            fn read(values: &'a [Value]) -> Result<Self, Reason> {
                let mut values = values.iter().chain(std::iter::repeat(&Value::Nil)).enumerate();
                let mut next = || values.next().unwrap_or((0, &Value::Nil));
                Ok(($({ let (index, value) = next(); one::<$name>(index, value)? },)*))
            }
        }
    };
}

arguments!(0);
arguments!(1, A);
arguments!(2, A, B);
arguments!(3, A, B, C);

/// What a value is, in words.
fn name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Uint(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::String(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a dict",
        Value::Function(_) => "a function",
    }
}

impl<'a> Argument<'a> for &'a Value {
    const NAME: &'static str = "a value";
    fn of(value: &'a Value) -> Option<Self> {
        Some(value)
    }
}

impl<'a> Argument<'a> for &'a str {
    const NAME: &'static str = "text";
    fn of(value: &'a Value) -> Option<Self> {
        value.as_str()
    }
}

impl<'a> Argument<'a> for bool {
    const NAME: &'static str = "a boolean";
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(bool) => Some(*bool),
            _ => None,
        }
    }
}

/// Go takes its `int` alone and JSON's numbers not. A number without a fraction is one here.
impl<'a> Argument<'a> for i64 {
    const NAME: &'static str = "a whole number";
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Int(int) => Some(*int),
            Value::Uint(uint) => i64::try_from(*uint).ok(),
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e18 => Some(*float as i64),
            _ => None,
        }
    }
}

impl<'a> Argument<'a> for f64 {
    const NAME: &'static str = "a number";
    fn of(value: &'a Value) -> Option<Self> {
        value.as_float()
    }
}

impl<'a> Argument<'a> for &'a [Value] {
    const NAME: &'static str = "a list";
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }
}

/// What is missing is an empty dict, as in Go. JSON's null is, too.
impl<'a> Argument<'a> for &'a Map {
    const NAME: &'static str = "a dict";
    fn of(value: &'a Value) -> Option<Self> {
        static EMPTY: Map = Map::new();
        match value {
            Value::Map(map) => Some(map),
            Value::Nil => Some(&EMPTY),
            _ => None,
        }
    }
}

/// Text as a result.
pub fn text(text: impl Into<Arc<str>>) -> Output {
    Ok(Value::String(text.into()))
}
