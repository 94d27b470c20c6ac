//! One state per DatabaseQueryResource: what its rows came to, what exists of its objects, what is to be applied and
//! what may go. What a pass decides, it decides here. Pure: the time is an argument.

mod judging;
mod landing;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::contact::{self, Contact};
use super::contest::Contests;
use super::failures::RowFailure;
use super::inventory::{Census, Counted, Inventory, Sight};
use super::legacy::Legacy;
use super::object::{Desired, GroupKind, Known, ObjectId, Ownership};
use super::prune::Pruning;
use super::queue::{Queue, Work};
use super::render::Rendered;
use super::rest::Resting;
use super::rows::{Entangled, Keys, Rows};
use crate::crd::ConflictPolicy;

pub use judging::{Judgement, Terms};
pub use landing::{Landing, Refusal};

/// What exists is listed anew when the last listing is older, at the next full read.
const LISTING_AGE: Duration = Duration::from_secs(600);

/// The state of one DatabaseQueryResource. All of it but what is recorded can be found out again.
#[derive(Debug, Default)]
pub struct State {
    recorded: Recorded,
    /// What exists and when it was listed; at no time that counts, when it has to be listed again.
    listed: Option<(Arc<Inventory>, Option<Instant>)>,
    /// What the rows want.
    rows: Rows,
    /// Whether objects were met that others marked, so that there may be more of them, marked by other columns.
    has_heritage: bool,
    /// Whether a row has an object that is marked with another key and will not be marked anew, as it is never touched.
    is_mismarked: bool,
    /// What exists although no row wants it; None where all that exists has to be compared with the rows.
    loose: Option<HashSet<ObjectId>>,
    /// Objects that were to be created unseen, and were there: they are looked at first.
    seen: HashSet<ObjectId>,
    /// Objects that failed, and are left alone for a while.
    resting: Resting,
    /// Objects that others change again and again.
    contests: Contests,
    /// Objects that could not be deleted, the same.
    undeletable: Resting,
    /// Deletions that the guard believed and nobody knows the end of, by object and uid.
    unanswered: HashMap<ObjectId, Arc<str>>,
    queue: Queue,
    /// Which deletions there were lately, and which are held back.
    pruning: Pruning,
    /// What the Go operator left and is not ours yet.
    pub legacy: Legacy,
}

/// What the status has of it, so that it outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The kinds that there may be objects of.
    pub kinds: BTreeSet<GroupKind>,
    /// The columns by whose values all objects are marked with their row.
    pub marked_by: Option<Vec<String>>,
}

/// A read that is being worked through.
#[derive(Debug, Default)]
pub struct Read {
    /// How many objects there were before.
    existed: usize,
    /// What is not known to exist: to be looked up, or created on the chance that it does not.
    unmet: Vec<Desired>,
}

/// So many objects that are not known to exist are created unseen: to look at each first would take as long as to create it.
const FEW: usize = 8;

impl State {
    /// From what the status has.
    pub fn new(recorded: Recorded) -> Self {
        Self { recorded, ..Self::default() }
    }

    /// What the status has to have.
    pub fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// It has been written.
    pub fn record(&mut self, recorded: Recorded) {
        self.recorded = recorded;
    }

    /// Spec or Secret changed, or somebody asks: what can be found out is found out anew.
    pub fn forget(&mut self) {
        self.rows.unsettle(self.queue.rows());
        self.rows = std::mem::take(&mut self.rows).forgotten(may_exist(&self.listed));
        self.loose = None;
        self.resting = Resting::default();
        self.undeletable = Resting::default();
        self.contests.hurry();
        self.legacy.forget();
        self.queue.void();
        self.relist();
    }

    /// What exists has to be listed anew.
    pub fn relist(&mut self) {
        if let Some((_, at)) = &mut self.listed {
            *at = None;
        }
    }

