//! The same promises, in Go's language.

use super::*;

fn compile(source: &str) -> Result<Template, TemplateError> {
    Template::compile(source, Language::Go)
}

fn render(source: &str, row: Value) -> Result<Vec<Value>, TemplateError> {
    rendered(&compile(source)?, row)
}

/// The one document.
fn one(source: &str, row: Value) -> Value {
    let mut documents = render(source, row).unwrap_or_else(|e| panic!("{e}\n{source}"));
    assert_eq!(documents.len(), 1, "{source}");
    documents.remove(0)
}

/// What an expression gives as a value of a map.
fn value(expression: &str, row: Value) -> Value {
    one(&format!("v: {{{{ {expression} }}}}\nz: 1"), row)["v"].clone()
}

fn error(source: &str, row: Value) -> String {
    match render(source, row) {
        Ok(documents) => panic!("{source}\ngave {documents:?}"),
        Err(error) => error.to_string(),
    }
}

mod builtins;
mod captured;
mod golden;
mod hostile;
mod layouts;
mod limits;
mod numbers;
mod refused;
