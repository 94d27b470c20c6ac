//! Objects that existed before us: shared, and released again.

use dbqo::cluster::{Applied, ApplyError, Change, Conflict, Deleted, Onlooker, Terms};
use dbqo::crd::ConflictPolicy;
use dbqo::logic::object::{Desired, Hold, Kind, Known, Ownership, Wishes};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{World, deployment, owner, visible};

fn force() -> Terms {
    Terms { policy: ConflictPolicy::Force, ..Terms::default() }
}

/// First contact with an object that is there.
async fn adopt(world: &World, desired: &Desired, policy: ConflictPolicy) -> Result<Applied, ApplyError> {
    let found = world.cluster.look_up(&desired.kind, &[&desired.id], &Onlooker::of(&world.owner)).await.unwrap();
    let (known, whose) = &found[&desired.id];
    assert!(matches!(whose, Ownership::Foreign | Ownership::Abandoned), "{whose:?}");
    world.cluster.adopt(&world.owner, desired, &known.uid, &Terms { policy, ..Terms::default() }).await
}

/// What a restarted operator would know of an object of ours.
async fn known(world: &World, kind: &Kind, name: &str) -> Known {
    let id = world.id(kind, name);
    let mut found = world.cluster.look_up(kind, &[&id], &Onlooker::of(&world.owner)).await.unwrap();
    let (known, whose) = found.remove(&id).unwrap();
    assert_eq!(whose, Ownership::Ours);
    known
}

