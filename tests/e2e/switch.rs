//! The switch from the Go operator: it is stopped, and ours started, over its resources and objects.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use dbqo::crd::DatabaseQueryResource;

use crate::support::admission::Refusal;
use crate::support::gadgets::Gadgets;
use crate::support::proxy::{Fate, Proxy};
use crate::support::rules::{VERBS, allow, allow_references, create_account, delete_account};
use crate::support::world::{CONFIG_MAP, PATIENCE, World, condition};
use crate::support::{Operator, TestNamespace, eventually, eventually_right};

const FINALIZER: &str = "konnektr.io/databasequeryresource-finalizer";
const FLAGS: [&str; 2] = ["--allow-namespaces=*", "--allow-cluster-scoped=Namespace"];

/// What the Go operator leaves of one resource, `q`.
struct Go<'a> {
    world: &'a World,
    dbqr: DynamicObject,
    /// Its list.
    listed: Vec<String>,
}

impl<'a> Go<'a> {
    /// Our operator does not run yet.
    async fn operates(world: &'a mut World, spec: Value) -> Self {
        world.operator.terminate();
        world.create("q", spec).await;
        let dbqr = world.dbqrs().get("q").await.unwrap();
        Self { world, dbqr, listed: Vec::new() }
    }

    /// After ours, which ends for that.
    async fn operates_again(world: &'a mut World) -> Self {
        world.operator.terminate();
        let dbqr = world.dbqrs().get("q").await.unwrap();
        Self { world, dbqr, listed: Vec::new() }
    }

    /// Applies an object as its code does.
    async fn applies(&mut self, mut object: Value) {
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        object["metadata"]["labels"]["konnektr.io/managed-by"] = json!("q");
        if namespace.as_deref() == Some(self.world.namespace.name()) {
            object["metadata"]["ownerReferences"] = reference(&self.dbqr);
        }
        let config = json!({"spec": object["spec"], "labels": object["metadata"]["labels"]});
        object["metadata"]["annotations"]["konnektr.io/last-applied-configuration"] = json!(config.to_string());
        let params = PatchParams::apply("databasequeryresource-controller").force();
        let (kind, name) = (object["kind"].as_str().unwrap().to_owned(), object["metadata"]["name"].clone());
        let api = api(self.world, &kind, namespace.as_deref());
        api.patch(name.as_str().unwrap(), &params, &Patch::Apply(&object)).await.unwrap();
        self.lists(&kind, namespace.as_deref().unwrap_or_default(), name.as_str().unwrap());
    }

    async fn applies_config_map(&mut self, namespace: &str, name: &str) {
        self.applies(config_map_of(namespace, name)).await;
    }

    fn lists(&mut self, kind: &str, namespace: &str, name: &str) {
        self.listed.push(format!("/v1/{kind}/{namespace}/{name}"));
    }

    /// Writes its status, in which it keeps nothing of what it does not know. Ours is to be started next.
    async fn stops(self) {
        let mut dbqr = self.world.dbqrs().get("q").await.unwrap();
        dbqr.data["status"] = json!({
            "managedResources": self.listed, "lastPollTime": "2024-01-01T00:00:00Z",
            "conditions": [{
                "type": "Reconciled", "status": "True", "reason": "Success", "message": "Successfully queried DB",
                "lastTransitionTime": "2024-01-01T00:00:00Z",
            }],
        });
        let params = PostParams { field_manager: Some("manager".into()), ..PostParams::default() };
        self.world.dbqrs().replace_status("q", &params, &dbqr).await.unwrap();
    }
}

fn config_map_of(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace},
        "data": {"v": "old", "gone": "old"},
    })
}

fn reference(dbqr: &DynamicObject) -> Value {
    json!([{
        "apiVersion": "konnektr.io/v1alpha1", "kind": "DatabaseQueryResource", "name": dbqr.name_any(),
        "uid": dbqr.uid(), "controller": true, "blockOwnerDeletion": true,
    }])
}

/// A resource `q` in a namespace that our operator does not look at.
async fn create_elsewhere(world: &World, namespace: &str) -> DynamicObject {
    let mut dbqr = world.dbqrs().get("q").await.unwrap();
    dbqr.metadata = ObjectMeta { name: Some("q".into()), ..ObjectMeta::default() };
    let resource = ApiResource::erase::<DatabaseQueryResource>(&());
    let elsewhere = Api::<DynamicObject>::namespaced_with(world.client.clone(), namespace, &resource);
    elsewhere.create(&PostParams::default(), &dbqr).await.unwrap()
}

fn api(world: &World, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(world.client.clone(), namespace, &resource),
        None => Api::all_with(world.client.clone(), &resource),
    }
}

fn config_maps(world: &World, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(world.client.clone(), namespace)
}

fn namespaces(world: &World) -> Api<Namespace> {
    Api::all(world.client.clone())
}

async fn version(world: &World, namespace: &str, name: &str) -> Option<String> {
    config_maps(world, namespace).get_opt(name).await.unwrap()?.resource_version()
}

