use super::tls::{ChannelBinding, Demand, Verify, Versions};
use super::*;

fn keys(uri: bool) -> SecretKeys {
    SecretKeys {
        uri: uri.then(|| "uri".into()),
        host: "host".into(),
        port: "port".into(),
        user: "username".into(),
        password: "password".into(),
        dbname: "dbname".into(),
        sslmode: "sslmode".into(),
    }
}

fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
}

const WHOLE: [(&str, &str); 4] = [("host", "db.example"), ("username", "u"), ("password", "p"), ("dbname", "d")];

fn settings(keys: &SecretKeys, data: &BTreeMap<String, ByteString>) -> Result<Settings, ConnectionError> {
    super::settings(keys, data, &Certificates::default())
}

fn uri(text: &str) -> Result<Settings, ConnectionError> {
    settings(&keys(true), &data(&[("uri", text)]))
}

/// A URI with these parameters.
fn given(parameters: &str) -> Result<Settings, ConnectionError> {
    uri(&format!("postgresql://u@h/d?{parameters}"))
}

fn tls(parameters: &str) -> Tls {
    given(parameters).unwrap().tls.unwrap()
}

fn hosts(settings: &Settings) -> Vec<(&str, u16)> {
    settings.hosts.iter().map(|host| (host.name.as_str(), host.port)).collect()
}

#[test]
fn single_keys_have_defaults_for_port_and_sslmode() {
    let read = settings(&keys(false), &data(&WHOLE)).unwrap();
    assert_eq!(hosts(&read), [("db.example", 5432)]);
    assert_eq!((read.user.as_str(), read.password.as_deref(), read.dbname.as_str()), ("u", Some("p"), "d"));
}

#[test]
fn a_newline_at_the_end_is_no_part_of_a_value() {
    let mut with_newline = data(&WHOLE);
    with_newline.insert("password".into(), ByteString(b"p\n".to_vec()));
    assert_eq!(settings(&keys(false), &with_newline).unwrap().password.as_deref(), Some("p"));
}

