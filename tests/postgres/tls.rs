//! Encryption as libpq means it, on a PostgreSQL that has it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbqo::logic::connection::certificates::{self, Certificates};
use dbqo::postgres::{Error, Session, TlsFault};
use rcgen::CertificateParams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::errors::shown;
use super::{dsn, read};
use crate::support::certificates::{
    Authority, Pair, authority, expired, for_clients, local, params, self_signed, version_one,
};
use crate::support::eventually;
use crate::support::server::{PASSWORD, Server};

const PATIENCE: Duration = Duration::from_secs(20);

fn roots(pem: &str) -> Certificates {
    Certificates { roots: Some(certificates::roots(pem.as_bytes()).unwrap()), client: None }
}

fn with_client(pair: &Pair) -> Certificates {
    let client = certificates::client(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap();
    Certificates { roots: None, client: Some(Arc::new(client)) }
}

async fn connect(server: &Server, more: &str, certificates: &Certificates) -> Result<Session, Error> {
    connect_to(server.port, more, certificates).await
}

async fn connect_to(port: u16, more: &str, certificates: &Certificates) -> Result<Session, Error> {
    let text = format!("host=localhost port={port} dbname=postgres user=anyone password={PASSWORD} {more}");
    // The server listens on one of the addresses alone.
    Session::connect(&dsn(&format!("{text} hostaddr=127.0.0.1"), certificates)).await
}

/// How the session is encrypted: `none`, or the version of TLS.
async fn encryption(session: &mut Session) -> String {
    let sql = "SELECT coalesce(version, 'none') AS v FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = &read(session, sql).await.unwrap()[0];
    row.trim_start_matches(r#"{"v":""#).trim_end_matches(r#""}"#).to_owned()
}

/// What comes of it, in a word.
async fn outcome(server: &Server, more: &str, certificates: &Certificates) -> &'static str {
    match connect(server, more, certificates).await {
        Ok(mut session) => match encryption(&mut session).await.as_str() {
            "none" => "plain",
            _ => "encrypted",
        },
        Err(Error::LoginRefused(..)) => "refused",
        Err(Error::Tls(TlsFault::UnknownIssuer)) => "untrusted",
        Err(error) => panic!("{more}: {error}"),
    }
}

async fn fault(server: &Server, more: &str, certificates: &Certificates) -> TlsFault {
    match connect(server, more, certificates).await {
        Err(Error::Tls(fault)) => fault,
        Err(error) => panic!("{more}: {error}"),
        Ok(_) => panic!("{more}: it connects"),
    }
}

#[tokio::test]
async fn each_sslmode_is_what_it_is_for_libpq() {
    let server = Server::start("sslmode").await;
    let none = Certificates::default();
    let good = roots(&server.authority.certificate);
    let bad = roots(&Authority::new("another").certificate);
    // Who may come in both ways, who must be encrypted, and who must not.
    for (mode, certificates, expected) in [
        ("disable", &none, ["plain", "refused", "plain"]),
        ("allow", &none, ["plain", "encrypted", "plain"]),
        ("prefer", &none, ["encrypted", "encrypted", "plain"]),
        ("require", &none, ["encrypted", "encrypted", "refused"]),
        ("prefer", &good, ["encrypted", "encrypted", "plain"]),
        ("require", &good, ["encrypted", "encrypted", "refused"]),
        ("verify-ca", &good, ["encrypted", "encrypted", "refused"]),
        ("verify-full", &good, ["encrypted", "encrypted", "refused"]),
        // Whoever falls back does it here, too; whoever does not goes no further than the certificate.
        ("allow", &bad, ["plain", "untrusted", "plain"]),
        ("prefer", &bad, ["plain", "untrusted", "plain"]),
        ("require", &bad, ["untrusted", "untrusted", "untrusted"]),
        ("verify-ca", &bad, ["untrusted", "untrusted", "untrusted"]),
        ("verify-full", &bad, ["untrusted", "untrusted", "untrusted"]),
    ] {
        for (user, expected) in ["anyone", "only_tls", "only_plain"].into_iter().zip(expected) {
            let is = outcome(&server, &format!("user={user} sslmode={mode}"), certificates).await;
            assert_eq!(is, expected, "sslmode {mode} of {user}");
        }
    }
    // Without a mode roots mean verify-full.
    assert_eq!(outcome(&server, "", &good).await, "encrypted");
    assert_eq!(outcome(&server, "", &bad).await, "untrusted");
    // A wrong password is wrong in every way.
    for mode in ["disable", "allow", "prefer", "require"] {
        let error = connect(&server, &format!("sslmode={mode} password=CANARY"), &none).await.err().unwrap();
        assert!(shown(&error).contains("28P01") && !shown(&error).contains("CANARY"), "{error:?}");
    }
    let error = connect(&server, "sslmode=disable user=only_tls", &none).await.err().unwrap();
    assert!(error.to_string().contains("28000") && error.to_string().contains("not encrypted (sslmode)"), "{error}");
    let error = connect(&server, "sslmode=require user=only_plain", &none).await.err().unwrap();
    assert!(error.to_string().contains("28000") && error.to_string().contains("was encrypted"), "{error}");
}

#[tokio::test]
async fn names_are_compared_under_verify_full_alone() {
    let server = Server::start("names").await;
    let good = roots(&server.authority.certificate);
    for (host, is_named) in
        [("localhost", true), ("LOCALHOST", true), ("127.0.0.1", true), ("db.example", false), ("127.0.0.2", false)]
    {
        let as_host = |mode: &str| format!("sslmode={mode} host={host}");
        assert_eq!(outcome(&server, &as_host("verify-ca"), &good).await, "encrypted", "{host}");
        match is_named {
            true => assert_eq!(outcome(&server, &as_host("verify-full"), &good).await, "encrypted", "{host}"),
            false => assert_eq!(fault(&server, &as_host("verify-full"), &good).await, TlsFault::WrongName, "{host}"),
        }
    }
    let error = connect(&server, "sslmode=verify-full host=db.example", &good).await.err().unwrap();
    assert_eq!(error.reason(), "TlsFailed");
    assert!(error.to_string().contains("not for this host") && !shown(&error).contains("db.example"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_is_told_for_what_it_is() {
    let server = Server::start("certificates").await;
    let trusted = &server.authority;
    let stranger = Authority::new("a stranger");
    let (own, own_authority) = (self_signed(&local()), self_signed(&authority(local())));
    let own_expired = self_signed(&expired(authority(local())));
    let (old, wrong_host) =
        (self_signed(&params(&[], "localhost")), self_signed(&authority(params(&["db.example"], "x"))));
    let mut young = local();
    young.not_before = rcgen::date_time_ymd(2500, 1, 1);
    young.not_after = rcgen::date_time_ymd(2501, 1, 1);
    let signed = |params: CertificateParams| trusted.signs(&params);
    let (by_trusted, by_itself) = (roots(&trusted.certificate), |pair: &Pair| roots(&pair.certificate));
    let cases: Vec<(&str, Pair, Certificates, Result<(), TlsFault>)> = vec![
        ("a stranger's", stranger.signs(&local()), by_trusted.clone(), Err(TlsFault::UnknownIssuer)),
        ("expired", signed(expired(local())), by_trusted.clone(), Err(TlsFault::Expired)),
        ("not valid yet", signed(young), by_trusted.clone(), Err(TlsFault::NotValidYet)),
        ("for clients", signed(for_clients(local())), by_trusted.clone(), Err(TlsFault::WrongPurpose)),
        ("an authority", signed(authority(local())), by_trusted.clone(), Err(TlsFault::Authority)),
        ("another host's", signed(params(&["db.example"], "localhost")), by_trusted.clone(), Err(TlsFault::WrongName)),
        ("with a name as of old", signed(params(&[], "localhost")), by_trusted.clone(), Ok(())),
        ("with another as of old", signed(params(&[], "db.example")), by_trusted.clone(), Err(TlsFault::WrongName)),
        ("by itself", self_signed(&local()), by_trusted.clone(), Err(TlsFault::SelfSigned)),
        ("its own root", own.clone(), by_itself(&own), Ok(())),
        ("its own root, an authority", own_authority.clone(), by_itself(&own_authority), Ok(())),
        ("its own root, expired", own_expired.clone(), by_itself(&own_expired), Err(TlsFault::Expired)),
        ("its own root, another host's", wrong_host.clone(), by_itself(&wrong_host), Err(TlsFault::WrongName)),
        ("its own root, with a name as of old", old.clone(), by_itself(&old), Ok(())),
        ("of version 1", version_one(), by_itself(&version_one()), Err(TlsFault::VersionOne)),
    ];
    for (what, pair, certificates, expected) in cases {
        server.show(&pair);
        // The server takes a moment to take it.
        eventually(&format!("the certificate is {what}"), PATIENCE, async || {
            match (connect(&server, "sslmode=verify-full", &certificates).await, &expected) {
                (Ok(_), Ok(())) => Some(()),
                (Err(Error::Tls(is)), Err(fault)) if is == *fault => Some(()),
                _ => None,
            }
        })
        .await;
        // Whoever verifies nothing is not kept away by any of them.
        assert_eq!(outcome(&server, "sslmode=require", &Certificates::default()).await, "encrypted", "{what}");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_plaintext_only_from_those_who_allow_it() {
    let server = Server::start("no tls").await;
    let good = roots(&server.authority.certificate);
    server.set("ssl = off");
    eventually("TLS is off", PATIENCE, async || {
        let is = connect(&server, "sslmode=require", &Certificates::default()).await.err();
        (is == Some(Error::Tls(TlsFault::NotOffered))).then_some(())
    })
    .await;
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(fault(&server, &format!("sslmode={mode}"), &good).await, TlsFault::NotOffered);
    }
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(outcome(&server, &format!("sslmode={mode}"), &good).await, "plain", "{mode}");
    }
    assert_eq!(fault(&server, "channel_binding=require", &Certificates::default()).await, TlsFault::NotBound);
}

#[tokio::test]
async fn a_login_is_bound_to_the_certificate_where_that_is_demanded() {
    let server = Server::start("binding").await;
    let none = Certificates::default();
    for binding in ["disable", "prefer", "require"] {
        let more = format!("sslmode=require channel_binding={binding}");
        assert_eq!(outcome(&server, &more, &none).await, "encrypted", "{binding}");
    }
    for more in [
        "sslmode=require user=by_cleartext channel_binding=require",
        "sslmode=prefer user=by_cleartext channel_binding=require",
        "sslmode=allow channel_binding=require",
        "sslmode=prefer user=only_plain channel_binding=require",
    ] {
        assert_eq!(fault(&server, more, &none).await, TlsFault::NotBound, "{more}");
    }
    assert_eq!(outcome(&server, "sslmode=require user=by_cleartext", &none).await, "encrypted");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_whoever_asks() {
    let server = Server::start("client").await;
    let by = |authority: &Authority, name: &str| with_client(&authority.signs(&params(&[], name)));
    let (own, others) = (by(&server.authority, "by_certificate"), by(&server.authority, "anyone"));
    let user = "user=by_certificate password='' sslmode=require";
    assert_eq!(outcome(&server, user, &own).await, "encrypted");
    assert_eq!(outcome(&server, &format!("{user} sslcertmode=require"), &own).await, "encrypted");
    assert_eq!(outcome(&server, &format!("{user} ssl_max_protocol_version=TLSv1.2"), &own).await, "encrypted");
    // What needs none does not mind one, and one may be required although only its being asked for is certain.
    assert_eq!(outcome(&server, "sslmode=require sslcertmode=require", &own).await, "encrypted");
    for (more, certificates, hint) in [
        ("", &Certificates::default(), "without the client certificate that the server asked for"),
        ("sslcertmode=disable", &own, "without the client certificate that the server asked for"),
        ("", &others, "with the certificate of database.sslCertSecretRef"),
    ] {
        let error = connect(&server, &format!("{user} {more}"), certificates).await.err().unwrap();
        assert!(error.to_string().contains("28000") && error.to_string().contains(hint), "{error}");
    }
    let strangers = by(&Authority::new("a stranger"), "by_certificate");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let more = format!("{user} ssl_min_protocol_version={version} ssl_max_protocol_version={version}");
        let fault = fault(&server, &more, &strangers).await;
        // With TLS 1.2 the server may hang up before its alert was read.
        let told = [TlsFault::ClientCertificate, TlsFault::ShownCertificate];
        assert!(told.contains(&fault), "{version}: {fault}");
    }
    server.set("ssl_ca_file = ''");
    let more = "user=anyone sslmode=require sslcertmode=require";
    eventually("no certificate is asked for", PATIENCE, async || {
        let is = connect(&server, more, &own).await.err();
        (is == Some(Error::Tls(TlsFault::NotAsked))).then_some(())
    })
    .await;
    assert_eq!(fault(&server, "sslmode=prefer sslcertmode=require", &own).await, TlsFault::NotAsked);
}

#[tokio::test]
async fn versions_and_the_way_to_begin_are_as_asked_for() {
    let server = Server::start("versions").await;
    let none = Certificates::default();
    for (more, version) in [
        ("", "TLSv1.3"),
        ("ssl_max_protocol_version=TLSv1.2", "TLSv1.2"),
        ("ssl_min_protocol_version=TLSv1.3", "TLSv1.3"),
        ("sslsni=0", "TLSv1.3"),
    ] {
        let mut session = connect(&server, &format!("sslmode=require {more}"), &none).await.unwrap();
        assert_eq!(encryption(&mut session).await, version, "{more}");
    }
    let admin = server.admin().await;
    let number: i32 = admin.query_one("SELECT current_setting('server_version_num')::int", &[]).await.unwrap().get(0);
    match connect(&server, "sslmode=require sslnegotiation=direct", &none).await {
        Ok(_) => assert!(number >= 170_000),
        Err(error) => assert!(number < 170_000 && error == Error::Tls(TlsFault::NotDirect), "{error}"),
    }
    server.set("ssl_min_protocol_version = 'TLSv1.3'");
    eventually("TLS 1.2 is refused", PATIENCE, async || {
        let is = connect(&server, "sslmode=require ssl_max_protocol_version=TLSv1.2", &none).await.err();
        (is == Some(Error::Tls(TlsFault::NothingInCommon))).then_some(())
    })
    .await;
}

/// Passes everything on to the server, and keeps how each connection begins.
async fn beginnings(server: &Server) -> (u16, Arc<Mutex<Vec<[u8; 8]>>>) {
    let (listener, port) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), server.port);
    let (own_port, kept) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let keep = kept.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let keep = keep.clone();
            tokio::spawn(async move {
                let mut begin = [0; 8];
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                client.read_exact(&mut begin).await.unwrap();
                keep.lock().unwrap().push(begin);
                server.write_all(&begin).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own_port, kept)
}

#[tokio::test]
async fn a_request_to_cancel_is_encrypted_as_its_connection_is() {
    const ASK_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let server = Server::start("cancel").await;
    let good = roots(&server.authority.certificate);
    let admin = server.admin().await;
    for (mode, begins) in [("verify-full", [true, true]), ("disable", [false, false])] {
        let (port, kept) = beginnings(&server).await;
        let mut session = connect_to(port, &format!("sslmode={mode}"), &good).await.unwrap();
        let sleeping = async || -> bool {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' \
                       AND pid <> pg_backend_pid()";
            admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
        };
        tokio::select! {
            result = read(&mut session, "SELECT pg_sleep(600) AS s") => panic!("{result:?}"),
            () = eventually("it sleeps", PATIENCE, async || sleeping().await.then_some(())) => {}
        }
        drop(session);
        eventually("it does not sleep any more", PATIENCE, async || (!sleeping().await).then_some(())).await;
        let begun: Vec<bool> = kept.lock().unwrap().iter().map(|begin| *begin == ASK_FOR_TLS).collect();
        assert_eq!(begun, begins, "sslmode {mode}");
    }
}