async fn until_no_config_map(world: &World, namespace: &str, name: &str) {
    eventually(&format!("{namespace}/{name} is gone"), PATIENCE, async || {
        version(world, namespace, name).await.is_none().then_some(())
    })
    .await;
}

async fn until_no_namespace(world: &World, name: &str) {
    eventually(&format!("namespace {name} is gone, or going"), PATIENCE, async || {
        let there = namespaces(world).get_opt(name).await.unwrap();
        there.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()).then_some(())
    })
    .await;
}

async fn list(world: &World) -> Value {
    world.get("q").await["status"]["managedResources"].clone()
}

/// Once all of the list was looked at, a count is in its place.
async fn until_counted(world: &World, count: i64) {
    eventually_right(PATIENCE, async || {
        let stored = list(world).await;
        if stored == count { Ok(()) } else { Err(format!("{stored} is not {count}")) }
    })
    .await;
}

fn ours(object: &impl ResourceExt) -> bool {
    let managers: Vec<_> = object.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    object.annotations().contains_key("konnektr.io/owner-uid")
        && !object.annotations().contains_key("konnektr.io/adopted")
        && managers.contains(&"db-query-operator")
        && !managers.contains(&"databasequeryresource-controller")
}

async fn event(world: &World, reason: &str) -> String {
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    eventually(&format!("there is an event {reason}"), PATIENCE, async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.into_iter().find(|event| event.reason.as_deref() == Some(reason))?.note
    })
    .await
}

#[tokio::test]
async fn tenants_namespaces_and_what_is_in_them_are_taken_over_and_go_with_their_rows() {
    let mut world = World::with_flags("switch-tenants", &["a", "b"], &FLAGS).await;
    let own = world.namespace.name().to_owned();
    let template = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {own}-{{{{ row.name }}}}\n  labels:\n    tier: {{{{ row.v }}}}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: {own}-{{{{ row.name }}}}\n\
         data:\n  v: {{{{ row.v }}}}\n"
    );
    let mut go = Go::operates(&mut world, json!({"resourceTemplate": template})).await;
    let names = [format!("{own}-a"), format!("{own}-b")];
    for name in &names {
        let labels = json!({"tier": "old", "gone": "old"});
        go.applies(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
            .await;
        go.applies_config_map(name, "settings").await;
    }
    go.listed.push("v1/ConfigMap/nonsense".into());
    go.stops().await;
    let manual = Patch::Merge(json!({"data": {"manual-key": "manual-value"}}));
    config_maps(&world, &names[0]).patch("settings", &PatchParams::default(), &manual).await.unwrap();
    let before = namespaces(&world).get(&names[0]).await.unwrap();

    world.restart();
    world.ready("q").await;
    until_counted(&world, 4).await;
    assert!(event(&world, "TakenOver").await.ends_with(": 4 objects"));
    let namespace = namespaces(&world).get(&names[0]).await.unwrap();
    assert_eq!(namespace.metadata.uid, before.metadata.uid);
    assert_eq!((&*namespace.labels()["tier"], namespace.labels().get("gone")), ("one", None));
    let settings = config_maps(&world, &names[0]).get("settings").await.unwrap();
    assert_eq!(json!(settings.data), json!({"v": "one", "manual-key": "manual-value"}));
    assert!(ours(&namespace) && ours(&settings), "{namespace:?} {settings:?}");
    assert!(!json!(settings.annotations()).to_string().contains("last-applied"));

    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    until_no_namespace(&world, &names[1]).await;
    world.delete("q").await;
    world.until_gone("q").await;
    until_no_namespace(&world, &names[0]).await;
}

