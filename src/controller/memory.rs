//! What is remembered of one DatabaseQueryResource between passes. All of it can be found out again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::Applies;
use super::drift::Inbox;
use crate::logic::detect::Fingerprint;
use crate::logic::object::{GroupKind, Owner};
use crate::logic::outcome::Changed;
use crate::logic::state::{Recorded, State};
use crate::logic::validate::Validated;
use crate::postgres::Pool;

/// The memory of one DatabaseQueryResource.
pub struct Memory {
    /// The spec as validated last; None when spec or Secret may have changed since.
    pub valid: Option<Arc<Validated>>,
    /// Where its connections come from. Not kept where nothing is valid, or nothing is to be read.
    pub pool: Option<Arc<Pool>>,
    /// The fingerprint of the watched tables before the last read that was worked through; what failed of it is tried
    /// again by itself.
    pub fingerprint: Option<Fingerprint>,
    /// What its rows came to, and what exists of its objects.
    pub state: State,
    /// Where news of its objects are left.
    pub inbox: Arc<Inbox>,
    /// The applies under way.
    pub applies: Applies,
    /// What was written since that was last told.
    pub changed: Changed,
    /// The kinds whose objects are watched; None where they may be elsewhere than they were.
    pub followed: Option<BTreeSet<GroupKind>>,
    /// Whether something has to be looked at again, as a read has overtaken its apply.
    pub outdated: bool,
}

impl Memory {
    /// From what the status has.
    pub fn new(recorded: Recorded, owner: Arc<Owner>) -> Self {
        Self {
            valid: None,
            pool: None,
            fingerprint: None,
            state: State::new(recorded),
            inbox: Inbox::new(owner),
            applies: Applies::default(),
            changed: Changed::default(),
            followed: None,
            outdated: false,
        }
    }

    /// Something changed, or somebody asks: what can be found out is found out anew.
    pub fn forget(&mut self) {
        self.valid = None;
        self.fingerprint = None;
        self.followed = None;
        self.state.forget();
    }
}
