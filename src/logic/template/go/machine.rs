//! A program at work: gotmpl's executor, with our functions in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use gotmpl::parse::SmolStr;
use gotmpl::{FuncMap, TemplateError as GoError, Value, ValueFunc};

use super::failure::{self, Reason, UNDEFINED};
use super::program::{EMIT, ITEMS, NOTE, Program, Purpose, SPEND, TRUTH};
use super::state::{FUEL, Output, Plain, Shared};
use super::table::{self, Call, Class, Function};
use super::value::integer;
use super::{forms, functions};
use crate::logic::template::MAX_SOURCE;
use crate::logic::yaml::slot::has_reserved;

/// Templates that are kept of those given to `tpl`.
const MAX_KEPT: usize = 64;

/// A program with its functions.
pub(super) struct Machine {
    program: Arc<Program>,
    template: gotmpl::Template,
    pub(super) shared: Arc<Shared>,
    /// What `tpl` made of its texts. It belongs to this one, whose templates it can use.
    inner: Mutex<HashMap<Arc<str>, Arc<Machine>>>,
}

impl Machine {
    pub(super) fn new(program: Arc<Program>, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let mut functions = FuncMap::new();
            for (name, own) in INTERNAL {
                functions.insert((*name).to_owned(), closure(this, SmolStr::new_static(name), Function::Own(*own)));
            }
            for name in &program.functions {
                if let Some(function) = table::find(name) {
                    functions.insert(name.to_string(), closure(this, name.clone(), function));
                }
            }
            let template = gotmpl::Template::new("").max_range_iters(FUEL).funcs(functions);
            let add = |template: gotmpl::Template, (name, tree): (&String, &gotmpl::parse::ListNode)| {
                template.add_parse_tree(name, tree.clone())
            };
            let template = program.trees.iter().fold(template, add);
            Self { template, program, shared, inner: Mutex::default() }
        })
    }

    /// Renders a template of the program.
    pub(super) fn run(&self, name: &str, dot: &Value, out: &mut Output) -> Result<(), Reason> {
        let result = self.template.execute_template_fmt(out, name, dot);
        result.map_err(|error| self.shared.state().reason.take().unwrap_or_else(|| failure::reason(&error)))
    }

    /// Renders a template of the program from within: its text, with markers.
    pub(super) fn include(&self, name: &str, dot: &Value) -> Result<String, Reason> {
        if self.template.lookup(name).is_none() {
            return Err("there is no template of this name".into());
        }
        self.shared.enter()?;
        let at = self.shared.state().at;
        let mut out = Output::inner();
        self.run(name, dot, &mut out)?;
        self.shared.leave();
        let mut state = self.shared.state();
        state.at = at;
        state.spend_text(out.text.len())?;
        Ok(out.text)
    }

    /// Compiles and renders a text: its text, with markers. It can use the program's templates.
    pub(super) fn tpl(&self, source: &Arc<str>, dot: &Value) -> Result<String, Reason> {
        let inner = self.inner(source)?;
        inner.include(super::program::MAIN, dot)
    }

    fn inner(&self, source: &Arc<str>) -> Result<Arc<Self>, Reason> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = inner.get(source) {
            return Ok(found.clone());
        }
        if source.len() > MAX_SOURCE || has_reserved(source) {
            return Err("this text is too long for a template, or has reserved characters".into());
        }
        // Compiling looks at every byte, and brings the program's templates along.
        self.shared.spend((source.len() + self.program.size) as u64 / 4 + 100)?;
        // What is wrong with it cannot be said: it may be a value.
        let compiled = Program::compile(source, Purpose::Rendering).map_err(|error| match error.line() {
            Some(line) => Reason::of(format!("the text is not a valid template (its line {line})")),
            None => "the text is not a valid template".into(),
        })?;
        let machine = Self::new(Arc::new(compiled.within(&self.program)), self.shared.clone());
        if inner.len() >= MAX_KEPT {
            inner.clear();
        }
        inner.insert(source.clone(), machine.clone());
        Ok(machine)
    }

    fn call(&self, name: &str, function: Function, args: &[Value]) -> Result<Value, Reason> {
        match function {
            Function::Own(own) => own(&Call { machine: self, args }),
            Function::Pure(pure, class) => self.call_pure(name, pure, class, args),
            Function::Refused(reason) => Err(reason.into()),
        }
    }

    fn call_pure(&self, name: &str, pure: functions::Function, class: Class, args: &[Value]) -> Result<Value, Reason> {
        if !class.takes_missing() && args.iter().any(|arg| matches!(arg, Value::Nil)) {
            return Err(UNDEFINED.into());
        }
        let plain = |(index, arg)| {
            let plain = class.plain(index);
            let value = self.shared.plain(arg, plain)?;
            match (plain, &value) {
                (Plain::Digits, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Float(_)) => {
                    Ok(functions::printed(&value)?.as_ref().into())
                }
                _ => Ok::<_, Reason>(value),
            }
        };
        let args = args.iter().enumerate().map(plain).collect::<Result<Vec<_>, _>>()?;
        self.shared.spend(comparisons(name, &args) / 32)?;
        let shared = &self.shared;
        let call = functions::Call { args: &args, now: shared.now, patterns: &shared.patterns, effort: &shared.effort };
        let result = pure(&call).map_err(|reason| Reason::of(format!("{name}: {reason}")))?;
        self.shared.state().spend_result(&result)?;
        Ok(result)
    }
}