async fn merge(world: &World, kind: &Kind, name: &str, patch: Value) {
    world.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

fn data(object: &DynamicObject) -> &Value {
    &object.data["data"]
}

fn has_no_mark_of_ours(object: &DynamicObject) -> bool {
    let shown = serde_json::to_string(&object.metadata).unwrap();
    !shown.contains("konnektr.io/") && !shown.contains("\"db-query-operator\"")
}

#[tokio::test]
async fn a_shared_config_map_that_somebody_created_is_adopted_and_released() {
    let world = World::new("shared-theirs").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let theirs = json!({"data": {"manual-key": "manual-value"}, "metadata": {"labels": {"team": "platform"}}});
    let before = world.foreign(&maps, "shared-config", theirs).await;
    let desired = world
        .desired(&maps, "shared-config", json!({"data": {"config.json": "{}"}}))
        .referring(Some(r#""ownerReferences":[]"#.into()));
    let adopted = adopt(&world, &desired, ConflictPolicy::Protect).await.unwrap();
    assert_eq!((adopted.change, adopted.known.hold), (Change::Adopted, Hold::Adopted));
    let shared = world.get(&maps, "shared-config").await;
    assert_eq!(data(&shared), &json!({"config.json": "{}", "manual-key": "manual-value"}));
    assert_eq!(shared.metadata.annotations.as_ref().unwrap()["konnektr.io/adopted"], "true");
    assert_eq!(shared.metadata.labels.as_ref().unwrap()["team"], "platform");

    // An update keeps the mark, and so does one after a restart.
    let desired = world.desired(&maps, "shared-config", json!({"data": {"config.json": "{1}"}}));
    let known = known(&world, &maps, "shared-config").await;
    assert_eq!(known.hold, Hold::Adopted);
    world.cluster.update(&world.owner, &desired, &known, &Terms::default()).await.unwrap();
    let shared = world.get(&maps, "shared-config").await;
    assert_eq!(data(&shared)["config.json"], "{1}");
    assert_eq!(shared.metadata.annotations.unwrap()["konnektr.io/adopted"], "true");

    assert_eq!(world.delete(&maps, "shared-config").await.unwrap(), Deleted::Released);
    assert_eq!(visible(&world.get(&maps, "shared-config").await), visible(&before));
}

#[tokio::test]
async fn a_shared_config_map_that_we_created_is_deleted_with_what_others_added_unless_it_is_protected() {
    let world = World::new("shared-ours").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let protect = json!({"metadata": {"annotations": {"konnektr.io/prune": "disabled"}}});
    for (name, more, deleted) in [("a", json!({}), Deleted::Deleted), ("b", protect, Deleted::Protected)] {
        let desired = world.desired(&maps, name, json!({"data": {"config.json": "{}"}}));
        let uid = world.cluster.create(&world.owner, &desired).await.unwrap().known.uid;
        merge(
            &world,
            &maps,
            name,
            json!({"data": {"manual-key": "manual-value"}, "metadata": {"labels": {"team": "x"}}}),
        )
        .await;
        merge(&world, &maps, name, more).await;
        let desired = world.desired(&maps, name, json!({"data": {"config.json": "{1}"}}));
        world.update(&desired, &uid).await.unwrap();
        let shared = world.get(&maps, name).await;
        assert_eq!(data(&shared), &json!({"config.json": "{1}", "manual-key": "manual-value"}));
        assert_eq!(shared.metadata.labels.unwrap()["team"], "x");
        assert_eq!(world.delete(&maps, name).await.unwrap(), deleted);
    }
    assert!(world.api(&maps).get_opt("a").await.unwrap().is_none());
    assert_eq!(data(&world.get(&maps, "b").await), &json!({"config.json": "{1}", "manual-key": "manual-value"}));
}

#[tokio::test]
async fn a_field_of_somebody_else_makes_us_wait_or_is_taken() {
    let world = World::new("held").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let before = world.foreign(&maps, "a", json!({"data": {"k": "CANARY", "other": "theirs"}})).await;
    let desired = world.desired(&maps, "a", json!({"data": {"k": "mine"}}));
    let refused = adopt(&world, &desired, ConflictPolicy::Protect).await.unwrap_err();
    assert_eq!(refused.to_string(), "others manage its fields: .data.k (somebody-else)");
    assert_eq!(visible(&world.get(&maps, "a").await), visible(&before));

    assert_eq!(adopt(&world, &desired, ConflictPolicy::Force).await.unwrap().change, Change::Adopted);
    assert_eq!(data(&world.get(&maps, "a").await), &json!({"k": "mine", "other": "theirs"}));
    assert_eq!(world.delete(&maps, "a").await.unwrap(), Deleted::Released);
    assert_eq!(data(&world.get(&maps, "a").await), &json!({"other": "theirs"}));
}

#[tokio::test]
async fn an_object_that_was_taken_as_a_whole_is_not_emptied_when_it_is_released() {
    let world = World::new("taken").await;
    let maps = world.kind("v1", "ConfigMap").await;
    world.foreign(&maps, "a", json!({"data": {"k": "theirs"}})).await;
    let desired = world.desired(&maps, "a", json!({"data": {"k": "mine"}}));
    adopt(&world, &desired, ConflictPolicy::Force).await.unwrap();
    assert_eq!(world.delete(&maps, "a").await.unwrap(), Deleted::Released);
    let after = world.get(&maps, "a").await;
    assert_eq!(data(&after), &json!({"k": "mine"}));
    assert!(has_no_mark_of_ours(&after), "{:?}", after.metadata);
}

#[tokio::test]
async fn of_an_adopted_object_we_take_back_what_we_had_and_nothing_else() {
    let world = World::new("take-back").await;
    let maps = world.kind("v1", "ConfigMap").await;
    world.foreign(&maps, "a", json!({"data": {"theirs": "x"}})).await;
    let object = |k: &str, more: &str| {
        let mut object = json!({"data": {"k": k}});
        if !more.is_empty() {
            object["data"][more] = json!("mine");
        }
        world.desired(&maps, "a", object)
    };
    let adopted = adopt(&world, &object("1", ""), ConflictPolicy::Protect).await.unwrap();
    let steal = || merge(&world, &maps, "a", json!({"data": {"k": "stolen"}}));
    let live = async || world.get(&maps, "a").await.data["data"]["k"].clone();
    let update = async |desired: &Desired, known: &Known| {
        world.cluster.update(&world.owner, desired, known, &Terms::default()).await
    };

    steal().await;
    let remembered = object("1", "").applied(adopted.known);
    update(&object("2", ""), &remembered).await.unwrap();
    assert_eq!(live().await, "2");

    // What was never ours is another matter.
    let error = update(&object("3", "theirs"), &remembered).await.unwrap_err();
    assert_eq!(error.to_string(), "others manage its fields: .data.theirs (somebody-else)");
    assert_eq!(live().await, "2");

    // After a start only the hash can tell that we had it.
    steal().await;
    let found = known(&world, &maps, "a").await;
    let error = update(&object("3", ""), &found).await.unwrap_err();
    assert!(matches!(error, ApplyError::Conflict(Conflict::Managers(_))), "{error}");
    assert_eq!(live().await, "stolen");
    update(&object("2", ""), &found).await.unwrap();
    assert_eq!(live().await, "2");
}

#[tokio::test]
async fn replicas_that_were_scaled_are_yielded_and_the_rest_is_applied() {
    let world = World::new("scaled").await;
    let deployments = world.kind("apps/v1", "Deployment").await;
    let object = |image: &str| {
        let mut object = deployment(image);
        object["spec"]["replicas"] = json!(1);
        world.desired(&deployments, "a", object)
    };
    world.cluster.create(&world.owner, &object("one")).await.unwrap();
    let scale = json!({"spec": {"replicas": 5}});
    let params = PatchParams { field_manager: Some("horizontal-pod-autoscaler".into()), ..PatchParams::default() };
    world.api(&deployments).patch_subresource("scale", "a", &params, &Patch::Merge(scale)).await.unwrap();
    merge(&world, &deployments, "a", json!({"spec": {"minReadySeconds": 3}})).await;
    let mut desired = deployment("two");
    desired["spec"]["replicas"] = json!(1);
    desired["spec"]["minReadySeconds"] = json!(7);
    let desired = world.desired(&deployments, "a", desired);
    let found = known(&world, &deployments, "a").await;
    let applied = world.cluster.update(&world.owner, &desired, &found, &Terms::default()).await.unwrap();
    assert_eq!(applied.yielded, [(".spec.replicas".to_owned(), "horizontal-pod-autoscaler".to_owned())]);
    let live = world.get(&deployments, "a").await;
    assert_eq!((&live.data["spec"]["replicas"], &live.data["spec"]["minReadySeconds"]), (&json!(5), &json!(7)));
    assert_eq!(live.data["spec"]["template"]["spec"]["containers"][0]["image"], "two");
}

#[tokio::test]
async fn an_adopted_deployment_is_released_with_its_values() {
    let world = World::new("release-deployment").await;
    let deployments = world.kind("apps/v1", "Deployment").await;
    let before = world.foreign(&deployments, "a", deployment("theirs")).await;
    // Ours alone and compulsory: without it the object would not be valid.
    let more = json!({"spec": {"template": {"spec": {"containers": [{"name": "ours", "image": "ours"}]}}}});
    adopt(&world, &world.desired(&deployments, "a", more), ConflictPolicy::Protect).await.unwrap();
    assert_eq!(world.delete(&deployments, "a").await.unwrap(), Deleted::Released);
    let after = world.get(&deployments, "a").await;
    assert_eq!(after.data["spec"], before.data["spec"], "a container of ours alone goes with us");
    assert!(has_no_mark_of_ours(&after), "{:?}", after.metadata);

    // One that we took as a whole cannot be without our fields.
    adopt(&world, &world.desired(&deployments, "a", deployment("mine")), ConflictPolicy::Force).await.unwrap();
    merge(&world, &deployments, "a", json!({"spec": {"minReadySeconds": 3}})).await;
    assert_eq!(world.delete(&deployments, "a").await.unwrap(), Deleted::Released);
    let after = world.get(&deployments, "a").await;
    assert_eq!(after.data["spec"]["template"]["spec"]["containers"][0]["image"], "mine");
    assert!(has_no_mark_of_ours(&after), "{:?}", after.metadata);
}

#[tokio::test]
async fn an_orphan_that_is_found_again_is_released_as_it_is() {
    let world = World::new("orphan-found").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({"data": {"k": "v"}}));
    world.cluster.create(&world.owner, &desired).await.unwrap();
    world.cluster.orphan(&maps, &desired.id, &world.owner).await.unwrap();
    merge(&world, &maps, "a", json!({"metadata": {"labels": {"seen-by": "somebody"}}})).await;

    let again = owner(world.namespace.name(), "shop", "33333333-0000-0000-0000-000000000003");
    let found = world.cluster.look_up(&maps, &[&desired.id], &Onlooker::of(&again)).await.unwrap();
    let (known, whose) = &found[&desired.id];
    assert_eq!((known.hold, whose), (Hold::Adopted, &Ownership::Ours));
    let desired = world.desired_of(&again, &maps, "a", json!({"data": {"k": "w"}}));
    world.cluster.update(&again, &desired, known, &Terms::default()).await.unwrap();
    let released = world.cluster.delete_owned(&maps, &desired.id, &known.uid, None, &again).await.unwrap();
    assert_eq!(released, Deleted::Released);
    let after = world.get(&maps, "a").await;
    assert_eq!(data(&after), &json!({"k": "w"}));
    assert_eq!(after.metadata.labels.as_ref().unwrap()["seen-by"], "somebody");
    assert!(has_no_mark_of_ours(&after), "{:?}", after.metadata);
}

#[tokio::test]
async fn an_object_of_another_resource_is_its_own_as_long_as_that_lives() {
    let world = World::new("living").await;
    crate::support::install_crd(&world.client).await;
    let maps = world.kind("v1", "ConfigMap").await;
    let kind = crate::support::eventually("the kind is known", std::time::Duration::from_secs(20), async || {
        world.cluster.kind("konnektr.io/v1alpha1", "DatabaseQueryResource").await.ok()
    })
    .await;
    let spec = json!({"spec": {
        "database": {"type": "postgres", "connectionSecretRef": {"name": "s"}}, "query": "SELECT 1", "template": "x",
    }});
    let living = world.foreign(&kind, "other", spec).await.metadata.uid.unwrap();
    for (name, uid) in [("a", living.as_str()), ("c", living.as_str()), ("b", "44444444-0000-0000-0000-000000000004")] {
        let other = owner(world.namespace.name(), "other", uid);
        let desired = world.desired_of(&other, &maps, name, json!({"data": {"k": "theirs"}}));
        world.cluster.create(&other, &desired).await.unwrap();
    }
    let (a, b) = (world.id(&maps, "a"), world.id(&maps, "b"));
    let found = world.cluster.look_up(&maps, &[&a, &b], &Onlooker::of(&world.owner)).await.unwrap();
    assert_eq!(found[&a].1, Ownership::OtherOwner { owner: format!("{}/other", world.namespace.name()) });
    assert_eq!(found[&b].1, Ownership::Abandoned);
    // Labels are anyone's to edit and give nothing away.
    merge(&world, &maps, "a", json!({"metadata": {"labels": {"konnektr.io/managed-by-namespace": "nowhere"}}})).await;
    let found = world.cluster.look_up(&maps, &[&a], &Onlooker::of(&world.owner)).await.unwrap();
    assert!(matches!(found[&a].1, Ownership::OtherOwner { .. }));
    // Nor does a uid that somebody wrote.
    let c = world.id(&maps, "c");
    merge(&world, &maps, "c", json!({"metadata": {"annotations": {"konnektr.io/owner-uid": "nonsense"}}})).await;
    let found = world.cluster.look_up(&maps, &[&c], &Onlooker::of(&world.owner)).await.unwrap();
    assert_eq!(found[&c].1, Ownership::OtherOwner { owner: format!("{}/other", world.namespace.name()) });
    // But who is not there has nothing, whatever somebody wrote.
    let gone = owner(world.namespace.name(), "gone", "55555555-0000-0000-0000-000000000005");
    let desired = world.desired_of(&gone, &maps, "d", json!({"data": {"k": "theirs"}}));
    world.cluster.create(&gone, &desired).await.unwrap();
    let d = world.id(&maps, "d");
    merge(&world, &maps, "d", json!({"metadata": {"annotations": {"konnektr.io/owner-uid": "nonsense"}}})).await;
    let found = world.cluster.look_up(&maps, &[&d], &Onlooker::of(&world.owner)).await.unwrap();
    assert_eq!(found[&d].1, Ownership::Abandoned);
}

#[tokio::test]
async fn two_owners_that_want_to_adopt_the_same_object_do_not_take_it_from_each_other() {
    let world = World::new("adopt-race").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let other = owner(world.namespace.name(), "other", "22222222-0000-0000-0000-000000000002");
    for round in 0..10 {
        let name = format!("a{round}");
        let uid = world.foreign(&maps, &name, json!({"data": {"k": "theirs"}})).await.metadata.uid.unwrap();
        let one = world.desired(&maps, &name, json!({"data": {"one": "1"}}));
        let two = world.desired_of(&other, &maps, &name, json!({"data": {"two": "2"}}));
        let (protect, force) = (Terms::default(), force());
        let (one, two) = tokio::join!(
            world.cluster.adopt(&world.owner, &one, &uid, &protect),
            world.cluster.adopt(&other, &two, &uid, &force),
        );
        assert_eq!(one.unwrap().change, Change::Adopted);
        let owner = format!("{}/shop", world.namespace.name());
        assert_eq!(two, Err(ApplyError::Conflict(Conflict::Owner(owner))));
        assert_eq!(data(&world.get(&maps, &name).await), &json!({"k": "theirs", "one": "1"}));
    }
}

#[tokio::test]
async fn what_cannot_be_updated_is_created_anew_where_the_user_wants_that() {
    let world = World::new("recreate").await;
    let deployments = world.kind("apps/v1", "Deployment").await;
    let object = |label: &str, recreate: bool| {
        let mut object = deployment("x");
        object["spec"]["selector"]["matchLabels"] = json!({"a": label});
        object["spec"]["template"]["metadata"]["labels"] = json!({"a": label});
        world.desired(&deployments, "a", object).wishing(Wishes { recreate, ..Wishes::default() })
    };
    let uid = world.cluster.create(&world.owner, &object("b", true)).await.unwrap().known.uid;
    let error = world.update(&object("c", false), &uid).await.unwrap_err();
    assert_eq!((error.reason(), error.is_retryable()), ("Invalid", false));
    assert_eq!(world.get(&deployments, "a").await.metadata.uid.as_deref(), Some(&*uid));

    let protect = |value: Value| json!({"metadata": {"annotations": {"konnektr.io/prune": value}}});
    merge(&world, &deployments, "a", protect(json!("disabled"))).await;
    assert_eq!(world.update(&object("c", true), &uid).await, Err(ApplyError::Protected));
    merge(&world, &deployments, "a", protect(Value::Null)).await;

    let (change, new) = world.update(&object("c", true), &uid).await.unwrap();
    assert_eq!(change, Change::Recreated);
    let live = world.get(&deployments, "a").await;
    assert_eq!(live.metadata.uid.as_deref(), Some(&*new));
    assert_ne!(new, uid);
    assert_eq!(live.data["spec"]["selector"]["matchLabels"]["a"], "c");
}

#[tokio::test]
async fn an_adopted_object_is_never_created_anew() {
    let world = World::new("recreate-adopted").await;
    let deployments = world.kind("apps/v1", "Deployment").await;
    let before = world.foreign(&deployments, "a", deployment("x")).await;
    let desired = world.desired(&deployments, "a", deployment("x"));
    let adopted = adopt(&world, &desired, ConflictPolicy::Force).await.unwrap();
    let mut other = deployment("x");
    other["spec"]["selector"]["matchLabels"] = json!({"a": "c"});
    other["spec"]["template"]["metadata"]["labels"] = json!({"a": "c"});
    let other = world.desired(&deployments, "a", other).wishing(Wishes { recreate: true, ..Wishes::default() });
    // Even where it is not remembered that it was adopted.
    for hold in [Hold::Adopted, Hold::Created] {
        let known = Known { uid: adopted.known.uid.clone(), hold, ..Known::default() };
        assert!(world.cluster.update(&world.owner, &other, &known, &force()).await.is_err());
        assert_eq!(world.get(&deployments, "a").await.metadata.uid, before.metadata.uid);
    }
}

#[tokio::test]
async fn an_object_of_the_go_operator_is_taken_over_with_all_it_held() {
    let world = World::new("inherited").await;
    let maps = world.kind("v1", "ConfigMap").await;
    // The collector would delete it for an owner that does not exist.
    let keeper = world.foreign(&maps, "keeper", json!({})).await.metadata.uid.unwrap();
    let owner = owner(world.namespace.name(), "shop", &keeper);
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "keeper", "uid": keeper}]);
    let object = |label: &str, references: &Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "a", "ownerReferences": references, "labels": {"konnektr.io/managed-by": label},
                "annotations": {"konnektr.io/last-applied-configuration": "{}"},
            },
            "data": {"k": "old", "gone": "old"},
        })
    };
    let go = PatchParams::apply("databasequeryresource-controller").force();
    let id = world.id(&maps, "a");
    let whose =
        async || world.cluster.look_up(&maps, &[&id], &Onlooker::of(&owner)).await.unwrap().remove(&id).unwrap();
    for (object, expected) in [
        (object("other", &reference), Ownership::Foreign),
        (object("shop", &json!([])), Ownership::Left),
        (object("shop", &reference), Ownership::Inherited),
    ] {
        world.api(&maps).patch("a", &go, &Patch::Apply(&object)).await.unwrap();
        assert_eq!(whose().await.1, expected, "{object}");
    }
    merge(&world, &maps, "a", json!({"data": {"manual-key": "manual-value"}})).await;
    let desired = world.desired_of(&owner, &maps, "a", json!({"data": {"k": "new"}}));
    let (known, _) = whose().await;
    let applied = world.cluster.inherit(&owner, &desired, &known, &Terms::default()).await.unwrap();
    assert_eq!((applied.change, applied.known.hold), (Change::Updated, Hold::Created));
    assert_eq!(whose().await.1, Ownership::Ours);
    let live = world.get(&maps, "a").await;
    assert_eq!(data(&live), &json!({"k": "new", "manual-key": "manual-value"}));
    let shown = serde_json::to_string(&live.metadata).unwrap();
    assert!(!shown.contains("databasequeryresource-controller") && !shown.contains("last-applied"), "{shown}");
    let deleted = world.cluster.delete_owned(&maps, &id, &known.uid, None, &owner).await.unwrap();
    assert_eq!(deleted, Deleted::Deleted);
}

