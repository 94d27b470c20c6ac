//! What one resource has of notifications, and what can be told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::listen::{Hearing, Subscription};
use super::wakes::Wakes;
use crate::logic::detect::{Fingerprint, Told};
use crate::logic::keyed::KeyedPlan;
use crate::logic::validate::Validated;

/// What could not be had is tried again after this time.
pub const AGAIN: Duration = Duration::from_secs(60);

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
    /// Whether there were some once.
    pub had: bool,
}

impl Notified {
    /// Spec or Secret changed: all is found out anew. Until then what there is goes on.
    pub fn forget(&mut self) {
        self.found_wrong();
        self.had = false;
    }

    /// A table is not what it was: all is found out anew.
    pub fn found_wrong(&mut self) {
        (self.keyed, self.why_not, self.tried) = (None, None, None);
    }

    /// Nothing is to be read for now: nobody listens.
    pub fn let_go(&mut self) {
        self.subscription = None;
        self.forget();
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

    /// All rows were read from `began` on.
    pub fn read(&self, began: Instant, took: Duration, changed: usize) {
        self.subscription.iter().for_each(|subscription| subscription.read(began, took, changed));
    }

    /// How changes are noticed, for the status.
    pub fn told(&self, valid: &Validated, fingerprint: Option<&Fingerprint>) -> Told {
        let looked = valid.detection.as_ref().zip(fingerprint);
        let hearing = self.subscription.as_ref().map(Subscription::hearing);
        let why_not = match (&hearing, &self.why_not) {
            (Some(Hearing::Not(why)), _) => Some(why.as_str()),
            (_, why_not) => why_not.as_deref(),
        };
        match hearing {
            Some(Hearing::Listening(quiet)) => Told::notified(&valid.schedule, looked, self.keyed.as_deref(), &quiet),
            _ => Told::polled(&valid.schedule, looked, valid.mode, why_not, self.had),
        }
    }
}
