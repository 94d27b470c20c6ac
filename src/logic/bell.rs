//! When a watched table notifies, and when it keeps quiet. To notify costs writers: while one of them commits, all others
//! that notify wait. So a table that changes often is told to be quiet for a while and read as a whole then, as a network
//! card is that has too much to interrupt for. The trigger asks by trying a lock: whoever wants to be notified holds it, or
//! waits for it. Pure: the time is an argument.
//!
//! ```text
//! Arming ──had──> Armed ──too often──> Masked ──time──> Reading ──much changed──> Masked
//!    │ └─not had──> Waiting ──had──> Armed                └──quiet──> Arming
//!    └──no place to wait──> Masked
//! ```
//!
//! Waiting is as good as armed, but for writers that began before: their changes are read when the lock is had. What was
//! committed before it was waited for is read as soon as it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// More notifications than so many within this time are too many.
const LOUD: (u32, Duration) = (100, Duration::from_secs(1));
/// Fewer will do, in this time, of a table that has not been calm since it was too loud. Each notification goes to disk by
/// itself, and the writers wait for all that it takes to find out that they are still at it.
const STILL_LOUD: (usize, Duration) = (25, Duration::from_millis(100));
/// A read that changed no more than so many objects found little, and so did one that changed no more of them in the time
/// that the table was quiet for than there may be notifications.
const LITTLE: usize = 10;
/// Whatever reads find, so long after it was told to be quiet a table may show whether it still has to be: one transaction
/// of many rows, or a row of many objects, is no noise.
const DOUBT: Duration = Duration::from_secs(60);
/// The shortest time to be quiet for.
const SHORTEST: Duration = Duration::from_millis(200);
/// The longest, but for reads that take long themselves.
const LONGEST: Duration = Duration::from_secs(5);
/// Of the time that a table is quiet, one part in so many is for reading it.
const SHARE: u32 = 10;
/// A table that has notified for so long without being too loud starts over with the shortest time.
const CALM: Duration = Duration::from_secs(10);
/// What goes on for longer than this is told of.
const LONG: Duration = Duration::from_secs(30);
/// Nobody read in this time: whoever should have has other troubles.
const UNREAD: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ask for the lock, and not for long.
    Arm,
    /// Wait for it on a connection of its own, if there may be one more.
    Wait,
    /// Give it up.
    Disarm,
    /// Have all rows read.
    Read,
}

/// Why nobody is told of a table's changes at once, or not of all, for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unrest {
    /// It changes so often that it is read from time to time.
    Busy,
    /// So it is since its lock is not to be had, and there is no place to wait for it.
    NoPlace,
    /// Its lock is waited for: what was begun before goes unnoticed until it ends.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Arming,
    Waiting { since: Instant },
    Armed { since: Instant },
    Masked { until: Instant },
    Reading { until: Instant },
}

/// One watched table.
#[derive(Debug)]
pub struct Bell {
    phase: Phase,
    /// When it notified, lately.
    recent: VecDeque<Instant>,
    /// How long it was quiet last.
    pause: Duration,
    /// How long it takes to read it: the shorter one of the last two times, as a read may have waited for somebody's lock.
    cost: Duration,
    /// How long it took last.
    took: Option<Duration>,
    /// Since when it has not been calm, and what made it quiet the last time.
    restless: Option<(Instant, Unrest)>,
    /// When it was told to be quiet last, and whether that was doubted since.
    hushed: Option<(Instant, bool)>,
}

impl Bell {
    /// A table that is to notify from now on.
    pub fn new() -> (Self, Act) {
        let (pause, cost) = (Duration::ZERO, Duration::ZERO);
        let (recent, took, restless, hushed) = (VecDeque::new(), None, None, None);
        (Self { phase: Phase::Arming, recent, pause, cost, took, restless, hushed }, Act::Arm)
    }

    /// Whether it is left to its own for now, and read from time to time.
    pub fn is_masked(&self) -> bool {
        matches!(self.phase, Phase::Masked { .. } | Phase::Reading { .. })
    }

    /// Whether all that is committed from now on is notified.
    pub fn is_armed(&self) -> bool {
        matches!(self.phase, Phase::Armed { .. })
    }

    /// Whether it is known how its changes are noticed.
    pub fn is_decided(&self) -> bool {
        self.phase != Phase::Arming
    }

