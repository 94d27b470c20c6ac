//! What is remembered of one DatabaseQueryResource between passes. All of it can be found out again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::logic::detect::Fingerprint;
use crate::logic::inventory::Inventory;
use crate::logic::memo::Memo;
use crate::logic::object::GroupKind;
use crate::logic::prune::Pruning;
use crate::logic::rest::Resting;
use crate::logic::validate::Validated;
use crate::postgres::Pool;

/// The memory of one DatabaseQueryResource.
#[derive(Default)]
pub struct Memory {
    /// The spec as validated last; None when spec or Secret may have changed since.
    pub valid: Option<Arc<Validated>>,
    /// Where its connections come from. Not kept where nothing is valid, or nothing is to be read.
    pub pool: Option<Arc<Pool>>,
    /// What exists; None when it has to be listed (again).
    pub inventory: Option<Recalled>,
    /// What existed when it was last known, for what no listing shows.
    pub earlier: Option<Arc<Inventory>>,
    /// Kinds that are recorded in the status.
    pub kinds: BTreeSet<GroupKind>,
    /// The columns by whose values all objects are marked with their row, as recorded in the status.
    pub key_columns: Option<Vec<String>>,
    /// Objects that failed, and are left alone for a while.
    pub resting: Resting,
    /// What the rows of the last read came to.
    pub memo: Arc<Memo>,
    /// The fingerprint of the watched tables before the last read that was worked through; what failed of it is tried
    /// again by itself.
    pub fingerprint: Option<Fingerprint>,
    /// Which deletions there were lately, and which are held back.
    pub pruning: Pruning,
}

/// The inventory and when it was listed.
pub struct Recalled {
    /// What exists.
    pub inventory: Arc<Inventory>,
    /// When it was listed.
    pub at: Instant,
}

impl Memory {
    /// Something changed, or somebody asks: what can be found out is found out anew.
    pub fn forget(&mut self) {
        self.valid = None;
        self.memo = Arc::default();
        self.resting = Resting::default();
        self.fingerprint = None;
        self.relist();
    }

    /// What exists has to be listed anew.
    pub fn relist(&mut self) {
        if let Some(recalled) = self.inventory.take() {
            self.earlier = Some(recalled.inventory);
        }
    }
}
