//! Bad input gets an error that names it, stops nobody else, and heals when it is mended.

use dbqo::crd::{DatabaseQueryResource, Status};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::eventually;
use crate::support::world::{PATIENCE, World, condition};

fn message(resource: &Value, kind: &str) -> String {
    condition(resource, kind).unwrap()["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_missing_secret_is_waited_for() {
    let world = World::new("no-secret", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h", "database": {"connectionSecretRef": {"name": "later"}}})).await;
    let resource = world.condition("q", "Ready", "False", Some("SecretNotFound")).await;
    assert!(message(&resource, "Ready").contains("later"));
    assert_eq!(condition(&resource, "Reconciling").unwrap()["status"], "True");
    world.create_secret("later").await;
    world.ready("q").await;
}

#[tokio::test]
async fn a_secret_without_a_key_stalls_until_it_has_it() {
    let world = World::new("no-key", &["a"]).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace.name());
    secrets.patch("db", &PatchParams::default(), &Patch::Merge(json!({"data": {"host": null}}))).await.unwrap();
    world.create("q", json!({"pollInterval": "1h"})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    assert!(message(&resource, "Ready").contains("host"), "{}", message(&resource, "Ready"));
    let host = json!({"stringData": {"host": world.database.host()}});
    secrets.patch("db", &PatchParams::default(), &Patch::Merge(host)).await.unwrap();
    let resource = world.ready("q").await;
    assert!(condition(&resource, "Stalled").is_none());
}

#[tokio::test]
async fn a_uri_connects_as_well() {
    let world = World::new("uri", &["a"]).await;
    let db = &world.database;
    let uri = format!(
        "postgresql://{}:{}@{}:{}/{}?sslmode=disable",
        db.user(),
        db.password(),
        db.host(),
        db.port(),
        db.name()
    );
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace.name());
    secrets
        .patch("db", &PatchParams::default(), &Patch::Merge(json!({"stringData": {"fqdn-uri": uri}})))
        .await
        .unwrap();
    let query = "SELECT name, current_setting('application_name') AS v FROM t";
    let database = json!({"connectionSecretRef": {"name": "db", "uriKey": "fqdn-uri"}});
    world.create("q", json!({ "database": database, "query": query })).await;
    world.ready("q").await;
    // Every operator of these tests runs with PGAPPNAME and more set.
    world.until_value("a", Some("db-query-operator")).await;
}

#[tokio::test]
async fn a_secret_of_another_namespace_needs_its_flag() {
    let world = World::new("secret-ns", &["a"]).await;
    world.create("q", json!({"database": {"connectionSecretRef": {"name": "db", "namespace": "kube-system"}}})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    assert!(message(&resource, "Ready").contains("--allow-secret-namespaces=kube-system"));
}

#[tokio::test]
async fn a_database_that_accepts_and_never_answers_keeps_nobody_waiting() {
    let world = World::new("silent", &["a"]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    let mut secret = crate::support::secret_for(&world.database, "silent");
    secret.string_data.get_or_insert_default().insert("port".into(), port.to_string());
    if let Some(data) = &mut secret.data {
        data.remove("port");
    }
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace.name());
    secrets.create(&Default::default(), &secret).await.unwrap();
    world.create("silent", json!({"database": {"connectionSecretRef": {"name": "silent"}}})).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    let resource = world.condition("silent", "Ready", "False", Some("DatabaseUnreachable")).await;
    assert_eq!(condition(&resource, "DatabaseConnected").unwrap()["status"], "False");
    accepting.abort();
}

#[tokio::test]
async fn a_refused_login_says_so_and_heals_with_the_secret() {
    let world = World::new("login", &["a"]).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace.name());
    let patch = |password: &str| Patch::Merge(json!({"stringData": {"password": password}}));
    secrets.patch("db", &PatchParams::default(), &patch("wrong")).await.unwrap();
    world.create("q", json!({"pollInterval": "1h"})).await;
    let resource = world.condition("q", "Ready", "False", None).await;
    assert_eq!(condition(&resource, "DatabaseConnected").unwrap()["status"], "False");
    secrets.patch("db", &PatchParams::default(), &patch(world.database.password())).await.unwrap();
    world.ready("q").await;
}

#[tokio::test]
async fn an_error_in_the_query_names_statement_and_place() {
    let world = World::new("sql-error", &["a"]).await;
    world.create("q", json!({"query": "SET lock_timeout = '3s'; SELECT nothing_like_it FROM t"})).await;
    let resource = world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    let message = message(&resource, "Ready");
    assert!(message.contains("42703") && message.contains("statement 2"), "{message}");
    assert_eq!(condition(&resource, "DatabaseConnected").unwrap()["status"], "False");
}

#[tokio::test]
async fn the_last_statement_cannot_write() {
    let world = World::new("read-only", &["a"]).await;
    world.run_sql("CREATE FUNCTION sly() RETURNS text LANGUAGE sql AS 'DELETE FROM t RETURNING name'").await;
    world.create("q", json!({"query": "SELECT sly() AS name, 'x' AS v"})).await;
    let resource = world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    assert!(message(&resource, "Ready").contains("25006"), "{}", message(&resource, "Ready"));
    let rows: i64 = world.sql.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_template_error_names_line_and_field() {
    let world = World::new("template", &["a"]).await;
    world.create("q", json!({"resourceTemplate": "apiVersion: v1\nkind: {{ row. }}\n"})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    let text = message(&resource, "Ready");
    assert!(text.contains("resourceTemplate") && text.contains("line 2"), "{text}");
    world.patch("q", json!({"spec": {"resourceTemplate": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.nmae }}\n"}})).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let text = resource["status"]["failures"][0]["message"].to_string();
    assert!(text.contains("line 4"), "{text}");
}

#[tokio::test]
async fn two_rows_for_one_object_are_an_error_of_both() {
    let world = World::new("twice", &["a", "b"]).await;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: same\ndata:\n  v: {{ row.v }}\n";
    world.create("q", json!({ "resourceTemplate": template })).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 2);
    assert_eq!(resource["status"]["failures"][0]["reason"], "DuplicateObject");
    assert!(world.managed().await.is_empty());
}

#[tokio::test]
async fn a_failed_row_is_called_by_its_key() {
    let world = World::new("row-key", &["good", "Bad_Name"]).await;
    for (name, changes, row) in [
        ("given", json!({"keyColumns": ["v", "name"]}), r#"["one","Bad_Name"]"#),
        ("primary", json!({"tableName": "t"}), r#"["Bad_Name"]"#),
    ] {
        let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-{{{{ row.name }}}}\n");
        world.create(name, json!({"changeDetection": changes, "resourceTemplate": template})).await;
        let resource = world.condition(name, "Ready", "False", Some("PartiallyFailed")).await;
        assert_eq!(resource["status"]["failures"][0]["row"], row);
        assert!(message(&resource, "Ready").contains(&format!("; row {row}: ")), "{}", message(&resource, "Ready"));
        let logs = world.operator.logs();
        assert!(logs.contains(&format!("row={row}")), "{logs}");
    }
    let gone = json!({"changeDetection": {"keyColumns": ["name", "gone"]}});
    world.create("gone", gone).await;
    let resource = world.condition("gone", "Ready", "False", Some("QueryFailed")).await;
    let expected = "changeDetection.keyColumns[1]: the query has no column named gone";
    assert_eq!(message(&resource, "Ready"), expected);
}

#[tokio::test]
async fn columns_that_cannot_be_told_apart_are_an_error_without_rows_too() {
    let world = World::new("no-rows", &[]).await;
    world.create("q", json!({"query": "SELECT name, v, v FROM t"})).await;
    let resource = world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    assert!(message(&resource, "Ready").contains("two columns of the query are named v"));
}

#[tokio::test]
async fn an_object_that_the_server_refuses_stops_no_other() {
    let world = World::new("refused", &["good", "Bad_Name"]).await;
    world.create("q", json!({})).await;
    world.until_value("good", Some("one")).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failedRows"], 1);
    assert!(resource["status"]["failures"][0]["message"].to_string().contains("metadata.name"));
    world.run_sql("DELETE FROM t WHERE name = 'Bad_Name'").await;
    world.ready("q").await;
}

#[tokio::test]
async fn an_unknown_kind_is_that_rows_error() {
    let world = World::new("unknown", &["a"]).await;
    world.create("q", json!({"resourceTemplate": "apiVersion: example.com/v1\nkind: Nothing\nmetadata:\n  name: {{ row.name }}\n"})).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failures"][0]["reason"], "UnknownKind");
    assert!(resource["status"]["failures"][0]["message"].to_string().contains("Nothing"));
}

#[tokio::test]
async fn a_stored_resource_that_does_not_decode_is_its_own_error_alone() {
    let world = World::new("undecodable", &["a"]).await;
    // The schema allows every integer; ours must fit 32 bits.
    world.create("odd", json!({"pruneGuard": {"maxDeletions": 5_000_000_000_i64}})).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let resource = world.condition("odd", "Stalled", "True", Some("InvalidSpec")).await;
    assert!(message(&resource, "Ready").contains("does not decode"));
    world.delete("odd").await;
    eventually("it is gone", PATIENCE, async || world.dbqrs().get_opt("odd").await.unwrap().is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn a_status_that_the_go_operator_left_is_read_and_replaced() {
    let world = World::new("go-status", &["a"]).await;
    world.create("q", json!({"suspend": true})).await;
    let left = json!({"status": {"managedResources": ["v1/ConfigMap/x/y"], "lastPollTime": "2024-01-01T00:00:00Z"}});
    world.dbqrs().patch_status("q", &PatchParams::default(), &Patch::Merge(left)).await.unwrap();
    let stored = world.get("q").await;
    assert_eq!(stored["status"]["managedResources"], json!(["v1/ConfigMap/x/y"]), "the schema takes the list");
    assert_eq!(Status::read(&stored["status"]).managed_resources, None);
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["managedResources"], 1);
}

#[tokio::test]
async fn the_api_server_refuses_bad_input_with_a_sentence_that_names_the_field() {
    let world = World::new("schema", &[]).await;
    let changes = |more: Value| json!({ "changeDetection": more });
    for (more, sentence) in [
        (json!({"template": "x"}), "set exactly one of resourceTemplate and template"),
        (json!({"resourceTemplate": null}), "set exactly one of resourceTemplate and template"),
        (json!({"statusUpdateQuery": "x", "statusUpdateQueryTemplate": "x"}), "set only one of statusUpdateQuery"),
        (json!({"pollInterval": "500ms"}), "pollInterval must be at least 1s"),
        (json!({"pollInterval": "soon"}), "spec.pollInterval"),
        (json!({"query": ""}), "spec.query"),
        (json!({"templateLanguage": "Perl"}), "spec.templateLanguage"),
        (json!({"deletionPolicy": "Keep"}), "spec.deletionPolicy"),
        (json!({"pruneGuard": {"maxDeletions": "120%"}}), "pruneGuard.maxDeletions must be"),
        (json!({"database": {"type": "mysql", "connectionSecretRef": {"name": "db"}}}), "spec.database.type"),
        (json!({"database": {"connectionSecretRef": {}}}), "spec.database.connectionSecretRef.name"),
        (
            json!({"database": {"connectionSecretRef": {"name": "db"}, "sslCertSecretRef": {"name": "a", "key": "b"}}}),
            "database.sslCertSecretRef and database.sslKeySecretRef belong together",
        ),
        (changes(json!({"enabled": true})), "changeDetection.enabled needs tableName or tables"),
        (changes(json!({"timestampColumn": "at"})), "changeDetection.timestampColumn needs"),
        (
            changes(json!({"tableName": "t", "tables": [{"tableName": "u"}]})),
            "set only one of changeDetection.tableName",
        ),
        (changes(json!({"resyncInterval": "10ms"})), "resyncInterval must be at least 1s"),
    ] {
        let refused = world.try_create("bad", more.clone()).await.expect_err(&format!("{more} was taken")).to_string();
        assert!(refused.contains(sentence), "{more}: {refused}");
    }
    let filled: DatabaseQueryResource = serde_json::from_value(
        serde_json::to_value(world.try_create("good", json!({"suspend": true})).await.unwrap()).unwrap(),
    )
    .unwrap();
    assert_eq!((filled.spec.prune, filled.spec.database.max_rows), (true, 200_000), "defaults are filled in");
    for (more, name) in [
        (json!({"template": "x", "resourceTemplate": null, "suspend": true}), "other-spelling"),
        (json!({"statusUpdateQueryTemplate": "x", "suspend": true}), "sql-spelling"),
    ] {
        world.create(name, more).await;
    }
}