    /// What exists, unless it has to be listed first.
    pub fn inventory(&self, now: Instant) -> Option<&Arc<Inventory>> {
        let is_recent = |at: &Option<Instant>| at.is_some_and(|at| now.duration_since(at) < LISTING_AGE);
        self.listed.as_ref().filter(|(_, at)| is_recent(at)).map(|(inventory, _)| inventory)
    }

    /// What exists was listed.
    pub fn listed(&mut self, objects: impl IntoIterator<Item = (ObjectId, Known)>, now: Instant) -> Arc<Inventory> {
        self.queue.listed();
        let mut inventory = Inventory::of(objects);
        if let Some(earlier) = self.known() {
            inventory.remember(earlier);
        }
        self.loose = None;
        let inventory = Arc::new(inventory);
        self.listed = Some((inventory.clone(), Some(now)));
        inventory
    }

    /// What exists, as it is known, to be shared; nothing before it was listed.
    pub fn listing(&self) -> Arc<Inventory> {
        self.listed.as_ref().map(|(inventory, _)| inventory.clone()).unwrap_or_default()
    }

    /// Whether all rows were read, and all that exists listed, so that some rows may be read alone.
    pub fn is_certain(&self) -> bool {
        self.certain().is_some()
    }

    /// What exists, as it is known; nothing before it was listed.
    pub fn known(&self) -> Option<&Inventory> {
        self.listed.as_ref().map(|(inventory, _)| &**inventory)
    }

    /// The same, to take note of something.
    pub fn known_mut(&mut self) -> Option<&mut Inventory> {
        self.listed.as_mut().map(|(inventory, _)| Arc::make_mut(inventory))
    }

    /// Takes note of what was seen of an object; tells whether its row has to be looked at again.
    pub fn see(&mut self, id: &ObjectId, seen: Sight) -> bool {
        // Nothing is known before the first listing, which will have it.
        let is_news = self.known_mut().is_some_and(|inventory| inventory.see(id, seen));
        self.loose.take_if(|_| is_news);
        is_news
    }

    /// Takes note of what a watch found when it began. Where that does not tell of all objects, they have to be listed
    /// anew.
    pub fn count(&mut self, census: &Census) -> Counted {
        let counted = self.known_mut().map(|inventory| inventory.count(census)).unwrap_or_default();
        if counted.is_unsure {
            self.relist();
        }
        counted
    }

    /// What was seen to go and no row wants: perhaps it only lost our label, and has to be looked up to be deleted.
    pub fn missed(&self) -> Vec<ObjectId> {
        let missed = self.known().into_iter().flat_map(Inventory::missed);
        missed.filter(|id| !self.rows.want(id) && !self.queue.is_under_way(id)).cloned().collect()
    }

    /// What there is of ours, if anything, under the name of an object that was seen to go.
    pub fn look_after(&mut self, id: ObjectId, ours: Option<Known>) {
        let Some(inventory) = self.known_mut() else { return };
        match ours {
            Some(known) => {
                // It has lost its label: should a row want it, it is to be applied, whatever its hash says.
                inventory.insert(id, Known { hash: None, ..known });
                self.loose = None;
            }
            None => inventory.dismiss(&id),
        }
    }

    /// What the rows want, as they were read last.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// All rows were read and rendered: what differs is to be applied.
    pub fn absorb(&mut self, mut rendered: Rendered, key_columns: Vec<String>, now: Instant) -> Read {
        let desired = std::mem::take(&mut rendered.desired);
        self.rows.unsettle(self.queue.rows());
        let before = std::mem::take(&mut self.rows);
        self.rows = Rows::whole(before, rendered, key_columns, may_exist(&self.listed));
        (self.loose, self.is_mismarked) = (None, false);
        let rows = &self.rows;
        self.resting.retain(|id| rows.want(id));
        self.seen.retain(|id| rows.want(id));
        self.contests.want(|id| rows.want(id));
        self.queue.overtake(|id| rows.want(id));
        let read = self.compare(desired, now);
        if read.existed == 0 && !self.rows.key_columns.is_empty() {
            self.recorded.marked_by.get_or_insert_with(|| self.rows.key_columns.clone());
        }
        read
    }

