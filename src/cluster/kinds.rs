//! Which kinds the server serves, found at run time and remembered. One small request for each group and
//! version; a kind that was not there is looked for again after a few seconds, since its definition may come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::failure::{Asked, Failure, Finding};
use super::request::{Call, version_path};
use super::{Cluster, lock};
use crate::logic::object::{GroupKind, Kind};

/// How long a kind that was not found is taken to be missing still.
const MISSING_FOR: Duration = Duration::from_secs(5);
/// Versions remembered; their names come from templates.
const MOST_VERSIONS: usize = 1000;
/// What we do with objects of a kind.
const NEEDED: [&str; 4] = ["get", "list", "patch", "delete"];

/// Why a kind cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// The server does not serve it.
    #[error("the server does not know the kind {kind} in {api_version}")]
    Unknown {
        /// As the template says.
        api_version: String,
        /// As the template says.
        kind: String,
    },
    /// It is served, but its objects cannot be applied, listed and deleted.
    #[error("objects of the kind {kind} in {api_version} cannot be kept: the server does not offer to {missing} them")]
    NotKept {
        /// As the template says.
        api_version: String,
        /// As the template says.
        kind: String,
        /// The verb that is missing.
        missing: &'static str,
    },
    /// The server did not tell.
    #[error("could not ask for the kinds: {0}")]
    Discovery(Failure),
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Kinds {
    versions: Mutex<HashMap<String, Slot>>,
}

/// One version of one group. The lock makes those who ask for the same wait for one request.
type Slot = Arc<tokio::sync::Mutex<Option<Found>>>;

struct Found {
    at: Instant,
    /// None: the server does not serve this version.
    kinds: Option<HashMap<String, Served>>,
}

#[derive(Clone)]
struct Served {
    kind: Arc<Kind>,
    missing: Option<&'static str>,
}

#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct GroupList {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<Version>,
    preferred_version: Option<Version>,
}

#[derive(Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: String,
}

impl Kinds {
    fn slot(&self, api_version: &str) -> Slot {
        let mut versions = lock(&self.versions);
        if versions.len() >= MOST_VERSIONS && !versions.contains_key(api_version) {
            versions.clear();
        }
        versions.entry(api_version.to_owned()).or_default().clone()
    }

    /// A server that has not this path serves this kind no longer: look again next time.
    pub(super) fn forget_if_gone(&self, failure: &Failure, kind: &Kind) {
        if failure.finding() == Finding::NoKind {
            lock(&self.versions).remove(&kind.api_version());
        }
    }
}

impl Cluster {
    /// The kind a template means.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Arc<Kind>, KindError> {
        let unknown = || KindError::Unknown { api_version: api_version.into(), kind: kind.into() };
        if api_version.is_empty() || api_version.split('/').count() > 2 || api_version.split('/').any(str::is_empty) {
            return Err(unknown());
        }
        let found = self.find(api_version, kind).await.map_err(KindError::Discovery)?;
        match found.flatten().ok_or_else(unknown)? {
            Served { kind, missing: None } => Ok(kind),
            Served { missing: Some(missing), .. } => {
                Err(KindError::NotKept { api_version: api_version.into(), kind: kind.into(), missing })
            }
        }
    }

    /// The kind in whatever version it is served, the preferred one first. None only if the server says of every
    /// version of the group that it has no such kind; where it does not answer for one, that is an error.
    pub async fn served(&self, kind: &GroupKind) -> Result<Option<Arc<Kind>>, Failure> {
        if kind.group.is_empty() {
            return Ok(self.find("v1", &kind.kind).await?.flatten().map(|served| served.kind));
        }
        if let Some(known) = self.known(kind) {
            return Ok(Some(known));
        }
        let asked = Asked { verb: "get", resource: "/apis".into(), namespace: None };
        let groups: GroupList = self.call_as_operator(Call::get("/apis".into(), asked)).await?.read()?;
        let Some(group) = groups.groups.into_iter().find(|group| group.name == kind.group) else { return Ok(None) };
        let preferred = group.preferred_version.clone();
        let others = group.versions.into_iter().filter(|version| Some(version) != preferred.as_ref());
        for version in preferred.iter().cloned().chain(others) {
            match self.find(&version.group_version, &kind.kind).await? {
                Some(Some(served)) => return Ok(Some(served.kind)),
                Some(None) => {}
                // Listed and yet not there: the server is just learning or forgetting it.
                None => return Err(Failure::Unreadable),
            }
        }
        Ok(None)
    }

    /// A kind found before in any version. That it may be gone by now, its first use tells.
    fn known(&self, kind: &GroupKind) -> Option<Arc<Kind>> {
        let versions = lock(&self.shared.kinds.versions);
        let of_group = versions
            .iter()
            .filter(|(version, _)| version.split_once('/').is_some_and(|(group, _)| group == kind.group));
        of_group
            .filter_map(|(_, slot)| Some(slot.try_lock().ok()?.as_ref()?.kinds.as_ref()?.get(&kind.kind)?.kind.clone()))
            .next()
    }

    /// None: no such version. Some(None): no such kind in it.
    async fn find(&self, api_version: &str, kind: &str) -> Result<Option<Option<Served>>, Failure> {
        let slot = self.shared.kinds.slot(api_version);
        let mut found = slot.lock().await;
        if let Some(found) = found.as_ref() {
            let served = found.kinds.as_ref().map(|kinds| kinds.get(kind).cloned());
            if matches!(served, Some(Some(_))) || found.at.elapsed() < MISSING_FOR {
                return Ok(served);
            }
        }
        let asked = Asked { verb: "get", resource: version_path(api_version), namespace: None };
        let kinds = match self.call_as_operator(Call::get(version_path(api_version), asked)).await {
            Ok(answer) => Some(served(api_version, answer.read()?)),
            Err(failure) if failure.is_not_found() => None,
            Err(failure) => return Err(failure),
        };
        let served = kinds.as_ref().map(|kinds| kinds.get(kind).cloned());
        *found = Some(Found { at: Instant::now(), kinds });
        Ok(served)
    }
}

fn served(api_version: &str, list: ResourceList) -> HashMap<String, Served> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    // A name with a slash is a subresource.
    let resources = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
    let served = |resource: Resource| {
        let missing = NEEDED.into_iter().find(|verb| !resource.verbs.iter().any(|has| has == verb));
        let group_kind = GroupKind { group: group.into(), kind: resource.kind };
        let name = group_kind.kind.clone();
        let kind = Kind {
            group_kind: group_kind.into(),
            version: version.into(),
            plural: resource.name,
            namespaced: resource.namespaced,
        };
        (name, Served { kind: Arc::new(kind), missing })
    };
    resources.map(served).collect()
}
