//! What is to be applied, and what is under way: of each object one apply at a time, and then the newest. Pure: the
//! time is an argument.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::object::{AppliedHash, Desired, GroupKind, Known, ObjectId, goes_first};
use super::row::RowName;

/// What takes longer than this is left to itself: nothing waits for it any more.
const SLOW: Duration = Duration::from_secs(2);

/// One object to apply.
#[derive(Clone, Debug)]
pub struct Work {
    /// How it should be.
    pub desired: Desired,
    /// What there is.
    pub found: Found,
}

/// What there is under the name of an object.
#[derive(Clone, Debug)]
pub enum Found {
    /// Nobody looked.
    Unknown,
    /// Nothing.
    Nothing,
    /// An object of nobody whom we know, with this uid.
    Foreign(Arc<str>),
    /// An object that the Go operator made for us.
    Inherited(Known),
    /// An object of ours.
    Ours(Known),
}

impl Work {
    /// An object that most likely does not exist.
    pub fn attempt(desired: Desired) -> Self {
        Self { desired, found: Found::Unknown }
    }

    /// An object that was looked up and does not exist.
    pub fn create(desired: Desired) -> Self {
        Self { desired, found: Found::Nothing }
    }

    /// An object that exists and is to be shared.
    pub fn adopt(desired: Desired, uid: Arc<str>) -> Self {
        Self { desired, found: Found::Foreign(uid) }
    }

    /// An object that the Go operator made for us.
    pub fn inherit(desired: Desired, known: Known) -> Self {
        Self { desired, found: Found::Inherited(known) }
    }

    /// An object of ours.
    pub fn update(desired: Desired, known: Known) -> Self {
        Self { desired, found: Found::Ours(known) }
    }
}

/// The applies of one DatabaseQueryResource.
#[derive(Debug, Default)]
pub struct Queue {
    /// Each in a place of its own, which is free as soon as it has begun: there may be very many.
    waiting: HashMap<ObjectId, Box<Work>>,
    /// In the order they came: what others need, and the rest.
    first: VecDeque<ObjectId>,
    rest: VecDeque<ObjectId>,
    under_way: HashMap<ObjectId, UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    row: RowName,
    hash: AppliedHash,
    since: Instant,
    meanwhile: Meanwhile,
    /// How a later read wants it.
    then: Option<Box<Work>>,
}

/// What happened while an apply was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meanwhile {
    /// A later read does not want the object so any more; what it wants is not known, unless it was put.
    pub overtaken: bool,
    /// What exists was listed.
    pub listed: bool,
}

impl Queue {
    /// The object is to be applied so; where an apply of it is under way, after that.
    pub fn put(&mut self, work: Work) {
        let id = work.desired.id.clone();
        if let Some(under_way) = self.under_way.get_mut(&id) {
            under_way.meanwhile.overtaken = false;
            under_way.then = None;
            if under_way.hash == work.desired.hash {
                under_way.row = work.desired.row;
            } else {
                under_way.then = Some(work.into());
            }
        } else if self.waiting.insert(id.clone(), work.into()).is_none() {
            let line = if goes_first(&id.kind) { &mut self.first } else { &mut self.rest };
            line.push_back(id);
        }
    }

    /// A later read wants the object with this hash, and the inventory may have it so: unless it is put as well, it is
    /// looked at again where something else is under way.
    pub fn foresee(&mut self, id: &ObjectId, hash: &AppliedHash) {
        if let Some(under_way) = self.under_way.get_mut(id) {
            under_way.meanwhile.overtaken |= under_way.hash != *hash;
        }
    }

    /// A later read of all rows: what an earlier one wanted and was not begun is void, as all that differs is put again;
    /// what is not wanted is looked at again if it is under way.
    pub fn overtake(&mut self, is_wanted: impl Fn(&ObjectId) -> bool) {
        self.waiting.clear();
        self.first.clear();
        self.rest.clear();
        for (id, it) in &mut self.under_way {
            it.then = None;
            it.meanwhile.overtaken |= !is_wanted(id);
        }
    }

