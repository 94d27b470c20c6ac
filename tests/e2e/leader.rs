//! Two operators beside each other: one works, whatever happens to it.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Config;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::world::{PATIENCE, World};
use crate::support::{Operator, eventually, kubeconfig};

const TIMES: [&str; 3] = ["--lease-duration=5s", "--lease-renew-deadline=3s", "--lease-retry-period=500ms"];
/// With these nobody takes over in a test unless the Lease was released.
const LONG: [&str; 3] = ["--lease-duration=10m", "--lease-renew-deadline=5m", "--lease-retry-period=500ms"];

async fn until_leads(operator: &Operator) {
    eventually("it leads", PATIENCE, async || (operator.figure("dbqo_leader").await == Some(1.0)).then_some(())).await;
}

async fn until_stands_by(operator: &Operator) {
    eventually("it stands by", PATIENCE, async || {
        let (status, body) = operator.get("/readyz").await;
        (status == 200 && body.contains("[+] lease: standing by: ")).then_some(())
    })
    .await;
    assert_eq!(operator.figure("dbqo_leader").await, Some(0.0));
}

impl World {
    /// A world whose operator leads, and a second operator that stands by.
    async fn with_standby(test: &str, names: &[&str], times: &[&str]) -> (Self, Operator) {
        let world = Self::with_flags(test, names, times).await;
        until_leads(&world.operator).await;
        let standby = Operator::start(world.namespace.name(), times);
        until_stands_by(&standby).await;
        (world, standby)
    }

    /// A world whose operator leads, and reaches the API server until it is cut off.
    async fn behind_a_proxy(test: &str) -> (Self, watch::Sender<bool>) {
        let mut world = Self::new(test, &["a"]).await;
        world.operator.terminate();
        let (cut, is_cut) = watch::channel(false);
        let file = kubeconfig(test, Some(&proxy(is_cut).await), None);
        let environment = [("KUBECONFIG", file.to_str().unwrap())];
        world.operator = Operator::start_with(world.namespace.name(), &TIMES, &environment);
        until_leads(&world.operator).await;
        (world, cut)
    }

