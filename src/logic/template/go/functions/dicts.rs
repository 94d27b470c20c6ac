//! Dicts. Keys are in order, where Go's are in none.
//!
//! Sprig changes a dict in place: `set`, `unset` and `merge` have side effects. Here a value never
//! changes: they give the changed dict. [`super::in_place`] makes templates that rely on it work.

use std::sync::Arc;

use gotmpl::Value;

use super::bounds;
use super::call::{Call, Map, Output, Reason};
use super::defaults::is_empty;
use super::printing::printed;

pub fn dict(call: &Call) -> Output {
    let mut map = Map::new();
    for pair in call.args.chunks(2) {
        if let [key, rest @ ..] = pair {
            let value = rest.first().cloned().unwrap_or_else(|| Value::String("".into()));
            map.insert(printed(key)?.into(), value);
        }
    }
    bounds::dict(map)
}

pub fn get(call: &Call) -> Output {
    let (map, key): (&Map, &str) = call.read()?;
    Ok(map.get(key).cloned().unwrap_or_else(|| Value::String("".into())))
}

pub fn set(call: &Call) -> Output {
    let (map, key, value): (&Map, &str, &Value) = call.read()?;
    if matches!(call.args, [Value::Nil, ..]) {
        return Err(Reason::Said("there is no dict to set a key of"));
    }
    let mut map = map.clone();
    map.insert(key.into(), value.clone());
    bounds::dict(map)
}

pub fn unset(call: &Call) -> Output {
    let (map, key): (&Map, &str) = call.read()?;
    let mut map = map.clone();
    map.remove(key);
    bounds::dict(map)
}

pub fn has_key(call: &Call) -> Output {
    let (map, key): (&Map, &str) = call.read()?;
    Ok(Value::Bool(map.contains_key(key)))
}

pub fn pluck(call: &Call) -> Output {
    let ((key,), maps) = call.read_all::<(&str,), &Map>()?;
    bounds::list(maps.iter().filter_map(|map| map.get(key).cloned()))
}

pub fn keys(call: &Call) -> Output {
    let ((), maps) = call.read_all::<(), &Map>()?;
    bounds::list(maps.iter().flat_map(|map| map.keys().cloned().map(Value::String)))
}

pub fn values(call: &Call) -> Output {
    let (map,): (&Map,) = call.read()?;
    bounds::list(map.values().cloned())
}

pub fn pick(call: &Call) -> Output {
    let ((map,), keys) = call.read_all::<(&Map,), &str>()?;
    bounds::dict(keys.iter().filter_map(|key| map.get_key_value(*key)).map(owned).collect())
}

pub fn omit(call: &Call) -> Output {
    let ((map,), keys) = call.read_all::<(&Map,), &str>()?;
    let mut map = map.clone();
    for key in keys {
        map.remove(key);
    }
    bounds::dict(map)
}

fn owned((key, value): (&Arc<str>, &Value)) -> (Arc<str>, Value) {
    (key.clone(), value.clone())
}

/// `dig "a" "b" default dict`.
pub fn dig(call: &Call) -> Output {
    let [keys @ .., fallback, dict] = call.args else {
        return Err(Reason::Count { least: 3, more: true, got: call.args.len() });
    };
    if keys.is_empty() {
        return Err(Reason::Count { least: 3, more: true, got: call.args.len() });
    }
    let mut found = dict;
    for key in keys {
        let Value::Map(map) = found else {
            return Err(Reason::Said("what a key leads to is not a dict"));
        };
        let key = key.as_str().ok_or(Reason::Said("a key is not text"))?;
        match map.get(key) {
            Some(value) => found = value,
            None => return Ok(fallback.clone()),
        }
    }
    Ok(found.clone())
}

pub fn merge(call: &Call) -> Output {
    merged(call, false)
}

pub fn merge_overwrite(call: &Call) -> Output {
    merged(call, true)
}

fn merged(call: &Call, overwrite: bool) -> Output {
    let ((first,), others) = call.read_all::<(&Map,), &Map>()?;
    let mut result = first.clone();
    for other in others {
        merge_into(&mut result, other, overwrite);
        bounds::measure(&result)?;
    }
    bounds::dict(result)
}

/// What is missing or empty is taken from the other; with `overwrite` all that is there. Dicts in
/// dicts are merged, lists are not. A nil of the other only counts with `overwrite`.
fn merge_into(target: &mut Map, other: &Map, overwrite: bool) {
    for (key, new) in other {
        match (target.get_mut(key), new) {
            (None, Value::Nil) if !overwrite => {}
            (Some(Value::Map(old)), Value::Map(new_map)) => {
                merge_into(Arc::make_mut(old), new_map, overwrite);
                if old.is_empty() {
                    target.insert(key.clone(), new.clone());
                }
            }
            (Some(_), Value::Nil) if !overwrite => {}
            (Some(old), new) if overwrite || is_empty(old) => *old = new.clone(),
            (Some(_), _) => {}
            (None, new) => {
                target.insert(key.clone(), new.clone());
            }
        }
    }
}
