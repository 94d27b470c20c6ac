//! A database, a cluster and an operator, as small as they can be. Deletions are judged where they happen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::crd::{ConflictPolicy, DeletionPolicy, PruneGuard};
use crate::logic::document::Frame;
use crate::logic::fields::Fields;
use crate::logic::guard::Guard;
use crate::logic::inventory::Sight;
use crate::logic::json::Json;
use crate::logic::object::{
    ADOPTED, APPLIED_HASH, Desired, GroupKind, Hold, Kind, Known, ObjectId, Owner, Ownership, Version,
};
use crate::logic::queue::{Found, Work};
use crate::logic::render::{Rendered, Renderer};
use crate::logic::rights::Rights;
use crate::logic::row::Row;
use crate::logic::rows::{Entangled, Keys};
use crate::logic::state::{Read, Recorded, Refusal, State, Terms};
use crate::logic::template::{Language, Template};

/// So many applies are under way at once.
const PLACES: usize = 2;

const TEMPLATE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: o{{ row.name }}\ndata:\n  v: v{{ row.value }}\n";

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Op {
    SetRow {
        key: u8,
        name: u8,
        value: u8,
    },
    DropRow {
        key: u8,
    },
    BreakRow {
        key: u8,
    },
    /// The server refuses applies of objects of this name.
    Refuse {
        name: u8,
    },
    Accept {
        name: u8,
    },
    /// Somebody creates an object, edits or removes one.
    MakeForeign {
        name: u8,
    },
    Edit {
        name: u8,
    },
    Remove {
        name: u8,
    },
    /// The watch tells of so many changes.
    Deliver {
        news: usize,
    },
    LoseNews,
    Restart,
    Relist,
    /// What was slow has ended.
    Land,
    /// A pass that fails before it applies anything.
    FailToLook,
    /// A pass. Objects whose bit is set in `slow` are being applied still when it ends; the process may be killed after
    /// so many applies.
    Look {
        slow: u8,
        crash: Option<usize>,
    },
    /// The same of the rows that changed, where they can be read by their keys.
    LookAtChanged {
        slow: u8,
        crash: Option<usize>,
    },
    /// A pass that others overtake after so many applies.
    LookInterrupted {
        whole: bool,
        slow: u8,
        begun: usize,
    },
    /// The same, and a row changes before what has no row is deleted.
    LookMeanwhile {
        whole: bool,
        key: u8,
        name: Option<u8>,
    },
    /// The same, and what was slow ends before what has no row is deleted.
    LookAndLand {
        whole: bool,
        slow: u8,
    },
    /// Nobody tells of the changes of late but that there may be some.
    LoseChanges,
    /// Somebody takes our label off an object.
    LoseLabel {
        name: u8,
    },
    /// The answers to deletions get lost, or do not any more.
    LoseAnswers(bool),
    /// A person approves what is held back just now.
    Approve,
    Prune(bool),
    /// The spec is another one.
    Forget,
    Wait {
        seconds: u8,
    },
}

/// Deletions within this time are counted together.
const WINDOW: Duration = Duration::from_secs(10);

/// How far a pass comes.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    /// The process is killed after so many applies.
    Crash(usize),
    Interrupted(usize),
}

impl From<Option<usize>> for End {
    fn from(crash: Option<usize>) -> Self {
        crash.map_or(Self::Whole, Self::Crash)
    }
}

#[derive(Clone, Debug)]
struct Live {
    known: Known,
    value: String,
    /// Nobody's whom we know.
    is_foreign: bool,
    /// Whether it has our label.
    labelled: bool,
    /// Whether the process that knew of it without its label is gone.
    untracked: bool,
}

/// What a person was shown, and what it was about.
#[derive(Default)]
struct Shown {
    digest: Option<String>,
    unwanted: BTreeSet<(ObjectId, Arc<str>)>,
}

