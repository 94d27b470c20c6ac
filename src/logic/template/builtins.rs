//! minijinja's own filters and tests, wrapped: text with markers is resolved before they see it,
//! and where they want text a value is written as we write it (`true`, not `True`).

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters, tests};

use super::convert::to_json;
use super::engine::Setup;
use super::marks::resolve;
use crate::logic::yaml::slot::scalar_text;

/// Which arguments are wanted as text.
#[derive(Clone, Copy, PartialEq)]
enum Wants {
    /// Any value.
    Values,
    /// The value itself as text.
    Text,
    /// The value and all arguments as text.
    AllText,
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
    wrap!(Wants::AllText; "replace" => filters::replace, "format" => filters::format);
    wrap!(Wants::Values;
        "length" => filters::length, "count" => filters::length, "dictsort" => filters::dictsort,
        "items" => filters::items, "reverse" => filters::reverse, "default" => filters::default,
        "d" => filters::default, "round" => filters::round, "abs" => filters::abs,
        "int" => filters::int, "float" => filters::float, "first" => filters::first,
        "last" => filters::last, "min" => filters::min, "max" => filters::max,
        "sort" => filters::sort, "list" => filters::list, "bool" => filters::bool,
        "batch" => filters::batch, "slice" => filters::slice, "sum" => filters::sum,
        "select" => filters::select, "reject" => filters::reject,
        "selectattr" => filters::selectattr, "rejectattr" => filters::rejectattr,
        "map" => filters::map, "groupby" => filters::groupby, "unique" => filters::unique,
        "chain" => filters::chain, "zip" => filters::zip);
}

fn wrap(env: &mut Environment<'static>, setup: Setup, name: &'static str, wants: Wants, inner: Value) {
    let deep = setup.deep;
    env.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let mut args = args.into_values();
        for (at, arg) in args.iter_mut().enumerate() {
            // Captured text stays whole where it only takes the place of what is missing.
            if !(matches!(name, "default" | "d") && arg.is_safe()) {
                *arg = resolve(state, arg, deep)?;
            }
            if wants == Wants::AllText || (wants == Wants::Text && at == 0) {
                *arg = as_text(arg)?;
            }
        }
        inner.call(state, &args)
    });
}

/// A value as text, but for numbers: filters that count need them, and they print as we print.
fn as_text(value: &Value) -> Result<Value, Error> {
    Ok(match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Seq | ValueKind::Map if !value.is_kwargs() => {
            Value::from(scalar_text(&to_json(value)?))
        }
        _ => value.clone(),
    })
}

/// What [`super::concat`] puts around the operands of `~`.
pub(super) fn operand(value: &Value) -> Result<Value, Error> {
    as_text(value)
}

/// Wraps the tests, for templates in which text with markers can get to one.
pub(super) fn wrap_tests(env: &mut Environment<'static>) {
    macro_rules! wrap {
        ($($($name:literal)|+ => $test:path),* $(,)?) => {
            $($(wrap_test(env, $name, Value::from_function($test));)+)*
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

fn wrap_test(env: &mut Environment<'static>, name: &'static str, inner: Value) {
    env.add_test(name, move |state: &mut State, args: Rest<ValueOrKwargs>| -> Result<bool, Error> {
        let args = args.into_values();
        let args = args.iter().map(|arg| resolve(state, arg, true)).collect::<Result<Vec<_>, _>>()?;
        Ok(inner.call(state, &args)?.is_true())
    });
}
