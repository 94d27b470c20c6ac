//! One listener: who listens, for which tables, and what each of them hears.

mod held;
mod quiet;
mod reading;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::held::Held;
use super::name::Behind;
use super::{Hearing, Interest, talk};
use crate::controller::lock::lock;
use crate::controller::wakes::Wakes;
use crate::logic::bell::{Act, Bell};
use crate::logic::connection::Settings;
use crate::logic::detect::Quiet;
use crate::logic::hint::Hint;
use crate::logic::rows::{Keys, OtherKeys};
use crate::logic::vigil::{Finding, Vigil};
use crate::logic::wake::{Pending, Wake};
use crate::postgres::Ping;

/// A listener, and the task that works for it. Ended when it is dropped.
pub(super) struct Open {
    line: Arc<Line>,
    task: JoinHandle<()>,
}

impl Open {
    pub(super) fn start(line: Line) -> Arc<Self> {
        let line = Arc::new(line);
        let task = tokio::spawn(talk::run(line.clone()));
        Arc::new(Self { line, task })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Deref for Open {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

/// Who is behind a session of this name, or of one that is not to be seen.
pub(super) type WhoIsBehind = Box<dyn Fn(Option<&str>) -> Behind + Send + Sync>;

/// What is known of a listener.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) waiting: usize,
    pub(super) behind: WhoIsBehind,
    state: Mutex<State>,
    /// There is something to do.
    pub(super) stirred: Notify,
}

/// One resource.
pub(super) struct Subscriber {
    pub(super) interest: Interest,
    pub(super) wakes: Arc<Wakes>,
    pub(super) hearing: watch::Sender<Hearing>,
    /// Whether it can read, as far as it is known.
    pub(super) reads: bool,
}

#[derive(Default)]
struct State {
    next: u64,
    subscribers: HashMap<u64, Subscriber>,
    tables: HashMap<i64, Table>,
    acts: VecDeque<(i64, Act)>,
    vigil: Vigil,
    /// Whether there is a connection.
    is_up: bool,
    /// Why there is none any more, or did not come about.
    why_down: Option<String>,
    /// How full the server's queue was at the last look.
    usage: f64,
    /// Why nobody is to notify for now.
    held: Option<Held>,
    /// The transaction that notified and was about to commit at the last look.
    committing: Option<String>,
}

/// A table on its way to be read by all who are interested.
struct Table {
    bell: Bell,
    asked: Instant,
    unread: HashSet<u64>,
    /// Objects of the one of which most were.
    changed: usize,
    took: Duration,
    /// How often in a row it was seen without all its triggers.
    mute: usize,
    /// Why it is not told of at once, for long, at the last look, and who kept its lock then.
    quiet: Option<Quiet>,
}

/// Who is told of it makes the triggers anew where that is possible, and then they are there at the next look.
const MUTE: usize = 2;

impl Line {
    /// `name` is that of its sessions, at most `waiting` of which wait for locks.
    pub(super) fn new(name: String, waiting: usize, behind: WhoIsBehind) -> Self {
        Self { name, waiting, behind, state: Mutex::default(), stirred: Notify::new() }
    }

    pub(super) fn join(&self, subscriber: Subscriber) -> u64 {
        let mut state = lock(&self.state);
        state.next += 1;
        let id = state.next;
        if let Some(why) = &state.why_down {
            subscriber.hear(Hearing::Not(why.clone()));
        }
        state.subscribers.insert(id, subscriber);
        state.follow_interests();
        state.tell();
        self.stirred.notify_one();
        id
    }

    pub(super) fn leave(&self, id: u64) {
        let mut state = lock(&self.state);
        state.subscribers.remove(&id);
        state.follow_interests();
        state.excuse(id);
        self.stirred.notify_one();
    }

    /// How to connect: by turns with what each resource has, as some may be refused. None where there is nobody.
    pub(super) fn settings(&self, turn: usize) -> Option<Settings> {
        let state = lock(&self.state);
        let mut ids: Vec<&u64> = state.subscribers.keys().collect();
        ids.sort();
        let id = ids.get(turn.checked_rem(ids.len())?)?;
        let settings = state.subscribers.get(id)?.interest.settings.clone();
        Some(Settings { application_name: Some(self.name.clone()), ..settings })
    }

    /// The most slots that all tables have.
    pub(super) fn slots(&self) -> i32 {
        let state = lock(&self.state);
        let slots = state.subscribers.values().flat_map(|one| &one.interest.tables).map(|(_, slots)| *slots);
        slots.filter(|slots| *slots > 0).min().unwrap_or_default()
    }

    /// There is a connection.
    pub(super) fn is_up(&self) {
        let mut state = lock(&self.state);
        (state.is_up, state.why_down) = (true, None);
        state.follow_interests();
        state.tell();
    }

    /// There is none any more.
    pub(super) fn is_down(&self, why: &str) {
        let mut state = lock(&self.state);
        (state.is_up, state.held, state.committing, state.usage) = (false, None, None, 0.0);
        state.why_down = Some(why.to_owned());
        state.tables.clear();
        state.acts.clear();
        state.vigil = Vigil::default();
        for subscriber in state.subscribers.values() {
            subscriber.hear(Hearing::Not(why.to_owned()));
        }
    }

    /// A notification has arrived.
    pub(super) fn heard(&self, hint: &Hint) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let State { subscribers, tables, acts, vigil, .. } = &mut *state;
        let Some(table) = tables.get_mut(&hint.table) else { return };
        vigil.notified(hint.table, now);
        let act = table.bell.notified(now);
        for subscriber in subscribers.values().filter(|one| one.is_interested_in(hint.table)) {
            // What is quiet from now on will be read as a whole.
            if !table.bell.is_masked() {
                subscriber.wakes.leave(Pending::heard(subscriber.wake(hint), now));
            }
        }
        if let Some(act) = act {
            acts.push_back((hint.table, act));
            self.stirred.notify_one();
        }
    }

    /// What was seen of all tables.
    pub(super) fn look(&self, ping: &Ping) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.usage = ping.usage;
        let held = Held::of(ping, state.committing.as_deref());
        state.committing.clone_from(&ping.committing);
        let was_held = std::mem::replace(&mut state.held, held);
        let State { subscribers, tables, vigil, acts, .. } = &mut *state;
        for (oid, table) in tables {
            if held == Some(Held::Stuck) {
                acts.extend(table.bell.hold(now).map(|act| (*oid, act)));
            }
            if table.bell.is_masked() {
                vigil.notified(*oid, now);
            }
            let sight = ping.tables.get(oid).copied();
            let finding = vigil.look(*oid, sight, now);
            table.mute = if sight.is_some_and(|sight| sight.triggers.is_some()) { 0 } else { table.mute + 1 };
            // Of one that stays so enough was told.
            if finding == Finding::Quiet || table.mute > MUTE {
                continue;
            }
            let is_redefined = finding == Finding::Redefined;
            for subscriber in subscribers.values().filter(|one| one.is_interested_in(*oid)) {
                subscriber.wakes.leave(Pending { is_redefined, ..Pending::new(Wake::Everything, now) });
            }
        }
        if was_held.is_some() && held.is_none() {
            let subscribers = state.subscribers.values();
            subscribers.for_each(|one| one.wakes.leave(Pending::new(Wake::Everything, now)));
        }
        state.tell();
    }