pub struct World {
    keyed: bool,
    guard: Guard,
    /// How many deletions the guard lets pass within its window, where it has a limit.
    limit: Option<usize>,
    template: Template,
    /// By number: the object's name and its value; None where the row cannot be rendered.
    rows: BTreeMap<u8, (u8, Option<u8>)>,
    /// The keys of the rows that changed since they were read.
    changed: Keys,
    /// The rows as they were read last.
    read: BTreeMap<u8, (u8, Option<u8>)>,
    /// What the rows wanted, as they were read since they had it all.
    holds: BTreeMap<u8, BTreeSet<u8>>,
    /// A row that changes before anything is deleted.
    meanwhile: Option<(u8, Option<u8>)>,
    /// Whether what is slow ends before anything is deleted.
    lands: bool,
    /// Whether rows may have changed of which nobody told.
    unheard: bool,
    live: BTreeMap<ObjectId, Live>,
    refused: BTreeSet<ObjectId>,
    news: VecDeque<(ObjectId, Sight)>,
    /// Applies that the server has carried out, and of which nobody knows yet.
    slow: Vec<(Desired, Result<Known, Refusal>)>,
    state: State,
    /// What the status has.
    recorded: Recorded,
    now: Instant,
    count: u64,
    /// Whether the resource looks again by itself.
    outdated: bool,
    prune: bool,
    answers_get_lost: bool,
    /// When the guard believed a deletion.
    believed: Vec<Instant>,
    shown: Shown,
    approved: Option<String>,
}

impl World {
    /// At most so many deletions at a time, none of which leaves nothing; or as many as there are.
    pub fn new(keyed: bool, limit: Option<usize>) -> Self {
        let most = limit.map_or(IntOrString::String("100%".into()), |limit| IntOrString::Int(limit as i32));
        let guard = PruneGuard {
            max_deletions: most,
            allow_empty: limit.is_none(),
            window: crate::crd::Duration(WINDOW),
            ..PruneGuard::default()
        };
        Self {
            keyed,
            guard: Guard::new(&guard).unwrap(),
            limit,
            template: Template::compile(TEMPLATE, Language::Jinja).unwrap(),
            rows: BTreeMap::new(),
            changed: Keys::new(),
            read: BTreeMap::new(),
            holds: BTreeMap::new(),
            meanwhile: None,
            lands: false,
            unheard: false,
            live: BTreeMap::new(),
            refused: BTreeSet::new(),
            news: VecDeque::new(),
            slow: Vec::new(),
            state: State::default(),
            recorded: Recorded::default(),
            now: Instant::now(),
            count: 0,
            outdated: false,
            prune: true,
            answers_get_lost: false,
            believed: Vec::new(),
            shown: Shown::default(),
            approved: None,
        }
    }

    pub fn run(&mut self, op: Op) {
        self.now += Duration::from_secs(1);
        if let Op::SetRow { key, .. } | Op::DropRow { key } | Op::BreakRow { key } = op {
            self.changed.insert(key_of(key));
        }
        match op {
            Op::SetRow { key, name, value } => drop(self.rows.insert(key, (name, Some(value)))),
            Op::DropRow { key } => drop(self.rows.remove(&key)),
            Op::BreakRow { key } => self.rows.entry(key).or_insert((0, None)).1 = None,
            Op::Refuse { name } => drop(self.refused.insert(id(name))),
            Op::Accept { name } => drop(self.refused.remove(&id(name))),
            Op::MakeForeign { name } => self.make_foreign(id(name)),
            Op::Edit { name } => self.edit(&id(name)),
            Op::Remove { name } => self.remove(&id(name)),
            Op::Deliver { news } => (0..news).for_each(|_| self.deliver()),
            Op::LoseNews => {
                self.news.clear();
                self.state.relist();
            }
            Op::Restart => self.restart(),
            Op::Relist => self.state.relist(),
            Op::Land => self.land(),
            Op::FailToLook => {
                self.read();
                self.outdated = true;
            }
            Op::Look { slow, crash } => {
                let read = self.read();
                self.work(read, slow, crash.into());
            }
            Op::LookAtChanged { slow, crash } => self.look_at_changed(slow, crash.into()),
            Op::LookInterrupted { whole: true, slow, begun } => {
                let read = self.read();
                self.work(read, slow, End::Interrupted(begun));
            }
            Op::LookInterrupted { whole: false, slow, begun } => self.look_at_changed(slow, End::Interrupted(begun)),
            Op::LookMeanwhile { whole, key, name } => {
                self.meanwhile = Some((key, name));
                if whole {
                    let read = self.read();
                    self.work(read, 0, End::Whole);
                } else {
                    self.look_at_changed(0, End::Whole);
                }
            }
            Op::LookAndLand { whole, slow } => {
                self.lands = true;
                if whole {
                    let read = self.read();
                    self.work(read, slow, End::Whole);
                } else {
                    self.look_at_changed(slow, End::Whole);
                }
            }
            Op::LoseChanges => {
                self.changed.clear();
                self.unheard = true;
            }
            Op::LoseLabel { name } => self.lose_label(&id(name)),
            Op::LoseAnswers(lost) => self.answers_get_lost = lost,
            Op::Approve => self.approved = self.state.held().map(|held| held.digest),
            Op::Prune(prune) => self.prune = prune,
            Op::Forget => {
                self.state.forget();
                self.outdated = true;
            }
            Op::Wait { seconds } => self.now += Duration::from_secs(seconds.into()),
        }
    }

