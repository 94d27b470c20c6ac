//! Reads and writes the Lease that says which process works, and finds out whether one has worked. Its requests go through
//! a client of their own: they wait behind nothing, and they alone may be made by a process that is not working.

use http::Method;
use k8s_openapi::api::coordination::v1::Lease;

use super::failure::Failure;
use super::inventory::{Listed, list_page};
use super::request::{Call, asked, list_path, object_path};
use super::{Cluster, status};
use crate::logic::object::{FINALIZER, GroupKind, Kind, ObjectId};

fn leases() -> Kind {
    let group_kind = GroupKind { group: "coordination.k8s.io".into(), kind: "Lease".into() };
    Kind { group_kind: group_kind.into(), version: "v1".into(), plural: "leases".into(), namespaced: true }
}

impl Cluster {
    /// The Lease as it is; None where there is none.
    pub async fn lease(&self, namespace: &str, name: &str) -> Result<Option<Lease>, Failure> {
        let id = ObjectId { kind: leases().group_kind, namespace: Some(namespace.into()), name: name.into() };
        match self.ask_aside(Call::get(object_path(&leases(), &id), asked("get", &leases(), Some(namespace)))).await {
            Ok(answer) => Ok(Some(answer.read()?)),
            Err(failure) if failure.is_no_object() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether a process may have worked on resources of this namespace, or of all: one of them carries our finalizer.
    /// Who may not look has to believe it.
    pub async fn has_been_led(&self, namespace: Option<&str>) -> Result<bool, Failure> {
        let kind = status::resource();
        let mut next = None;
        loop {
            let call = Call { compressed: false, ..list_page(&kind, namespace, None, next.as_deref()) };
            let page = match self.ask_aside(call).await {
                Ok(answer) => Listed::read(&answer)?,
                Err(failure) if failure.is_forbidden() => return Ok(true),
                Err(failure) if failure.is_not_found() => return Ok(false),
                Err(failure) => return Err(failure),
            };
            let finalizers = page.items.iter().filter_map(|item| item.metadata.finalizers.as_ref()).flatten();
            if finalizers.into_iter().any(|finalizer| finalizer == FINALIZER) {
                return Ok(true);
            }
            next = match page.next {
                Some(more) => Some(more),
                None => return Ok(false),
            };
        }
    }

    /// Writes the Lease, if it still is as it was read; one that was not read is created. Returns it as stored, None
    /// where somebody was faster. It is tried once: what it means if it comes late is the caller's to judge.
    pub async fn write_lease(&self, namespace: &str, name: &str, lease: &Lease) -> Result<Option<Lease>, Failure> {
        let (kind, mut lease) = (leases(), lease.clone());
        let (namespace, creates) = (Some(namespace), lease.metadata.resource_version.is_none());
        lease.metadata.name = Some(name.into());
        let id = ObjectId { kind: kind.group_kind.clone(), namespace: namespace.map(Into::into), name: name.into() };
        let (method, path, verb) = match creates {
            true => (Method::POST, list_path(&kind, namespace), "create"),
            false => (Method::PUT, object_path(&kind, &id), "update"),
        };
        let body = serde_json::to_vec(&lease).map_err(|_| Failure::Unreadable)?.into();
        let call = Call { method, body, ..Call::get(path, asked(verb, &kind, namespace)) };
        match self.ask_aside(call).await {
            Ok(answer) => Ok(Some(answer.read()?)),
            Err(failure) if failure.code() == Some(409) || (failure.is_not_found() && !creates) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
