//! Watches: of the DatabaseQueryResources, and of Secrets, accounts and objects by their metadata alone.

use std::fmt::{self, Debug};

use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};

use super::Cluster;
use crate::crd::DatabaseQueryResource;
use crate::logic::object::{Kind, LABEL_NAME};

/// What a watch failed of, without the server's words. It is tried again with growing delays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchError {
    /// The HTTP status, where the server answered.
    pub code: Option<u16>,
    /// What was asked for: `list` or `watch`.
    pub verb: &'static str,
}

impl WatchError {
    /// Whether nothing is known any more until the next listing. Else the watch goes on where it was, and does not
    /// tell when.
    pub fn is_lost(&self) -> bool {
        self.verb == "list" || self.is_unserved()
    }

    /// Whether the server does not know the kind.
    pub fn is_unserved(&self) -> bool {
        self.code == Some(404)
    }
}

impl Cluster {
    /// The DatabaseQueryResources of a namespace, or of all. Read as they are stored: one that does not decode
    /// ends nobody's watch.
    pub fn watch_resources(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = Result<Event<DynamicObject>, WatchError>> + Send + use<> {
        let kind = ApiResource::erase::<DatabaseQueryResource>(&());
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.watch_client().clone(), namespace, &kind),
            None => Api::all_with(self.watch_client().clone(), &kind),
        };
        in_short(watcher(api, watcher::Config::default()).default_backoff())
    }

    /// The Secrets of a namespace, or of all: metadata only, their data is read when it is needed.
    pub fn watch_secrets(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = Result<Event<PartialObjectMeta<Secret>>, WatchError>> + Send + use<> {
        self.watch_metadata(namespace)
    }

    /// The ServiceAccounts of a namespace, or of all: that they are there.
    pub fn watch_accounts(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = Result<Event<PartialObjectMeta<ServiceAccount>>, WatchError>> + Send + use<> {
        self.watch_metadata(namespace)
    }

    fn watch_metadata<K>(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = Result<Event<PartialObjectMeta<K>>, WatchError>> + Send + use<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
    {
        let api: Api<PartialObjectMeta<K>> = match namespace {
            Some(namespace) => Api::namespaced(self.watch_client().clone(), namespace),
            None => Api::all(self.watch_client().clone()),
        };
        in_short(watcher(api, watcher::Config::default()).default_backoff())
    }
}

impl Cluster {
    /// The metadata of all objects of a kind that carry our labels, whoever put them on, in a namespace or in all.
    pub fn watch_objects(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> impl Stream<Item = Result<Event<PartialObjectMeta<DynamicObject>>, WatchError>> + Send + use<> {
        let gvk = GroupVersionKind::gvk(&kind.group_kind.group, &kind.version, &kind.group_kind.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &kind.plural);
        let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
            Some(namespace) => Api::namespaced_with(self.watch_client().clone(), namespace, &resource),
            None => Api::all_with(self.watch_client().clone(), &resource),
        };
        let config = watcher::Config::default().labels(LABEL_NAME);
        in_short(watcher(api, config).default_backoff())
    }
}

fn in_short<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
) -> impl Stream<Item = Result<Event<K>, WatchError>> + Send {
    events.map(|event| event.map_err(|error| WatchError::from(&error)))
}

impl From<&watcher::Error> for WatchError {
    fn from(error: &watcher::Error) -> Self {
        use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
        let (code, verb) = match error {
            InitialListFailed(kube::Error::Api(status)) => (Some(status.code), "list"),
            WatchStartFailed(kube::Error::Api(status)) | WatchFailed(kube::Error::Api(status)) => {
                (Some(status.code), "watch")
            }
            WatchError(status) => (Some(status.code), "watch"),
            InitialListFailed(_) | NoResourceVersion => (None, "list"),
            WatchStartFailed(_) | WatchFailed(_) => (None, "watch"),
        };
        Self { code, verb }
    }
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(403) => write!(f, "not allowed to {} them", self.verb),
            Some(404) => f.write_str("the server does not serve them"),
            Some(code) => write!(f, "the server answers {code}"),
            None => f.write_str("no connection to the API server"),
        }
    }
}
