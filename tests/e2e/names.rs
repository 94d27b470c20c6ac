//! Names as long as Kubernetes allows them.

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use serde_json::json;

use crate::support::rules::{VERBS, allow_in_group, allow_references, create_account};
use crate::support::world::{PATIENCE, World};
use crate::support::{Operator, TestNamespace, eventually};

/// A name of this length that begins so. Every 64th character is a dot, where there may be dots.
fn long(begin: &str, length: usize, dots: bool) -> String {
    let mut name = begin.to_owned();
    while name.len() < length {
        name.push(if dots && name.len() % 64 == 63 && name.len() + 1 < length { '.' } else { 'x' });
    }
    name
}

/// A definition whose kind, plural and group are as long as they can be.
async fn longest_kind(world: &World) -> ApiResource {
    let plural = long("p", 63, false);
    let kind = long("K", 63, false);
    // A definition is named after both, and a name has at most 253 characters.
    let group = format!("{}.example.com", long("g", 253 - 63 - 1 - ".example.com".len(), true));
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": long("L", 63, false)},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }))
    .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, "v1", &kind), &plural)
}

#[tokio::test]
async fn the_longest_names_are_created_followed_and_deleted() {
    let mut world = World::new("longest", &[]).await;
    world.namespace = TestNamespace::named(&world.client, &long(world.namespace.name(), 63, false)).await;
    world.create_secret("db").await;
    let account = long("account", 253, true);
    create_account(&world.client, world.namespace.name(), &account).await;
    let kind = longest_kind(&world).await;
    let account_key = (world.namespace.name(), account.as_str());
    allow_references(&world.client, account_key).await;
    allow_in_group(&world.client, account_key, world.namespace.name(), (&kind.group, &kind.plural), &VERBS).await;
    world.operator = Operator::start(world.namespace.name(), &[]);

    let objects: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), world.namespace.name(), &kind);
    // The two differ at their ends alone.
    let names = [format!("{}1", long("o", 252, true)), format!("{}2", long("o", 252, true))];
    for name in &names {
        world.sql.execute("INSERT INTO t VALUES ($1, 'one')", &[name]).await.unwrap();
    }
    let template = format!(
        "apiVersion: {}/v1\nkind: {}\nmetadata:\n  name: {{{{ row.name }}}}\nv: {{{{ row.v }}}}\n",
        kind.group, kind.kind
    );
    let more = json!({"resourceTemplate": template, "serviceAccountName": account});
    // And so do two resources.
    let (q, idle) = (format!("{}1", long("q", 252, true)), format!("{}2", long("q", 252, true)));
    world.create(&q, more).await;
    world.create(&idle, json!({"query": "SELECT name, v FROM t WHERE false"})).await;
    let resource = world.ready(&q).await;
    world.ready(&idle).await;
    assert_eq!(resource["status"]["kinds"], json!([format!("{}.{}", kind.kind, kind.group)]));
    let label = objects.get(&names[0]).await.unwrap().metadata.labels.unwrap()["konnektr.io/managed-by"].clone();
    assert!(label.len() <= 63 && objects.get_opt(&names[1]).await.unwrap().is_some());

    let value = async |name: &str| objects.get_opt(name).await.unwrap().map(|object| object.data["v"].clone());
    world.sql.execute("UPDATE t SET v = 'two' WHERE name = $1", &[&names[0]]).await.unwrap();
    eventually("it follows", PATIENCE, async || (value(&names[0]).await == Some(json!("two"))).then_some(())).await;
    // Found again by its hashed label, and put right after somebody took it.
    world.operator.terminate();
    world.operator = Operator::start(world.namespace.name(), &[]);
    world.another_pass(&q).await;
    let edit = Patch::Merge(json!({"v": "theirs"}));
    objects.patch(&names[1], &PatchParams::default(), &edit).await.unwrap();
    eventually("it is put right", PATIENCE, async || (value(&names[1]).await == Some(json!("one"))).then_some(()))
        .await;
    objects.delete(&names[1], &DeleteParams::default()).await.unwrap();
    eventually("it returns", PATIENCE, async || (value(&names[1]).await == Some(json!("one"))).then_some(())).await;
    world.sql.execute("DELETE FROM t WHERE name = $1", &[&names[1]]).await.unwrap();
    eventually("it goes with its row", PATIENCE, async || value(&names[1]).await.is_none().then_some(())).await;

    let events: Api<Event> = Api::namespaced(world.client.clone(), world.namespace.name());
    eventually("an event tells of it", PATIENCE, async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        let about = |event: &Event| event.regarding.as_ref().and_then(|it| it.name.clone());
        events.iter().any(|event| about(event).as_ref() == Some(&q)).then_some(())
    })
    .await;
    for name in [&q, &idle] {
        world.delete(name).await;
    }
    eventually("both are gone", PATIENCE, async || {
        world.dbqrs().list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
    assert_eq!(value(&names[0]).await, None);
    for word in ["WARN", "ERROR"] {
        assert!(!world.operator.logs().contains(word), "{}", world.operator.logs());
    }
}
