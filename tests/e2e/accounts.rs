//! Tenancy: what a resource may touch is what the rules of its account allow.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::support::rules::{
    VERBS, allow, allow_everywhere, allow_references, create_account, delete_account, disallow,
};
use crate::support::world::{PATIENCE, World, condition};
use crate::support::{Operator, TestNamespace, eventually};

/// A ConfigMap per row, in the namespace that the row says.
const PLACED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ row.name }}\n  namespace: {{ row.v }}\n";

/// A world with the account `writer`, which may write ConfigMaps in its own namespace; and another namespace.
struct Tenancy {
    world: World,
    other: TestNamespace,
}

impl Tenancy {
    /// Rows: `a` for the own namespace, `b` for the other one.
    async fn new(test: &str) -> Self {
        let world = World::new(test, &[]).await;
        let other = TestNamespace::create(&world.client, &format!("{test}-b")).await;
        for (name, namespace) in [("a", world.namespace.name()), ("b", other.name())] {
            world.sql.execute("INSERT INTO t VALUES ($1, $2)", &[&name, &namespace]).await.unwrap();
        }
        let tenancy = Self { world, other };
        tenancy.create_account().await;
        allow_references(&tenancy.world.client, (tenancy.world.namespace.name(), "writer")).await;
        tenancy.allow_in(tenancy.world.namespace.name()).await;
        tenancy
    }

    async fn create_account(&self) {
        create_account(&self.world.client, self.world.namespace.name(), "writer").await;
    }

    async fn delete_account(&self) {
        delete_account(&self.world.client, self.world.namespace.name(), "writer").await;
    }

    async fn allow_in(&self, place: &str) {
        let account = (self.world.namespace.name(), "writer");
        allow(&self.world.client, account, place, "configmaps", &VERBS).await;
    }

    async fn create(&self) {
        let more = json!({"serviceAccountName": "writer", "resourceTemplate": PLACED});
        self.world.create("q", more).await;
    }

    /// Waits until ConfigMap `b` is in the other namespace, or is not.
    async fn until_b(&self, is: bool) {
        let api: Api<ConfigMap> = Api::namespaced(self.world.client.clone(), self.other.name());
        eventually(&format!("b is there: {is}"), PATIENCE, async || {
            (api.get_opt("b").await.unwrap().is_some() == is).then_some(())
        })
        .await;
    }

    async fn until_a(&self, is: bool) {
        eventually(&format!("a is there: {is}"), PATIENCE, async || {
            (self.world.config_maps().get_opt("a").await.unwrap().is_some() == is).then_some(())
        })
        .await;
    }

