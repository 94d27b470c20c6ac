//! `dbqo sql`, as a person uses it.

use std::process::{Command, Output, Stdio};

use dbqo::logic::triggers::files;

use super::super::{LIMITS, session};
use super::{oid, role, servers, wanted};
use crate::support::server::{ADMIN, PASSWORD, Server};
use crate::support::{TestDatabase, env};

/// Runs it, with the database told in the environment.
fn dbqo(database: &TestDatabase, user: &str, password: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbqo"));
    command.arg("sql").args(arguments).env_remove("DATABASE_URL");
    command.env("PGHOST", database.host()).env("PGPORT", database.port().to_string());
    command.env("PGUSER", user).env("PGPASSWORD", password).env("PGDATABASE", database.name());
    said(&command.output().unwrap())
}

fn said(output: &Output) -> (bool, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_person_installs_watches_checks_and_removes() {
    let database = TestDatabase::create("command").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE \"T t\" (id int, \"B b\" int)").await.unwrap();
    let admin = |arguments: &[&str]| dbqo(&database, database.user(), database.password(), arguments);
    let watch = ["watch", "--table", "\"T t\"", "--keys", "id,\"B b\""];
    let (well, text) = admin(&["check"]);
    assert!(!well && text.contains("not installed") && text.contains("run: dbqo sql install"), "{text}");
    let (well, text) = admin(&watch);
    assert!(!well && text.contains("not installed"), "{text}");
    for again in ["is installed\n", "is installed already\n"] {
        let (well, text) = admin(&["install"]);
        assert!(well && text.ends_with(again), "{text}");
    }
    assert!(admin(&["check"]).1.contains("no table is watched"));
    let (well, text) = admin(&["check", "--table", "\"T t\""]);
    assert!(
        !well && text.ends_with("run: SELECT dbqo.watch('public.\"T t\"');\ndbqo: something is missing of one table\n"),
        "{text}"
    );

    let reader = role(&database, &client, "command").await;
    let reader = |arguments: &[&str]| dbqo(&database, &reader.user, "secret", arguments);
    let (well, text) = reader(&watch);
    assert!(!well && text.contains("run: SELECT dbqo.watch('public.\"T t\"', '{id,\"B b\"}');"), "{text}");
    let (well, text) = admin(&watch);
    assert!(well && text.contains("made trigger dbqo_") && text.contains("key columns: id, B b"), "{text}");
    let (well, text) = admin(&watch);
    assert!(well && text.contains("nothing was missing"), "{text}");
    let (well, text) = reader(&["check"]);
    assert!(well && text.contains("public.\"T t\": all is there"), "{text}");
    client.batch_execute("CREATE TABLE without (id int); SELECT dbqo.watch('without')").await.unwrap();
    let (well, text) = reader(&["check", "--table", "without"]);
    assert!(well && text.ends_with("public.without: all is there; key columns: none\n"), "{text}");
    let (well, text) = reader(&["uninstall"]);
    assert!(!well && text.contains("permission denied"), "{text}");
    let (well, text) = admin(&["watch", "--table", "nowhere"]);
    assert!(!well && text.contains("there is no table nowhere"), "{text}");

    let (well, text) = admin(&["unwatch", "--table", "\"T t\""]);
    assert!(well && text.contains("removed function dbqo.n_"), "{text}");
    let (well, text) = admin(&["unwatch", "--table", "\"T t\""]);
    assert!(well && text.contains("it was not watched"), "{text}");
}

#[tokio::test]
async fn who_names_no_keys_gets_the_primary_key() {
    let database = TestDatabase::create("command keys").await;
    let client = database.client().await;
    let tables = "CREATE TABLE t (v int, b int, a int, PRIMARY KEY (a, b) INCLUDE (v)); CREATE TABLE advised (LIKE t INCLUDING ALL);
        CREATE TABLE none (LIKE t INCLUDING ALL); CREATE TABLE without (id int)";
    client.batch_execute(&format!("{tables}; {}", files::INSTALL)).await.unwrap();
    let admin = |arguments: &[&str]| dbqo(&database, database.user(), database.password(), arguments);
    client.batch_execute("SELECT dbqo.watch('none', '{}')").await.unwrap();
    for (table, keys) in [("t", "b, a"), ("without", "none"), ("none", "none")] {
        for _ in 0..2 {
            let (well, text) = admin(&["watch", "--table", table]);
            assert!(well && text.contains(&format!("key columns: {keys}; ")), "{table}: {text}");
        }
    }
    let (well, text) = admin(&["watch", "--table", "none", "--keys", "v"]);
    assert!(well && text.contains("key columns: v; "), "{text}");
    let (well, text) = admin(&["watch", "--table", "none"]);
    assert!(well && text.contains("key columns: v; "), "no more than there are: {text}");

    let (well, text) = admin(&["check", "--table", "advised"]);
    let advice = text.split_once("run: ").unwrap().1.lines().next().unwrap();
    assert!(!well && advice == "SELECT dbqo.watch('public.advised');", "{text}");
    client.batch_execute(advice).await.unwrap();
    let (well, text) = admin(&["check", "--table", "advised"]);
    assert!(well && text.ends_with("public.advised: all is there; key columns: b, a\n"), "{text}");
    let mut session = session(&database).await;
    let wanted = wanted(oid(&client, "advised").await, &["a", "b"], None);
    let watched = session.ensure_watched(&wanted, false, &LIMITS).await.unwrap();
    assert_eq!(watched.keys, ["b", "a"], "and an operator that may make nothing has what it wants");
}

