//! Who in this process creates which object. Two owners may want the same new object at the same time: both saw
//! that it does not exist, and to the API server both are one field manager. So each says so here first.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock;
use crate::logic::object::{ObjectId, Owner};

/// Longer than any look-up is older than the PATCH that trusts it.
const KEPT: Duration = Duration::from_secs(600);
/// No request is under way for longer.
pub(super) const UNDER_WAY: Duration = Duration::from_secs(90);
const SWEEP_AT: usize = 4096;

#[derive(Default)]
pub(super) struct Claims {
    /// By a hash of the identity: this may be hundreds of thousands.
    hasher: RandomState,
    claims: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    by_object: HashMap<u64, Claim>,
    sweep_at: usize,
}

#[derive(Clone)]
pub(super) struct Claim {
    pub owner: Arc<Owner>,
    pub at: Instant,
    /// Whether the object is known to have been created; else it is under way or nobody knows.
    pub made: bool,
}

impl Claims {
    /// Claims an object. A claim of another owner refuses.
    pub fn claim(&self, id: &ObjectId, owner: &Arc<Owner>) -> Result<(), Claim> {
        let now = Instant::now();
        let mut map = lock(&self.claims);
        if map.by_object.len() >= map.sweep_at.max(SWEEP_AT) {
            map.by_object.retain(|_, claim| now - claim.at < KEPT);
            map.sweep_at = 2 * map.by_object.len();
        }
        let key = self.hasher.hash_one(id);
        let earlier = map.by_object.get(&key).filter(|claim| now - claim.at < KEPT);
        if let Some(other) = earlier.filter(|claim| claim.owner.uid != owner.uid) {
            return Err(other.clone());
        }
        map.by_object.insert(key, Claim { owner: owner.clone(), at: now, made: false });
        Ok(())
    }

    /// The object was created.
    pub fn made(&self, id: &ObjectId) {
        if let Some(claim) = lock(&self.claims).by_object.get_mut(&self.hasher.hash_one(id)) {
            claim.made = true;
        }
    }

    /// Nothing came of it.
    pub fn drop(&self, id: &ObjectId) {
        lock(&self.claims).by_object.remove(&self.hasher.hash_one(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::object::GroupKind;

    #[test]
    fn an_object_is_claimed_by_one_owner_at_a_time() {
        let claims = Claims::default();
        let owner = |uid: &str| Arc::new(Owner { name: "d".into(), namespace: "n".into(), uid: uid.into() });
        let kind = Arc::new(GroupKind { group: String::new(), kind: "ConfigMap".into() });
        let id = ObjectId { kind, namespace: Some("n".into()), name: "a".into() };
        assert!(matches!(claims.claim(&id, &owner("1")), Ok(())));
        assert!(matches!(claims.claim(&id, &owner("2")), Err(claim) if claim.owner.uid == "1" && !claim.made));
        claims.made(&id);
        assert!(matches!(claims.claim(&id, &owner("2")), Err(claim) if claim.made));
        assert!(matches!(claims.claim(&id, &owner("1")), Ok(())));
        claims.drop(&id);
        assert!(matches!(claims.claim(&id, &owner("2")), Ok(())));
    }
}
