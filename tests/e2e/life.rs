//! The end of things: of resources, of kinds, of namespaces, and of what the status knew.

use k8s_openapi::api::core::v1::{ConfigMap, LimitRange};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::deploy::{ACCOUNT, NAMESPACE, operator_of_the_manifests, under_the_manifests};
use crate::support::bystanders::{Bystanders, secrets};
use crate::support::control_plane::OwnControlPlane;
use crate::support::gadgets::Gadgets;
use crate::support::rules::{VERBS, allow, disallow};
use crate::support::world::{CONFIG_MAP, PATIENCE, World, condition};
use crate::support::{TestNamespace, eventually};

async fn delete(world: &World, name: &str, policy: PropagationPolicy) {
    let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    world.dbqrs().delete(name, &params).await.unwrap();
}

/// One object of each sort for the resource of this name: created, adopted, protected, elsewhere, cluster-scoped.
struct Sorts<'a> {
    world: &'a World,
    name: String,
    elsewhere: Api<ConfigMap>,
}

impl<'a> Sorts<'a> {
    async fn new(world: &'a World, other: &TestNamespace, name: &str, policy: &str) -> Self {
        let sorts = Self { world, name: name.into(), elsewhere: Api::namespaced(world.client.clone(), other.name()) };
        let adopted = sorts.named("adopted");
        let theirs = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": adopted, "labels": {"team": "x"}}, "data": {"k": "theirs"},
        });
        world.config_maps().patch(&adopted, &PatchParams::apply("somebody"), &Patch::Apply(&theirs)).await.unwrap();
        let map = |sort: &str, more: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n{more}data:\n  v: x\n---\n",
                sorts.named(sort)
            )
        };
        let template = [
            map("created", ""),
            map("adopted", ""),
            map("protected", "  annotations:\n    konnektr.io/prune: disabled\n"),
            map("elsewhere", &format!("  namespace: {}\n", other.name())),
            format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {}\n",
                sorts.role()
            ),
        ];
        let more = json!({"query": "SELECT 1 AS x", "resourceTemplate": template.concat(), "deletionPolicy": policy});
        world.create(name, more).await;
        world.ready(name).await;
        sorts
    }

    fn named(&self, sort: &str) -> String {
        format!("{}-{sort}", self.name)
    }

    fn role(&self) -> String {
        format!("{}-{}", self.world.namespace.name(), self.name)
    }

    fn roles(&self) -> Api<ClusterRole> {
        Api::all(self.world.client.clone())
    }

    async fn map(&self, sort: &str) -> Option<ConfigMap> {
        self.world
            .config_maps()
            .get_opt(&self.named(sort))
            .await
            .unwrap()
            .filter(|map| map.metadata.deletion_timestamp.is_none())
    }

    /// Which are there, once the resource has gone.
    async fn left(&self) -> Vec<&'static str> {
        self.world.until_gone(&self.name).await;
        // The garbage collector may be a little behind.
        self.world.another_pass("other").await;
        let mut left = Vec::new();
        for sort in ["created", "adopted", "protected"] {
            if let Some(map) = self.map(sort).await {
                let references = map.metadata.owner_references.unwrap_or_default();
                assert!(references.is_empty(), "{sort} would be collected: {references:?}");
                left.push(sort);
            }
        }
        if self.elsewhere.get_opt(&self.named("elsewhere")).await.unwrap().is_some() {
            left.push("elsewhere");
        }
        if self.roles().get_opt(&self.role()).await.unwrap().is_some() {
            left.push("role");
        }
        left
    }

    /// What was adopted is as it was before.
    async fn is_released(&self) {
        let map = self.map("adopted").await.unwrap();
        assert_eq!(json!(map.data), json!({"k": "theirs"}));
        assert_eq!(json!(map.metadata.labels), json!({"team": "x"}));
    }

    async fn tidy_up(&self) {
        let _ = self.roles().delete(&self.role(), &DeleteParams::default()).await;
    }
}

const FLAGS: [&str; 3] =
    ["--allow-namespaces=*", "--allow-cluster-scoped=ClusterRole.rbac.authorization.k8s.io", "--leader-elect=false"];
const ALL: [&str; 5] = ["created", "adopted", "protected", "elsewhere", "role"];