    async fn until_another_leads_after_the_end_of(&mut self, first: Option<String>) {
        let ended = eventually("another leads", PATIENCE, async || {
            let lease = self.leases().get_opt("db-query-operator").await.unwrap();
            if lease.is_none_or(|lease| lease.spec.unwrap().holder_identity == first) {
                return None;
            }
            let ended = self.operator.ended();
            assert!(ended.is_some(), "another leads while the old one is still there");
            ended
        })
        .await;
        assert!(!ended.success());
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    async fn holder(&self) -> Option<String> {
        self.leases().get("db-query-operator").await.unwrap().spec.unwrap().holder_identity
    }

    /// Name, value and version of every ConfigMap of ours.
    async fn objects(&self) -> Vec<[Option<String>; 3]> {
        let ours = ListParams::default().labels("konnektr.io/managed-by");
        let read =
            |it: ConfigMap| [it.metadata.name, it.data.and_then(|mut it| it.remove("v")), it.metadata.resource_version];
        let mut objects: Vec<_> = self.config_maps().list(&ours).await.unwrap().items.into_iter().map(read).collect();
        objects.sort();
        objects
    }
}

#[tokio::test]
async fn of_two_operators_one_works_and_the_other_is_ready_to() {
    let (world, standby) = World::with_standby("two", &["a"], &TIMES).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    let holder = world.holder().await.unwrap();
    let (status, body) = standby.get("/readyz").await;
    let expected = format!("standing by: {}/db-query-operator is held by {holder}", world.namespace.name());
    assert!(status == 200 && body.contains(&expected), "{body}");
    assert_eq!(standby.get("/livez").await, (200, "ok\n".into()));
    let (_, body) = world.operator.get("/readyz").await;
    assert!(body.contains(&format!("is held by this process, {holder}\n")), "{body}");
    assert_eq!(
        (world.operator.figure("dbqo_leader").await, standby.figure("dbqo_leader").await),
        (Some(1.0), Some(0.0))
    );

    let (_, metrics) = standby.get("/metrics").await;
    for method in ["PATCH", "POST", "PUT", "DELETE", "WATCH"] {
        assert!(!metrics.contains(&format!(r#"method="{method}""#)), "{method}: {metrics}");
    }
    assert_eq!(standby.figure("dbqo_database_connections").await, Some(0.0));
}

#[tokio::test]
async fn when_the_leader_is_killed_the_other_takes_over() {
    let (mut world, standby) = World::with_standby("killed", &["a"], &TIMES).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    world.operator.kill();
    let killed = Instant::now();
    world.run_sql("UPDATE t SET v = 'two'").await;
    until_leads(&standby).await;
    println!("took over {:.1} s after the kill, with {TIMES:?}", killed.elapsed().as_secs_f64());
    world.until_value("a", Some("two")).await;
    let lease = world.leases().get("db-query-operator").await.unwrap().spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(1));
}

#[tokio::test]
async fn a_leader_that_was_stopped_in_the_middle_of_its_applies_wakes_up_and_ends_without_another_write() {
    const ROWS: usize = 1_000;
    let (mut world, standby) = World::with_standby("stopped", &[], &TIMES).await;
    world.run_sql(&format!("INSERT INTO t SELECT 'r' || n, 'one' FROM generate_series(1, {ROWS}) n")).await;
    world.create("q", json!({"pollInterval": "1h"})).await;
    eventually("it is in the middle", PATIENCE, async || (world.managed().await.len() > 50).then_some(())).await;
    world.operator.signal("STOP");
    let done = world.managed().await.len();
    assert!(done < ROWS, "it was too fast to be stopped in the middle");
    world.run_sql("UPDATE t SET v = 'two'").await;
    until_leads(&standby).await;
    world.ready("q").await;
    world.another_pass("q").await;
    let (objects, resource) = (world.objects().await, world.versions("q", &[]).await);
    assert!(objects.len() == ROWS && objects.iter().all(|[_, value, _]| value.as_deref() == Some("two")));

    world.operator.signal("CONT");
    let ended = eventually("the old leader ends by itself", PATIENCE, async || world.operator.ended()).await;
    assert!(!ended.success());
    assert!(world.operator.logs().contains("leadership lost"), "{}", world.operator.logs());
    let now = world.objects().await;
    let written: Vec<_> = now.iter().zip(&objects).filter(|(now, before)| now != before).collect();
    assert!(now.len() == ROWS && written.is_empty(), "{written:?}");
    assert_eq!(world.versions("q", &[]).await, resource);
    world.run_sql("UPDATE t SET v = 'three' WHERE name = 'r1'").await;
    world.another_pass("q").await;
    assert_eq!(world.value("r1").await.as_deref(), Some("three"));
}

/// Forwards to the API server until it is cut: then it takes everything and answers nothing.
async fn proxy(cut: watch::Receiver<bool>) -> String {
    let behind = format!("127.0.0.1:{}", Config::infer().await.unwrap().cluster_url.port_u16().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let behind: Arc<str> = behind.into();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (mut cut, behind) = (cut.clone(), behind.clone());
            tokio::spawn(async move {
                let mut far = TcpStream::connect(&*behind).await.unwrap();
                let cut = async { _ = cut.wait_for(|cut| *cut).await };
                tokio::select! {
                    biased;
                    () = cut => std::future::pending().await,
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_leader_that_is_cut_off_from_the_api_server_ends_before_the_other_takes_over() {
    let (mut world, cut) = World::behind_a_proxy("cut-off").await;
    let standby = Operator::start(world.namespace.name(), &TIMES);
    until_stands_by(&standby).await;
    world.create("q", json!({})).await;
    world.ready("q").await;

    let first = world.holder().await;
    cut.send_replace(true);
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_another_leads_after_the_end_of(first).await;
    let logs = world.operator.logs();
    assert!(logs.contains("dbqo: leadership lost") && logs.contains("was not renewed within 3s"), "{logs}");
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn who_starts_after_somebody_deleted_the_lease_waits_for_a_leader_that_may_not_know() {
    let (mut world, cut) = World::behind_a_proxy("deleted").await;
    world.create("q", json!({})).await;
    world.ready("q").await;

    let first = world.holder().await;
    cut.send_replace(true);
    world.leases().delete("db-query-operator", &DeleteParams::default()).await.unwrap();
    let other = Operator::start(world.namespace.name(), &TIMES);
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_another_leads_after_the_end_of(first).await;
    world.until_value("a", Some("two")).await;
    let waited = format!("{}/db-query-operator is held by one whose Lease is gone", world.namespace.name());
    assert!(other.logs().contains(&waited), "{}", other.logs());
}

#[tokio::test]
async fn a_leader_whose_lease_is_deleted_makes_it_again_before_who_starts_then_can() {
    let world = World::with_flags("kept", &["a"], &TIMES).await;
    until_leads(&world.operator).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    let first = world.holder().await;
    world.leases().delete("db-query-operator", &DeleteParams::default()).await.unwrap();
    let other = Operator::start(world.namespace.name(), &TIMES);
    until_stands_by(&other).await;
    let again = eventually("the Lease is there again", PATIENCE, async || {
        world.leases().get_opt("db-query-operator").await.unwrap()?.spec?.holder_identity
    })
    .await;
    assert_eq!(Some(again), first);
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
}

#[tokio::test]
async fn a_leader_that_is_asked_to_end_hands_over() {
    let (mut world, mut standby) = World::with_standby("hand-over", &["a"], &LONG).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    assert!(world.operator.terminate().success());
    until_leads(&standby).await;
    world.run_sql("UPDATE t SET v = 'two'").await;
    world.until_value("a", Some("two")).await;
    assert!(standby.terminate().success());
    assert_eq!(world.holder().await, None);
}

#[tokio::test]
async fn a_standby_that_is_asked_to_end_leaves_the_leader_alone() {
    let (world, mut standby) = World::with_standby("standby-ends", &["a"], &LONG).await;
    let holder = world.holder().await;
    assert!(standby.terminate().success());
    assert_eq!(world.holder().await, holder);
}

#[tokio::test]
async fn without_election_no_lease_is_needed() {
    let world = World::with_flags("alone", &["a"], &["--leader-elect=false"]).await;
    world.create("q", json!({})).await;
    world.ready("q").await;
    assert!(world.operator.get("/readyz").await.1.contains("[+] lease: none is needed"));
    assert_eq!(world.operator.figure("dbqo_leader").await, Some(1.0));
    assert!(world.leases().list(&ListParams::default()).await.unwrap().items.is_empty());
}
