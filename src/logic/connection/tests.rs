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

fn uri(text: &str) -> Result<Settings, ConnectionError> {
    settings(&keys(true), &data(&[("uri", text)]))
}

#[test]
fn single_keys_have_defaults_for_port_and_sslmode() {
    let read = settings(&keys(false), &data(&WHOLE)).unwrap();
    assert_eq!(read.hosts, [("db.example".to_owned(), 5432)]);
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
    assert_eq!(read.hosts, [("::1".to_owned(), 5433), ("b.example".to_owned(), 5432)]);
    assert_eq!((read.user.as_str(), read.password.as_deref(), read.dbname.as_str()), ("us@er", Some("p/w:"), "my db"));
    assert_eq!((read.connect_timeout, read.target), (Duration::from_secs(3), Target::ReadWrite));
    assert_eq!((read.application_name.as_deref(), read.options.as_deref()), (Some("x"), Some("-c a=b")));
    let read = uri("postgres://u@/d?host=a,b&port=1,2").unwrap();
    assert_eq!(read.hosts, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[test]
fn parameters_count_whatever_their_order_and_the_last_of_a_name_wins() {
    let read = uri("postgres://u@/d?port=5433&host=a,b").unwrap();
    assert_eq!(read.hosts, [("a".to_owned(), 5433), ("b".to_owned(), 5433)]);
    let read = uri("postgres://u@h:1,i/d?port=,7&user=v&user=w&password=%26%3D").unwrap();
    assert_eq!(read.hosts, [("h".to_owned(), 5432), ("i".to_owned(), 7)]);
    assert_eq!((read.user.as_str(), read.password.as_deref()), ("w", Some("&=")));
    assert_eq!(uri("postgres://u@h/d?connect_timeout=0").unwrap().connect_timeout, Duration::from_secs(10));
}

#[test]
fn keywords_and_values_are_read_as_libpq_reads_them() {
    let read = uri(r"host = a,b port=1,2 user='us er'  password='p\'q\\' dbname=d application_name=x\ y").unwrap();
    assert_eq!(read.hosts, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!((read.user.as_str(), read.password.as_deref(), read.dbname.as_str()), ("us er", Some(r"p'q\"), "d"));
    assert_eq!(read.application_name.as_deref(), Some("x y"));
    let read = uri("host=::1\nuser=u\tdbname=d password=''").unwrap();
    assert_eq!((read.hosts, read.password), (vec![("::1".to_owned(), 5432)], None));
}

#[test]
fn a_uri_may_not_name_files_sockets_or_what_we_do_not_know() {
    for (text, part) in [
        ("mysql://u@h/d", "scheme"),
        ("postgresql://u@%2Fvar%2Frun/d", "host"),
        ("postgresql://u@h/d?host=/tmp", "host"),
        ("postgresql://u@h/d?service=x", "service"),
        ("postgresql://u@h/d?passfile=x", "passfile"),
        ("postgresql://u@h/d?sslrootcert=x", "sslrootcert"),
        ("postgresql://u@h:99999/d", "port"),
        ("postgresql://u@h/d?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u@h/d?target_session_attrs=x", "target_session_attrs"),
        ("postgresql://u@h/d?sslpassword=x", "sslpassword"),
        ("postgresql://u@%40name/d", "host"),
        ("postgresql://u@/d?host=@name", "host"),
        ("postgresql://u@[::1]x/d", "host"),
        ("postgresql://u@[::1/d", "host"),
        ("postgresql://u@h,/d", "host"),
        ("postgresql://u@h:0/d", "port"),
        ("postgresql://u@a,b,c/d?port=1,2", "port"),
        ("postgresql://u@h/d?hostaddr=10.0.0.1", "hostaddr"),
        ("postgresql://u@h/d?require_auth=scram-sha-256", "require_auth"),
        ("postgresql://u@h/d?replication=database", "replication"),
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
fn encryption_that_is_asked_for_is_refused_and_never_left_out() {
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(uri(&format!("postgresql://u@h/d?sslmode={mode}")), Err(ConnectionError::Encryption(mode)));
        let mut data = data(&WHOLE);
        data.insert("sslmode".into(), ByteString(mode.as_bytes().to_vec()));
        assert_eq!(settings(&keys(false), &data), Err(ConnectionError::Encryption(mode)));
    }
    for (parameter, name) in [
        ("channel_binding=require", "channel_binding"),
        ("gssencmode=require", "gssencmode"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("requiressl=1", "requiressl"),
        ("sslcertmode=require", "sslcertmode"),
    ] {
        let error = uri(&format!("postgresql://u@h/d?{parameter}")).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert_eq!(uri("host=h user=u dbname=d sslmode=verify-full"), Err(ConnectionError::Encryption("verify-full")));
    for harmless in
        ["sslmode=disable", "sslmode=allow", "sslmode=prefer", "gssencmode=prefer", "channel_binding=prefer"]
    {
        assert!(uri(&format!("postgresql://u@h/d?{harmless}")).is_ok(), "{harmless}");
    }
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
