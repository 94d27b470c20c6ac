//! One request to the API server: its address, its deadline, its few retries. The body goes out as it is and
//! comes back unparsed, so that the HTTP status is seen, nothing is serialised twice, and kube logs no answer.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::failure::{Asked, Failure, Finding, Refused};
use super::{ANSWER_WITHIN, Cluster, refusal};
use crate::logic::account::Account;
use crate::logic::object::{Kind, ObjectId};

/// Tries of one request, and the time for all of them.
const TRIES: u32 = 3;
const ALL_TRIES_WITHIN: Duration = Duration::from_secs(60);

/// Asks for metadata alone; a server that cannot may send the whole object.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9";
pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.9";
const IMPERSONATE_USER: &str = "Impersonate-User";
pub(super) const JSON: &str = "application/json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";
pub(super) const MERGE: &str = "application/merge-patch+json";

/// Bytes of a path that stand for themselves. Names may come from rows: none may lead elsewhere.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What to ask.
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    pub content_type: &'static str,
    pub accept: &'static str,
    pub asked: Asked,
    /// Whether asking twice is as good as asking once.
    pub repeatable: bool,
    pub compressed: bool,
}

/// What came back: always a success.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// The part of an object that is asked for most.
#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub metadata: ObjectMeta,
}

impl Call {
    pub fn get(path: String, asked: Asked) -> Self {
        let (method, body) = (Method::GET, Bytes::new());
        Self { method, path, body, content_type: JSON, accept: JSON, asked, repeatable: true, compressed: false }
    }

    /// The metadata of one object.
    pub fn metadata(kind: &Kind, id: &ObjectId) -> Self {
        Self { accept: METADATA, ..Self::get(object_path(kind, id), asked("get", kind, id.namespace.as_deref())) }
    }

    pub fn patch(path: String, content_type: &'static str, body: impl Into<Bytes>, asked: Asked) -> Self {
        Self { method: Method::PATCH, body: body.into(), content_type, ..Self::get(path, asked) }
    }
}

impl Answer {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        // The parser's error may quote what it read.
        serde_json::from_slice(&self.body).map_err(|_| Failure::Unreadable)
    }
}

impl Cluster {
    /// Asks for what objects need, in the name of the account if there is one; and asks again where that is harmless
    /// and the server only had no time, or failed at being read.
    pub(super) async fn call(&self, call: Call) -> Result<Answer, Failure> {
        self.call_as(self.account.as_ref(), call).await
    }

    /// The same in the operator's own name, whatever account there is: for what is nobody else's to do.
    pub(super) async fn call_as_operator(&self, call: Call) -> Result<Answer, Failure> {
        self.call_as(None, call).await
    }

    async fn call_as(&self, account: Option<&Arc<Account>>, call: Call) -> Result<Answer, Failure> {
        let deadline = Instant::now() + ALL_TRIES_WITHIN;
        let is_read = call.method == Method::GET;
        let mut tries = 1;
        loop {
            let failure = match try_once(self.client(), &call, account).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = match &failure {
                // Refused before anything happened.
                Failure::Refused(refused) if refused.code == 429 => refused.retry_after,
                Failure::Refused(refused) if call.repeatable && matches!(refused.code, 503 | 504) => {
                    refused.retry_after
                }
                // Many reads stand at the begin of a pass, and each that fails would be the end of it.
                Failure::Unreachable(_) if is_read => None,
                Failure::Refused(refused) if is_read && refused.code >= 500 && refused.finding == Finding::None => None,
                // The server gave up among other writers of the same object.
                Failure::Refused(refused)
                    if call.repeatable
                        && refused.code == 409
                        && refused.is_write_conflict()
                        && call.content_type == APPLY =>
                {
                    None
                }
                _ => return Err(failure),
            };
            let wait = wait.unwrap_or(Duration::from_millis(100 << tries));
            if tries == TRIES || Instant::now() + wait >= deadline {
                return Err(failure);
            }
            tries += 1;
            sleep(wait).await;
        }
    }

    /// Asks once, and also where this process does not work.
    pub(super) async fn ask_aside(&self, call: Call) -> Result<Answer, Failure> {
        try_once(&self.aside, &call, None).await
    }

    /// The metadata of one object, None where it does not exist.
    pub(super) async fn metadata(&self, kind: &Kind, id: &ObjectId) -> Result<Option<ObjectMeta>, Failure> {
        match self.call(Call::metadata(kind, id)).await {
            Ok(answer) => Ok(Some(answer.read::<Metadata>()?.metadata)),
            // An unserved kind is no proof that nothing is there: the caller's view of kinds is stale.
            Err(failure) if failure.is_no_object() => Ok(None),
            Err(failure) => {
                self.shared.kinds.forget_if_gone(&failure, kind);
                Err(failure)
            }
        }
    }
}

