//! The filters that Kubernetes templates need and minijinja has not, named as Helm names them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, ErrorKind, Value};
use sha2::{Digest, Sha256};

use super::super::dns_label;
use super::convert::{from_json, to_json};
use super::environment::{Call, Filter};
use super::failure::Reason;
use super::marks::{Mode, indent_text, mark, resolve, trim_text};
use crate::logic::json::{self, Json};
use crate::logic::object::hexadecimal;
use crate::logic::template::marked::TOO_LARGE;
use crate::logic::yaml;
use crate::logic::yaml::slot::{self, Edit, Form, MAX_BYTES, Slot, scalar_text};

/// All filters of ours.
pub(super) const ALL: &[(&str, Filter)] = &[
    ("toYaml", |call| call.in_form(Form::Yaml)),
    ("toJson", |call| call.in_form(Form::Json)),
    ("tojson", |call| call.in_form(Form::Json)),
    ("fromJson", from_json_text),
    ("fromYaml", from_yaml_text),
    ("quote", |call| call.in_form(Form::Quoted)),
    ("squote", |call| call.in_form(Form::SingleQuoted)),
    ("indent", indent),
    ("nindent", nindent),
    ("trim", trim),
    ("join", join),
    ("b64encode", |call| Ok(Value::from(STANDARD.encode(call.text()?)))),
    ("b64decode", b64decode),
    ("sha256", |call| Ok(Value::from(hexadecimal(&Sha256::digest(call.text()?))))),
    ("dnsLabel", |call| Ok(Value::from(dns_label::dns_label(&call.text()?)))),
    ("truncate", truncate),
    ("trunc", trunc),
    ("default", default),
    ("d", default),
    ("required", required),
    ("fail", |_| fail(None)),
];

impl Call<'_, '_, '_> {
    /// The value without markers. Undefined is an error.
    fn value(&self) -> Result<Value, Error> {
        let value = self.args.first().ok_or(ErrorKind::MissingArgument)?;
        if value.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        resolve(self.state, value, self.deep)
    }

    fn json(&self) -> Result<Json, Error> {
        to_json(self.state, &self.value()?)
    }

    fn text(&self) -> Result<String, Error> {
        Ok(scalar_text(&self.json()?))
    }

    /// An argument as text.
    fn text_of(&self, argument: &Value) -> Result<String, Error> {
        Ok(scalar_text(&to_json(self.state, &resolve(self.state, argument, self.deep)?)?))
    }

    /// The value, if it is text with markers.
    fn captured(&self) -> Option<String> {
        let value = self.args.first().filter(|value| value.is_safe())?;
        value.as_str().map(str::to_owned)
    }

    fn arguments(&self) -> &[Value] {
        self.args.get(1..).unwrap_or_default()
    }

    fn no_arguments(&self) -> Result<(), Error> {
        from_args::<()>(self.arguments())
    }

    fn in_form(&mut self, form: Form) -> Result<Value, Error> {
        let json = self.json()?;
        if matches!(form, Form::Quoted | Form::SingleQuoted) {
            self.no_arguments()?;
        }
        mark(self.mode, self.state, "", Slot::of(json, form))
    }

    /// Indents, with `before` in front of the first line.
    fn indented(&mut self, before: &str, width: usize, blank: bool) -> Result<Value, Error> {
        if width > MAX_INDENT {
            return Err(Reason("indentation is wider than 1000").into());
        }
        if let Some(text) = self.captured() {
            let inner = match self.mode {
                Mode::Text => Value::from_safe_string(slot::indent(&text, width, blank)),
                Mode::Marked => indent_text(self.state, &text, width, blank)?,
            };
            let inner = inner.as_str().unwrap_or_default();
            return Ok(Value::from_safe_string(format!("{before}{inner}")));
        }
        let mut slot = Slot::plain(self.json()?);
        slot.edits.push(Edit::Indent { width, blank });
        mark(self.mode, self.state, before, slot)
    }
}

const MAX_INDENT: usize = 1000;

/// As Jinja has it: `indent(width=4, first=false, blank=false)`.
fn indent(call: &mut Call) -> Result<Value, Error> {
    let (width, first, blank, kwargs) =
        from_args::<(Option<usize>, Option<bool>, Option<bool>, Kwargs)>(call.arguments())?;
    let width = match width {
        Some(width) => width,
        None => kwargs.get::<Option<usize>>("width")?.unwrap_or(4),
    };
    let first = first.or(kwargs.get("first")?).unwrap_or(false);
    let blank = blank.or(kwargs.get("blank")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let before = if first { " ".repeat(width.min(MAX_INDENT)) } else { String::new() };
    call.indented(&before, width, blank)
}

/// As Helm has it: on a new line, all lines indented.
fn nindent(call: &mut Call) -> Result<Value, Error> {
    let (width,) = from_args::<(usize,)>(call.arguments())?;
    call.indented(&format!("\n{}", " ".repeat(width.min(MAX_INDENT))), width, false)
}

fn trim(call: &mut Call) -> Result<Value, Error> {
    let (chars,) = from_args::<(Option<Value>,)>(call.arguments())?;
    if let Some(chars) = chars.filter(|chars| !chars.is_none()) {
        let chars = call.text_of(&chars)?;
        return Ok(Value::from(call.text()?.trim_matches(|c| chars.contains(c))));
    }
    match (call.captured(), call.mode) {
        (Some(text), Mode::Marked) => trim_text(call.state, &text),
        (Some(text), Mode::Text) => Ok(Value::from_safe_string(text.trim().to_owned())),
        (None, _) => Ok(Value::from(call.text()?.trim())),
    }
}

fn join(call: &mut Call) -> Result<Value, Error> {
    let (joiner, attribute) = from_args::<(Option<Value>, Option<String>)>(call.arguments())?;
    let joiner = match joiner {
        Some(joiner) => call.text_of(&joiner)?,
        None => String::new(),
    };
    let list = call.value()?;
    if !matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(Reason("only a list can be joined").into());
    }
    let mut texts = Vec::new();
    let mut bytes = 0;
    for item in list.try_iter()? {
        let item = match &attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        let text = scalar_text(&to_json(call.state, &resolve(call.state, &item, true)?)?);
        bytes += text.len() + joiner.len();
        if bytes > MAX_BYTES {
            return Err(Reason(TOO_LARGE).into());
        }
        texts.push(text);
    }
    Ok(Value::from(texts.join(&joiner)))
}