    /// Why not all of its changes have been told of at once, if that is so for long. One that is armed between two times of
    /// being quiet is told of as well, unless it has been calm since.
    pub fn unrest(&self, now: Instant) -> Option<Unrest> {
        if let Phase::Waiting { since } = self.phase
            && now.saturating_duration_since(since) > LONG
        {
            return Some(Unrest::Late);
        }
        let (since, why) = self.restless.filter(|_| !self.is_calm(now))?;
        (now.saturating_duration_since(since) > LONG).then_some(why)
    }

    /// Whether it has been notifying for long.
    fn is_calm(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Armed { since } | Phase::Waiting { since } => now.saturating_duration_since(since) > CALM,
            _ => false,
        }
    }

    /// It has notified.
    pub fn notified(&mut self, now: Instant) -> Option<Act> {
        if !self.is_armed() && !self.is_waiting() {
            return None;
        }
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) > LOUD.1) {
            self.recent.pop_front();
        }
        if self.recent.len() <= LOUD.0 as usize && !self.is_still_loud(now) {
            return None;
        }
        let was_doubted = self.hushed.is_some_and(|(_, was_doubted)| was_doubted);
        self.pause = match self.is_calm(now) {
            true => Duration::ZERO,
            false if was_doubted => self.pause,
            false => self.pause * 2,
        };
        self.mask(Unrest::Busy, now);
        self.hushed = Some((now, false));
        Some(Act::Disarm)
    }

    fn is_still_loud(&self, now: Instant) -> bool {
        let (most, window) = STILL_LOUD;
        let is_one_too_many = |at: &Instant| now.saturating_duration_since(*at) <= window;
        self.restless.is_some() && !self.is_calm(now) && self.recent.iter().nth_back(most).is_some_and(is_one_too_many)
    }

    /// The lock is had: every writer that did not notify has ended.
    pub fn had(&mut self, now: Instant) -> Option<Act> {
        match self.phase {
            // Had twice, there may have been a time between.
            Phase::Arming | Phase::Waiting { .. } | Phase::Armed { .. } => {
                self.phase = Phase::Armed { since: now };
                Some(Act::Read)
            }
            // It is not wanted any more.
            _ => Some(Act::Disarm),
        }
    }

    /// The lock is waited for: all that is begun from now on notifies. What was committed before may have told nobody, and
    /// it may take long until the lock is had.
    pub fn queued(&self) -> Option<Act> {
        self.is_waiting().then_some(Act::Read)
    }

    /// The lock was not had: somebody who did not notify works on.
    pub fn not_had(&mut self, now: Instant) -> Option<Act> {
        if self.phase == Phase::Arming {
            self.phase = Phase::Waiting { since: now };
        }
        self.is_waiting().then_some(Act::Wait)
    }

    /// Nobody is to notify for now, whoever writes how often.
    pub fn hold(&mut self, now: Instant) -> Option<Act> {
        let act = (self.is_armed() || self.is_waiting()).then_some(Act::Disarm);
        if !self.is_masked() {
            self.pause = LONGEST.max(self.cost * SHARE);
            self.recent.clear();
            self.hushed = Some((now, false));
            self.phase = Phase::Masked { until: now + self.pause };
        }
        act
    }

    /// There is no place to wait.
    pub fn no_place(&mut self, now: Instant) {
        if let Phase::Waiting { .. } = self.phase {
            // The longer somebody works on, the longer that may take yet.
            self.pause *= 2;
            self.mask(Unrest::NoPlace, now);
            self.hushed = Some((now, false));
        }
    }

    /// All who are interested have read it: the slowest took so long, and so many objects were changed.
    pub fn read(&mut self, changed: usize, took: Duration, now: Instant) -> Option<Act> {
        self.cost = self.took.replace(took).map_or(took, |before| before.min(took));
        let Phase::Reading { .. } = self.phase else { return None };
        let is_little = changed <= LITTLE
            || LOUD.1.saturating_mul(u32::try_from(changed).unwrap_or(u32::MAX)) <= self.pause * LOUD.0;
        let is_doubtful = self.hushed.is_some_and(|(since, _)| now.saturating_duration_since(since) > DOUBT);
        if !is_little && !is_doubtful {
            self.mask(self.restless.map_or(Unrest::Busy, |(_, why)| why), now);
            return None;
        }
        self.hushed = self.hushed.map(|(since, _)| (since, !is_little));
        self.phase = Phase::Arming;
        Some(Act::Arm)
    }

    /// Whether its lock is to be waited for.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// What it is time for.
    pub fn at(&mut self, now: Instant) -> Option<Act> {
        match self.phase {
            Phase::Masked { until } if now >= until => {
                self.phase = Phase::Reading { until: now + UNREAD };
                Some(Act::Read)
            }
            Phase::Reading { until } if now >= until => {
                self.phase = Phase::Arming;
                Some(Act::Arm)
            }
            _ => None,
        }
    }

    /// When it is time for something next.
    pub fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Masked { until } | Phase::Reading { until } => Some(until),
            _ => None,
        }
    }

    fn mask(&mut self, why: Unrest, now: Instant) {
        let since = self.restless.filter(|_| !self.is_calm(now)).map_or(now, |(since, _)| since);
        self.restless = Some((since, why));
        let least = SHORTEST.max(self.cost * SHARE);
        self.pause = self.pause.clamp(least, LONGEST.max(least));
        self.recent.clear();
        self.phase = Phase::Masked { until: now + self.pause };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    /// Not too many.
    const FEW: usize = LOUD.0 as usize;

    fn armed(now: Instant) -> Bell {
        let (mut bell, act) = Bell::new();
        assert_eq!(act, Act::Arm);
        assert_eq!(bell.had(now), Some(Act::Read), "what was committed before the lock was had");
        bell
    }

    /// Notifies until it is too often, for which so many are not enough; returns when that was.
    fn flood(bell: &mut Bell, few: usize, mut now: Instant) -> Instant {
        for _ in 0..few {
            assert_eq!(bell.notified(now), None);
            now += MS;
        }
        assert_eq!(bell.notified(now), Some(Act::Disarm));
        now
    }

    /// Notifies at this rate for so long.
    fn goes_on(bell: &mut Bell, a_second: u32, time: Duration, begin: Instant) -> Instant {
        let mut now = begin;
        while now < begin + time {
            now += Duration::from_secs(1) / a_second;
            assert_eq!(bell.notified(now), None);
        }
        now
    }

    fn pause(bell: &Bell, now: Instant) -> Duration {
        bell.due().unwrap() - now
    }

    #[test]
    fn a_table_that_changes_now_and_then_stays_armed() {
        let now = Instant::now();
        let mut bell = armed(now);
        goes_on(&mut bell, 90, Duration::from_secs(20), now);
        assert!(bell.is_armed() && bell.due().is_none());
    }

    #[test]
    fn a_table_that_changes_often_is_read_from_time_to_time_until_it_is_quiet() {
        let now = Instant::now();
        let mut bell = armed(now);
        let now = flood(&mut bell, FEW, now);
        assert!(bell.is_masked());
        assert_eq!(bell.at(now), None);
        let now = now + SHORTEST;
        assert_eq!(bell.at(now), Some(Act::Read));
        assert_eq!(bell.read(FEW / 5 + 1, MS, now), None, "much has changed, and more will");
        let now = now + SHORTEST;
        assert_eq!(bell.at(now), Some(Act::Read));
        assert_eq!(bell.read(FEW / 5, MS, now), Some(Act::Arm), "no more than there may be notifications");
        assert_eq!(bell.had(now), Some(Act::Read), "once more, after the last writer that kept quiet");
        assert!(bell.is_armed());
    }

    #[test]
    fn the_louder_it_stays_the_longer_it_is_quiet() {
        let mut now = Instant::now();
        let mut bell = armed(now);
        let mut pauses = Vec::new();
        for few in [FEW].into_iter().chain([STILL_LOUD.0; 6]) {
            now = flood(&mut bell, few, now);
            pauses.push(pause(&bell, now));
            now += *pauses.last().unwrap();
            assert_eq!(bell.at(now), Some(Act::Read));
            assert_eq!(bell.read(0, MS, now), Some(Act::Arm));
            bell.had(now);
        }
        assert_eq!(pauses[..3], [SHORTEST, 2 * SHORTEST, 4 * SHORTEST]);
        assert_eq!(pauses[6], LONGEST);
        now = flood(&mut bell, FEW, now + 2 * CALM);
        assert_eq!(pause(&bell, now), SHORTEST, "it was calm for long");
    }

    #[test]
    fn a_table_that_was_too_loud_is_told_so_sooner_if_it_still_is_but_no_lower_rate_is_too_much() {
        let mut now = Instant::now();
        let mut bell = armed(now);
        flood(&mut bell, FEW, now);
        for _ in 0..2 {
            now = bell.due().unwrap();
            bell.at(now);
            bell.read(0, MS, now);
            bell.had(now);
            flood(&mut bell, STILL_LOUD.0, now);
        }
        now = bell.due().unwrap();
        bell.at(now);
        bell.read(0, MS, now);
        bell.had(now);
        now = goes_on(&mut bell, 90, 2 * CALM, now);
        flood(&mut bell, FEW, now + Duration::from_secs(2));
    }

    /// Where it is quiet and its table goes on at so many objects a second: how long until it is armed again.
    fn armed_again(bell: &mut Bell, objects_a_second: f64, took: Duration, begin: Instant) -> Duration {
        let mut last = begin;
        loop {
            let now = bell.due().unwrap();
            assert_eq!(bell.at(now), Some(Act::Read));
            let changed = (objects_a_second * (now - last).as_secs_f64()) as usize;
            last = now;
            if bell.read(changed, took, now) == Some(Act::Arm) {
                bell.had(now);
                return now - begin;
            }
        }
    }

    #[test]
    fn after_a_burst_a_table_that_changes_now_and_then_is_told_of_at_once_again() {
        let begin = Instant::now();
        for (objects_a_second, took) in [(4.0, MS), (90.0, MS), (2.0, 1000 * MS)] {
            let mut bell = armed(begin);
            bell.read(0, took, begin);
            let mut now = flood(&mut bell, FEW, begin);
            for _ in 0..9 {
                now += armed_again(&mut bell, objects_a_second, took, now);
                now = flood(&mut bell, STILL_LOUD.0, now);
            }
            let pause = bell.due().unwrap() - now;
            assert_eq!(armed_again(&mut bell, objects_a_second, took, now), pause, "at the first read");
        }
    }

    #[test]
    fn reads_that_find_much_do_not_keep_a_table_quiet_for_ever() {
        let begin = Instant::now();
        let mut bell = armed(begin);
        let mut now = flood(&mut bell, FEW, begin);
        now += armed_again(&mut bell, 5000.0, MS, now);
        assert!(now - begin > DOUBT && now - begin < 2 * DOUBT);
        now = flood(&mut bell, STILL_LOUD.0, now);
        assert_eq!(pause(&bell, now), SHORTEST, "to have doubted it makes nothing worse");
        assert!(armed_again(&mut bell, 5000.0, MS, now) > DOUBT);
    }

    #[test]
    fn a_table_that_changes_at_random_times_is_no_louder_after_a_burst_than_before() {
        let begin = Instant::now();
        let mut bell = armed(begin);
        let mut now = flood(&mut bell, FEW, begin);
        let (mut seed, mut times) = (42_u64, 0);
        while now < begin + 60 * CALM {
            // Exponential times between changes, as many as 50 a second.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = ((seed >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
            now += Duration::from_secs_f64(-uniform.ln() / 50.0);
            if bell.due().is_some_and(|due| now >= due) {
                bell.at(now);
                bell.read(0, MS, now);
                bell.had(now);
            }
            times += usize::from(bell.notified(now).is_some());
        }
        assert_eq!(times, 0);
    }

    #[test]
    fn while_nobody_is_to_notify_it_is_read_from_time_to_time() {
        let now = Instant::now();
        let mut bell = armed(now);
        assert_eq!(bell.hold(now), Some(Act::Disarm));
        assert!(bell.is_masked() && bell.is_decided());
        assert_eq!(bell.hold(now + LONGEST / 2), None, "that is known");
        let now = now + LONGEST;
        assert_eq!(bell.at(now), Some(Act::Read));
        assert_eq!(bell.read(0, MS, now), Some(Act::Arm));
        assert_eq!(bell.hold(now), None, "it has no lock");
        assert!(bell.is_masked());
        assert_eq!(bell.unrest(now + 2 * LONG), None, "that it is so is told by the listener, of all tables");
        assert_eq!(bell.had(now), Some(Act::Disarm));
        let mut slow = armed(now);
        slow.read(0, LONGEST, now);
        slow.hold(now);
        assert_eq!(pause(&slow, now), LONGEST * SHARE, "no more often than it can be read");
    }

    #[test]
    fn a_lock_that_was_let_go_before_it_was_passed_on_is_waited_for_again() {
        let now = Instant::now();
        let (mut bell, _) = Bell::new();
        bell.not_had(now);
        assert_eq!(bell.not_had(now + LONG), Some(Act::Wait));
        assert_eq!(bell.unrest(now + LONG + MS), Some(Unrest::Late), "since when it is waited for at all");
        assert_eq!(bell.had(now), Some(Act::Read));
        assert_eq!(bell.not_had(now), None);
    }

    #[test]
    fn what_takes_long_to_read_is_read_seldom() {
        let now = Instant::now();
        let mut bell = armed(now);
        bell.read(0, 2 * LONGEST, now);
        let now = flood(&mut bell, FEW, now);
        assert_eq!(pause(&bell, now), 2 * LONGEST * SHARE);
    }

    #[test]
    fn a_read_that_took_long_once_makes_a_table_quiet_for_no_longer() {
        let now = Instant::now();
        let mut bell = armed(now);
        for took in [MS, 2 * LONGEST] {
            bell.read(0, took, now);
        }
        let now = flood(&mut bell, FEW, now);
        assert_eq!(pause(&bell, now), SHORTEST, "it may have waited for somebody's lock");
    }

    #[test]
    fn who_waits_for_the_lock_is_notified_and_reads_when_it_is_had() {
        let now = Instant::now();
        let (mut bell, _) = Bell::new();
        assert_eq!(bell.not_had(now), Some(Act::Wait));
        assert!(!bell.is_armed() && !bell.is_masked());
        assert_eq!(bell.queued(), Some(Act::Read), "what was committed before it was waited for");
        assert_eq!(bell.notified(now), None);
        assert_eq!(bell.had(now), Some(Act::Read));
    }

    #[test]
    fn without_a_place_to_wait_it_is_read_from_time_to_time() {
        let now = Instant::now();
        let (mut bell, _) = Bell::new();
        bell.not_had(now);
        bell.no_place(now);
        assert!(bell.is_masked());
        let now = now + SHORTEST;
        assert_eq!(bell.at(now), Some(Act::Read));
        bell.read(0, MS, now);
        bell.not_had(now);
        bell.no_place(now);
        assert_eq!(pause(&bell, now), 2 * SHORTEST, "seldom, where somebody works on for long");
    }

    #[test]
    fn a_table_that_is_read_from_time_to_time_for_long_is_told_of_until_it_is_calm() {
        let begin = Instant::now();
        let mut bell = armed(begin);
        let mut now = flood(&mut bell, FEW, begin);
        let end = now + LONG;
        while now <= end {
            assert_eq!(bell.unrest(now), None, "after {:?}", now - begin);
            now = bell.due().unwrap();
            bell.at(now);
            bell.read(0, MS, now);
            bell.had(now);
            now = flood(&mut bell, STILL_LOUD.0, now);
        }
        assert_eq!(bell.unrest(now), Some(Unrest::Busy));
        now = bell.due().unwrap();
        bell.at(now);
        bell.read(0, MS, now);
        bell.had(now);
        assert_eq!(bell.unrest(now), Some(Unrest::Busy), "it may go on at once");
        now += CALM + MS;
        assert_eq!(bell.unrest(now), None);
        now = flood(&mut bell, FEW, now);
        assert_eq!(bell.unrest(now), None, "it begins anew");
    }

    #[test]
    fn a_lock_that_is_not_to_be_had_for_long_is_told_of_and_whether_it_is_waited_for() {
        let mut now = Instant::now();
        let (mut bell, _) = Bell::new();
        bell.not_had(now);
        bell.no_place(now);
        let end = now + LONG;
        while now <= end {
            assert_eq!(bell.unrest(now), None);
            now = bell.due().unwrap();
            bell.at(now);
            bell.read(0, MS, now);
            bell.not_had(now);
            bell.no_place(now);
        }
        assert_eq!(bell.unrest(now), Some(Unrest::NoPlace));
        now = bell.due().unwrap();
        bell.at(now);
        bell.read(0, MS, now);
        bell.not_had(now);
        now += CALM + MS;
        assert_eq!(bell.unrest(now), None, "whoever writes by now notifies");
        now += LONG;
        assert_eq!(bell.unrest(now), Some(Unrest::Late), "but those who began before");
        bell.had(now);
        assert_eq!(bell.unrest(now + CALM + MS), None);
    }

    #[test]
    fn a_lock_that_is_had_too_late_is_given_up() {
        let now = Instant::now();
        let (mut bell, _) = Bell::new();
        bell.not_had(now);
        let now = flood(&mut bell, FEW, now);
        assert_eq!(bell.queued(), None, "it is not waited for any more");
        assert_eq!(bell.had(now), Some(Act::Disarm));
        assert!(bell.is_masked());
    }

    #[test]
    fn a_table_that_nobody_reads_is_armed_all_the_same() {
        let now = Instant::now();
        let mut bell = armed(now);
        let now = flood(&mut bell, FEW, now) + SHORTEST;
        bell.at(now);
        assert_eq!(bell.at(now + UNREAD), Some(Act::Arm));
    }
}
