//! Connections are shared by those who may, bounded, and closed in time.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dbqo::logic::connection::Settings;
use dbqo::logic::pool::Bounds;
use dbqo::postgres::{Busy, Error, Lease, Limits, Pool, Pools};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{LIMITS, nothing_runs, query, read, read_with, settings};
use crate::support::{TestDatabase, eventually, free_port};

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn bounds(max_open: usize, max_idle: usize) -> Bounds {
    Bounds { max_open, max_idle, max_lifetime: None, max_idle_time: None }
}

/// The pool of a database, for some namespace.
fn pool(pools: &Pools, database: &TestDatabase, bounds: Bounds) -> Arc<Pool> {
    pools.pool("team", &settings(database), bounds)
}

async fn pid(lease: &mut Lease) -> String {
    let rows = read(&mut lease.session, "SELECT pg_backend_pid() AS pid").await.unwrap();
    rows[0].chars().filter(char::is_ascii_digit).collect()
}

/// Waits until there are so many connections of ours to the database.
async fn until_open(client: &tokio_postgres::Client, count: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'db-query-operator'";
    let look = async || (client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == count).then_some(());
    eventually(&format!("{count} connections"), PATIENCE, look).await;
}

#[tokio::test]
async fn those_who_connect_alike_share_connections_and_namespaces_never_do() {
    let database = TestDatabase::create("shared").await;
    let pools = Pools::new(50, PATIENCE);
    let (one, other) = (pool(&pools, &database, bounds(4, 2)), pool(&pools, &database, bounds(4, 2)));
    assert!(Arc::ptr_eq(&one, &other));
    let mut lease = one.lease().await.unwrap();
    let first = pid(&mut lease).await;
    lease.give_back();
    assert_eq!(pid(&mut other.lease().await.unwrap()).await, first);
    let other_login = Settings { password: Some("other".into()), ..settings(&database) };
    for stranger in [
        pools.pool("another team", &settings(&database), bounds(4, 2)),
        pools.pool("team", &settings(&database), bounds(4, 1)),
        pools.pool("team", &other_login, bounds(4, 2)),
    ] {
        assert!(!Arc::ptr_eq(&one, &stranger));
    }
}

#[tokio::test]
async fn nobody_gets_more_connections_than_allowed_and_who_waits_gets_the_next() {
    let database = TestDatabase::create("bounded").await;
    let pools = Pools::new(50, PATIENCE);
    let pool = pool(&pools, &database, bounds(2, 2));
    let (mut first, _second) = (pool.lease().await.unwrap(), pool.lease().await.unwrap());
    let free = pid(&mut first).await;
    let waiting = tokio::spawn(async move { pid(&mut pool.lease().await.unwrap()).await });
    until_open(&database.client().await, 2).await;
    assert!(!waiting.is_finished());
    first.give_back();
    assert_eq!(waiting.await.unwrap(), free);
}

#[tokio::test]
async fn who_waited_in_vain_is_told_for_what() {
    let database = TestDatabase::create("in vain").await;
    let pools = Pools::new(4, SHORT);
    let pool = pool(&pools, &database, bounds(1, 1));
    let _lease = pool.lease().await.unwrap();
    let error = pool.lease().await.err().unwrap();
    assert_eq!(error, Error::Busy { busy: Busy::Pool(1), waited: SHORT });
    assert_eq!(error.reason(), "NoFreeConnection");
    assert!(error.to_string().contains("maxOpenConns"), "{error}");
}