#[tokio::test]
async fn a_resource_is_deleted_in_the_manner_of_kubectl_and_its_policy_and_takes_only_its_own_along() {
    let world = World::with_flags("manners", &[], &FLAGS).await;
    let other = TestNamespace::create(&world.client, "manners-b").await;
    let bystanders = Bystanders::new(&world).await;
    for (name, manner, policy, left) in [
        ("bd", PropagationPolicy::Background, "Delete", &["adopted", "protected"][..]),
        ("fd", PropagationPolicy::Foreground, "Delete", &["adopted", "protected"]),
        ("od", PropagationPolicy::Orphan, "Delete", &ALL),
        ("bo", PropagationPolicy::Background, "Orphan", &ALL),
        ("fo", PropagationPolicy::Foreground, "Orphan", &ALL),
        ("oo", PropagationPolicy::Orphan, "Orphan", &ALL),
    ] {
        let sorts = Sorts::new(&world, &other, name, policy).await;
        delete(&world, name, manner).await;
        assert_eq!(sorts.left().await, left, "{name}");
        if left != ALL {
            sorts.is_released().await;
        }
        sorts.tidy_up().await;
    }
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn what_kubectl_began_while_no_operator_ran_is_ended_in_its_manner() {
    let mut world = World::with_flags("unattended", &[], &FLAGS).await;
    let other = TestNamespace::create(&world.client, "unattended-b").await;
    let bystanders = Bystanders::new(&world).await;
    for (name, policy) in [("f", "Delete"), ("o", "Delete"), ("p", "Orphan")] {
        Sorts::new(&world, &other, name, policy).await;
    }
    world.operator.terminate();
    for (name, manner) in
        [("f", PropagationPolicy::Foreground), ("o", PropagationPolicy::Orphan), ("p", PropagationPolicy::Foreground)]
    {
        delete(&world, name, manner).await;
    }
    // All that the garbage collector does, it does without asking us.
    eventually("the garbage collector has done its part", PATIENCE, async || {
        let f = world.config_maps().get_opt("f-created").await.unwrap().is_none();
        let marks = world.get("o").await["metadata"]["finalizers"].clone();
        (f && marks == json!(["konnektr.io/dbqr-finalizer"])).then_some(())
    })
    .await;
    world.restart();
    let sorts = |name: &str| Sorts {
        world: &world,
        name: name.into(),
        elsewhere: Api::namespaced(world.client.clone(), other.name()),
    };
    assert_eq!(sorts("f").left().await, ["adopted", "protected"]);
    sorts("f").is_released().await;
    assert_eq!(sorts("o").left().await, ALL);
    assert_eq!(sorts("p").left().await, ALL);
    let kept = "kept 5 objects: none refers to the resource any more, as after a deletion with --cascade=orphan";
    until_event(&world, "o", "ObjectsKept", kept).await;
    for name in ["f", "o", "p"] {
        sorts(name).tidy_up().await;
    }
    bystanders.are_untouched(&world).await;
}

/// Waits for an event about this resource with these words.
async fn until_event(world: &World, name: &str, reason: &str, words: &str) -> String {
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    eventually(&format!("an event {reason} of {name}: {words}"), PATIENCE, async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        let is_it = |event: &Event| {
            event.reason.as_deref() == Some(reason)
                && event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(name)
                && event.note.as_ref().is_some_and(|note| note.contains(words))
        };
        events.into_iter().find(is_it)?.note
    })
    .await
}

