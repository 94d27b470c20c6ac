//! All functions of Go templates by name: those that know of markers and exact numbers, and Sprig's pure ones, for
//! which those are made plain values first.

use gotmpl::Value;

use super::failure::{Reason, UNDEFINED};
use super::machine::Machine;
use super::state::Plain;
use super::{builtins, forms, functions, layout, parsing};

/// A function that sees values as they are.
pub(super) type Own = fn(&Call) -> Result<Value, Reason>;

/// One call.
pub(super) struct Call<'a> {
    pub(super) machine: &'a Machine,
    pub(super) args: &'a [Value],
}

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Function {
    Own(Own),
    Pure(functions::Function, Class),
    /// Why there is no such function.
    Refused(&'static str),
}

/// What a pure function does with its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Reads them as text, numbers too.
    Text,
    /// Reads them as text but for those of these positions, which are numbers.
    Counting(&'static [usize]),
    /// Computes with them.
    Numbers,
    /// Compares them; one may be missing.
    Comparing,
    /// Tells what they are; one may be missing.
    Telling,
    /// Puts them elsewhere but for those of these positions, which are numbers; one may be missing.
    Passing(&'static [usize]),
    /// Puts every other one elsewhere, under the text before it; one may be missing.
    Pairing,
    /// Passes them on if they are not empty; one may be missing.
    Choosing,
}

/// Finds a function.
pub(super) fn find(name: &str) -> Option<Function> {
    let own = [builtins::ALL, forms::ALL, layout::ALL, parsing::ALL].into_iter().flatten();
    if let Some((_, function)) = own.into_iter().find(|(known, _)| *known == name) {
        return Some(Function::Own(*function));
    }
    if let Some((_, function)) = functions::ALL.iter().find(|(known, _)| *known == name) {
        return Some(Function::Pure(*function, class(name)));
    }
    if name == "lookup" {
        return Some(Function::Refused("reads the cluster, which a template cannot: join the data in the query"));
    }
    functions::REFUSED.iter().find(|(known, _)| *known == name).map(|(_, reason)| Function::Refused(reason))
}

fn class(name: &str) -> Class {
    if name == "must_date_modify" {
        return Class::Numbers;
    }
    let name = name.strip_prefix("must").map_or(name.to_owned(), |rest| {
        // `mustAppend` does what `append` does.
        let mut letters = rest.chars();
        letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    });
    match name.as_str() {
        "append" | "concat" | "deepCopy" | "dig" | "first" | "get" | "hasKey" | "initial" | "keys" | "last"
        | "list" | "merge" | "mergeOverwrite" | "omit" | "pick" | "pluck" | "prepend" | "push" | "rest" | "reverse"
        | "set" | "slice" | "tuple" | "unset" | "values" => Class::Passing(&[]),
        "abbrev" | "repeat" | "trunc" | "wrap" | "wrapWith" => Class::Counting(&[0]),
        "abbrevboth" | "substr" => Class::Counting(&[0, 1]),
        "splitn" => Class::Counting(&[1]),
        "regexFindAll" | "regexSplit" => Class::Counting(&[2]),
        "chunk" => Class::Passing(&[0]),
        "dict" => Class::Pairing,
        "all" | "any" | "coalesce" | "compact" | "default" | "empty" | "ternary" => Class::Choosing,
        "deepEqual" | "has" | "uniq" | "without" => Class::Comparing,
        "kindIs" | "kindOf" | "typeIs" | "typeIsLike" | "typeOf" => Class::Telling,
        "add" | "add1" | "add1f" | "addf" | "biggest" | "ceil" | "div" | "divf" | "float64" | "floor" | "int"
        | "int64" | "max" | "maxf" | "min" | "minf" | "mod" | "mul" | "mulf" | "round" | "seq" | "sub" | "subf"
        | "until" | "untilStep" | "ago" | "date" | "dateInZone" | "dateModify" | "date_in_zone" | "date_modify"
        | "duration" | "durationRound" | "htmlDate" | "htmlDateInZone" | "plural" | "unixEpoch" => Class::Numbers,
        _ => Class::Text,
    }
}

impl Class {
    /// What becomes of an argument that gotmpl has no variant for.
    pub(super) fn plain(self, index: usize) -> Plain {
        match self {
            Self::Counting(numbers) | Self::Passing(numbers) if numbers.contains(&index) => Plain::Whole,
            Self::Pairing if index % 2 == 1 => Plain::Kept,
            Self::Text | Self::Counting(_) | Self::Pairing => Plain::Digits,
            Self::Numbers | Self::Telling => Plain::Nearest,
            Self::Comparing => Plain::Whole,
            Self::Passing(_) => Plain::Kept,
            Self::Choosing => Plain::KeptUnlessEmpty,
        }
    }

    /// Whether an argument may be missing.
    pub(super) fn takes_missing(self) -> bool {
        !matches!(self, Self::Text | Self::Counting(_) | Self::Numbers)
    }
}

impl<'a> Call<'a> {
    /// An argument that is there and no mistake.
    pub(super) fn value(&self, index: usize) -> Result<&'a Value, Reason> {
        match self.args.get(index) {
            Some(Value::Nil) => Err(UNDEFINED.into()),
            Some(value) => Ok(value),
            None => Err("an argument is missing".into()),
        }
    }

    /// Exactly so many arguments.
    pub(super) fn count(&self, wanted: usize) -> Result<(), Reason> {
        self.between(wanted, wanted)
    }

    /// So many arguments.
    pub(super) fn between(&self, least: usize, most: usize) -> Result<(), Reason> {
        match self.args.len() {
            got if got < least => Err("an argument is missing".into()),
            got if got > most => Err("too many arguments".into()),
            _ => Ok(()),
        }
    }
}
