//! Who may install, watch and remove.

use dbqo::logic::triggers::{Sends, Why, files};
use futures::future::join_all;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{connect, oid, problem, role, sql, wanted, watched, why};
use crate::support::TestDatabase;
use crate::{LIMITS, session};

const TABLE: &str = "CREATE TABLE t (id int, slug text)";

async fn owner(client: &Client) -> String {
    let sql = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'dbqo'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_role_that_may_create_no_role_owns_what_it_installs() {
    let database = TestDatabase::create("rights installer").await;
    let client = database.client().await;
    let settings = role(&database, &client, "installer").await;
    client
        .batch_execute(&format!(
            "GRANT CREATE ON DATABASE \"{}\" TO {}; GRANT ALL ON SCHEMA public TO {1}",
            database.name(),
            settings.user
        ))
        .await
        .unwrap();
    let mut installer = connect(&settings).await;
    installer.install(&LIMITS).await.unwrap();
    assert_eq!(owner(&client).await, settings.user);
    client.batch_execute(&format!("SET ROLE {}; {TABLE}; RESET ROLE", settings.user)).await.unwrap();
    let t = oid(&client, "t").await;
    assert_eq!(installer.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap().created.len(), 5);
    // Others do not call the functions of just anybody.
    client.batch_execute("CREATE TABLE u (id int)").await.unwrap();
    let u = oid(&client, "u").await;
    let (refused, _) =
        why(session(&database).await.ensure_watched(&wanted(u, &["id"], 1), true, &LIMITS).await.unwrap_err());
    assert_eq!(refused, Why::Stranger(settings.user));
    let refused = client.batch_execute(files::INSTALL).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
}

#[tokio::test]
async fn a_role_that_may_create_roles_installs_for_an_owner_that_nobody_logs_in_as() {
    let database = TestDatabase::create("rights creator").await;
    let client = database.client().await;
    let settings = role(&database, &client, "creator").await;
    client
        .batch_execute(&format!(
            "ALTER ROLE {0} CREATEROLE; GRANT CREATE ON DATABASE \"{1}\" TO {0}",
            settings.user,
            database.name()
        ))
        .await
        .unwrap();
    // From PostgreSQL 16 on whoever creates a role gets this of it, and others get nothing; another test, in another
    // database, may have created it.
    let version: i32 = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await.unwrap().get(0);
    if version >= 160_000 {
        let exists = [SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION];
        if let Err(error) = client.batch_execute("CREATE ROLE dbqo_owner NOLOGIN").await {
            assert!(exists.iter().any(|state| error.code() == Some(state)), "{error}");
        }
        let sql = format!("GRANT dbqo_owner TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", settings.user);
        client.batch_execute(&sql).await.unwrap();
    }
    connect(&settings).await.install(&LIMITS).await.unwrap();
    assert_eq!(owner(&client).await, "dbqo_owner");
    let sql = "SELECT rolcanlogin OR rolsuper FROM pg_roles WHERE rolname = 'dbqo_owner'";
    assert!(!client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
    client.batch_execute(&format!("{TABLE}; SELECT dbqo.watch('t')")).await.unwrap();
}

#[tokio::test]
async fn the_right_that_counts_is_the_one_of_the_role_that_is_set() {
    let database = TestDatabase::create("rights set").await;
    let client = database.client().await;
    client.batch_execute(&format!("{TABLE}; {}", files::INSTALL)).await.unwrap();
    let reader = role(&database, &client, "reader").await.user;
    let maker = role(&database, &client, "maker").await.user;
    client.batch_execute(&format!("GRANT SELECT ON t TO {reader}; GRANT TRIGGER ON t TO {maker}; ALTER ROLE {reader} NOINHERIT; GRANT {maker} TO {reader}")).await.unwrap();
    let denied =
        async |statement: &str| client.batch_execute(statement).await.err().and_then(|error| error.code().cloned());
    client.batch_execute(&format!("SET ROLE {reader}")).await.unwrap();
    assert_eq!(denied("SELECT dbqo.watch('t')").await, Some(SqlState::INSUFFICIENT_PRIVILEGE));
    let t = oid(&client, "t").await;
    assert_eq!(denied(&format!("SELECT dbqo.make({t}, '{{id}}', 1)")).await, Some(SqlState::INSUFFICIENT_PRIVILEGE));
    client
        .batch_execute(&format!("RESET ROLE; SET ROLE {maker}; SELECT dbqo.watch('t', '{{id}}'); RESET ROLE"))
        .await
        .unwrap();
    for statement in [
        "SELECT dbqo.unwatch('t')".to_owned(),
        "SELECT dbqo.uninstall()".to_owned(),
        format!("SELECT dbqo.make({t}, '{{id}}', 0)"),
        format!("CREATE OR REPLACE FUNCTION dbqo.n_{t}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'"),
        "CREATE FUNCTION dbqo.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'".to_owned(),
    ] {
        let statement = format!("SET ROLE {reader}; {statement}");
        assert_eq!(denied(&statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
        client.batch_execute("RESET ROLE").await.unwrap();
    }
    client.batch_execute(&format!("SET ROLE {reader}; SELECT * FROM dbqo.check()")).await.unwrap();
    client.batch_execute(&format!("SET ROLE {maker}; SELECT dbqo.unwatch('t')")).await.unwrap();
}

#[tokio::test]
async fn what_somebody_disabled_stays_so_and_is_told() {
    let (database, client, _listener) = watched("rights disabled", TABLE, "t", &["id"]).await;
    let t = oid(&client, "t").await;
    let mut session = session(&database).await;
    let before = session.triggers(&[t], &LIMITS).await.unwrap().remove(0);
    client.batch_execute(&format!("ALTER TABLE t DISABLE TRIGGER dbqo_{t}_upd")).await.unwrap();
    let (refused, statement) = why(session.ensure_watched(&wanted(t, &["slug"], 0), true, &LIMITS).await.unwrap_err());
    assert!(matches!(refused, Why::Disabled { always: false, .. }), "{refused}");
    assert_eq!(statement.clone().unwrap(), format!("ALTER TABLE public.t ENABLE TRIGGER dbqo_{t}_upd;"));
    assert_eq!(problem(&client, "t").await.1, statement);
    assert_ne!(session.triggers(&[t], &LIMITS).await.unwrap()[0].state, before.state);
    client.batch_execute(&statement.unwrap()).await.unwrap();
    assert_eq!(session.ensure_watched(&wanted(t, &["slug"], 0), true, &LIMITS).await.unwrap().keys, ["id", "slug"]);

    client.batch_execute(&format!("DROP TRIGGER dbqo_{t}_del ON t")).await.unwrap();
    let missing = session.triggers(&[t], &LIMITS).await.unwrap().remove(0).missing;
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("dbqo_{t}_del on public.t")]);
    let again = session.ensure_watched(&wanted(t, &[], 0), true, &LIMITS).await.unwrap();
    assert_eq!(again.created, [format!("trigger dbqo_{t}_del on public.t")]);
}

#[tokio::test]
async fn triggers_that_are_not_ours_are_left_alone() {
    let database = TestDatabase::create("rights names").await;
    let client = database.client().await;
    client.batch_execute(&format!("{TABLE}; {}", files::INSTALL)).await.unwrap();
    let t = oid(&client, "t").await;
    let theirs = format!(
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER dbqo_{t}_upd BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION theirs()"
    );
    client.batch_execute(&theirs).await.unwrap();
    let refused = sql(&database, "SELECT dbqo.watch('t')").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::DUPLICATE_OBJECT));
}