    /// Nothing goes wrong any more, and whoever is told looks.
    pub fn settle(&mut self) {
        self.refused.clear();
        (self.prune, self.answers_get_lost) = (true, false);
        let before = self.rows.clone();
        self.rows.values_mut().for_each(|row| row.1 = row.1.or(Some(0)));
        let mut names = BTreeSet::new();
        self.rows.retain(|_, (name, _)| names.insert(*name));
        let changed = before.iter().filter(|(number, row)| self.rows.get(number) != Some(row));
        self.changed.extend(changed.map(|(number, _)| key_of(*number)));
        for _ in 0..24 {
            self.approved = self.state.held().map(|held| held.digest);
            // Longer than anything rests.
            self.now += Duration::from_secs(60);
            self.land();
            (0..self.news.len()).for_each(|_| self.deliver());
            // An actor reads all again where something failed, or has waited for its place.
            self.outdated |= !self.state.rows().failures.is_empty() || self.state.unfinished() > 0;
            self.look_at_changed(0, End::Whole);
        }
        let wanted: BTreeMap<ObjectId, Option<u8>> =
            self.rows.values().map(|(name, value)| (id(*name), *value)).collect();
        for (id, value) in &wanted {
            let live = self.live.get(id).unwrap_or_else(|| panic!("{id} is missing"));
            let value = format!("v{}", value.unwrap_or_default());
            assert_eq!((&live.value, live.is_foreign, live.labelled), (&value, false, true), "{id}");
        }
        for (id, live) in &self.live {
            let is_known = !live.is_foreign && !live.untracked;
            assert!(!is_known || wanted.contains_key(id), "{id} is without a row");
        }
    }

