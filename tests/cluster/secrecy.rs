//! Nothing of an object's values may be seen in an error.

use serde_json::json;

use crate::{World, deployment};

#[tokio::test]
async fn no_error_quotes_a_value_of_the_object() {
    let world = World::new("secrecy").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let services = world.kind("v1", "Service").await;
    let deployments = world.kind("apps/v1", "Deployment").await;
    let typed = deployment("x");
    let mut image = typed.clone();
    image["spec"]["template"]["spec"]["containers"][0]["image"] = json!({"CANARY": "CANARY"});
    let mut selector = typed.clone();
    selector["spec"]["selector"]["matchLabels"] = json!({"a": "CANARY"});
    let objects = [
        (&maps, json!({"data": {"CANARY key": "CANARY"}})),
        (&maps, json!({"metadata": {"labels": {"x": "CANARY !"}}})),
        (&maps, json!({"metadata": {"annotations": {"x y": "CANARY"}}})),
        (&maps, json!({"data": {"k": {"CANARY": "CANARY\n  .CANARY: expected"}}})),
        (&maps, json!({"data": {"k": ["CANARY"]}})),
        (&maps, json!({"data": "CANARY"})),
        (&maps, json!({"metadata": {"ownerReferences": [{"nmae": "CANARY"}]}})),
        (&services, json!({"spec": {"ports": [{"port": 80, "name": "CANARY"}, {"port": 80, "name": "CANARY"}]}})),
        (&services, json!({"spec": {"type": "CANARY", "ports": [{"port": 80, "targetPort": "CANARY CANARY"}]}})),
        (&deployments, image),
        (&deployments, selector),
    ];
    for (kind, object) in objects {
        let shown = object.to_string();
        let error = world.cluster.create(&world.owner, &world.desired(kind, "a", object)).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{shown}: {error} {error:?}");
        assert!(!error.is_retryable(), "{shown}: {error}");
    }
}

#[tokio::test]
async fn a_conflict_in_a_list_does_not_quote_its_keys() {
    let world = World::new("listkeys").await;
    let deployments = world.kind("apps/v1", "Deployment").await;
    let env = |value: &str| {
        let mut object = deployment("x");
        object["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "CANARY", "value": value}]);
        object
    };
    world.foreign(&deployments, "a", env("theirs")).await;
    let error = world.cluster.create(&world.owner, &world.desired(&deployments, "a", env("mine"))).await.unwrap_err();
    let shown = "others manage its fields: .spec.template.spec.containers[…].env[…].value (somebody-else)";
    assert_eq!(error.to_string(), shown);
    assert!(!format!("{error:?}").contains("CANARY"));
}

#[tokio::test]
async fn an_unknown_field_is_named() {
    let world = World::new("unknownfield").await;
    let maps = world.kind("v1", "ConfigMap").await;
    let desired = world.desired(&maps, "a", json!({"dta": {"k": "v"}}));
    let error = world.cluster.create(&world.owner, &desired).await.unwrap_err();
    assert_eq!(error.to_string(), "500 error (does not fit the schema of its kind): .dta FieldUnknown");
}

#[tokio::test]
async fn what_is_too_large_is_called_so() {
    let world = World::new("large").await;
    let maps = world.kind("v1", "ConfigMap").await;
    for (megabytes, reason) in [(2, "Invalid"), (5, "TooLarge")] {
        let desired = world.desired(&maps, "a", json!({"data": {"k": "x".repeat(megabytes * 1_000_000)}}));
        let error = world.cluster.create(&world.owner, &desired).await.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(!error.is_retryable());
    }
}