#[test]
fn a_key_that_is_wrong_is_named_and_its_value_is_not() {
    for missing in ["host", "username", "dbname"] {
        let mut data = data(&WHOLE);
        data.remove(missing);
        assert_eq!(settings(&keys(false), &data), Err(ConnectionError::Missing(missing.into())));
    }
    for (key, value) in
        [("port", "CANARY"), ("port", "0"), ("host", "/CANARY"), ("host", "a,CANARY"), ("sslmode", "CANARY")]
    {
        let mut data = data(&WHOLE);
        data.insert(key.into(), ByteString(value.as_bytes().to_vec()));
        let error = settings(&keys(false), &data).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
    let mut data = data(&WHOLE);
    data.insert("password".into(), ByteString(vec![0xff]));
    assert_eq!(settings(&keys(false), &data), Err(ConnectionError::NotText("password".into())));
}

#[test]
fn a_uri_is_read_in_all_its_parts() {
    let read = uri("postgresql://us%40er:p%2Fw%3A@[::1]:5433,b.example/my%20db?connect_timeout=3&application_name=x&options=-c%20a%3Db&target_session_attrs=read-write&sslmode=prefer").unwrap();
    assert_eq!(hosts(&read), [("::1", 5433), ("b.example", 5432)]);
    assert_eq!((read.user.as_str(), read.password.as_deref(), read.dbname.as_str()), ("us@er", Some("p/w:"), "my db"));
    assert_eq!((read.connect_timeout, read.target), (Duration::from_secs(3), Target::ReadWrite));
    assert_eq!((read.application_name.as_deref(), read.options.as_deref()), (Some("x"), Some("-c a=b")));
    let read = uri("postgres://u@/d?host=a,b&port=1,2").unwrap();
    assert_eq!(hosts(&read), [("a", 1), ("b", 2)]);
}

#[test]
fn parameters_count_whatever_their_order_and_the_last_of_a_name_wins() {
    let read = uri("postgres://u@/d?port=5433&host=a,b").unwrap();
    assert_eq!(hosts(&read), [("a", 5433), ("b", 5433)]);
    let read = uri("postgres://u@h:1,i/d?port=,7&user=v&user=w&password=%26%3D").unwrap();
    assert_eq!(hosts(&read), [("h", 5432), ("i", 7)]);
    assert_eq!((read.user.as_str(), read.password.as_deref()), ("w", Some("&=")));
    assert_eq!(uri("postgres://u@h/d?connect_timeout=0").unwrap().connect_timeout, Duration::from_secs(10));
}

#[test]
fn keywords_and_values_are_read_as_libpq_reads_them() {
    let read = uri(r"host = a,b port=1,2 user='us er'  password='p\'q\\' dbname=d application_name=x\ y").unwrap();
    assert_eq!(hosts(&read), [("a", 1), ("b", 2)]);
    assert_eq!((read.user.as_str(), read.password.as_deref(), read.dbname.as_str()), ("us er", Some(r"p'q\"), "d"));
    assert_eq!(read.application_name.as_deref(), Some("x y"));
    let read = uri("host=::1\nuser=u\tdbname=d password=''").unwrap();
    assert_eq!((hosts(&read), &read.password), (vec![("::1", 5432)], &None));
}

#[test]
fn a_uri_may_not_name_files_sockets_or_what_we_do_not_know() {
    for (text, part) in [
        ("mysql://u@h/d", "scheme"),
        ("postgresql://u@%2Fvar%2Frun/d", "host"),
        ("postgresql://u@h/d?host=/tmp", "host"),
        ("postgresql://u@h/d?service=x", "service"),
        ("postgresql://u@h/d?passfile=x", "passfile"),
        ("postgresql://u@h:99999/d", "port"),
        ("postgresql://u@h/d?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u@h/d?target_session_attrs=x", "target_session_attrs"),
        ("postgresql://u@%40name/d", "host"),
        ("postgresql://u@/d?host=@name", "host"),
        ("postgresql://u@[::1]x/d", "host"),
        ("postgresql://u@[::1/d", "host"),
        ("postgresql://u@h,/d", "host"),
        ("postgresql://u@h:0/d", "port"),
        ("postgresql://u@a,b,c/d?port=1,2", "port"),
        ("postgresql://u%00@h/d", "NUL"),
        ("postgresql://u@h/d?nonsense=x", "parameter"),
        ("user=u host=/tmp dbname=d", "host"),
        ("user=u host=h dbname=d passfile=/x", "passfile"),
        ("user=u host=h dbname=d service=x", "service"),
        ("user=u host=h dbname=d password='open", "quot"),
        ("user=u host=h dbname", "="),
        ("host=h dbname=d", "user"),
        ("postgresql://h/d", "user"),
        ("postgresql://u@h", "database"),
    ] {
        let error = uri(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn encryption_is_what_sslmode_asks_for() {
    assert!(given("sslmode=disable").unwrap().tls.is_none());
    for (mode, demand) in [("allow", Demand::Allow), ("prefer", Demand::Prefer), ("require", Demand::Require)] {
        let tls = tls(&format!("sslmode={mode}"));
        assert!(tls.demand == demand && tls.verify == Verify::Nothing, "{mode}");
        let mut data = data(&WHOLE);
        data.insert("sslmode".into(), ByteString(mode.as_bytes().to_vec()));
        assert_eq!(settings(&keys(false), &data).unwrap().tls.unwrap().demand, demand);
    }
    assert_eq!(given("").unwrap().tls.unwrap().demand, Demand::Prefer);
    assert_eq!(settings(&keys(false), &data(&WHOLE)).unwrap().tls.unwrap().demand, Demand::Prefer);
    assert_eq!(tls("ssl=true").demand, Demand::Require);
    assert_eq!(given("ssl=1"), Err(ConnectionError::UnknownParameter));
}

#[test]
fn a_server_is_not_verified_with_nothing() {
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(given(&format!("sslmode={mode}")), Err(ConnectionError::NoRoots(mode)));
        assert_eq!(uri(&format!("host=h user=u dbname=d sslmode={mode}")), Err(ConnectionError::NoRoots(mode)));
        let mut data = data(&WHOLE);
        data.insert("sslmode".into(), ByteString(mode.as_bytes().to_vec()));
        let error = settings(&keys(false), &data).unwrap_err();
        assert!(error.to_string().contains("database.sslRootCertSecretRef"), "{error}");
    }
}

#[test]
fn the_machines_certificates_are_for_verify_full_alone() {
    let full = Verify::IssuerAndName(certificates::Roots::System);
    for parameters in ["sslrootcert=system", "sslmode=verify-full&sslrootcert=system"] {
        let tls = tls(parameters);
        assert!(tls.verify == full && tls.demand == Demand::Require, "{parameters}");
    }
    for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
        let error = given(&format!("sslrootcert=system&sslmode={mode}")).unwrap_err().to_string();
        assert!(error.contains("verify-full"), "{error}");
    }
}

#[test]
fn what_else_is_said_of_encryption_is_kept() {
    assert_eq!(tls("channel_binding=disable").channel_binding, ChannelBinding::Disable);
    assert_eq!(tls("channel_binding=require").channel_binding, ChannelBinding::Require);
    assert_eq!(tls("").channel_binding, ChannelBinding::Prefer);
    assert!(tls("sslmode=require&sslnegotiation=direct").direct && !tls("sslnegotiation=postgres").direct);
    assert!(tls("sslsni=0").hides_name && !tls("sslsni=1").hides_name);
    for (parameters, versions) in [
        ("", Versions::Both),
        ("ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=", Versions::Both),
        ("ssl_min_protocol_version=tlsv1.3", Versions::Tls13),
        ("ssl_max_protocol_version=TLSv1.2", Versions::Tls12),
    ] {
        assert_eq!(tls(parameters).versions, versions, "{parameters}");
    }
    for harmless in ["sslcertmode=allow", "sslcertmode=disable", "gssencmode=prefer", "gssencmode=disable"] {
        assert!(given(harmless).is_ok(), "{harmless}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    for (parameters, name) in [
        ("sslmode=on", "sslmode"),
        ("sslmode=", "sslmode"),
        ("sslmode=disable&channel_binding=require", "channel_binding"),
        ("channel_binding=on", "channel_binding"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("sslmode=require&sslnegotiation=none", "sslnegotiation"),
        ("sslcertmode=require", "sslcertmode"),
        ("sslsni=no", "sslsni"),
        ("ssl_max_protocol_version=TLSv1.1", "ssl_max_protocol_version"),
        ("ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version"),
        ("ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "ssl_max_protocol_version"),
        ("gssencmode=require", "gssencmode"),
        ("requiressl=1", "requiressl"),
        ("min_protocol_version=3.2", "min_protocol_version"),
        ("replication=database", "replication"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("scram_client_key=x", "scram_client_key"),
        ("oauth_issuer=x", "oauth_issuer"),
        ("sslpassword=x", "sslpassword"),
        ("sslcert=x", "sslCertSecretRef"),
        ("sslkey=x", "sslKeySecretRef"),
        ("sslrootcert=x", "sslRootCertSecretRef"),
        ("sslcrl=x", "sslcrl"),
        ("sslkeylogfile=x", "sslkeylogfile"),
        ("load_balance_hosts=yes", "load_balance_hosts"),
        ("keepalives=yes", "keepalives"),
        ("keepalives_idle=99999", "keepalives_idle"),
        ("keepalives_count=128", "keepalives_count"),
        ("tcp_user_timeout=1s", "tcp_user_timeout"),
    ] {
        let error = given(parameters).unwrap_err().to_string();
        assert!(error.contains(name), "{parameters}: {error}");
    }
}

#[test]
fn the_network_is_watched_as_the_parameters_say() {
    let network = |parameters: &str| given(parameters).unwrap().network;
    assert_eq!(network(""), Network::default());
    assert!(network("").keepalives && !network("keepalives=0").keepalives);
    let second = Some(Duration::from_secs(1));
    assert_eq!(
        network("keepalives=2&keepalives_idle=1&keepalives_interval=1&keepalives_count=7&tcp_user_timeout=1000"),
        Network { keepalives: true, idle: second, interval: second, count: Some(7), unacknowledged: second }
    );
    assert_eq!(
        network("keepalives_idle=0&keepalives_interval=-1&keepalives_count=0&tcp_user_timeout=0"),
        Network { keepalives: true, idle: None, interval: None, count: None, unacknowledged: None }
    );
}

#[test]
fn hosts_may_come_with_their_addresses() {
    let all = |parameters: &str| -> Vec<(String, Option<String>, u16)> {
        let read = uri(&format!("postgresql://u@/d?{parameters}")).unwrap();
        read.hosts.iter().map(|h| (h.name.clone(), h.address.map(|a| a.to_string()), h.port)).collect()
    };
    let one = |name: &str, address: Option<&str>, port| (name.to_owned(), address.map(str::to_owned), port);
    assert_eq!(all("host=a,b&hostaddr=::1,&port=1,2"), [one("a", Some("::1"), 1), one("b", None, 2)]);
    assert_eq!(all("hostaddr=10.0.0.1"), [one("10.0.0.1", Some("10.0.0.1"), 5432)]);
    assert_eq!(all("host=,b&hostaddr=10.0.0.1,10.0.0.2")[0], one("10.0.0.1", Some("10.0.0.1"), 5432));
    for (parameters, name) in [
        ("host=a,b&hostaddr=10.0.0.1", "hostaddr"),
        ("host=a&hostaddr=a", "hostaddr"),
        ("host=,b&hostaddr=,10.0.0.2", "host"),
        ("hostaddr=10.0.0.1,10.0.0.2&port=1,2,3", "port"),
    ] {
        let error = uri(&format!("postgresql://u@/d?{parameters}")).unwrap_err().to_string();
        assert!(error.contains(name), "{parameters}: {error}");
    }
}

#[test]
fn hosts_are_chosen_as_the_parameters_say() {
    for (word, target) in [
        ("any", Target::Any),
        ("read-write", Target::ReadWrite),
        ("read-only", Target::ReadOnly),
        ("primary", Target::Primary),
        ("standby", Target::Standby),
        ("prefer-standby", Target::PreferStandby),
    ] {
        assert_eq!(given(&format!("target_session_attrs={word}")).unwrap().target, target);
    }
    assert!(given("load_balance_hosts=random").unwrap().shuffle);
    assert!(!given("load_balance_hosts=disable").unwrap().shuffle);
}

#[test]
fn whoever_listens_takes_a_standby_last_unless_it_is_asked_for() {
    let target = |parameters: &str| given(parameters).unwrap().to_listen().target;
    assert_eq!(target(""), Target::PreferPrimary);
    assert_eq!(target("target_session_attrs=any"), Target::PreferPrimary);
    assert_eq!(target("target_session_attrs=standby"), Target::Standby);
    assert_eq!(target("target_session_attrs=read-write"), Target::ReadWrite);
}

#[test]
fn a_name_for_the_server_to_show_may_be_a_fallback() {
    let name = |parameters: &str| given(parameters).unwrap().application_name;
    assert_eq!(name("fallback_application_name=f").as_deref(), Some("f"));
    assert_eq!(name("fallback_application_name=f&application_name=a").as_deref(), Some("a"));
    assert_eq!(name("fallback_application_name=f&application_name=").as_deref(), Some("f"));
}

#[test]
fn a_password_cut_at_the_wrong_place_is_not_told() {
    for text in [
        "postgresql://u:pa?CANARY=x@h/d",
        "postgresql://u:CANARY%zz@h/d",
        "CANARY",
        "postgresql://u:p@h:CANARY/d",
        "postgresql://u:1/CANARY@h/d",
        "postgresql://u:CANARY#@h/d%",
        "user=u host=h dbname=d password=a CANARY=b",
        "user=u host=h password=a CANARY",
        "mysql://u:CANARY@h/d?a=b",
        "user=u host=h dbname=d password='CANARY",
    ] {
        let error = uri(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{text}: {error:?}");
    }
    assert_eq!(format!("{:?}", uri("postgresql://u:CANARY@h/d").unwrap()), "Settings(…)");
}

#[test]
fn what_a_command_line_does_not_say_is_taken_of_the_environment() {
    let otherwise = [("host", "localhost"), ("port", "6432"), ("user", "me"), ("password", "secret")];
    let otherwise = otherwise.map(|(name, value)| (name, value.to_owned()));
    let given = |text: &str| super::given(text, &otherwise, &Certificates::default()).unwrap();
    let of = |settings: &Settings| (settings.hosts[0].name.clone(), settings.hosts[0].port, settings.dbname.clone());
    assert_eq!(of(&given("")), ("localhost".into(), 6432, "me".into()));
    let uri = given("postgresql://other@db/data");
    assert_eq!(of(&uri), ("db".into(), 6432, "data".into()));
    assert_eq!((uri.user.as_str(), uri.password.as_deref()), ("other", Some("secret")));
    assert_eq!(of(&given("host=db port=1 dbname=data password=p")), ("db".into(), 1, "data".into()));
    assert_eq!(given("host=db password=p").password.as_deref(), Some("p"));
    let nobody = super::given("host=db", &[], &Certificates::default()).err().unwrap();
    assert_eq!(nobody.to_string(), "the connection string's user is missing");
}

#[test]
fn a_replica_is_found_on_its_own_host_and_else_as_the_primary_is() {
    let primary = settings(&keys(false), &data(&WHOLE)).unwrap();
    let replica = |value: &str| super::replica(&primary, "ro", &data(&[("ro", value)]));
    assert_eq!(hosts(&replica("db-ro.example\n").unwrap()), [("db-ro.example", 5432)]);
    assert_eq!(hosts(&replica("db-ro.example:6432").unwrap()), [("db-ro.example", 6432)]);
    assert_eq!(hosts(&replica("fd00::1").unwrap()), [("fd00::1", 5432)]);
    assert_eq!((replica("x").unwrap().user, replica("x").unwrap().dbname), ("u".into(), "d".into()));
    for (value, part) in
        [("", "missing"), ("x:0", "no port"), ("x:y", "no port"), ("/socket", "socket"), ("a,b", "single")]
    {
        let error = replica(value).unwrap_err().to_string();
        assert!(error.contains("`ro`") && error.contains(part), "{error}");
    }
}