#[tokio::test]
async fn what_has_no_row_any_more_is_pruned_wherever_it_is() {
    let mut world = World::with_flags("switch-rowless", &["a"], &FLAGS).await;
    let (own, other) =
        (world.namespace.name().to_owned(), TestNamespace::create(&world.client, "switch-rowless").await);
    let mut go = Go::operates(&mut world, json!({})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(&own, "b").await;
    go.applies_config_map(other.name(), "c").await;
    go.lists("ConfigMap", other.name(), "gone-already");
    go.lists("Nothing", other.name(), "of-no-kind");
    go.stops().await;
    world.restart();
    until_no_config_map(&world, &own, "b").await;
    until_no_config_map(&world, other.name(), "c").await;
    until_counted(&world, 1).await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    assert_eq!(world.get("q").await["status"]["kinds"], json!(["ConfigMap"]));
}

#[tokio::test]
async fn too_many_without_a_row_are_held_back() {
    let mut world = World::new("switch-guarded", &["n10"]).await;
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(&mut world, json!({})).await;
    for number in 10..25 {
        go.applies_config_map(&own, &format!("n{number}")).await;
    }
    go.stops().await;
    let before = world.uids().await;
    world.restart();
    let resource = world.condition("q", "PruneBlocked", "True", None).await;
    assert_eq!(resource["status"]["blockedPrune"]["count"], 14);
    world.another_pass("q").await;
    assert_eq!((world.uids().await, before.len()), (before, 15));
    let digest = resource["status"]["blockedPrune"]["digest"].clone();
    world.patch("q", json!({"metadata": {"annotations": {"konnektr.io/approve-prune": digest}}})).await;
    eventually("those are gone", PATIENCE, async || (world.managed().await == ["n10"]).then_some(())).await;
}

#[tokio::test]
async fn what_is_anothers_is_left_alone_be_it_listed_or_labelled() {
    let mut world = World::with_flags("switch-others", &["a"], &FLAGS).await;
    let (own, other) = (world.namespace.name().to_owned(), TestNamespace::create(&world.client, "switch-others").await);
    let mut go = Go::operates(&mut world, json!({})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(other.name(), "mine").await;
    // A resource of the same name in another namespace has these.
    go.applies_config_map(other.name(), "yours").await;
    go.listed.pop();
    let theirs = create_elsewhere(go.world, other.name()).await;
    let mut referring = config_map_of(other.name(), "referring");
    referring["metadata"]["ownerReferences"] = reference(&theirs);
    go.applies(referring).await;
    let config_map = |name: &str, label: &str| {
        let metadata = json!({"name": name, "labels": {"konnektr.io/managed-by": label}});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": "theirs"}})
    };
    let by_hand = PatchParams::apply("kubectl");
    let go_manager = PatchParams::apply("databasequeryresource-controller");
    let unlabelled = {
        let mut object = config_map("unlabelled", "q");
        object["metadata"].as_object_mut().unwrap().remove("labels");
        object
    };
    for (params, object) in [
        (&by_hand, config_map("foreign", "q")),
        (&go_manager, config_map("another", "other")),
        (&go_manager, unlabelled),
    ] {
        let name = object["metadata"]["name"].as_str().unwrap();
        config_maps(go.world, other.name()).patch(name, params, &Patch::Apply(&object)).await.unwrap();
        go.lists("ConfigMap", other.name(), name);
    }
    // The label is not the Go operator's here, but somebody put it on.
    let label = Patch::Merge(json!({"metadata": {"labels": {"konnektr.io/managed-by": "q"}}}));
    config_maps(go.world, other.name()).patch("unlabelled", &PatchParams::default(), &label).await.unwrap();
    go.stops().await;
    let names = ["yours", "referring", "foreign", "another", "unlabelled"];
    let versions = async |world: &World| {
        let mut versions = Vec::new();
        for name in names {
            versions.push(version(world, other.name(), name).await.unwrap());
        }
        versions
    };
    let before = versions(&world).await;
    world.restart();
    until_no_config_map(&world, other.name(), "mine").await;
    until_counted(&world, 1).await;
    world.another_pass("q").await;
    assert_eq!(versions(&world).await, before);
    world.delete("q").await;
    world.until_gone("q").await;
    assert_eq!(versions(&world).await, before);
}

#[tokio::test]
async fn one_that_is_refused_stays_listed_and_holds_up_neither_others_nor_rows() {
    let mut world = World::new("switch-refused", &["a"]).await;
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(&mut world, json!({})).await;
    for name in ["a", "b", "rowless", "rowless-too"] {
        go.applies_config_map(&own, name).await;
    }
    let listed = go.listed.clone();
    go.stops().await;
    // Whatever is done to it; it is there already.
    let refusal = Refusal::unless(&world, "!(object.metadata.name in ['b', 'rowless-too', 'probe'])").await;
    refusal.heeded(&world, "probe").await;
    let before = (version(&world, &own, "b").await, version(&world, &own, "rowless-too").await);
    world.restart();
    world.until_value("a", Some("one")).await;
    until_no_config_map(&world, &own, "rowless").await;
    world.run_sql("INSERT INTO t VALUES ('c', 'new')").await;
    world.until_value("c", Some("new")).await;
    let resource = world.condition("q", "Ready", "False", Some("TakeOverFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&format!("ConfigMap {own}/b, ConfigMap {own}/rowless-too")), "{message}");
    assert!(message.contains("denied by the admission policy") && !message.contains("old"), "{message}");

    // Nor is one shared with the Go operator meanwhile that a row wants: it would never be deleted.
    world.run_sql("INSERT INTO t VALUES ('b', 'two')").await;
    world.restart();
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    assert_eq!(resource["status"]["failures"][0]["reason"], "NotTakenOver");
    assert_eq!(list(&world).await, json!(listed));
    assert_eq!((version(&world, &own, "b").await, version(&world, &own, "rowless-too").await), before);
    refusal.lift().await;
    world.until_value("b", Some("two")).await;
    until_no_config_map(&world, &own, "rowless-too").await;
    until_counted(&world, 3).await;
    world.ready("q").await;
    assert!(ours(&world.config_maps().get("b").await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_nobody_answers_for_hold_up_neither_others_nor_rows() {
    static ANSWERS: AtomicBool = AtomicBool::new(false);
    let proxy = Proxy::start(|parts| {
        let is_it = parts.method == Method::PATCH && parts.uri.path().contains("/configmaps/silent");
        if is_it && !ANSWERS.load(Ordering::SeqCst) { Fate::Lost } else { Fate::Passes }
    })
    .await;
    let client = kube::Client::try_default().await.unwrap();
    let mut world = World::on(client, "switch-silent", &["a"], &[], Some(proxy.kubeconfig)).await;
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(&mut world, json!({"pruneGuard": {"maxDeletions": 50}})).await;
    // More are silent than are asked for at once.
    for number in 0..20 {
        go.applies_config_map(&own, &format!("silent{number}")).await;
    }
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(&own, "unwanted").await;
    go.stops().await;
    world.restart();
    world.until_value("a", Some("one")).await;
    until_no_config_map(&world, &own, "unwanted").await;
    let resource = world.condition("q", "Ready", "False", Some("TakeOverFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&format!("ConfigMap {own}/silent0")), "{message}");
    world.run_sql("INSERT INTO t VALUES ('b', 'new')").await;
    world.until_value("b", Some("new")).await;
    ANSWERS.store(true, Ordering::SeqCst);
    until_counted(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_answers_take_long_half_of_it_is_done_each_time() {
    let proxy = Proxy::start(|parts| {
        let is_it = parts.method == Method::PATCH && parts.uri.path().ends_with("/configmaps/slow");
        if is_it { Fate::Waits(Duration::from_secs(7)) } else { Fate::Passes }
    })
    .await;
    let client = kube::Client::try_default().await.unwrap();
    let mut world = World::on(client, "switch-slow", &["a"], &[], Some(proxy.kubeconfig)).await;
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(&mut world, json!({"prune": false})).await;
    go.applies_config_map(&own, "slow").await;
    go.stops().await;
    world.restart();
    until_counted(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_the_middle_loses_nothing() {
    static PATCHES: AtomicUsize = AtomicUsize::new(0);
    const PASS: usize = 1000;
    // Of b the marks arrive, and nothing after them.
    let proxy = Proxy::start(|parts| {
        let is_it = parts.method == Method::PATCH && parts.uri.path().ends_with("/configmaps/b");
        match is_it && PATCHES.fetch_add(1, Ordering::SeqCst) < PASS {
            true if PATCHES.load(Ordering::SeqCst) > 1 => Fate::Lost,
            _ => Fate::Passes,
        }
    })
    .await;
    let client = kube::Client::try_default().await.unwrap();
    let flags = ["--leader-elect=false", FLAGS[0]];
    let mut world = World::on(client, "switch-killed", &["a"], &flags, Some(proxy.kubeconfig)).await;
    let other = TestNamespace::create(&world.client, "switch-killed").await;
    let mut go = Go::operates(&mut world, json!({"prune": false})).await;
    for name in ["a", "b", "c"] {
        go.applies_config_map(other.name(), name).await;
    }
    let listed = go.listed.clone();
    go.stops().await;
    world.restart();
    eventually("b was begun", PATIENCE, async || (PATCHES.load(Ordering::SeqCst) >= 2).then_some(())).await;
    world.operator.kill();
    let half = config_maps(&world, other.name()).get("b").await.unwrap();
    assert!(half.annotations().contains_key("konnektr.io/owner-uid") && !ours(&half), "{half:?}");
    assert_eq!(list(&world).await, json!(listed));
    assert_eq!(world.get("q").await["status"]["kinds"], json!(["ConfigMap"]), "recorded before");

    PATCHES.store(PASS, Ordering::SeqCst);
    world.restart();
    world.ready("q").await;
    for name in ["a", "b", "c"] {
        assert!(ours(&config_maps(&world, other.name()).get(name).await.unwrap()), "{name}");
    }
    until_counted(&world, 4).await;
    world.delete("q").await;
    world.until_gone("q").await;
    for name in ["a", "b", "c"] {
        until_no_config_map(&world, other.name(), name).await;
    }
}

/// Objects in two namespaces, the resource deleted while nobody works on it, and what is left when ours is through.
async fn deleted(test: &str, policy: &str) -> (World, TestNamespace) {
    let mut world = World::with_flags(test, &["a"], &FLAGS).await;
    let (own, other) = (world.namespace.name().to_owned(), TestNamespace::create(&world.client, test).await);
    let mut go = Go::operates(&mut world, json!({"deletionPolicy": policy, "query": "SELECT nonsense"})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(other.name(), "b").await;
    go.stops().await;
    world.patch("q", json!({"metadata": {"finalizers": [FINALIZER]}})).await;
    world.delete("q").await;
    world.restart();
    world.until_gone("q").await;
    (world, other)
}

#[tokio::test]
async fn a_resource_that_is_deleted_during_the_switch_takes_its_objects_along() {
    let (world, other) = deleted("switch-deleted", "Delete").await;
    assert_eq!(world.value("a").await, None);
    assert_eq!(version(&world, other.name(), "b").await, None);
}

#[tokio::test]
async fn a_resource_that_is_deleted_during_the_switch_leaves_its_objects_where_that_is_wanted() {
    let (world, other) = deleted("switch-orphaned", "Orphan").await;
    for object in
        [world.config_maps().get("a").await.unwrap(), config_maps(&world, other.name()).get("b").await.unwrap()]
    {
        assert_eq!(json!(object.data), json!({"v": "old", "gone": "old"}));
        assert_eq!(object.annotations()["konnektr.io/adopted"], "true");
        assert!(object.owner_references().is_empty());
    }
    // Nor does the garbage collector take them.
    world.create("next", json!({"query": "SELECT 'x' AS name, 'x' AS v"})).await;
    world.ready("next").await;
    assert_eq!(world.value("a").await.as_deref(), Some("old"));
}

#[tokio::test]
async fn objects_stay_where_that_is_wanted_whatever_keeps_the_resource_from_being_worked_on() {
    for (spec, flags, condition) in [
        (json!({}), &["--require-service-account"][..], ("Ready", "False")),
        (json!({"suspend": true}), &[], ("ChangeDetection", "Unknown")),
        // It does not decode.
        (json!({"pruneGuard": {"maxDeletions": 5_000_000_000_i64}}), &[], ("Stalled", "True")),
    ] {
        let mut world = World::with_flags("switch-kept", &["a"], flags).await;
        let own = world.namespace.name().to_owned();
        let mut go = Go::operates(&mut world, spec).await;
        go.applies_config_map(&own, "a").await;
        // Its row failed last, so that the Go operator left it out.
        go.applies_config_map(&own, "unlisted").await;
        go.listed.pop();
        go.stops().await;
        world.patch("q", json!({"spec": {"deletionPolicy": "Orphan"}})).await;
        world.restart();
        world.condition("q", condition.0, condition.1, None).await;
        world.delete("q").await;
        world.until_gone("q").await;
        for name in ["a", "unlisted"] {
            let object = world.config_maps().get(name).await.unwrap();
            assert!(object.owner_references().is_empty(), "the garbage collector takes {name}");
        }
    }
}

#[tokio::test]
async fn what_the_go_operator_applied_in_a_version_that_there_is_no_more_is_taken_over_as_well() {
    let mut world = World::with_flags("switch-version", &["a"], &FLAGS).await;
    let own = world.namespace.name().to_owned();
    let gadgets = Gadgets::new(&world).await;
    let mut go = Go::operates(&mut world, json!({})).await;
    let params = PatchParams::apply("databasequeryresource-controller").force();
    let gadget = json!({
        "apiVersion": format!("{}/v1", gadgets.group), "kind": "Gadget",
        "metadata": {"name": "g", "labels": {"konnektr.io/managed-by": "q"}, "ownerReferences": reference(&go.dbqr)},
        "spec": {"v": "old"},
    });
    gadgets.objects("v1").patch("g", &params, &Patch::Apply(&gadget)).await.unwrap();
    go.listed.push(format!("{}/v1/Gadget/{own}/g", gadgets.group));
    go.stops().await;
    gadgets.define(&["v2"], &["v2"]).await;
    world.restart();
    world.ready("q").await;
    eventually("it goes, as it has no row", PATIENCE, async || {
        gadgets.objects("v2").get_opt("g").await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_resource_that_is_deleted_before_its_first_read_takes_its_objects_along() {
    let mut world = World::with_flags("switch-unread", &["a"], &FLAGS).await;
    let (own, other) = (world.namespace.name().to_owned(), TestNamespace::create(&world.client, "switch-unread").await);
    let mut go = Go::operates(&mut world, json!({"query": "SELECT nonsense"})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(other.name(), "b").await;
    go.stops().await;
    world.restart();
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    assert_eq!(world.value("a").await.as_deref(), Some("old"));
    world.delete("q").await;
    world.until_gone("q").await;
    assert_eq!(version(&world, other.name(), "b").await, None);
    until_no_config_map(&world, &own, "a").await;
}

#[tokio::test]
async fn a_resource_that_is_deleted_waits_for_one_that_is_refused_and_the_others_do_not() {
    let mut world = World::new("switch-deleted-refused", &["a"]).await;
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(&mut world, json!({})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(&own, "b").await;
    go.stops().await;
    let refusal = Refusal::unless(&world, "!(object.metadata.name in ['b', 'probe'])").await;
    refusal.heeded(&world, "probe").await;
    world.patch("q", json!({"metadata": {"finalizers": [FINALIZER]}})).await;
    world.delete("q").await;
    world.restart();
    until_no_config_map(&world, &own, "a").await;
    let resource = world.condition("q", "Ready", "False", Some("CleanUpFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&format!("ConfigMap {own}/b could not be taken over")), "{message}");
    assert!(version(&world, &own, "b").await.is_some());
    refusal.lift().await;
    world.until_gone("q").await;
    assert_eq!(version(&world, &own, "b").await, None);
}

#[tokio::test]
async fn a_suspended_resource_waits_with_it() {
    let mut world = World::with_flags("switch-suspended", &["a"], &FLAGS).await;
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(&mut world, json!({"suspend": true})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(&own, "b").await;
    go.stops().await;
    let before = (version(&world, &own, "a").await, version(&world, &own, "b").await);
    world.restart();
    world.condition("q", "ChangeDetection", "Unknown", Some("Suspended")).await;
    world.create("other", json!({"query": "SELECT 'x' AS name, 'x' AS v"})).await;
    world.ready("other").await;
    assert_eq!((version(&world, &own, "a").await, version(&world, &own, "b").await), before);
    world.patch("q", json!({"spec": {"suspend": false}})).await;
    until_no_config_map(&world, &own, "b").await;
    world.until_value("a", Some("one")).await;
    until_counted(&world, 1).await;
}

#[tokio::test]
async fn what_the_flags_do_not_allow_stays_listed_until_they_do() {
    let mut world = World::new("switch-flags", &["a"]).await;
    let (own, other) = (world.namespace.name().to_owned(), TestNamespace::create(&world.client, "switch-flags").await);
    let mut go = Go::operates(&mut world, json!({"resourceTemplate": CONFIG_MAP})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(other.name(), "b").await;
    let listed = go.listed.clone();
    go.stops().await;
    let before = version(&world, other.name(), "b").await;
    world.restart();
    world.ready("q").await;
    world.until_value("a", Some("one")).await;
    let note = event(&world, "NotTakenOver").await;
    assert!(note.contains(&format!("ConfigMap {}/b", other.name())) && note.contains("--allow-namespaces"), "{note}");
    world.another_pass("q").await;
    assert_eq!((version(&world, other.name(), "b").await, list(&world).await), (before, json!(listed)));

    world.operator.terminate();
    world.operator = Operator::start(&own, &[FLAGS[0]]);
    until_no_config_map(&world, other.name(), "b").await;
    until_counted(&world, 1).await;
}

#[tokio::test]
async fn what_no_rule_allows_to_take_over_is_named_and_left_behind_where_the_account_is_gone() {
    let mut world = World::new("switch-account", &["a"]).await;
    let (own, other) =
        (world.namespace.name().to_owned(), TestNamespace::create(&world.client, "switch-account").await);
    create_account(&world.client, &own, "writer").await;
    allow_references(&world.client, (&own, "writer")).await;
    allow(&world.client, (&own, "writer"), &own, "configmaps", &VERBS).await;
    let mut go = Go::operates(&mut world, json!({"serviceAccountName": "writer"})).await;
    go.applies_config_map(&own, "a").await;
    go.applies_config_map(&own, "rowless").await;
    go.applies_config_map(other.name(), "b").await;
    go.stops().await;
    let before = version(&world, other.name(), "b").await;
    world.restart();
    until_no_config_map(&world, &own, "rowless").await;
    let resource = world.condition("q", "Ready", "False", Some("TakeOverFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    let told = format!(
        "ConfigMap {0}/b: the ServiceAccount {own}/writer is not allowed to get configmaps in namespace {0}",
        other.name()
    );
    assert!(message.ends_with(&told), "{message}");
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
    delete_account(&world.client, &own, "writer").await;
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(event(&world, "ObjectsLeft").await.ends_with(&format!("ConfigMap {}/b", other.name())));
    assert_eq!(version(&world, other.name(), "b").await, before);
}

/// Taken over, and then the Go operator's again for a while, which had a template with one more key.
async fn returned<'a>(world: &'a mut World, names: &[&str]) -> Go<'a> {
    let own = world.namespace.name().to_owned();
    let mut go = Go::operates(world, json!({})).await;
    for name in names {
        go.applies_config_map(&own, name).await;
    }
    go.stops().await;
    world.restart();
    world.ready("q").await;
    until_counted(world, names.len() as i64).await;
    let mut go = Go::operates_again(world).await;
    for name in names {
        let mut object = config_map_of(&own, name);
        object["data"] = json!({"v": "one", "again": "x"});
        go.applies(object).await;
    }
    go
}

async fn until_data(world: &World, name: &str, data: Value) {
    eventually_right(PATIENCE, async || {
        let stored = json!(world.config_maps().get(name).await.unwrap().data);
        if stored == data { Ok(()) } else { Err(format!("{name}: {stored} is not {data}")) }
    })
    .await;
}

#[tokio::test]
async fn what_the_go_operator_applied_to_ours_meanwhile_is_taken_over_once_more_be_it_listed_or_not() {
    let mut world = World::new("switch-back", &["a", "unlisted"]).await;
    let mut go = returned(&mut world, &["a", "unlisted"]).await;
    go.listed.pop();
    go.stops().await;
    world.restart();
    for name in ["a", "unlisted"] {
        until_data(&world, name, json!({"v": "one"})).await;
        let object = world.config_maps().get(name).await.unwrap();
        assert!(ours(&object) && object.owner_references().len() == 1, "{object:?}");
        assert!(!json!(object.annotations()).to_string().contains("last-applied"));
    }
    until_counted(&world, 2).await;
    let template = CONFIG_MAP.replace("  v:", "  w:");
    world.patch("q", json!({"spec": {"resourceTemplate": template}})).await;
    for name in ["a", "unlisted"] {
        until_data(&world, name, json!({"w": "one"})).await;
    }
}

#[tokio::test]
async fn what_was_taken_over_once_more_is_applied_be_there_an_end_before_that() {
    let mut world = World::new("switch-back-end", &["a"]).await;
    let go = returned(&mut world, &["a"]).await;
    go.world.patch("q", json!({"spec": {"query": "SELECT nonsense"}})).await;
    go.stops().await;
    world.restart();
    eventually("it is ours alone", PATIENCE, async || ours(&world.config_maps().get("a").await.unwrap()).then_some(()))
        .await;
    world.condition("q", "Ready", "False", Some("QueryFailed")).await;
    until_data(&world, "a", json!({"v": "one", "again": "x"})).await;
    world.operator.terminate();
    world.patch("q", json!({"spec": {"query": "SELECT name, v FROM t"}})).await;
    world.restart();
    until_data(&world, "a", json!({"v": "one"})).await;
}

#[tokio::test]
async fn what_existed_before_us_is_let_go_with_what_the_go_operator_put_on_it_meanwhile() {
    let mut world = World::new("switch-back-adopted", &["a", "b"]).await;
    let own = world.namespace.name().to_owned();
    let params = PatchParams::apply("kubectl");
    let mut object = config_map_of(&own, "b");
    object["data"] = json!({"theirs": "x"});
    world.config_maps().patch("b", &params, &Patch::Apply(&object)).await.unwrap();
    world.create("q", json!({})).await;
    world.ready("q").await;
    assert_eq!(world.config_maps().get("b").await.unwrap().annotations()["konnektr.io/adopted"], "true");
    let mut go = Go::operates_again(&mut world).await;
    go.applies_config_map(&own, "b").await;
    go.listed.clear();
    go.stops().await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.restart();
    until_data(&world, "b", json!({"theirs": "x"})).await;
    let object = world.config_maps().get("b").await.unwrap();
    assert!(object.owner_references().is_empty(), "the garbage collector would take it: {object:?}");
    assert!(object.labels().is_empty() && object.annotations().is_empty(), "{object:?}");
}

async fn notes(world: &World, reason: &str) -> Vec<(String, bool)> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let of_reason = events.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
    let mut notes: Vec<_> = of_reason
        .map(|event| (event.note.unwrap(), event.series.is_none() && event.type_.unwrap() == "Warning"))
        .collect();
    notes.sort();
    notes
}

#[tokio::test]
async fn entries_that_tell_of_nothing_that_there_can_be_are_named_once_and_nothing_waits_for_them() {
    let mut world = World::with_flags("switch-entries", &["a"], &FLAGS).await;
    let own = world.namespace.name().to_owned();
    let gadgets = Gadgets::new(&world).await;
    let mut go = Go::operates(&mut world, json!({})).await;
    go.applies_config_map(&own, "a").await;
    // Those of an early version of it named no kind.
    let unreadable = [format!(" /v1/ConfigMap/{own}/b"), format!("/v1/{own}/b"), "nonsense".into()];
    go.listed.extend(unreadable.clone());
    go.listed.push(format!("extensions/v1beta1/ConfigMap/{own}/b"));
    // There is such a kind, in other versions.
    go.listed.push(format!("{}/v0/Gadget/{own}/g", gadgets.group));
    // Were it not for this one, the list would go at once.
    go.applies_config_map(&own, "refused").await;
    go.stops().await;
    let refusal = Refusal::unless(&world, "!(object.metadata.name in ['refused', 'probe'])").await;
    refusal.heeded(&world, "probe").await;
    world.restart();
    world.condition("q", "Ready", "False", Some("TakeOverFailed")).await;
    world.until_value("a", Some("one")).await;
    for _ in 0..2 {
        world.another_pass("q").await;
    }
    let told = "not taken over from the Go operator, and not tried again, as";
    let unreadable = unreadable.map(|entry| format!("{entry:?}")).join(", ");
    assert_eq!(
        notes(&world, "NotTakenOver").await,
        [
            (format!("{told} the API server has no such kind in any version: ConfigMap.extensions {own}/b"), true),
            (format!("{told} they are not group/version/kind/namespace/name: {unreadable}"), true),
        ]
    );
    refusal.lift().await;
    world.ready("q").await;
    until_counted(&world, 1).await;
}

#[tokio::test]
async fn what_the_go_operator_applied_to_ours_in_another_version_goes_as_well() {
    let mut world = World::new("switch-back-version", &["a"]).await;
    let template = |version: &str, more: &str| {
        let target = "{apiVersion: apps/v1, kind: Deployment, name: x}";
        let spec = format!("{{scaleTargetRef: {target}, maxReplicas: 3{more}}}");
        json!({"resourceTemplate": format!(
            "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: {{{{ row.name }}}}\nspec: {spec}\n"
        )})
    };
    world.create("q", template("v1", ", targetCPUUtilizationPercentage: 33")).await;
    world.ready("q").await;
    let mut go = Go::operates_again(&mut world).await;
    let own = go.world.namespace.name().to_owned();
    let target = json!({"type": "Utilization", "averageUtilization": 44});
    let object = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": "a", "namespace": own, "labels": {"konnektr.io/managed-by": "q"},
            "ownerReferences": reference(&go.dbqr),
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
            "maxReplicas": 3, "minReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": target}}],
        },
    });
    let kind = GroupVersionKind::gvk("autoscaling", "v2", "HorizontalPodAutoscaler");
    let kind = ApiResource::from_gvk(&kind);
    let scalers: Api<DynamicObject> = Api::namespaced_with(go.world.client.clone(), &own, &kind);
    let params = PatchParams::apply("databasequeryresource-controller").force();
    scalers.patch("a", &params, &Patch::Apply(&object)).await.unwrap();
    go.listed.push(format!("autoscaling/v2/HorizontalPodAutoscaler/{own}/a"));
    go.world.patch("q", json!({"spec": template("v2", "")})).await;
    go.stops().await;
    world.restart();
    world.ready("q").await;
    eventually_right(PATIENCE, async || {
        let object = scalers.get("a").await.unwrap();
        let text = object.data["spec"].to_string();
        let is_right =
            ours(&object) && object.data["spec"]["minReplicas"] == 1 && !text.contains("44") && !text.contains("33");
        if is_right { Ok(()) } else { Err(json!(object).to_string()) }
    })
    .await;
}

#[tokio::test]
async fn both_at_once_do_not_write_without_end_and_the_one_that_stays_has_it_all() {
    let mut world = World::new("switch-both", &["a"]).await;
    returned(&mut world, &["a"]).await.stops().await;
    world.restart();
    until_data(&world, "a", json!({"v": "one"})).await;
    // As it does whenever one of its objects is written.
    let mut object = config_map_of(world.namespace.name(), "a");
    object["metadata"]["labels"] = json!({"konnektr.io/managed-by": "q"});
    object["data"] = json!({"v": "one", "again": "x"});
    let params = PatchParams::apply("databasequeryresource-controller").force();
    let (mut taken, mut version) = (0, None);
    for _ in 0..60 {
        let applied = world.config_maps().patch("a", &params, &Patch::Apply(&object)).await.unwrap();
        taken += usize::from(applied.resource_version() != version);
        version = applied.resource_version();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(taken < 20, "{taken} of 60 times");
    until_data(&world, "a", json!({"v": "one"})).await;
    assert!(ours(&world.config_maps().get("a").await.unwrap()));
}

#[tokio::test]
async fn what_existed_before_us_is_not_deleted_though_a_mark_of_that_is_gone_and_the_go_operator_applied_it() {
    let mut world = World::new("adopted-again", &["a", "b"]).await;
    let own = world.namespace.name().to_owned();
    let mut object = config_map_of(&own, "b");
    object["data"] = json!({"theirs": "x"});
    world.config_maps().patch("b", &PatchParams::apply("kubectl"), &Patch::Apply(&object)).await.unwrap();
    world.create("q", json!({})).await;
    world.ready("q").await;
    let mut go = Go::operates_again(&mut world).await;
    go.applies_config_map(&own, "b").await;
    let off = json!({"metadata": {"annotations": {"konnektr.io/adopted": null}}});
    go.world.config_maps().patch("b", &PatchParams::default(), &Patch::Merge(&off)).await.unwrap();
    go.stops().await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    world.restart();
    eventually("it is let go", PATIENCE, async || {
        let left = world.config_maps().get("b").await.expect("what existed before us was deleted");
        (!left.labels().contains_key("konnektr.io/managed-by")).then_some(())
    })
    .await;
    world.another_pass("q").await;
    let left = world.config_maps().get("b").await.expect("what existed before us was deleted");
    assert!(left.metadata.owner_references.is_none() && left.data.unwrap()["theirs"] == "x");
}

#[tokio::test]
async fn what_the_go_operator_applied_for_others_stays_in_an_object_that_is_shared() {
    for (name, label, policy) in
        [("other", Some("other"), "Force"), ("left", Some("q"), "Protect"), ("freed", None, "Protect")]
    {
        let world = World::new(&format!("go-shared-{name}"), &["a"]).await;
        let mut object = config_map_of(world.namespace.name(), "a");
        object["data"] = json!({"theirs": "x"});
        object["metadata"]["labels"] = json!({"konnektr.io/managed-by": label.unwrap_or("q")});
        let params = PatchParams::apply("databasequeryresource-controller").force();
        world.config_maps().patch("a", &params, &Patch::Apply(&object)).await.unwrap();
        if label.is_none() {
            let off = json!({"metadata": {"labels": {"konnektr.io/managed-by": null}}});
            world.config_maps().patch("a", &PatchParams::default(), &Patch::Merge(&off)).await.unwrap();
        }
        world.create("q", json!({"conflictPolicy": policy})).await;
        world.ready("q").await;
        for _ in 0..2 {
            world.another_pass("q").await;
            let data = json!(world.config_maps().get("a").await.unwrap().data);
            assert_eq!(data, json!({"v": "one", "theirs": "x"}), "{name}");
        }
    }
}
