//! Objects that are not the resource's alone: adopted, released, orphaned, created only.

use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::world::{PATIENCE, World, condition};

/// Somebody applies a ConfigMap.
async fn theirs(world: &World, name: &str, data: Value) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"team": "platform"}}, "data": data,
    });
    world.config_maps().patch(name, &PatchParams::apply("somebody"), &Patch::Apply(&object)).await.unwrap();
}

async fn data(world: &World, name: &str) -> Value {
    json!(world.config_maps().get(name).await.unwrap().data)
}

#[tokio::test]
async fn an_object_that_existed_is_shared_and_outlives_its_row_and_the_resource() {
    let mut world = World::new("adopted", &["a", "row", "res"]).await;
    for name in ["row", "res"] {
        theirs(&world, name, json!({"manual-key": "manual-value"})).await;
    }
    world.create("q", json!({})).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["managedResources"], 3);
    let object = world.config_maps().get("row").await.unwrap();
    assert_eq!(json!(object.data), json!({"manual-key": "manual-value", "v": "one"}));
    assert_eq!(object.metadata.annotations.unwrap()["konnektr.io/adopted"], "true");
    assert!(object.metadata.owner_references.is_none());
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("row", Some("two")).await;
    world.restart();
    world.run_sql("UPDATE t SET v = 'three'").await;
    world.until_value("row", Some("three")).await;

    world.run_sql("DELETE FROM t WHERE name = 'row'").await;
    world.until_value("row", None).await;
    let object = world.config_maps().get("row").await.unwrap();
    assert_eq!(json!(object.data), json!({"manual-key": "manual-value"}));
    assert_eq!(json!(object.metadata.labels), json!({"team": "platform"}));
    assert_eq!(object.metadata.annotations, None);
    world.delete("q").await;
    world.until_gone("q").await;
    world.until_value("a", None).await;
    assert!(world.config_maps().get_opt("a").await.unwrap().is_none());
    assert_eq!(data(&world, "res").await, json!({"manual-key": "manual-value"}));
}

#[tokio::test]
async fn the_policy_says_what_becomes_of_a_field_that_somebody_holds() {
    let world = World::new("policies", &["a", "held"]).await;
    theirs(&world, "held", json!({"v": "CANARY"})).await;
    let before = world.config_maps().get("held").await.unwrap();
    world.create("q", json!({})).await;
    let failure = |resource: &Value| resource["status"]["failures"][0].clone();
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(failure(&resource)["reason"], "Conflict");
    assert_eq!(failure(&resource)["message"], "others manage its fields: .data.v (somebody)");
    assert!(!resource["status"].to_string().contains("CANARY"));
    world.until_value("a", Some("one")).await;

    world.patch("q", json!({"spec": {"conflictPolicy": "Fail"}})).await;
    eventually("the other policy is named", PATIENCE, async || {
        failure(&world.get("q").await)["message"].as_str()?.contains("conflictPolicy Fail").then_some(())
    })
    .await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    assert_eq!(world.config_maps().get("held").await.unwrap(), before);

    world.patch("q", json!({"spec": {"conflictPolicy": "Force"}})).await;
    world.ready("q").await;
    assert_eq!(data(&world, "held").await, json!({"v": "two"}));
}

