//! What the tests on real servers share: a database, a namespace and an operator for each test, on the
//! one PostgreSQL and the one control plane that `tests/local/with-servers` starts for a run.

// Each test binary compiles this anew and uses its own part of it.
#![allow(dead_code, missing_docs)]

pub mod admission;
pub mod bystanders;
pub mod certificates;
pub mod control_plane;
pub mod gadgets;
pub mod listening;
pub mod pgbouncer;
pub mod proxy;
pub mod random_sql;
pub mod rules;
pub mod server;
pub mod webhook;
pub mod world;

use std::fs::File;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{conditions, wait};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// What `tests/local/with-servers` tells: `env("POSTGRES_PORT")` reads `DBQO_TEST_POSTGRES_PORT`.
pub fn env(name: &str) -> String {
    std::env::var(format!("DBQO_TEST_{name}"))
        .unwrap_or_else(|_| panic!("run `make test`: it starts the servers this test needs"))
}

/// A client of the control plane, as its administrator.
pub async fn kube_client() -> kube::Client {
    // Without this check a forgotten `make test` would run against the cluster somebody works with.
    env("DIR");
    kube::Client::try_default().await.unwrap()
}

/// A name for one test's own things, good for a namespace, a database and a file.
fn unique(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name: String = test.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name[..name.len().min(40)].trim_matches('-');
    format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A port of 127.0.0.1 that nobody else is given: below the range that systems give to outgoing connections, and each but
/// once. What the system says is free may be somebody's outgoing connection a moment later.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Test processes that run beside each other begin in different places.
    let begin = std::process::id() * 97;
    loop {
        let next = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % FIRST).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Looks every 50 ms until there is something to see.
pub async fn eventually<T>(what: &str, timeout: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_right(timeout, async || look().await.ok_or(what)).await
}

/// The same, where each look tells what is wrong.
pub async fn eventually_right<T, W: std::fmt::Display>(
    timeout: Duration,
    mut look: impl AsyncFnMut() -> Result<T, W>,
) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        let what = match look().await {
            Ok(seen) => return seen,
            Err(what) => what,
        };
        assert!(Instant::now() < deadline, "not so after {timeout:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs what `drop` cannot await, on a thread of its own. It tidies up only: all goes with the servers anyway,
/// and a test may have stopped one of them for good.
fn before_leaving(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(3), work).await });
    });
    let _ = thread.join();
}

/// A database of one test's own; dropped with it.
pub struct TestDatabase {
    host: String,
    port: u16,
    user: String,
    password: String,
    name: String,
}

impl TestDatabase {
    pub async fn create(test: &str) -> Self {
        let database = Self {
            host: env("POSTGRES_HOST"),
            port: env("POSTGRES_PORT").parse().unwrap(),
            user: env("POSTGRES_USER"),
            password: env("POSTGRES_PASSWORD"),
            name: unique(test),
        };
        let admin = connect(database.config("postgres")).await.unwrap();
        admin.batch_execute(&format!(r#"CREATE DATABASE "{}""#, database.name)).await.unwrap();
        database
    }

    /// A new connection to it, as superuser.
    pub async fn client(&self) -> tokio_postgres::Client {
        connect(self.config(&self.name)).await.unwrap()
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// SQL that makes it a foreign server of its own, `self`.
    pub fn foreign_server(&self) -> String {
        let Self { host, port, user, password, name } = self;
        format!(
            "CREATE EXTENSION postgres_fdw; \
             CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname '{name}'); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER self OPTIONS (user '{user}', password '{password}');"
        )
    }

    fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).user(&self.user).password(&self.password).dbname(database);
        config
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let config = self.config("postgres");
        let sql = format!(r#"DROP DATABASE "{}" WITH (FORCE)"#, self.name);
        before_leaving(async move {
            if let Ok(admin) = connect(config).await {
                let _ = admin.batch_execute(&sql).await;
            }
        });
    }
}

/// Opens a connection.
pub async fn connect(config: tokio_postgres::Config) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The Secret by which a resource finds the database.
pub fn secret_for(database: &TestDatabase, name: &str) -> Secret {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "stringData": {
            "host": database.host(), "port": database.port().to_string(), "dbname": database.name(),
            "username": database.user(), "password": database.password(),
        },
    }))
    .unwrap()
}

/// A namespace of one test's own; deleted with it.
pub struct TestNamespace {
    name: String,
}

impl TestNamespace {
    pub async fn create(client: &kube::Client, test: &str) -> Self {
        Self::named(client, &unique(test)).await
    }

