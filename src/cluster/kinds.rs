//! Which kinds the server serves, found at run time and remembered. One small request for each group and
//! version; a kind that was not there is looked for again after a few seconds, since its definition may come.

use std::collections::{HashMap, HashSet};
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

/// The kinds of one version by name.
type Offered = Option<Arc<HashMap<String, Served>>>;

struct Found {
    at: Instant,
    /// None: the server does not serve this version.
    kinds: Offered,
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

impl Group {
    /// The preferred version first.
    fn versions(self) -> impl Iterator<Item = Version> {
        let Self { versions, preferred_version: preferred, .. } = self;
        let others = versions.into_iter().filter({
            let preferred = preferred.clone();
            move |version| Some(version) != preferred.as_ref()
        });
        preferred.into_iter().chain(others)
    }
}

/// What the server serves.
#[derive(Debug, Default)]
pub struct AllKinds {
    /// The kinds whose objects can be kept, each in one version.
    pub kinds: Vec<Arc<Kind>>,
    /// The groups and versions that nothing is known of, as whoever serves them does not answer.
    pub unknown: Vec<String>,
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
        let groups = self.groups().await?;
        let Some(group) = groups.into_iter().find(|group| group.name == kind.group) else { return Ok(None) };
        for version in group.versions() {
            match self.find(&version.group_version, &kind.kind).await? {
                Some(Some(served)) => return Ok(Some(served.kind)),
                Some(None) => {}
                // Listed and yet not there: the server is just learning or forgetting it.
                None => return Err(Failure::Unreadable),
            }
        }
        Ok(None)
    }

    /// The same for a kind that is no longer served in the version it was found in.
    pub async fn served_instead(&self, kind: &Kind) -> Result<Option<Arc<Kind>>, Failure> {
        lock(&self.shared.kinds.versions).remove(&kind.api_version());
        self.served(&kind.group_kind).await
    }

    /// Every kind whose objects can be kept. One aggregated API that is down keeps nobody from knowing the rest.
    pub async fn all_kinds(&self) -> Result<AllKinds, Failure> {
        let (mut all, mut seen) = (AllKinds::default(), HashSet::new());
        let of_groups = self.groups().await?.into_iter().flat_map(Group::versions).map(|version| version.group_version);
        for version in ["v1".to_owned()].into_iter().chain(of_groups) {
            let offered = match self.offered(&version, None).await {
                Err(failure) if version != "v1" && failure.code().is_some_and(|code| code >= 500) => {
                    all.unknown.push(version);
                    continue;
                }
                offered => offered?,
            };
            let kept = offered.iter().flat_map(|kinds| kinds.values()).filter(|served| served.missing.is_none());
            all.kinds
                .extend(kept.map(|served| served.kind.clone()).filter(|kind| seen.insert(kind.group_kind.clone())));
        }
        Ok(all)
    }

    async fn groups(&self) -> Result<Vec<Group>, Failure> {
        let asked = Asked { verb: "get", resource: "/apis".into(), namespace: None };
        Ok(self.call_as_operator(Call::get("/apis".into(), asked)).await?.read::<GroupList>()?.groups)
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
        let offered = self.offered(api_version, Some(kind)).await?;
        Ok(offered.map(|kinds| kinds.get(kind).cloned()))
    }

    /// The kinds of a version; what is remembered is good enough where the wanted kind is among them.
    async fn offered(&self, api_version: &str, wanted: Option<&str>) -> Result<Offered, Failure> {
        let slot = self.shared.kinds.slot(api_version);
        let mut found = slot.lock().await;
        if let Some(found) = found.as_ref() {
            let has_it = wanted.is_some_and(|kind| found.kinds.as_ref().is_some_and(|kinds| kinds.contains_key(kind)));
            if has_it || found.at.elapsed() < MISSING_FOR {
                return Ok(found.kinds.clone());
            }
        }
        let asked = Asked { verb: "get", resource: version_path(api_version), namespace: None };
        let kinds = match self.call_as_operator(Call::get(version_path(api_version), asked)).await {
            Ok(answer) => Some(Arc::new(served(api_version, answer.read()?))),
            Err(failure) if failure.is_not_found() => None,
            Err(failure) => return Err(failure),
        };
        *found = Some(Found { at: Instant::now(), kinds: kinds.clone() });
        Ok(kinds)
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
