//! The objects of one DatabaseQueryResource as the cluster was last seen to have them, and what follows from
//! comparing them with what should be. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::json::Json;
use super::object::{AppliedHash, Desired, GroupKind, Known, ObjectId, Version};
use super::prune::Stale;

/// What exists of ours.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    objects: HashMap<ObjectId, Known>,
    /// How many there are of each kind.
    kinds: BTreeMap<Arc<GroupKind>, usize>,
    /// By uid: a watch may tell late of how an object was before it went, and so may an apply.
    gone: HashMap<Arc<str>, Gone>,
    /// Seen to be gone, or to be ours no longer, not by our doing. All that is sure is that it has no label of ours.
    missed: HashSet<ObjectId>,
}

/// Why an object is not ours to know of any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// We deleted it.
    ByUs,
    /// It was seen to be gone, or to be ours no longer, in this version.
    AsOf(Version),
}

impl Gone {
    /// Whether an object that is seen in this version is back.
    fn is_over(self, version: Version) -> bool {
        matches!(self, Self::AsOf(gone) if !version.is_before(gone))
    }
}

/// What was seen of an object.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Its uid.
    pub uid: Arc<str>,
    /// Its version.
    pub version: Version,
    /// How it is; None when it is gone, or not ours.
    pub known: Option<Known>,
}

/// What is to be done with the desired objects.
#[derive(Debug, Default)]
pub struct Plan {
    /// Not known to exist: look before applying.
    pub first_contact: Vec<Desired>,
    /// Ours and different.
    pub update: Vec<(Desired, Known)>,
    /// How many are as they should be.
    pub unchanged: usize,
    /// Whether one that is never touched is marked with the key of another row than its own.
    pub mismarked: bool,
}

/// Objects that may not be deleted although no row wants them: rows failed, and would perhaps want them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No row failed.
    None,
    /// Those of rows with these keys.
    Of(HashSet<Arc<str>>),
    /// Nobody knows whose they are.
    All,
}

impl Doubt {
    /// About the rows with these keys; None is one without.
    pub fn about<'a>(keys: impl Iterator<Item = Option<&'a Arc<str>>>) -> Self {
        match keys.map(Option::<&Arc<str>>::cloned).collect::<Option<HashSet<_>>>() {
            Some(keys) if keys.is_empty() => Self::None,
            Some(keys) => Self::Of(keys),
            None => Self::All,
        }
    }

    /// Whether it is about a row of this key; None is one of which nobody knows the key.
    pub fn is_about(&self, key: Option<&Arc<str>>) -> bool {
        match (self, key) {
            (Self::None, _) => false,
            (Self::Of(keys), Some(key)) => keys.contains(key),
            (Self::Of(_), None) | (Self::All, _) => true,
        }
    }
}

/// All that there is of one owner and kind, in a namespace or everywhere.
#[derive(Clone, Debug)]
pub struct Census {
    /// The kind.
    pub kind: GroupKind,
    /// The namespace; None for all of them.
    pub namespace: Option<Arc<str>>,
    /// The objects.
    pub there: HashSet<ObjectId>,
    /// The newest version that was known when it was asked for.
    pub newest: Version,
}

/// What comes of a census.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Objects that are not there any more.
    pub missing: Vec<ObjectId>,
    /// Whether there are others that were not found, of which it does not tell.
    pub is_unsure: bool,
}

