//! Which of several hosts a session goes to, and to which it never does.

use std::time::Duration;

use dbqo::logic::connection::certificates::Certificates;
use dbqo::logic::connection::{Host, Settings};
use dbqo::logic::denied::DeniedHost;
use dbqo::logic::pool::Bounds;
use dbqo::postgres::{Error, Pools, Session};

use super::{dsn, read, session, settings};
use crate::support::server::{ADMIN, PASSWORD, Server};
use crate::support::{TestDatabase, free_port};

/// Connects to these ports of this machine, and says which of them it was.
async fn chosen(ports: &[u16], more: &str) -> Result<u16, Error> {
    let list = |one: &dyn Fn(&u16) -> String| ports.iter().map(one).collect::<Vec<_>>().join(",");
    let text = format!(
        "host={} port={} user={ADMIN} password={PASSWORD} dbname=postgres {more}",
        list(&|_| "127.0.0.1".to_owned()),
        list(&u16::to_string)
    );
    let mut session = Session::connect(&dsn(&text, &Certificates::default())).await?;
    let row = &read(&mut session, "SELECT inet_server_port() AS port").await.unwrap()[0];
    Ok(row.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap())
}

#[tokio::test]
async fn a_host_is_of_the_kind_that_is_asked_for() {
    let (primary, standby) = (Server::start("primary").await, Server::standby("standby").await);
    let (primary, standby) = (primary.port, standby.port);
    let read_only = "options='-c default_transaction_read_only=on'";
    for (more, first, second) in [
        ("any", primary, standby),
        ("read-write", primary, primary),
        ("primary", primary, primary),
        ("read-only", standby, standby),
        ("standby", standby, standby),
        ("prefer-standby", standby, standby),
    ] {
        let more = format!("target_session_attrs={more}");
        assert_eq!(chosen(&[primary, standby], &more).await, Ok(first), "{more}");
        assert_eq!(chosen(&[standby, primary], &more).await, Ok(second), "{more}");
    }
    assert_eq!(chosen(&[primary], "target_session_attrs=prefer-standby").await, Ok(primary));
    // What cannot write is not always a standby.
    assert_eq!(chosen(&[primary], &format!("target_session_attrs=read-only {read_only}")).await, Ok(primary));
    assert_eq!(chosen(&[primary], &format!("target_session_attrs=primary {read_only}")).await, Ok(primary));
    for (port, more) in [
        (primary, "target_session_attrs=standby"),
        (primary, "target_session_attrs=read-only"),
        (standby, "target_session_attrs=primary"),
        (standby, "target_session_attrs=read-write"),
        (primary, "target_session_attrs=read-write options='-c default_transaction_read_only=on'"),
    ] {
        let error = chosen(&[port], more).await.unwrap_err();
        assert!(error.to_string().contains("target_session_attrs"), "{more}: {error}");
    }
}

#[tokio::test]
async fn a_standby_that_was_had_for_want_of_a_primary_is_not_kept() {
    let (primary, standby) = (Server::start("had").await, Server::standby("had-not").await);
    let to = |ports: &[u16]| {
        let hosts = ports.iter().map(|port| Host::from(("127.0.0.1".to_owned(), *port))).collect();
        let text = format!("host=x user={ADMIN} password={PASSWORD} dbname=postgres");
        Settings { hosts, ..dsn(&text, &Certificates::default()) }.to_listen()
    };
    let pools = Pools::new(10, Duration::from_secs(5));
    let bounds = Bounds::new(None).unwrap();
    // Port and process of one session, and then of the next.
    let two = async |ports: &[u16]| {
        let pool = pools.pool("namespace", &to(ports), bounds);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let mut lease = pool.lease().await.unwrap();
            let sql = "SELECT inet_server_port() AS port, pg_backend_pid() AS pid";
            seen.push(read(&mut lease.session, sql).await.unwrap().remove(0));
            lease.give_back();
        }
        (seen[0].contains(&format!("\"port\":{},", primary.port)), seen[0] == seen[1])
    };
    assert_eq!(two(&[standby.port, primary.port]).await, (true, true), "a primary, and it is kept");
    assert_eq!(two(&[free_port(), standby.port]).await, (false, false), "a standby, and it is not");
    assert_eq!(two(&[standby.port]).await, (false, true), "there is no other");
}