#[tokio::test]
async fn a_take_over_writes_marks_alone_and_one_that_was_interrupted_is_finished() {
    let world = World::new("inherited-half").await;
    let roles = world.kind("rbac.authorization.k8s.io/v1", "ClusterRole").await;
    let name = world.namespace.name();
    let owner = owner(name, "shop", "uid of the shop");
    let rule = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rule,
        "metadata": {"name": name, "labels": {"konnektr.io/managed-by": "shop", "x": "y"}},
    });
    let go = PatchParams::apply("databasequeryresource-controller").force();
    world.api(&roles).patch(name, &go, &Patch::Apply(&object)).await.unwrap();
    let id = world.id(&roles, name);
    let whose =
        async || world.cluster.look_up(&roles, &[&id], &Onlooker::of(&owner)).await.unwrap().remove(&id).unwrap();
    // As if the marks had been put on and nothing else been done.
    let marks = json!({"metadata": {
        "labels": {"konnektr.io/managed-by-namespace": name}, "annotations": {"konnektr.io/owner-uid": owner.uid},
    }});
    let ours = PatchParams { field_manager: Some("db-query-operator".into()), ..PatchParams::default() };
    world.api(&roles).patch(name, &ours, &Patch::Merge(&marks)).await.unwrap();
    assert_eq!(whose().await.1, Ownership::Left);

    assert!(world.cluster.take_over(&roles, &id, &owner).await.unwrap().is_some());
    assert_eq!((whose().await.1, whose().await.0.hold), (Ownership::Ours, Hold::Created));
    let live = world.get(&roles, name).await;
    assert_eq!(live.data["rules"], rule);
    let entries = live.metadata.managed_fields.clone().unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.manager.as_deref(), entry.operation.as_deref()), (Some("db-query-operator"), Some("Apply")));
    let fields = json!(entry.fields_v1);
    for field in ["f:rules", "f:metadata/f:labels/f:x", "f:metadata/f:annotations/f:konnektr.io~1owner-uid"] {
        assert!(fields.pointer(&format!("/{field}")).is_some(), "{field}: {fields}");
    }
    let again = world.cluster.take_over(&roles, &id, &owner).await.unwrap();
    assert!(again.is_none() && world.get(&roles, name).await == live, "it is ours, and nothing is to be done");
    let uid = live.metadata.uid.unwrap();
    assert_eq!(world.cluster.delete_owned(&roles, &id, &uid, None, &owner).await.unwrap(), Deleted::Deleted);
}
