//! What templates promise, from the outside.

use serde_json::{Value, json};

use super::*;

fn render(source: &str, row: Value) -> Result<Vec<Value>, TemplateError> {
    rendered(&Template::compile(source)?, row)
}

/// The documents as the API server would read them.
fn rendered(template: &Template, row: Value) -> Result<Vec<Value>, TemplateError> {
    let documents = template.render(&row.into(), &json!({"name": "d", "namespace": "ns"}).into())?;
    Ok(documents.iter().map(|document| serde_json::from_str(&document.to_string()).unwrap()).collect())
}

/// The one document.
fn one(source: &str, row: Value) -> Value {
    let mut documents = render(source, row).unwrap_or_else(|e| panic!("{e}\n{source}"));
    assert_eq!(documents.len(), 1, "{source}");
    documents.remove(0)
}

fn error(source: &str, row: Value) -> String {
    match render(source, row) {
        Ok(documents) => panic!("{source}\ngave {documents:?}"),
        Err(error) => error.to_string(),
    }
}

mod captured;
mod hostile;
mod layouts;
mod numbers;
mod refused;