/// What is parsed already stays as it is: jsonb columns are.
fn from_json_text(call: &mut Call) -> Result<Value, Error> {
    let value = call.value()?;
    let Some(text) = value.as_str() else {
        return Ok(value);
    };
    let json = json::parse(text).map_err(|_| Reason("the text is not JSON"))?;
    Ok(from_json(&json))
}

fn from_yaml_text(call: &mut Call) -> Result<Value, Error> {
    let value = call.value()?;
    let Some(text) = value.as_str() else {
        return Ok(value);
    };
    call.state.consume_fuel(100 + text.len() as u64)?;
    let mut documents = yaml::parse(text).map_err(|_| Reason("the text is not YAML that we read"))?;
    match (documents.pop(), documents.pop()) {
        (Some(json), None) => Ok(from_json(&json)),
        (None, _) => Ok(Value::from(())),
        _ => Err(Reason("the text has more than one YAML document").into()),
    }
}

fn b64decode(call: &mut Call) -> Result<Value, Error> {
    let bytes = STANDARD.decode(call.text()?.trim()).map_err(|_| Reason("the text is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| Reason("what base64 decodes to is not text"))?;
    Ok(Value::from(text))
}

/// As Jinja has it: `truncate(length=255, killwords=false, end='...', leeway=5)`. What is cut is cut before a word
/// unless it is told otherwise, and `end` is put in its place.
fn truncate(call: &mut Call) -> Result<Value, Error> {
    type Arguments = (Option<usize>, Option<bool>, Option<Value>, Option<usize>, Kwargs);
    let (length, killwords, end, leeway, kwargs) = from_args::<Arguments>(call.arguments())?;
    let length = length.or(kwargs.get("length")?).unwrap_or(255);
    let killwords = killwords.or(kwargs.get("killwords")?).unwrap_or(false);
    let end = match end.or(kwargs.get("end")?) {
        Some(end) => call.text_of(&end)?,
        None => "...".to_owned(),
    };
    let leeway = leeway.or(kwargs.get("leeway")?).unwrap_or(5);
    kwargs.assert_all_used()?;
    let text = call.text()?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(Value::from(text));
    }
    let Some(room) = length.checked_sub(end.chars().count()) else {
        return Err(Reason("truncate: the length is smaller than that of what is put at the end").into());
    };
    let kept = first(&text, room);
    let kept = if killwords { kept } else { kept.rsplit_once(' ').map_or(kept, |(words, _)| words) };
    Ok(Value::from(format!("{kept}{end}")))
}

/// As Helm has it: the first characters, or with a negative number the last.
fn trunc(call: &mut Call) -> Result<Value, Error> {
    let (length,) = from_args::<(i64,)>(call.arguments())?;
    let text = call.text()?;
    let count = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if length >= 0 {
        return Ok(Value::from(first(&text, count)));
    }
    let before = text.chars().count().saturating_sub(count);
    Ok(Value::from(text.get(first(&text, before).len()..).unwrap_or_default()))
}

/// The first characters of a text.
fn first(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// As Jinja has it: `default(default_value='', boolean=false)`, in place of what is undefined, or with `boolean` of what
/// is empty, zero, false or null. What is given back is not looked into, so captured text stays whole.
fn default(call: &mut Call) -> Result<Value, Error> {
    let arguments = call.arguments();
    let named_at = arguments.iter().position(Value::is_kwargs).unwrap_or(arguments.len());
    let (given, named) = arguments.split_at_checked(named_at).unwrap_or_default();
    let (named,) = from_args::<(Kwargs,)>(named)?;
    if given.len() > 2 {
        return Err(ErrorKind::TooManyArguments.into());
    }
    // Not as optional arguments, for which none is missing.
    let argument = |at: usize, name: &str| match given.get(at) {
        Some(given) => Ok(Some(given.clone())),
        None => named.has(name).then(|| named.get::<Value>(name)).transpose(),
    };
    let other = argument(0, "default_value")?.unwrap_or_else(|| Value::from(""));
    let boolean = argument(1, "boolean")?.is_some_and(|boolean| boolean.is_true());
    named.assert_all_used()?;
    let value = call.args.first().cloned().unwrap_or_default();
    let is_missing = value.is_undefined() || (boolean && !resolve(call.state, &value, false)?.is_true());
    Ok(if is_missing { other } else { value })
}

/// An error unless there is a value that is not empty. Its message is not shown: it may be a value.
fn required(call: &mut Call) -> Result<Value, Error> {
    let value = call.args.first().cloned().unwrap_or_default();
    let missing = value.is_undefined() || value.is_none() || resolve(call.state, &value, false)?.as_str() == Some("");
    if missing {
        return Err(Reason("a required value is missing").into());
    }
    Ok(value)
}

/// `fail(message)`. The message is not shown: it may be a value.
pub(super) fn fail(_message: Option<Value>) -> Result<Value, Error> {
    Err(Reason("the template calls fail").into())
}
