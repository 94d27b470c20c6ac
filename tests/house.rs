//! The house rules that a machine can hold: layers, sizes, generated files. Needs nothing but the sources.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|e| e == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The code of a file: without its tests and comments.
fn code(path: &Path) -> Vec<String> {
    if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
        .map(str::to_owned)
        .collect()
}

fn nowhere(files: &[PathBuf], words: &[&str], why: &str) {
    for file in files {
        for line in code(file) {
            for word in words {
                assert!(!line.contains(word), "{why}: {} has `{}`", file.display(), line.trim());
            }
        }
    }
}

fn layer(name: &str) -> Vec<PathBuf> {
    let mut files = sources(&format!("src/{name}"));
    files.push(root().join(format!("src/{name}.rs")));
    files
}

#[test]
fn what_decides_is_pure() {
    let clients = ["tokio::", "tokio_postgres", "kube::Client", "kube::Api", "kube::runtime", "futures::"];
    let world = [
        "Instant::now",
        "SystemTime",
        "Timestamp::now",
        "std::env",
        "env::var",
        "std::fs",
        "std::net::Tcp",
        "RandomState::",
    ];
    for name in ["crd", "logic"] {
        nowhere(&layer(name), &clients, "crd and logic have no client");
        nowhere(&layer(name), &world, "time, randomness and environment are arguments");
        nowhere(
            &layer(name),
            &["crate::postgres", "crate::cluster", "crate::controller", "crate::cli"],
            "layers point down",
        );
    }
    nowhere(&layer("crd"), &["crate::logic"], "layers point down");
}

#[test]
fn what_talks_to_one_system_does_not_know_the_other() {
    nowhere(
        &layer("postgres"),
        &["crate::cluster", "crate::controller", "crate::cli", "kube::"],
        "postgres knows PostgreSQL alone",
    );
    nowhere(
        &layer("cluster"),
        &["crate::postgres", "crate::controller", "crate::cli", "tokio_postgres"],
        "cluster knows Kubernetes alone",
    );
    for name in ["controller", "cli", "cluster", "logic", "crd"] {
        nowhere(&layer(name), &["tokio_postgres"], "only postgres speaks to PostgreSQL");
    }
    nowhere(
        &layer("controller"),
        &["kube::Client", "kube::Api", "crate::cli"],
        "only cluster speaks to the API server",
    );
}

#[test]
fn nothing_panics_on_purpose() {
    nowhere(
        &sources("src"),
        &[".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("],
        "a panic takes everybody down",
    );
}

#[test]
fn a_file_is_one_idea_of_a_readable_size() {
    for file in sources("src") {
        let lines = code(&file).len();
        assert!(lines <= 300, "{} has {lines} lines of code", file.display());
        let text = fs::read_to_string(&file).unwrap();
        let is_test = file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
        assert!(is_test || text.starts_with("//! "), "{} does not say what it is for", file.display());
        for name in ["util", "common", "helpers", "misc", "manager"] {
            assert_ne!(file.file_stem().unwrap(), name, "{} has no name of its own", file.display());
        }
    }
}

#[test]
fn the_generated_definition_is_current() {
    let stored = fs::read_to_string(root().join("crds/databasequeryresources.yaml")).unwrap_or_default();
    assert!(
        stored == dbqo::crd::definition_yaml().unwrap(),
        "run: cargo run -- crd > crds/databasequeryresources.yaml"
    );
}

#[test]
fn the_definition_has_no_formats_that_the_api_server_does_not_know() {
    let yaml = dbqo::crd::definition_yaml().unwrap();
    assert!(!yaml.contains("format: uint"), "unsigned formats make the API server warn");
}
