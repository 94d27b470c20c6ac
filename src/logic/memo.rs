//! What rows came to when they were rendered last, so that a row that is the same is not rendered again. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};

use super::object::{AppliedHash, Desired, Kind, ObjectId, Wishes};
use super::row::Row;

/// Hash of a row's text and key: the first 128 bits of SHA-256, as rows are anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowHash([u8; 16]);

impl RowHash {
    /// The hash of a row.
    pub fn of(row: &Row) -> Self {
        let mut hash = Sha256::new();
        // Whatever is in them, key and text cannot be taken for others.
        hash.update(row.key.as_ref().map_or(u64::MAX, |key| key.len() as u64).to_le_bytes());
        hash.update(row.key.as_deref().unwrap_or_default());
        hash.update(&row.json);
        let mut out = [0; 16];
        out.copy_from_slice(&hash.finalize()[..16]);
        Self(out)
    }
}

/// One object of a row.
#[derive(Clone, Debug)]
pub struct Made {
    /// Which object.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Hash of its body.
    pub hash: AppliedHash,
    /// What the user wants of it beside.
    pub wishes: Wishes,
}

impl From<&Desired> for Made {
    fn from(desired: &Desired) -> Self {
        let Desired { id, kind, hash, wishes, .. } = desired;
        Self { id: id.clone(), kind: kind.clone(), hash: hash.clone(), wishes: *wishes }
    }
}

/// The rows of the last read. It holds for one template and one state of the resource, and says nothing of whether
/// objects were applied: that is compared each time. Takes about 200 bytes for each row with one object.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    rows: HashMap<RowHash, Arc<[Made]>, RandomState>,
}

impl Memo {
    /// The objects of a row that was rendered before.
    pub fn get(&self, row: &RowHash) -> Option<&Arc<[Made]>> {
        self.rows.get(row)
    }

    /// A row is not there any more.
    pub fn remove(&mut self, row: &RowHash) {
        self.rows.remove(row);
    }

    /// Takes over what other rows came to.
    pub fn merge(&mut self, others: Self) {
        self.rows.extend(others.rows);
    }

    /// A row was rendered.
    pub fn insert(&mut self, row: RowHash, objects: Arc<[Made]>) {
        self.rows.insert(row, objects);
    }
}