#[test]
fn what_is_printed_where_nobody_says_which_is_what_installs() {
    let printed = Command::new(env!("CARGO_BIN_EXE_dbqo")).args(["sql", "print"]).output().unwrap();
    assert_eq!(said(&printed), (true, files::INSTALL.to_owned()));
}

#[tokio::test]
async fn a_connection_string_wins_over_the_environment() {
    let database = TestDatabase::create("command dsn").await;
    let uri = format!("postgresql://{}@{}:{}/{}", database.user(), database.host(), database.port(), database.name());
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbqo"));
    command.args(["sql", "install", "--dsn", &uri]).env("PGHOST", "nowhere.invalid").env("PGUSER", "nobody");
    let (well, text) = said(&command.env("PGPASSWORD", database.password()).output().unwrap());
    assert!(well, "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbqo"));
    command.args(["sql", "check"]).env("DATABASE_URL", format!("{uri}?password=CANARY"));
    let (well, text) = said(&command.output().unwrap());
    assert!(!well && !text.contains("CANARY"), "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbqo"));
    command.args(["sql", "check", "--help"]).env("DATABASE_URL", "CANARY");
    assert!(!said(&command.output().unwrap()).1.contains("CANARY"));
}

#[tokio::test]
async fn psql_does_the_same_with_the_printed_files() {
    // One of its own: the role that goes at the end belongs to all databases of a server.
    let server = Server::start("command psql").await;
    let client = servers::client(&server, "postgres").await;
    client
        .batch_execute(
            "CREATE TABLE t (id int); CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE w (LIKE u INCLUDING ALL)",
        )
        .await
        .unwrap();
    let folder = std::path::PathBuf::from(env("DIR")).join(format!("psql-{}", server.port));
    std::fs::create_dir(&folder).unwrap();
    let psql = |file: &str, variables: &[&str]| {
        let printed = Command::new(env!("CARGO_BIN_EXE_dbqo")).args(["sql", "print", file]).output().unwrap();
        let path = folder.join(file);
        std::fs::write(&path, printed.stdout).unwrap();
        let mut command = Command::new(std::path::PathBuf::from(env("PG_BIN")).join("psql"));
        command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        for variable in variables {
            command.args(["-v", variable]);
        }
        command.arg("-f").arg(path).env("PGHOST", "127.0.0.1").env("PGPORT", server.port.to_string());
        command.env("PGUSER", ADMIN).env("PGPASSWORD", PASSWORD);
        said(&command.env("PGDATABASE", "postgres").output().unwrap())
    };
    for (file, variables, expected) in [
        ("install", &[][..], "DO"),
        ("version", &[], "1|1"),
        ("watch", &["table=t", "keys={id}", "slots=2"], "trigger dbqo_"),
        ("watch", &["table=t"], "{}"),
        ("watch", &["table=u"], "trigger dbqo_"),
        ("check", &["table=u"], "|{id}|1||"),
        ("watch", &["table=w", "keys={}"], "trigger dbqo_"),
        ("check", &["table=w"], "|{}|1||"),
        ("check", &[], "|{id}|2||"),
        ("check", &["table=t"], "public.t|t|t|t|t|"),
        ("unwatch", &["table=t"], "trigger dbqo_"),
        ("watch", &["table=t"], "trigger dbqo_"),
        ("uninstall", &[], "role dbqo_owner"),
    ] {
        let (well, text) = psql(file, variables);
        assert!(well && text.contains(expected), "{file}: {text}");
    }
    assert_eq!(servers::left(&client).await, Vec::<String>::new());
}

#[test]
fn who_has_read_enough_may_hang_up() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbqo"));
    let mut child =
        command.args(["sql", "print", "install"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