    /// A watch will tell of it.
    fn change(&mut self, id: &ObjectId, known: Option<Known>) {
        let of = known.as_ref().or(self.live.get(id).map(|live| &live.known));
        let uid = of.map(|known| known.uid.clone()).unwrap_or_default();
        let version = known.as_ref().map_or_else(|| self.version(), |known| known.version);
        self.news.push_back((id.clone(), Sight { uid, version, known }));
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn version(&mut self) -> Version {
        let meta = json!({"resourceVersion": self.next().to_string()});
        Version::of(&serde_json::from_value(meta).unwrap())
    }

    fn make_foreign(&mut self, id: ObjectId) {
        if self.live.contains_key(&id) {
            return;
        }
        let known = Known { uid: format!("u{}", self.next()).into(), version: self.version(), ..Known::default() };
        self.live
            .insert(id, Live { known, value: "theirs".into(), is_foreign: true, labelled: false, untracked: false });
    }

    fn edit(&mut self, id: &ObjectId) {
        let version = self.version();
        let Some(live) = self.live.get_mut(id) else { return };
        live.value = "edited".into();
        live.known.version = version;
        if live.is_foreign {
            return;
        }
        live.known.fields = Some(fields(&[], live.known.hold, live.labelled));
        if live.labelled {
            let known = live.known.clone();
            self.change(id, Some(known));
        }
    }

    fn lose_label(&mut self, id: &ObjectId) {
        let version = self.version();
        let is_known = self.state.known().is_some_and(|inventory| inventory.exists(id) || inventory.is_missed(id));
        let Some(live) = self.live.get_mut(id).filter(|live| !live.is_foreign && live.labelled) else { return };
        live.untracked |= !is_known && !self.state.is_under_way(id);
        live.known.version = version;
        live.labelled = false;
        live.known.fields = Some(fields(&["v"], live.known.hold, false));
        let seen = Sight { uid: live.known.uid.clone(), version, known: None };
        self.news.push_back((id.clone(), seen));
    }

    fn remove(&mut self, id: &ObjectId) {
        if self.live.get(id).is_some_and(|live| live.labelled) {
            self.change(id, None);
        }
        self.live.remove(id);
    }

    fn deliver(&mut self) {
        let Some((id, seen)) = self.news.pop_front() else { return };
        self.outdated |= self.state.see(&id, seen);
    }

    fn restart(&mut self) {
        self.state = State::new(self.recorded.clone());
        self.news.clear();
        self.slow.clear();
        // Nobody knows of these any more.
        self.holds.clear();
        self.believed.clear();
        self.live.values_mut().for_each(|live| live.untracked |= !live.labelled);
    }

    fn land(&mut self) {
        for (desired, result) in std::mem::take(&mut self.slow) {
            self.outdated |= self.state.landed(desired, result, self.now).outdated;
        }
    }

    /// Reads all rows where nobody knows which have changed.
    fn look_at_changed(&mut self, slow: u8, end: End) {
        let is_known = self.keyed && !self.state.rows().key_columns.is_empty() && self.state.is_certain();
        let is_whole = !is_known || self.outdated || self.unheard;
        let read = if is_whole { self.read() } else { self.read_changed() };
        self.work(read, slow, end);
    }

    fn work(&mut self, mut read: Read, slow: u8, end: End) {
        self.outdated = false;
        for desired in read.unmet().into_iter().flatten() {
            let existing = self
                .live
                .get(&desired.id)
                .map(|live| (live.known.clone(), if live.is_foreign { Ownership::Foreign } else { Ownership::Ours }));
            self.state.meet(desired, existing, ConflictPolicy::Protect);
        }
        if let Some(recorded) = self.state.to_record() {
            self.recorded = recorded.clone();
            self.state.record(recorded);
        }
        let mut begun = 0;
        while self.state.under_way() < PLACES {
            match end {
                End::Crash(point) if begun == point => return self.restart(),
                End::Interrupted(point) if begun == point => break,
                _ => {}
            }
            let Some(work) = self.state.next(self.now) else { break };
            begun += 1;
            let is_slow = slow & (1 << number(&work.desired.id)) != 0;
            let result = self.apply(&work);
            if is_slow {
                self.slow.push((work.desired, result));
            } else {
                self.outdated |= self.state.landed(work.desired, result, self.now).outdated;
            }
        }
        if let End::Crash(_) = end {
            return self.restart();
        }
        if std::mem::take(&mut self.lands) {
            self.land();
        }
        self.settle_rows();
        if let Some((key, name)) = self.meanwhile.take() {
            self.run(match name {
                Some(name) => Op::SetRow { key, name, value: 0 },
                None => Op::DropRow { key },
            });
        }
        if self.prune {
            for id in self.state.missed() {
                let live = self.live.get(&id).filter(|live| !live.is_foreign);
                self.state.look_after(id, live.map(|live| live.known.clone()));
            }
        }
        self.prune(&read);
        self.state.close();
        let mut recorded = self.state.recorded().clone();
        let is_certain = self.state.rows().failures.is_empty() && self.state.unfinished() == 0;
        let has_any = self.state.known().is_some_and(|inventory| inventory.has(&kind()));
        if is_certain && !has_any && self.live.values().all(|live| !live.labelled) {
            recorded.kinds.clear();
        }
        self.recorded = recorded.clone();
        self.state.record(recorded);
    }

    fn read(&mut self) -> Read {
        if self.state.inventory(self.now).is_none() {
            let ours = || self.live.iter().filter(|(_, live)| live.labelled && !self.recorded.kinds.is_empty());
            let listed: Vec<_> = ours().map(|(id, live)| (id.clone(), live.known.clone())).collect();
            self.state.listed(listed, self.now);
        }
        self.changed.clear();
        self.unheard = false;
        self.read = self.rows.clone();
        let rendered = self.render(|_| true);
        let key_columns = if self.keyed { vec!["key".to_owned()] } else { Vec::new() };
        self.state.absorb(rendered, key_columns, self.now)
    }

    /// The rows that changed and those that they are entangled with, or all.
    fn read_changed(&mut self) -> Read {
        let mut keys = self.changed.clone();
        loop {
            let rendered = self.render(|number| keys.contains(&key_of(number)));
            match self.state.absorb_keys(&keys, rendered, self.now) {
                Ok(read) => {
                    self.changed.clear();
                    self.read.retain(|number, _| !keys.contains(&key_of(*number)));
                    let now = self.rows.iter().filter(|(number, _)| keys.contains(&key_of(**number)));
                    self.read.extend(now.map(|(number, row)| (*number, *row)));
                    return read;
                }
                Err(Entangled::With(others)) => keys.extend(others),
                Err(Entangled::AtOdds) => return self.read(),
            }
        }
    }

    fn render(&self, is_read: impl Fn(u8) -> bool) -> Rendered {
        let known = self.state.listing();
        let (owner, rights) =
            (Owner { name: "q".into(), namespace: "n".into(), uid: "owner".into() }, Rights::default());
        let frame =
            Frame { owner: &owner, rights: &rights, gvk: None, deletion_policy: DeletionPolicy::Orphan, ignored: &[] };
        let find_kind = |_: &str, _: &str| {
            Ok(Kind { group_kind: kind(), version: "v1".into(), plural: "configmaps".into(), namespaced: true }.into())
        };
        let (dbqr, before) = (Json::Null, self.state.rows().memo.clone());
        let now = Timestamp::UNIX_EPOCH;
        let renderer = Renderer::new(&self.template, &dbqr, now, frame, &find_kind, &known, &before);
        let mut renderer = renderer.grouping(self.keyed);
        for (number, (name, value)) in self.rows.iter().filter(|(number, _)| is_read(**number)) {
            let mut row = json!({"name": name});
            value.iter().for_each(|value| row["value"] = json!(value));
            renderer.row(Row {
                json: row.to_string(),
                key: self.keyed.then(|| key_of(*number).to_string()),
                others: Vec::new(),
            });
        }
        renderer.finish()
    }

    /// What the server makes of an apply.
    fn apply(&mut self, work: &Work) -> Result<Known, Refusal> {
        let refused = |reason, replaced| Err(Refusal { reason, message: reason.into(), replaced });
        let desired = &work.desired;
        if self.refused.contains(&desired.id) {
            return refused("Refused", false);
        }
        let live = self.live.get(&desired.id);
        let (hold, uid) = match (&work.found, live) {
            (Found::Nothing, None) => (Hold::Created, None),
            (Found::Nothing, Some(live)) if live.is_foreign => return refused("Conflict", false),
            (Found::Nothing, Some(live)) => (live.known.hold, Some(live.known.uid.clone())),
            (Found::Foreign(uid), Some(live)) if live.is_foreign && live.known.uid == *uid => {
                (Hold::Adopted, Some(uid.clone()))
            }
            (Found::Ours(known), Some(live)) if live.known.uid == known.uid => (known.hold, Some(known.uid.clone())),
            _ => return refused("Replaced", true),
        };
        let Some(body) = desired.body(hold, uid.as_deref()) else { return refused("Empty", false) };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["metadata"]["annotations"][APPLIED_HASH], desired.hash.0.as_str());
        let value = body["data"]["v"].as_str().unwrap().to_owned();
        let wants = |(name, wanted): &(u8, Option<u8>)| {
            *name == number(&desired.id) && wanted.is_some_and(|wanted| value == format!("v{wanted}"))
        };
        assert!(self.rows.values().any(wants), "{} is applied as no row wants it any more", desired.id);
        let uid = uid.unwrap_or_else(|| format!("u{}", self.next()).into());
        let applied = desired.applied(Known {
            uid,
            version: self.version(),
            hold,
            fields: Some(fields(&["v"], hold, true)),
            ..Known::default()
        });
        // What a watch sees of it.
        let seen = Known { applied: None, verified: false, ..applied.clone() };
        self.live.insert(
            desired.id.clone(),
            Live { known: seen.clone(), value, is_foreign: false, labelled: true, untracked: false },
        );
        self.change(&desired.id, Some(seen));
        Ok(applied)
    }

