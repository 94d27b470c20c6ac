//! Who is to read a table as a whole, and when all have that can.

use std::time::{Duration, Instant};

use super::{Line, State, Table};
use crate::controller::lock::lock;
use crate::logic::bell::Act;
use crate::logic::wake::{Pending, Wake};

impl Line {
    /// A resource cannot read for now: nobody waits for it until it has.
    pub(in crate::controller::listen) fn cannot_read(&self, id: u64) {
        let mut state = lock(&self.state);
        state.subscribers.get_mut(&id).into_iter().for_each(|subscriber| subscriber.reads = false);
        state.excuse(id);
        self.stirred.notify_one();
    }

    /// A resource has read all its rows.
    pub(in crate::controller::listen) fn read(&self, id: u64, began: Instant, took: Duration, changed: usize) {
        let mut state = lock(&self.state);
        let State { subscribers, tables, acts, .. } = &mut *state;
        subscribers.get_mut(&id).into_iter().for_each(|subscriber| subscriber.reads = true);
        for (oid, table) in tables {
            if began < table.asked || !table.unread.contains(&id) {
                continue;
            }
            table.changed = table.changed.max(changed);
            table.took = table.took.max(took);
            acts.extend(table.done_with(id).map(|act| (*oid, act)));
        }
        self.stirred.notify_one();
    }
}

impl State {
    /// Nobody waits for this one to read.
    pub(super) fn excuse(&mut self, id: u64) {
        let Self { tables, acts, .. } = self;
        for (oid, table) in tables {
            acts.extend(table.done_with(id).map(|act| (*oid, act)));
        }
    }

    /// All who are interested in a table are to read it.
    pub(super) fn have_read(&mut self, oid: i64, now: Instant) {
        let Some(table) = self.tables.get_mut(&oid) else { return };
        (table.asked, table.changed, table.took) = (now, 0, Duration::ZERO);
        for (id, subscriber) in self.subscribers.iter().filter(|(_, one)| one.is_interested_in(oid)) {
            if subscriber.reads {
                table.unread.insert(*id);
            }
            subscriber.wakes.leave(Pending::new(Wake::Everything, now));
        }
        if table.unread.is_empty() {
            self.acts.extend(table.bell.read(0, Duration::ZERO, now).map(|act| (oid, act)));
        }
    }
}

impl Table {
    /// It is not waited for any more that this one reads it.
    fn done_with(&mut self, id: u64) -> Option<Act> {
        let is_last = self.unread.remove(&id) && self.unread.is_empty();
        is_last.then(|| self.bell.read(self.changed, self.took, Instant::now())).flatten()
    }
}