async fn try_once(client: &Client, call: &Call, account: Option<&Arc<Account>>) -> Result<Answer, Failure> {
    timeout(ANSWER_WITHIN, send(client, call, account)).await.unwrap_or(Err(Failure::Timeout))
}

async fn send(client: &Client, call: &Call, account: Option<&Arc<Account>>) -> Result<Answer, Failure> {
    let mut request = Request::builder().method(call.method.clone()).uri(&call.path).header(ACCEPT, call.accept);
    if !call.body.is_empty() {
        request = request.header(CONTENT_TYPE, call.content_type);
    }
    if let Some(account) = account {
        // Alone: for groups of a ServiceAccount that are named as well, the operator would need more rights.
        request = request.header(IMPERSONATE_USER, account.user());
    }
    if !call.compressed {
        request = request.header(ACCEPT_ENCODING, "identity");
    }
    let request = request.body(Body::from(call.body.clone())).map_err(|_| Failure::Unreadable)?;
    let response = client.send(request).await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    let body = response.into_body().collect().await.map_err(|error| unreachable(&error))?.to_bytes();
    if status.is_success() {
        return Ok(Answer { status, body });
    }
    let refused = refusal::read(status.as_u16(), &body, retry_after, call.asked.clone());
    Err(Failure::Refused(Box::new(Refused { account: account.cloned(), ..refused })))
}

/// What kind of network error this is. Its own words may hold anything.
fn unreachable(error: &kube::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return Failure::Unreachable("connection refused"),
                std::io::ErrorKind::TimedOut => return Failure::Timeout,
                std::io::ErrorKind::InvalidData => return Failure::Unreachable("TLS or protocol error"),
                _ => {}
            }
        }
        cause = error.source();
    }
    match error {
        kube::Error::Auth(_) => Failure::Unreachable("our credentials could not be had"),
        _ => Failure::Unreachable("the connection failed"),
    }
}

/// What an RBAC rule would have to allow.
pub(super) fn asked(verb: &'static str, kind: &Kind, namespace: Option<&str>) -> Asked {
    let group = &kind.group_kind.group;
    let resource = if group.is_empty() { kind.plural.clone() } else { format!("{}.{group}", kind.plural) };
    Asked { verb, resource, namespace: namespace.map(Into::into) }
}

/// The URL path of all objects of a kind, or of those in a namespace.
pub(super) fn list_path(kind: &Kind, namespace: Option<&str>) -> String {
    let mut path = version_path(&kind.api_version());
    if let (true, Some(namespace)) = (kind.namespaced, namespace) {
        let _ = write!(path, "/namespaces/{}", encoded(namespace));
    }
    let _ = write!(path, "/{}", encoded(&kind.plural));
    path
}

/// The URL path of one object.
pub(super) fn object_path(kind: &Kind, id: &ObjectId) -> String {
    format!("{}/{}", list_path(kind, id.namespace.as_deref()), encoded(&id.name))
}

/// `/api/v1` or `/apis/apps/v1`.
pub(super) fn version_path(api_version: &str) -> String {
    match api_version.split_once('/') {
        None => format!("/api/{}", encoded(api_version)),
        Some((group, version)) => format!("/apis/{}/{}", encoded(group), encoded(version)),
    }
}

pub(super) fn encoded(text: &str) -> impl std::fmt::Display {
    // A dot or two alone are steps in a path, even encoded.
    let text = if matches!(text, "." | ".." | "") { "%" } else { text };
    utf8_percent_encode(text, PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::GroupKind;

    #[test]
    fn a_name_from_a_row_leads_nowhere_else() {
        let group_kind = GroupKind { group: "apps".into(), kind: "Deployment".into() };
        let kind = Kind {
            group_kind: group_kind.clone().into(),
            version: "v1".into(),
            plural: "deployments".into(),
            namespaced: true,
        };
        let path = |namespace: &str, name: &str| {
            object_path(
                &kind,
                &ObjectId { kind: Arc::new(group_kind.clone()), namespace: Some(namespace.into()), name: name.into() },
            )
        };
        assert_eq!(path("n", "a.b"), "/apis/apps/v1/namespaces/n/deployments/a.b");
        assert_eq!(
            path("n/../m", "x?dryRun=All#"),
            "/apis/apps/v1/namespaces/n%2F..%2Fm/deployments/x%3FdryRun%3DAll%23"
        );
        assert_eq!(path("..", ""), "/apis/apps/v1/namespaces/%25/deployments/%25");
    }
}
