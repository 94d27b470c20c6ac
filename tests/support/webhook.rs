//! A real admission webhook: an HTTPS server that is asked about every write to ConfigMaps of one namespace, and answers
//! as a function of the request.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::admission::lift;
use super::certificates::{Authority, local};
use super::world::{PATIENCE, World};
use super::{before_leaving, eventually, free_port};

/// What it is called in refusals.
pub const NAME: &str = "webhook.example.com";
/// Longer than this the API server does not wait for it.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// A name by which it is found out whether the API server asks.
const PROBE: &str = "probe-of-the-webhook";

/// What it says to a request.
pub enum Verdict {
    Allow,
    /// With an HTTP status and words.
    Deny(u16, String),
    /// Allowed, with these operations of a JSON patch.
    Mutate(Value),
    /// The same so much later.
    Late(Duration, Box<Verdict>),
}

/// A write that it was asked about.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: String,
    pub name: String,
    /// Field manager; empty of a deletion.
    pub by: String,
    pub is_dry: bool,
}

type Judge = dyn Fn(&Value) -> Verdict + Send + Sync;

struct Shared {
    judge: Box<Judge>,
    asked: Mutex<Vec<Asked>>,
}

/// Asked until it is lifted.
pub struct Webhook {
    client: Client,
    config_maps: Api<ConfigMap>,
    name: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Webhook {
    /// One that allows or denies. Serves until the test ends, which must have more than one thread. `judge` gets the
    /// `AdmissionRequest`.
    pub async fn validating(world: &World, judge: impl Fn(&Value) -> Verdict + Send + Sync + 'static) -> Self {
        Self::asked_by::<ValidatingWebhookConfiguration>(world, Box::new(judge)).await
    }

    /// One that may change what is written as well.
    pub async fn mutating(world: &World, judge: impl Fn(&Value) -> Verdict + Send + Sync + 'static) -> Self {
        Self::asked_by::<MutatingWebhookConfiguration>(world, Box::new(judge)).await
    }

    async fn asked_by<K>(world: &World, judge: Box<Judge>) -> Self
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
    {
        let (webhook, configuration) = Self::serve(world, judge).await;
        let api: Api<K> = Api::all(world.client.clone());
        api.create(&PostParams::default(), &serde_json::from_value(configuration).unwrap()).await.unwrap();
        webhook.until_asked(true).await;
        webhook
    }

    async fn serve(world: &World, judge: Box<Judge>) -> (Self, Value) {
        let authority = Authority::new("webhooks");
        let pair = authority.signs(&local());
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let listener = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(tls)) };
        let shared = Arc::new(Shared { judge, asked: Mutex::default() });
        let app = Router::new().route("/", post(answer)).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let name = world.namespace.name().to_owned();
        let configuration = json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": NAME, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "timeoutSeconds": TIMEOUT.as_secs(),
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"),
                    "caBundle": BASE64_STANDARD.encode(authority.certificate),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                    "operations": ["CREATE", "UPDATE", "DELETE"]}],
            }],
        });
        (Self { client: world.client.clone(), config_maps: world.config_maps(), name, shared, server }, configuration)
    }

    /// Waits until the API server asks, or does not ask any more: it takes a moment to heed a configuration.
    async fn until_asked(&self, is_asked: bool) {
        let probe = serde_json::from_value(json!({"metadata": {"name": PROBE}})).unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        eventually(&format!("the webhook is asked: {is_asked}"), PATIENCE, async || {
            let before = self.shared.asked.lock().unwrap().len();
            let _ = self.config_maps.create(&dry, &probe).await;
            let asked = self.shared.asked.lock().unwrap();
            let now = asked[before..].iter().any(|asked| asked.name == PROBE);
            (now == is_asked).then_some(())
        })
        .await;
    }

    /// What it was asked of one object so far, dry runs aside.
    pub fn asked_of(&self, name: &str) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.name == name && !asked.is_dry).cloned().collect()
    }

    /// How many writes it was asked about so far, dry runs aside; also those that came to nothing.
    pub fn writes(&self) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|asked| !asked.is_dry).count()
    }

    /// It is asked no more.
    pub async fn lift(self) {
        lift(&self.client, &self.name).await;
        self.until_asked(false).await;
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let name = self.name.clone();
        before_leaving(async move {
            if let Ok(client) = Client::try_default().await {
                lift(&client, &name).await;
            }
        });
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, review: Bytes) -> Response {
    let review: Value = serde_json::from_slice(&review).unwrap();
    let request = &review["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    shared.asked.lock().unwrap().push(Asked {
        operation: text(&request["operation"]),
        name: text(&request["name"]),
        by: text(&request["options"]["fieldManager"]),
        is_dry: request["dryRun"] == true,
    });
    let mut verdict = if request["name"] == PROBE { Verdict::Allow } else { (shared.judge)(request) };
    while let Verdict::Late(time, then) = verdict {
        tokio::time::sleep(time).await;
        verdict = *then;
    }
    let mut response = json!({"uid": request["uid"], "allowed": true});
    match verdict {
        Verdict::Deny(code, message) => {
            response["allowed"] = json!(false);
            response["status"] = json!({"code": code, "message": message});
        }
        Verdict::Mutate(patch) => {
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(BASE64_STANDARD.encode(patch.to_string()));
        }
        Verdict::Allow | Verdict::Late(..) => {}
    }
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    ([(CONTENT_TYPE, "application/json")], review.to_string()).into_response()
}

/// Accepts connections of clients that trust its certificate.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