impl Inventory {
    /// From a listing.
    pub fn of(objects: impl IntoIterator<Item = (ObjectId, Known)>) -> Self {
        let mut inventory = Self::default();
        objects.into_iter().for_each(|(id, known)| inventory.put(id, known));
        inventory
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether the object exists with the applied hash of what is desired, and what is to be applied is still ours.
    pub fn is_applied(&self, desired: &Desired, object: &Json) -> bool {
        let Some(known) = self.objects.get(&desired.id).filter(|known| known.is_applied(&desired.hash)) else {
            return false;
        };
        known.verified || known.has_all(desired, object)
    }

    /// Whether the object is known to be as this hash has it: there is nothing to compare.
    pub fn is_verified(&self, id: &ObjectId, hash: &AppliedHash) -> bool {
        self.objects.get(id).is_some_and(|known| known.verified && known.is_applied(hash))
    }

    /// Sorts what is desired by what has to be done.
    pub fn plan(&mut self, desired: Vec<Desired>) -> Plan {
        let mut plan = Plan::default();
        for desired in desired {
            match self.objects.get_mut(&desired.id) {
                // Without a body it was compared; with one it was found to be otherwise.
                Some(known) if known.is_applied(&desired.hash) && (known.verified || !desired.has_body()) => {
                    known.verified = true;
                    plan.unchanged += 1;
                }
                // Whether it is on its way out, or not ours by now, has to be seen.
                Some(known) if desired.wishes.create_only && known.deleting => plan.first_contact.push(desired),
                Some(known) if desired.wishes.create_only => {
                    plan.mismarked |= known.row_key != desired.row.key;
                    plan.unchanged += 1;
                }
                Some(known) => plan.update.push((desired, known.clone())),
                None => plan.first_contact.push(desired),
            }
        }
        plan
    }

    /// Whether there is one that is wanted, and not on its way out.
    pub fn keeps_any(&self, is_wanted: impl Fn(&ObjectId) -> bool) -> bool {
        self.objects.iter().any(|(id, known)| !known.deleting && is_wanted(id))
    }

    /// Whether nobody can tell that it has no row.
    pub fn is_doubtful(&self, id: &ObjectId, doubt: &Doubt) -> bool {
        self.objects.get(id).is_some_and(|known| doubt.is_about(known.row_key.as_ref()))
    }

    /// Whether it exists.
    pub fn exists(&self, id: &ObjectId) -> bool {
        self.objects.contains_key(id)
    }

    /// Whether it exists, is not another one of its name, and not on its way out.
    pub fn is_there(&self, (id, uid): (&ObjectId, &Arc<str>)) -> bool {
        self.objects.get(id).is_some_and(|known| known.uid == *uid && !known.deleting)
    }

    /// The version in which it may be deleted without a second look.
    pub fn deletable(&self, (id, uid): &Stale) -> Option<Version> {
        self.objects.get(id).filter(|known| known.uid == *uid)?.deletable()
    }

    /// What exists and is not wanted: O(objects).
    pub fn without(&self, is_wanted: impl Fn(&ObjectId) -> bool) -> HashSet<ObjectId> {
        self.objects.keys().filter(|id| !is_wanted(id)).cloned().collect()
    }

    /// Those of these, which nobody wants, that may be deleted.
    pub fn stale<'a>(&self, loose: impl Iterator<Item = &'a ObjectId>, doubt: &Doubt) -> Vec<Stale> {
        let mut stale: Vec<_> = loose
            .filter_map(|id| Some((id, self.objects.get(id)?)))
            .filter(|(_, known)| !known.protected && !known.deleting && !doubt.is_about(known.row_key.as_ref()))
            .map(|(id, known)| (id.clone(), known.uid.clone()))
            .collect();
        stale.sort();
        stale
    }

    /// Those that refer to their owner, with their uids.
    pub fn referring(&self) -> Vec<Stale> {
        let referring = self.objects.iter().filter(|(_, known)| known.referring);
        referring.map(|(id, known)| (id.clone(), known.uid.clone())).collect()
    }

    /// The object does not refer to its owner any more.
    pub fn unrefer(&mut self, id: &ObjectId) {
        if let Some(known) = self.objects.get_mut(id) {
            known.referring = false;
        }
    }

    /// Takes over from what was known before a listing what no listing shows.
    pub fn remember(&mut self, before: &Self) {
        for (id, known) in &mut self.objects {
            if let Some(before) = before.objects.get(id) {
                *known = std::mem::take(known).remembering(before);
            }
        }
        let missed = before.missed.iter().chain(before.objects.keys()).filter(|id| !self.objects.contains_key(*id));
        self.missed.extend(missed.cloned());
    }