#[tokio::test]
async fn idle_connections_beyond_the_limit_are_closed_when_given_back() {
    let database = TestDatabase::create("idle").await;
    let client = database.client().await;
    let pools = Pools::new(50, PATIENCE);
    for max_idle in [1, 0] {
        let pool = pool(&pools, &database, bounds(4, max_idle));
        let leases = [pool.lease().await.unwrap(), pool.lease().await.unwrap(), pool.lease().await.unwrap()];
        until_open(&client, 3).await;
        leases.into_iter().for_each(Lease::give_back);
        until_open(&client, max_idle as i64).await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_in_time() {
    let database = TestDatabase::create("idle time").await;
    let client = database.client().await;
    let pools = Pools::new(50, PATIENCE);
    let second = Some(Duration::from_secs(1));
    for limited in [Bounds { max_idle_time: second, ..bounds(4, 2) }, Bounds { max_lifetime: second, ..bounds(4, 2) }] {
        let pool = pool(&pools, &database, limited);
        pool.lease().await.unwrap().give_back();
        until_open(&client, 0).await;
        let mut anew = pool.lease().await.unwrap();
        read(&mut anew.session, "SELECT 1 AS a").await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_grew_too_old_in_use_is_closed_when_given_back() {
    let database = TestDatabase::create("lifetime").await;
    let client = database.client().await;
    let pools = Pools::new(50, PATIENCE);
    let pool = pool(&pools, &database, Bounds { max_lifetime: Some(SHORT), ..bounds(1, 1) });
    let mut lease = pool.lease().await.unwrap();
    tokio::time::sleep(SHORT).await;
    let old = pid(&mut lease).await;
    lease.give_back();
    until_open(&client, 0).await;
    assert_ne!(pid(&mut pool.lease().await.unwrap()).await, old);
}

#[tokio::test]
async fn a_pool_is_closed_with_its_last_user() {
    let database = TestDatabase::create("last user").await;
    let client = database.client().await;
    let pools = Pools::new(50, PATIENCE);
    let (one, other) = (pool(&pools, &database, bounds(4, 2)), pool(&pools, &database, bounds(4, 2)));
    one.lease().await.unwrap().give_back();
    drop(one);
    until_open(&client, 1).await;
    let mut in_use = other.lease().await.unwrap();
    drop(other);
    read(&mut in_use.session, "SELECT 1 AS a").await.unwrap();
    in_use.give_back();
    until_open(&client, 0).await;
}

#[tokio::test]
async fn a_query_that_took_too_long_or_was_given_up_never_meets_the_next() {
    let database = TestDatabase::create("discarded").await;
    let client = database.client().await;
    let pools = Pools::new(50, PATIENCE);
    let pool = pool(&pools, &database, bounds(1, 1));
    let limits = Limits { statement_timeout: SHORT, ..LIMITS };
    let slow = query("SET statement_timeout = 0; SELECT pg_sleep(600) AS s");

    let mut late = pool.lease().await.unwrap();
    let first = pid(&mut late).await;
    let error = read_with(&mut late.session, &slow, &limits).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    late.give_back();
    let mut forsaken = pool.lease().await.unwrap();
    let second = pid(&mut forsaken).await;
    assert_ne!(first, second);

    let (rows, _batches) = mpsc::channel(1);
    assert!(tokio::time::timeout(SHORT, forsaken.session.read(&slow, &LIMITS, &[], rows)).await.is_err());
    drop(forsaken);
    let mut third = pool.lease().await.unwrap();
    assert_ne!(pid(&mut third).await, second);
    nothing_runs(&client).await;
    until_open(&client, 1).await;
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let database = TestDatabase::create("ended").await;
    let client = database.client().await;
    let pools = Pools::new(50, PATIENCE);
    let pool = pool(&pools, &database, bounds(1, 1));
    let mut lease = pool.lease().await.unwrap();
    let ended = pid(&mut lease).await;
    lease.give_back();
    client.execute(&format!("SELECT pg_terminate_backend({ended})"), &[]).await.unwrap();
    until_open(&client, 0).await;
    // The news of it is on its way to us.
    tokio::time::sleep(SHORT).await;
    assert_ne!(pid(&mut pool.lease().await.unwrap()).await, ended);
}

#[tokio::test]
async fn a_server_gets_no_more_connections_than_allowed_and_idle_ones_make_room() {
    let (a, b) = (TestDatabase::create("cap a").await, TestDatabase::create("cap b").await);
    let pools = Pools::new(2, PATIENCE);
    let [idle, used] = [&a, &b].map(|database| pool(&pools, database, bounds(4, 2)));
    idle.lease().await.unwrap().give_back();
    let lease = used.lease().await.unwrap();
    let _third = pools.pool("third", &settings(&b), bounds(4, 2)).lease().await.unwrap();
    until_open(&a.client().await, 0).await;
    until_open(&b.client().await, 2).await;
    // Nobody keeps an idle connection while somebody waits.
    let waiting = tokio::spawn(async move { pid(&mut idle.lease().await.unwrap()).await });
    until_open(&b.client().await, 2).await;
    assert!(!waiting.is_finished());
    lease.give_back();
    waiting.await.unwrap();
    until_open(&b.client().await, 1).await;
}

#[tokio::test]
async fn who_waited_for_a_server_in_vain_is_told_the_flag() {
    let database = TestDatabase::create("cap in vain").await;
    let pools = Pools::new(1, SHORT);
    let _lease = pool(&pools, &database, bounds(4, 2)).lease().await.unwrap();
    let error = pools.pool("other", &settings(&database), bounds(4, 2)).lease().await.err().unwrap();
    assert_eq!(error, Error::Busy { busy: Busy::Server(1), waited: SHORT });
    assert!(error.to_string().contains("--max-connections-per-server"), "{error}");
}

#[tokio::test]
async fn one_pool_cannot_take_all_of_a_server() {
    let database = TestDatabase::create("greedy").await;
    let pools = Pools::new(4, SHORT);
    let greedy = pool(&pools, &database, bounds(100, 100));
    let _leases = [greedy.lease().await.unwrap(), greedy.lease().await.unwrap()];
    assert_eq!(greedy.lease().await.err().unwrap(), Error::Busy { busy: Busy::Pool(2), waited: SHORT });
    let modest = pools.pool("other", &settings(&database), bounds(1, 1));
    read(&mut modest.lease().await.unwrap().session, "SELECT 1 AS a").await.unwrap();
}

#[tokio::test]
async fn a_connection_counts_for_the_host_that_it_went_to() {
    let database = TestDatabase::create("hosts").await;
    let pools = Pools::new(1, SHORT);
    let free = free_port();
    let nobody = ("127.0.0.1".to_owned(), free);
    let mut two = settings(&database);
    two.hosts.insert(0, nobody.clone().into());
    let _lease = pools.pool("team", &two, bounds(1, 1)).lease().await.unwrap();
    let one = Settings { hosts: vec![nobody.into()], ..settings(&database) };
    let error = pools.pool("team", &one, bounds(1, 1)).lease().await.err().unwrap();
    assert_eq!(error, Error::Unreachable("connection refused"), "not that it is busy");
    let error = pool(&pools, &database, bounds(1, 1)).lease().await.err().unwrap();
    assert_eq!(error, Error::Busy { busy: Busy::Server(1), waited: SHORT });
}

#[tokio::test]
async fn a_host_that_accepts_and_never_answers_keeps_only_its_own_users_waiting() {
    let database = TestDatabase::create("silent").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let hung = Settings {
        hosts: vec![("127.0.0.1".to_owned(), port).into()],
        connect_timeout: PATIENCE * 3,
        ..settings(&database)
    };
    let pools = Pools::new(4, PATIENCE * 3);
    let hung = pools.pool("team", &hung, bounds(2, 2));
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let hung = hung.clone();
            tokio::spawn(async move { hung.lease().await.err() })
        })
        .collect();
    let _held = silent.accept().await.unwrap();
    let pool = pool(&pools, &database, bounds(2, 2));
    for _ in 0..10 {
        let mut lease = pool.lease().await.unwrap();
        read(&mut lease.session, "SELECT 1 AS a").await.unwrap();
        lease.give_back();
    }
    assert!(waiting.iter().all(|task| !task.is_finished()));
    waiting.iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn a_server_process_that_hangs_is_left_behind() {
    let database = TestDatabase::create("stopped").await;
    let pools = Pools::new(50, PATIENCE);
    let pool = pool(&pools, &database, bounds(2, 2));
    let mut hung = pool.lease().await.unwrap();
    let stopped = pid(&mut hung).await;
    let kill = |signal: &str| Command::new("sh").arg("-c").arg(format!("kill -{signal} {stopped}")).status().unwrap();
    assert!(kill("STOP").success());
    let limits = Limits { statement_timeout: SHORT, ..LIMITS };
    let one = query("SELECT 1 AS a");
    let reading = tokio::spawn(async move {
        let result = read_with(&mut hung.session, &one, &limits).await;
        hung.give_back();
        result
    });
    let mut other = pool.lease().await.unwrap();
    read(&mut other.session, "SELECT 1 AS a").await.unwrap();
    let result = reading.await.unwrap();
    assert_ne!(pid(&mut pool.lease().await.unwrap()).await, stopped);
    assert!(kill("CONT").success());
    assert_eq!(result, Err(Error::Unreachable("no answer in time")));
    other.give_back();
    until_open(&database.client().await, 1).await;
}

#[tokio::test]
async fn a_real_servers_version_is_read_and_accepted() {
    let database = TestDatabase::create("version").await;
    let row = database.client().await.query_one("SHOW server_version", &[]).await.unwrap();
    let version: String = row.get(0);
    assert_eq!(dbqo::logic::version::check(Some(&version)), Ok(()), "{version}");
    let mut session = super::session(&database).await;
    read(&mut session, "SELECT 1 AS a").await.unwrap();
}
