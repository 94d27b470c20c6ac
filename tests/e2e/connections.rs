//! Connections to the database: shared, bounded, and gone when nobody needs them.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::pgbouncer::PgBouncer;
use crate::support::world::{PATIENCE, World, condition};
use crate::support::{Operator, eventually};

/// Process ids of the operator's connections, with the user they came as.
async fn connections(world: &World) -> Vec<(i32, String)> {
    let sql = "SELECT pid, usename::text FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'db-query-operator'";
    world.sql.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn until_none(world: &World) {
    let look = async || connections(world).await.is_empty().then_some(());
    eventually("there is no connection", PATIENCE, look).await;
}

async fn patch_secret(world: &World, patch: Value) {
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace.name());
    secrets.patch("db", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// A spec with bounds of the pool.
fn pool(bounds: Value) -> Value {
    json!({"connectionSecretRef": {"name": "db"}, "connectionPool": bounds})
}

fn template(prefix: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {prefix}-{{{{ row.name }}}}\ndata:\n  v: {{{{ row.v }}}}\n"
    )
}

#[tokio::test]
async fn a_changed_secret_leaves_no_connection_of_the_old_credentials() {
    let world = World::new("old-login", &["a"]).await;
    let login = |which: &str| format!("{}-{which}", world.database.name());
    for which in ["old", "new"] {
        let role = login(which);
        world.run_sql(&format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'p'; GRANT SELECT ON t TO \"{role}\"")).await;
    }
    patch_secret(&world, json!({"stringData": {"username": login("old"), "password": "p"}})).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.create("other", json!({"pollInterval": "1h", "resourceTemplate": template("other")})).await;
    world.ready("q").await;
    world.ready("other").await;
    let count = async |which: &str| connections(&world).await.iter().filter(|(_, user)| *user == login(which)).count();
    assert!(count("old").await > 0, "it keeps one for the next look");
    patch_secret(&world, json!({"stringData": {"username": login("new")}})).await;
    eventually("only the new credentials are in use", PATIENCE, async || {
        (count("old").await == 0 && count("new").await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_became_useless_leaves_no_connection() {
    let world = World::new("useless", &["a"]).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    world.ready("q").await;
    assert!(!connections(&world).await.is_empty());
    patch_secret(&world, json!({"data": {"host": null}})).await;
    world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    until_none(&world).await;
}

#[tokio::test]
async fn many_resources_make_do_with_the_connections_that_their_pool_may_have() {
    let world = World::new("one-for-all", &["a"]).await;
    let names = ["one", "two", "three", "four"];
    for name in names {
        let bounds = pool(json!({"maxOpenConns": 1}));
        world.create(name, json!({"database": bounds, "resourceTemplate": template(name)})).await;
    }
    for value in ["two", "three"] {
        world.run_sql(&format!("UPDATE t SET v = '{value}'")).await;
        for name in names {
            let object = format!("{name}-a");
            let what = format!("{object} has {value}, over one connection");
            eventually(&what, PATIENCE, async || {
                assert!(connections(&world).await.len() <= 1);
                (world.value(&object).await.as_deref() == Some(value)).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_and_another_opened_when_it_is_time() {
    let world = World::new("idle-time", &["a"]).await;
    let bounds = pool(json!({"connMaxIdleTime": "1s"}));
    world.create("q", json!({"pollInterval": "1h", "database": bounds})).await;
    world.ready("q").await;
    until_none(&world).await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.another_pass("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("two"));
    until_none(&world).await;
}

#[tokio::test]
async fn a_connection_is_replaced_when_it_is_too_old() {
    let world = World::new("lifetime", &["a"]).await;
    world.create("q", json!({"database": pool(json!({"connMaxLifetime": "2s"}))})).await;
    world.ready("q").await;
    let first = eventually("a connection", PATIENCE, async || connections(&world).await.pop()).await;
    eventually("another connection", PATIENCE, async || {
        let now = connections(&world).await;
        (!now.is_empty() && !now.contains(&first)).then_some(())
    })
    .await;
    world.ready("q").await;
}

#[tokio::test]
async fn suspended_and_deleted_resources_leave_no_connection_behind() {
    let world = World::new("no-trace", &["a"]).await;
    world.create("q", json!({})).await;
    world.create("other", json!({"resourceTemplate": template("other")})).await;
    world.ready("q").await;
    world.ready("other").await;
    world.patch("q", json!({"spec": {"suspend": true}})).await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("other-a", Some("two")).await;
    world.patch("other", json!({"spec": {"suspend": true}})).await;
    until_none(&world).await;
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    world.until_value("a", Some("two")).await;
    world.delete("q").await;
    until_none(&world).await;
}

#[tokio::test]
async fn a_pooler_serves_queries_and_setup_statements_are_refused_until_they_go() {
    let world = World::new("pooler", &["a"]).await;
    let bouncer = PgBouncer::start(&world.database, &["pool_mode = transaction"]).await;
    patch_secret(&world, json!({"stringData": {"port": bouncer.port().to_string()}})).await;
    let changes = json!({"enabled": true, "tableName": "t", "timestampColumn": "at"});
    world.create("q", json!({"changeDetection": changes})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two', at = clock_timestamp()").await;
    world.until_value("a", Some("two")).await;

    let query = |text: &str| json!({"spec": {"query": text}});
    world.patch("q", query("SET search_path = public; SELECT name, v FROM t")).await;
    let resource = world.condition("q", "Ready", "False", Some("ThroughPooler")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains("setup statements") && message.contains("connect directly"), "{message}");
    assert!(condition(&resource, "Stalled").is_none(), "the pooler may be taken away");
    assert_eq!(world.value("a").await.as_deref(), Some("two"), "nothing is deleted on doubt");
    patch_secret(&world, json!({"stringData": {"port": world.database.port().to_string()}})).await;
    world.ready("q").await;
}

#[tokio::test]
async fn after_a_start_every_resource_gets_its_turn() {
    let mut world = World::new("turns", &["a"]).await;
    world.operator.terminate();
    let names: Vec<String> = (0..12).map(|n| format!("q{n}")).collect();
    for name in &names {
        world.create(name, json!({"resourceTemplate": template(name)})).await;
    }
    world.operator = Operator::start(world.namespace.name(), &["--max-connections-per-server", "2"]);
    for name in &names {
        world.ready(name).await;
    }
}
