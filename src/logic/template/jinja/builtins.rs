//! minijinja's own filters and tests, wrapped: text with markers is resolved before they see it,
//! and where they want text a value is written as we write it (`true`, not `True`).

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters, functions, tests};

use super::convert::to_json;
use super::environment::Setup;
use super::exact::Exact;
use super::marks::resolve;
use super::operands;
use crate::logic::yaml::slot::scalar_text;

/// What a filter wants its arguments to be.
#[derive(Clone, Copy, PartialEq)]
enum Wants {
    /// Any value.
    Values,
    /// Machine numbers.
    Numbers,
    /// What can be put in order.
    Ordered,
    /// The value itself as text.
    Text,
    /// The value and all arguments as text.
    AllText,
    /// All as text, unless the value's placeholders ask for numbers.
    Format,
}

/// Wraps the filters. Not `map` and the like by name of another filter: that one is wrapped too.
pub(super) fn wrap_filters(env: &mut Environment<'static>, setup: Setup) {
    macro_rules! wrap {
        ($wants:expr; $($name:literal => $filter:path),* $(,)?) => {
            $(wrap(env, setup, $name, $wants, Value::from_function($filter));)*
        };
    }
    wrap!(Wants::Text;
        "lower" => filters::lower, "upper" => filters::upper, "title" => filters::title,
        "capitalize" => filters::capitalize, "lines" => filters::lines, "split" => filters::split,
        "string" => filters::string, "urlencode" => filters::urlencode);
    wrap!(Wants::AllText; "replace" => filters::replace);
    wrap!(Wants::Format; "format" => filters::format);
    wrap!(Wants::Numbers;
        "round" => filters::round, "abs" => filters::abs, "int" => filters::int, "float" => filters::float,
        "sum" => filters::sum, "batch" => filters::batch, "slice" => filters::slice);
    wrap!(Wants::Ordered;
        "dictsort" => filters::dictsort, "min" => filters::min, "max" => filters::max, "sort" => filters::sort,
        "groupby" => filters::groupby, "unique" => filters::unique);
    wrap!(Wants::Values;
        "length" => filters::length, "count" => filters::length, "items" => filters::items,
        "reverse" => filters::reverse, "default" => filters::default, "d" => filters::default,
        "first" => filters::first, "last" => filters::last, "list" => filters::list, "bool" => filters::bool,
        "select" => filters::select, "reject" => filters::reject,
        "selectattr" => filters::selectattr, "rejectattr" => filters::rejectattr,
        "map" => filters::map, "chain" => filters::chain, "zip" => filters::zip);
}

fn wrap(env: &mut Environment<'static>, setup: Setup, name: &'static str, wants: Wants, inner: Value) {
    let deep = setup.deep;
    env.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let mut args = args.into_values();
        let wants = match wants {
            Wants::Format if asks_for_numbers(args.first()) => Wants::Numbers,
            Wants::Format => Wants::AllText,
            wants => wants,
        };
        for (at, arg) in args.iter_mut().enumerate() {
            // Captured text stays whole where it only takes the place of what is missing.
            if !(matches!(name, "default" | "d") && arg.is_safe()) {
                *arg = resolve(state, arg, deep)?;
            }
            match wants {
                Wants::AllText => *arg = as_text(state, arg)?,
                Wants::Text if at == 0 => *arg = as_text(state, arg)?,
                Wants::Numbers => *arg = Exact::computable(state, arg)?,
                Wants::Ordered => *arg = Exact::comparable(state, arg)?,
                Wants::Text | Wants::Values | Wants::Format => {}
            }
        }
        inner.call(state, &args)
    });
}

/// Whether a text has placeholders such as `%d` or `%.2f`.
fn asks_for_numbers(format: Option<&Value>) -> bool {
    let text = format.and_then(Value::as_str).unwrap_or_default().replace("%%", "");
    let conversion = |rest: &str| rest.chars().find(char::is_ascii_alphabetic);
    text.split('%').skip(1).any(|rest| conversion(rest).is_some_and(|c| c != 's'))
}

/// A value as text, but for numbers: filters that count need them, and they print as we print.
fn as_text(state: &State, value: &Value) -> Result<Value, Error> {
    Ok(match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Seq | ValueKind::Map if !value.is_kwargs() => {
            Value::from(scalar_text(&to_json(state, value)?))
        }
        _ => match Exact::of(value) {
            Some(number) => Value::from(number.to_string()),
            None => value.clone(),
        },
    })
}

/// What [`super::operands`] puts behind and around operands, and the functions that want machine numbers.
pub(super) fn add_operands(env: &mut Environment<'static>) {
    env.add_filter(operands::TEXT, |state: &State, value: &Value| as_text(state, value));
    env.add_filter(operands::NUMBER, Exact::float);
    env.add_filter(operands::NEGATED, Exact::float);
    env.add_filter(operands::COMPARED, |state: &State, value: &Value| Exact::computable(state, value));
    env.add_function(operands::SAME, |value: Value| value);
    let range = Value::from_function(functions::range);
    env.add_function("range", move |state: &mut State, bounds: Rest<ValueOrKwargs>| {
        let bounds: Vec<Value> = bounds.into_values().iter().map(Exact::float).collect();
        range.call(state, &bounds)
    });
}

/// Wraps the tests: they see machine numbers, and the text that markers stand for.
pub(super) fn wrap_tests(env: &mut Environment<'static>, setup: Setup) {
    macro_rules! wrap {
        ($($($name:literal)|+ => $test:path),* $(,)?) => {
            $($(wrap_test(env, setup, $name, Value::from_function($test));)+)*
        };
    }
    wrap!(
        "boolean" => tests::is_boolean, "odd" => tests::is_odd, "even" => tests::is_even,
        "divisibleby" => tests::is_divisibleby, "number" => tests::is_number,
        "integer" | "int" => tests::is_integer, "float" => tests::is_float,
        "string" => tests::is_string, "sequence" => tests::is_sequence,
        "iterable" => tests::is_iterable, "mapping" => tests::is_mapping,
        "startingwith" => tests::is_startingwith, "endingwith" => tests::is_endingwith,
        "lower" => tests::is_lower, "upper" => tests::is_upper, "sameas" => tests::is_sameas,
        "eq" | "equalto" | "==" => tests::is_eq, "ne" | "!=" => tests::is_ne,
        "lt" | "lessthan" | "<" => tests::is_lt, "le" | "<=" => tests::is_le,
        "gt" | "greaterthan" | ">" => tests::is_gt, "ge" | ">=" => tests::is_ge,
        "in" => tests::is_in, "true" => tests::is_true, "false" => tests::is_false,
    );
}

fn wrap_test(env: &mut Environment<'static>, setup: Setup, name: &'static str, inner: Value) {
    env.add_test(name, move |state: &mut State, args: Rest<ValueOrKwargs>| -> Result<bool, Error> {
        let args = args.into_values();
        let seen = |arg| Exact::computable(state, &resolve(state, arg, setup.deep)?);
        let args = args.iter().map(seen).collect::<Result<Vec<_>, _>>()?;
        Ok(inner.call(state, &args)?.is_true())
    });
}
