//! Watches: of the DatabaseQueryResources, and of Secrets by their metadata alone.

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};

use super::Cluster;
use crate::crd::DatabaseQueryResource;

impl Cluster {
    /// The DatabaseQueryResources of a namespace, or of all. Read as they are stored: one that does not decode
    /// ends nobody's watch. Errors are logged and tried again with growing delays.
    pub fn watch_resources(&self, namespace: Option<&str>) -> impl Stream<Item = Event<DynamicObject>> + Send + use<> {
        let kind = ApiResource::erase::<DatabaseQueryResource>(&());
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.watch_client().clone(), namespace, &kind),
            None => Api::all_with(self.watch_client().clone(), &kind),
        };
        logged("DatabaseQueryResources", watcher(api, watcher::Config::default()).default_backoff())
    }

    /// The Secrets of a namespace, or of all: metadata only, their data is read when it is needed.
    pub fn watch_secrets(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = Event<PartialObjectMeta<Secret>>> + Send + use<> {
        let api: Api<PartialObjectMeta<Secret>> = match namespace {
            Some(namespace) => Api::namespaced(self.watch_client().clone(), namespace),
            None => Api::all(self.watch_client().clone()),
        };
        logged("Secrets", watcher(api, watcher::Config::default()).default_backoff())
    }
}

fn logged<K>(
    what: &'static str,
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
) -> impl Stream<Item = Event<K>> + Send
where
    K: Send,
{
    events.filter_map(move |event| {
        std::future::ready(event.inspect_err(|error| tracing::warn!("watch of {what}: {}", in_short(error))).ok())
    })
}

/// What went wrong, without the server's words.
fn in_short(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match error {
            kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
            _ => "no connection to the API server".to_owned(),
        },
        WatchError(status) => format!("{} {}", status.code, status.reason),
        NoResourceVersion => "the server lists without a version".to_owned(),
    }
}