    /// What the rows hold on to, now that what was read of them is applied as far as it can be.
    fn settle_rows(&mut self) {
        self.holds.retain(|number, _| self.read.contains_key(number));
        for (number, (name, value)) in &self.read {
            let holds = self.holds.entry(*number).or_default();
            let Some(value) = value else { continue };
            // What is disputed is nobody's.
            let is_disputed =
                |(other, (same, value)): (&u8, &(u8, Option<u8>))| other != number && same == name && value.is_some();
            if self.read.iter().any(is_disputed) {
                continue;
            }
            let live = self.live.get(&id(*name)).filter(|live| !live.is_foreign);
            let is_known =
                |live: &Live| self.state.known().is_some_and(|all| all.is_there((&id(*name), &live.known.uid)));
            let has_it = live.is_some_and(|live| live.value == format!("v{value}") && is_known(live));
            if has_it && !self.state.is_under_way(&id(*name)) {
                holds.clear();
            }
            holds.insert(*name);
        }
    }

    /// Whether nobody may delete the object, whatever was approved.
    fn is_innocent(&self, id: &ObjectId, awaited: &Keys) -> Option<&'static str> {
        let known = &self.live.get(id)?.known;
        let row_key = |of: u8| known.row_key.as_deref() == Some(&*key_of(of));
        let failing = |name: u8, value: Option<u8>| {
            // What somebody else did to it a moment ago, nobody can know yet.
            let is_untold = self.news.iter().any(|(told, _)| *told == self::id(name));
            // It was applied, whatever somebody made of it since.
            let has = |value: u8| {
                move |live: &Live| live.value == format!("v{value}") || live.value == "edited" && !live.is_foreign
            };
            let value_is = |value| self.live.get(&self::id(name)).is_some_and(has(value));
            value.is_none_or(|value| !value_is(value) && !is_untold)
        };
        if self.read.values().any(|(name, value)| value.is_some() && number(id) == *name) {
            return Some("has a row");
        }
        if !self.keyed && !self.state.rows().failures.is_empty() {
            return Some("may be a failed row's");
        }
        if self.read.iter().any(|(number, (_, value))| row_key(*number) && value.is_none()) {
            return Some("is a failed row's");
        }
        if self.keyed && known.row_key.as_ref().is_some_and(|key| awaited.contains(key)) {
            return Some("is one of a row that has changed since");
        }
        let holds = |of: &u8| self.holds.get(of).is_some_and(|names| names.contains(&number(id)));
        let held = self.read.iter().any(|(of, (name, value))| holds(of) && failing(*name, *value));
        held.then_some("is a failed row's since an earlier read")
    }

    fn prune(&mut self, read: &Read) {
        let awaited = if self.keyed { self.changed.clone() } else { Keys::new() };
        let nonce = self.next().into();
        let guard = self.guard;
        let approved = self.approved.clone();
        let terms = Terms { prune: self.prune, guard: &guard, approved: approved.as_deref(), nonce, awaited: &awaited };
        let verdict = self.state.judge(read, terms, self.now).verdict;
        let held = self.state.held().map(|held| held.digest);
        for stale in &verdict.approved {
            assert!(self.shown.digest == approved && self.shown.unwanted.contains(stale), "{} was not shown", stale.0);
        }
        if held.is_some() && held != self.shown.digest {
            let is_wanted =
                |id: &ObjectId| self.read.values().any(|(name, value)| value.is_some() && number(id) == *name);
            let unwanted = self.live.iter().filter(|(id, live)| !live.is_foreign && !is_wanted(id));
            let unwanted = unwanted.map(|(id, live)| (id.clone(), live.known.uid.clone())).collect();
            self.shown = Shown { digest: held, unwanted };
        }
        let believed = verdict.believed.into_iter().map(|stale| (stale, true));
        for (stale, is_believed) in verdict.approved.into_iter().map(|stale| (stale, false)).chain(believed) {
            self.delete(stale, is_believed, &awaited);
        }
        if let Some(limit) = self.limit {
            let recent = self.believed.iter().filter(|at| self.now.duration_since(**at) < WINDOW).count();
            assert!(recent <= limit, "{recent} deletions within the window");
        }
    }

    fn delete(&mut self, stale: (ObjectId, Arc<str>), is_believed: bool, awaited: &Keys) {
        let (id, uid) = stale.clone();
        if let Some(why) = self.is_innocent(&id, awaited) {
            panic!("{id} {why}");
        }
        let Some(live) = self.live.get_mut(&id).filter(|live| live.known.uid == uid && !live.is_foreign) else {
            self.state.known_mut().unwrap().delete(&id);
            return self.state.deleted(&stale, false, true, self.now);
        };
        let (labelled, adopted) = (live.labelled, live.known.hold == Hold::Adopted);
        if adopted {
            (live.is_foreign, live.labelled, live.value) = (true, false, "theirs".into());
            live.known = Known { uid, ..Known::default() };
        }
        // It leaves what the watch sees.
        if labelled {
            self.change(&id, None);
        }
        if !adopted {
            self.live.remove(&id);
        }
        if is_believed {
            self.believed.push(self.now);
            // For all that is known: somebody may have deleted it a moment ago.
            let known = self.state.known().unwrap();
            let is_left = self.read.values().any(|(name, _)| known.exists(&self::id(*name)));
            assert!(self.limit.is_none() || is_left, "nothing is left");
        }
        if self.answers_get_lost {
            self.state.undeleted(&stale, "Unreachable", "no answer", self.now);
            return self.state.unanswered(stale, is_believed);
        }
        let inventory = self.state.known_mut().unwrap();
        if adopted {
            inventory.remove(&id)
        } else {
            inventory.delete(&id)
        }
        self.state.deleted(&stale, is_believed, true, self.now);
    }
}

