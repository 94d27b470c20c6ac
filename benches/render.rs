//! Rows to objects on one core: from a row's JSON text to the body that is sent, with its hash, as the operator does it;
//! and a Go program (`gotemplate/`) that does the same with text/template and sigs.k8s.io/yaml. Run it with
//! `make bench`; figures and conditions are in `benches/README.md`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use dbqo::crd::DeletionPolicy;
use dbqo::logic::document::Frame;
use dbqo::logic::inventory::Inventory;
use dbqo::logic::json::Json;
use dbqo::logic::memo::Memo;
use dbqo::logic::object::{GroupKind, Hold, Kind, Known, Owner};
use dbqo::logic::render::{Rendered, Renderer};
use dbqo::logic::rights::Rights;
use dbqo::logic::row::Row;
use dbqo::logic::template::{Language, Template};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

// As the operator has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rows of one read.
const ROWS: usize = 1_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A template in both languages, and the rows it is rendered with.
struct Workload {
    name: &'static str,
    template: &'static str,
    decimals: bool,
}

const WORKLOADS: [Workload; 3] = [
    Workload { name: "deployment", template: "deployment", decimals: false },
    Workload { name: "deployment, decimals in the row", template: "deployment", decimals: true },
    Workload { name: "branches, a loop and toYaml", template: "branches", decimals: false },
];

fn main() -> Result<()> {
    // Only `cargo bench` says so; `cargo test --benches` has nothing to test here.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .sample_size(40)
        .configure_from_args();
    let go = go_program()?;
    for workload in &WORKLOADS {
        workload.measure(&mut criterion, go.as_deref())?;
    }
    criterion.final_summary();
    Ok(())
}

impl Workload {
    fn measure(&self, criterion: &mut Criterion, go: Option<&Path>) -> Result<()> {
        let rows: Vec<String> = (1..=ROWS).map(|number| self.row(number)).collect();
        let jinja = self.template(Language::Jinja)?;
        let nothing = Inventory::default();
        let unknown = Memo::default();
        let first = render(&jinja, &rows, &nothing, &unknown);
        if !first.failures.is_empty() {
            return Err(format!("{}: {:?}", self.name, first.failures).into());
        }
        let body = first.desired.first().and_then(|desired| desired.body(Hold::Created, None)).ok_or("no body")?;
        let applied = Inventory::of(first.desired.iter().cloned().map(|desired| {
            let known = Known { uid: "u".into(), hash: Some(desired.hash), verified: true, ..Known::default() };
            (desired.id, known)
        }));

        let gotmpl = self.template(Language::Go)?;
        let other = render(&gotmpl, &rows, &nothing, &unknown)
            .desired
            .first()
            .and_then(|desired| desired.body(Hold::Created, None));
        if without_hash(&other.ok_or("no body")?)? != without_hash(&body)? {
            return Err(format!("{}: the Go template makes another object", self.name).into());
        }

        let mut group = criterion.benchmark_group(self.name);
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function("jinja", |b| b.iter(|| render(&jinja, black_box(&rows), &nothing, &unknown)));
        group.bench_function("jinja, nothing changed", |b| {
            b.iter(|| render(&jinja, black_box(&rows), &applied, &unknown))
        });
        group.bench_function("jinja, the same rows again", |b| {
            b.iter(|| render(&jinja, black_box(&rows), &applied, &first.memo))
        });
        group.bench_function("Go template", |b| b.iter(|| render(&gotmpl, black_box(&rows), &nothing, &unknown)));
        if let Some(go) = go {
            let mut go = GoProgram::start(go, &self.source("gotmpl"), &rows)?;
            if without_hash(&go.first_body)? != without_hash(&body)? {
                return Err(format!("{}: the Go program makes another object", self.name).into());
            }
            group.bench_function("Go program", |b| b.iter_custom(|rounds| go.render(rounds)));
            go.stop()?;
        }
        group.finish();
        Ok(())
    }

    fn template(&self, language: Language) -> Result<Template> {
        let extension = if language == Language::Go { "gotmpl" } else { "jinja" };
        Ok(Template::compile(&std::fs::read_to_string(self.source(extension))?, language)?)
    }

    fn source(&self, language: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/templates/{}.{language}", self.template))
    }