#[tokio::test]
async fn what_a_dump_brought_along_is_replaced() {
    let (database, client, mut listener) = watched("rights dump", TABLE, "t", &["id"]).await;
    let t = oid(&client, "t").await;
    // As it is once it is restored: names and text have the number that the table had elsewhere.
    let restored = format!(
        "ALTER FUNCTION dbqo.n_{t}() RENAME TO n_7; {}",
        ["ins", "upd", "del", "trunc"]
            .map(|kind| format!("ALTER TRIGGER dbqo_{t}_{kind} ON t RENAME TO dbqo_7_{kind};"))
            .concat()
    );
    client.batch_execute(&restored).await.unwrap();
    assert!(problem(&client, "t").await.0.unwrap().contains("another table's"));
    session(&database).await.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(listener.heard().await.len(), 1);
    assert_eq!(problem(&client, "t").await, (None, None));
}

#[tokio::test]
async fn those_who_install_and_watch_at_a_time_do_not_fail_each_other() {
    let database = TestDatabase::create("rights race").await;
    let client = database.client().await;
    client.batch_execute(TABLE).await.unwrap();
    let t = oid(&client, "t").await;
    let all = join_all((0..8_u16).map(|n| {
        let database = &database;
        async move {
            let keys: &[&str] = if n % 2 == 0 { &["id"] } else { &["slug"] };
            session(database).await.ensure_watched(&wanted(t, keys, 1 + n % 2), true, &LIMITS).await
        }
    }));
    for watched in all.await {
        watched.unwrap();
    }
    let both = Sends { keys: vec!["id".into(), "slug".into()], slots: 2 };
    assert_eq!(session(&database).await.triggers(&[t], &LIMITS).await.unwrap()[0].sends, Some(both));
    assert_eq!(problem(&client, "t").await, (None, None));
}

#[tokio::test]
async fn a_newer_installation_is_left_alone() {
    let (database, client, _listener) = watched("rights newer", TABLE, "t", &["id"]).await;
    let newer = "CREATE OR REPLACE FUNCTION dbqo.version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2'";
    client.batch_execute(newer).await.unwrap();
    client.batch_execute("DROP FUNCTION dbqo.uninstall()").await.unwrap();
    client.batch_execute(files::INSTALL).await.unwrap();
    let t = oid(&client, "t").await;
    let (refused, _) =
        why(session(&database).await.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap_err());
    assert_eq!(refused, Why::Newer(2));
    assert!(client.batch_execute("SELECT 'dbqo.uninstall()'::regprocedure").await.is_err());
    // Of this version, what is missing is made again, and an older edition is replaced.
    let older = "CREATE OR REPLACE FUNCTION dbqo.version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
        CREATE OR REPLACE FUNCTION dbqo.revision() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0'";
    client.batch_execute(older).await.unwrap();
    session(&database).await.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    client.batch_execute("SELECT 'dbqo.uninstall()'::regprocedure").await.unwrap();
}
