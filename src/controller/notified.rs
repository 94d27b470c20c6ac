//! What one resource has of notifications, and what can be told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::listen::{Hearing, Subscription};
use super::wakes::Wakes;
use crate::logic::detect::{Detection, Fingerprint, Told};
use crate::logic::keyed::KeyedPlan;
use crate::logic::validate::Validated;
use crate::logic::wake::Pending;

/// What could not be had is tried again after this time.
const AGAIN: Duration = Duration::from_secs(60);

/// What one resource has of notifications.
#[derive(Default)]
pub struct Notified {
    /// Where reasons to look again are left.
    pub wakes: Arc<Wakes>,
    /// What is listened to.
    pub subscription: Option<Subscription>,
    /// How rows may be read by their keys, as far as they may.
    pub keyed: Option<Arc<KeyedPlan>>,
    /// Why there are no notifications.
    pub why_not: Option<String>,
    /// When it was found out what there is to be had.
    pub tried: Option<Instant>,
    /// When the last read of all rows began.
    began: Option<Instant>,
    /// Of what there were some once, whatever has changed since.
    pub had: Option<Detection>,
}

impl Notified {
    /// Spec or Secret changed, or a table is not what it was: all is found out anew. Until then what there is goes on.
    pub fn found_wrong(&mut self) {
        (self.keyed, self.why_not, self.tried) = (None, None, None);
    }

    /// Nothing is to be read for now: nobody listens.
    pub fn let_go(&mut self) {
        self.subscription = None;
        self.found_wrong();
    }

    /// Whether all changes are notified, so that nobody has to look for them.
    pub fn is_heard(&self) -> bool {
        self.subscription.as_ref().is_some_and(|subscription| matches!(subscription.hearing(), Hearing::Listening(_)))
    }

    /// Whether it is to be found out, or found out again, what there is to be had.
    pub fn is_due(&self, now: Instant) -> bool {
        self.tried.is_none_or(|tried| now.duration_since(tried) >= AGAIN)
    }

    /// When to try again to have them, where they were not to be had: somebody may have mended it.
    pub fn again(&self) -> Option<Instant> {
        self.tried.filter(|_| !self.is_heard()).map(|at| at + AGAIN)
    }

    /// How rows are read by their keys, if they may be.
    pub fn keyed(&self) -> Option<&Arc<KeyedPlan>> {
        self.keyed.as_ref().filter(|plan| plan.is_of_use())
    }

    /// Waits until something else is heard; for ever where nothing is to be heard.
    pub async fn changed(&mut self) {
        match &mut self.subscription {
            Some(subscription) => subscription.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Rows cannot be read for now.
    pub fn cannot_read(&self) {
        self.subscription.iter().for_each(Subscription::cannot_read);
    }

    /// Takes what was notified, to read all rows now.
    pub fn heed(&mut self) -> Option<Pending> {
        let pending = self.wakes.take();
        // Not when the pass began: whoever asked for a read since is not heeded by another one.
        self.began = Some(Instant::now());
        pending
    }

    /// All rows were read since that was heeded.
    pub fn read(&self, took: Duration, changed: usize) {
        let (Some(began), Some(subscription)) = (self.began, &self.subscription) else { return };
        subscription.read(began, took, changed);
    }

    /// How changes are noticed, for the status.
    pub fn told(&self, valid: &Validated, fingerprint: Option<&Fingerprint>) -> Told {
        let looked = valid.detection.as_ref().zip(fingerprint);
        let hearing = self.subscription.as_ref().map(Subscription::hearing);
        let why_not = hearing.as_ref().and_then(Hearing::why_not).or(self.why_not.as_deref());
        let had = self.had.is_some() && self.had == valid.detection;
        match hearing {
            Some(Hearing::Listening(quiet)) => Told::notified(&valid.schedule, looked, self.keyed.as_deref(), &quiet),
            _ => Told::polled(&valid.schedule, looked, valid.mode, why_not, had),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::wake::Wake;

    #[test]
    fn a_read_that_heeds_a_wake_counts_as_begun_after_it() {
        let mut notified = Notified::default();
        notified.wakes.leave(Pending::new(Wake::Everything, Instant::now()));
        let pending = notified.heed().unwrap();
        assert!(notified.began.is_some_and(|began| began >= pending.since));
        assert!(!notified.wakes.is_some());
    }
}
