//! What tests of notifications share: a spec that only these can explain a change of, and the sessions that listen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, NoTls};

use super::world::{PATIENCE, World, condition};
use super::{TestDatabase, eventually, eventually_right};

/// Nothing but a notification, or the listener's own look every ten seconds, tells of a change within the hour. `more` is about `changeDetection`.
pub fn notified(more: Value) -> Value {
    let mut changes = json!({"enabled": true, "tableName": "t", "resyncInterval": "1h"});
    changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "changeDetection": changes, "pollInterval": "1h", "pruneGuard": {"maxDeletions": "100%"} })
}

/// The same, where changes are looked for once a second while they are not notified.
pub fn notified_or_polled(more: Value) -> Value {
    let mut spec = notified(more);
    spec["pollInterval"] = json!("1s");
    spec
}

/// The same of a database that the Secret `own` leads to.
pub fn on_own(mut spec: Value) -> Value {
    spec["database"] = json!({"connectionSecretRef": {"name": "own"}});
    spec
}

/// The backend that listens.
pub const LISTENING: &str = "SELECT a.pid FROM pg_stat_activity a WHERE a.datname = current_database() \
    AND a.application_name LIKE 'db-query-operator %' \
    AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory')";
/// The backend that has the slot, and most locks.
pub const LOCKING: &str = "SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid \
    WHERE a.datname = current_database() AND l.locktype = 'advisory' AND l.objid = 0 AND l.objsubid = 2 AND l.granted \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND a.application_name LIKE 'db-query-operator %'";
const ARMED: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND objid <> 0 \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'ExclusiveLock'";

/// How many tables are armed: the second lock of a slot is had or waited for.
pub async fn armed(sql: &tokio_postgres::Client) -> i64 {
    sql.query_one(ARMED, &[]).await.unwrap().get(0)
}

pub async fn until_armed(sql: &tokio_postgres::Client, count: i64) {
    until_armed_within(PATIENCE, sql, count).await;
}

pub async fn until_armed_within(patience: Duration, sql: &tokio_postgres::Client, count: i64) {
    eventually_right(patience, async || {
        let there = armed(sql).await;
        if there == count { Ok(()) } else { Err(format!("{there} are armed, and not {count}")) }
    })
    .await;
}

/// Hears what triggers notify.
pub struct Ear {
    client: tokio_postgres::Client,
    payloads: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    pub async fn on(database: &TestDatabase) -> Self {
        let (client, mut connection) = database.config(database.name()).connect(NoTls).await.unwrap();
        let payloads = Arc::<Mutex<Vec<String>>>::default();
        let heard = payloads.clone();
        tokio::spawn(async move {
            let mut messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                // Operators test the channel with what is no JSON.
                if let AsyncMessage::Notification(notification) = message
                    && notification.payload().starts_with('{')
                {
                    heard.lock().unwrap().push(notification.payload().to_owned());
                }
            }
        });
        client.batch_execute("LISTEN dbqo").await.unwrap();
        Self { client, payloads }
    }

    /// What was notified since this was asked last.
    pub async fn heard(&self) -> Vec<String> {
        // Whatever was notified before the answer to this has arrived with it.
        self.client.batch_execute("SELECT").await.unwrap();
        std::mem::take(&mut *self.payloads.lock().unwrap())
    }
}

/// The one process that `which` finds.
pub async fn backend(sql: &tokio_postgres::Client, which: &str) -> u32 {
    eventually("there is one such backend", PATIENCE, async || {
        let rows = sql.query(which, &[]).await.unwrap();
        (rows.len() == 1).then(|| rows[0].get::<_, i32>(0).unsigned_abs())
    })
    .await
}

/// Ends the backend that `which` finds, and waits until another one is there.
pub async fn replaced(sql: &tokio_postgres::Client, which: &str) {
    let pid = backend(sql, which).await;
    sql.execute(&format!("SELECT pg_terminate_backend({pid}, 5000)"), &[]).await.unwrap();
    eventually("there is another one", PATIENCE, async || (backend(sql, which).await != pid).then_some(())).await;
}

impl World {
    /// Waits until it is told that changes are notified.
    pub async fn listening(&self, name: &str) -> Value {
        self.condition_within(4 * PATIENCE, name, "ChangeDetection", "True", Some("Listening")).await
    }

    /// Waits until it is told that changes are looked for, with `part` in the reason; the whole of it.
    pub async fn polling(&self, name: &str, part: &str) -> String {
        let what = format!("{name} polls, and says {part:?}");
        eventually(&what, 3 * PATIENCE, async || {
            let resource = self.get(name).await;
            let message = condition(&resource, "ChangeDetection")?["message"].as_str()?.to_owned();
            (resource["status"]["mode"] == "Poll" && message.contains(part)).then_some(message)
        })
        .await
    }

    /// Sees that a change is applied.
    pub async fn applies(&self, sql: &tokio_postgres::Client, value: &str) {
        self.applies_to("t", "a", sql, value).await;
    }

    /// Sees that changes are heard.
    pub async fn hears(&self, sql: &tokio_postgres::Client, value: &str) {
        self.hears_of("t", "a", sql, value).await;
    }

    /// Sees that a change of a table is applied to an object, whose row is called as it is.
    async fn applies_to(&self, table: &str, object: &str, sql: &tokio_postgres::Client, value: &str) {
        sql.execute(&format!("UPDATE {table} SET v = $1 WHERE name = $2"), &[&value, &object]).await.unwrap();
        self.until_value(object, Some(value)).await;
    }

    /// Sees that changes of a table are heard, by an object whose row is called as it is. The listener looks for itself
    /// every ten seconds, so that of so many, one after the other, some would come too late.
    pub async fn hears_of(&self, table: &str, object: &str, sql: &tokio_postgres::Client, value: &str) {
        let changes = async {
            for number in (0..10).rev() {
                let value = if number == 0 { value.to_owned() } else { format!("{number} before {value}") };
                self.applies_to(table, object, sql, &value).await;
            }
        };
        let heard = tokio::time::timeout(PATIENCE, changes).await;
        assert!(heard.is_ok(), "not all changes were applied within {PATIENCE:?}: they are looked for and not heard");
    }
}

/// A way to a port that can be cut without a word: nothing goes through, and nothing is closed.
pub struct Path {
    pub port: u16,
    open: watch::Sender<bool>,
}

impl Path {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap().port();
        let open = watch::Sender::new(true);
        let is_open = open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, port, is_open.subscribe()));
            }
        });
        Self { port: near, open }
    }

    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

/// Whatever was on its way when the path was cut stays lost, as its connection is.
async fn carry(mut client: TcpStream, port: u16, mut is_open: watch::Receiver<bool>) {
    if !*is_open.borrow_and_update() {
        std::future::pending::<()>().await;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let cut = async { _ = is_open.wait_for(|is_open| !is_open).await };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = cut => std::future::pending().await,
    }
}