    /// Whether there was a look at a table already.
    pub(super) fn has_seen(&self, oid: i64) -> bool {
        lock(&self.state).vigil.has_seen(oid)
    }

    /// How full the server's queue was at the last look; None where there is no connection.
    pub(super) fn usage(&self) -> Option<f64> {
        let state = lock(&self.state);
        state.is_up.then_some(state.usage)
    }

    /// The tables to look at.
    pub(super) fn tables(&self) -> Vec<i64> {
        lock(&self.state).tables.keys().copied().collect()
    }

    /// What to do next. What is to be read, the resources are told here.
    pub(super) fn next(&self) -> Option<(i64, Act)> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let State { tables, acts, .. } = &mut *state;
        for (oid, table) in tables {
            acts.extend(table.bell.at(now).map(|act| (*oid, act)));
        }
        while let Some((oid, act)) = state.acts.pop_front() {
            match act {
                Act::Read => state.have_read(oid, now),
                Act::Arm | Act::Wait if state.held == Some(Held::Stuck) => {
                    state.tables.get_mut(&oid).and_then(|table| table.bell.hold(now));
                }
                // Somebody else's bell may have asked for it, which is gone by now.
                Act::Wait if !state.tables.get(&oid).is_some_and(|table| table.bell.is_waiting()) => {}
                _ => return Some((oid, act)),
            }
        }
        state.tell();
        None
    }

    /// Whether there is something to do by now.
    pub(super) fn has_acts(&self) -> bool {
        !lock(&self.state).acts.is_empty()
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        lock(&self.state).tables.values().filter_map(|table| table.bell.due()).min()
    }

    /// What came of an act.
    pub(super) fn done(&self, oid: i64, came: impl FnOnce(&mut Bell) -> Option<Act>) {
        let mut state = lock(&self.state);
        let State { tables, acts, .. } = &mut *state;
        if let Some(table) = tables.get_mut(&oid) {
            acts.extend(came(&mut table.bell).map(|act| (oid, act)));
        } else {
            acts.push_back((oid, Act::Disarm));
        }
        self.stirred.notify_one();
    }
}