    /// The same of a later read of some rows: these objects are wanted by them, or not any more. What is put of them
    /// next overtakes all that waits: somebody has just changed it.
    pub fn overtake_those<'a>(&mut self, objects: impl Iterator<Item = (&'a ObjectId, bool)>) {
        for (id, is_wanted) in objects {
            // Its place in line is skipped.
            self.waiting.remove(id);
            if is_wanted {
                let line = if goes_first(&id.kind) { &mut self.first } else { &mut self.rest };
                line.push_front(id.clone());
            }
            if let Some(it) = self.under_way.get_mut(id) {
                it.then = None;
                it.meanwhile.overtaken |= !is_wanted;
            }
        }
    }

    /// What to begin with now. Nothing else begins before what others need is done, or slow: most do not need it.
    pub fn next(&mut self, now: Instant) -> Option<Work> {
        let work = match pop(&mut self.first, &mut self.waiting) {
            None if self.under_way.iter().any(|(id, it)| goes_first(&id.kind) && now < it.since + SLOW) => None,
            None => pop(&mut self.rest, &mut self.waiting),
            first => first,
        }?;
        let Desired { id, row, hash, .. } = &work.desired;
        let (row, hash, meanwhile) = (row.clone(), hash.clone(), Meanwhile::default());
        let under_way = UnderWay { row, hash, since: now, meanwhile, then: None };
        self.under_way.insert(id.clone(), under_way);
        Some(work)
    }

    /// An apply has ended; tells what happened meanwhile, and how the object is wanted since.
    pub fn landed(&mut self, id: &ObjectId) -> (Meanwhile, Option<Desired>) {
        let landed = self.under_way.remove(id).map(|it| (it.meanwhile, it.then.map(|work| work.desired)));
        landed.unwrap_or_default()
    }

    /// What exists was listed: nobody knows whether before or after what is under way.
    pub fn listed(&mut self) {
        self.under_way.values_mut().for_each(|it| it.meanwhile.listed = true);
    }

    /// Nothing of what waits is right any more; what is under way has to be looked at again.
    pub fn void(&mut self) {
        self.overtake(|_| false);
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether an apply of the object is under way.
    pub fn is_under_way(&self, id: &ObjectId) -> bool {
        self.under_way.contains_key(id)
    }

    /// How many applies are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// How many objects wait or are under way.
    pub fn unfinished(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// From when on only what is slow is under way, so that what still waits has no place. None while nothing is.
    pub fn slow_from(&self) -> Option<Instant> {
        self.under_way.values().map(|it| it.since + SLOW).max()
    }

    /// When to read again, as an apply that was left to itself has ended: at once if it was the last, else some time
    /// after the last read began, so that many of them cost no more reads than a few.
    pub fn again(&self, read: Option<Instant>, now: Instant) -> Instant {
        read.filter(|_| !self.under_way.is_empty()).map_or(now, |read| now.max(read + SLOW))
    }

    /// Whether something waits for a place.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether something is under way of which nobody knows if the last listing has what comes of it.
    pub fn doubts_listing(&self) -> bool {
        self.under_way.values().any(|it| it.meanwhile.listed)
    }

    /// The rows whose objects wait or are under way.
    pub fn rows(&self) -> impl Iterator<Item = &RowName> {
        let waiting = self.waiting.values().map(|work| &work.desired.row);
        let then = self.under_way.values().filter_map(|it| Some(&it.then.as_ref()?.desired.row));
        waiting.chain(self.under_way.values().map(|it| &it.row)).chain(then)
    }

    /// The kinds of the objects that wait.
    pub fn kinds(&self) -> HashSet<&GroupKind> {
        self.waiting.keys().map(|id| &*id.kind).collect()
    }
}

fn pop(line: &mut VecDeque<ObjectId>, waiting: &mut HashMap<ObjectId, Box<Work>>) -> Option<Work> {
    // Some of the line may have been withdrawn.
    std::iter::from_fn(|| line.pop_front()).find_map(|id| waiting.remove(&id)).map(|work| *work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::{AppliedHash, Kind};

    fn id(kind: &str, name: &str) -> ObjectId {
        let kind = GroupKind { group: String::new(), kind: kind.into() };
        ObjectId { kind: kind.into(), namespace: None, name: name.into() }
    }

    fn work(id: ObjectId, hash: &str) -> Work {
        let kind =
            Kind { group_kind: id.kind.clone(), version: "v1".into(), plural: "things".into(), namespaced: false };
        Work::create(Desired::new(id, kind.into(), AppliedHash(hash.into()), 1, None))
    }

    fn next(queue: &mut Queue) -> Option<String> {
        queue.next(Instant::now()).map(|work| format!("{} {}", work.desired.id.name, work.desired.hash.0))
    }

    #[test]
    fn of_an_object_that_waits_the_newest_is_applied_in_its_old_place() {
        let mut queue = Queue::default();
        for (name, hash) in [("a", "1"), ("b", "1"), ("a", "2")] {
            queue.put(work(id("Thing", name), hash));
        }
        assert_eq!(
            [next(&mut queue), next(&mut queue), next(&mut queue)],
            [Some("a 2".into()), Some("b 1".into()), None]
        );
        assert_eq!(queue.under_way(), 2);
    }

    #[test]
    fn one_object_is_never_applied_twice_at_once() {
        let (mut queue, a) = (Queue::default(), id("Thing", "a"));
        queue.put(work(a.clone(), "1"));
        assert!(next(&mut queue).is_some());
        queue.put(work(a.clone(), "2"));
        assert_eq!(next(&mut queue), None);
        let (meanwhile, then) = queue.landed(&a);
        assert!(!meanwhile.overtaken);
        assert_eq!(then.unwrap().hash.0, "2", "that is next");
        assert!(queue.is_idle());
    }

    #[test]
    fn a_row_that_waits_for_the_end_of_anothers_apply_is_one_that_waits() {
        for hash in ["1", "2"] {
            let mut queue = Queue::default();
            let of = |row: u64, hash: &str| {
                let Desired { id, kind, .. } = work(id("Thing", "a"), hash).desired;
                Work::create(Desired::new(id, kind, AppliedHash(hash.into()), row, None))
            };
            queue.put(of(1, "1"));
            assert!(next(&mut queue).is_some());
            queue.put(of(2, hash));
            assert!(queue.rows().any(|row| row.number == 2), "{hash}");
        }
    }

    #[test]
    fn what_is_under_way_is_looked_at_again_where_it_should_be_as_it_was_before() {
        let (mut queue, a) = (Queue::default(), id("Thing", "a"));
        queue.put(work(a.clone(), "2"));
        assert!(next(&mut queue).is_some());
        queue.foresee(&a, &AppliedHash("1".into()));
        assert!(queue.landed(&a).0.overtaken);
    }

    #[test]
    fn a_later_read_of_some_rows_leaves_what_others_want() {
        let mut queue = Queue::default();
        for name in ["under way", "a", "b", "c"] {
            queue.put(work(id("Thing", name), "1"));
        }
        assert!(next(&mut queue).is_some());
        queue.overtake_those([(&id("Thing", "under way"), false), (&id("Thing", "a"), true)].into_iter());
        queue.put(work(id("Thing", "b"), "2"));
        assert_eq!([next(&mut queue), next(&mut queue)], [Some("b 2".into()), Some("c 1".into())]);
        assert_eq!(next(&mut queue), None, "a may be as it should be by now");
        assert!(queue.landed(&id("Thing", "under way")).0.overtaken);
    }

    #[test]
    fn what_has_just_changed_overtakes_what_waits() {
        let mut queue = Queue::default();
        for name in ["changed", "a", "b", "changed too"] {
            queue.put(work(id("Thing", name), "1"));
        }
        assert_eq!(next(&mut queue), Some("changed 1".into()));
        queue.landed(&id("Thing", "changed"));
        let changed = ["changed", "changed too"].map(|name| id("Thing", name));
        queue.overtake_those(changed.iter().map(|id| (id, true)));
        changed.into_iter().for_each(|id| queue.put(work(id, "2")));
        let order: Vec<_> = std::iter::from_fn(|| next(&mut queue)).collect();
        assert_eq!(order, ["changed too 2", "changed 2", "a 1", "b 1"]);
        assert!(queue.waiting.is_empty());
    }

    #[test]
    fn a_later_read_that_wants_what_is_under_way_has_not_overtaken_it() {
        let (mut queue, a) = (Queue::default(), id("Thing", "a"));
        queue.put(work(a.clone(), "1"));
        assert!(next(&mut queue).is_some());
        queue.put(work(a.clone(), "1"));
        assert_eq!((next(&mut queue), queue.landed(&a).0), (None, Meanwhile::default()));
        assert!(queue.is_idle());
    }

    #[test]
    fn what_others_need_is_done_before_the_rest_begins() {
        let (mut queue, namespace) = (Queue::default(), id("Namespace", "n"));
        queue.put(work(id("Thing", "a"), "1"));
        queue.put(work(namespace.clone(), "1"));
        assert_eq!([next(&mut queue), next(&mut queue)], [Some("n 1".into()), None]);
        assert_eq!(queue.landed(&namespace).0, Meanwhile::default());
        assert_eq!(next(&mut queue), Some("a 1".into()));
    }

    #[test]
    fn what_an_earlier_read_wanted_is_not_begun_and_looked_at_again_where_it_is_under_way() {
        let mut queue = Queue::default();
        for name in ["not wanted", "wanted", "waiting"] {
            queue.put(work(id("Thing", name), "1"));
        }
        assert!(next(&mut queue).is_some() && next(&mut queue).is_some());
        queue.overtake(|id| id.name != "not wanted");
        assert_eq!(next(&mut queue), None, "it may be as it should be by now");
        assert!(queue.landed(&id("Thing", "not wanted")).0.overtaken);
        assert!(!queue.landed(&id("Thing", "wanted")).0.overtaken);
    }

    #[test]
    fn what_others_need_holds_nothing_up_once_it_is_slow() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.put(work(id("Namespace", "n"), "1"));
        queue.put(work(id("Thing", "a"), "1"));
        assert!(queue.next(now).is_some());
        assert!(queue.next(now).is_none());
        assert_eq!(queue.slow_from(), Some(now + SLOW), "then there is something to begin");
        assert!(queue.next(now + SLOW).is_some());
        queue.put(work(id("Namespace", "m"), "1"));
        queue.put(work(id("Thing", "b"), "1"));
        assert_eq!(queue.next(now + SLOW).unwrap().desired.id, id("Namespace", "m"));
        assert!(queue.next(now + SLOW).is_none(), "this one may be quick");
    }

    #[test]
    fn the_slow_are_waited_for_only_so_long_whatever_waits_for_their_places() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        assert_eq!(queue.slow_from(), None);
        for name in ["a", "b", "c"] {
            queue.put(work(id("Thing", name), "1"));
        }
        queue.next(now);
        queue.next(now + SLOW);
        assert_eq!((queue.slow_from(), queue.under_way(), queue.unfinished()), (Some(now + 2 * SLOW), 2, 3));
        queue.landed(&id("Thing", "b"));
        assert_eq!((queue.slow_from(), queue.unfinished()), (Some(now + SLOW), 2));
    }

    #[test]
    fn many_slow_ones_that_end_cost_one_read_and_the_last_one_another() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for name in ["a", "b"] {
            queue.put(work(id("Thing", name), "1"));
            queue.next(now);
        }
        queue.landed(&id("Thing", "a"));
        assert_eq!(queue.again(Some(now), now), now + SLOW);
        assert_eq!(queue.again(Some(now), now + 3 * SLOW), now + 3 * SLOW);
        queue.landed(&id("Thing", "b"));
        assert_eq!(queue.again(Some(now), now), now);
    }
}
