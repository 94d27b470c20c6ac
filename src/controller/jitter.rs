//! Chance, so that what waits does not try again all at once.

use std::hash::{BuildHasher, RandomState};

/// From 0 to 1, different each time.
pub fn jitter() -> f64 {
    (RandomState::new().hash_one(0) >> 11) as f64 / (1u64 << 53) as f64
}
