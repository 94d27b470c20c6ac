//! What an actor has to do now, and when there is something to do next.

use std::time::{Duration, Instant};

use super::{Actor, Again};
use crate::crd::Dbqr;
use crate::logic::object::FINALIZER;
use crate::logic::schedule::{Look, Schedule};

impl Actor {
    /// What is due at `now`.
    pub(super) fn look(&self, dbqr: &Dbqr, now: Instant) -> Option<Look> {
        if dbqr.is_suspended() {
            return None;
        }
        let Some((full, look)) = self.last else { return Some(Look::Full) };
        match self.again {
            Some(again) if now >= again.at => Some(Look::Full),
            Some(Again { holds: true, .. }) => None,
            // Somebody took it off: without it the resource would go without us, and its objects with it or not.
            _ if !dbqr.has_finalizer(FINALIZER) => Some(Look::Probe),
            _ if self.restore.is_some_and(|at| now >= at) => Some(Look::Full),
            // Without a valid spec only a change is a reason to look.
            _ => match self.schedule()?.due(full, look, now) {
                None if self.memory.notified.wakes.is_some() => Some(Look::Woken),
                None if self.in_doubt || self.memory.notified.again().is_some_and(|at| now >= at) => Some(Look::Probe),
                due => due,
            },
        }
    }

    fn schedule(&self) -> Option<Schedule> {
        let schedule = self.memory.valid.as_ref()?.schedule;
        Some(if self.memory.notified.is_heard() { schedule.notified() } else { schedule })
    }

    /// Whether what is notified is a reason to look now.
    pub(super) fn heeds_wakes(&self, dbqr: &Dbqr) -> bool {
        let holds = dbqr.is_deleting() || dbqr.is_suspended() || self.again.is_some_and(|again| again.holds);
        !holds && self.last.is_some() && self.memory.valid.is_some()
    }

    /// When to look again without being told.
    pub(super) fn next(&self, dbqr: &Dbqr) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 3600);
        let suspended = !dbqr.is_deleting() && dbqr.is_suspended();
        let holds = dbqr.is_deleting() || self.again.is_some_and(|again| again.holds);
        let scheduled = match (self.last, &self.memory.valid) {
            (Some(_), Some(_)) if self.in_doubt && !holds => Some(Instant::now()),
            (Some((full, look)), Some(_)) if !holds => self.schedule().map(|schedule| schedule.next(full, look)),
            _ => None,
        };
        let restore = self.restore.filter(|_| !holds);
        let again = self.memory.notified.again().filter(|_| scheduled.is_some());
        let work = [scheduled, restore, again].into_iter().flatten().filter(|_| !suspended);
        work.chain(self.again.map(|again| again.at))
            .chain(self.report.due())
            .min()
            .unwrap_or_else(|| Instant::now() + FAR)
    }
}
