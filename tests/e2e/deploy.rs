//! The manifests of `deploy/`: they apply, and what they allow is what the operator needs.

use std::fs;
use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::rules::{VERBS, allow, create_account, token};
use crate::support::world::{PATIENCE, World, condition};
use crate::support::{Operator, TestNamespace, eventually, kubeconfig};

pub const ACCOUNT: &str = "db-query-operator";
pub const NAMESPACE: &str = "dbqo-system";

/// What `kubectl apply -f` takes from a folder, in its order.
fn manifests(folder: &str) -> Vec<DynamicObject> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let documents = |file| serde_saphyr::from_multiple::<DynamicObject>(&fs::read_to_string(file).unwrap()).unwrap();
    files.into_iter().flat_map(documents).collect()
}

/// As `kubectl apply --server-side` does.
async fn apply(client: &Client, object: &DynamicObject, params: PatchParams) {
    let gvk = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
    let (kind, _) = kube::discovery::pinned_kind(client, &gvk).await.unwrap();
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let params = params.validation_strict();
    let applied = api.patch(&object.name_any(), &params, &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{} {}: {error}", gvk.kind, object.name_any()));
}

/// Waits until the API server has learned of the rules.
async fn until_allowed(client: &Client, attributes: Value) {
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {
        "user": format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}"),
        "groups": ["system:serviceaccounts", "system:authenticated"],
        "resourceAttributes": attributes,
    }}))
    .unwrap();
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    eventually(&format!("{ACCOUNT} may {attributes}"), PATIENCE, async || {
        let answer = api.create(&PostParams::default(), &review).await.unwrap();
        answer.status.unwrap().allowed.then_some(())
    })
    .await;
}

/// Tests run beside each other: the rules for the Lease are given a second time, for the namespace of this one.
async fn lease_rights(world: &World, objects: &[DynamicObject]) {
    let kind = |object: &&DynamicObject| object.types.as_ref().unwrap().kind.clone();
    let of_namespace = objects.iter().filter(|object| ["Role", "RoleBinding"].contains(&kind(object).as_str()));
    let copies: Vec<_> = of_namespace.cloned().collect();
    assert_eq!(copies.len(), 2);
    for mut copy in copies {
        copy.metadata.namespace = Some(world.namespace.name().to_owned());
        apply(&world.client, &copy, PatchParams::apply("kubectl")).await;
    }
    let lease = json!({
        "verb": "update", "group": "coordination.k8s.io", "resource": "leases", "name": "db-query-operator",
        "namespace": world.namespace.name(),
    });
    until_allowed(&world.client, lease).await;
}

/// A world whose operator has the rights and the flags of the manifests, and these flags.
pub async fn under_the_manifests(test: &str, flags: &[&str]) -> World {
    let mut world = World::new(test, &["a", "b"]).await;
    world.operator.terminate();
    let objects = manifests("deploy");
    for object in &objects {
        apply(&world.client, object, PatchParams::apply("kubectl").force()).await;
    }
    until_allowed(&world.client, json!({"verb": "list", "resource": "secrets"})).await;
    until_allowed(&world.client, json!({"verb": "patch", "group": "apps", "resource": "deployments"})).await;
    lease_rights(&world, &objects).await;
    world.operator = operator_of_the_manifests(&world, test, flags).await;
    world
}