#[tokio::test]
async fn a_kind_may_go_and_come_back_and_one_that_is_gone_keeps_nobody() {
    let mut world = World::new("kind-goes", &["a", "b"]).await;
    let bystanders = Bystanders::new(&world).await;
    let gadgets = Gadgets::new(&world).await;
    let gadget = format!("apiVersion: {}/v1\nkind: Gadget\nmetadata:\n  name: {{{{ row.name }}}}\n", gadgets.group);
    let template = format!("{{% if row.name == 'b' %}}\n{gadget}{{% else %}}\n{CONFIG_MAP}{{% endif %}}");
    let created = async || gadgets.objects("v1").get_opt("b").await.ok().flatten();
    for name in ["q", "r"] {
        let template =
            template.replace("{{ row.name }}", &format!("{{{{ row.name }}}}{}", if name == "q" { "" } else { "-r" }));
        world.create(name, json!({"resourceTemplate": template})).await;
        world.ready(name).await;
    }
    assert!(created().await.is_some());
    gadgets.remove().await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    // Before that it may be on its way out, where the server says something else.
    eventually("the kind is unknown", PATIENCE, async || {
        (world.get("q").await["status"]["failures"][0]["reason"] == "UnknownKind").then_some(())
    })
    .await;
    world.restart();
    world.another_pass("q").await;
    gadgets.serve(&["v1"]).await;
    world.ready("q").await;
    assert!(created().await.is_some());
    // That it is watched again, too, is told by nothing else.
    gadgets.objects("v1").delete("b", &DeleteParams::default()).await.unwrap();
    eventually("what others delete is made again", PATIENCE, created).await;

    // Gone for good: for one resource while we look, for another while nobody does.
    gadgets.remove().await;
    world.delete("r").await;
    world.until_gone("r").await;
    world.operator.terminate();
    world.delete("q").await;
    world.restart();
    world.until_gone("q").await;
    for name in ["a", "a-r"] {
        world.until_value(name, None).await;
    }
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn without_the_operators_own_rule_for_a_kind_its_objects_are_not_given_up() {
    let world = under_the_manifests("rule-lost", &[]).await;
    let own = world.namespace.name();
    let template = "apiVersion: v1\nkind: LimitRange\nmetadata:\n  name: {{ row.name }}\nspec:\n  limits: []\n";
    allow(&world.client, (NAMESPACE, ACCOUNT), own, "limitranges", &VERBS).await;
    world.create("q", json!({"resourceTemplate": template})).await;
    world.ready("q").await;
    let ranges: Api<LimitRange> = Api::namespaced(world.client.clone(), own);
    assert!(ranges.get_opt("a").await.unwrap().is_some());
    disallow(&world.client, own, "limitranges").await;
    eventually("the rule is missed", PATIENCE, async || {
        world.another_pass("q").await;
        world.run_sql("UPDATE t SET name = name || 'x' WHERE name LIKE 'b%'").await;
        (condition(&world.get("q").await, "Ready")?["status"] == "False").then_some(())
    })
    .await;
    world.delete("q").await;
    let resource = world.condition("q", "Ready", "False", Some("CleanUpFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&format!("not allowed to list limitranges in namespace {own}")), "{message}");
    assert!(ranges.get_opt("a").await.unwrap().is_some());
    allow(&world.client, (NAMESPACE, ACCOUNT), own, "limitranges", &VERBS).await;
    world.until_gone("q").await;
    assert!(ranges.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_answer_keeps_only_those_who_may_have_objects_of_it() {
    // Of its own: while an API is away no namespace of the whole cluster can go.
    let servers = OwnControlPlane::start().await;
    let (client, kubeconfig) = (servers.client().await, Some(servers.kubeconfig.clone()));
    let world = World::on(client, "api-away", &["a"], &["--leader-elect=false"], kubeconfig).await;
    let services: Api<APIService> = Api::all(world.client.clone());
    let group = format!("{}.example.org", world.namespace.name());
    let name = format!("v1.{group}");
    let service: APIService = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
            "insecureSkipTLSVerify": true, "service": {"name": "nowhere", "namespace": world.namespace.name()}}
    }))
    .unwrap();
    services.create(&PostParams::default(), &service).await.unwrap();
    eventually("the API is away", PATIENCE, async || {
        let conditions = services.get(&name).await.unwrap().status?.conditions?;
        conditions.iter().any(|condition| condition.type_ == "Available" && condition.status == "False").then_some(())
    })
    .await;
    for (name, suffix) in [("q", ""), ("free", "-free"), ("lost", "-lost"), ("listed", "-listed")] {
        world
            .create(
                name,
                json!({"resourceTemplate": CONFIG_MAP.replace("row.name }}", &format!("row.name }}}}{suffix}"))}),
            )
            .await;
        world.ready(name).await;
    }
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    world.delete("free").await;
    world.until_gone("free").await;
    world.until_value("a-free", None).await;

    let mut world = world;
    world.operator.terminate();
    patch_status(&world, "q", json!({"kinds": ["ConfigMap", format!("Ghost.{group}")]})).await;
    patch_status(&world, "lost", json!({"kinds": null})).await;
    let listed = json!([format!("{group}/v1/Ghost/{}/a", world.namespace.name())]);
    patch_status(&world, "listed", json!({"managedResources": listed})).await;
    world.delete("q").await;
    world.delete("lost").await;
    world.restart();
    let resource = world.condition("q", "Ready", "False", Some("CleanUpFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&format!("Ghost.{group}: 503")), "{message}");
    // Nobody knows whether this one had any: it does not wait for an API that may never answer, and says so.
    world.until_gone("lost").await;
    until_event(&world, "lost", "KindsSearched", &format!("{group}/v1")).await;
    world.until_value("a-lost", None).await;
    // What the Go operator left of it stays listed.
    let resource = world.condition("listed", "Ready", "False", Some("TakeOverFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&format!("Ghost.{group} {}/a: 503", world.namespace.name())), "{message}");
    assert_eq!(resource["status"]["managedResources"], listed);
    services.delete(&name, &DeleteParams::default()).await.unwrap();
    world.until_gone("q").await;
    world.until_value("a", None).await;
    until_event(&world, "listed", "NotTakenOver", &format!("Ghost.{group} {}/a", world.namespace.name())).await;
    world.ready("listed").await;
}

async fn patch_status(world: &World, name: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    world.dbqrs().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_status_that_was_wiped_is_written_anew_and_nothing_is_lost_with_it() {
    let mut world = World::new("wiped", &["a", "b"]).await;
    let bystanders = Bystanders::new(&world).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.another_pass("q").await;
    let told = world.get("q").await["status"].clone();
    let wipes =
        [json!({"kinds": null}), json!({"kinds": []}), json!({"conditions": null, "kinds": null, "rows": null})];
    for wiped in wipes {
        patch_status(&world, "q", wiped).await;
        eventually("all is there again", PATIENCE, async || {
            let status = world.get("q").await["status"].clone();
            (status["kinds"] == told["kinds"] && status["conditions"] == told["conditions"] && status["rows"] == 2)
                .then_some(())
        })
        .await;
    }

    // The same while nobody looks, and the objects are of a kind that no row asks for any more.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ row.name }}\n";
    for round in ["pruned", "deleted"] {
        world.operator.terminate();
        let nothing: Value = told
            .as_object()
            .unwrap()
            .keys()
            .map(|key| (key.clone(), Value::Null))
            .collect::<serde_json::Map<_, _>>()
            .into();
        patch_status(&world, "q", nothing).await;
        if round == "pruned" {
            world.patch("q", json!({"spec": {"resourceTemplate": secret}})).await;
        } else {
            world.delete("q").await;
        }
        world.restart();
        let found = if round == "pruned" { "found ConfigMap" } else { "found Secret" };
        until_event(&world, "q", "KindsSearched", found).await;
        if round == "pruned" {
            world.ready("q").await;
        } else {
            world.until_gone("q").await;
        }
        eventually("what was of old is gone", PATIENCE, async || {
            let maps = world.config_maps().get_opt("a").await.unwrap().is_none();
            let secrets = secrets(&world).get_opt("a").await.unwrap().is_none();
            (maps && secrets == (round == "deleted")).then_some(())
        })
        .await;
    }
    bystanders.are_untouched(&world).await;
}

#[tokio::test]
async fn kinds_that_may_not_be_listed_are_named_where_all_have_to_be_searched() {
    let world = under_the_manifests("search-narrow", &[]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let mut world = world;
    world.operator.terminate();
    patch_status(&world, "q", json!({"kinds": null})).await;
    world.delete("q").await;
    world.operator = operator_of_the_manifests(&world, "search-narrow", &[]).await;
    world.until_gone("q").await;
    world.until_value("a", None).await;
    let told = until_event(&world, "q", "KindsSearched", "could not be listed").await;
    assert!(told.contains("found ConfigMap; ") && told.contains("Binding"), "{told}");
}

#[tokio::test]
async fn a_resource_made_anew_from_a_backup_finds_its_objects() {
    let mut world = World::with_flags("restored", &["a", "b"], &FLAGS).await;
    let bystanders = Bystanders::new(&world).await;
    // Elsewhere, where no reference leads the garbage collector to them.
    let other = TestNamespace::create(&world.client, "restored-b").await;
    let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    let placed = CONFIG_MAP.replace("\ndata", &format!("\n  namespace: {}\ndata", other.name()));
    world.create("q", json!({"resourceTemplate": placed})).await;
    world.ready("q").await;
    let uid = async |name: &str| there.get_opt(name).await.unwrap().and_then(|map| map.metadata.uid);
    let before = (uid("a").await, uid("b").await);
    for (gone, with_finalizer) in [("b", true), ("c", false)] {
        world.operator.terminate();
        let backup = world.get("q").await;
        world.patch("q", json!({"metadata": {"finalizers": null}})).await;
        world.delete("q").await;
        world.until_gone("q").await;
        let finalizers = if with_finalizer { backup["metadata"]["finalizers"].clone() } else { json!([]) };
        let restored: DynamicObject = serde_json::from_value(json!({
            "apiVersion": backup["apiVersion"], "kind": backup["kind"],
            "metadata": {"name": "q", "finalizers": finalizers}, "spec": backup["spec"],
        }))
        .unwrap();
        world.dbqrs().create(&PostParams::default(), &restored).await.unwrap();
        world.run_sql(&format!("DELETE FROM t WHERE name = '{gone}'")).await;
        world.restart();
        let resource = world.ready("q").await;
        eventually("what has no row is found, too", PATIENCE, async || uid(gone).await.is_none().then_some(())).await;
        let a = there.get("a").await.unwrap().metadata;
        assert_eq!(a.uid, before.0);
        assert_eq!(json!(a.annotations.unwrap()["konnektr.io/owner-uid"]), resource["metadata"]["uid"]);
        world.run_sql("INSERT INTO t VALUES ('c', 'new')").await;
        eventually("c is made", PATIENCE, async || uid("c").await).await;
    }
    world.delete("q").await;
    world.until_gone("q").await;
    assert_eq!((uid("a").await, uid("c").await), (None, None));
    bystanders.are_untouched(&world).await;
}
