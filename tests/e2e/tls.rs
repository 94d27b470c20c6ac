//! Encrypted connections, with certificates from Secrets of their own.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::certificates::{Authority, params};
use crate::support::server::{PASSWORD, Server};
use crate::support::world::{World, condition};
use crate::support::{Operator, env};

fn message(resource: &Value) -> String {
    condition(resource, "Ready").unwrap()["message"].as_str().unwrap().to_owned()
}

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), world.namespace.name())
}

async fn create_secret(world: &World, name: &str, data: Value) {
    let secret = serde_json::from_value(json!({"metadata": {"name": name}, "stringData": data})).unwrap();
    secrets(world).create(&PostParams::default(), &secret).await.unwrap();
}

async fn change_secret(world: &World, name: &str, data: Value) {
    let patch = Patch::Merge(json!({ "stringData": data }));
    secrets(world).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// A server with one row for everybody, and a world with a Secret `encrypted` for one of its users.
async fn world(test: &str, user: &str, sslmode: Option<&str>) -> (World, Server) {
    let (world, server) = (World::new(test, &[]).await, Server::start(test).await);
    let sql = "CREATE TABLE t AS SELECT 'a' AS name, 'one' AS v; GRANT ALL ON t TO PUBLIC";
    server.admin().await.batch_execute(sql).await.unwrap();
    let mut data = json!({
        "host": "127.0.0.1", "port": server.port.to_string(), "dbname": "postgres", "username": user,
        "password": PASSWORD,
    });
    if let Some(mode) = sslmode {
        data["sslmode"] = mode.into();
    }
    create_secret(&world, "encrypted", data).await;
    (world, server)
}

/// A spec that is looked at only when something changes, for the Secret `encrypted` and these certificates.
fn spec(certificates: Value) -> Value {
    let mut database = json!({"connectionSecretRef": {"name": "encrypted"}});
    for (field, reference) in certificates.as_object().unwrap() {
        database[field] = reference.clone();
    }
    json!({"pollInterval": "1h", "database": database})
}

#[tokio::test]
async fn a_certificate_authority_may_come_later_from_a_secret_of_its_own_and_change() {
    let (world, server) = world("verify-full", "only_tls", Some("verify-full")).await;
    let roots = json!({"sslRootCertSecretRef": {"name": "ca", "key": "ca.crt"}});
    world.create("q", spec(roots)).await;
    let resource = world.condition("q", "Ready", "False", Some("SecretNotFound")).await;
    assert!(message(&resource).contains("/ca"), "{}", message(&resource));
    assert_eq!(condition(&resource, "Reconciling").unwrap()["status"], "True");

    create_secret(&world, "ca", json!({"other.crt": "x"})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    let expected = "database.sslRootCertSecretRef: key `ca.crt` of Secret ca is missing";
    assert!(message(&resource).contains(expected), "{}", message(&resource));

    change_secret(&world, "ca", json!({"ca.crt": Authority::new("a stranger").certificate})).await;
    let resource = world.condition("q", "Ready", "False", Some("TlsFailed")).await;
    assert!(message(&resource).contains("signed by none of the trusted"), "{}", message(&resource));
    assert_eq!(condition(&resource, "DatabaseConnected").unwrap()["status"], "False");
    assert!(condition(&resource, "Stalled").is_none() && world.managed().await.is_empty());

    change_secret(&world, "ca", json!({"ca.crt": server.authority.certificate})).await;
    world.ready("q").await;
    world.until_value("a", Some("one")).await;

    // What was trusted once is not trusted for ever: an open connection to it is given up.
    change_secret(&world, "ca", json!({"ca.crt": Authority::new("a stranger").certificate})).await;
    world.condition("q", "Ready", "False", Some("TlsFailed")).await;
    assert_eq!(world.managed().await, ["a"]);
}

#[tokio::test]
async fn a_client_certificate_logs_in_once_it_can_be_read() {
    let (world, server) = world("client", "by_certificate", Some("verify-full")).await;
    let pair = server.authority.signs(&params(&[], "by_certificate"));
    // As cert-manager has it: all in one.
    let reference = |key: &str| json!({"name": "tls", "key": key});
    let broken = json!({"ca.crt": server.authority.certificate, "tls.crt": pair.certificate, "tls.key": "CANARY"});
    create_secret(&world, "tls", broken).await;
    let certificates = json!({
        "sslRootCertSecretRef": reference("ca.crt"), "sslCertSecretRef": reference("tls.crt"),
        "sslKeySecretRef": reference("tls.key"),
    });
    world.create("q", spec(certificates)).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    let expected = "database.sslKeySecretRef: key `tls.key` of Secret tls has no private key in PEM";
    assert!(message(&resource).contains(expected), "{}", message(&resource));
    change_secret(&world, "tls", json!({"tls.key": pair.key})).await;
    world.ready("q").await;
    world.until_value("a", Some("one")).await;

    // Without it the server says what it wants.
    world.create("without", spec(json!({"sslRootCertSecretRef": reference("ca.crt")}))).await;
    let resource = world.condition("without", "Ready", "False", Some("LoginRefused")).await;
    assert!(message(&resource).contains("database.sslCertSecretRef"), "{}", message(&resource));
    let told = world.operator.logs() + &resource.to_string();
    assert!(!told.contains("CANARY") && !told.contains("BEGIN"), "{told}");
}

#[tokio::test]
async fn encryption_that_is_asked_for_is_never_silently_left_out() {
    // The shared server has none.
    let plain = World::new("no-encryption", &["a"]).await;
    change_secret(&plain, "db", json!({"sslmode": "require"})).await;
    plain.create("q", json!({})).await;
    let resource = plain.condition("q", "Ready", "False", Some("TlsFailed")).await;
    assert!(message(&resource).contains("does not offer TLS") && message(&resource).contains("sslmode"));
    assert!(plain.managed().await.is_empty());
    change_secret(&plain, "db", json!({"sslmode": "verify-full"})).await;
    let resource = plain.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    assert!(message(&resource).contains("database.sslRootCertSecretRef"), "{}", message(&resource));

    // This user must not get in without, and by default does not try.
    let (world, _server) = world("sslmode", "only_tls", Some("disable")).await;
    world.create("q", spec(json!({}))).await;
    let resource = world.condition("q", "Ready", "False", Some("LoginRefused")).await;
    assert!(message(&resource).contains("not encrypted (sslmode)"), "{}", message(&resource));
    assert!(world.managed().await.is_empty());
    change_secret(&world, "encrypted", json!({"sslmode": ""})).await;
    world.ready("q").await;
}

#[tokio::test]
async fn the_machines_certificates_verify_where_a_connection_string_says_system() {
    let (mut world, server) = world("system", "only_tls", None).await;
    let store = std::path::PathBuf::from(env("DIR")).join(format!("{}.pem", world.namespace.name()));
    std::fs::write(&store, &server.authority.certificate).unwrap();
    let uri = |host: &str| {
        let (port, system) = (server.port, "sslrootcert=system&hostaddr=127.0.0.1");
        json!({"uri": format!("postgresql://only_tls:{PASSWORD}@{host}:{port}/postgres?{system}")})
    };
    change_secret(&world, "encrypted", uri("localhost")).await;
    world
        .create(
            "q",
            json!({"pollInterval": "1h", "database": {"connectionSecretRef": {"name": "encrypted", "uriKey": "uri"}}}),
        )
        .await;
    // The real store trusts nobody of ours.
    world.condition("q", "Ready", "False", Some("TlsFailed")).await;
    world.operator.terminate();
    world.operator = Operator::start_with(world.namespace.name(), &[], &[("SSL_CERT_FILE", store.to_str().unwrap())]);
    world.ready("q").await;
    change_secret(&world, "encrypted", uri("db.example")).await;
    let resource = world.condition("q", "Ready", "False", Some("TlsFailed")).await;
    assert!(message(&resource).contains("not for this host"), "{}", message(&resource));
}

#[tokio::test]
async fn a_denied_host_is_not_connected_to_and_the_flag_is_named() {
    let flag = "--deny-database-hosts=169.254.0.0/16,127.0.0.0/8,::1";
    let world = World::with_flags("denied", &["a"], &[flag]).await;
    world.create("q", json!({})).await;
    let resource = world.condition("q", "Ready", "False", Some("HostDenied")).await;
    assert!(message(&resource).contains("--deny-database-hosts"), "{}", message(&resource));
    change_secret(&world, "db", json!({"host": "localhost"})).await;
    world.another_pass("q").await;
    world.condition("q", "Ready", "False", Some("HostDenied")).await;
    assert!(world.managed().await.is_empty());
}
