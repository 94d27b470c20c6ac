//! What others do to our objects: one metadata watch for each kind and place, started and stopped with the resources that
//! need it; what it sees goes to whose objects they are.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::lock::lock;
use crate::cluster::{Cluster, Scope};
use crate::logic::fields;
use crate::logic::inventory::{Census, Sight};
use crate::logic::object::{GroupKind, Kind, OWNER_UID, ObjectId, Owner, Ownership, Version, annotation, owner_labels};

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
    /// What watches found when they began, or began anew: what is not there may have gone unseen.
    pub censuses: Vec<Census>,
}

/// Where news of one resource's objects are left for it.
pub struct Inbox {
    owner: Arc<Owner>,
    news: Mutex<News>,
    /// The newest version of any of its objects that it knows.
    newest: Mutex<Version>,
    arrived: Notify,
}

impl Inbox {
    /// An empty one.
    pub fn new(owner: Arc<Owner>) -> Arc<Self> {
        Arc::new(Self { owner, news: Mutex::default(), newest: Mutex::default(), arrived: Notify::new() })
    }

    /// Waits for news.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes what there is.
    pub fn take(&self) -> News {
        std::mem::take(&mut *lock(&self.news))
    }

    /// Leaves what it is too early for, unless there is something newer by now.
    pub fn put_back(&self, early: Vec<(ObjectId, Sighting)>) {
        let mut news = lock(&self.news);
        for (id, sighting) in early {
            news.objects.entry(id).or_insert(sighting);
        }
    }

    /// It may not be too early any more for what was put back.
    pub fn remind(&self) {
        if !lock(&self.news).objects.is_empty() {
            self.arrived.notify_one();
        }
    }

    /// The resource knows of an object in this version.
    pub fn knows(&self, version: Version) {
        let mut newest = lock(&self.newest);
        *newest = newest.max(version);
    }

    fn leave(&self, id: ObjectId, sighting: Sighting) {
        self.knows(sighting.seen.version);
        lock(&self.news).objects.insert(id, sighting);
        self.arrived.notify_one();
    }

