//! A database, a cluster and an operator, as small as they can be. Deletions are judged where they happen.

mod cluster;
mod deletions;
mod operator;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use crate::crd::{ConflictPolicy, DeletionPolicy, PruneGuard};
use crate::logic::document::Frame;
use crate::logic::fields::Fields;
use crate::logic::guard::Guard;
use crate::logic::inventory::Sight;
use crate::logic::json::Json;
use crate::logic::object::{
    ADOPTED, APPLIED_HASH, AppliedHash, Desired, GroupKind, Hold, Kind, Known, ObjectId, Owner, Ownership, PRUNE,
    Version,
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

/// The same, and some values are protected, and some objects only created.
const WISHING_TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: o{{ row.name }}
  annotations:
    some: "thing"
{%- if row.value == 2 %}
    konnektr.io/prune: disabled
{%- endif %}
{%- if row.name == 4 %}
    konnektr.io/ssa: IfNotPresent
{%- endif %}
data:
  v: v{{ row.value }}
"#;
const CREATED_ONLY: u8 = 4;

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
    /// Somebody protects an object, or does not any more.
    Protect {
        name: u8,
        protected: bool,
    },
    /// Somebody takes our label off an object.
    LoseLabel {
        name: u8,
    },
    /// The answers to deletions get lost, or do not any more.
    LoseAnswers(bool),
    /// The answers to applies of objects whose bit is set get lost.
    LoseAnswersOf {
        objects: u8,
    },
    /// What is little is created unseen, or looked up first.
    Unseen(bool),
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

/// What becomes of an apply.
enum Answer {
    Applied(Result<Known, Refusal>),
    /// There was something, and it was to be created unseen.
    Met(Option<(Known, Ownership)>),
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
    /// Whether somebody else protects it, whatever we do.
    protected_by_others: bool,
}

/// What a person was shown, and what it was about.
#[derive(Default)]
struct Shown {
    digest: Option<String>,
    unwanted: BTreeSet<(ObjectId, Arc<str>)>,
}

pub struct World {
    keyed: bool,
    /// Whether some objects are protected, or only created.
    wishing: bool,
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
    /// What others removed, which nobody may know yet.
    removed: BTreeSet<(ObjectId, Arc<str>)>,
    refused: BTreeSet<ObjectId>,
    news: VecDeque<(ObjectId, Sight)>,
    /// Applies that the server has carried out, and of which nobody knows yet.
    slow: Vec<(Desired, Answer)>,
    /// Whether what is little is created unseen.
    unseen: bool,
    state: State,
    /// What the status has.
    recorded: Recorded,
    now: Instant,
    count: u64,
    /// Whether the resource looks again by itself.
    outdated: bool,
    prune: bool,
    answers_get_lost: bool,
    /// Objects the answers to whose applies get lost, by their bits.
    unanswered: u8,
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
            wishing: false,
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
            removed: BTreeSet::new(),
            refused: BTreeSet::new(),
            news: VecDeque::new(),
            slow: Vec::new(),
            unseen: true,
            state: State::default(),
            recorded: Recorded::default(),
            now: Instant::now(),
            count: 0,
            outdated: false,
            prune: true,
            answers_get_lost: false,
            unanswered: 0,
            believed: Vec::new(),
            shown: Shown::default(),
            approved: None,
        }
    }

    /// The same, and some objects are protected, or only created.
    pub fn wishing(self) -> Self {
        let template = Template::compile(WISHING_TEMPLATE, Language::Jinja).unwrap();
        Self { wishing: true, template, ..self }
    }

    /// Whether a row leaves the object as it is once it is there.
    fn only_creates(&self, name: u8) -> bool {
        self.wishing && name == CREATED_ONLY
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
            Op::Protect { name, protected } => self.protect(&id(name), protected),
            Op::LoseLabel { name } => self.lose_label(&id(name)),
            Op::LoseAnswers(lost) => self.answers_get_lost = lost,
            Op::Unseen(unseen) => self.unseen = unseen,
            Op::LoseAnswersOf { objects } => self.unanswered = objects,
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
        (self.prune, self.answers_get_lost, self.unanswered) = (true, false, 0);
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
            // What was left to others because it was there may have gone untold.
            self.unheard |= self.wishing;
            self.look_at_changed(0, End::Whole);
        }
        let wanted: BTreeMap<ObjectId, Option<u8>> =
            self.rows.values().map(|(name, value)| (id(*name), *value)).collect();
        for (id, value) in &wanted {
            let live = self.live.get(id).unwrap_or_else(|| panic!("{id} is missing"));
            if self.only_creates(number(id)) {
                continue;
            }
            let value = format!("v{}", value.unwrap_or_default());
            assert_eq!((&live.value, live.is_foreign, live.labelled), (&value, false, true), "{id}");
        }
        for (id, live) in &self.live {
            let is_known = !live.is_foreign && !live.untracked && !live.known.protected;
            assert!(!is_known || wanted.contains_key(id), "{id} is without a row");
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
