//! Stands between an operator and the API server and decides what becomes of each request: for faults that no real
//! server has at will.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It goes through.
    Passes,
    /// It goes through, later.
    Waits(Duration),
    /// It goes through, and its answer passes this gate.
    Gated(&'static Gate),
    /// It does not arrive, and this status is the answer; with `Retry-After: 1` where that is for another time.
    Refused(u16),
    /// It arrives, and the answer breaks off.
    CutOff,
    /// It does not arrive, and there is no answer.
    Lost,
    /// It arrives, and there is no answer.
    Unanswered,
}

/// Answers wait in front of it while it is shut, also the rest of those that have begun.
#[derive(Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn open() -> &'static Self {
        Box::leak(Box::new(Self(watch::Sender::new(true))))
    }

    pub fn shut(&self) {
        self.0.send_replace(false);
    }

    pub fn reopen(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        self.0.subscribe().wait_for(|is_open| *is_open).await.unwrap();
    }
}

pub struct Proxy {
    /// The administrator's kubeconfig, with the way through here.
    pub kubeconfig: PathBuf,
}

impl Proxy {
    /// Serves until the test ends, which must have more than one thread: some helpers block theirs.
    pub async fn start(decide: impl Fn(&Parts) -> Fate + Send + Sync + 'static) -> Self {
        let mut config = Config::infer().await.unwrap();
        // What the server answers is for the operator to heed.
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let decide = Arc::new(decide);
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let (client, decide) = (client.clone(), decide.clone());
            async move {
                let (parts, body) = request.into_parts();
                let fate = decide(&parts);
                pass(&client, fate, parts, body).await
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { kubeconfig: super::kubeconfig("proxy", Some(&address), None) }
    }
}

/// Whether a request changes something.
pub fn is_write(parts: &Parts) -> bool {
    parts.method != Method::GET
}

/// Whether it stays open until somebody has had enough.
pub fn is_watch(parts: &Parts) -> bool {
    parts.uri.query().is_some_and(|query| query.contains("watch=true"))
}

async fn pass(client: &Client, fate: Fate, parts: Parts, body: Body) -> Response {
    match fate {
        Fate::Passes => forward(client, parts, body).await,
        Fate::Waits(time) => {
            tokio::time::sleep(time).await;
            forward(client, parts, body).await
        }
        Fate::Gated(gate) => forward(client, parts, body).await.map(|body| {
            let behind = body.into_data_stream().then(async |chunk| {
                gate.pass().await;
                chunk
            });
            Body::from_stream(behind)
        }),
        Fate::Refused(code) => {
            let code = StatusCode::from_u16(code).unwrap();
            let another_time = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if another_time { (code, [(RETRY_AFTER, "1")]).into_response() } else { code.into_response() }
        }
        Fate::CutOff => {
            forward(client, parts, body).await;
            let broken = futures::stream::once(async { Err::<Vec<u8>, _>(std::io::Error::other("cut off")) });
            Body::from_stream(broken).into_response()
        }
        Fate::Lost => pending().await,
        Fate::Unanswered => {
            forward(client, parts, body).await;
            pending().await
        }
    }
}

async fn forward(client: &Client, mut parts: Parts, body: Body) -> Response {
    // They are this side's to say.
    for name in [HOST, AUTHORIZATION, CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    let Ok(body) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    match client.send(Request::from_parts(parts, body.to_vec().into())).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
