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
    /// Nobody tells of the changes of late but that there may be some.
    LoseChanges,
}

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
}

pub struct World {
    keyed: bool,
    template: Template,
    /// By number: the object's name and its value; None where the row cannot be rendered.
    rows: BTreeMap<u8, (u8, Option<u8>)>,
    /// The keys of the rows that changed since they were read.
    changed: Keys,
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
}

impl World {
    pub fn new(keyed: bool) -> Self {
        Self {
            keyed,
            template: Template::compile(TEMPLATE, Language::Jinja).unwrap(),
            rows: BTreeMap::new(),
            changed: Keys::new(),
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
            Op::LoseChanges => {
                self.changed.clear();
                self.unheard = true;
            }
        }
    }

    /// Nothing goes wrong any more, and whoever is told looks.
    pub fn settle(&mut self) {
        self.refused.clear();
        let before = self.rows.clone();
        self.rows.values_mut().for_each(|row| row.1 = row.1.or(Some(0)));
        let mut names = BTreeSet::new();
        self.rows.retain(|_, (name, _)| names.insert(*name));
        let changed = before.iter().filter(|(number, row)| self.rows.get(number) != Some(row));
        self.changed.extend(changed.map(|(number, _)| key_of(*number)));
        for _ in 0..8 {
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
            assert_eq!((&live.value, live.is_foreign), (&value, false), "{id}");
        }
        for (id, live) in &self.live {
            assert!(live.is_foreign || wanted.contains_key(id), "{id} is without a row");
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
        self.live.insert(id, Live { known, value: "theirs".into(), is_foreign: true });
    }

    fn edit(&mut self, id: &ObjectId) {
        let version = self.version();
        let Some(live) = self.live.get_mut(id) else { return };
        live.value = "edited".into();
        live.known.version = version;
        if live.is_foreign {
            return;
        }
        live.known.fields = Some(fields(&[], live.known.hold));
        let known = live.known.clone();
        self.change(id, Some(known));
    }

    fn remove(&mut self, id: &ObjectId) {
        if self.live.get(id).is_some_and(|live| !live.is_foreign) {
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
        self.prune(&read);
        self.state.close();
        let mut recorded = self.state.recorded().clone();
        let is_certain = self.state.rows().failures.is_empty() && self.state.unfinished() == 0;
        if is_certain && self.live.values().all(|live| live.is_foreign) {
            recorded.kinds.clear();
        }
        self.recorded = recorded.clone();
        self.state.record(recorded);
    }

    fn read(&mut self) -> Read {
        if self.state.inventory(self.now).is_none() {
            let ours = || self.live.iter().filter(|(_, live)| !live.is_foreign && !self.recorded.kinds.is_empty());
            let listed: Vec<_> = ours().map(|(id, live)| (id.clone(), live.known.clone())).collect();
            self.state.listed(listed, self.now);
        }
        self.changed.clear();
        self.unheard = false;
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
        let applied = desired.known(uid, self.version(), hold, Some(fields(&["v"], hold)));
        // What a watch sees of it.
        let seen = Known { applied: None, verified: false, ..applied.clone() };
        self.live.insert(desired.id.clone(), Live { known: seen.clone(), value, is_foreign: false });
        self.change(&desired.id, Some(seen));
        Ok(applied)
    }

    fn prune(&mut self, read: &Read) {
        let guard = PruneGuard {
            max_deletions: IntOrString::String("100%".into()),
            allow_empty: true,
            ..PruneGuard::default()
        };
        let guard = Guard::new(&guard).unwrap();
        let awaited = Keys::new();
        let terms = Terms { prune: true, guard: &guard, approved: None, nonce: 0, awaited: &awaited };
        let judgement = self.state.judge(read, terms, self.now);
        for (id, uid) in judgement.verdict.believed {
            let is_wanted = self.rows.values().any(|(name, value)| value.is_some() && number(&id) == *name);
            assert!(!is_wanted, "{id} has a row");
            assert!(self.keyed || self.state.rows().failures.is_empty(), "{id} may be a failed row's");
            let inventory = self.state.known_mut().unwrap();
            let Some(live) = self.live.get_mut(&id).filter(|live| live.known.uid == uid && !live.is_foreign) else {
                inventory.delete(&id);
                continue;
            };
            let of = |number: &u8| live.known.row_key.as_deref() == Some(&*key_of(*number));
            let is_failed = self.rows.iter().any(|(number, (_, value))| of(number) && value.is_none());
            assert!(!is_failed, "{id} is a failed row's");
            if live.known.hold == Hold::Adopted {
                inventory.remove(&id);
                (live.is_foreign, live.value) = (true, "theirs".into());
                live.known = Known { uid, ..Known::default() };
                // It leaves what the watch sees.
                self.change(&id, None);
            } else {
                inventory.delete(&id);
                self.change(&id, None);
                self.live.remove(&id);
            }
        }
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
fn fields(data: &[&str], hold: Hold) -> Fields {
    let of = |keys: &[&str]| keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect::<Value>();
    let mut marks = vec!["konnektr.io/owner-uid", APPLIED_HASH, "konnektr.io/row-key"];
    marks.extend((hold == Hold::Adopted).then_some(ADOPTED));
    let labels = of(&["konnektr.io/managed-by", "konnektr.io/managed-by-namespace"]);
    let metadata = json!({"f:annotations": of(&marks), "f:labels": labels});
    let mut all = json!({"f:metadata": metadata});
    if !data.is_empty() {
        all["f:data"] = of(data);
    }
    Fields(all.to_string().into())
}