#[tokio::test]
async fn released_objects_count_in_the_prune_guard() {
    let names: Vec<String> = (10..16).map(|n| format!("n{n}")).collect();
    let world = World::new("guarded", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for name in &names {
        theirs(&world, name, json!({"k": "theirs"})).await;
    }
    world.create("q", json!({"pruneGuard": {"maxDeletions": 2}})).await;
    world.ready("q").await;
    world.run_sql("DELETE FROM t WHERE name > 'n12'").await;
    let resource = world.condition("q", "PruneBlocked", "True", None).await;
    assert_eq!(resource["status"]["blockedPrune"]["count"], 3);
    assert_eq!(world.managed().await.len(), 6);
    world.patch("q", json!({"spec": {"pruneGuard": {"maxDeletions": 3}}})).await;
    eventually("they are released", PATIENCE, async || (world.managed().await.len() == 3).then_some(())).await;
    assert_eq!(data(&world, "n15").await, json!({"k": "theirs"}));
}

#[tokio::test]
async fn orphaned_objects_stay_and_are_found_by_the_next_resource_of_that_name() {
    let world = World::new("orphaned", &["a", "b"]).await;
    world.create("q", json!({"deletionPolicy": "Orphan"})).await;
    world.ready("q").await;
    assert!(world.config_maps().get("a").await.unwrap().metadata.owner_references.is_none());
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    world.dbqrs().delete("q", &foreground).await.unwrap();
    world.until_gone("q").await;
    let uid = async |name| world.config_maps().get(name).await.unwrap().metadata.uid;
    let before = (uid("a").await, uid("b").await);
    let annotations = world.config_maps().get("a").await.unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations["konnektr.io/adopted"], "true");
    assert_eq!(world.managed().await, ["a", "b"]);

    world.run_sql("INSERT INTO t VALUES ('c', 'new'); UPDATE t SET v = 'two' WHERE name = 'a'").await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.until_value("a", Some("two")).await;
    assert_eq!((uid("a").await, uid("b").await), before);
    assert!(world.config_maps().get("a").await.unwrap().metadata.owner_references.is_none());
    assert!(world.config_maps().get("c").await.unwrap().metadata.owner_references.is_some());
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    eventually("b is released", PATIENCE, async || (world.managed().await == ["a", "c"]).then_some(())).await;
    assert_eq!(data(&world, "b").await, json!({"v": "one"}));
    world.delete("q").await;
    world.until_gone("q").await;
    world.until_value("c", None).await;
    assert_eq!(data(&world, "a").await, json!({"v": "two"}));
    assert!(world.managed().await.is_empty());
}

#[tokio::test]
async fn turning_to_orphan_needs_no_database_and_turning_back_is_possible() {
    let world = World::new("turned", &["a"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let references = async || world.config_maps().get("a").await.unwrap().metadata.owner_references.unwrap_or_default();
    let until = async |count: usize| {
        eventually("the references are as the policy wants", PATIENCE, async || {
            (references().await.len() == count).then_some(())
        })
        .await
    };
    until(1).await;
    world.patch("q", json!({"spec": {"deletionPolicy": "Orphan", "query": "SELECT name, v FROM nowhere"}})).await;
    until(0).await;
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    world.patch("q", json!({"spec": {"query": "SELECT name, v FROM t"}})).await;
    world.ready("q").await;
    until(0).await;
    world.patch("q", json!({"spec": {"deletionPolicy": "Delete"}})).await;
    until(1).await;
    world.patch("q", json!({"spec": {"deletionPolicy": "Orphan"}})).await;
    until(0).await;
    // And at once: no reference is back by then.
    world.patch("q", json!({"spec": {"deletionPolicy": "Delete"}})).await;
    world.delete("q").await;
    world.until_gone("q").await;
    world.until_value("a", None).await;
}

const ONLY_CREATED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n  annotations:\n    \
    konnektr.io/ssa: IfNotPresent\ndata:\n  v: {{ row.v | quote }}\n";

#[tokio::test]
async fn what_is_only_to_be_created_is_left_alone_and_goes_with_its_row_if_we_created_it() {
    let mut world = World::new("if-not-present", &["a", "b", "theirs"]).await;
    theirs(&world, "theirs", json!({"v": "theirs"})).await;
    let before = world.config_maps().get("theirs").await.unwrap();
    world.create("q", json!({"resourceTemplate": ONLY_CREATED})).await;
    let resource = world.ready("q").await;
    assert_eq!(resource["status"]["managedResources"], 2);
    let edit = json!({"data": {"v": "edited"}});
    world.config_maps().patch("b", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    world.run_sql("UPDATE t SET v = 'two'; INSERT INTO t VALUES ('c', 'new')").await;
    world.until_value("c", Some("new")).await;
    world.restart();
    world.another_pass("q").await;
    assert_eq!((world.value("a").await.as_deref(), world.value("b").await.as_deref()), (Some("one"), Some("edited")));
    world.config_maps().delete("a", &DeleteParams::default()).await.unwrap();
    world.another_pass("q").await;
    world.until_value("a", Some("two")).await;
    world.run_sql("DELETE FROM t WHERE name <> 'c'").await;
    eventually("ours are gone", PATIENCE, async || (world.managed().await == ["c"]).then_some(())).await;
    world.until_value("b", None).await;
    assert_eq!(world.config_maps().get("theirs").await.unwrap(), before);
}

#[tokio::test]
async fn what_is_left_alone_needs_no_place_to_look_for_it() {
    let world = World::new("left-alone", &["theirs"]).await;
    theirs(&world, "theirs", json!({"v": "theirs"})).await;
    world.create("q", json!({"resourceTemplate": ONLY_CREATED})).await;
    world.ready("q").await;
    world.another_pass("q").await;
    let before = world.get("q").await["metadata"]["resourceVersion"].clone();
    world.run_sql("UPDATE t SET v = 'two'").await;
    let log = world.operator.logs().matches("reconciled").count();
    eventually("it looked twice more", PATIENCE, async || {
        (world.operator.logs().matches("reconciled").count() >= log + 2).then_some(())
    })
    .await;
    assert_eq!(world.get("q").await["metadata"]["resourceVersion"], before, "nothing was written");
}

#[tokio::test]
async fn a_config_map_that_cannot_be_changed_is_made_anew_where_its_annotation_says_so() {
    let world = World::new("recreated", &["a"]).await;
    let template = |recreate: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nimmutable: true\nmetadata:\n  name: {{{{ row.name }}}}\n  annotations:\n    \
            konnektr.io/recreate: '{recreate}'\ndata:\n  v: {{{{ row.v | quote }}}}\n"
        )
    };
    world.create("q", json!({"resourceTemplate": template("false")})).await;
    world.ready("q").await;
    let uid = async || world.config_maps().get("a").await.unwrap().metadata.uid;
    let before = uid().await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains("FieldImmutable"), "{message}");
    assert_eq!((world.value("a").await.as_deref(), uid().await), (Some("one"), before.clone()));
    world.patch("q", json!({"spec": {"resourceTemplate": template("true")}})).await;
    world.until_value("a", Some("two")).await;
    assert_ne!(uid().await, before);
    world.ready("q").await;
}

