//! What is remembered of one DatabaseQueryResource between passes. All of it can be found out again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::Applies;
use crate::crd::Dbqr;
use crate::logic::detect::Fingerprint;
use crate::logic::lost;
use crate::logic::object::GroupKind;
use crate::logic::outcome::Changed;
use crate::logic::state::{Recorded, State};
use crate::logic::validate::Validated;
use crate::postgres::Pool;

/// The memory of one DatabaseQueryResource.
#[derive(Default)]
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
    /// The applies under way.
    pub applies: Applies,
    /// What was written since that was last told.
    pub changed: Changed,
    /// Whether something has to be looked at again, as a read has overtaken its apply.
    pub outdated: bool,
    /// What was written to the status since that was last told.
    pub recorded: Option<Recorded>,
    /// Whether nobody knows of which kinds there are objects.
    pub kinds_lost: bool,
}

impl Memory {
    /// From what the resource has.
    pub fn new(dbqr: &Dbqr) -> Self {
        let kinds = dbqr.status.kinds.iter().map(|kind| GroupKind::parse(kind)).collect();
        let recorded = Recorded { kinds, marked_by: dbqr.status.key_columns.clone() };
        Self { state: State::new(recorded), kinds_lost: lost::has_lost_kinds(dbqr), ..Self::default() }
    }

    /// What has to be recorded where there are objects of these kinds as well.
    pub fn with(&self, kinds: BTreeSet<GroupKind>) -> Recorded {
        let mut recorded = self.state.recorded().clone();
        recorded.kinds.extend(kinds);
        recorded
    }

    /// Something changed, or somebody asks: what can be found out is found out anew.
    pub fn forget(&mut self) {
        self.valid = None;
        self.fingerprint = None;
        self.state.forget();
    }
}
