//! Installing, watching, unwatching, uninstalling, and by whom.

use dbqo::logic::triggers::{Watched, Why};
use serde_json::json;

use super::{connect, oid, role, wanted, watched, why};
use crate::support::TestDatabase;
use crate::{LIMITS, session};

#[tokio::test]
async fn what_is_missing_is_made_and_then_left_alone() {
    let database = TestDatabase::create("triggers made").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, slug text)").await.unwrap();
    let t = oid(&client, "t").await;
    let mut session = session(&database).await;
    let (refused, statement) = why(session.ensure_watched(&wanted(t, &["id"], 1), false, &LIMITS).await.unwrap_err());
    assert_eq!((refused, statement.unwrap().contains("dbqo sql install")), (Why::NotInstalled, true));

    let made = session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap();
    assert_eq!(made.created.len(), 6, "the schema, a function and four triggers: {:?}", made.created);
    let before = session.triggers(&[t], &LIMITS).await.unwrap();
    let again = session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap();
    assert_eq!(again, Watched { created: vec![], keys: vec!["id".into()], slots: 1 });
    assert_eq!(session.triggers(&[t], &LIMITS).await.unwrap(), before);
    assert_eq!(before[0].serves(&wanted(t, &["id"], 1)).map(|sends| sends.slots), Ok(1));
}

#[tokio::test]
async fn keys_that_others_asked_for_stay() {
    let (database, client, mut listener) =
        watched("triggers union", "CREATE TABLE t (id int PRIMARY KEY, slug text)", "t", &["slug"]).await;
    let mut session = session(&database).await;
    let t = oid(&client, "t").await;
    let both = session.ensure_watched(&wanted(t, &["id"], 0), true, &LIMITS).await.unwrap();
    assert_eq!(both.keys, ["id", "slug"], "in the order of the table");
    client.batch_execute("INSERT INTO t VALUES (1, 'a')").await.unwrap();
    assert_eq!(listener.heard().await, [json!({"v": 1, "t": t, "c": ["id", "slug"], "k": [["1", "a"]]})]);
}

#[tokio::test]
async fn the_slots_that_somebody_has_set_stay_where_nobody_asks_for_others() {
    let database = TestDatabase::create("triggers slots").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let t = oid(&client, "t").await;
    let mut session = session(&database).await;
    let any = wanted(t, &["id"], None);
    assert_eq!(session.ensure_watched(&any, true, &LIMITS).await.unwrap().slots, 1, "where nobody has said");
    for (set, slots) in [(3, 3), (2, 3), (0, 0)] {
        client.batch_execute(&format!("SELECT dbqo.watch('t', slots => {set})")).await.unwrap();
        let again = session.ensure_watched(&any, true, &LIMITS).await.unwrap();
        assert_eq!(again, Watched { created: vec![], keys: vec!["id".into()], slots });
    }
    let more = session.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap();
    assert_eq!(more.slots, 1, "to whoever asks for them");
}

#[tokio::test]
async fn a_role_with_select_alone_is_served_once_somebody_else_watched() {
    let database = TestDatabase::create("triggers select").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let settings = role(&database, &client, "reader").await;
    client.batch_execute(&format!("GRANT SELECT ON t TO {}", settings.user)).await.unwrap();
    let wanted = wanted(oid(&client, "t").await, &["id"], 1);
    let mut reader = connect(&settings).await;
    let (refused, _) = why(reader.ensure_watched(&wanted, true, &LIMITS).await.unwrap_err());
    assert_eq!(refused, Why::NotInstalled);
    session(&database).await.install(&LIMITS).await.unwrap();
    let (refused, statement) = why(reader.ensure_watched(&wanted, true, &LIMITS).await.unwrap_err());
    assert_eq!(refused, Why::NotWatched);
    client.batch_execute(&statement.unwrap()).await.unwrap();
    let watched = reader.ensure_watched(&wanted, true, &LIMITS).await.unwrap();
    assert_eq!((watched.created.len(), watched.keys), (0, vec!["id".to_owned()]));
}

#[tokio::test]
async fn a_role_with_the_right_trigger_can_watch_once_somebody_else_installed() {
    let database = TestDatabase::create("triggers right").await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int)").await.unwrap();
    let settings = role(&database, &client, "maker").await;
    client
        .batch_execute(&format!("GRANT SELECT, TRIGGER ON t TO {0}; GRANT SELECT ON u TO {0}", settings.user))
        .await
        .unwrap();
    session(&database).await.install(&LIMITS).await.unwrap();
    let mut maker = connect(&settings).await;
    let (t, u) = (oid(&client, "t").await, oid(&client, "u").await);
    let made = maker.ensure_watched(&wanted(t, &["id"], 1), true, &LIMITS).await.unwrap();
    assert_eq!(made.created.len(), 5);
    let (refused, statement) = why(maker.ensure_watched(&wanted(u, &["id"], 1), true, &LIMITS).await.unwrap_err());
    assert_eq!((refused, statement.as_deref()), (Why::NotWatched, Some("SELECT dbqo.watch('public.u', '{id}');")));
    assert_eq!(maker.unwatch(u, &LIMITS).await.unwrap_err().reason(), "QueryFailed");
    assert_eq!(maker.unwatch(t, &LIMITS).await.unwrap().len(), 5);
    assert_eq!(maker.triggers(&[t], &LIMITS).await.unwrap()[0].sends, None);
}