#[tokio::test]
async fn resources_of_one_name_in_two_namespaces_never_touch_each_others_objects() {
    let one = World::with_flags("one-name", &["a"], &["--allow-namespaces=*"]).await;
    let other = World::with_flags("one-name-too", &["b"], &["--allow-namespaces=*"]).await;
    let template = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {}\ndata:\n  v: {{{{ row.name }}}}\n",
            one.namespace.name()
        )
    };
    one.create("q", json!({"resourceTemplate": template("mine")})).await;
    one.ready("q").await;
    // Each operator sees one namespace alone, so that this is between two processes as well.
    other.create("q", json!({"resourceTemplate": template("mine"), "conflictPolicy": "Force"})).await;
    let resource = other.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let message = resource["status"]["failures"][0]["message"].as_str().unwrap();
    assert!(
        message.ends_with(&format!("belongs to the DatabaseQueryResource {}/q", one.namespace.name())),
        "{message}"
    );
    other.patch("q", json!({"spec": {"resourceTemplate": template("yours")}})).await;
    other.ready("q").await;
    one.another_pass("q").await;
    assert_eq!(one.managed().await, ["mine", "yours"]);
    one.delete("q").await;
    one.until_gone("q").await;
    one.until_value("mine", None).await;
    assert_eq!(one.value("yours").await.as_deref(), Some("b"));
    other.delete("q").await;
    other.until_gone("q").await;
    one.until_value("yours", None).await;
}

#[tokio::test]
async fn a_field_to_ignore_is_set_at_creation_and_left_to_others() {
    let mut world = World::new("ignore-fields", &["a"]).await;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\ndata:\n  v: {{ row.v | quote }}\n  \
        n: {{ row.v | quote }}\n  list: x\n";
    world.create("q", json!({"resourceTemplate": template, "ignoreFields": ["/data/v"]})).await;
    world.ready("q").await;
    assert_eq!(data(&world, "a").await, json!({"list": "x", "n": "one", "v": "one"}));
    let edit = Patch::Merge(json!({"data": {"v": "edited"}}));
    world.config_maps().patch("a", &PatchParams::default(), &edit).await.unwrap();
    world.restart();
    world.run_sql("UPDATE t SET v = 'two'").await;
    eventually("the rest is updated", PATIENCE, async || {
        (data(&world, "a").await == json!({"list": "x", "n": "two", "v": "edited"})).then_some(())
    })
    .await;
    world.patch("q", json!({"spec": {"ignoreFields": ["/metadata/name"]}})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.starts_with("ignoreFields[0]: /metadata/name"), "{message}");
}
