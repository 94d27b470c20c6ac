//! Lists.

use gotmpl::Value;

use super::bounds;
use super::call::{Call, Output, Reason};
use super::defaults::is_empty;
use super::kinds::equal;
use super::math::to_int;
use super::printing::printed;

/// `list` and `tuple`.
pub fn list(call: &Call) -> Output {
    bounds::list(call.args.iter().cloned())
}

pub fn append(call: &Call) -> Output {
    let (list, item): (&[Value], &Value) = call.read()?;
    bounds::list(list.iter().chain([item]).cloned())
}

pub fn prepend(call: &Call) -> Output {
    let (list, item): (&[Value], &Value) = call.read()?;
    bounds::list([item].into_iter().chain(list).cloned())
}

pub fn concat(call: &Call) -> Output {
    let ((), lists) = call.read_all::<(), &[Value]>()?;
    bounds::list(lists.into_iter().flatten().cloned())
}

pub fn first(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    Ok(list.first().cloned().unwrap_or(Value::Nil))
}

pub fn last(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    Ok(list.last().cloned().unwrap_or(Value::Nil))
}

pub fn rest(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    bounds::list(list.iter().skip(1).cloned())
}

pub fn initial(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    bounds::list(list.iter().take(list.len().saturating_sub(1)).cloned())
}

pub fn reverse(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    bounds::list(list.iter().rev().cloned())
}

pub fn compact(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    bounds::list(list.iter().filter(|item| !is_empty(item)).cloned())
}

pub fn uniq(call: &Call) -> Output {
    let (list,): (&[Value],) = call.read()?;
    let mut kept: Vec<&Value> = Vec::new();
    for item in list {
        if !among(item, kept.iter().copied())? {
            kept.push(item);
        }
        bounds::steps(kept.len(), list.len())?;
    }
    bounds::list(kept.into_iter().cloned())
}

pub fn without(call: &Call) -> Output {
    let ((list,), omitted) = call.read_some::<(&[Value],)>()?;
    bounds::steps(list.len(), omitted.len())?;
    let mut kept = Vec::new();
    for item in list {
        if !among(item, omitted)? {
            kept.push(item.clone());
        }
    }
    bounds::list(kept)
}

pub fn has(call: &Call) -> Output {
    if matches!(call.args, [_, Value::Nil]) {
        return Ok(Value::Bool(false));
    }
    let (needle, list): (&Value, &[Value]) = call.read()?;
    Ok(Value::Bool(among(needle, list)?))
}

fn among<'a>(item: &Value, list: impl IntoIterator<Item = &'a Value>) -> Result<bool, Reason> {
    for other in list {
        if equal(item, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub fn chunk(call: &Call) -> Output {
    let (size, list): (i64, &[Value]) = call.read()?;
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let size = size.ok_or(Reason::Said("a chunk must hold at least one item"))?;
    bounds::list(list.chunks(size).map(|chunk| Value::List(chunk.into())))
}

/// `slice` of a list. An empty one gives nil, as in Sprig.
pub fn slice(call: &Call) -> Output {
    let ((list,), ends) = call.read_some::<(&[Value],)>()?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let end = |index: usize, otherwise: usize| match ends.get(index) {
        Some(end) => usize::try_from(to_int(end)).ok(),
        None => Some(otherwise),
    };
    let part = end(0, 0).zip(end(1, list.len())).and_then(|(start, end)| list.get(start..end));
    bounds::list(part.ok_or(Reason::Said("there are no such items in the list"))?.iter().cloned())
}

/// The texts of a list's items, nil left out. What is no list counts as one of one item.
pub fn strings(value: &Value) -> Result<Vec<String>, Reason> {
    let items = match value {
        Value::List(list) => list,
        one => std::slice::from_ref(one),
    };
    let items = items.iter().filter(|item| !matches!(item, Value::Nil));
    let mut left = bounds::MAX_TEXT * 4;
    let mut texts = Vec::new();
    for item in items {
        let item = printed(item)?;
        left = left.checked_sub(item.len()).ok_or(Reason::Said("the texts are longer than 4 MiB"))?;
        texts.push(item.into_owned());
    }
    Ok(texts)
}

pub fn to_strings(call: &Call) -> Output {
    let (value,) = call.read()?;
    bounds::texts(strings(value)?.iter().map(String::as_str))
}

pub fn sort_alpha(call: &Call) -> Output {
    let (value,): (&Value,) = call.read()?;
    if matches!(value, Value::Nil) {
        return bounds::texts(["<nil>"]);
    }
    let mut texts = strings(value)?;
    texts.sort_unstable();
    bounds::texts(texts.iter().map(String::as_str))
}
