//! One test's world: a namespace, a database, and the real operator that sees nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dbqo::crd::DatabaseQueryResource;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{Operator, TestDatabase, TestNamespace, eventually, install_crd};

/// Longest time anything is waited for: it bounds a failure, it measures nothing.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A ConfigMap per row.
pub const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: {{ row.v | quote }}\n";

pub struct World {
    pub client: Client,
    pub namespace: TestNamespace,
    pub database: TestDatabase,
    pub sql: tokio_postgres::Client,
    pub operator: Operator,
    flags: Vec<String>,
    /// The operator's; None: the same as everybody's.
    kubeconfig: Option<PathBuf>,
}

impl World {
    /// A table `t (name text, v text)` with these names, its Secret `db`, and the operator.
    pub async fn new(test: &str, names: &[&str]) -> Self {
        Self::with_flags(test, names, &[]).await
    }

    pub async fn with_flags(test: &str, names: &[&str], flags: &[&str]) -> Self {
        Self::on(Client::try_default().await.unwrap(), test, names, flags, None).await
    }

    /// The same on the cluster of this client, and with the operator's own kubeconfig.
    pub async fn on(client: Client, test: &str, names: &[&str], flags: &[&str], kubeconfig: Option<PathBuf>) -> Self {
        install_crd(&client).await;
        let namespace = TestNamespace::create(&client, test).await;
        let database = TestDatabase::create(test).await;
        let sql = database.client().await;
        sql.batch_execute(
            "CREATE TABLE t (name text PRIMARY KEY, v text, at timestamptz NOT NULL DEFAULT clock_timestamp())",
        )
        .await
        .unwrap();
        for name in names {
            sql.execute("INSERT INTO t VALUES ($1, 'one')", &[name]).await.unwrap();
        }
        let flags: Vec<String> = flags.iter().map(|flag| flag.replace("NAMESPACE", namespace.name())).collect();
        let operator = start(&namespace, &flags, kubeconfig.as_ref());
        let world = Self { client, namespace, database, sql, operator, flags, kubeconfig };
        world.create_secret("db").await;
        world
    }

    /// Asks the operator to end where it has not ended yet, and starts another like it.
    pub fn restart(&mut self) {
        if self.operator.ended().is_none() {
            self.operator.terminate();
        }
        self.operator = start(&self.namespace, &self.flags, self.kubeconfig.as_ref());
    }

    pub async fn create_secret(&self, name: &str) {
        self.add_secret(&super::secret_for(&self.database, name)).await;
    }