    fn count(&self, census: Census) {
        lock(&self.news).censuses.push(census);
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
    /// Lets a resource see what the watches of these kinds and places see, those that there are. What it lists from now
    /// on, it knows of all that happens to it.
    pub fn join(&self, inbox: &Arc<Inbox>, kinds: &[(Arc<Kind>, Scope)]) {
        let mut watches = lock(&self.0);
        for (kind, scope) in kinds {
            if let Some(watched) = watches.places.get_mut(&place(kind, scope)) {
                watched.inboxes.insert(inbox.owner.uid.clone(), inbox.clone());
            }
        }
    }

    /// From now on these are the kinds and places of a resource's objects.
    pub fn follow(self: &Arc<Self>, cluster: &Cluster, inbox: &Arc<Inbox>, kinds: Vec<(Arc<Kind>, Scope)>) {
        let uid = &inbox.owner.uid;
        let mut watches = lock(&self.0);
        let mut wanted = HashSet::new();
        for (kind, scope) in kinds {
            let place = place(&kind, &scope);
            wanted.insert(place.clone());
            if let Some(watched) = watches.places.get_mut(&place) {
                if watched.inboxes.insert(uid.clone(), inbox.clone()).is_none() {
                    // Somebody else began to watch after this one last looked.
                    inbox.count(census(&place, Version::default()));
                }
                continue;
            }
            let work = watch(self.clone(), cluster.clone(), kind, place.clone());
            let inboxes = HashMap::from([(uid.clone(), inbox.clone())]);
            watches.places.insert(place, Watched { inboxes, task: tokio::spawn(work) });
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

    /// A watch begins to list: what is known by now it will find, or it is gone.
    fn begin(&self, place: &Place) -> HashMap<String, Census> {
        let watches = lock(&self.0);
        let inboxes = watches.places.get(place).into_iter().flat_map(|watched| &watched.inboxes);
        inboxes.map(|(uid, inbox)| (uid.clone(), census(place, *lock(&inbox.newest)))).collect()
    }

    /// It has listed all. To who came meanwhile it does not say what went before.
    fn end(&self, place: &Place, mut censuses: HashMap<String, Census>) {
        let watches = lock(&self.0);
        for (uid, inbox) in watches.places.get(place).into_iter().flat_map(|watched| &watched.inboxes) {
            inbox.count(censuses.remove(uid).unwrap_or_else(|| census(place, Version::default())));
        }
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

/// Nothing was found yet.
fn census((kind, namespace): &Place, newest: Version) -> Census {
    let namespace = namespace.as_deref().map(Into::into);
    Census { kind: kind.clone(), namespace, there: HashSet::new(), newest }
}

fn place(kind: &Kind, scope: &Scope) -> Place {
    let namespace = match scope {
        Scope::Namespace(namespace) => Some(namespace.clone()),
        Scope::All => None,
    };
    ((*kind.group_kind).clone(), namespace)
}

/// Watches one place until the task is dropped.
async fn watch(drift: Arc<Drift>, cluster: Cluster, mut kind: Arc<Kind>, place: Place) {
    let mut events = Box::pin(cluster.watch_objects(&kind, place.1.as_deref()));
    let mut censuses = HashMap::new();
    let mut told = false;
    while let Some(event) = events.next().await {
        let (meta, is_listed, is_gone) = match event {
            Ok(Event::Init) => {
                censuses = drift.begin(&place);
                continue;
            }
            Ok(Event::InitDone) => {
                drift.end(&place, std::mem::take(&mut censuses));
                told = false;
                continue;
            }
            Ok(Event::InitApply(object)) => (object.metadata, true, false),
            Ok(Event::Apply(object)) => (object.metadata, false, false),
            Ok(Event::Delete(object)) => (object.metadata, false, true),
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
            let (uid, version) = (owned.known.uid.clone(), owned.known.version);
            if is_listed && let Some(census) = censuses.get_mut(&inbox.owner.uid) {
                census.there.insert(owned.id.clone());
            }
            let sighting = Sighting {
                seen: Sight { uid, version, known: is_ours.then_some(owned.known) },
                by: fields::last_other(&meta).map(Into::into),
            };
            inbox.leave(owned.id, sighting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::Known;
    use crate::logic::state::State;

    #[tokio::test]
    async fn what_was_seen_to_change_and_is_not_there_when_the_watch_begins_anew_is_gone() {
        let kind = GroupKind { group: String::new(), kind: "Thing".into() };
        let id = ObjectId { kind: kind.clone().into(), namespace: None, name: "a".into() };
        let at = |version: &str| {
            let meta = ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() };
            Known { uid: "u".into(), version: Version::of(&meta), ..Known::default() }
        };
        let inbox = Inbox::new(Arc::new(Owner { name: "q".into(), namespace: "n".into(), uid: "o".into() }));
        let (drift, place) = (Drift::default(), (kind, None));
        let inboxes = HashMap::from([("o".to_owned(), inbox.clone())]);
        let task = tokio::spawn(std::future::pending());
        lock(&drift.0).places.insert(place.clone(), Watched { inboxes, task });
        let mut state = State::default();
        state.listed([(id.clone(), at("10"))], std::time::Instant::now());
        inbox.knows(at("10").version);

        let changed = Known { deleting: true, ..at("20") };
        let seen = Sight { uid: changed.uid.clone(), version: changed.version, known: Some(changed) };
        inbox.leave(id.clone(), Sighting { seen, by: None });
        assert!(state.see(&id, inbox.take().objects.remove(&id).unwrap().seen));
        let censuses = drift.begin(&place);
        drift.end(&place, censuses);
        assert_eq!(state.count(&inbox.take().censuses[0]).missing, [id]);
    }

    #[tokio::test]
    async fn who_lists_while_a_watch_begins_lists_again_as_what_went_before_it_looked_is_not_told() {
        let (kind, now) = (GroupKind { group: String::new(), kind: "Thing".into() }, std::time::Instant::now());
        let id = ObjectId { kind: kind.clone().into(), namespace: None, name: "a".into() };
        let meta = ObjectMeta { resource_version: Some("10".into()), ..ObjectMeta::default() };
        let known = || Known { uid: "u".into(), version: Version::of(&meta), ..Known::default() };
        let inbox =
            |uid: &str| Inbox::new(Arc::new(Owner { name: uid.into(), namespace: "n".into(), uid: uid.into() }));
        let (drift, place) = (Drift::default(), (kind.clone(), None));
        let others = HashMap::from([("other".to_owned(), inbox("other"))]);
        let task = tokio::spawn(std::future::pending());
        lock(&drift.0).places.insert(place.clone(), Watched { inboxes: others, task });
        let kinds = [(
            Arc::new(Kind {
                group_kind: kind.into(),
                version: "v1".into(),
                plural: "things".into(),
                namespaced: false,
            }),
            Scope::All,
        )];
        for joins_late in [false, true] {
            let (inbox, mut state) = (inbox("o"), State::default());
            let mut censuses = HashMap::new();
            if joins_late {
                censuses = drift.begin(&place);
            }
            drift.join(&inbox, &kinds);
            if !joins_late {
                censuses = drift.begin(&place);
            }
            state.listed([(id.clone(), known())], now);
            inbox.knows(known().version);
            // Now it goes, and then the watch looks.
            drift.end(&place, censuses);
            assert!(state.count(&inbox.take().censuses[0]).is_unsure);
            assert!(state.inventory(now).is_none(), "it is listed again");
            drift.leave(&inbox);
        }
    }
}
