//! What a watched table tells of its changes, what it costs those who write to it, and who may watch.

#[path = "triggers/bell.rs"]
mod bell;
#[path = "triggers/command.rs"]
mod command;
#[path = "triggers/harmless.rs"]
mod harmless;
#[path = "triggers/making.rs"]
mod making;
#[path = "triggers/rights.rs"]
mod rights;
#[path = "triggers/sending.rs"]
mod sending;
#[path = "triggers/servers.rs"]
mod servers;
#[path = "triggers/shapes.rs"]
mod shapes;

use dbqo::logic::connection::Settings;
use dbqo::logic::triggers::{Wanted, Why};
use dbqo::postgres::{Session, Unwatched};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use serde_json::Value;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::{LIMITS, session, settings};
use crate::support::TestDatabase;

/// Hears what is sent.
pub struct Listener {
    pub client: Client,
    sent: UnboundedReceiver<String>,
}

impl Listener {
    pub async fn new(database: &TestDatabase) -> Self {
        let mut config = tokio_postgres::Config::new();
        config.host(database.host()).port(database.port()).dbname(database.name());
        config.user(database.user()).password(database.password());
        Self::at(&config).await
    }

    pub async fn at(config: &tokio_postgres::Config) -> Self {
        let (client, mut connection) = config.connect(NoTls).await.unwrap();
        let (tell, sent) = unbounded();
        tokio::spawn(async move {
            let mut messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message {
                    let _ = tell.unbounded_send(notification.payload().to_owned());
                }
            }
        });
        client.batch_execute("LISTEN dbqo").await.unwrap();
        Self { client, sent }
    }

    /// What was sent since, in order: all that was committed comes before this one's own.
    pub async fn heard(&mut self) -> Vec<Value> {
        self.client.batch_execute("NOTIFY dbqo, 'end'").await.unwrap();
        let mut heard = Vec::new();
        loop {
            match self.sent.next().await.unwrap().as_str() {
                "end" => return heard,
                payload => heard.push(serde_json::from_str(payload).unwrap()),
            }
        }
    }

    /// Of what was sent since, the keys.
    pub async fn keys(&mut self) -> Vec<Value> {
        self.heard().await.into_iter().map(|mut sent| sent["k"].take()).collect()
    }
}

pub fn wanted(oid: u32, keys: &[&str], slots: impl Into<Option<u16>>) -> Wanted {
    Wanted { oid, keys: Some(keys.iter().map(ToString::to_string).collect()), slots: slots.into() }
}

pub async fn oid(client: &Client, table: &str) -> u32 {
    client.query_one("SELECT $1::text::regclass::oid", &[&table]).await.unwrap().get(0)
}

/// A database with tables of which the first is watched, without a bell.
pub async fn watched(test: &str, sql: &str, table: &str, keys: &[&str]) -> (TestDatabase, Client, Listener) {
    let database = TestDatabase::create(test).await;
    let client = database.client().await;
    client.batch_execute(sql).await.unwrap();
    let wanted = wanted(oid(&client, table).await, keys, 0);
    session(&database).await.ensure_watched(&wanted, true, &LIMITS).await.unwrap();
    let listener = Listener::new(&database).await;
    (database, client, listener)
}

/// Of a role that can do no more than log in.
pub async fn role(database: &TestDatabase, client: &Client, name: &str) -> Settings {
    let name = format!("{name}_{}", database.name()).replace('-', "_");
    client.batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'")).await.unwrap();
    Settings { user: name, password: Some("secret".into()), ..settings(database) }
}

pub fn why(unwatched: Unwatched) -> (Why, Option<String>) {
    match unwatched {
        Unwatched::Missing(missing) => (missing.why, missing.statement),
        Unwatched::Failed(error) => panic!("{error}"),
    }
}

pub async fn connect(settings: &Settings) -> Session {
    Session::connect(settings).await.unwrap()
}

/// What `dbqo.check` says of a table: what is wrong, and what to run.
pub async fn problem(client: &Client, table: &str) -> (Option<String>, Option<String>) {
    let sql = "SELECT problem, statement FROM dbqo.check($1::text::regclass) WHERE watched IS NOT NULL";
    let row = client.query_one(sql, &[&table]).await.unwrap();
    (row.get(0), row.get(1))
}

/// Watches as a person does, with another connection.
pub async fn sql(database: &TestDatabase, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    Ok(database.client().await.query_one(sql, &[]).await?.get(0))
}