    /// Takes note of what was seen of an object. Tells whether that is news, for which its row has to be looked at again.
    pub fn see(&mut self, id: &ObjectId, seen: Sight) -> bool {
        let Sight { uid, version, known: seen } = seen;
        let known = self.objects.get_mut(id);
        let Some(seen) = seen else {
            // It may be ours again since.
            if known.as_ref().is_some_and(|known| known.uid == uid && version.is_before(known.version)) {
                return false;
            }
            let is_it = known.is_some_and(|known| known.uid == uid);
            if self.gone.get(&uid) != Some(&Gone::ByUs) {
                self.gone.insert(uid, Gone::AsOf(version));
            }
            return is_it && self.miss(id);
        };
        match known {
            _ if self.gone.get(&uid).is_some_and(|gone| !gone.is_over(version)) => false,
            // Whether it was this object or one that had its name before.
            Some(known) if version.is_before(known.version) => false,
            Some(known) if known.is_like(&seen) => {
                known.version = version;
                false
            }
            known => {
                let seen = match known {
                    Some(known) => seen.remembering(known),
                    None => seen,
                };
                self.put(id.clone(), seen);
                true
            }
        }
    }

    /// Takes note of what a watch found when it began. What is newer than what was known then either came later, or had
    /// gone by the time that the watch looked.
    pub fn count(&mut self, census: &Census) -> Counted {
        let Census { kind, namespace, there, newest } = census;
        let is_meant = |id: &ObjectId| *id.kind == *kind && (namespace.is_none() || id.namespace == *namespace);
        let unseen = self.objects.iter().filter(|(id, _)| is_meant(id) && !there.contains(*id));
        let (missing, unsure): (Vec<_>, Vec<_>) =
            unseen.partition(|(_, known)| known.version == *newest || known.version.is_before(*newest));
        let is_unsure = !unsure.is_empty();
        let missing: Vec<ObjectId> = missing.into_iter().map(|(id, _)| id.clone()).collect();
        for id in &missing {
            self.miss(id);
        }
        Counted { missing, is_unsure }
    }

    /// It may be gone, or ours no longer; whether it was there.
    pub fn miss(&mut self, id: &ObjectId) -> bool {
        let is_missed = self.take(id).is_some();
        if is_missed {
            self.missed.insert(id.clone());
        }
        is_missed
    }

    /// It may have been made, and nobody knows: should it lose its label as well, no listing will have it.
    pub fn suspect(&mut self, id: &ObjectId) {
        if !self.exists(id) {
            self.missed.insert(id.clone());
        }
    }

    /// What was seen to go, or may have been made, and was not looked up since.
    pub fn missed(&self) -> impl Iterator<Item = &ObjectId> {
        self.missed.iter()
    }

    /// All that exists, and all that was seen to go and may exist still.
    pub fn all(&self) -> impl Iterator<Item = &ObjectId> {
        self.objects.keys().chain(&self.missed)
    }

    /// Whether it was seen to go, and not looked up since.
    pub fn is_missed(&self, id: &ObjectId) -> bool {
        self.missed.contains(id)
    }

    /// It is gone, or is not ours after all.
    pub fn dismiss(&mut self, id: &ObjectId) {
        self.missed.remove(id);
    }

    /// The object was applied; false where it was seen since that somebody changed or deleted it.
    pub fn applied(&mut self, id: ObjectId, known: Known) -> bool {
        match self.objects.get_mut(&id) {
            _ if self.gone.get(&known.uid).is_some_and(|gone| !gone.is_over(known.version)) => false,
            Some(seen) if known.version.is_before(seen.version) => {
                if known.uid == seen.uid {
                    (seen.verified, seen.applied) = (false, known.applied);
                }
                false
            }
            _ => {
                self.put(id, known);
                true
            }
        }
    }