/// An operator with the rights and the flags of the manifests, and these flags.
pub async fn operator_of_the_manifests(world: &World, test: &str, flags: &[&str]) -> Operator {
    let objects = manifests("deploy");
    let file = kubeconfig(test, None, Some(&token(&world.client, NAMESPACE, ACCOUNT).await));
    let deployment = objects.iter().find(|object| object.types.as_ref().unwrap().kind == "Deployment").unwrap();
    let args = deployment.data["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    // Tests listen on ports of their own.
    let args = args.iter().map(|arg| arg.as_str().unwrap()).filter(|arg| !arg.starts_with("--listen") && *arg != "run");
    let flags: Vec<&str> = args.chain(flags.iter().copied()).collect();
    Operator::start_with(world.namespace.name(), &flags, &[("KUBECONFIG", file.to_str().unwrap())])
}

#[tokio::test]
async fn the_manifests_apply_and_their_pod_is_admitted() {
    let world = under_the_manifests("manifests", &[]).await;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    eventually("the strictest Pod Security level admits the Pod", PATIENCE, async || {
        let pods = pods.list(&ListParams::default().labels("app.kubernetes.io/name=db-query-operator")).await.unwrap();
        (!pods.items.is_empty()).then_some(())
    })
    .await;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.client.clone(), NAMESPACE);
    let budget = budgets.get(ACCOUNT).await.unwrap().spec.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), NAMESPACE);
    let deployment = deployments.get(ACCOUNT).await.unwrap().spec.unwrap();
    assert_eq!(deployment.replicas, Some(2));
    let strategy = serde_json::to_value(deployment.strategy).unwrap();
    let one_more = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    assert_eq!(strategy, one_more, "one that stands by is there during an update as well");
    assert_eq!(budget.selector, Some(deployment.selector), "the budget is for the operator's Pods");
    eventually("the operator is ready", PATIENCE, async || {
        (world.operator.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
    for object in manifests("deploy/optional") {
        apply(&world.client, &object, PatchParams::apply("kubectl").dry_run()).await;
    }
}

#[tokio::test]
async fn the_examples_work_under_the_rights_of_the_manifests_from_creation_to_deletion() {
    let world = under_the_manifests("examples", &["--allow-cluster-scoped=Namespace", "--allow-namespaces=*"]).await;
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/tables.sql");
    world.run_sql(&fs::read_to_string(tables).unwrap()).await;
    world.create_secret("example-db").await;
    let mut names = Vec::new();
    for mut object in manifests("deploy/examples") {
        object.metadata.namespace = Some(world.namespace.name().to_owned());
        if object.types.as_ref().unwrap().kind == "Secret" {
            apply(&world.client, &object, PatchParams::apply("kubectl").dry_run()).await;
        } else {
            apply(&world.client, &object, PatchParams::apply("kubectl")).await;
            names.push(object.name_any());
        }
    }
    assert_eq!(names, ["app-deployments", "tenant-configmaps", "tenant-namespaces"]);
    for name in &names {
        world.ready(name).await;
    }
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), world.namespace.name());
    let services: Api<Service> = Api::namespaced(world.client.clone(), world.namespace.name());
    let replicas = async |name: &str| deployments.get_opt(name).await.unwrap().map(|it| it.spec.unwrap().replicas);
    assert_eq!(replicas("acme-shop").await, Some(Some(2)));
    assert!(services.get_opt("globex-shop").await.unwrap().is_some());
    let settings = world.config_maps().get("tenant-acme").await.unwrap().data.unwrap().remove("settings.yaml").unwrap();
    let settings: Value = serde_saphyr::from_str(&settings).unwrap();
    assert_eq!(settings, json!({"theme": "dark", "languages": ["en", "nl"]}));
    let inside: Api<ConfigMap> = Api::namespaced(world.client.clone(), "tenant-globex");
    assert!(inside.get_opt("tenant").await.unwrap().is_some());

    world.run_sql("UPDATE apps SET replicas = 3 WHERE tenant = 'acme'; DELETE FROM apps WHERE tenant = 'globex'").await;
    eventually("the Deployments follow", PATIENCE, async || {
        (replicas("acme-shop").await == Some(Some(3)) && replicas("globex-shop").await.is_none()).then_some(())
    })
    .await;
    // What is said a second time is counted: another request, another right.
    for _ in 0..2 {
        world.run_sql("ALTER TABLE apps RENAME TO gone").await;
        world.condition("app-deployments", "Ready", "False", Some("QueryFailed")).await;
        world.run_sql("ALTER TABLE gone RENAME TO apps").await;
        world.ready("app-deployments").await;
    }
    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    eventually("the event of the failed query was counted", PATIENCE, async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.iter().any(|it| it.reason.as_deref() == Some("QueryFailed") && it.series.is_some()).then_some(())
    })
    .await;

    for name in &names {
        world.delete(name).await;
    }
    eventually("all resources are gone", PATIENCE, async || {
        world.dbqrs().list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
    assert_eq!((replicas("acme-shop").await, world.managed().await), (None, vec![]));
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let left = namespaces.get_opt("tenant-acme").await.unwrap();
    assert!(left.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()));
    let logs = world.operator.logs();
    for word in ["not allowed", " 403", "Forbidden", "forbidden"] {
        assert!(!logs.contains(word), "{word}: {logs}");
    }
    let (_, metrics) = world.operator.get("/metrics").await;
    assert!(!metrics.contains(r#"code="403""#), "{metrics}");
}

#[tokio::test]
async fn a_lease_without_a_rule_is_named_and_waited_for() {
    let world = under_the_manifests("no-lease", &["--lease-name=other"]).await;
    let namespace = world.namespace.name();
    let line = format!(
        "[-] lease: {namespace}/other: not allowed to get leases.coordination.k8s.io in namespace {namespace}\n"
    );
    eventually("/readyz names the rule", PATIENCE, async || {
        let (status, body) = world.operator.get("/readyz").await;
        (status == 503 && body.contains(&line)).then_some(())
    })
    .await;
    assert_eq!(world.operator.get("/livez").await.0, 200);
    assert!(world.operator.logs().contains("waiting for the lease"));
}

#[tokio::test]
async fn a_kind_without_a_rule_is_refused_by_verb_and_resource_and_nothing_else_is() {
    let world = under_the_manifests("no-rule", &[]).await;
    let config_map = crate::support::world::CONFIG_MAP;
    let template =
        format!("{config_map}---\napiVersion: v1\nkind: PodTemplate\nmetadata:\n  name: {{{{ row.name }}}}\n");
    world.create("q", json!({ "resourceTemplate": template })).await;
    let resource = world.condition("q", "Ready", "False", Some("PartiallyFailed")).await;
    let expected = format!("not allowed to get podtemplates in namespace {}", world.namespace.name());
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&expected), "{message}");
    let failure = &resource["status"]["failures"][0];
    assert_eq!((&failure["reason"], &failure["message"]), (&json!("Forbidden"), &json!(expected)));
    assert!(world.operator.logs().contains(&expected));
    world.until_value("a", Some("one")).await;
    world.until_value("b", Some("one")).await;
    // What could never be created keeps nobody from leaving.
    assert_eq!(world.get("q").await["status"]["kinds"], json!(["ConfigMap"]));
    world.delete("q").await;
    world.until_gone("q").await;
    assert!(world.managed().await.is_empty());
}

