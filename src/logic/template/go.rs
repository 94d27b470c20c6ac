//! Go templates.

#[allow(dead_code, unused_imports, reason = "the engine that calls them comes next")]
mod functions;