impl State {
    /// Listens for the tables that somebody is interested in, and for no others.
    fn follow_interests(&mut self) {
        let Self { subscribers, tables, acts, vigil, .. } = self;
        if !self.is_up {
            return;
        }
        let wanted: HashSet<i64> =
            subscribers.values().flat_map(|one| &one.interest.tables).map(|(oid, _)| *oid).collect();
        let gone: Vec<i64> = tables.keys().filter(|oid| !wanted.contains(oid)).copied().collect();
        for oid in gone {
            tables.remove(&oid);
            acts.push_back((oid, Act::Disarm));
        }
        vigil.retain(|oid| wanted.contains(&oid));
        for oid in wanted {
            tables.entry(oid).or_insert_with(|| {
                let (bell, act) = Bell::new();
                acts.push_back((oid, act));
                let (asked, took) = (Instant::now(), Duration::ZERO);
                Table { bell, asked, unread: HashSet::new(), changed: 0, took, mute: 0, quiet: None }
            });
        }
    }

    /// Each resource is told what it hears, once that is known of all its tables.
    fn tell(&self) {
        if !self.is_up {
            return;
        }
        let is_decided = |oid: &i64| self.tables.get(oid).is_some_and(|table| table.bell.is_decided());
        let is_mute = |oid: &i64| self.tables.get(oid).is_some_and(|table| table.mute >= MUTE);
        for subscriber in self.subscribers.values() {
            if let Some(held) = self.held {
                subscriber.hear(Hearing::Not(held.why().into()));
            } else if subscriber.interest.tables.iter().any(|(oid, _)| is_mute(oid)) {
                let why = "in the database that is listened to, a watched table has no triggers, or is not there";
                subscriber.hear(Hearing::Not(why.into()));
            } else if subscriber.interest.tables.iter().all(|(oid, _)| is_decided(oid)) {
                subscriber.hear(Hearing::Listening(self.quiet(subscriber)));
            }
        }
    }
}

impl Subscriber {
    fn is_interested_in(&self, oid: i64) -> bool {
        self.interest.tables.iter().any(|(own, _)| *own == oid)
    }

    /// What a notification means to it.
    fn wake(&self, hint: &Hint) -> Wake {
        let Some(keyed) = self.interest.keyed.iter().find(|keyed| i64::from(keyed.table) == hint.table) else {
            return Wake::Everything;
        };
        let Some(keys) = hint.keys_by(&keyed.columns) else { return Wake::Everything };
        let keys = keys.iter().map(|key| key.text().into());
        Wake::Keys(match keyed.is_first {
            true => keys.collect::<Keys>().into(),
            false => keys.map(|key| (keyed.table, key)).collect::<OtherKeys>().into(),
        })
    }

    fn hear(&self, hearing: Hearing) {
        self.hearing.send_if_modified(|before| std::mem::replace(before, hearing.clone()) != hearing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_lock_that_is_had() {
        let line = Line::new("x".into(), 4, Box::new(|_| Behind::Us));
        let subscriber = |table: i64| {
            let interest = Interest { settings: Settings::default(), tables: vec![(table, 1)], keyed: Vec::new() };
            let (hearing, _) = watch::channel(Hearing::Starting);
            Subscriber { interest, wakes: Arc::default(), hearing, reads: true }
        };
        line.is_up();
        line.join(subscriber(2));
        assert_eq!(line.next(), Some((2, Act::Arm)));
        line.done(2, |bell| bell.had(Instant::now()));
        let one = line.join(subscriber(1));
        assert_eq!(line.next(), Some((1, Act::Arm)));
        // While that is asked for, the resource lets go and comes back (suspended and resumed, made anew).
        line.leave(one);
        line.join(subscriber(1));
        line.done(1, |bell| bell.not_had(Instant::now()));
        let mut acts = Vec::new();
        while let Some((oid, act)) = line.next() {
            acts.push(act);
            if act == Act::Arm {
                line.done(oid, |bell| bell.had(Instant::now()));
            }
        }
        assert_eq!(acts, [Act::Disarm, Act::Arm]);
    }
}
