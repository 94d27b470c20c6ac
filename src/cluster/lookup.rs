//! First contact: what exists under names that are about to be used. Single GETs where they are few, else a
//! paged LIST of the namespace, of which only the wanted names are kept.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::OnceCell;

use super::Cluster;
use super::failure::Failure;
use super::status;
use crate::logic::object::{Kind, Known, ObjectId, Owner, Ownership, owner_labels, owner_uid, ownership};

/// Up to so many names, asking for each is cheaper than one page.
const FEW: usize = 8;
/// A page costs about as much as so many GETs.
const GETS_PER_PAGE: usize = 16;
/// GETs in flight.
const AT_ONCE: usize = 16;

type Existing = HashMap<ObjectId, (Known, Ownership)>;

/// For whom objects are looked up, and, once it matters, all DatabaseQueryResources that there are; none where we may not
/// list them all. For one pass: they come and go.
pub struct Onlooker<'a> {
    owner: &'a Owner,
    living: OnceCell<Option<Living>>,
}

/// All DatabaseQueryResources that there are.
#[derive(Default)]
struct Living {
    uids: HashSet<String>,
    /// The labels of their objects: of the name, and of the namespace.
    labels: HashSet<(String, String)>,
}

impl Living {
    fn add(&mut self, meta: ObjectMeta) {
        let (name, namespace, uid) = (meta.name, meta.namespace, meta.uid.unwrap_or_default());
        let owner = Owner { name: name.unwrap_or_default(), namespace: namespace.unwrap_or_default(), uid };
        self.labels.insert((owner.label(), owner.namespace));
        self.uids.insert(owner.uid);
    }

    /// Whether the one is there whose object this is: by its uid, or by its labels where the uid is somebody else's word.
    fn have_owner_of(&self, meta: &ObjectMeta) -> bool {
        let (name, namespace) = owner_labels(meta);
        match owner_uid(meta) {
            Some(uid) => self.uids.contains(uid),
            None => self.labels.contains(&(name.unwrap_or_default().into(), namespace.unwrap_or_default().into())),
        }
    }
}

impl<'a> Onlooker<'a> {
    /// Of this owner; nothing is asked yet.
    pub fn of(owner: &'a Owner) -> Self {
        Self { owner, living: OnceCell::new() }
    }
}

impl Cluster {
    /// Those of `ids` (all of this kind and in one namespace, or in none) that exist, and whose they are.
    pub async fn look_up(&self, kind: &Kind, ids: &[&ObjectId], owner: &Onlooker<'_>) -> Result<Existing, Failure> {
        match ids {
            [first, ..] if ids.len() > FEW => self.list_some(kind, first.namespace.as_deref(), ids, owner).await,
            _ => self.get_each(kind, ids, owner).await,
        }
    }

    async fn get_each(&self, kind: &Kind, ids: &[&ObjectId], owner: &Onlooker<'_>) -> Result<Existing, Failure> {
        let ids: Vec<ObjectId> = ids.iter().copied().cloned().collect();
        let found = stream::iter(ids).map(async |id: ObjectId| {
            let Some(meta) = self.metadata(kind, &id).await? else { return Ok(None) };
            let seen = self.seen(&meta, owner).await?;
            Ok(Some((id, seen)))
        });
        let found: Vec<_> = found.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn list_some(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        ids: &[&ObjectId],
        owner: &Onlooker<'_>,
    ) -> Result<Existing, Failure> {
        let wanted: HashMap<&str, &ObjectId> = ids.iter().map(|id| (id.name.as_str(), *id)).collect();
        let mut existing = Existing::new();
        let mut open: HashSet<&ObjectId> = wanted.values().copied().collect();
        let mut next = None;
        loop {
            let page = match self.page(kind, namespace, None, next).await {
                Err(failure) if failure.code() == Some(410) => break,
                page => page?,
            };
            for item in page.items {
                let name = item.metadata.name.as_deref().unwrap_or_default();
                if let Some(id) = wanted.get(name) {
                    open.remove(id);
                    existing.insert((*id).clone(), self.seen(&item.metadata, owner).await?);
                }
            }
            next = page.next;
            if next.is_none() || open.is_empty() {
                return Ok(existing);
            }
            let pages_left = usize::try_from(page.remaining.unwrap_or(0)).unwrap_or(0) / 500 + 1;
            if open.len() <= pages_left * GETS_PER_PAGE {
                break;
            }
        }
        // A crowded namespace, or a listing the server forgot: ask for the rest one by one.
        let open: Vec<&ObjectId> = open.into_iter().collect();
        existing.extend(self.get_each(kind, &open, owner).await?);
        Ok(existing)
    }

    async fn seen(&self, meta: &ObjectMeta, onlooker: &Onlooker<'_>) -> Result<(Known, Ownership), Failure> {
        let owner = onlooker.owner;
        let mut whose = ownership(meta, owner);
        if matches!(whose, Ownership::OtherOwner { .. }) {
            let living = onlooker.living.get_or_try_init(|| self.living()).await?;
            if living.as_ref().is_some_and(|living| !living.have_owner_of(meta)) {
                whose = Ownership::Abandoned;
            }
        }
        Ok((self.noted(meta, owner), whose))
    }

    /// All DatabaseQueryResources. The labels that say where an object's owner is are anyone's to edit, so
    /// only a look everywhere tells that it is no more: None where that is forbidden.
    async fn living(&self) -> Result<Option<Living>, Failure> {
        let (mut living, mut next) = (Living::default(), None);
        // No account has to know of the others'.
        let operator = self.as_operator();
        loop {
            let page = match operator.page(&status::resource(), None, None, next).await {
                Err(failure) if failure.is_forbidden() => return Ok(None),
                page => page?,
            };
            page.items.into_iter().for_each(|item| living.add(item.metadata));
            next = page.next;
            if next.is_none() {
                return Ok(Some(living));
            }
        }
    }
}