    pub async fn named(client: &kube::Client, name: &str) -> Self {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        Self { name: name.into() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let name = self.name.clone();
        // A client of its own: the test's belongs to the runtime that this drop keeps waiting.
        before_leaving(async move {
            if let Ok(client) = kube::Client::try_default().await {
                let _ = Api::<Namespace>::all(client).delete(&name, &DeleteParams::default()).await;
            }
        });
    }
}

/// Installs the definition of our resource, once per test binary.
pub async fn install_crd(client: &kube::Client) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED.get_or_init(async || install_crd_again(client).await).await;
}

/// The same however often it was done before.
pub async fn install_crd_again(client: &kube::Client) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds/databasequeryresources.yaml");
    let yaml = std::fs::read_to_string(file).unwrap();
    let definition: CustomResourceDefinition = serde_saphyr::from_str(&yaml).unwrap();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = definition.name_any();
    api.patch(&name, &PatchParams::apply("tests").force(), &Patch::Apply(&definition)).await.unwrap();
    let established = wait::await_condition(api, &name, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(30), established).await.unwrap().unwrap();
}

/// A copy of the administrator's kubeconfig with another address or account.
pub fn kubeconfig(name: &str, server: Option<&str>, token: Option<&str>) -> PathBuf {
    let ours = std::fs::read_to_string(std::env::var("KUBECONFIG").unwrap()).unwrap();
    let mut config: serde_json::Value = serde_saphyr::from_str(&ours).unwrap();
    if let Some(server) = server {
        config["clusters"][0]["cluster"]["server"] = json!(server);
    }
    if let Some(token) = token {
        config["users"][0]["user"] = json!({ "token": token });
    }
    let file = PathBuf::from(env("DIR")).join(unique(name));
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// All of it wrong.
const ENVIRONMENT_OF_LIBPQ: [(&str, &str); 14] = [
    ("PGHOST", "nowhere.invalid"),
    ("PGHOSTADDR", "192.0.2.1"),
    ("PGPORT", "1"),
    ("PGUSER", "nobody"),
    ("PGPASSWORD", "wrong"),
    ("PGPASSFILE", "/nowhere"),
    ("PGDATABASE", "nowhere"),
    ("PGSERVICE", "nowhere"),
    ("PGAPPNAME", "leaked"),
    ("PGOPTIONS", "-c search_path=nowhere -c default_transaction_read_only=on"),
    ("PGSSLMODE", "verify-full"),
    ("PGSSLROOTCERT", "/nowhere"),
    ("PGCHANNELBINDING", "require"),
    ("PGTARGETSESSIONATTRS", "standby"),
];

/// The real binary, running beside the test and seeing the test's namespace alone.
pub struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    /// The control plane is shared: an operator that saw all of it would do the other tests' work, too.
    pub fn start(namespace: &str, flags: &[&str]) -> Self {
        Self::start_with(namespace, flags, &[])
    }

    /// The same, with more in its environment: `KUBECONFIG`, say.
    pub fn start_with(namespace: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = PathBuf::from(env("DIR")).join(format!("{}.log", unique(namespace)));
        let output = File::create(&log).unwrap();
        // An operator must not survive a test process that is killed and runs no `drop`.
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_dbqo")]);
            command
        } else {
            Command::new(env!("CARGO_BIN_EXE_dbqo"))
        };
        let process = command
            .args(["run", "--watch-namespace", namespace, "--lease-namespace", namespace, "--listen", "127.0.0.1:0"])
            .args(flags)
            // Whatever Pod the tests run in, the operator is in none.
            .env_remove("POD_NAME")
            .env_remove("POD_NAMESPACE")
            // What libpq would heed, so that no test passes where that leaks in.
            .envs(ENVIRONMENT_OF_LIBPQ)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { process, log }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// All it has written so far.
    pub fn logs(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What it serves under this path: status and body. Waits until it serves at all.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let address = eventually("the operator says where it serves", Duration::from_secs(30), async || {
            let logs = self.logs();
            let line = logs.lines().find(|line| line.contains("serving /metrics"))?;
            let port: String = line.split_once("127.0.0.1:")?.1.chars().take_while(char::is_ascii_digit).collect();
            Some(format!("127.0.0.1:{port}"))
        })
        .await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// A figure of its metrics by name and, as the text has them, labels; None where there is no such series.
    pub async fn figure(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Kills it as a crash would; fine if it has ended already.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: a small system may have no program of that name.
        let asked = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id())).status().unwrap();
        assert!(asked.success(), "the operator had ended already:\n{}", self.logs());
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// Asks it to end, as Kubernetes does, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "the operator does not end when asked to");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the operator's log ---\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}
