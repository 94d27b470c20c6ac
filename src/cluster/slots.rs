//! Places for applies in flight: bounded for all owners together and for each. Some are kept for owners that have few,
//! so that those whose applies hang keep nobody else waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Limits, lock};

/// One place of so many is kept, unless the limits let one owner have them all.
const KEPT: usize = 4;

pub(super) struct Slots {
    common: Semaphore,
    kept: Semaphore,
    per_owner: usize,
    owners: Mutex<HashMap<String, Arc<Share>>>,
}

/// One owner's part of the places.
pub(super) struct Share {
    all: Semaphore,
    /// Of the kept ones.
    kept: Semaphore,
}

/// A place; given back when dropped.
pub(super) struct Slot<'a> {
    _own: SemaphorePermit<'a>,
    _of_all: SemaphorePermit<'a>,
    _kept: Option<SemaphorePermit<'a>>,
}

impl Slots {
    pub fn new(limits: Limits) -> Self {
        let (all, per_owner) = (limits.applies_in_flight.max(1), limits.per_owner.max(1));
        let kept = (all / KEPT).min(all.saturating_sub(per_owner));
        Self { common: Semaphore::new(all - kept), kept: Semaphore::new(kept), per_owner, owners: Mutex::default() }
    }

    pub fn per_owner(&self) -> usize {
        self.per_owner
    }

    /// An owner's share, by uid.
    pub fn share(&self, owner: &str) -> Arc<Share> {
        let mut owners = lock(&self.owners);
        if let Some(share) = owners.get(owner) {
            return share.clone();
        }
        // Those that nobody holds belong to owners that have nothing in flight.
        owners.retain(|_, share| Arc::strong_count(share) > 1);
        let share = Arc::new(Share { all: Semaphore::new(self.per_owner), kept: Semaphore::new(1) });
        owners.insert(owner.to_owned(), share.clone());
        share
    }

    /// Waits for a place; None never comes.
    pub async fn take<'a>(&'a self, share: &'a Share) -> Option<Slot<'a>> {
        // Own share first: one that waits for it must not hold a place of all.
        let own = share.all.acquire().await.ok()?;
        let kept = async {
            let mine = share.kept.acquire().await.ok()?;
            Some((self.kept.acquire().await.ok()?, Some(mine)))
        };
        let (of_all, kept) = tokio::select! {
            biased;
            common = self.common.acquire() => (common.ok()?, None),
            kept = kept => kept?,
        };
        Some(Slot { _own: own, _of_all: of_all, _kept: kept })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn take<'a>(slots: &'a Slots, share: &'a Share) -> Option<Slot<'a>> {
        slots.take(share).now_or_never().flatten()
    }

    #[test]
    fn owners_that_hold_all_they_can_get_leave_places_for_others() {
        let slots = Slots::new(Limits { applies_in_flight: 8, per_owner: 4 });
        let shares: Vec<_> = (0..5).map(|owner| slots.share(&owner.to_string())).collect();
        let held: Vec<Vec<_>> =
            shares[..2].iter().map(|share| std::iter::from_fn(|| take(&slots, share)).collect()).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3], "six in common, one of those kept");
        let third = take(&slots, &shares[2]);
        assert!(third.is_some(), "the other one kept");
        assert!(take(&slots, &shares[3]).is_none(), "eight are in flight");
        drop(held);
        assert!(take(&slots, &shares[3]).is_some());
    }

    #[test]
    fn one_owner_alone_gets_all_that_it_may_have() {
        for applies_in_flight in [4, 5, 8] {
            let slots = Slots::new(Limits { applies_in_flight, per_owner: 4 });
            let share = slots.share("one");
            let held: Vec<_> = std::iter::from_fn(|| take(&slots, &share)).collect();
            assert_eq!(held.len(), 4, "of {applies_in_flight}");
        }
    }

    #[test]
    fn one_place_is_enough_to_go_on() {
        let slots = Slots::new(Limits { applies_in_flight: 1, per_owner: 1 });
        let (one, other) = (slots.share("one"), slots.share("other"));
        let held = take(&slots, &one);
        assert!(held.is_some() && take(&slots, &other).is_none());
        drop(held);
        assert!(take(&slots, &other).is_some());
    }
}
