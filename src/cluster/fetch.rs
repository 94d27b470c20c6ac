//! Reads Secrets. Their data is handed on and stored nowhere.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde::Deserialize;

use super::Cluster;
use super::failure::Failure;
use super::request::{Call, asked, object_path};
use crate::logic::object::{GroupKind, Kind, ObjectId};

/// Why a Secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// There is none of that name.
    #[error("the Secret {0} does not exist")]
    NotFound(String),
    /// The operator may not read it.
    #[error("the operator is not allowed to read the Secret {0}")]
    Forbidden(String),
    /// Anything else.
    #[error("the Secret {0} could not be read: {1}")]
    Failed(String, Failure),
}

impl FetchError {
    /// Word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "SecretNotFound",
            Self::Forbidden(_) => "SecretForbidden",
            Self::Failed(..) => "SecretUnreadable",
        }
    }
}

#[derive(Deserialize)]
struct Data {
    data: Option<BTreeMap<String, ByteString>>,
}

impl Cluster {
    /// The data of a Secret.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, ByteString>, FetchError> {
        let group_kind = GroupKind { group: String::new(), kind: "Secret".into() };
        let id = ObjectId { kind: group_kind.clone().into(), namespace: Some(namespace.into()), name: name.into() };
        let kind =
            Kind { group_kind: group_kind.into(), version: "v1".into(), plural: "secrets".into(), namespaced: true };
        let shown = || format!("{namespace}/{name}");
        let answer =
            self.call_as_operator(Call::get(object_path(&kind, &id), asked("get", &kind, Some(namespace)))).await;
        match answer.and_then(|answer| answer.read::<Data>()) {
            Ok(secret) => Ok(secret.data.unwrap_or_default()),
            Err(failure) if failure.is_not_found() => Err(FetchError::NotFound(shown())),
            Err(failure) if failure.is_forbidden() => Err(FetchError::Forbidden(shown())),
            Err(failure) => Err(FetchError::Failed(shown(), failure)),
        }
    }
}
