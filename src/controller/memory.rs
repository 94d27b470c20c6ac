//! What is remembered of one DatabaseQueryResource between passes. All of it can be found out again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::Applies;
use super::drift::Inbox;
use crate::logic::detect::Fingerprint;
use crate::logic::object::{GroupKind, ObjectId, Owner};
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
    /// Objects that others changed, as far as it is known who did, since that was last heeded.
    pub others: Vec<(ObjectId, Option<String>)>,
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
            others: Vec::new(),
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

    /// Takes note of what was seen of objects. While an apply is under way it is too early for news of its object: they
    /// may be of what it does.
    pub fn absorb(&mut self) {
        let news = self.inbox.take();
        let mut early = Vec::new();
        for (id, sighting) in news.objects {
            if self.state.is_under_way(&id) {
                early.push((id, sighting));
            } else if self.state.see(&id, sighting.seen) {
                self.others.push((id, sighting.by));
            }
        }
        self.inbox.put_back(early);
        let missing = news.censuses.iter().flat_map(|census| self.state.count(census));
        self.others.extend(missing.map(|id| (id, None)));
    }
}
