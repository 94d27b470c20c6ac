//! What is told of how changes are noticed besides what a pass finds.

use super::{Actor, now};
use crate::crd::{Status, condition};
use crate::logic::detect::{Mode, Told};
use crate::logic::outcome;

impl Actor {
    /// Something else is heard. Where all is notified as before, though of some tables not at once, it is told right away;
    /// all else is for a pass to find out.
    pub(super) fn hear(&mut self) {
        self.in_doubt = !self.memory.notified.is_heard();
        let was_notified = self.report.latest().mode.as_deref() == Some(Mode::Notify.name());
        if was_notified && !self.in_doubt {
            self.report.set(self.notice(self.report.latest()));
        }
    }

    /// This status, with how changes are noticed now as far as that is known.
    pub(super) fn notice(&self, status: &Status) -> Status {
        let told = self.memory.valid.as_ref().zip(self.memory.fingerprint.as_ref());
        let told = told.map(|(valid, print)| self.memory.notified.told(valid, Some(print)));
        told.map_or_else(|| status.clone(), |told| outcome::noticed(status, &told, now()))
    }

    /// The status of one that is suspended: what is known of its rows stays. Nothing is under way, and nothing is tried again.
    pub(super) fn suspend(&mut self, generation: Option<i64>) {
        let mut status = Status { observed_generation: generation, ..self.report.latest().clone() };
        status.conditions.retain(|one| one.type_ != condition::RECONCILING);
        self.report.set(outcome::noticed(&status, &Told::suspended(), now()));
    }
}
