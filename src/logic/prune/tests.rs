use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::*;
use crate::crd::PruneGuard;
use crate::logic::object::GroupKind;

const MINUTE: Duration = Duration::from_secs(60);

fn guard(max: &str, allow_empty: bool) -> Guard {
    let max_deletions = max.parse().map_or(IntOrString::String(max.into()), IntOrString::Int);
    Guard::new(&PruneGuard { max_deletions, allow_empty, ..PruneGuard::default() }).unwrap()
}

/// A cluster with numbered objects, and what is remembered of it.
struct World {
    pruning: Pruning,
    /// Each object and its uid.
    objects: BTreeMap<usize, u32>,
    rows: std::collections::BTreeSet<usize>,
    guard: Guard,
    start: Instant,
    now: Duration,
    nonce: u128,
    approved: Option<String>,
}

impl World {
    fn new(objects: usize, max: &str) -> Self {
        Self {
            pruning: Pruning::default(),
            objects: (0..objects).map(|number| (number, 0)).collect(),
            rows: (0..objects).collect(),
            guard: guard(max, false),
            start: Instant::now(),
            now: Duration::ZERO,
            nonce: 0,
            approved: None,
        }
    }

    fn id(number: usize) -> ObjectId {
        let kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
        ObjectId { kind: Arc::new(kind), namespace: None, name: number.to_string() }
    }

    /// A read, and the deletions that follow; says how many there were.
    fn read(&mut self) -> usize {
        self.nonce += 1;
        for row in &self.rows {
            self.objects.entry(*row).or_insert(0);
        }
        let stale = |number: &usize| !self.rows.contains(number);
        let stale: Vec<Stale> = self
            .objects
            .iter()
            .filter(|(number, _)| stale(number))
            .map(|(number, uid)| (Self::id(*number), uid.to_string().into()))
            .collect();
        let now = self.start + self.now;
        let situation = Situation {
            objects: self.objects.len(),
            leaves_some: self.objects.len() > stale.len(),
            doubtful: Vec::new(),
            unanswered: 0,
            stale,
            approved: self.approved.as_deref(),
            nonce: self.nonce,
        };
        let Verdict { believed, approved } = self.pruning.judge(&self.guard, situation, now);
        for (id, uid) in believed.iter().chain(&approved) {
            let number: usize = id.name.parse().unwrap();
            assert_eq!(self.objects.remove(&number).map(|uid| uid.to_string()).as_deref(), Some(&**uid));
            assert!(!self.rows.contains(&number), "an object with a row was deleted");
        }
        self.pruning.deleted(believed.len(), now);
        approved.iter().for_each(|(id, _)| self.pruning.settled(id));
        believed.len() + approved.len()
    }

    fn digest(&self) -> String {
        self.pruning.held().unwrap().digest
    }
}

#[test]
fn what_the_guard_believes_is_deleted_and_what_it_does_not_is_frozen() {
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 20);
    assert_eq!(world.read(), 20);
    assert_eq!(world.pruning.held(), None);
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 21);
    assert_eq!(world.read(), 0);
    assert_eq!(world.pruning.held().unwrap().count, 21);
}

#[test]
fn a_table_that_is_emptied_and_refilled_loses_nothing() {
    let mut world = World::new(50, "20%");
    let rows = std::mem::take(&mut world.rows);
    assert_eq!(world.read(), 0);
    assert_eq!(world.pruning.held().unwrap().count, 50);
    world.rows = rows;
    assert_eq!(world.read(), 0);
    assert_eq!(world.pruning.held(), None);
    assert_eq!(world.objects.len(), 50);
}

#[test]
fn single_deletions_trip_the_guard_together() {
    let mut world = World::new(1000, "20%");
    let mut deleted = 0;
    for number in 0..600 {
        world.rows.remove(&number);
        world.now += Duration::from_millis(50);
        deleted += world.read();
    }
    assert_eq!(deleted, 200);
    let held = world.pruning.held().unwrap();
    assert_eq!((held.count, held.waiting), (1, 399));
}

#[test]
fn deletions_are_forgotten_with_the_window_and_so_is_the_largest_count() {
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 20);
    assert_eq!(world.read(), 20);
    world.now += 9 * MINUTE;
    world.rows.remove(&20);
    assert_eq!(world.read(), 0, "the twenty of nine minutes ago still count");
    world.rows.insert(20);
    assert_eq!(world.read(), 0);
    world.now += 2 * MINUTE;
    world.rows.retain(|row| *row >= 36);
    assert_eq!(world.read(), 16, "a fifth of the eighty that there are now");
}

