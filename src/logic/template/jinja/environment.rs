//! The minijinja environment a template runs in: strict, limited, its output bound.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior, Value};

use super::marks::{self, Mode};
use super::{builtins, filters};

/// The one template of an environment.
pub(super) const NAME: &str = "template";
/// Work a render may do: instructions, and 64 bytes of text each.
const FUEL: u64 = 1_000_000;
/// Macros, includes and loops inside one another.
const RECURSION: usize = 200;

/// A filter as we register it.
pub(super) type Filter = fn(&mut Call) -> Result<Value, Error>;

/// One call of a filter of ours.
pub(super) struct Call<'a, 't, 'e> {
    pub(super) mode: Mode,
    pub(super) deep: bool,
    pub(super) state: &'a mut State<'t, 'e>,
    /// The value, then the arguments, as they are: text with markers is not resolved yet.
    pub(super) args: Vec<Value>,
}

/// How an environment is set up.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) mode: Mode,
    /// Whether text with markers can be anywhere but in a filter's direct arguments.
    pub(super) deep: bool,
}

/// An environment with that source as its template.
pub(super) fn environment(setup: Setup, source: &str) -> Result<Environment<'static>, Error> {
    let mode = setup.mode;
    let mut env = Environment::new();
    env.set_debug(false);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // The last newline belongs to a block scalar that ends the template.
    env.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    // Makes captured text a safe string, which tells it from a value.
    env.set_auto_escape_callback(|_| AutoEscape::Custom("yaml".into()));
    env.set_formatter(move |out, state, value| marks::format(mode, out, state, value));
    for name in ["safe", "escape", "e", "pprint", "attr"] {
        env.remove_filter(name);
    }
    for name in ["safe", "escaped"] {
        env.remove_test(name);
    }
    env.remove_global("debug");
    builtins::wrap_filters(&mut env, setup);
    builtins::wrap_tests(&mut env, setup);
    for (name, filter) in filters::ALL {
        add(&mut env, name, setup, *filter);
    }
    builtins::add_operands(&mut env);
    env.add_function("fail", filters::fail);
    env.add_template_owned(NAME, source.to_owned())?;
    Ok(env)
}

fn add(env: &mut Environment<'static>, name: &'static str, setup: Setup, filter: Filter) {
    let Setup { mode, deep } = setup;
    env.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
        let args = args.into_values();
        filter(&mut Call { mode, deep, state, args })
    });
}