    /// The rows of these keys were read and rendered: what differs of them is to be applied, and all else stays as it is.
    pub fn absorb_keys(&mut self, keys: &Keys, mut rendered: Rendered, now: Instant) -> Result<Read, Entangled> {
        self.rows.check(keys, &rendered)?;
        let desired = std::mem::take(&mut rendered.desired);
        let wanted: Vec<ObjectId> = rendered.claims.keys().cloned().collect();
        let unwanted = self.rows.replace(keys, rendered);
        for id in &unwanted {
            self.resting.done(id);
            self.seen.remove(id);
            self.contests.unwanted(id);
        }
        self.queue.overtake_those(wanted.iter().map(|id| (id, true)).chain(unwanted.iter().map(|id| (id, false))));
        if let Some(loose) = &mut self.loose {
            for id in &wanted {
                loose.remove(id);
            }
            loose.extend(unwanted);
        }
        Ok(self.compare(desired, now))
    }

    /// Objects that others change again and again.
    pub fn contests(&mut self) -> &mut Contests {
        &mut self.contests
    }

    /// What differs is to be applied. What failed lately rests, and fails once more; what others fight for waits.
    fn compare(&mut self, mut desired: Vec<Desired>, now: Instant) -> Read {
        desired.iter().for_each(|desired| self.queue.foresee(&desired.id, &desired.hash));
        desired.retain(|desired| !self.contests.waits(&desired.id, &desired.hash, now));
        desired.retain(|desired| match self.resting.still(&desired.id, &desired.hash.0, now) {
            Some((reason, message)) => {
                self.rows.failures.push(failed(desired, reason, message.to_owned()));
                false
            }
            None => true,
        });
        let existed = self.known().map_or(0, Inventory::len);
        let plan = self.known_mut().map(|inventory| inventory.plan(desired)).unwrap_or_default();
        self.is_mismarked |= plan.mismarked;
        plan.update.into_iter().for_each(|(desired, known)| self.queue.put(Work::update(desired, known)));
        // What is on its way would be looked up in vain.
        let mut unmet = Vec::new();
        for desired in plan.first_contact {
            if self.queue.is_under_way(&desired.id) {
                self.queue.put(Work::create(desired));
            } else {
                unmet.push(desired);
            }
        }
        Read { existed, unmet }
    }

    /// What is to be created unseen, if it is little: the server refuses what is there, and then it is met.
    pub fn attempt(&mut self, read: &mut Read) {
        if read.unmet.len() <= FEW {
            // What is only to be created is there most of the time. And a kind is not recorded, and then looked for until
            // all of it is gone, before somebody has asked whether we have a right to it at all.
            let is_likely = |Desired { id, wishes, .. }: &Desired| {
                !wishes.create_only && !self.seen.contains(id) && self.recorded.kinds.contains(&*id.kind)
            };
            let unseen = read.unmet.extract_if(.., |desired| is_likely(desired));
            unseen.for_each(|desired| self.queue.put(Work::attempt(desired)));
        }
    }

    /// What there is, or is not, under the name of an object that was not known to exist.
    pub fn meet(&mut self, desired: Desired, existing: Option<(Known, Ownership)>, policy: ConflictPolicy) {
        let Some((known, whose)) = existing else { return self.queue.put(Work::create(desired)) };
        self.has_heritage |= match whose {
            Ownership::Ours => known.row_key != desired.row.key,
            Ownership::Inherited | Ownership::Abandoned => true,
            Ownership::Disowned | Ownership::Left | Ownership::Foreign | Ownership::OtherOwner { .. } => false,
        };
        if self.legacy.awaits(&desired.id) {
            // As one that existed before us it would never be deleted.
            return self.fail(&desired, "NotTakenOver", "it is still to be taken over from the Go operator".into());
        }
        match contact::judge(&desired, &known, &whose, policy) {
            Contact::Keep => {
                self.is_mismarked |= known.row_key != desired.row.key;
                if let Some(inventory) = self.known_mut() {
                    inventory.insert(desired.id, known);
                }
            }
            Contact::Update => self.queue.put(Work::update(desired, known)),
            Contact::Inherit => self.queue.put(Work::inherit(desired, known)),
            Contact::Adopt => self.queue.put(Work::adopt(desired, known.uid)),
            // Nothing of it will be ours, and nothing has to be found again.
            Contact::LeaveAlone => {}
            Contact::Refuse(reason, message) => self.fail(&desired, reason, message),
        }
    }

