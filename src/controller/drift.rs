//! What others do to our objects: one metadata watch for each kind and place, started and stopped with the resources that
//! need it; what it sees goes to whose objects they are.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, Scope};
use crate::logic::fields;
use crate::logic::inventory::Sight;
use crate::logic::object::{GroupKind, Kind, Known, OWNER_UID, ObjectId, Owner, Ownership, annotation, owner_labels};

/// What was seen of one object.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// How it is now.
    pub seen: Sight,
    /// Who wrote to it last, besides us.
    pub by: Option<String>,
}

/// What was seen since somebody looked: of each object the latest.
#[derive(Debug, Default)]
pub struct News {
    /// By object.
    pub objects: HashMap<ObjectId, Sighting>,
    /// A watch began anew: objects may have gone unseen.
    pub gap: bool,
}

/// Where news of one resource's objects are left for it.
pub struct Inbox {
    owner: Arc<Owner>,
    news: Mutex<News>,
    arrived: Notify,
}

impl Inbox {
    /// An empty one.
    pub fn new(owner: Arc<Owner>) -> Arc<Self> {
        Arc::new(Self { owner, news: Mutex::default(), arrived: Notify::new() })
    }

    /// Waits for news.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes what there is.
    pub fn take(&self) -> News {
        std::mem::take(&mut *lock(&self.news))
    }

    fn leave(&self, id: ObjectId, sighting: Sighting) {
        lock(&self.news).objects.insert(id, sighting);
        self.arrived.notify_one();
    }

    fn gap(&self) {
        lock(&self.news).gap = true;
        self.arrived.notify_one();
    }
}

/// A kind and a namespace; None is all of them.
type Place = (GroupKind, Option<String>);

/// All watches.
#[derive(Default)]
pub struct Drift(Mutex<Watches>);

#[derive(Default)]
struct Watches {
    places: HashMap<Place, Watched>,
}

struct Watched {
    /// Whose objects may be there, by uid.
    inboxes: HashMap<String, Arc<Inbox>>,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drift {
    /// From now on these are the kinds and places of a resource's objects.
    pub fn follow(self: &Arc<Self>, cluster: &Cluster, inbox: &Arc<Inbox>, kinds: Vec<(Arc<Kind>, Scope)>) {
        let uid = &inbox.owner.uid;
        let mut watches = lock(&self.0);
        let mut wanted = HashSet::new();
        for (kind, scope) in kinds {
            let namespace = match scope {
                Scope::Namespace(namespace) => Some(namespace),
                Scope::All => None,
            };
            let place = ((*kind.group_kind).clone(), namespace);
            wanted.insert(place.clone());
            let watched = watches.places.entry(place.clone()).or_insert_with(|| {
                let work = watch(self.clone(), cluster.clone(), kind, place);
                Watched { inboxes: HashMap::new(), task: tokio::spawn(work) }
            });
            watched.inboxes.insert(uid.clone(), inbox.clone());
        }
        watches.drop_others(uid, &wanted);
    }

    /// A resource is gone.
    pub fn leave(&self, inbox: &Inbox) {
        lock(&self.0).drop_others(&inbox.owner.uid, &HashSet::new());
    }

    /// Whose an object is or was: who its labels name, and whose uid it carries.
    fn inboxes(&self, place: &Place, meta: &ObjectMeta) -> Vec<Arc<Inbox>> {
        let watches = lock(&self.0);
        let Some(watched) = watches.places.get(place) else { return Vec::new() };
        let by_uid = annotation(meta, OWNER_UID).and_then(|uid| watched.inboxes.get(uid));
        let (name, namespace) = owner_labels(meta);
        let is_named = |inbox: &&Arc<Inbox>| {
            Some(inbox.owner.namespace.as_str()) == namespace && Some(inbox.owner.label().as_str()) == name
        };
        // Mostly both are the same one, and nobody else has to be asked.
        let by_label =
            if by_uid.is_some_and(|inbox| is_named(&inbox)) { None } else { watched.inboxes.values().find(is_named) };
        by_uid.into_iter().chain(by_label).cloned().collect()
    }

    fn all(&self, place: &Place) -> Vec<Arc<Inbox>> {
        lock(&self.0).places.get(place).map(|watched| watched.inboxes.values().cloned().collect()).unwrap_or_default()
    }
}

impl Watches {
    fn drop_others(&mut self, uid: &str, wanted: &HashSet<Place>) {
        self.places.retain(|place, watched| {
            if !wanted.contains(place) {
                watched.inboxes.remove(uid);
            }
            !watched.inboxes.is_empty()
        });
    }
}

/// Watches one place until the task is dropped.
async fn watch(drift: Arc<Drift>, cluster: Cluster, mut kind: Arc<Kind>, place: Place) {
    let mut events = Box::pin(cluster.watch_objects(&kind, place.1.as_deref()));
    let mut is_first = true;
    let mut told = false;
    while let Some(event) = events.next().await {
        let (meta, is_gone) = match event {
            Ok(Event::Init) => continue,
            Ok(Event::InitDone) => {
                // What the first listing has not, the resource has just listed itself.
                if !std::mem::take(&mut is_first) {
                    drift.all(&place).iter().for_each(|inbox| inbox.gap());
                }
                told = false;
                continue;
            }
            Ok(Event::InitApply(object) | Event::Apply(object)) => (object.metadata, false),
            Ok(Event::Delete(object)) => (object.metadata, true),
            Err(error) => {
                // Once for each time that it is lost; it is begun anew with growing delays.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(kind = %place.0, "changes by others are not seen: {error}");
                }
                // Another version of the kind may be served instead.
                if error.is_unserved()
                    && let Ok(Some(served)) = cluster.served_instead(&kind).await
                    && served.version != kind.version
                {
                    kind = served;
                    events = Box::pin(cluster.watch_objects(&kind, place.1.as_deref()));
                }
                continue;
            }
        };
        for inbox in drift.inboxes(&place, &meta) {
            let owned = cluster.owned(&kind, &meta, &inbox.owner);
            let is_ours = !is_gone && owned.ownership == Ownership::Ours;
            let Known { uid, version, .. } = owned.known.clone();
            let sighting = Sighting {
                seen: Sight { uid, version, known: is_ours.then_some(owned.known) },
                by: fields::last_other(&meta).map(Into::into),
            };
            inbox.leave(owned.id, sighting);
        }
    }
}

/// What is behind the lock is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