    /// The object is like that.
    pub fn insert(&mut self, id: ObjectId, known: Known) {
        self.gone.remove(&known.uid);
        self.put(id, known);
    }

    /// The object must not be deleted.
    pub fn protect(&mut self, id: &ObjectId) {
        if let Some(known) = self.objects.get_mut(id) {
            known.protected = true;
        }
    }

    /// We deleted the object.
    pub fn delete(&mut self, id: &ObjectId) {
        if let Some(known) = self.take(id) {
            self.gone.insert(known.uid, Gone::ByUs);
        }
    }

    /// The object is gone, or is not ours after all.
    pub fn remove(&mut self, id: &ObjectId) {
        self.take(id);
    }

    /// Whether there are objects of this kind, or may be.
    pub fn has(&self, kind: &GroupKind) -> bool {
        self.kinds.contains_key(kind) || self.missed.iter().any(|id| *id.kind == *kind)
    }

    /// The kinds there are objects of.
    pub fn kinds(&self) -> impl Iterator<Item = &GroupKind> {
        self.kinds.keys().map(|kind| &**kind)
    }

    fn put(&mut self, id: ObjectId, known: Known) {
        let kind = id.kind.clone();
        self.missed.remove(&id);
        if self.objects.insert(id, known).is_none() {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    fn take(&mut self, id: &ObjectId) -> Option<Known> {
        let known = self.objects.remove(id)?;
        if let Some(count) = self.kinds.get_mut(&id.kind) {
            *count -= 1;
        }
        self.kinds.retain(|_, count| *count > 0);
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::fields::Fields;
    use crate::logic::object::{Hold, Kind, Version, Wishes};
    use std::sync::Arc;

    fn id(name: &str) -> ObjectId {
        let kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
        ObjectId { kind: Arc::new(kind), namespace: Some("team".into()), name: name.into() }
    }

    fn known(hash: &str, protected: bool) -> Known {
        let hash = Some(AppliedHash(hash.into()));
        Known { uid: "u".into(), hash, protected, verified: true, ..Known::default() }
    }

    fn sight(known: Known) -> Sight {
        Sight { uid: known.uid.clone(), version: known.version, known: Some(known) }
    }

    fn gone(uid: &str, version: Version) -> Sight {
        Sight { uid: uid.into(), version, known: None }
    }

    fn desired(name: &str, hash: &str) -> Desired {
        let kind =
            Kind { group_kind: id(name).kind, version: "v1".into(), plural: "configmaps".into(), namespaced: true };
        Desired::new(id(name), Arc::new(kind), AppliedHash(hash.into()), 1, None)
    }

    #[test]
    fn the_plan_writes_only_what_differs() {
        let mut inventory = Inventory::of([(id("same"), known("1", false)), (id("changed"), known("1", false))]);
        let plan = inventory.plan(vec![desired("same", "1"), desired("changed", "2"), desired("new", "3")]);
        assert_eq!(plan.unchanged, 1);
        assert_eq!(plan.update[0].0.id, id("changed"));
        assert_eq!(plan.first_contact[0].id, id("new"));
    }

    #[test]
    fn what_is_being_deleted_is_neither_as_it_should_be_nor_to_be_deleted_again() {
        let mut inventory = Inventory::of([(id("a"), Known { deleting: true, ..known("1", false) })]);
        assert!(!inventory.is_applied(&desired("a", "1"), &Json::Null));
        assert_eq!(inventory.plan(vec![desired("a", "1")]).update.len(), 1);
        assert!(inventory.stale(inventory.without(|_| false).iter(), &Doubt::None).is_empty());
        assert!(!inventory.keeps_any(|_| true));
    }

    #[test]
    fn what_is_only_to_be_created_is_not_updated() {
        let mut inventory =
            Inventory::of([(id("a"), known("1", false)), (id("going"), Known { deleting: true, ..known("1", false) })]);
        let wishes = Wishes { create_only: true, ..Wishes::default() };
        let plan = inventory.plan(vec![desired("a", "2").wishing(wishes), desired("going", "2").wishing(wishes)]);
        assert_eq!((plan.unchanged, plan.update.len(), plan.first_contact.len()), (1, 0, 1));
    }

    #[test]
    fn a_listing_does_not_forget_what_no_listing_shows() {
        let had = Some(Fields("had".into()));
        let before = Known { hold: Hold::Adopted, applied: had.clone(), fields: had.clone(), ..known("1", false) };
        let earlier = Inventory::of(["same", "taken", "another"].map(|name| (id(name), before.clone())));
        let seen = Known { applied: None, verified: false, ..before.clone() };
        let taken = Known { fields: Some(Fields("less".into())), hold: Hold::Created, ..seen.clone() };
        let another = Known { uid: "v".into(), ..seen.clone() };
        let mut now =
            Inventory::of([(id("same"), seen), (id("taken"), taken.clone()), (id("another"), another.clone())]);
        now.remember(&earlier);
        assert_eq!(now.objects[&id("same")], before);
        assert_eq!(now.objects[&id("taken")], Known { applied: had, hold: Hold::Adopted, ..taken });
        assert_eq!(now.objects[&id("another")], another);
    }

    #[test]
    fn stale_is_what_exists_unwanted_and_unprotected() {
        let inventory = Inventory::of([
            (id("wanted"), known("1", false)),
            (id("kept"), known("1", true)),
            (id("gone"), known("1", false)),
        ]);
        let mut loose = inventory.without(|one| *one == id("wanted"));
        loose.insert(id("never there"));
        assert_eq!(inventory.stale(loose.iter(), &Doubt::None), vec![(id("gone"), "u".into())]);
        assert!(inventory.keeps_any(|one| *one == id("wanted")) && !inventory.keeps_any(|one| *one == id("new")));
    }

    #[test]
    fn what_is_not_verified_is_compared_once() {
        let fields = |text: &str| Some(Fields(text.into()));
        let mut inventory = Inventory::of([(id("a"), Known { verified: false, ..known("1", false) })]);
        let object = Json::from(serde_json::json!({"data": {"k": "v"}}));
        let wanted = desired("a", "1");
        assert!(!inventory.is_applied(&wanted, &object), "nothing of it is ours");
        let seen = |text| Known { fields: fields(text), verified: false, ..known("1", false) };
        assert!(inventory.see(&id("a"), sight(seen(r#"{"f:data":{"f:other":{}}}"#))));
        assert!(!inventory.is_applied(&wanted, &object));
        let ours = seen(r#"{"f:data":{"f:k":{}}}"#);
        assert!(inventory.see(&id("a"), sight(ours.clone())));
        assert!(inventory.is_applied(&wanted, &object));
        assert_eq!(inventory.plan(vec![desired("a", "1")]).unchanged, 1);
        assert!(!inventory.see(&id("a"), sight(ours)), "that is known, and verified");
        assert!(inventory.is_applied(&wanted, &Json::Null));
    }

    #[test]
    fn how_an_object_was_before_is_no_news() {
        let at = |version: &str, hash: &str| {
            let meta = serde_json::from_value(serde_json::json!({"resourceVersion": version})).unwrap();
            Known { version: Version::of(&meta), ..known(hash, false) }
        };
        let mut inventory = Inventory::of([(id("a"), at("20", "2"))]);
        assert!(!inventory.see(&id("a"), sight(at("9", "1"))));
        assert!(inventory.see(&id("a"), sight(at("21", "1"))));
        assert!(inventory.see(&id("a"), sight(at("of its own kind", "3"))), "it cannot be compared");
        inventory.delete(&id("a"));
        assert!(!inventory.see(&id("a"), sight(at("22", "2"))));
        assert!(!inventory.see(&id("a"), gone("u", Version::default())));
        assert!(inventory.is_empty());
        assert!(inventory.see(&id("a"), sight(Known { uid: "another".into(), ..at("23", "2") })));
    }

    #[test]
    fn late_news_of_an_earlier_object_of_that_name_do_not_hide_the_one_there_is() {
        let at = |uid: &str, version: &str| {
            let meta = serde_json::from_value(serde_json::json!({"resourceVersion": version})).unwrap();
            Known { uid: uid.into(), version: Version::of(&meta), ..known("1", false) }
        };
        let mut inventory = Inventory::of([(id("a"), at("later", "20"))]);
        assert!(!inventory.see(&id("a"), sight(at("earlier", "10"))));
        assert!(!inventory.applied(id("a"), at("earlier", "10")), "it has to be looked at again");
        assert_eq!(inventory.objects[&id("a")], at("later", "20"));
        assert!(inventory.see(&id("a"), sight(at("latest", "30"))));
        assert!(inventory.applied(id("a"), at("the one after", "40")));
    }

    #[test]
    fn what_is_gone_is_news_unless_another_took_its_place() {
        let mut inventory = Inventory::of([(id("a"), known("1", false))]);
        let version = Version::default();
        assert!(!inventory.see(&id("a"), gone("earlier", version)));
        assert!(inventory.see(&id("a"), gone("u", version)));
        assert!(!inventory.see(&id("a"), gone("u", version)));
        assert!(inventory.see(&id("a"), sight(known("1", false))));
    }

    #[test]
    fn what_a_watch_does_not_find_when_it_begins_is_gone_unless_it_came_later() {
        let version =
            |text: &str| Version::of(&serde_json::from_value(serde_json::json!({"resourceVersion": text})).unwrap());
        let at = |text: &str| Known { version: version(text), ..known("1", false) };
        let elsewhere = ObjectId { namespace: Some("other".into()), ..id("gone") };
        let mut inventory = Inventory::of([
            (id("there"), at("10")),
            (id("gone"), at("11")),
            (id("later"), at("30")),
            (elsewhere, at("11")),
        ]);
        let census = Census {
            kind: (*id("a").kind).clone(),
            namespace: Some("team".into()),
            there: [id("there")].into(),
            newest: version("20"),
        };
        assert_eq!(inventory.count(&census), Counted { missing: vec![id("gone")], is_unsure: true });
        assert_eq!(inventory.count(&Census { namespace: None, ..census }).missing.len(), 1);
        assert_eq!(inventory.len(), 2);
    }

    #[test]
    fn an_object_may_come_back_and_late_news_of_its_going_are_none() {
        let version =
            |text: &str| Version::of(&serde_json::from_value(serde_json::json!({"resourceVersion": text})).unwrap());
        let at = |text: &str| Known { version: version(text), ..known("1", false) };
        let mut inventory = Inventory::of([(id("a"), at("10"))]);
        assert!(inventory.see(&id("a"), gone("u", version("20"))));
        assert!(!inventory.applied(id("a"), at("15")), "that was before it went");
        assert!(!inventory.see(&id("a"), sight(at("15"))));
        assert!(inventory.applied(id("a"), at("30")));
        assert!(!inventory.see(&id("a"), gone("u", version("20"))));
        assert_eq!(inventory.len(), 1);
    }

    #[test]
    fn what_a_failed_row_may_want_is_not_stale() {
        let of = |key: Option<&str>| Known { row_key: key.map(Into::into), ..known("1", false) };
        let inventory = Inventory::of([(id("a"), of(Some("[1]"))), (id("b"), of(Some("[2]"))), (id("c"), of(None))]);
        let all = inventory.without(|_| false);
        let stale = |doubt| inventory.stale(all.iter(), &doubt).len();
        assert_eq!(inventory.stale(all.iter(), &Doubt::Of(HashSet::from(["[1]".into()])))[0].0, id("b"));
        assert_eq!((stale(Doubt::None), stale(Doubt::Of(HashSet::new())), stale(Doubt::All)), (3, 2, 0));
    }
}
