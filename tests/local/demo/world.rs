//! The world of the demo: a database, a namespace, the operator, and a clock.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dbqo::crd::DatabaseQueryResource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

const NAMESPACE: &str = "demo";
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the demo looks whether something happened; bounds how exactly it can tell when.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Everything the demo works with.
pub struct World {
    client: Client,
    database: tokio_postgres::Client,
    server: Server,
    operator: Child,
    log: PathBuf,
    start: Instant,
    /// When the last thing was done that something is expected of.
    done: Instant,
}

/// Where PostgreSQL listens, and as whom to come.
struct Server {
    host: String,
    port: String,
    user: String,
    password: String,
}

impl World {
    /// Installs the CustomResourceDefinition, makes namespace and database, starts the operator.
    pub async fn prepare() -> Result<Self, String> {
        let env = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set: run `make demo`"));
        let server = Server {
            host: env("DBQO_TEST_POSTGRES_HOST")?,
            port: env("DBQO_TEST_POSTGRES_PORT")?,
            user: env("DBQO_TEST_POSTGRES_USER")?,
            password: env("DBQO_TEST_POSTGRES_PASSWORD")?,
        };
        let client = Client::try_default().await.map_err(text)?;
        install(&client).await?;
        server.connect("postgres").await?.batch_execute("CREATE DATABASE demo").await.map_err(text)?;
        let database = server.connect("demo").await?;
        let log = PathBuf::from(env("DBQO_TEST_DIR")?).join("operator.log");
        let operator = start_operator(&log)?;
        let now = Instant::now();
        Ok(Self { client, database, server, operator, log, start: now, done: now })
    }

    /// Runs SQL and starts the clock.
    pub async fn sql(&mut self, sql: &str) -> Result<(), String> {
        let failed = |error: tokio_postgres::Error| {
            format!("{sql}: {}", error.as_db_error().map_or("no answer", |e| e.message()))
        };
        self.database.batch_execute(sql).await.map_err(failed)?;
        self.did("sql", sql);
        Ok(())
    }

    /// Creates the Secret that says how to connect.
    pub async fn create_secret(&mut self) -> Result<(), String> {
        let Server { host, port, user, password } = &self.server;
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "tenants-db"},
            "stringData": {"host": host, "port": port, "username": user, "password": password, "dbname": "demo", "sslmode": "disable"}
        }))
        .map_err(text)?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.create(&PostParams::default(), &secret).await.map_err(text)?;
        self.did(
            "kubectl",
            "create secret generic tenants-db --from-literal=host=… (port, username, password, dbname)",
        );
        Ok(())
    }

    /// Creates a resource that makes objects of the rows by this template.
    pub async fn create_dbqr(&mut self, name: &str, template: &str) -> Result<(), String> {
        let dbqr: DatabaseQueryResource = serde_json::from_value(json!({
            "apiVersion": "konnektr.io/v1alpha1", "kind": "DatabaseQueryResource",
            "metadata": {"name": name},
            "spec": {
                "pollInterval": "1h",
                "changeDetection": {"enabled": true, "tableName": "tenants"},
                "database": {"connectionSecretRef": {"name": "tenants-db"}},
                "query": "SELECT * FROM tenants",
                "resourceTemplate": template,
                "pruneGuard": {"maxDeletions": "50%"}
            }
        }))
        .map_err(text)?;
        let api: Api<DatabaseQueryResource> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.create(&PostParams::default(), &dbqr).await.map_err(text)?;
        self.did("kubectl", &format!("apply -f {name}.yaml"));
        Ok(())
    }

    /// Deletes a resource.
    pub async fn delete_dbqr(&mut self, name: &str) -> Result<(), String> {
        let api: Api<DatabaseQueryResource> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.delete(name, &DeleteParams::default()).await.map_err(text)?;
        self.did("kubectl", &format!("delete dbqr {name}"));
        Ok(())
    }

    /// Waits until the object (`plural/name`) is as expected, and says after how long that was.
    pub async fn expect(
        &mut self,
        object: &str,
        what: &str,
        is_so: impl Fn(Option<&Value>) -> bool,
    ) -> Result<(), String> {
        let (plural, name) = object.split_once('/').unwrap_or((object, ""));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &kind(plural));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = api.get_opt(name).await.map_err(text)?;
            let found = found.map(serde_json::to_value).transpose().map_err(text)?;
            if is_so(found.as_ref()) {
                println!("            cluster  {object} {what} after {} ms", self.done.elapsed().as_millis());
                return Ok(());
            }
            if Instant::now() > deadline {
                let status =
                    found.map(|object| object["status"].to_string()).unwrap_or_else(|| "it does not exist".into());
                return Err(format!("expected of {object}: {what}; not so after {PATIENCE:?}; {status}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the operator said.
    pub fn print_log(&self) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        eprintln!("\n--- the operator's log ---\n{log}");
    }

    /// How to look around while all is running.
    pub fn print_how_to_look(&self) {
        let kubeconfig = std::env::var("KUBECONFIG").unwrap_or_default();
        let Server { host, port, user, password } = &self.server;
        println!("\nAll is left running; Ctrl-C ends it. In another terminal:\n");
        println!("  export KUBECONFIG={kubeconfig}");
        println!("  kubectl -n {NAMESPACE} get dbqr,configmaps,deployments");
        println!("  kubectl -n {NAMESPACE} get dbqr tenant-config -o yaml");
        println!("  kubectl -n {NAMESPACE} get events");
        println!("  psql postgresql://{user}:{password}@{host}:{port}/demo -c 'TABLE tenants'");
        println!("  tail -f {}", self.log.display());
    }

    /// Stops the operator.
    pub async fn stop(&mut self) {
        let _ = self.operator.kill();
        let _ = self.operator.wait();
    }

    fn did(&mut self, how: &str, what: &str) {
        self.done = Instant::now();
        println!("{:>8} ms  {how:<7}  {what}", self.start.elapsed().as_millis());
    }
}

impl Server {
    async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, String> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).user(&self.user).password(&self.password).dbname(database);
        config.port(self.port.parse().map_err(text)?);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(text)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

async fn install(client: &Client) -> Result<(), String> {
    let definition: CustomResourceDefinition =
        serde_saphyr::from_str(include_str!("../../../crds/databasequeryresources.yaml")).map_err(text)?;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    api.patch(&definition.name_any(), &PatchParams::apply("demo"), &Patch::Apply(&definition)).await.map_err(text)?;
    let established = kube::runtime::conditions::is_crd_established();
    let name = definition.name_any();
    let wait = kube::runtime::wait::await_condition(api, &name, established);
    tokio::time::timeout(PATIENCE, wait).await.map_err(text)?.map_err(text)?;
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).map_err(text)?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.map_err(text)?;
    Ok(())
}

/// The operator beside the demo: built by the same command.
fn start_operator(log: &PathBuf) -> Result<Child, String> {
    let here = std::env::current_exe().map_err(text)?;
    let binary = here
        .parent()
        .and_then(|examples| examples.parent())
        .map(|target| target.join("dbqo"))
        .ok_or("no target folder")?;
    let file = File::create(log).map_err(text)?;
    Command::new(&binary)
        .args(["run", "--listen", "off"])
        .stderr(file)
        .spawn()
        .map_err(|error| format!("{} did not start: {error}; run `make demo`", binary.display()))
}

fn kind(plural: &str) -> ApiResource {
    match plural {
        "deployments" => ApiResource::erase::<Deployment>(&()),
        "dbqr" => ApiResource::erase::<DatabaseQueryResource>(&()),
        _ => ApiResource::erase::<ConfigMap>(&()),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
