//! A change of mind: nothing leaks, nothing innocent dies, and nothing is made anew that can stay.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::bystanders::{Bystanders, secrets};
use crate::support::gadgets::Gadgets;
use crate::support::world::{CONFIG_MAP, PATIENCE, World, condition};
use crate::support::{TestNamespace, eventually};

async fn change(world: &World, spec: Value) {
    world.patch("q", json!({ "spec": spec })).await;
}

async fn approve(world: &World, digest: &str) {
    world.patch("q", json!({"metadata": {"annotations": {"konnektr.io/approve-prune": digest}}})).await;
}

/// Waits until just these ConfigMaps of `q` are there; those of the bystander `other` aside.
async fn until_managed(world: &World, names: &[&str]) {
    let what = format!("{names:?} are there");
    eventually(&what, PATIENCE, async || (managed(world).await == names).then_some(())).await;
}

async fn managed(world: &World) -> Vec<String> {
    uids(world).await.into_iter().map(|(name, _)| name).collect()
}

async fn uids(world: &World) -> Vec<(String, String)> {
    let list = world.config_maps().list(&ListParams::default().labels("konnektr.io/managed-by=q")).await.unwrap();
    let uid = |object: ConfigMap| Some((object.metadata.name?, object.metadata.uid?));
    let mut uids: Vec<_> = list.items.into_iter().filter_map(uid).collect();
    uids.sort();
    uids
}

/// Waits until this many deletions are held back under a name other than this; their name.
async fn held(world: &World, count: i64, before: &str) -> String {
    eventually(&format!("{count} deletions are held back"), PATIENCE, async || {
        let blocked = world.get("q").await["status"]["blockedPrune"].clone();
        let digest = blocked["digest"].as_str().unwrap_or_default().to_owned();
        (blocked["count"] == count && digest != before).then_some(digest)
    })
    .await
}