#[tokio::test]
async fn hosts_are_tried_in_order_or_at_random() {
    let (first, second) = (Server::start("first").await, Server::start("second").await);
    let ports = [first.port, second.port];
    for _ in 0..4 {
        assert_eq!(chosen(&ports, "").await, Ok(first.port));
    }
    // One in 2^30 that this fails without a fault.
    let mut seen = [false, false];
    for _ in 0..30 {
        let port = chosen(&ports, "load_balance_hosts=random").await.unwrap();
        seen[usize::from(port == second.port)] = true;
    }
    assert_eq!(seen, [true, true]);
    // A wrong password is not tried elsewhere, a port without a server is.
    let closed = free_port();
    assert_eq!(chosen(&[closed, second.port], "").await, Ok(second.port));
    assert!(matches!(chosen(&ports, "password=x").await, Err(Error::LoginRefused(..))));
}

#[tokio::test]
async fn an_address_spares_the_look_up_of_its_name() {
    let database = TestDatabase::create("hostaddr").await;
    let named = Settings {
        hosts: vec![Host {
            name: "no-such-host.invalid".into(),
            address: Some(database.host().parse().unwrap()),
            port: database.port(),
        }],
        ..settings(&database)
    };
    let mut session = Session::connect(&named).await.unwrap();
    assert_eq!(read(&mut session, "SELECT 1 AS a").await.unwrap(), [r#"{"a":1}"#]);
}

#[tokio::test]
async fn a_denied_host_is_not_connected_to_by_whatever_name() {
    let database = TestDatabase::create("denied").await;
    let port = database.port();
    let host = |name: &str| Host::from((name.to_owned(), port));
    let hostaddr = Host { name: "db.example".into(), address: Some("127.0.0.1".parse().unwrap()), port };
    let denying = |list: &[&str], hosts: Vec<Host>| {
        let denied: Vec<DeniedHost> = list.iter().map(|host| host.parse().unwrap()).collect();
        Settings { hosts, denied: denied.into(), ..settings(&database) }
    };
    for (list, host) in [
        (["127.0.0.0/8", "::1"], host("127.0.0.1")),
        (["127.0.0.0/8", "::1"], host("localhost")),
        (["127.0.0.0/8", "::1"], host("0.0.0.0")),
        (["127.0.0.0/8", "::1"], host("::ffff:127.0.0.1")),
        (["127.0.0.0/8", "::1"], hostaddr),
        (["localhost", "x.invalid"], host("LOCALHOST.")),
        (["localhost", "x.invalid"], host("127.0.0.1")),
    ] {
        let error = Session::connect(&denying(&list, vec![host])).await.err().unwrap();
        assert_eq!(error, Error::HostDenied);
        assert!(error.to_string().contains("--deny-database-hosts") && error.reason() == "HostDenied");
    }
    // The others are of no concern.
    let open = denying(&["10.0.0.0/8", "x.invalid"], vec![host(database.host())]);
    assert!(Session::connect(&open).await.is_ok());
    let second = denying(&["127.0.0.2"], vec![host("127.0.0.2"), host("127.0.0.1")]);
    assert!(Session::connect(&second).await.is_ok());
}

#[tokio::test]
async fn the_server_is_told_whose_session_it_is() {
    let database = TestDatabase::create("names").await;
    let name = async |session: &mut Session| {
        read(session, "SELECT current_setting('application_name') AS n").await.unwrap().remove(0)
    };
    assert_eq!(name(&mut session(&database).await).await, r#"{"n":"db-query-operator"}"#);
    let named = Settings { application_name: Some("mine".into()), ..settings(&database) };
    assert_eq!(name(&mut Session::connect(&named).await.unwrap()).await, r#"{"n":"mine"}"#);
}

#[tokio::test]
async fn keepalives_of_every_kind_are_taken() {
    let database = TestDatabase::create("network").await;
    for more in [
        "keepalives=0",
        "keepalives_idle=0 keepalives_interval=0 keepalives_count=0 tcp_user_timeout=0",
        "keepalives_idle=32767 keepalives_interval=32767 keepalives_count=127 tcp_user_timeout=2147483647",
    ] {
        let text = format!(
            "host={} port={} user={} password={} dbname={} {more}",
            database.host(),
            database.port(),
            database.user(),
            database.password(),
            database.name()
        );
        let mut settings = dsn(&text, &Certificates::default());
        settings.connect_timeout = Duration::from_secs(20);
        assert!(Session::connect(&settings).await.is_ok(), "{more}");
    }
}