/// A function as gotmpl calls it.
fn closure(machine: &Weak<Machine>, name: SmolStr, function: Function) -> ValueFunc {
    let machine = machine.clone();
    // gotmpl's own work is free where it only tells where it is or what it costs.
    let cost = if matches!(name.as_str(), NOTE | SPEND) { 0 } else { cost(&name) };
    Arc::new(move |args| {
        // What gotmpl is told does not matter: the reason is kept aside.
        let machine = machine.upgrade().ok_or(GoError::Write)?;
        let result = machine.shared.spend(cost).and_then(|()| machine.call(&name, function, args));
        result.map_err(|reason| {
            machine.shared.state().reason.get_or_insert(reason);
            GoError::Write
        })
    })
}

/// What a call costs besides its values: compiling a pattern, or looking for a time zone, takes longer than most.
fn cost(name: &str) -> u64 {
    match name {
        _ if name.contains("egex") => 200,
        _ if name.contains("ate") => 20,
        _ => 1,
    }
}

/// How many values are compared by what compares each with each.
fn comparisons(name: &str, args: &[Value]) -> u64 {
    let items = args.first().and_then(Value::len).unwrap_or_default() as u64;
    match name {
        "uniq" | "mustUniq" => items * items,
        "without" | "mustWithout" => items * args.len() as u64,
        _ => 0,
    }
}

/// What programs are rewritten with.
const INTERNAL: &[(&str, table::Own)] = &[
    (EMIT, forms::emit),
    (TRUTH, |call| match call.args {
        [carrier @ Value::Function(_)] => call.machine.shared.plain(carrier, Plain::KeptUnlessEmpty),
        args => Ok(args.first().cloned().unwrap_or(Value::Nil)),
    }),
    (ITEMS, |call| match call.args {
        // Whole numbers can be gone through, however they are written.
        [carrier @ Value::Function(_)] => match integer(carrier) {
            Some(integer) => Ok(Value::Int(integer)),
            None => call.machine.shared.plain(carrier, Plain::Nearest),
        },
        args => Ok(args.first().cloned().unwrap_or(Value::Nil)),
    }),
    (SPEND, |call| {
        let cost = call.args.first().and_then(Value::as_int).unwrap_or_default();
        call.machine.shared.spend(u64::try_from(cost).unwrap_or(FUEL))?;
        Ok(call.machine.shared.nothing.clone())
    }),
    (NOTE, |call| {
        if let [Value::Int(offset), Value::Bool(is_text)] = call.args {
            call.machine.shared.note(usize::try_from(*offset).unwrap_or_default(), *is_text);
        }
        Ok(call.machine.shared.nothing.clone())
    }),
];