    /// An object of a row failed.
    pub fn fail(&mut self, desired: &Desired, reason: &'static str, message: String) {
        self.rows.failures.push(failed(desired, reason, message));
    }

    /// What has to be recorded before anything of this read is applied: new kinds, so that there is always a place to
    /// look for what was created, and that objects are no longer all marked by the same columns.
    pub fn to_record(&self) -> Option<Recorded> {
        let mut recorded = self.recorded.clone();
        let kept = self.known().into_iter().flat_map(Inventory::kinds);
        recorded.kinds.extend(kept.chain(self.queue.kinds()).cloned());
        let is_doubtful = self.has_heritage || self.is_mismarked;
        recorded.marked_by.take_if(|columns| is_doubtful || *columns != self.rows.key_columns);
        (recorded != self.recorded).then_some(recorded)
    }

    /// What to begin with now.
    pub fn next(&mut self, now: Instant) -> Option<Work> {
        self.queue.next(now)
    }

    /// Nothing of what waits is to be begun any more.
    pub fn void(&mut self) {
        self.queue.void();
    }

    /// How many objects wait or are under way.
    pub fn unfinished(&self) -> usize {
        self.queue.unfinished()
    }

    /// When to read again, where an apply that was left to itself has ended or a later read has overtaken it.
    pub fn again(&self, read: Option<Instant>, now: Instant) -> Instant {
        self.queue.again(read, now)
    }

    /// Whether something is to be begun, or judged, as soon as one of those that are under way has ended.
    pub fn awaits_end(&self) -> bool {
        self.queue.has_waiting() || self.queue.under_way() == 0
    }

    /// From when on only what is slow is under way.
    pub fn slow_from(&self) -> Option<Instant> {
        self.queue.slow_from()
    }

    /// Whether an apply of the object is under way.
    pub fn is_under_way(&self, id: &ObjectId) -> bool {
        self.queue.is_under_way(id)
    }

    /// How many applies are under way.
    pub fn under_way(&self) -> usize {
        self.queue.under_way()
    }

    /// Nobody knows what became of what was under way.
    pub fn lost(&mut self) {
        self.queue = Queue::default();
        self.relist();
    }

    /// What exists, unless it is listed anew because there may be more.
    fn certain(&self) -> Option<&Inventory> {
        self.listed.as_ref().filter(|(_, at)| at.is_some()).map(|(inventory, _)| &**inventory)
    }
}

impl Read {
    /// What has to be looked up, by kind and namespace; it is taken out.
    pub fn unmet(&mut self) -> Vec<Vec<Desired>> {
        let mut by_place: BTreeMap<_, Vec<Desired>> = BTreeMap::new();
        for desired in std::mem::take(&mut self.unmet) {
            let place = (desired.id.kind.clone(), desired.id.namespace.clone());
            by_place.entry(place).or_default().push(desired);
        }
        by_place.into_values().collect()
    }
}

/// Whether there may be an object; all of them before the first listing.
fn may_exist(listed: &Option<(Arc<Inventory>, Option<Instant>)>) -> impl Fn(&ObjectId) -> bool {
    let inventory = listed.as_ref().map(|(inventory, _)| inventory);
    move |id| inventory.is_none_or(|inventory| inventory.exists(id) || inventory.is_missed(id))
}

fn failed(desired: &Desired, reason: &'static str, message: String) -> RowFailure {
    RowFailure { row: desired.row.clone(), object: Some(desired.id.to_string()), reason, message }
}

#[cfg(test)]
mod tests;
