//! The house rules that a machine can hold: layers, sizes, generated files. Needs nothing but the sources.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use dbqo::cli::Cli;
use serde_json::Value;

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
    for name in ["crd", "logic", "postgres", "cluster"] {
        nowhere(&layer(name), &["crate::metrics", "crate::admin"], "figures and health are told by controller and cli");
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
    nowhere(&layer("postgres"), &["std::env", "env::var"], "how to connect is said by Secrets, not by the environment");
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
fn what_tells_how_it_goes_knows_nothing_else() {
    nowhere(&layer("admin"), &["crate::"], "admin is a leaf");
    nowhere(&[root().join("src/metrics.rs")], &["crate::"], "metrics are a leaf");
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

/// The documents of a manifest.
fn manifest(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn deployment() -> Value {
    manifest("deploy/30-deployment.yaml").remove(0)
}

#[test]
fn the_deployment_has_arguments_that_the_binary_takes() {
    let container = &deployment()["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    Cli::try_parse_from(["dbqo"].into_iter().chain(args)).unwrap();
    assert!(container["args"].to_string().contains("--listen=0.0.0.0:8080"));
    assert_eq!(container["ports"][0]["containerPort"], 8080);
}

#[test]
fn every_flag_that_a_manifest_mentions_exists() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let known: Vec<String> = run.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
    let mut mentioned = 0;
    for folder in ["deploy", "deploy/examples"] {
        for file in fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let ours = text.lines().filter(|line| !line.contains("kubectl"));
            let words = ours.flat_map(|line| line.split(|c: char| !c.is_ascii_lowercase() && c != '-'));
            for flag in words.filter(|word| word.starts_with("--") && word.len() > 3) {
                assert!(
                    flag == "--help" || known.iter().any(|known| known == flag),
                    "{} mentions {flag}",
                    file.display()
                );
                mentioned += 1;
            }
        }
    }
    assert!(mentioned > 5);
}

#[test]
fn the_image_has_this_version_and_a_compiler_that_can_build_it() {
    let version = env!("CARGO_PKG_VERSION");
    let image = format!("db-query-operator:{version}");
    assert_eq!(deployment()["spec"]["template"]["spec"]["containers"][0]["image"], image.as_str());
    let dockerfile = fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    assert!(dockerfile.contains(&format!("-t {image} ")) && dockerfile.contains(r#"CMD ["run"]"#));
    assert!(dockerfile.contains(&format!("FROM rust:{}-", env!("CARGO_PKG_RUST_VERSION"))));
}
