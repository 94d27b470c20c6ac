//! Paths with slashes, as texts: no file is looked at.

use gotmpl::Value;

use super::call::{Call, Output, text};

/// The last part.
pub fn base(call: &Call) -> Output {
    let (path,): (&str,) = call.read()?;
    let trimmed = path.trim_end_matches('/');
    let last = trimmed.rsplit('/').next().unwrap_or_default();
    text(match (path, last) {
        ("", _) => ".",
        (_, "") => "/",
        (_, last) => last,
    })
}

/// All but the last part.
pub fn dir(call: &Call) -> Output {
    let (path,): (&str,) = call.read()?;
    text(cleaned(path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or_default()))
}

pub fn clean(call: &Call) -> Output {
    let (path,): (&str,) = call.read()?;
    text(cleaned(path))
}

/// The last part from its last dot on.
pub fn ext(call: &Call) -> Output {
    let (path,): (&str,) = call.read()?;
    let last = path.rsplit('/').next().unwrap_or_default();
    text(last.rfind('.').and_then(|dot| last.get(dot..)).unwrap_or_default())
}

pub fn is_abs(call: &Call) -> Output {
    let (path,): (&str,) = call.read()?;
    Ok(Value::Bool(path.starts_with('/')))
}

/// The shortest path that leads to the same place.
fn cleaned(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", None) if absolute => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    match (absolute, parts.join("/")) {
        (true, parts) => format!("/{parts}"),
        (false, parts) if parts.is_empty() => ".".to_owned(),
        (false, parts) => parts,
    }
}
