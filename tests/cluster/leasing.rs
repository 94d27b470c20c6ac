//! The Lease, and what a process may do without it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbqo::cluster::{ApplyError, Cluster, Limits, Moment, Term, Terms};
use dbqo::logic::lease::{Election, Seen, Times, Verdict};
use dbqo::logic::object::Known;
use k8s_openapi::jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::World;
use crate::reporting::resource;
use crate::support::rules::{create_account, token};
use crate::support::{TestNamespace, kubeconfig};

const NAME: &str = "db-query-operator";

fn election(identity: &str) -> Election {
    let [duration, renew_deadline, retry_period] = [15, 10, 2].map(Duration::from_secs);
    Election::new(identity.into(), Times::new(duration, renew_deadline, retry_period).unwrap())
}

#[tokio::test]
async fn of_two_that_claim_a_lease_at_once_one_gets_it() {
    let world = World::new("claim").await;
    let (one, other) = (election("one"), election("other"));
    let (cluster, namespace) = (&world.cluster, world.namespace.name());
    assert_eq!(cluster.lease(namespace, NAME).await, Ok(None));
    let write = async |lease| cluster.write_lease(namespace, NAME, &lease).await.unwrap();
    // Where there is none yet, and where there is one.
    let mut read = None;
    for _ in 0..2 {
        let [one, other] = [&one, &other].map(|election| election.claim(read.as_ref(), Timestamp::now()));
        let (first, second) = tokio::join!(write(one), write(other));
        assert!(first.is_some() != second.is_some(), "{first:?} {second:?}");
        read = first.or(second);
        assert_eq!(cluster.lease(namespace, NAME).await.unwrap(), read);
    }
}

#[tokio::test]
async fn a_released_lease_and_a_deleted_one_can_be_claimed() {
    let world = World::new("release").await;
    let (mut one, mut other) = (election("one"), election("other"));
    let (cluster, namespace) = (&world.cluster, world.namespace.name());
    let write = async |lease| cluster.write_lease(namespace, NAME, &lease).await.unwrap();
    let held = write(one.claim(None, Timestamp::now())).await.unwrap();
    assert!(matches!(other.see(Some(Seen::of(&held)), false, Instant::now()), Verdict::Held(_)));
    // The API server takes a holder of no name.
    let free = write(one.release(&held, Timestamp::now()).unwrap()).await.unwrap();
    assert_eq!(other.see(Some(Seen::of(&free)), false, Instant::now()), Verdict::Claim);
    let taken = write(other.claim(Some(&free), Timestamp::now())).await.unwrap();
    assert_eq!(taken.spec.as_ref().unwrap().lease_transitions, Some(1));
    assert_eq!(write(one.claim(Some(&free), Timestamp::now())).await, None, "it is not free any more");

    let kind = world.kind("coordination.k8s.io/v1", "Lease").await;
    world.api(&kind).delete(NAME, &kube::api::DeleteParams::default()).await.unwrap();
    assert_eq!(write(other.claim(Some(&taken), Timestamp::now())).await, None, "a deleted one is not written");
    assert_eq!(one.see(None, false, Instant::now()), Verdict::Claim);
    assert!(write(one.claim(None, Timestamp::now())).await.is_some());
}

#[tokio::test]
async fn somebody_has_led_where_a_resource_carries_our_finalizer_or_we_may_not_look() {
    let world = World::new("led").await;
    let namespace = Some(world.namespace.name());
    let (_, object) = resource(&world).await;
    assert_eq!(world.cluster.has_been_led(namespace).await, Ok(false));
    world.cluster.add_finalizer(&object.metadata).await.unwrap();
    let other = TestNamespace::create(&world.client, "not-led").await;
    let mut answers = Vec::new();
    for namespace in [namespace, None, Some(other.name())] {
        answers.push(world.cluster.has_been_led(namespace).await.unwrap());
    }

    create_account(&world.client, other.name(), "nobody").await;
    let token = token(&world.client, other.name(), "nobody").await;
    let file = Kubeconfig::read_from(kubeconfig("led", None, Some(&token))).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    answers.push(Cluster::new(config, Limits::default()).unwrap().has_been_led(Some(other.name())).await.unwrap());
    // Else the resource would stay for ever.
    world.cluster.remove_finalizers(&object.metadata).await.unwrap();
    assert_eq!(answers, [true, true, false, true]);
}

#[tokio::test]
async fn outside_of_its_term_a_process_writes_nothing_but_the_lease() {
    let world = World::new("term").await;
    let config = kube::Config::infer().await.unwrap();
    let term = Term::not_begun();
    let cluster = Cluster::bound(config, Limits::default(), term.clone(), &(Arc::new(|_, _| ()) as _)).unwrap();
    let kind = world.kind("v1", "ConfigMap").await;
    let [first, second] = ["one", "two"].map(|v| world.desired(&kind, "a", json!({"data": {"v": v}})));
    let refused = |result| assert!(matches!(result, Err(ApplyError::Failed(_))), "{result:?}");

    refused(cluster.create(&world.owner, &first).await);
    assert!(world.api(&kind).get_opt("a").await.unwrap().is_none());
    assert!(cluster.version().await.is_ok());
    let lease = election("me").claim(None, Timestamp::now());
    let lease = cluster.write_lease(world.namespace.name(), NAME, &lease).await.unwrap().unwrap();

    term.lasts(Duration::from_secs(3600), Moment::now());
    let known = Known { uid: cluster.create(&world.owner, &first).await.unwrap().known.uid, ..Known::default() };
    let terms = Terms::default();
    assert!(cluster.update(&world.owner, &first, &known, &terms).await.is_ok());
    // A connection is open by now, and does not help.
    term.lasts(Duration::ZERO, Moment::now());
    refused(cluster.update(&world.owner, &second, &known, &terms).await);
    assert_eq!(world.get(&kind, "a").await.data["data"]["v"], "one");
    assert!(cluster.write_lease(world.namespace.name(), NAME, &lease).await.unwrap().is_some());
}
