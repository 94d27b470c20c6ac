//! What is remembered of one DatabaseQueryResource between passes. All of it can be found out again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::applies::Applies;
use super::drift::Inbox;
use super::notified::Notified;
use crate::crd::Dbqr;
use crate::logic::detect::Fingerprint;
use crate::logic::lost;
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
    /// The same to a replica, if there is one.
    pub replica: Option<Arc<Pool>>,
    /// The fingerprint of the watched tables before the last read that was worked through; what failed of it is tried
    /// again by itself.
    pub fingerprint: Option<Fingerprint>,
    /// What its rows came to, and what exists of its objects.
    pub state: State,
    /// What is notified of its tables.
    pub notified: Notified,
    /// When the first came of what was notified, read and not applied yet.
    pub since: Option<Instant>,
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
    /// What was written to the status since that was last told.
    pub recorded: Option<Recorded>,
    /// Whether nobody knows of which kinds there are objects.
    pub kinds_lost: bool,
    /// What is known of objects that an earlier resource of this name left.
    pub heritage: Heritage,
}

/// Objects of an earlier resource of the same name are ours, and no listing had them: nothing said where they are. Nor
/// need a watch tell of them that others began before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heritage {
    /// None was met yet.
    #[default]
    Unknown,
    /// One was met, so that there may be others without a row.
    Met,
    /// All were listed since; once is enough.
    Listed,
}

impl Memory {
    /// From what the resource has.
    pub fn new(dbqr: &Dbqr, owner: Arc<Owner>) -> Self {
        let kinds = dbqr.status.kinds.iter().map(|kind| GroupKind::parse(kind)).collect();
        let recorded = Recorded { kinds, marked_by: dbqr.status.key_columns.clone() };
        Self {
            valid: None,
            pool: None,
            replica: None,
            fingerprint: None,
            state: State::new(recorded),
            notified: Notified::default(),
            since: None,
            inbox: Inbox::new(owner),
            applies: Applies::default(),
            changed: Changed::default(),
            followed: None,
            others: Vec::new(),
            outdated: false,
            recorded: None,
            kinds_lost: lost::has_lost_kinds(dbqr),
            heritage: Heritage::default(),
        }
    }

    /// What has to be recorded where there are objects of these kinds as well.
    pub fn with(&self, kinds: BTreeSet<GroupKind>) -> Recorded {
        let mut recorded = self.state.recorded().clone();
        recorded.kinds.extend(kinds);
        recorded
    }

    /// An object of ours was met that no listing had.
    pub fn met_ours(&mut self) {
        if self.heritage == Heritage::Unknown {
            self.heritage = Heritage::Met;
        }
    }

    /// A read was worked through, and the kinds of all objects are recorded: what there is of them besides can be found.
    pub fn look_for_heritage(&mut self) {
        if self.heritage == Heritage::Met {
            self.heritage = Heritage::Listed;
            self.state.relist();
            self.outdated = true;
        }
    }

    /// Nothing is asked of the database for now.
    pub fn rest(&mut self) {
        (self.pool, self.replica) = (None, None);
        self.notified.let_go();
    }

    /// Something changed, or somebody asks: what can be found out is found out anew.
    pub fn forget(&mut self) {
        self.valid = None;
        self.fingerprint = None;
        self.followed = None;
        self.state.forget();
        self.notified.found_wrong();
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
        for census in &news.censuses {
            let counted = self.state.count(census);
            self.outdated |= counted.is_unsure;
            self.others.extend(counted.missing.into_iter().map(|id| (id, None)));
        }
    }
}