fn kind() -> Arc<GroupKind> {
    GroupKind { group: String::new(), kind: "ConfigMap".into() }.into()
}

fn id(name: u8) -> ObjectId {
    ObjectId { kind: kind(), namespace: Some("n".into()), name: format!("o{name}") }
}

/// Some rows have a key together.
fn key_of(number: u8) -> Arc<str> {
    json!([number % 3]).to_string().into()
}

fn number(id: &ObjectId) -> u8 {
    id.name[1..].parse().unwrap()
}

/// Our entry: our marks, and these keys of data.
fn fields(data: &[&str], hold: Hold, labelled: bool) -> Fields {
    let of = |keys: &[&str]| keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect::<Value>();
    let mut marks = vec!["konnektr.io/owner-uid", APPLIED_HASH, "konnektr.io/row-key"];
    marks.extend((hold == Hold::Adopted).then_some(ADOPTED));
    let labels: &[&str] = &["konnektr.io/managed-by", "konnektr.io/managed-by-namespace"];
    let labels = of(if labelled { labels } else { &[] });
    let metadata = json!({"f:annotations": of(&marks), "f:labels": labels});
    let mut all = json!({"f:metadata": metadata});
    if !data.is_empty() {
        all["f:data"] = of(data);
    }
    Fields(all.to_string().into())
}