#[test]
fn steady_deletions_are_not_counted_for_ever() {
    let mut world = World::new(50, "1300");
    for number in 0..5_000 {
        world.rows.remove(&number);
        world.rows.insert(50 + number);
        world.now += Duration::from_millis(500);
        assert_eq!(world.read(), 1, "{number}");
    }
}

#[test]
fn deletions_go_on_beside_a_frozen_set() {
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 50);
    assert_eq!(world.read(), 0);
    let digest = world.digest();
    world.rows.remove(&99);
    assert_eq!(world.read(), 1);
    assert_eq!((world.digest(), world.pruning.held().unwrap().count), (digest, 50));
}

#[test]
fn approval_deletes_exactly_the_set_that_was_seen() {
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 50);
    world.read();
    world.approved = Some(world.digest());
    // One row came back, one object was made anew by somebody, and thirty more rows went.
    world.rows.insert(0);
    world.objects.insert(1, 7);
    world.rows.retain(|row| *row < 70);
    assert_eq!(world.read(), 48);
    assert!(world.objects.contains_key(&0) && world.objects.contains_key(&1));
    assert_eq!(world.objects.range(70..).count(), 30);
    assert_eq!(world.read(), 0);
    let next = world.digest();
    assert_ne!(Some(&next), world.approved.as_ref(), "the next set has a name of its own");
    assert_eq!(world.pruning.held().unwrap().count, 31);
    world.approved = Some(next);
    assert_eq!(world.read(), 31);
    assert_eq!(world.pruning.held(), None);
}

#[test]
fn an_approval_never_fits_another_set_of_the_same_objects() {
    let mut world = World::new(50, "20%");
    let rows = std::mem::take(&mut world.rows);
    world.read();
    world.approved = Some(world.digest());
    world.rows = rows;
    assert_eq!(world.read(), 0);
    world.rows.clear();
    assert_eq!(world.read(), 0);
    assert_ne!(Some(world.digest()), world.approved);
    // A restart: all that was remembered is gone.
    world.approved = Some(world.digest());
    world.pruning = Pruning::default();
    assert_eq!(world.read(), 0);
    assert_ne!(Some(world.digest()), world.approved);
}

#[test]
fn an_approved_object_that_could_not_be_deleted_stays_approved() {
    let mut pruning = Pruning::default();
    let guard = guard("0", false);
    let stale = || vec![(World::id(1), "a".into()), (World::id(2), "b".into())];
    let now = Instant::now();
    let situation = |approved| Situation {
        objects: 3,
        leaves_some: true,
        stale: stale(),
        doubtful: Vec::new(),
        unanswered: 0,
        approved,
        nonce: 1,
    };
    assert_eq!(pruning.judge(&guard, situation(None), now), Verdict::default());
    let digest = pruning.held().unwrap().digest;
    assert_eq!(pruning.judge(&guard, situation(Some(&digest)), now).approved.len(), 2);
    pruning.settled(&World::id(1));
    let rest = Situation { stale: stale().split_off(1), ..situation(Some(&digest)) };
    assert_eq!(pruning.judge(&guard, rest, now).approved, stale().split_off(1));
}

#[test]
fn another_guard_judges_everything_anew() {
    let mut world = World::new(50, "20%");
    world.rows.clear();
    world.read();
    world.guard = guard("100%", false);
    assert_eq!(world.read(), 0, "nothing would be left");
    world.guard = guard("100%", true);
    assert_eq!(world.read(), 50);
    assert_eq!(world.pruning.held(), None);
}

#[test]
fn time_and_more_objects_release_nothing() {
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 30);
    world.read();
    world.now += 60 * MINUTE;
    world.rows.extend(1000..2000);
    assert_eq!(world.read(), 0);
    assert_eq!(world.pruning.held().unwrap().count, 30);
}

#[test]
fn memory_is_bounded_whatever_happens_in_a_window() {
    let mut world = World::new(10, "100000");
    for number in 0..20_000 {
        world.rows.insert(100 + number);
        world.rows.remove(&(99 + number));
        world.now += Duration::from_millis(100);
        world.read();
    }
    assert!(world.pruning.window.deletions.len() <= STEPS as usize + 2);
    assert!(world.pruning.window.counts.len() <= STEPS as usize + 2);
}

#[test]
fn what_waits_behind_an_approved_set_is_the_next_one_at_once() {
    let mut world = World::new(100, "20%");
    world.rows.retain(|row| *row >= 50);
    world.read();
    let first = world.digest();
    world.rows.retain(|row| *row < 70);
    world.approved = Some(first.clone());
    assert_eq!(world.read(), 50);
    let held = world.pruning.held().unwrap();
    assert_eq!((held.count, held.waiting), (30, 0));
    assert_ne!(held.digest, first);
}
