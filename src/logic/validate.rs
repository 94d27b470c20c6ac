//! Spec and Secret become [`Validated`], after which no step has an error of the spec left. Pure, but
//! compiles templates: call it on a deep stack.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::connection::{self, SecretKeys, Settings};
use super::detect::Detection;
use super::guard::Guard;
use super::invalid::InvalidSpec;
use super::json::Json;
use super::pointer::Pointer;
use super::pool::Bounds;
use super::rights::Rights;
use super::schedule::Schedule;
use super::secrets::{self, Data};
use super::sql::{self, Query, RowKey};
use super::template::{Language, Template};
use crate::crd::{ChangeDetectionMode, ConnectionSecretRef, DatabaseQueryResourceSpec as Spec, Dbqr, Gvk};

/// A spec that makes sense, with everything parsed that can be.
pub struct Validated {
    /// How to connect.
    pub settings: Settings,
    /// How to connect to a replica, if there is one.
    pub replica: Option<Settings>,
    /// How to connect for notifications, if otherwise.
    pub notify_settings: Option<Settings>,
    /// How changes are to be noticed.
    pub mode: ChangeDetectionMode,
    /// Bounds of the pool of such connections.
    pub pool: Bounds,
    /// What to run.
    pub query: Query,
    /// Longest time a statement may take.
    pub statement_timeout: Duration,
    /// Most rows.
    pub max_rows: u64,
    /// Whether the last statement runs read-only.
    pub read_only: bool,
    /// What to look at between full reads.
    pub detection: Option<Detection>,
    /// When to look.
    pub schedule: Schedule,
    /// What to render.
    pub template: Template,
    /// What templates see as `dbqr` or `.Metadata`.
    pub dbqr: Json,
    /// Fills in apiVersion and kind.
    pub gvk: Option<Gvk>,
    /// Fields of objects that are set at creation alone.
    pub ignored: Arc<[Pointer]>,
    /// Whether objects without a row are deleted.
    pub prune: bool,
    /// How many at a time.
    pub guard: Guard,
}

/// Validates a spec together with the data of its Secrets, which are by name.
pub fn validate(
    dbqr: &Dbqr,
    spec: &Spec,
    secrets: &BTreeMap<String, Data>,
    rights: &Rights,
) -> Result<Validated, InvalidSpec> {
    refuse_what_comes_later(spec)?;
    let settings = settings(spec, &spec.database.connection_secret_ref, secrets, rights)?;
    let notify = spec.database.notify_connection_secret_ref.as_ref();
    if let Some(namespace) = notify.and_then(|notify| notify.namespace.as_deref())
        && namespace != spec.database.connection_secret_ref.namespace_or(dbqr.name().1)
    {
        let sentence = "database.notifyConnectionSecretRef.namespace must be the namespace of connectionSecretRef";
        return Err(InvalidSpec(sentence.into()));
    }
    let notify_settings = notify.map(|reference| self::settings(spec, reference, secrets, rights)).transpose()?;
    let changes = spec.change_detection.as_ref();
    let mut query = sql::parse_query(&spec.query, spec.database.read_only)
        .map_err(|error| InvalidSpec(format!("query: {error}")))?;
    query.key = RowKey::of(changes).map_err(|error| InvalidSpec(error.0))?;
    let (field, source) = template_of(spec)?;
    let language = Language::of(spec.template_language, &[(field, source)])
        .map_err(|error| InvalidSpec(format!("templateLanguage: Auto {error}")))?;
    let template = Template::compile(source, language).map_err(|error| InvalidSpec(format!("{field}: {error}")))?;
    let mode = changes.map(|changes| changes.mode).unwrap_or_default();
    let detection = Detection::of(changes).map_err(|error| InvalidSpec(error.0))?;
    let (settings, notify_settings) = match &detection {
        Some(_) if mode != ChangeDetectionMode::Poll => {
            (settings.to_listen(), notify_settings.map(Settings::to_listen))
        }
        _ => (settings, notify_settings),
    };
    let at_least = |field: &str, duration: Duration, least: Duration| {
        if duration < least { Err(InvalidSpec(format!("{field} must be at least {least:?}"))) } else { Ok(()) }
    };
    at_least("pollInterval", spec.poll_interval.0, Duration::from_secs(1))?;
    if let Some(changes) = changes {
        let probe = changes.change_poll_interval.unwrap_or(spec.poll_interval);
        at_least("changeDetection.changePollInterval", probe.0, Duration::from_secs(1))?;
        at_least("changeDetection.resyncInterval", changes.resync_interval.0, Duration::from_secs(1))?;
    }
    at_least("database.statementTimeout", spec.database.statement_timeout.0, Duration::from_millis(100))?;
    Ok(Validated {
        replica: replica(spec, &settings, secrets)?,
        settings,
        notify_settings,
        mode,
        pool: Bounds::new(spec.database.connection_pool.as_ref()).map_err(|error| InvalidSpec(error.into()))?,
        query,
        statement_timeout: spec.database.statement_timeout.0,
        max_rows: u64::try_from(spec.database.max_rows)
            .map_err(|_| InvalidSpec("database.maxRows must not be negative".into()))?,
        read_only: spec.database.read_only,
        detection,
        schedule: Schedule::of(spec.poll_interval.0, changes),
        template,
        dbqr: what_templates_see(dbqr),
        gvk: spec.gvk.clone(),
        ignored: Pointer::all(&spec.ignore_fields).map_err(InvalidSpec)?,
        prune: spec.prune,
        guard: Guard::new(&spec.prune_guard.clone().unwrap_or_default()).map_err(|error| InvalidSpec(error.into()))?,
    })
}

