//! What happens, in order: SQL on the left, what becomes of it in the cluster on the right.

use serde_json::{Value, json};

use crate::world::World;

const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: tenant-{{ row.name }}
data:
  tier: {{ row.tier }}
  settings: {{ row.settings | toJson | quote }}
";

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ row.name }}
  labels:
    tier: {{ row.tier }}
spec:
  replicas: {{ row.replicas }}
  selector:
    matchLabels:
      app: {{ row.name }}
  template:
    metadata:
      labels:
        app: {{ row.name }}
    spec:
      containers:
        - name: app
          image: registry.example/app:{{ row.version }}
";

/// Tells the whole story; with `keep` it leaves the resources in place.
pub async fn tell(world: &mut World, keep: bool) -> Result<(), String> {
    println!(
        "A table of tenants, a Secret that says how to reach it, two resources that say what to make of its rows:\n"
    );
    world
        .sql(
            "CREATE TABLE tenants (name text PRIMARY KEY, tier text NOT NULL, replicas int NOT NULL, version text NOT NULL, settings jsonb NOT NULL DEFAULT '{}')",
        )
        .await?;
    world
        .sql("INSERT INTO tenants VALUES ('acme', 'gold', 2, '1.0', '{\"theme\": \"dark\"}'), ('globex', 'silver', 1, '1.0', '{}'), ('initech', 'bronze', 1, '0.9', '{}')")
        .await?;
    world.create_secret().await?;
    world.create_dbqr("tenant-config", CONFIG).await?;
    world.create_dbqr("tenant-apps", DEPLOYMENT).await?;
    for name in ["acme", "globex", "initech"] {
        world.expect(&format!("configmaps/tenant-{name}"), "appeared", |object| object.is_some()).await?;
        world.expect(&format!("deployments/{name}"), "appeared", |object| object.is_some()).await?;
    }
    world
        .expect("deployments/acme", "has its 2 replicas made by Kubernetes", |o| at(o, "/status/replicas") == json!(2))
        .await?;
    for name in ["tenant-config", "tenant-apps"] {
        world.expect(&format!("dbqr/{name}"), "is Ready", |object| is(object, "Ready")).await?;
        world
            .expect(&format!("dbqr/{name}"), "is notified of changes", |o| at(o, "/status/mode") == json!("Notify"))
            .await?;
    }

    println!("\nRows change, and objects follow at once, although the query runs by itself only every ten minutes:\n");
    world.sql("UPDATE tenants SET replicas = 3, version = '1.1' WHERE name = 'acme'").await?;
    world.expect("deployments/acme", "wants 3 replicas", |o| at(o, "/spec/replicas") == json!(3)).await?;
    world.sql("UPDATE tenants SET tier = 'gold' WHERE name = 'globex'").await?;
    world.expect("configmaps/tenant-globex", "says gold", |o| at(o, "/data/tier") == json!("gold")).await?;
    world.sql("INSERT INTO tenants VALUES ('hooli', 'gold', 1, '1.1')").await?;
    world.expect("deployments/hooli", "appeared", |object| object.is_some()).await?;
    world.sql("DELETE FROM tenants WHERE name = 'initech'").await?;
    world.expect("configmaps/tenant-initech", "is gone", |object| object.is_none()).await?;
    world.expect("deployments/initech", "is gone", |object| object.is_none()).await?;

    println!("\nA value is data, whatever it looks like:\n");
    world.sql(r#"UPDATE tenants SET tier = E'gold"\n  admin: "true' WHERE name = 'hooli'"#).await?;
    let hostile = "gold\"\n  admin: \"true";
    world
        .expect("configmaps/tenant-hooli", "holds it to the letter", |o| at(o, "/data/tier") == json!(hostile))
        .await?;
    world.sql("UPDATE tenants SET tier = 'gold' WHERE name = 'hooli'").await?;
    world.expect("configmaps/tenant-hooli", "says gold", |o| at(o, "/data/tier") == json!("gold")).await?;

    println!("\nOne bad row is that row's error:\n");
    world.sql("INSERT INTO tenants VALUES ('Not A Name', 'gold', 1, '1.1')").await?;
    world.expect("dbqr/tenant-config", "says that 1 row failed", |o| at(o, "/status/failedRows") == json!(1)).await?;
    world.sql("UPDATE tenants SET tier = 'platinum' WHERE name = 'acme'").await?;
    world
        .expect("configmaps/tenant-acme", "follows all the same", |o| at(o, "/data/tier") == json!("platinum"))
        .await?;
    world.sql("DELETE FROM tenants WHERE name = 'Not A Name'").await?;
    world.expect("dbqr/tenant-config", "is Ready again", |object| is(object, "Ready")).await?;

    println!("\nAn emptied table is not believed:\n");
    world.sql("BEGIN; CREATE TABLE kept AS TABLE tenants; TRUNCATE tenants; COMMIT").await?;
    world.expect("dbqr/tenant-apps", "holds the deletions back", |object| is(object, "PruneBlocked")).await?;
    world.expect("deployments/acme", "is still there", |object| object.is_some()).await?;
    world.sql("INSERT INTO tenants TABLE kept").await?;
    world.expect("dbqr/tenant-apps", "has nothing to hold back", |object| !is(object, "PruneBlocked")).await?;
    if keep {
        return Ok(());
    }

    println!("\nAnd everything goes with its resource, database or not:\n");
    world.delete_dbqr("tenant-apps").await?;
    world.delete_dbqr("tenant-config").await?;
    for name in ["acme", "globex", "hooli"] {
        world.expect(&format!("deployments/{name}"), "is gone", |object| object.is_none()).await?;
        world.expect(&format!("configmaps/tenant-{name}"), "is gone", |object| object.is_none()).await?;
    }
    world.expect("dbqr/tenant-apps", "is gone", |object| object.is_none()).await?;
    println!("\nAll of it as expected.");
    Ok(())
}

fn at(object: Option<&Value>, pointer: &str) -> Value {
    object.and_then(|object| object.pointer(pointer)).cloned().unwrap_or_default()
}

fn is(object: Option<&Value>, condition: &str) -> bool {
    at(object, "/status/conditions")
        .as_array()
        .is_some_and(|all| all.iter().any(|c| c["type"] == condition && c["status"] == "True"))
}