#[tokio::test]
async fn the_manifests_let_the_operator_work_in_the_name_of_accounts() {
    let world = under_the_manifests("accounts", &["--require-service-account"]).await;
    until_allowed(&world.client, json!({"verb": "impersonate", "resource": "serviceaccounts"})).await;
    let (own, other) = (world.namespace.name(), TestNamespace::create(&world.client, "accounts-b").await);
    create_account(&world.client, own, "writer").await;
    for place in [own, other.name()] {
        allow(&world.client, (own, "writer"), place, "configmaps", &VERBS).await;
    }
    let elsewhere = format!("\n  namespace: {}\n", other.name());
    let template = crate::support::world::CONFIG_MAP.replacen("\ndata", &format!("{}data", elsewhere), 1);
    world.create("q", json!({"serviceAccountName": "writer", "resourceTemplate": template})).await;
    world.ready("q").await;
    let objects: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    assert!(objects.get_opt("a").await.unwrap().is_some());
    world.delete("q").await;
    eventually("q is gone", PATIENCE, async || world.dbqrs().get_opt("q").await.unwrap().is_none().then_some(())).await;
    assert!(objects.get_opt("a").await.unwrap().is_none());
    assert!(!world.operator.logs().contains("WARN"), "{}", world.operator.logs());
}

#[tokio::test]
async fn rules_for_some_namespaces_are_enough_where_the_flag_lists_them() {
    let mut world = under_the_manifests("narrow", &[]).await;
    world.operator.terminate();
    let (own, other) = (world.namespace.name(), TestNamespace::create(&world.client, "narrow-b").await);
    create_account(&world.client, own, "narrow").await;
    let subjects = json!([{"kind": "ServiceAccount", "namespace": own, "name": "narrow"}]);
    let binding = |kind: &str, role: &str, namespace: Option<&str>| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": format!("narrow-{own}"), "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": subjects,
        }))
        .unwrap()
    };
    let mut bindings = vec![binding("ClusterRoleBinding", ACCOUNT, None)];
    for place in [own, other.name()] {
        bindings.push(binding("RoleBinding", "db-query-operator-objects", Some(place)));
    }
    for binding in &bindings {
        apply(&world.client, binding, PatchParams::apply("kubectl")).await;
    }
    let file = kubeconfig("narrow", None, Some(&token(&world.client, own, "narrow").await));
    let flags = ["--leader-elect=false", &format!("--allow-namespaces={}", other.name())];
    let start = |own: &str| Operator::start_with(own, &flags, &[("KUBECONFIG", file.to_str().unwrap())]);
    let operator = start(own);
    world.operator = operator;
    let place = format!("\n  namespace: {}\ndata", other.name());
    let config_map = crate::support::world::CONFIG_MAP;
    let template = format!("{config_map}---\n{}", config_map.replacen("\ndata", &place, 1));
    world.create("q", json!({ "resourceTemplate": template })).await;
    world.ready("q").await;
    let objects: Api<ConfigMap> = Api::namespaced(world.client.clone(), other.name());
    assert!(objects.get_opt("a").await.unwrap().is_some());
    world.operator.terminate();
    world.operator = start(world.namespace.name());
    world.another_pass("q").await;
    world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    eventually("b goes with its row", PATIENCE, async || objects.get_opt("b").await.unwrap().is_none().then_some(()))
        .await;
    world.delete("q").await;
    eventually("q is gone", PATIENCE, async || world.dbqrs().get_opt("q").await.unwrap().is_none().then_some(())).await;
    assert!(objects.get_opt("a").await.unwrap().is_none());
}
