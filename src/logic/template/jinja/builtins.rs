//! minijinja's own filters and tests, wrapped: text with markers is resolved before they see it,
//! and where they want text a value is written as we write it (`true`, not `True`).

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters, functions, tests};

use super::convert::to_json;
use super::environment::Setup;
use super::exact::Exact;
use super::failure::Reason;
use super::marks::resolve;
use super::meter::Meter;
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
    /// As the value's placeholders ask.
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
        "reverse" => filters::reverse, "first" => filters::first, "last" => filters::last, "list" => filters::list, "bool" => filters::bool,
        "select" => filters::select, "reject" => filters::reject,
        "selectattr" => filters::selectattr, "rejectattr" => filters::rejectattr,
        "map" => filters::map, "zip" => filters::zip);
}

fn wrap(env: &mut Environment<'static>, setup: Setup, name: &'static str, wants: Wants, inner: Value) {
    let deep = setup.deep;
    env.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let mut args = args.into_values();
        let numbers = if wants == Wants::Format { placeholders(args.first()) } else { Vec::new() };
        for (at, arg) in args.iter_mut().enumerate() {
            *arg = resolve(state, arg, deep)?;
            let wants = match wants {
                Wants::Format if at > 0 && numbers.get(at - 1) == Some(&true) => Wants::Numbers,
                Wants::Format => Wants::AllText,
                wants => wants,
            };
            match wants {
                Wants::AllText => *arg = as_text(state, arg)?,
                Wants::Text if at == 0 => *arg = as_text(state, arg)?,
                Wants::Numbers => *arg = Exact::computable(state, arg)?,
                Wants::Ordered => {
                    // The letters of a text are ordered as items of a list are.
                    state.consume_fuel(arg.as_str().map_or(0, str::len) as u64 / 8)?;
                    *arg = Exact::comparable(state, arg)?;
                }
                Wants::Text | Wants::Values | Wants::Format => {}
            }
        }
        let result = inner.call(state, &args)?;
        listed(state, &result)
    });
}

/// For each argument of a format such as `%s of %*d`, whether it is to be a number.
fn placeholders(format: Option<&Value>) -> Vec<bool> {
    let text = format.and_then(Value::as_str).unwrap_or_default().replace("%%", "");
    let mut numbers = Vec::new();
    for placeholder in text.split('%').skip(1) {
        for c in placeholder.chars() {
            match c {
                '*' => numbers.push(true),
                c if c.is_ascii_alphabetic() => {
                    numbers.push(c != 's');
                    break;
                }
                _ => {}
            }
        }
    }
    numbers
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
    env.add_filter(operands::NUMBER, |state: &State, value: &Value| {
        // Joined lists are walked through, sooner or later.
        if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
            state.consume_fuel(value.len().unwrap_or_default() as u64 / 16)?;
        }
        Ok(Exact::float(value))
    });
    env.add_filter(operands::NEGATED, Exact::float);
    env.add_filter(operands::COMPARED, |state: &State, value: &Value| Exact::computable(state, &listed(state, value)?));
    env.add_filter(operands::FACTOR, |state: &State, value: &Value| Ok(Exact::float(&listed(state, value)?)));
    env.add_filter(operands::FACTORS, |value: &Value| match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Err(Error::from(Reason("a list can be repeated once, and not more"))),
        _ => Ok(Exact::float(value)),
    });
    env.add_filter(operands::LIST, |state: &State, value: &Value| {
        if value.kind() == ValueKind::Seq {
            // Cutting walks to the place.
            state.consume_fuel(value.len().unwrap_or_default() as u64 / 4)?;
        }
        listed(state, value)
    });
    env.add_function(operands::SAME, |value: Value| value);
    let range = Value::from_function(functions::range);
    env.add_function("range", move |state: &mut State, bounds: Rest<ValueOrKwargs>| {
        let bounds: Vec<Value> = bounds.into_values().iter().map(Exact::float).collect();
        let range = range.call(state, &bounds)?;
        listed(state, &range)
    });
}

/// A value that is no lazy list. The work of those hides from the fuel, and one inside another needs stack.
fn listed(state: &State, value: &Value) -> Result<Value, Error> {
    if value.kind() != ValueKind::Iterable {
        return Ok(value.clone());
    }
    let meter = Meter::new(state);
    let items = value.try_iter()?.map(|item| meter.visit(0).map(|()| item));
    items.collect::<Result<Vec<_>, _>>().map(Value::from)
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