#[tokio::test]
async fn a_kind_in_another_version_stays_the_same_object_and_is_watched_in_whatever_version_is_served() {
    let mut world = World::new("versions", &["a"]).await;
    let gadgets = Gadgets::new(&world).await;
    let gvk = |version: &str| json!({"group": gadgets.group, "version": version, "kind": "Gadget"});
    // Nothing is looked at by time.
    let template = "metadata:\n  name: {{ row.name }}\nsize: {{ row.v | quote }}\n";
    world.create("q", json!({"pollInterval": "1h", "gvk": gvk("v1"), "resourceTemplate": template})).await;
    let scaler = |version: &str| {
        format!(
            "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: {{{{ row.name }}}}\nspec:\n  \
             scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: x}}\n  maxReplicas: 3\n"
        )
    };
    world.create("scaled", json!({"pollInterval": "1h", "resourceTemplate": scaler("v2")})).await;
    world.ready("q").await;
    world.ready("scaled").await;
    let scalers: Api<HorizontalPodAutoscaler> = Api::namespaced(world.client.clone(), world.namespace.name());
    let uids = async || {
        (gadgets.objects("v1").get("a").await.unwrap().metadata.uid, scalers.get("a").await.unwrap().metadata.uid)
    };
    let before = uids().await;
    assert!(before.0.is_some() && before.1.is_some());

    gadgets.serve(&["v1", "v2"]).await;
    change(&world, json!({"gvk": gvk("v2"), "resourceTemplate": format!("{template}more: x\n")})).await;
    world.patch("scaled", json!({"spec": {"resourceTemplate": scaler("v1").replace("3\n", "4\n")}})).await;
    eventually("both are applied in the other version", PATIENCE, async || {
        let gadget = gadgets.objects("v2").get("a").await.unwrap();
        let most = scalers.get("a").await.unwrap().spec.unwrap().max_replicas;
        (gadget.data["more"] == "x" && most == 4).then_some(())
    })
    .await;
    assert_eq!(uids().await, before);
    assert_eq!(world.get("q").await["status"]["kinds"], json!([gadgets.kind()]));

    // What is watched in the one version has to be watched in the other one when that goes.
    gadgets.serve(&["v2"]).await;
    for _ in 0..2 {
        let edit = Patch::Merge(json!({"size": "edited"}));
        gadgets.objects("v2").patch("a", &PatchParams::default(), &edit).await.unwrap();
        eventually("the edit is undone", 2 * PATIENCE, async || {
            (gadgets.objects("v2").get("a").await.unwrap().data["size"] == "one").then_some(())
        })
        .await;
        world.restart();
        world.another_pass("q").await;
        world.another_pass("scaled").await;
    }
    gadgets.serve(&["v1", "v2"]).await;
    assert_eq!(uids().await, before);
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(gadgets.objects("v2").get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn under_another_name_place_or_kind_the_new_objects_come_before_the_old_ones_go() {
    let mut world = World::with_flags("elsewhere", &["a", "b"], &["--allow-namespaces=*"]).await;
    let other = TestNamespace::create(&world.client, "elsewhere-b").await;
    let bystanders = Bystanders::new(&world).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    until_managed(&world, &["a", "b"]).await;
    change(&world, json!({"resourceTemplate": CONFIG_MAP.replace("name: ", "name: x-")})).await;
    until_managed(&world, &["x-a", "x-b"]).await;

    let placed = CONFIG_MAP.replace("\ndata", &format!("\n  namespace: {}\ndata", other.name()));
    change(&world, json!({"resourceTemplate": placed})).await;
    world.restart();
    until_managed(&world, &[]).await;
    let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    assert!(there.get_opt("a").await.unwrap().is_some() && there.get_opt("b").await.unwrap().is_some());

    // Another kind, and one of the new objects fails: so its row does, and nobody knows what that had.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ row.name }}\nstringData:\n  v: {{ row.v | required('v') }}\n";
    world.run_sql("UPDATE t SET v = NULL WHERE name = 'b'").await;
    change(&world, json!({"resourceTemplate": secret})).await;
    world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    for _ in 0..2 {
        assert!(secrets(&world).get_opt("a").await.unwrap().is_some());
        assert!(there.get_opt("a").await.unwrap().is_some() && there.get_opt("b").await.unwrap().is_some());
        world.restart();
        world.another_pass("q").await;
    }
    assert_eq!(world.get("q").await["status"]["kinds"], json!(["ConfigMap", "Secret"]));
    world.run_sql("UPDATE t SET v = 'two'").await;
    eventually("the old ones are gone", PATIENCE, async || {
        (there.get_opt("a").await.unwrap().is_none() && there.get_opt("b").await.unwrap().is_none()).then_some(())
    })
    .await;
    assert!(secrets(&world).get_opt("b").await.unwrap().is_some());
    eventually("the kind of old is forgotten", PATIENCE, async || {
        (world.get("q").await["status"]["kinds"] == json!(["Secret"])).then_some(())
    })
    .await;
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn a_query_of_another_table_and_a_template_of_nothing_wait_for_a_person() {
    let names: Vec<String> = (10..22).map(|n| format!("n{n}")).collect();
    let mut world = World::new("other-table", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bystanders = Bystanders::new(&world).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let before = uids(&world).await;
    assert_eq!(before.len(), 12);
    world.run_sql("CREATE TABLE u AS SELECT 'u' || name AS name, v FROM t").await;
    change(&world, json!({"query": "SELECT name, v FROM u"})).await;
    let first = held(&world, 12, "").await;
    assert_eq!(managed(&world).await.len(), 24);
    world.restart();
    let again = held(&world, 12, &first).await;
    // It was a mistake.
    change(&world, json!({"query": "SELECT name, v FROM t"})).await;
    let second = held(&world, 12, &again).await;
    assert_eq!(uids(&world).await[..12], before);
    approve(&world, &second).await;
    eventually("those of the other table are gone", PATIENCE, async || (uids(&world).await == before).then_some(()))
        .await;

    let nothing = "{% if false %}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n{% endif %}";
    change(&world, json!({"resourceTemplate": nothing})).await;
    eventually("none would be left, so it is blocked", PATIENCE, async || {
        let resource = world.get("q").await;
        condition(&resource, "PruneBlocked")?["message"].as_str()?.contains("none would be left").then_some(())
    })
    .await;
    world.restart();
    world.another_pass("q").await;
    change(&world, json!({"resourceTemplate": CONFIG_MAP})).await;
    world.condition("q", "PruneBlocked", "False", None).await;
    world.another_pass("q").await;
    assert_eq!(uids(&world).await, before);
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn without_prune_what_has_no_row_stays_until_prune_is_on_again_and_the_guard_agrees() {
    let mut world = World::new("prune-off", &["a", "b", "c"]).await;
    let bystanders = Bystanders::new(&world).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    change(&world, json!({"prune": false})).await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.another_pass("q").await;
    // Whatever becomes of the template meanwhile.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ row.name }}\n";
    change(&world, json!({"resourceTemplate": secret})).await;
    eventually("a is a Secret as well", PATIENCE, async || secrets(&world).get_opt("a").await.unwrap()).await;
    world.restart();
    world.another_pass("q").await;
    assert_eq!(managed(&world).await, ["a", "b", "c"]);
    change(&world, json!({"resourceTemplate": CONFIG_MAP})).await;
    world.another_pass("q").await;
    assert!(secrets(&world).get_opt("c").await.unwrap().is_some());

    change(&world, json!({"prune": true, "pruneGuard": {"maxDeletions": 2}})).await;
    held(&world, 3, "").await;
    assert_eq!(managed(&world).await, ["a", "b", "c"]);
    change(&world, json!({"pruneGuard": {"maxDeletions": 3}})).await;
    until_managed(&world, &["a", "c"]).await;
    eventually("so are the Secrets", PATIENCE, async || {
        let gone = async |name: &str| secrets(&world).get_opt(name).await.unwrap().is_none();
        (gone("a").await && gone("c").await).then_some(())
    })
    .await;
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn a_spec_that_becomes_invalid_deletes_nothing() {
    let mut world = World::new("invalid", &["a", "b", "c"]).await;
    let bystanders = Bystanders::new(&world).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let before = uids(&world).await;
    for nonsense in [
        json!({"resourceTemplate": "{{ nonsense"}),
        json!({"resourceTemplate": CONFIG_MAP, "query": "SELECT name, v FROM t; COMMIT"}),
        json!({"query": "SELECT name, v FROM t", "changeDetection": {"tableName": "t; DROP TABLE t"}}),
        json!({"changeDetection": null, "pruneGuard": {"maxDeletions": "many"}}),
    ] {
        // Some the API server refuses at once.
        let patch = json!({ "spec": nonsense });
        if world.dbqrs().patch("q", &PatchParams::default(), &Patch::Merge(&patch)).await.is_err() {
            continue;
        }
        world.run_sql("DELETE FROM t WHERE name = 'b'").await;
        let generation = world.get("q").await["metadata"]["generation"].clone();
        eventually("the spec is found to be invalid", PATIENCE, async || {
            let resource = world.get("q").await;
            let stalled = condition(&resource, "Stalled")?;
            (stalled["observedGeneration"] == generation && stalled["reason"] == "InvalidSpec").then_some(())
        })
        .await;
    }
    world.restart();
    world.another_pass("q").await;
    assert_eq!(uids(&world).await, before);
    let valid = json!({
        "resourceTemplate": CONFIG_MAP, "query": "SELECT name, v FROM t", "changeDetection": null, "pruneGuard": null,
    });
    change(&world, valid).await;
    world.ready("q").await;
    until_managed(&world, &["a", "c"]).await;
    assert_eq!(uids(&world).await, [before[0].clone(), before[2].clone()]);
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn another_row_key_or_change_detection_makes_no_object_anew() {
    let mut world = World::new("other-detection", &["a", "b", "c", "d", "e"]).await;
    world.run_sql("UPDATE t SET v = name || '1'").await;
    let bystanders = Bystanders::new(&world).await;
    let query = "SELECT name, v, at FROM t";
    world.create("q", json!({"query": query, "changeDetection": {"keyColumns": ["name"]}})).await;
    world.ready("q").await;
    let before = uids(&world).await;
    let mut left = vec!["a", "b", "c", "d", "e"];
    for detection in [
        json!({"keyColumns": ["v"]}),
        json!({"enabled": true, "tableName": "t", "timestampColumn": "at", "keyColumns": ["name", "v"]}),
        json!({"enabled": true, "tableName": "t", "timestampColumn": "at", "keyColumns": null}),
        Value::Null,
    ] {
        change(&world, json!({"changeDetection": null})).await;
        change(&world, json!({"changeDetection": detection})).await;
        world.another_pass("q").await;
        world.restart();
        world.another_pass("q").await;
        world.ready("q").await;
        let gone = left.pop().unwrap();
        world.run_sql(&format!("DELETE FROM t WHERE name = '{gone}'")).await;
        until_managed(&world, &left).await;
        assert_eq!(uids(&world).await[..], before[..left.len()]);
    }
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn under_another_gvk_the_new_objects_come_and_the_old_ones_wait_for_a_person_and_so_it_is_on_the_way_back() {
    let names: Vec<String> = (10..22).map(|n| format!("n{n}")).collect();
    let mut world = World::new("other-gvk", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bystanders = Bystanders::new(&world).await;
    let gvk = |kind: &str| json!({"group": "", "version": "v1", "kind": kind});
    let template = "metadata:\n  name: {{ row.name }}\ndata:\n  v: eA==\n";
    world.create("q", json!({"gvk": gvk("ConfigMap"), "resourceTemplate": template})).await;
    world.ready("q").await;
    let maps = uids(&world).await;
    let api = secrets(&world);
    let secret_uids = async || {
        let ours = ListParams::default().labels("konnektr.io/managed-by=q");
        let list = api.list(&ours).await.unwrap().items.into_iter();
        list.map(|it| (it.metadata.name.unwrap(), it.metadata.uid.unwrap())).collect::<Vec<_>>()
    };
    change(&world, json!({"gvk": gvk("Secret")})).await;
    let first = held(&world, 12, "").await;
    let made = secret_uids().await;
    assert_eq!((maps.len(), made.len()), (12, 12));
    assert_eq!(uids(&world).await, maps);
    // Back before anybody agreed: what is there stays, and the others wait in their turn.
    change(&world, json!({"gvk": gvk("ConfigMap")})).await;
    let second = held(&world, 12, &first).await;
    world.another_pass("q").await;
    assert_eq!((uids(&world).await, secret_uids().await), (maps.clone(), made.clone()));
    // An approval of what was held back before is none of this.
    approve(&world, &first).await;
    world.another_pass("q").await;
    assert_eq!((uids(&world).await, secret_uids().await), (maps.clone(), made));
    approve(&world, &second).await;
    eventually("the Secrets are gone", PATIENCE, async || secret_uids().await.is_empty().then_some(())).await;
    assert_eq!(uids(&world).await, maps);
    // Where the guard agrees nobody is asked. One has a name that somebody else uses for the other kind.
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "n10"}, "data": {"theirs": "eA=="}});
    secrets(&world).patch("n10", &PatchParams::apply("somebody"), &Patch::Apply(&theirs)).await.unwrap();
    change(&world, json!({"gvk": gvk("Secret"), "pruneGuard": {"maxDeletions": "100%"}})).await;
    until_managed(&world, &[]).await;
    assert_eq!(secret_uids().await.len(), 12);
    world.restart();
    change(&world, json!({"gvk": gvk("ConfigMap")})).await;
    eventually("only ConfigMaps are ours", PATIENCE, async || {
        let kinds = world.get("q").await["status"]["kinds"].clone();
        (managed(&world).await == names && secret_uids().await.is_empty() && kinds == json!(["ConfigMap"]))
            .then_some(())
    })
    .await;
    let left = secrets(&world).get("n10").await.unwrap();
    assert_eq!(json!(left.data), json!({"theirs": "eA=="}));
    bystanders.are_untouched(&world).await;
}