    pub async fn add_secret(&self, secret: &Secret) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace.name());
        api.create(&PostParams::default(), secret).await.unwrap();
    }

    pub async fn run_sql(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    pub fn dbqrs(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            self.namespace.name(),
            &kube::api::ApiResource::erase::<DatabaseQueryResource>(&()),
        )
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// A spec over the table `t` with a ConfigMap per row, overlaid with `more`.
    pub fn spec(&self, more: Value) -> Value {
        let mut spec = json!({
            "pollInterval": "1s",
            "database": {"connectionSecretRef": {"name": "db"}},
            "query": "SELECT name, v FROM t",
            "resourceTemplate": CONFIG_MAP,
        });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        if spec["resourceTemplate"].is_null() {
            spec.as_object_mut().unwrap().remove("resourceTemplate");
        }
        spec
    }

    pub async fn create(&self, name: &str, more: Value) {
        self.try_create(name, more).await.unwrap();
    }

    pub async fn try_create(&self, name: &str, more: Value) -> kube::Result<DynamicObject> {
        let object = serde_json::from_value(json!({
            "apiVersion": "konnektr.io/v1alpha1", "kind": "DatabaseQueryResource",
            "metadata": {"name": name}, "spec": self.spec(more)
        }))
        .unwrap();
        self.dbqrs().create(&PostParams::default(), &object).await
    }

    pub async fn patch(&self, name: &str, patch: Value) {
        self.dbqrs().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.dbqrs().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn get(&self, name: &str) -> Value {
        serde_json::to_value(self.dbqrs().get(name).await.unwrap()).unwrap()
    }

    /// Waits for a condition to have this status and, where one is named, this reason.
    pub async fn condition(&self, name: &str, kind: &str, status: &str, reason: Option<&str>) -> Value {
        self.condition_within(PATIENCE, name, kind, status, reason).await
    }

    pub async fn condition_within(
        &self,
        patience: Duration,
        name: &str,
        kind: &str,
        status: &str,
        reason: Option<&str>,
    ) -> Value {
        let what = format!("{name} has {kind}={status} {}", reason.unwrap_or_default());
        eventually(&what, patience, async || {
            let object = self.get(name).await;
            condition(&object, kind)
                .is_some_and(|c| c["status"] == status && reason.is_none_or(|reason| c["reason"] == reason))
                .then_some(object)
        })
        .await
    }

    pub async fn ready(&self, name: &str) -> Value {
        self.condition(name, "Ready", "True", None).await
    }

    /// How many reads of the operator rest in `pg_sleep` now, as `client` of that database sees it. What is done with
    /// each such `pid`, `then` says.
    pub async fn resting(client: &tokio_postgres::Client, then: &str) -> i64 {
        let sql = format!(
            "SELECT count({then}) FROM pg_stat_activity WHERE application_name = 'db-query-operator' \
             AND datname = current_database() AND wait_event = 'PgSleep'"
        );
        client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// The same, as soon as there are any.
    pub async fn until_resting(client: &tokio_postgres::Client, then: &str) -> i64 {
        eventually("it is in the middle of a read", PATIENCE, async || {
            Some(Self::resting(client, then).await).filter(|count| *count > 0)
        })
        .await
    }

    /// Waits until the resource is gone, its finalizer done.
    pub async fn until_gone(&self, name: &str) {
        let look = async || self.dbqrs().get_opt(name).await.unwrap().is_none().then_some(());
        eventually(&format!("{name} is gone"), PATIENCE, look).await;
    }

    /// The value that ConfigMap `name` has for `v`; None if there is no such object.
    pub async fn value(&self, name: &str) -> Option<String> {
        self.config_maps().get_opt(name).await.unwrap().and_then(|object| object.data?.remove("v"))
    }

    pub async fn until_value(&self, name: &str, value: Option<&str>) {
        let what = format!("ConfigMap {name} has {value:?}");
        eventually(&what, PATIENCE, async || (self.value(name).await.as_deref() == value).then_some(())).await;
    }

    /// Waits for one more whole pass over this resource, so that what was not done by then will not be done.
    pub async fn another_pass(&self, name: &str) {
        let stamp = format!("{:?}", std::time::Instant::now());
        self.patch(name, json!({"metadata": {"annotations": {"konnektr.io/requestedAt": stamp}}})).await;
        let what = format!("{name} answered the request for a pass");
        eventually(&what, PATIENCE, async || {
            (self.get(name).await["status"]["lastHandledRequest"] == stamp).then_some(())
        })
        .await;
    }

    /// A count among the figures of a resource, with further labels; 0 where nothing is told of it.
    pub async fn count(&self, of: &str, figure: &str, more: &str) -> usize {
        let series = format!(r#"{figure}{{namespace="{}",name="{of}"{more}}}"#, self.namespace.name());
        self.operator.figure(&series).await.unwrap_or_default() as usize
    }

    /// How often it was looked at by now since this asked for it.
    pub async fn looks(&self, of: &str, source: &str) -> usize {
        self.count(of, "dbqr_wakes_total", &format!(r#",source="{source}""#)).await
    }

    /// How often its query has run by now.
    pub async fn reads(&self, of: &str) -> usize {
        self.count(of, "dbqr_query_duration_seconds_count", "").await
    }

    /// Versions of a resource and of ConfigMaps: every write makes a new one.
    pub async fn versions(&self, name: &str, config_maps: &[&str]) -> Vec<Option<String>> {
        let mut versions = vec![self.dbqrs().get(name).await.unwrap().metadata.resource_version];
        for name in config_maps {
            versions.push(self.config_maps().get(name).await.unwrap().metadata.resource_version);
        }
        versions
    }

    /// Name and uid of each ConfigMap that carries our label.
    pub async fn uids(&self) -> BTreeMap<String, String> {
        let list = self.config_maps().list(&ListParams::default().labels("konnektr.io/managed-by")).await.unwrap();
        list.items.into_iter().map(|it| (it.metadata.name.unwrap(), it.metadata.uid.unwrap())).collect()
    }

    /// Names of the ConfigMaps that carry our label.
    pub async fn managed(&self) -> Vec<String> {
        self.uids().await.into_keys().collect()
    }
}

fn start(namespace: &TestNamespace, flags: &[String], kubeconfig: Option<&PathBuf>) -> Operator {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let environment: Vec<_> = kubeconfig.iter().map(|file| ("KUBECONFIG", file.to_str().unwrap())).collect();
    Operator::start_with(namespace.name(), &flags, &environment)
}

pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}
