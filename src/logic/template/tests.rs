//! What templates promise, from the outside.

use serde_json::{Value as Json, json};

use super::*;

fn render(source: &str, row: Json) -> Result<Vec<Json>, TemplateError> {
    Template::compile(source)?.render(&row, &json!({"name": "d", "namespace": "ns"}))
}

fn one(source: &str, row: Json) -> Json {
    let mut documents = render(source, row).unwrap_or_else(|e| panic!("{e}\n{source}"));
    assert_eq!(documents.len(), 1, "{source}");
    documents.remove(0)
}

fn error(source: &str, row: Json) -> String {
    match render(source, row) {
        Ok(documents) => panic!("{source}\ngave {documents:?}"),
        Err(error) => error.to_string(),
    }
}

mod captured;
mod hostile;
mod layouts;
mod refused;