    async fn until_gone(&self) {
        eventually("q is gone", PATIENCE, async || {
            self.world.dbqrs().get_opt("q").await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Waits until the message of Ready has these words, and returns the resource.
    async fn until_told(&self, words: &str) -> Value {
        eventually(&format!("Ready says {words}"), PATIENCE, async || {
            let resource = self.world.get("q").await;
            let message = condition(&resource, "Ready")?["message"].as_str()?.to_owned();
            message.contains(words).then_some(resource)
        })
        .await
    }

    /// What the event says of what is left.
    async fn left_behind(&self) -> String {
        let events: Api<Event> = Api::namespaced(self.world.client.clone(), self.world.namespace.name());
        let events = events.list(&ListParams::default()).await.unwrap().items;
        let event = events.into_iter().find(|event| event.reason.as_deref() == Some("ObjectsLeft")).unwrap();
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        event.note.unwrap()
    }

    fn may_not(&self, what: &str, place: &str) -> String {
        format!(
            "the ServiceAccount {}/writer is not allowed to {what} configmaps in namespace {place}",
            self.world.namespace.name()
        )
    }
}

#[tokio::test]
async fn rows_go_where_the_rules_of_the_account_allow_it_and_a_missing_rule_is_named_until_it_is_there() {
    let mut it = Tenancy::new("account-rules").await;
    it.create().await;
    it.until_a(true).await;
    let resource = it.until_told(&it.may_not("get", it.other.name())).await;
    assert_eq!((&resource["status"]["failedRows"], &resource["status"]["managedResources"]), (&json!(1), &json!(1)));
    assert_eq!(resource["status"]["failures"][0]["reason"], "Forbidden");

    it.allow_in(it.other.name()).await;
    it.world.ready("q").await;
    it.until_b(true).await;

    // The account may list in two namespaces only: after a start all is found again nevertheless.
    it.world.operator.terminate();
    it.world.operator = Operator::start(it.world.namespace.name(), &[]);
    it.world.another_pass("q").await;
    it.world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    it.until_b(false).await;
    it.world.sql.execute("INSERT INTO t VALUES ('b', $1)", &[&it.other.name()]).await.unwrap();
    it.until_b(true).await;
    it.world.delete("q").await;
    it.until_gone().await;
    it.until_a(false).await;
    it.until_b(false).await;
}

#[tokio::test]
async fn an_account_may_have_cluster_scoped_objects_without_a_flag() {
    let it = Tenancy::new("account-cluster").await;
    let namespaces: Api<Namespace> = Api::all(it.world.client.clone());
    let made = format!("made-{}", it.world.namespace.name());
    let template = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {made}\n");
    let more = json!({
        "serviceAccountName": "writer", "resourceTemplate": template, "query": "SELECT name FROM t WHERE name = 'a'",
    });
    it.world.create("q", more).await;
    let account = format!("the ServiceAccount {}/writer is not allowed to get namespaces", it.world.namespace.name());
    it.until_told(&account).await;
    allow_everywhere(&it.world.client, (it.world.namespace.name(), "writer"), "namespaces").await;
    it.world.ready("q").await;
    assert!(namespaces.get_opt(&made).await.unwrap().is_some());
    it.world.delete("q").await;
    it.until_gone().await;
    let left = namespaces.get_opt(&made).await.unwrap();
    assert!(left.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()));
}

#[tokio::test]
async fn an_account_that_is_not_there_is_waited_for() {
    let it = Tenancy::new("account-wait").await;
    it.allow_in(it.other.name()).await;
    it.delete_account().await;
    it.create().await;
    let resource = it.world.condition("q", "Ready", "False", Some("ServiceAccountNotFound")).await;
    assert_eq!(condition(&resource, "Reconciling").unwrap()["status"], "True");
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert_eq!(message, format!("the ServiceAccount {}/writer does not exist", it.world.namespace.name()));
    it.create_account().await;
    it.until_a(true).await;

    // The rules are still there, and would allow everything: but nothing is done in a name that nobody has.
    it.delete_account().await;
    it.world.condition("q", "Ready", "False", Some("ServiceAccountNotFound")).await;
    it.world.run_sql("DELETE FROM t WHERE name = 'a'").await;
    it.world.another_pass("q").await;
    it.until_a(true).await;
    it.create_account().await;
    it.until_a(false).await;
}

#[tokio::test]
async fn a_resource_whose_account_is_gone_is_cleaned_up_in_its_name() {
    let it = Tenancy::new("account-gone").await;
    it.allow_in(it.other.name()).await;
    it.create().await;
    it.world.ready("q").await;
    it.delete_account().await;
    it.world.delete("q").await;
    it.until_gone().await;
    it.until_a(false).await;
    it.until_b(false).await;
}

#[tokio::test]
async fn what_nobody_may_delete_any_more_is_named_in_an_event_and_keeps_nobody_waiting() {
    let it = Tenancy::new("account-left").await;
    it.allow_in(it.other.name()).await;
    it.create().await;
    it.world.ready("q").await;
    it.delete_account().await;
    disallow(&it.world.client, it.other.name(), "configmaps").await;
    it.world.delete("q").await;
    it.until_gone().await;
    it.until_a(false).await;
    it.until_b(true).await;
    let (own, other) = (it.world.namespace.name(), it.other.name());
    let expected = format!(
        "1 left behind, since the ServiceAccount {own}/writer is gone and no rule allows to clean up in its name: \
         ConfigMap {other}/b"
    );
    assert_eq!(it.left_behind().await, expected);
}

#[tokio::test]
async fn what_is_to_stay_stays_although_its_account_and_rules_are_gone() {
    let it = Tenancy::new("account-orphan").await;
    it.allow_in(it.other.name()).await;
    it.create().await;
    it.world.ready("q").await;
    it.world.patch("q", json!({"spec": {"deletionPolicy": "Orphan"}})).await;
    let (own, other) = (it.world.namespace.name(), it.other.name());
    eventually("nothing refers to q", PATIENCE, async || {
        let a = it.world.config_maps().get("a").await.unwrap();
        a.metadata.owner_references.unwrap_or_default().is_empty().then_some(())
    })
    .await;
    it.delete_account().await;
    for place in [own, other] {
        disallow(&it.world.client, place, "configmaps").await;
    }
    it.world.delete("q").await;
    it.until_gone().await;
    it.until_a(true).await;
    it.until_b(true).await;
    let told = it.left_behind().await;
    assert!(told.contains(&format!("ConfigMap {own}/a")) && told.contains(&format!("ConfigMap {other}/b")), "{told}");
}

#[tokio::test]
async fn a_rule_that_was_taken_away_is_named_and_nothing_is_given_up() {
    let it = Tenancy::new("account-lost").await;
    it.allow_in(it.other.name()).await;
    it.create().await;
    it.world.ready("q").await;
    disallow(&it.world.client, it.other.name(), "configmaps").await;
    it.world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    it.until_told(&it.may_not("delete", it.other.name())).await;
    it.until_b(true).await;
    it.world.delete("q").await;
    let resource = it.world.condition("q", "Ready", "False", Some("CleanUpFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&it.may_not("delete", it.other.name())), "{message}");
    it.until_b(true).await;
    it.allow_in(it.other.name()).await;
    it.until_gone().await;
    it.until_b(false).await;
}

#[tokio::test]
async fn without_its_account_a_resource_is_left_with_what_the_flags_allow_and_loses_nothing() {
    let it = Tenancy::new("account-removed").await;
    it.allow_in(it.other.name()).await;
    it.create().await;
    it.world.ready("q").await;
    it.world.patch("q", json!({"spec": {"serviceAccountName": null}})).await;
    let flag = format!("--allow-namespaces={}", it.other.name());
    it.until_told(&flag).await;
    it.world.run_sql("DELETE FROM t WHERE name = 'b'").await;
    it.world.ready("q").await;
    it.world.another_pass("q").await;
    it.until_b(true).await;
    it.world.delete("q").await;
    let resource = it.world.condition("q", "Ready", "False", Some("CleanUpFailed")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains(&flag) && message.contains("spec.serviceAccountName"), "{message}");
    // Another account than before; the objects are ours all the same.
    create_account(&it.world.client, it.world.namespace.name(), "heir").await;
    for place in [it.world.namespace.name(), it.other.name()] {
        disallow(&it.world.client, place, "configmaps").await;
        allow(&it.world.client, (it.world.namespace.name(), "heir"), place, "configmaps", &VERBS).await;
    }
    it.world.patch("q", json!({"spec": {"serviceAccountName": "heir"}})).await;
    it.until_gone().await;
    it.until_b(false).await;
}

#[tokio::test]
async fn a_change_of_account_changes_who_writes_and_nothing_else() {
    let it = Tenancy::new("account-change").await;
    it.allow_in(it.other.name()).await;
    let own = it.world.namespace.name();
    create_account(&it.world.client, own, "heir").await;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  rows: {{ row.v | quote }}\n";
    let more = json!({
        "serviceAccountName": "writer", "resourceTemplate": template,
        "query": "SELECT max(name) AS name, count(*)::text AS v FROM t",
    });
    it.world.create("q", more).await;
    it.world.ready("q").await;
    let before = it.world.config_maps().get("a").await.unwrap();
    it.world.patch("q", json!({"spec": {"serviceAccountName": "heir"}})).await;
    it.world.another_pass("q").await;
    assert_eq!(it.world.config_maps().get("a").await.unwrap(), before);
    it.world.run_sql("INSERT INTO t VALUES ('c', 'c')").await;
    it.until_told(&format!("the ServiceAccount {own}/heir is not allowed to patch configmaps in namespace {own}"))
        .await;
    assert_eq!(it.world.config_maps().get("a").await.unwrap(), before);
    disallow(&it.world.client, own, "configmaps").await;
    allow(&it.world.client, (own, "heir"), own, "configmaps", &VERBS).await;
    eventually("the heir writes", PATIENCE, async || {
        let data = it.world.config_maps().get("a").await.unwrap().data.unwrap();
        (data["rows"] == "3").then_some(())
    })
    .await;
    assert_eq!(it.world.config_maps().get("a").await.unwrap().metadata.uid, before.metadata.uid);
}

#[tokio::test]
async fn a_flag_makes_the_account_compulsory() {
    let world = World::with_flags("account-must", &["a"], &["--require-service-account"]).await;
    world.create("q", json!({})).await;
    let resource = world.condition("q", "Stalled", "True", Some("InvalidSpec")).await;
    let message = condition(&resource, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(message.contains("serviceAccountName") && message.contains("--require-service-account"), "{message}");
    assert!(world.managed().await.is_empty());
    create_account(&world.client, world.namespace.name(), "writer").await;
    let account = (world.namespace.name(), "writer");
    allow(&world.client, account, world.namespace.name(), "configmaps", &VERBS).await;
    world.patch("q", json!({"spec": {"serviceAccountName": "writer"}})).await;
    // Objects of the own namespace refer to their resource, which is a right of its own on such a cluster.
    let missing = format!(
        "the ServiceAccount {0}/writer is not allowed to update databasequeryresources/finalizers.konnektr.io in \
         namespace {0}",
        world.namespace.name()
    );
    eventually("the missing rule is named", PATIENCE, async || {
        let resource = world.get("q").await;
        (resource["status"]["failures"][0]["message"] == missing).then_some(())
    })
    .await;
    allow_references(&world.client, account).await;
    world.ready("q").await;
    assert_eq!(world.value("a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn an_account_has_a_name_that_accounts_can_have() {
    let world = World::new("account-name", &["a"]).await;
    for name in ["", "../kube-system/x", "a:b", "A", "a-"] {
        let error = world.try_create("q", json!({"serviceAccountName": name})).await.unwrap_err().to_string();
        assert!(error.contains("spec.serviceAccountName"), "{name}: {error}");
    }
}
