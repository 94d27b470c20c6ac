//! First sync, memory, log and restart on real parts, beside a bare client that sends the same applies. Run it with
//! `make bench`; figures and conditions are in `benches/README.md`.

mod bare;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use bare::Bare;
use dbqo::crd::DatabaseQueryResource;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;

/// Applies in flight, for the bare client and the operator alike.
const AT_ONCE: usize = 32;
/// Pairs of a bare run and an operator run.
const ROUNDS: usize = 3;
const SIZES: [usize; 2] = [1_000, 10_000];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo test --benches` runs benches with this flag; there is nothing to test here.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let bench = Bench::prepare().await?;
    println!(
        "| objects | bare client, objects/s | operator, objects/s | ratio | peak memory | log | restart: seconds | restart: writes |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for size in SIZES {
        for round in 0..ROUNDS {
            let bare = bench.bare(size, round).await?;
            let ours = bench.operator(size, round).await?;
            println!(
                "| {size} | {bare:.0} | {:.0} | {:.2} | {:.0} MiB | {:.2} MB {} | {:.2} | {} |",
                ours.rate,
                ours.rate / bare,
                ours.peak_mib,
                ours.log_mb,
                format(round),
                ours.restart_seconds,
                ours.restart_writes
            );
        }
    }
    Ok(())
}

struct Bench {
    client: Client,
    server: [String; 4],
    folder: PathBuf,
}

struct Figures {
    rate: f64,
    peak_mib: f64,
    log_mb: f64,
    restart_seconds: f64,
    restart_writes: usize,
}

impl Bench {
    async fn prepare() -> Result<Self> {
        let env = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set: run `make bench`"));
        let server = [
            env("DBQO_TEST_POSTGRES_HOST")?,
            env("DBQO_TEST_POSTGRES_PORT")?,
            env("DBQO_TEST_POSTGRES_USER")?,
            env("DBQO_TEST_POSTGRES_PASSWORD")?,
        ];
        let client = Client::try_default().await?;
        let definition: CustomResourceDefinition =
            serde_saphyr::from_str(include_str!("../crds/databasequeryresources.yaml"))?;
        let api: Api<CustomResourceDefinition> = Api::all(client.clone());
        api.patch(&definition.name_any(), &PatchParams::apply("bench"), &Patch::Apply(&definition)).await?;
        kube::runtime::wait::await_condition(
            api,
            &definition.name_any(),
            kube::runtime::conditions::is_crd_established(),
        )
        .await?;
        let folder = PathBuf::from(env("DBQO_TEST_DIR")?);
        Ok(Self { client, server, folder })
    }

    async fn namespace(&self, name: &str) -> Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        Api::<Namespace>::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(())
    }

    /// Objects are deleted at once, so that every run finds the same cluster.
    async fn clear(&self, namespace: &str) -> Result<()> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        Ok(())
    }

    /// The same objects, applied by nothing but a client.
    async fn bare(&self, size: usize, round: usize) -> Result<f64> {
        let name = format!("bare-{size}-{round}");
        self.namespace(&name).await?;
        // Its connections are new, as the operator's are.
        let api: Api<ConfigMap> = Api::namespaced(Client::try_default().await?, &name);
        let bare = Bare::new(api).await?;
        let begin = Instant::now();
        let applies = futures::stream::iter(1..=size).map(async |number| {
            let data = json!({"number": number.to_string(), "text": format!("some text of row {number}")});
            bare.apply(&format!("object-{number}"), &data).await
        });
        let results: Vec<_> = applies.buffer_unordered(AT_ONCE).collect().await;
        let rate = size as f64 / begin.elapsed().as_secs_f64();
        results.into_iter().collect::<std::result::Result<Vec<()>, _>>()?;
        self.clear(&name).await?;
        Ok(rate)
    }

    /// The operator's first sync, its memory, and its restart with nothing changed.
    async fn operator(&self, size: usize, round: usize) -> Result<Figures> {
        let name = format!("ours-{size}-{round}");
        self.namespace(&name).await?;
        self.rows(&name, size).await?;
        let mut operator = self.start(&name, format(round))?;
        // Its start is no part of a sync.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.resource(&name).await?;
        let begin = Instant::now();
        self.until_synced(&name, size).await?;
        let rate = size as f64 / begin.elapsed().as_secs_f64();
        let peak_mib = peak_mib(&operator)?;
        operator.kill()?;
        operator.wait()?;
        let log_mb = std::fs::metadata(self.log(&name))?.len() as f64 / 1e6;
        let before = self.versions(&name).await?;
        let begin = Instant::now();
        let mut operator = self.start(&name, format(round))?;
        self.until_reconciled(&name).await?;
        let restart_seconds = begin.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = self.versions(&name).await?;
        let restart_writes = after.difference(&before).count();
        operator.kill()?;
        operator.wait()?;
        let api: Api<DatabaseQueryResource> = Api::namespaced(self.client.clone(), &name);
        api.patch("bench", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await?;
        api.delete("bench", &DeleteParams::default()).await?;
        self.clear(&name).await?;
        Ok(Figures { rate, peak_mib, log_mb, restart_seconds, restart_writes })
    }

    async fn rows(&self, database: &str, size: usize) -> Result<()> {
        let database = database.replace('-', "_");
        self.connect("postgres").await?.batch_execute(&format!("CREATE DATABASE {database}")).await?;
        let sql = format!(
            "CREATE TABLE t AS SELECT n, 'some text of row ' || n AS text FROM generate_series(1, {size}) n; ANALYZE t"
        );
        self.connect(&database).await?.batch_execute(&sql).await?;
        Ok(())
    }

    async fn connect(&self, database: &str) -> Result<tokio_postgres::Client> {
        let [host, port, user, password] = &self.server;
        let mut config = tokio_postgres::Config::new();
        config.host(host).port(port.parse()?).user(user).password(password).dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn resource(&self, name: &str) -> Result<()> {
        let [host, port, user, password] = &self.server;
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "db"},
            "stringData": {"host": host, "port": port, "username": user, "password": password, "dbname": name.replace('-', "_")}
        }))?;
        Api::<Secret>::namespaced(self.client.clone(), name).create(&PostParams::default(), &secret).await?;
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: object-{{ row.n }}\ndata:\n  number: {{ row.n | quote }}\n  text: {{ row.text }}\n";
        let resource: DatabaseQueryResource = serde_json::from_value(json!({
            "apiVersion": "konnektr.io/v1alpha1", "kind": "DatabaseQueryResource", "metadata": {"name": "bench"},
            "spec": {
                "pollInterval": "1h", "database": {"connectionSecretRef": {"name": "db"}},
                "query": "SELECT * FROM t ORDER BY n", "resourceTemplate": template
            }
        }))?;
        Api::<DatabaseQueryResource>::namespaced(self.client.clone(), name)
            .create(&PostParams::default(), &resource)
            .await?;
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn start(&self, name: &str, log_format: &str) -> Result<Child> {
        let applies = AT_ONCE.to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_dbqo"))
            .args(["run", "--watch-namespace", name, "--max-applies", &applies, "--max-applies-per-resource", &applies])
            // It is killed and started again: the time until a Lease runs out is a figure of its own.
            .args(["--listen", "off", "--leader-elect=false", "--log-format", log_format])
            .stderr(File::create(self.log(name))?)
            .spawn()?;
        Ok(child)
    }

    async fn until_synced(&self, name: &str, size: usize) -> Result<()> {
        let api: Api<DatabaseQueryResource> = Api::namespaced(self.client.clone(), name);
        for _ in 0..60_000 {
            let status = serde_json::to_value(api.get("bench").await?.status)?;
            let ready = status["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
            if ready && status["managedResources"].as_u64() == Some(size as u64) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("not synced: {}", std::fs::read_to_string(self.log(name))?).into())
    }

    async fn until_reconciled(&self, name: &str) -> Result<()> {
        for _ in 0..60_000 {
            if std::fs::read_to_string(self.log(name))?.contains("reconciled") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("not reconciled".into())
    }

    /// Versions of all objects and of the resource itself: every write makes a new one.
    async fn versions(&self, name: &str) -> Result<std::collections::HashSet<String>> {
        let objects =
            Api::<ConfigMap>::namespaced(self.client.clone(), name).list_metadata(&ListParams::default()).await?;
        let resource = Api::<DatabaseQueryResource>::namespaced(self.client.clone(), name).get("bench").await?;
        Ok(objects.iter().filter_map(ResourceExt::resource_version).chain(resource.resource_version()).collect())
    }
}

/// How the log of a round is written: each in turn.
fn format(round: usize) -> &'static str {
    ["text", "json"][round % 2]
}

/// The most memory the process ever had resident.
fn peak_mib(process: &Child) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kib / 1024.0)
}