    /// A row as PostgreSQL's `row_to_json` writes it.
    fn row(&self, number: usize) -> String {
        let (team, tag) = (number % 17, number % 40);
        let decimals = if self.decimals { r#","price":12.50,"load":0.75"# } else { "" };
        format!(
            r#"{{"id":{number},"name":"app-{number}","team":"team-{team}","image":"registry.example.com/team-{team}/app","version":"1.4.{tag}","replicas":{},"port":{},"cpu":"{}m","memory":"256Mi","log_level":"info","public":{}{decimals},"labels":{{"tier": "backend", "cost-center": "cc-{team}"}},"env":{{"region": "eu-{}", "feature_x": "on"}},"updated_at":"2026-11-24T06:40:23.123456+00:00"}}"#,
            number % 5 + 1,
            8000 + number % 100,
            100 + number % 9 * 50,
            number.is_multiple_of(2),
            number % 3,
        )
    }
}

fn owner() -> Owner {
    Owner { name: "apps".into(), namespace: "team".into(), uid: "0b5ff2a6-6a2c-4f0e-9a0a-6c1f6a3c9a57".into() }
}

/// One full read, as the controller has it rendered.
fn render(template: &Template, rows: &[String], known: &Inventory, before: &Memo) -> Rendered {
    let (owner, rights) = (owner(), Rights::default());
    let dbqr = Json::from(json!({"name": owner.name, "namespace": owner.namespace, "uid": owner.uid}));
    let kinds = RefCell::new(HashMap::<(String, String), std::result::Result<Arc<Kind>, String>>::new());
    let find_kind = |api_version: &str, kind: &str| {
        let key = (api_version.to_owned(), kind.to_owned());
        kinds.borrow_mut().entry(key).or_insert_with(|| Ok(deployment())).clone()
    };
    let frame =
        Frame { owner: &owner, rights: &rights, gvk: None, deletion_policy: DeletionPolicy::Delete, ignored: &[] };
    let mut renderer = Renderer::new(template, &dbqr, Timestamp::UNIX_EPOCH, frame, &find_kind, known, before);
    rows.iter().for_each(|row| renderer.row(Row { json: row.clone(), key: None, others: Vec::new() }));
    renderer.finish()
}

fn deployment() -> Arc<Kind> {
    let group_kind = GroupKind { group: "apps".into(), kind: "Deployment".into() };
    Arc::new(Kind {
        group_kind: Arc::new(group_kind),
        version: "v1".into(),
        plural: "deployments".into(),
        namespaced: true,
    })
}

/// An object for comparison: its hash depends on the order of its fields.
fn without_hash(body: &[u8]) -> Result<serde_json::Value> {
    let mut object: serde_json::Value = serde_json::from_slice(body)?;
    object["metadata"]["annotations"]["konnektr.io/applied-hash"] = serde_json::Value::Null;
    Ok(object)
}

/// Builds the program; None where there is no Go.
fn go_program() -> Result<Option<PathBuf>> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gotemplate");
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gotemplate"))
        .status();
    match built {
        Ok(status) if status.success() => Ok(Some(program)),
        Ok(_) => Err("the Go program does not build".into()),
        Err(_) => {
            eprintln!("there is no Go: its figures are left out");
            Ok(None)
        }
    }
}

/// The Go program at work.
struct GoProgram {
    process: Child,
    answers: BufReader<ChildStdout>,
    first_body: Vec<u8>,
}

impl GoProgram {
    fn start(program: &Path, template: &Path, rows: &[String]) -> Result<Self> {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rows");
        std::fs::write(&file, rows.join("\n"))?;
        let Owner { name, namespace, uid } = owner();
        let mut process = Command::new(program)
            .arg(template)
            .arg(file)
            .arg(json!({"name": name, "namespace": namespace, "uid": uid}).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut answers = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut first_body = Vec::new();
        answers.read_until(b'\n', &mut first_body)?;
        Ok(Self { process, answers, first_body })
    }

    /// How long it takes for all rows, that often.
    fn render(&mut self, rounds: u64) -> Duration {
        let mut answer = String::new();
        writeln!(self.process.stdin.as_ref().expect("it is piped"), "{rounds}").expect("the program reads");
        self.answers.read_line(&mut answer).expect("the program answers");
        Duration::from_nanos(answer.trim().parse().expect("the program answers with a number"))
    }

    fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        self.process.wait()?;
        Ok(())
    }
}