/// Fields whose work is still to come: set to something else than their default they would be a promise not kept.
fn refuse_what_comes_later(spec: &Spec) -> Result<(), InvalidSpec> {
    let later = [
        ("statusUpdateQuery", spec.status_update_query.is_some()),
        ("statusUpdateQueryTemplate", spec.status_update_query_template.is_some()),
        ("writeBack", spec.write_back.is_some()),
    ];
    match later.iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err(InvalidSpec(format!("{field} is not supported yet"))),
        None => Ok(()),
    }
}

fn settings(
    spec: &Spec,
    reference: &ConnectionSecretRef,
    secrets: &BTreeMap<String, Data>,
    rights: &Rights,
) -> Result<Settings, InvalidSpec> {
    let certificates = secrets::certificates(&spec.database, secrets)?;
    let nothing = Data::default();
    let data = secrets.get(&reference.name).unwrap_or(&nothing);
    let settings = connection::settings(&keys(reference), data, &certificates)
        .map_err(|error| InvalidSpec(format!("Secret {}: {error}", reference.name)))?;
    Ok(Settings { denied: rights.denied_database_hosts.clone(), ..settings })
}

fn replica(
    spec: &Spec,
    settings: &Settings,
    secrets: &BTreeMap<String, Data>,
) -> Result<Option<Settings>, InvalidSpec> {
    let reference = &spec.database.connection_secret_ref;
    let Some(key) = reference.readonly_host_key.as_deref().filter(|key| !key.is_empty()) else { return Ok(None) };
    let nothing = Data::default();
    let replica = connection::replica(settings, key, secrets.get(&reference.name).unwrap_or(&nothing));
    replica.map(Some).map_err(|error| InvalidSpec(format!("Secret {}: {error}", reference.name)))
}

fn template_of(spec: &Spec) -> Result<(&'static str, &str), InvalidSpec> {
    match (&spec.resource_template, &spec.template) {
        (Some(source), None) => Ok(("resourceTemplate", source)),
        (None, Some(source)) => Ok(("template", source)),
        _ => Err(InvalidSpec("set exactly one of resourceTemplate and template (two names of the same field)".into())),
    }
}

fn keys(reference: &ConnectionSecretRef) -> SecretKeys {
    SecretKeys {
        uri: reference.uri_key.clone().filter(|key| !key.is_empty()),
        host: reference.host_key.clone(),
        port: reference.port_key.clone(),
        user: reference.user_key.clone(),
        password: reference.password_key.clone(),
        dbname: reference.db_name_key.clone(),
        sslmode: reference.ssl_mode_key.clone(),
    }
}

/// Name, namespace, uid, and the labels and annotations that are neither ours nor kubectl's.
fn what_templates_see(dbqr: &Dbqr) -> Json {
    let foreign = |map: &Option<BTreeMap<String, String>>| -> BTreeMap<String, String> {
        let ours = |key: &str| key.starts_with("konnektr.io/") || key.starts_with("kubectl.kubernetes.io/");
        map.iter().flatten().filter(|(key, _)| !ours(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let metadata = &dbqr.metadata;
    let seen = json!({
        "name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid,
        "labels": foreign(&metadata.labels), "annotations": foreign(&metadata.annotations),
    });
    seen.into()
}
