//! What templates promise, from the outside.

use serde_json::{Value, json};

use super::*;

fn render(source: &str, row: Value) -> Result<Vec<Value>, TemplateError> {
    rendered(&jinja(source)?, row)
}

fn jinja(source: &str) -> Result<Template, TemplateError> {
    Template::compile(source, Language::Jinja)
}

/// What templates know of their resource.
fn resource() -> Json {
    json!({"name": "d", "namespace": "ns", "uid": "u", "labels": {"team": "x"}, "annotations": {}}).into()
}

/// The documents as the API server would read them.
fn rendered(template: &Template, row: Value) -> Result<Vec<Value>, TemplateError> {
    let documents = template.renderer(&resource(), Timestamp::UNIX_EPOCH).render(row.into())?;
    Ok(documents.iter().map(|document| serde_json::from_str(&document.to_string()).unwrap()).collect())
}

/// The one document.
fn one(source: &str, row: Value) -> Value {
    let mut documents = render(source, row).unwrap_or_else(|e| panic!("{e}\n{source}"));
    assert_eq!(documents.len(), 1, "{source}");
    documents.remove(0)
}

/// Frames of an unoptimised build are many times larger.
fn deep(work: impl FnOnce() + Send + 'static) {
    let stack = if cfg!(debug_assertions) { 512 << 20 } else { 32 << 20 };
    std::thread::Builder::new().stack_size(stack).spawn(work).unwrap().join().unwrap();
}

fn error(source: &str, row: Value) -> String {
    match render(source, row) {
        Ok(documents) => panic!("{source}\ngave {documents:?}"),
        Err(error) => error.to_string(),
    }
}

mod captured;
mod filters;
mod go;
mod hostile;
mod layouts;
mod limits;
mod numbers;
mod refused;
